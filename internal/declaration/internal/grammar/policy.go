package grammar

import (
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/password"
)

// A Policy is a mapping of rules, and what it is called.
type Policy struct {
	Name   string // under policies; [Inline] elsewhere
	Rules  password.Policy
	Source string // identifies the rules: the content of the mapping
	Sound  bool   // no problem was found while it was read

	node *strict.Node
}

// The names in the policy tags of secrets whose policy has no name. They are reserved.
const (
	Inline    = "inline"
	Composite = "composite"
)

// A PolicyUse is a policy where it is used: by name, or written out.
type PolicyUse struct {
	Name   string // of a preset or under policies; "" where Inline is given
	Inline *Policy
}

const policyRemedy = "expected the name of a preset, the name of one of policies, or a mapping of rules"

// readPolicyUse reads a policy where it is used. One that was refused is neither.
func (r *reader) readPolicyUse(n *strict.Node, what string) Located[PolicyUse] {
	switch kind := strict.KindOf(n); kind {
	case strict.Mapping:
		return locate(r, n, PolicyUse{Inline: r.readPolicy(n, Inline)})
	case strict.Text:
	default:
		remedy := policyRemedy
		if kind == strict.Integer {
			remedy += "; for a length, write policy: {length: ...}"
		}
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
		return Located[PolicyUse]{}
	}
	name, _ := r.Line(n, what, maxText)
	return locate(r, n, PolicyUse{Name: name})
}

// readPolicy reads a mapping of rules.
func (r *reader) readPolicy(n *strict.Node, name string) *Policy {
	p := &Policy{Name: name, Source: strict.Content(n), node: n}
	p.Sound = readFields(r, n, "a policy", "expected a mapping of rules, such as {length: 32}", policyFields, &p.Rules)
	return p
}

// PlaceOf returns the place of a problem of a policy: of the byte that it is about in rules, or else of the first of
// its keys that is in the policy, or of the nearest key around that one; if there is none, of the policy. login is the
// place of the login, which is a rule that stands elsewhere; zero if there is none.
func (p *Policy) PlaceOf(text *strict.Reader, problem password.Problem, login strict.Place) strict.Place {
	if rules := strict.Along(p.node, "rules"); problem.InRules && rules != p.node {
		return text.PlacesIn(rules, []int{problem.Offset})[0]
	}
	for _, key := range problem.Keys {
		if key == "login" && login != (strict.Place{}) {
			return login
		}
		if n := strict.Along(p.node, key); n != p.node {
			return text.Place(n)
		}
	}
	return text.Place(p.node)
}

// readLength reads a number of characters, or {min, max}.
func readLength(r *reader, n *strict.Node, p *password.Policy) {
	if strict.KindOf(n) != strict.Mapping {
		length := r.readCount(n, "length")
		p.Length = password.Length{Min: length, Max: length}
		return
	}
	sound := readFields(r, n, "length", "expected a number or {min, max}", lengthFields, &p.Length)
	if sound && (p.Length.Min == 0 || p.Length.Max == 0) {
		r.Refuse(r.Place(n), "length has only one of min and max",
			"expected both, as in {min: 24, max: 40}, or a number")
	}
}

// readCharacters reads the list of character sets.
func readCharacters(r *reader, n *strict.Node, p *password.Policy) {
	const remedy = "expected a list of sets, such as [{from: lower, min: 1}]"
	for _, item := range r.readItems(n, "characters", remedy, remedy) {
		var set password.Charset
		if readFields(r, item, "a character set", remedyForSet(item), charsetFields, &set) {
			r.checkCharset(item, set)
		}
		p.Characters = append(p.Characters, set)
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

// readDictionary reads the name of a dictionary.
func readDictionary(r *reader, n *strict.Node, p *password.Policy) {
	if kind := strict.KindOf(n); kind != strict.Text {
		r.Refuse(r.Place(n), "dictionary is "+kind.String(), "expected "+strings.Join(password.Dictionaries(), ", "))
		return
	}
	p.Dictionary, _ = r.Line(n, "dictionary", maxText)
}

// readPassphrase reads {words, separator, capitalize, digit}.
func readPassphrase(r *reader, n *strict.Node, p *password.Policy) {
	phrase := password.Passphrase{Separator: "-"}
	sound := readFields(r, n, "passphrase", "expected a mapping, such as {words: 8}", passphraseFields, &phrase)
	if sound && phrase.Words == 0 {
		r.Refuse(r.Place(n), "passphrase has no words", "expected their number, as in {words: 8}")
	}
	p.Passphrase = &phrase
}

// readSeparator reads the text between words: any printable text, including the empty one.
func readSeparator(r *reader, n *strict.Node, p *password.Passphrase) {
	text, ok := r.Scalar(n, "separator")
	if ok && r.Printable(n, "separator") {
		p.Separator = text
	}
}

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
		r.Unknown(r.Place(n), "character class", name, "", password.Classes())
		return "", false
	}
	return name, ok
}

// readClasses reads the name of a class, or a list of them.
func (r *reader) readClasses(n *strict.Node, what string) []string {
	if strict.KindOf(n) != strict.List {
		name, _ := r.readClass(n, what)
		return []string{name}
	}
	return r.readList(n, what, r.readClass)
}

// readTexts reads a list of texts.
func (r *reader) readTexts(n *strict.Node, what string) []string {
	return r.readList(n, what, func(n *strict.Node, what string) (string, bool) { return r.Line(n, what, maxPattern) })
}

// readList reads a list of at least one item.
func (r *reader) readList(n *strict.Node, what string, read func(*strict.Node, string) (string, bool)) []string {
	var list []string
	const remedyForNone = "expected at least one item; otherwise remove the key"
	for i, item := range r.readItems(n, what, "expected a list", remedyForNone) {
		text, _ := read(item, fmt.Sprintf("%s[%d]", what, i))
		list = append(list, text)
	}
	return list
}

// readPolicies reads the mapping under policies.
func (r *reader) readPolicies(n *strict.Node) map[string]*Policy {
	policies := map[string]*Policy{}
	entries, _ := r.Entries(n, "policies", "expected a mapping of names to policies")
	for _, entry := range entries {
		name := entry.Name()
		if _, taken := password.Preset(name); taken || name == Inline || name == Composite {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("the policy name %q is reserved", name),
				"expected a name other than inline, composite and the presets' names")
		} else if !strict.IsName(name) {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%q is not a policy name", strict.Clip(name)), nameRemedy)
		}
		policies[name] = r.readPolicy(entry.Value, name)
	}
	return policies
}
