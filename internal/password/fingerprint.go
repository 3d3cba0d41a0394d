package password

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Fingerprint returns 12 hexadecimal digits that stand for the set of strings that p describes: the first 48 bits of
// the SHA-256 of a canonical text. The fingerprint is the same in every release, and the same for policies that say the
// same in different words: a class by its name or by its characters, characters and sets and forbidden words in any
// order or twice, what the default preset supplies or its spelled-out values, a preset or its text, a passwordrules
// string or the keys it stands for, rules that rule out nothing more. It is a text comparison all the same, not a proof:
// two policies may describe one set and have different fingerprints, such as two spellings of a pattern.
//
// MinEntropy is left out, since it says which policies are refused and not what a password is. A login counts by what
// it forbids. The policy must be one that Compile accepts: of any other the fingerprint means nothing.
func Fingerprint(p Policy) string {
	sum := sha256.Sum256([]byte(canonicalText(p)))
	return hex.EncodeToString(sum[:6])
}

// canonicalText returns the rules of p, one a line, in an order of their own. A rule that is absent has no line: so a
// rule that a later release adds leaves the fingerprints of policies without it as they are.
func canonicalText(p Policy) string {
	if p.Rules != "" {
		rules, _ := parseRules(p.Rules)
		p.Length, p.Characters, p.MaxRun = rules.Length, rules.Characters, rules.MaxRun
	}
	p = withDefaults(p)
	lines := []string{"policy 1"}
	if p.Passphrase != nil {
		lines = append(lines, passphraseLine(*p.Passphrase))
	} else {
		lines = append(lines, characterLines(p)...)
	}
	for _, word := range forbiddenWords(p) {
		lines = append(lines, fmt.Sprintf("forbid %q", word))
	}
	for _, pattern := range sortedDistinct(p.ForbidPatterns) {
		lines = append(lines, fmt.Sprintf("forbid-pattern %q", pattern))
	}
	if p.Dictionary != "" {
		lines = append(lines, fmt.Sprintf("dictionary %q", p.Dictionary))
	}
	return strings.Join(lines, "\n") + "\n"
}

func passphraseLine(p Passphrase) string {
	return fmt.Sprintf("passphrase words=%d separator=%q capitalize=%t digit=%t",
		p.Words, p.Separator, p.Capitalize, p.Digit)
}

// characterLines returns the lines of the rules that a passphrase cannot have.
func characterLines(p Policy) []string {
	sets, alphabet := canonicalCharsets(p)
	lines := []string{
		fmt.Sprintf("length %d %d", p.Length.Min, p.Length.Max),
		fmt.Sprintf("alphabet %q", alphabet),
	}
	for _, s := range sets {
		lines = append(lines, s.line())
	}
	if setsMatter(p) {
		lines = append(lines, fmt.Sprintf("sets %d", p.Sets))
	}
	lines = append(lines, endLine("first", p.First, alphabet)...)
	lines = append(lines, endLine("last", p.Last, alphabet)...)
	if p.MaxRun > 0 && p.MaxRun < p.Length.Max && !p.Distinct {
		lines = append(lines, fmt.Sprintf("max-run %d", p.MaxRun))
	}
	if p.MaxSequence > 0 && p.MaxSequence < min(p.Length.Max, len(lowers)) {
		lines = append(lines, fmt.Sprintf("max-sequence %d", p.MaxSequence))
	}
	if p.Distinct {
		lines = append(lines, "distinct")
	}
	return lines
}

// endLine returns the line of a rule for the first or the last character, and none where it may be any.
func endLine(rule string, classNames []string, alphabet string) []string {
	var chars string
	for _, name := range classNames {
		class, _ := classChars(name)
		chars += class
	}
	chars = withoutChars(sortedChars(chars), withoutChars(printables, alphabet))
	if len(classNames) == 0 || chars == alphabet {
		return nil
	}
	return []string{fmt.Sprintf("%s %q", rule, chars)}
}

// A canonicalCharset is a charset by its characters, sorted and without those that are excluded.
type canonicalCharset struct {
	chars    string
	min, max int // max is math.MaxInt where there is no limit
}

func (c canonicalCharset) line() string {
	if c.max == math.MaxInt {
		return fmt.Sprintf("set %q min %d", c.chars, c.min)
	}
	return fmt.Sprintf("set %q min %d max %d", c.chars, c.min, c.max)
}

// canonicalCharsets returns the sets of p that rule out anything, sorted, and the union of all sets.
func canonicalCharsets(p Policy) (sets []canonicalCharset, alphabet string) {
	excluded := excludedChars(p)
	for _, c := range p.Characters {
		set := canonicalCharset{withoutChars(sortedChars(c.characters()), excluded), max(c.Min, 0), math.MaxInt}
		if c.Max != nil && *c.Max < p.Length.Max {
			set.max = *c.Max
		}
		alphabet = sortedChars(alphabet, set.chars)
		sets = append(sets, set)
	}
	slices.SortFunc(sets, func(a, b canonicalCharset) int {
		return cmp.Or(cmp.Compare(a.chars, b.chars), cmp.Compare(a.min, b.min), cmp.Compare(a.max, b.max))
	})
	if setsMatter(p) {
		return sets, alphabet // each of them counts, also one that has no bounds of its own
	}
	return mergeCharsets(sets, alphabet, p.Length), alphabet
}

// excludedChars returns the characters that no password of p holds, whichever rule says so: those that are excluded,
// those of a set that may appear no time, and those that are forbidden as a substring, in both letter cases.
func excludedChars(p Policy) string {
	excluded := p.Exclude
	if p.ExcludeAmbiguous {
		excluded += ambiguous
	}
	for _, c := range p.Characters {
		if c.Max != nil && *c.Max <= 0 {
			excluded += c.characters()
		}
	}
	for _, word := range append(loginParts(p.Login), p.Forbid...) {
		if len(word) == 1 {
			excluded += strings.ToLower(word) + strings.ToUpper(word)
		}
	}
	return excluded
}

// characters returns the characters of a set, by whichever name.
func (c Charset) characters() string {
	if chars, ok := classChars(c.From); ok {
		return chars
	}
	return c.Chars
}

// mergeCharsets returns the sorted sets with those of equal characters made one, and without those that say nothing.
func mergeCharsets(sets []canonicalCharset, alphabet string, length Length) []canonicalCharset {
	var merged []canonicalCharset
	for _, s := range sets {
		if last := len(merged) - 1; last >= 0 && merged[last].chars == s.chars {
			merged[last].min, merged[last].max = max(merged[last].min, s.min), min(merged[last].max, s.max)
			continue
		}
		merged = append(merged, s)
	}
	return slices.DeleteFunc(merged, func(s canonicalCharset) bool {
		implied := s.min == 0 || s.chars == alphabet && s.min <= length.Min
		return implied && (s.max == math.MaxInt || s.chars == "")
	})
}

// setsMatter reports whether the rule "at least so many sets" rules out anything that the minimums do not.
func setsMatter(p Policy) bool {
	required := 0
	for _, c := range p.Characters {
		if c.Min > 0 {
			required++
		}
	}
	return p.Sets > max(required, 1)
}

// forbiddenWords returns what forbid and login forbid, in lower case and sorted, without words that hold another of
// them, and without those that the policy's characters cannot spell.
func forbiddenWords(p Policy) []string {
	alphabet, longest := printables, math.MaxInt
	if p.Passphrase == nil {
		_, alphabet = canonicalCharsets(p)
		longest = p.Length.Max
	}
	alphabet = strings.ToLower(alphabet)
	words := loginParts(p.Login)
	for _, word := range p.Forbid {
		words = append(words, strings.ToLower(word))
	}
	return minimalWords(slices.DeleteFunc(words, func(word string) bool {
		return word == "" || len(word) > longest || !holdsChars(alphabet, word)
	}))
}

// minimalWords returns the words that hold no other, sorted: a text that holds none of these holds none of the words.
// It does so however long that takes, for a fingerprint must not depend on a limit.
func minimalWords(words []string) []string {
	minimal, err := newLexicon(words, &budget{math.MaxInt})
	if err != nil {
		return words // unreachable: the words would have to fill the memory before
	}
	return minimal.words
}

// loginParts returns what a password must not hold of a login, in lower case: each three letters or digits in a row of
// it, and the whole login. It leaves out what holds another of them, and the login where it is not ASCII, since no
// password holds it then.
func loginParts(login string) []string {
	login = strings.ToLower(login)
	var parts []string
	for end := 3; end <= len(login); end++ {
		if part := login[end-3 : end]; holdsChars(lowers+digits, part) {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 && login != "" && holdsChars(printables, login) {
		parts = []string{login}
	}
	return sortedDistinct(parts)
}

func sortedDistinct(texts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(texts)))
}
