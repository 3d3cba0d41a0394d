package language

import (
	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/quota"
)

// A checker decides whether a string that has the right alphabet, length and ends satisfies the other rules.
type checker struct {
	charsets *quota.Checker // nil: any
	distinct bool
	maxRun   int // 0: any, or the automaton sees to it
	automata []*automaton.DFA
	lexicon  *lexicon.Lexicon // nil: none
}

// newChecker returns the checker of the rules about characters, of automata, and of the words that must not appear if
// they are not nil.
func newChecker(r *Rules, automata []*automaton.DFA, words *lexicon.Lexicon) *checker {
	return &checker{charsets: r.quotas().Checker(), distinct: r.Distinct, automata: automata, lexicon: words}
}

// withoutCharacters returns the checker of the same rules but those about characters, wherever they are.
func (c *checker) withoutCharacters() *checker {
	return &checker{maxRun: c.maxRun, automata: c.automata, lexicon: c.lexicon}
}

func (c *checker) accepts(text []byte) bool {
	return (c.charsets == nil || c.charsets.Accept(text)) && (!c.distinct || isDistinct(text)) &&
		(c.maxRun == 0 || hasRuns(text, c.maxRun)) &&
		c.isAccepted(text) && (c.lexicon == nil || !c.lexicon.OccursIn(text))
}

// isAccepted reports whether all automata accept the text.
func (c *checker) isAccepted(text []byte) bool {
	for _, a := range c.automata {
		if !a.Accept(text) {
			return false
		}
	}
	return true
}

// hasRuns reports whether no character of the text appears more than most times in a row.
func hasRuns(text []byte, most int) bool {
	run := 0
	for i, char := range text {
		if i == 0 || char != text[i-1] {
			run = 0
		}
		if run++; run > most {
			return false
		}
	}
	return true
}

func isDistinct(text []byte) bool {
	var seen ascii.Mask
	for _, c := range text {
		if seen.Has(c) {
			return false
		}
		seen.Add(c)
	}
	return true
}
