package password

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/password/internal/ascii"
)

// Fingerprint returns 12 hexadecimal digits that stand for the set of strings that p describes: the first 48 bits of
// the SHA-256 of a canonical text.
//
// The fingerprint is the same in every release. It is the same for policies that say the same in different words: a
// class by its name or by its characters; characters, sets and forbidden words in any order or twice; what the default
// preset supplies or its spelled-out values; a preset or its text; a passwordrules string or the keys it stands for;
// rules that rule out nothing more. It compares texts all the same, and proves nothing: two policies may describe one
// set and have different fingerprints, such as two spellings of a pattern.
//
// MinEntropy does not count, since it says which policies are refused and not what a password is. A login counts by
// what it forbids. The policy must be one that Compile accepts: the fingerprint of any other means nothing.
func Fingerprint(p Policy) string {
	sum := sha256.Sum256([]byte(canonicalText(p)))
	return hex.EncodeToString(sum[:6])
}

// canonicalText returns the lines of the rules that rule out anything. A rule that is absent has no line: so a rule
// that a later release adds leaves the fingerprints of policies without it as they are.
func canonicalText(p Policy) string {
	p, _ = resolve(p)
	n := normalise(p)
	lines := []string{"policy 1"}
	for _, r := range rules {
		if r.lines != nil && (n.passphrase == nil || r.withPassphrase) {
			lines = append(lines, r.lines(n)...)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func passphraseLines(n *normal) []string {
	if n.passphrase == nil {
		return nil
	}
	return []string{fmt.Sprintf("passphrase words=%d separator=%q capitalize=%t digit=%t",
		n.passphrase.Words, n.passphrase.Separator, n.passphrase.Capitalize, n.passphrase.Digit)}
}

// charsetLines returns the line of the alphabet and those of the sets, sorted.
func charsetLines(n *normal) []string {
	lines := []string{fmt.Sprintf("alphabet %q", n.alphabet.Chars())}
	sorted := slices.SortedFunc(slices.Values(n.sets), func(a, b charset) int {
		return cmp.Or(
			cmp.Compare(a.chars.Chars(), b.chars.Chars()), cmp.Compare(a.min, b.min), cmp.Compare(a.max, b.max))
	})
	for _, s := range sorted {
		line := fmt.Sprintf("set %q min %d", s.chars.Chars(), s.min)
		if s.max != noLimit {
			line += fmt.Sprintf(" max %d", s.max)
		}
		lines = append(lines, line)
	}
	return lines
}

// endLine returns the line of a rule for the first or the last character, or none if any character may be there.
func endLine(rule string, chars, alphabet ascii.Mask) []string {
	if chars == alphabet {
		return nil
	}
	return []string{fmt.Sprintf("%s %q", rule, chars.Chars())}
}

// numberLine returns the line of a rule that is a number. 0: none.
func numberLine(rule string, n int) []string {
	if n <= 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s %d", rule, n)}
}

func quotedLines(rule string, texts []string) []string {
	lines := make([]string, len(texts))
	for i, text := range texts {
		lines[i] = fmt.Sprintf("%s %q", rule, text)
	}
	return lines
}
