package grammar

import (
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/password"
)

// A home is a mapping of the grammar, and how a key of it is written.
type home struct {
	keys   []string
	spelt  string // with %s for the key
	inside string // the mapping whose keys these are
}

// homes returns the mappings below a secret, the nearest first.
func homes() []home {
	return []home{
		{keys: namesOf(secretFields), inside: "a secret", spelt: "NAME: {%s: ...}"},
		{keys: namesOf(policyFields), inside: "a policy", spelt: "policy: {%s: ...}"},
		{keys: namesOf(lengthFields), inside: "length", spelt: "length: {%s: ...}"},
		{keys: namesOf(charsetFields), inside: "a character set", spelt: "characters: [{%s: ...}]"},
		{keys: namesOf(rotateFields), inside: "rotate", spelt: "rotate: {%s: ...}"},
		{keys: namesOf(supersededFields), inside: "superseded", spelt: "superseded: {%s: ...}"},
		{keys: namesOf(applyFields), inside: "apply", spelt: "apply: {%s: ...}"},
		{keys: namesOf(passphraseFields), inside: "passphrase", spelt: "passphrase: {%s: ...}"},
		{keys: namesOf(auditFields), inside: "audit", spelt: "audit: {%s: ...}"},
	}
}

// hintForKey says where a key belongs that is unknown where it is, and known elsewhere; "" if it is known nowhere.
func hintForKey(key string) string {
	var inside, spelt []string
	for _, h := range homes() {
		if slices.Contains(h.keys, key) {
			inside = append(inside, h.inside)
			spelt = append(spelt, fmt.Sprintf(h.spelt, key))
		}
	}
	if inside == nil {
		return ""
	}
	return fmt.Sprintf("it is a key of %s: write %s", strings.Join(inside, " and of "), strings.Join(spelt, " or "))
}

// hintForValue says under which other keys of the mapping a value would be right that is wrong under its own; "" if
// under none.
func hintForValue[T any](r *reader, n *strict.Node, own int, fields []field[T]) string {
	if r.Found() >= strict.MaxProblems || strict.IsBare(n) ||
		strict.KindOf(n) == strict.Mapping && fields[own].opens() {
		return ""
	}
	var right []string
	trial := &reader{Reader: r.Trial(), hint: r.hint, templates: map[string]*composite.Template{}, isTrial: true}
	for i, f := range fields {
		if i == own || f.fits != nil && !f.fits(n) {
			continue
		}
		var into T
		found := trial.Found()
		if f.read(trial, n, &into); trial.Found() == found {
			right = append(right, f.name)
		}
	}
	if right == nil {
		return ""
	}
	return "it would be right under " + listed(right)
}

// opens reports whether the key takes a mapping: then a mapping is not what is wrong, but something in it.
func (f field[T]) opens() bool {
	return slices.ContainsFunc([]string{"mapping", "{min, max}", "policy"}, func(kind string) bool {
		return strings.Contains(f.takes, kind)
	})
}

// HintForPolicy says under which other keys of a secret a text would be right that is no policy's name; "" if under
// none.
func HintForPolicy(text *strict.Reader, use Located[PolicyUse]) string {
	if strict.IsName(use.Value.Name) {
		return ""
	}
	own := slices.Index(namesOf(secretFields), "policy")
	return hintForValue(&reader{Reader: text, hint: hintForKey}, use.node, own, secretFields)
}

// listed returns "a, b or c".
func listed(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// What a value is that is meant for a key which takes nearly any text.

func never(*strict.Node) bool { return false }

// isNoName reports whether a text cannot be the name of a class.
func isNoName(n *strict.Node) bool { return !strict.IsName(strict.Value(n)) }

func isTemplate(n *strict.Node) bool { return strings.Contains(strict.Value(n), "${") }

func isDictionary(n *strict.Node) bool {
	return slices.Contains(password.Dictionaries(), strict.Value(n))
}

// isPolicy reports whether a node is a mapping, or the name of a preset.
func isPolicy(n *strict.Node) bool {
	_, ok := password.Preset(strict.Value(n))
	return ok || strict.KindOf(n) == strict.Mapping
}

// isPasswordRules reports whether a text begins as Apple's password rules do.
func isPasswordRules(n *strict.Node) bool { return IsPasswordRules(strict.Value(n)) }

// IsPasswordRules reports whether a text begins as Apple's password rules do.
func IsPasswordRules(text string) bool {
	property, _, found := strings.Cut(strings.ToLower(strings.TrimSpace(text)), ":")
	properties := []string{"minlength", "maxlength", "max-consecutive", "required", "allowed"}
	return found && slices.Contains(properties, strings.TrimSpace(property))
}

// remedyForSet says what was expected in place of a character set that is no mapping: with text, what the text could
// be.
func remedyForSet(n *strict.Node) string {
	const example = "expected a mapping, such as {from: lower, min: 1}"
	text := strict.Value(n)
	switch {
	case strict.KindOf(n) != strict.Text:
		return example
	case slices.Contains(password.Classes(), text):
		return "write {from: " + text + "}"
	}
	return example + "; for characters, such as {chars: \"-._~\"}"
}
