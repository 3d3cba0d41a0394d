package declaration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/refusal"
)

// A policyDraft is a policy as it was read: not compiled yet, with the places of its keys.
type policyDraft struct {
	name   string // under policies; "inline" elsewhere
	place  Place
	policy password.Policy
	places map[string]Place // of values by their path, as password.Problem names them: "characters[2].min"
	rules  *yaml.Node       // the value of rules; nil if there is none
	sound  bool             // nothing was wrong while it was read
}

// inline is the name of a policy that has none. No policy under policies may be called so, or composite: the policy tag
// of a version tells them apart by it.
const inline = "inline"

// A policyUse is a policy where it is used: by name, or inline.
type policyUse struct {
	name  string // of a preset or under policies; "" where draft is given
	draft *policyDraft
}

const policyWant = "expected the name of a preset or of one of policies, or a mapping of rules"

// readPolicyUse reads a policy where it is used. One that was refused has neither name nor draft.
func (r *reader) readPolicyUse(n *yaml.Node, what string) located[policyUse] {
	switch v := deref(n); {
	case v.Kind == yaml.MappingNode:
		return locate(r, n, policyUse{draft: r.readPolicy(n, inline)})
	case v.Kind != yaml.ScalarNode || v.Tag != "!!str":
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, kindOf(v)), policyWant)
		return located[policyUse]{}
	}
	name, _ := r.readText(n, what, maxText)
	return locate(r, n, policyUse{name: name})
}

// readPolicy reads a mapping of rules.
func (r *reader) readPolicy(n *yaml.Node, name string) *policyDraft {
	draft := &policyDraft{name: name, place: r.place(n), places: map[string]Place{}}
	before := r.found
	readFields(r, n, "a policy", "expected a mapping of rules, such as {length: 32}", policyFields, draft)
	draft.sound = r.found == before
	return draft
}

// readLength reads a number of characters, or {min, max}.
func readLength(r *reader, n *yaml.Node, d *policyDraft) {
	if deref(n).Kind != yaml.MappingNode {
		if length, ok := r.readCount(n, "length"); ok {
			d.policy.Length = password.Length{Min: length, Max: length}
		}
		return
	}
	before := r.found
	readFields(r, n, "length", "expected a number or {min, max}", lengthFields, d)
	if r.found == before && (d.policy.Length.Min == 0 || d.policy.Length.Max == 0) {
		r.problem(r.place(n), "length has only one end", "expected both, as in {min: 24, max: 40}, or one number")
	}
}

// readCharacters reads the list of character sets.
func readCharacters(r *reader, n *yaml.Node, d *policyDraft) {
	const want = "expected a list of sets, such as [{from: lower, min: 1}]"
	items, ok := r.items(n, "characters", want)
	if ok && len(items) == 0 {
		r.problem(r.place(n), "characters is empty", want)
	}
	for i, item := range items {
		path := fmt.Sprintf("characters[%d]", i)
		d.places[path] = r.place(item)
		set := charsetDraft{path: path, draft: d}
		before := r.found
		readFields(r, item, "a character set", "expected a mapping, such as {from: lower, min: 1}", charsetFields, &set)
		if r.found == before {
			r.checkCharset(item, set.charset)
		}
		d.policy.Characters = append(d.policy.Characters, set.charset)
	}
}

// checkCharset checks that a character set has one source of characters.
func (r *reader) checkCharset(n *yaml.Node, set password.Charset) {
	const want = "expected {from: CLASS} or {chars: \"...\"}"
	switch {
	case set.From == "" && set.Chars == "":
		r.problem(r.place(n), "a character set with neither from nor chars", want)
	case set.From != "" && set.Chars != "":
		r.problem(r.place(n), "a character set with both from and chars", want+"; two sets may stand side by side")
	}
}

// A charsetDraft is one item of characters while it is read.
type charsetDraft struct {
	charset password.Charset
	path    string
	draft   *policyDraft
}

func (s *charsetDraft) note(r *reader, n *yaml.Node, key string) {
	s.draft.places[s.path+"."+key] = r.place(n)
}

// readDictionary reads the name of a dictionary.
func readDictionary(r *reader, n *yaml.Node, d *policyDraft) {
	if v := deref(n); v.Kind != yaml.ScalarNode || v.Tag != "!!str" {
		r.problem(r.place(n), "dictionary is "+kindOf(v), "expected "+strings.Join(password.Dictionaries(), ", "))
		return
	}
	d.policy.Dictionary, _ = r.readText(n, "dictionary", maxText)
}

// readPassphrase reads {words, separator, capitalize, digit}.
func readPassphrase(r *reader, n *yaml.Node, d *policyDraft) {
	phrase := password.Passphrase{Separator: "-"}
	before := r.found
	ok := readFields(r, n, "passphrase", "expected a mapping, such as {words: 8}", passphraseFields, &phraseDraft{&phrase, d})
	if ok && r.found == before && phrase.Words == 0 {
		r.problem(r.place(n), "passphrase has no words", "expected how many, as in {words: 8}")
	}
	d.policy.Passphrase = &phrase
}

// A phraseDraft is a passphrase while it is read.
type phraseDraft struct {
	*password.Passphrase
	draft *policyDraft
}

func (p *phraseDraft) note(r *reader, n *yaml.Node, key string) {
	p.draft.places["passphrase."+key] = r.place(n)
}

// readClass reads the name of a character class.
func (r *reader) readClass(n *yaml.Node, what string) (string, bool) {
	name, ok := r.readText(n, what, maxText)
	if ok && !slices.Contains(password.Classes(), name) {
		r.unknown(r.place(n), "character class", name, "", password.Classes())
		return "", false
	}
	return name, ok
}

// readClasses reads the name of a class, or a list of them.
func (r *reader) readClasses(n *yaml.Node, what string, d *policyDraft) []string {
	if deref(n).Kind != yaml.SequenceNode {
		name, _ := r.readClass(n, what)
		return []string{name}
	}
	return readList(r, n, what, d, (*reader).readClass)
}

// readTexts reads a list of texts.
func (r *reader) readTexts(n *yaml.Node, what string, d *policyDraft) []string {
	return readList(r, n, what, d, func(r *reader, n *yaml.Node, what string) (string, bool) {
		return r.readText(n, what, maxPattern)
	})
}

// readList reads a list of one item or more, and notes the place of each.
func readList(r *reader, n *yaml.Node, what string, d *policyDraft, read func(*reader, *yaml.Node, string) (string, bool)) []string {
	items, ok := r.items(n, what, "expected a list")
	if ok && len(items) == 0 {
		r.problem(r.place(n), what+" is empty", "expected one item or more, or leave the key out")
	}
	var list []string
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", what, i)
		d.places[path] = r.place(item)
		text, _ := read(r, item, path)
		list = append(list, text)
	}
	return list
}

// readCount reads a whole number of one or more: for rules that a zero would switch off in silence.
func (r *reader) readCount(n *yaml.Node, what string) (int, bool) {
	number, ok := r.readInt(n, what, 1)
	if ok && number == 0 {
		r.problem(r.place(n), what+" is 0", "expected 1 or more, or leave the key out")
		return 0, false
	}
	return number, ok
}

// readBits reads min-entropy.
func readBits(r *reader, n *yaml.Node, d *policyDraft) {
	v := deref(n)
	if r.quoted(n, "min-entropy", decimal) {
		return
	}
	bits, err := strconv.ParseFloat(v.Value, 64)
	if v.Kind != yaml.ScalarNode || v.Style != 0 || !decimal.MatchString(v.Value) || err != nil || bits <= 0 {
		r.problem(r.place(n), "min-entropy is "+describe(v), "expected a number of bits above 0, such as 100")
		return
	}
	d.policy.MinEntropy = bits
}

// readPolicies reads the mapping under policies.
func (r *reader) readPolicies(n *yaml.Node) map[string]*policyDraft {
	policies := map[string]*policyDraft{}
	pairs, _ := r.entries(n, "policies", "expected a mapping of names to policies")
	for _, pair := range pairs {
		key := deref(pair[0])
		if _, taken := password.Preset(key.Value); taken || key.Value == inline || key.Value == "composite" {
			r.problem(r.place(pair[0]), fmt.Sprintf("policy name %q is taken", key.Value), "expected a name that is neither a preset's, inline nor composite")
		} else if !aliasName.MatchString(key.Value) {
			r.problem(r.place(pair[0]), fmt.Sprintf("%q is not a policy name", clip(key.Value)), aliasWant)
		}
		policies[key.Value] = r.readPolicy(pair[1], key.Value)
	}
	return policies
}

// aliasName is what policies and vaults of the declaration may be called. A policy's name is part of a tag of at most
// 256 characters.
var aliasName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

const aliasWant = "expected a letter, then up to 63 letters, digits, hyphens and underscores"

// compiled is what became of a policy.
type compiled struct {
	set *password.Space
	err error
}

// compile compiles a policy once for all secrets that use it. The key stands for the policy and its login.
func (r *resolver) compile(key string, policy password.Policy) (*password.Space, error) {
	done, ok := r.compiled[key]
	if !ok {
		if done.set, done.err = password.Compile(policy); done.err == nil {
			r.fingerprints[done.set] = done.set.Fingerprint()
		}
		r.compiled[key] = done
	}
	return done.set, done.err
}

// checkPolicies compiles every policy under policies, the unused too, and marks those that are refused.
func (r *resolver) checkPolicies() {
	for _, name := range slices.Sorted(maps.Keys(r.policies)) {
		if draft := r.policies[name]; draft.sound {
			r.compileDraft(draft, "")
		}
	}
}

// compileDraft compiles a policy with a login, and notes what is wrong at the keys concerned.
func (r *resolver) compileDraft(draft *policyDraft, login string) *password.Space {
	policy := draft.policy
	policy.Login = login
	text, err := json.Marshal(policy) // equal texts are equal policies: a Policy is plain data
	if err != nil {
		r.problem(draft.place, "the policy cannot be compared with others: "+err.Error(), "")
		return nil
	}
	set, err := r.compile("inline "+string(text), policy)
	if err != nil {
		draft.sound = false
		for _, p := range problemsOf(err) {
			r.problem(r.placeOfProblem(draft, p), p.Cause, p.Remedy)
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
		return r.placeIn(d.rules, p.Offset)
	}
	return d.locate(p.Keys)
}

// locate returns the place of the first of the keys that stands in the policy, or of the nearest key around it, or of
// the policy.
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

// readSeparator reads what stands between words: any printable text, the empty one too.
func (p *phraseDraft) readSeparator(r *reader, n *yaml.Node) {
	text, ok := r.scalar(n, "separator")
	if strings.ContainsFunc(text, unicode.IsControl) {
		r.control(n, "separator")
		ok = false
	}
	if ok {
		p.Separator = text
	}
}
