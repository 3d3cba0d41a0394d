package password

import (
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/refusal"
)

// An Error is why Compile refuses a policy: one or more problems.
type Error struct{ Problems []Problem }

// Error returns the problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// A Problem is one reason to refuse a policy. It never quotes a generated value: there is none yet.
type Problem struct {
	refusal.Refusal

	// Keys are the keys of the rules concerned, the smallest group that conflicts, as paths in the declaration:
	// "length", "characters[2].min", "forbid-patterns[0]", "rules". The first is where to look. Empty: the policy as a
	// whole.
	Keys []string

	// InRules reports that the problem is a mistake in the text of Policy.Rules, and Offset is the mistake's place in
	// it, in bytes from 0.
	InRules bool
	Offset  int
}

// Error returns the problem in one line: "length and characters[0].min: length 2 with a minimum of 3 leaves no
// password; change length or characters[0].min".
func (p Problem) Error() string {
	text := p.Refusal.Error()
	if p.InRules {
		text = fmt.Sprintf("offset %d: %s", p.Offset, text)
	}
	if len(p.Keys) > 0 {
		text = listed(p.Keys, "and") + ": " + text
	}
	return text
}

// listed returns "a, b and c". It names ten at most.
func listed(texts []string, conjunction string) string {
	const most = 10
	if len(texts) > most {
		texts = append(slices.Clone(texts[:most]), fmt.Sprintf("%d more", len(texts)-most))
	}
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:len(texts)-1], ", ") + " " + conjunction + " " + texts[len(texts)-1]
}
