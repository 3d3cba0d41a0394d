package grammar

import (
	"fmt"
	"slices"
	"strings"

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

// hintForClass says where characters belong that are given as the name of a class; "" if the text could be a name, or
// the key has no neighbour that takes characters.
func hintForClass(key, text string) string {
	if key != "from" || strict.IsName(text) {
		return ""
	}
	return "for the characters themselves, write {chars: ...}"
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
