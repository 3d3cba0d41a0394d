package declaration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyvault-passwords/internal/declaration/internal/strict"

	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/refusal"
)

// A policyDraft is a policy as it was read, before it is compiled, with the places of its keys.
type policyDraft struct {
	name   string // under policies; "inline" elsewhere
	place  Place
	policy password.Policy
	source string           // identifies the policy: a preset's name, or the content of the mapping
	places map[string]Place // of values by their path, as password.Problem names them: "characters[2].min"
	rules  *strict.Node     // the value of rules; nil if there is none
	sound  bool             // no problem was found in it
}

// The names in the policy tags of secrets whose policy has no name. They are reserved.
const (
	inline       = "inline"
	compositeTag = "composite"
)

// A policyUse is a policy where it is used: by name, or inline.
type policyUse struct {
	name  string // of a preset or under policies; "" where draft is given
	draft *policyDraft
}

const policyRemedy = "expected the name of a preset, the name of one of policies, or a mapping of rules"

// readPolicyUse reads a policy where it is used. A policy that was refused has neither name nor draft.
func (r *reader) readPolicyUse(n *strict.Node, what string) located[policyUse] {
	switch kind := strict.KindOf(n); kind {
	case strict.Mapping:
		return locate(r, n, policyUse{draft: r.readPolicy(n, inline)})
	case strict.Text:
	default:
		remedy := policyRemedy
		if kind == strict.Integer {
			remedy += "; for a length, write policy: {length: ...}"
		}
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
		return located[policyUse]{}
	}
	name, _ := r.Line(n, what, maxText)
	return locate(r, n, policyUse{name: name})
}

// readPolicy reads a mapping of rules.
func (r *reader) readPolicy(n *strict.Node, name string) *policyDraft {
	draft := &policyDraft{name: name, place: r.Place(n), source: strict.Content(n), places: map[string]Place{}}
	before := r.Found()
	readFields(r, n, "a policy", "expected a mapping of rules, such as {length: 32}", policyFields, draft)
	draft.sound = r.Found() == before
	return draft
}

func (d *policyDraft) note(key string, at Place) { d.places[key] = at }

// A lengthDraft is a length while it is read.
type lengthDraft struct{ *policyDraft }

func (l *lengthDraft) note(key string, at Place) { l.places["length."+key] = at }

// readLength reads a number of characters, or {min, max}.
func readLength(r *reader, n *strict.Node, d *policyDraft) {
	if strict.KindOf(n) != strict.Mapping {
		if length, ok := r.readCount(n, "length"); ok {
			d.policy.Length = password.Length{Min: length, Max: length}
		}
		return
	}
	before := r.Found()
	readFields(r, n, "length", "expected a number or {min, max}", lengthFields, &lengthDraft{d})
	if r.Found() == before && (d.policy.Length.Min == 0 || d.policy.Length.Max == 0) {
		r.Refuse(r.Place(n), "length has only one of min and max",
			"expected both, as in {min: 24, max: 40}, or a number")
	}
}

// readCharacters reads the list of character sets.
func readCharacters(r *reader, n *strict.Node, d *policyDraft) {
	const remedy = "expected a list of sets, such as [{from: lower, min: 1}]"
	items, ok := r.Items(n, "characters", remedy)
	if ok && len(items) == 0 {
		r.Refuse(r.Place(n), "characters is empty", remedy)
	}
	for i, item := range items {
		path := fmt.Sprintf("characters[%d]", i)
		d.places[path] = r.Place(item)
		set := charsetDraft{path: path, draft: d}
		before := r.Found()
		readFields(r, item, "a character set", remedyForSet(item), charsetFields, &set)
		if r.Found() == before {
			r.checkCharset(item, set.charset)
		}
		d.policy.Characters = append(d.policy.Characters, set.charset)
	}
}

// checkCharset checks that a character set has exactly one of from and chars.
func (r *reader) checkCharset(n *strict.Node, set password.Charset) {
	const remedy = "expected {from: CLASS} or {chars: \"...\"}"
	switch {
	case set.From == "" && set.Chars == "":
		r.Refuse(r.Place(n), "a character set has neither from nor chars", remedy)
	case set.From != "" && set.Chars != "":
		r.Refuse(r.Place(n), "a character set has both from and chars", remedy+"; for both, use two sets")
	}
}

// A charsetDraft is one item of characters while it is read.
type charsetDraft struct {
	charset password.Charset
	path    string
	draft   *policyDraft
}

func (s *charsetDraft) note(key string, at Place) { s.draft.places[s.path+"."+key] = at }

// readDictionary reads the name of a dictionary.
func readDictionary(r *reader, n *strict.Node, d *policyDraft) {
	if kind := strict.KindOf(n); kind != strict.Text {
		r.Refuse(r.Place(n), "dictionary is "+kind.String(), "expected "+strings.Join(password.Dictionaries(), ", "))
		return
	}
	d.policy.Dictionary, _ = r.Line(n, "dictionary", maxText)
}

// readPassphrase reads {words, separator, capitalize, digit}.
func readPassphrase(r *reader, n *strict.Node, d *policyDraft) {
	phrase := password.Passphrase{Separator: "-"}
	before := r.Found()
	const remedy = "expected a mapping, such as {words: 8}"
	ok := readFields(r, n, "passphrase", remedy, passphraseFields, &phraseDraft{Passphrase: &phrase, draft: d})
	if ok && r.Found() == before && phrase.Words == 0 {
		r.Refuse(r.Place(n), "passphrase has no words", "expected their number, as in {words: 8}")
	}
	d.policy.Passphrase = &phrase
}

// A phraseDraft is a passphrase while it is read.
type phraseDraft struct {
	*password.Passphrase
	draft *policyDraft
}

func (p *phraseDraft) note(key string, at Place) { p.draft.places["passphrase."+key] = at }

// readRules reads a passwordrules string.
func (r *reader) readRules(n *strict.Node) string {
	text, _ := r.Line(n, "rules", maxPattern)
	if _, ok := password.Preset(text); ok {
		r.Refuse(r.Place(n), fmt.Sprintf("rules is %q, the name of a policy", text),
			"write policy: "+text+"; rules takes password rules such as \"minlength: 20; required: lower\"")
		return ""
	}
	return text
}

// readClass reads the name of a character class.
func (r *reader) readClass(n *strict.Node, what string) (string, bool) {
	name, ok := r.Line(n, what, maxText)
	if ok && !slices.Contains(password.Classes(), name) {
		r.Unknown(r.Place(n), "character class", name, "", password.Classes(), hintForClass(what, name))
		return "", false
	}
	return name, ok
}

// readClasses reads the name of a class, or a list of them.
func (r *reader) readClasses(n *strict.Node, what string, d *policyDraft) []string {
	if strict.KindOf(n) != strict.List {
		name, _ := r.readClass(n, what)
		return []string{name}
	}
	return readList(r, n, what, d, (*reader).readClass)
}

// readTexts reads a list of texts.
func (r *reader) readTexts(n *strict.Node, what string, d *policyDraft) []string {
	return readList(r, n, what, d, func(r *reader, n *strict.Node, what string) (string, bool) {
		return r.Line(n, what, maxPattern)
	})
}

// readList reads a list of at least one item, and notes the place of each.
func readList(
	r *reader, n *strict.Node, what string, d *policyDraft, read func(*reader, *strict.Node, string) (string, bool),
) []string {
	items, ok := r.Items(n, what, "expected a list")
	if ok && len(items) == 0 {
		r.Refuse(r.Place(n), what+" is empty", "expected at least one item; otherwise remove the key")
	}
	var list []string
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", what, i)
		d.places[path] = r.Place(item)
		text, _ := read(r, item, path)
		list = append(list, text)
	}
	return list
}

// readCount reads a whole number of at least 1, for rules that 0 would turn off without a word.
func (r *reader) readCount(n *strict.Node, what string) (int, bool) {
	number, ok := r.Integer(n, what, 1)
	if ok && number == 0 {
		r.Refuse(r.Place(n), what+" is 0", "expected 1 or more; otherwise remove the key")
		return 0, false
	}
	return number, ok
}

// readPolicies reads the mapping under policies.
func (r *reader) readPolicies(n *strict.Node) map[string]*policyDraft {
	policies := map[string]*policyDraft{}
	entries, _ := r.Entries(n, "policies", "expected a mapping of names to policies")
	for _, entry := range entries {
		name := entry.Name()
		if _, taken := password.Preset(name); taken || name == inline || name == compositeTag {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("the policy name %q is reserved", name),
				"expected a name other than inline, composite and the presets' names")
		} else if !strict.IsName(name) {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%q is not a policy name", strict.Clip(name)), nameRemedy)
		}
		policies[name] = r.readPolicy(entry.Value, name)
	}
	return policies
}

// nameRemedy says what [strict.IsName] accepts: the names of policies, vaults and parts. A policy's name is part of a
// tag of at most 256 characters.
const nameRemedy = "expected a letter, followed by up to 63 letters, digits, hyphens and underscores"

// A policyKey identifies a policy with a login.
type policyKey struct{ source, login string }

// compiled is the result of compiling a policy.
type compiled struct {
	set *password.Space
	err error
}

// compile compiles a policy with a login, once for all secrets that have both. A policy written out in many secrets is
// one too.
func (r *resolver) compile(draft *policyDraft, login string) (*password.Space, error) {
	key := policyKey{source: draft.source, login: login}
	done, ok := r.compiled[key]
	if !ok {
		if done.set, done.err = password.Compile(withLogin(draft.policy, login)); done.err == nil {
			r.fingerprints[done.set] = done.set.Fingerprint()
		}
		r.compiled[key] = done
	}
	return done.set, done.err
}

// checkPolicies compiles every policy under policies, including unused ones, and marks those that are refused.
func (r *resolver) checkPolicies() {
	for _, name := range slices.Sorted(maps.Keys(r.policies)) {
		if draft := r.policies[name]; draft.sound {
			r.compileDraft(draft, "")
		}
	}
}

// compileDraft compiles a policy with a login, and notes each problem at the key concerned.
func (r *resolver) compileDraft(draft *policyDraft, login string) *password.Space {
	set, err := r.compile(draft, login)
	if err != nil {
		draft.sound = false
		for _, p := range problemsOf(err) {
			r.Refuse(r.placeOfProblem(draft, p), p.Cause, p.Remedy)
		}
	}
	return set
}

// problemsOf returns the problems of a refusal by password.Compile.
func problemsOf(err error) []password.Problem {
	if refused, ok := errors.AsType[*password.Error](err); ok {
		return refused.Problems
	}
	return []password.Problem{{Refusal: refusal.Refusal{Cause: "the policy is refused: " + err.Error()}}}
}

// placeOfProblem returns the place of a problem: of the byte that it is about in rules, or else of its keys.
func (r *reader) placeOfProblem(d *policyDraft, p password.Problem) Place {
	if p.InRules && d.rules != nil {
		return r.PlacesIn(d.rules, []int{p.Offset})[0]
	}
	return d.locate(p.Keys)
}

// locate returns the place of the first of the keys that is in the policy, or of the nearest key around it; if there is
// none, of the policy.
func (d *policyDraft) locate(keys []string) Place {
	for _, key := range keys {
		for key != "" {
			if place, ok := d.places[key]; ok {
				return place
			}
			key = key[:max(0, strings.LastIndexAny(key, ".["))]
		}
	}
	return d.place
}

// readSeparator reads the text between words: any printable text, including the empty one.
func (p *phraseDraft) readSeparator(r *reader, n *strict.Node) {
	text, ok := r.Scalar(n, "separator")
	if ok && r.Printable(n, "separator") {
		p.Separator = text
	}
}
