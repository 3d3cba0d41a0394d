package password

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/language"
	"keyvault-passwords/internal/refusal"
)

// A review collects what is wrong with the rules of a policy, one by one.
type review struct{ problems []Problem }

// add notes a problem of one rule.
func (v *review) add(key, remedy, format string, args ...any) {
	v.problems = append(v.problems, problemOf(fmt.Sprintf(format, args...), remedy, key))
}

// problemOf returns a problem with the given keys.
func problemOf(cause, remedy string, keys ...string) Problem {
	return Problem{Refusal: refusal.Refusal{Cause: cause, Remedy: remedy}, Keys: keys}
}

// reviewPolicy returns what is wrong with each rule of p. The policy has its defaults.
func reviewPolicy(p Policy) []Problem {
	v := &review{}
	for _, r := range rules {
		switch {
		case p.Passphrase != nil && !r.withPassphrase:
			if r.given(&p) {
				v.add(r.key, "remove it: a passphrase is made of whole words", "%s cannot be combined with passphrase",
					r.key)
			}
		case r.check != nil:
			r.check(v, &p)
		}
	}
	return v.problems
}

func (v *review) length(l Length) {
	expected := fmt.Sprintf("expected 1 to %d", language.MaxLength)
	switch {
	case l.Min < 1:
		v.add("length", expected, "length %d is too short", l.Min)
	case l.Max > language.MaxLength:
		v.add("length", expected, "length %d is more than %d, the longest that is counted", l.Max, language.MaxLength)
	case l.Min > l.Max:
		v.add("length", notAbove, "a minimum length of %d with a maximum of %d", l.Min, l.Max)
	}
}

const notAbove = "expected a minimum that is not above the maximum"

func (v *review) characters(sets []Charset) {
	if len(sets) > maxCharsets {
		v.add("characters", fmt.Sprintf("expected at most %d", maxCharsets), "%d sets of characters", len(sets))
		return
	}
	for i, c := range sets {
		key := indexed("characters", i)
		switch {
		case c.From != "" && c.Chars != "":
			v.add(key, "expected one of them", "a set of characters with both from and chars")
		case c.From != "":
			v.classNames(key+".from", []string{c.From})
		case c.Chars == "":
			v.add(key, "expected from: a class, or chars: the characters themselves", "an empty set of characters")
		default:
			v.text(key+".chars", c.Chars)
		}
		v.bounds(key, c)
	}
}

func (v *review) bounds(key string, c Charset) {
	v.atLeast(key+".min", c.Min)
	if c.Min > language.MaxLength {
		v.add(key+".min", fmt.Sprintf("expected at most %d", language.MaxLength), "a minimum of %d", c.Min)
	}
	if c.Max == nil {
		return
	}
	v.atLeast(key+".max", *c.Max)
	if *c.Max >= 0 && c.Min > *c.Max {
		cause := fmt.Sprintf("a minimum of %d with a maximum of %d", c.Min, *c.Max)
		v.problems = append(v.problems, problemOf(cause, notAbove, key+".min", key+".max"))
	}
}

// atLeast refuses negative numbers.
func (v *review) atLeast(key string, n int) {
	if n < 0 {
		v.add(key, "expected 0 or more", "%s is %d", lastKey(key), n)
	}
}

// lastKey returns the last part of a key.
func lastKey(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// text refuses what is too long, and what is not printable ASCII.
func (v *review) text(key, text string) {
	v.size(key, text)
	if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c > '~' }); i >= 0 {
		v.add(key, "expected printable ASCII, from the space to the tilde", "%s holds %q", lastKey(key),
			firstRune(text[i:]))
	}
}

// firstRune returns the first character of a text, as its bytes are. The text may not be valid UTF-8.
func firstRune(text string) string {
	for i := range text {
		if i > 0 {
			return text[:i]
		}
	}
	return text
}

func (v *review) size(key, text string) {
	if len(text) > maxTextLength {
		v.add(key, fmt.Sprintf("expected at most %d", maxTextLength), "%s has %d characters", lastKey(key), len(text))
	}
}

func (v *review) classNames(key string, names []string) {
	for _, name := range names {
		if _, ok := ascii.Class(name); !ok {
			v.add(key, "expected "+listed(Classes(), "or"), "unknown class %q", name)
		}
	}
}

func (v *review) forbid(p *Policy) {
	if len(p.Forbid) > maxForbidden {
		v.add("forbid", fmt.Sprintf("expected at most %d", maxForbidden), "%d forbidden substrings", len(p.Forbid))
		return
	}
	for i, word := range p.Forbid {
		key := indexed("forbid", i)
		if word == "" {
			v.add(key, "expected one character or more", "an empty substring is in every password")
		}
		v.text(key, word)
	}
	if n := len(strings.Join(p.Forbid, "")); p.Passphrase != nil && n > maxPhraseForbidden {
		v.add("forbid", fmt.Sprintf("expected at most %d with a passphrase", maxPhraseForbidden),
			"the forbidden substrings have %d characters together", n)
	}
}

func (v *review) patterns(patterns []string) {
	if len(patterns) > maxPatterns {
		v.add("forbid-patterns", fmt.Sprintf("expected at most %d", maxPatterns), "%d patterns", len(patterns))
		return
	}
	for i, text := range patterns {
		v.pattern(indexed("forbid-patterns", i), text)
	}
}

func (v *review) pattern(key, text string) {
	before := len(v.problems)
	v.text(key, text)
	switch {
	case len(v.problems) > before:
	case text == "":
		v.add(key, "expected a pattern", "an empty pattern matches every password")
	case len(text) > maxPatternLength:
		v.add(key, fmt.Sprintf("expected at most %d", maxPatternLength), "a pattern of %d characters", len(text))
	default:
		if _, err := automaton.ParsePattern(text); err != nil {
			v.add(key, "expected RE2: https://github.com/google/re2/wiki/Syntax", "%v", err)
		}
	}
}

func (v *review) dictionary(name string) {
	if _, ok := dictionaryWords(name); name != "" && !ok {
		v.add("dictionary", "expected "+listed(dictionaries, "or")+"; for words of your own, write forbid: [...]",
			"unknown dictionary %q", name)
	}
}

func (v *review) minEntropy(bits float64) {
	if math.IsNaN(bits) || bits < 0 || bits > 7*language.MaxLength {
		v.add("min-entropy", fmt.Sprintf("expected 0 to %d bits", 7*language.MaxLength),
			"min-entropy is %s", strconv.FormatFloat(bits, 'g', -1, 64))
	}
}

func (v *review) passphrase(p *Policy) {
	if p.Passphrase == nil {
		return
	}
	if n := p.Passphrase.Words; n < 1 || n > maxPhraseWords {
		v.add("passphrase.words", fmt.Sprintf("expected 1 to %d", maxPhraseWords), "a passphrase of %d words", n)
	}
	separator := p.Passphrase.Separator
	if len(separator) > maxPhraseSeparator {
		v.add("passphrase.separator", fmt.Sprintf("expected at most %d", maxPhraseSeparator),
			"a separator of %d bytes", len(separator))
		return
	}
	if wrong := ascii.Without(separator, ascii.Printable); wrong != "" {
		v.add("passphrase.separator", "expected printable ASCII", "the separator holds %q", []rune(wrong)[0])
	}
}
