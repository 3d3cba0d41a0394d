package password

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A review collects what is wrong with a policy.
type review struct{ problems []Problem }

// add adds a problem of one rule.
func (v *review) add(key, want, format string, args ...any) {
	v.problems = append(v.problems, Problem{Keys: []string{key}, Text: fmt.Sprintf(format, args...), Want: want})
}

// indexed returns the key of an entry of a list.
func indexed(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }

// reviewPolicy returns what is wrong with the rules of p one by one. The policy is one of characters, and its defaults
// are set.
func reviewPolicy(p Policy) []Problem {
	v := &review{}
	v.length(p.Length)
	v.characters(p.Characters)
	v.atMost("sets", p.Sets, len(p.Characters), "the number of sets of characters")
	v.text("exclude", p.Exclude)
	v.classNames("first", p.First)
	v.classNames("last", p.Last)
	v.atLeast("max-run", p.MaxRun)
	v.atLeast("max-sequence", p.MaxSequence)
	v.forbid(p.Forbid)
	v.patterns(p.ForbidPatterns)
	if _, ok := dictionaryWords(p.Dictionary); p.Dictionary != "" && !ok {
		v.add("dictionary", "want "+strings.Join(dictionaries, ", "), "there is no dictionary %q", p.Dictionary)
	}
	v.minEntropy(p.MinEntropy)
	v.size("login", p.Login)
	return v.problems
}

func (v *review) length(l Length) {
	want := fmt.Sprintf("want 1 to %d", maxLength)
	switch {
	case l.Min < 1:
		v.add("length", want, "length %d is too short", l.Min)
	case l.Max > maxLength:
		v.add("length", want, "length %d is more than %d, the longest that is counted", l.Max, maxLength)
	case l.Min > l.Max:
		v.add("length", "want a minimum that is not above the maximum", "length %d to %d has no value", l.Min, l.Max)
	}
}

func (v *review) characters(sets []Charset) {
	if len(sets) > maxCharsets {
		v.add("characters", fmt.Sprintf("want at most %d", maxCharsets), "%d sets of characters", len(sets))
		return
	}
	for i, c := range sets {
		key := indexed("characters", i)
		switch {
		case c.From != "" && c.Chars != "":
			v.add(key, "want one of them", "a set of characters with from and with chars")
		case c.From != "":
			v.classNames(key+".from", []string{c.From})
		case c.Chars == "":
			v.add(key, "want from: a class, or chars: the characters themselves", "an empty set of characters")
		default:
			v.text(key+".chars", c.Chars)
		}
		v.bounds(key, c)
	}
}

func (v *review) bounds(key string, c Charset) {
	v.atLeast(key+".min", c.Min)
	if c.Min > maxLength {
		v.add(key+".min", fmt.Sprintf("want at most %d", maxLength), "a minimum of %d", c.Min)
	}
	if c.Max == nil {
		return
	}
	v.atLeast(key+".max", *c.Max)
	if *c.Max >= 0 && c.Min > *c.Max {
		v.problems = append(v.problems, Problem{
			Keys: []string{key + ".min", key + ".max"},
			Text: fmt.Sprintf("a minimum of %d with a maximum of %d", c.Min, *c.Max),
			Want: "want a minimum that is not above the maximum",
		})
	}
}

// atLeast refuses negative numbers.
func (v *review) atLeast(key string, n int) {
	if n < 0 {
		v.add(key, "want 0 or more", "%s is %d", lastKey(key), n)
	}
}

// atMost refuses negative numbers and those above a limit.
func (v *review) atMost(key string, n, limit int, what string) {
	v.atLeast(key, n)
	if n > limit {
		v.add(key, fmt.Sprintf("want at most %d, %s", limit, what), "%s is %d", lastKey(key), n)
	}
}

// lastKey returns the last part of a key.
func lastKey(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// text refuses what is not printable ASCII.
func (v *review) text(key, text string) {
	v.size(key, text)
	if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c > '~' }); i >= 0 {
		v.add(key, "want printable ASCII, from the space to the tilde", "%s holds %q", lastKey(key), firstRune(text[i:]))
	}
}

// firstRune returns the first character of a text as it stands there, also where that is not valid UTF-8.
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
		v.add(key, fmt.Sprintf("want at most %d", maxTextLength), "%s has %d characters", lastKey(key), len(text))
	}
}

func (v *review) classNames(key string, names []string) {
	for _, name := range names {
		if _, ok := classChars(name); !ok {
			v.add(key, "want "+strings.Join(Classes(), ", "), "there is no class %q", name)
		}
	}
}

func (v *review) forbid(words []string) {
	if len(words) > maxForbidden {
		v.add("forbid", fmt.Sprintf("want at most %d", maxForbidden), "%d forbidden substrings", len(words))
		return
	}
	for i, word := range words {
		key := indexed("forbid", i)
		if word == "" {
			v.add(key, "want one character or more", "an empty substring is in every password")
		}
		v.text(key, word)
	}
}

func (v *review) patterns(patterns []string) {
	if len(patterns) > maxPatterns {
		v.add("forbid-patterns", fmt.Sprintf("want at most %d", maxPatterns), "%d patterns", len(patterns))
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
		v.add(key, "want a pattern", "an empty pattern matches every password")
	case len(text) > maxPatternLength:
		v.add(key, fmt.Sprintf("want at most %d", maxPatternLength), "a pattern of %d characters", len(text))
	default:
		if _, err := parsePattern(text); err != nil {
			v.add(key, "want RE2: https://github.com/google/re2/wiki/Syntax", "%v", err)
		}
	}
}

func (v *review) minEntropy(bits float64) {
	if math.IsNaN(bits) || bits < 0 || bits > 7*maxLength {
		v.add("min-entropy", fmt.Sprintf("want bits, 0 to %d", 7*maxLength), "min-entropy is %v", bits)
	}
}

// rulesConflicts returns which rules cannot stand beside a passwordrules string, since it says the same.
func rulesConflicts(p Policy) []Problem {
	var problems []Problem
	kept := []string{"max-sequence", "distinct", "forbid-patterns", "dictionary", "rules"}
	for _, key := range characterKeys(p) {
		if !slices.Contains(kept, key) {
			problems = append(problems, Problem{
				Keys: []string{key, "rules"},
				Text: key + " does not go with rules, which say the same",
				Want: "leave out one of them",
			})
		}
	}
	return problems
}
