package language

import (
	"math/bits"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// A checker decides whether a string that has the right alphabet, length and ends satisfies the other rules.
type checker struct {
	counters []counters // of the charsets, four in each
	atLeast  int
	distinct bool
	maxRun   int // 0: any, or the automaton sees to it
	automata []*automaton.DFA
	lexicon  *lexicon.Lexicon // nil: none
}

// counters counts the characters of up to four charsets at once, each in 16 bits of a word.
//
// The top bit of a counter compares: sum+min has it set from the minimum on, max-sum up to the maximum. No counter
// carries into the next, since no sum is above MaxLength.
type counters struct {
	weights  [128]uint64 // by character: 1 in the counter of each charset that holds it
	min, max uint64      // in each counter: 0x8000 - minimum, and 0x8000 + maximum
}

const (
	countersPerWord = 4
	topBits         = 0x8000_8000_8000_8000
)

// newChecker returns the checker of the rules about characters, of automata, and of the words that must not appear if
// they are not nil.
func newChecker(r *Rules, automata []*automaton.DFA, words *lexicon.Lexicon) *checker {
	c := &checker{atLeast: r.AtLeast, distinct: r.Distinct, automata: automata, lexicon: words}
	for i, set := range r.Charsets {
		place := i % countersPerWord
		if place == 0 {
			c.counters = append(c.counters, counters{min: topBits, max: topBits})
		}
		g := &c.counters[len(c.counters)-1]
		one := uint64(1) << (16 * place)
		g.min -= uint64(set.Min) * one
		g.max += uint64(min(set.Max, MaxLength)) * one
		for _, char := range []byte(set.Chars.Chars()) {
			g.weights[char] += one
		}
	}
	return c
}

// withoutCharacters returns the checker of the same rules but those about characters, wherever they are.
func (c *checker) withoutCharacters() *checker {
	return &checker{maxRun: c.maxRun, automata: c.automata, lexicon: c.lexicon}
}

func (c *checker) accepts(text []byte) bool {
	return c.hasEnough(text) && (!c.distinct || isDistinct(text)) && (c.maxRun == 0 || hasRuns(text, c.maxRun)) &&
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

// hasEnough reports whether the text has enough and not too many characters of each charset, and enough charsets.
func (c *checker) hasEnough(text []byte) bool {
	appear := 0
	for i := range c.counters {
		g := &c.counters[i]
		var sum uint64
		for _, char := range text {
			sum += g.weights[char&127]
		}
		if (sum+g.min)&(g.max-sum)&topBits != topBits {
			return false
		}
		appear += bits.OnesCount64((sum + (topBits - topBits>>15)) & topBits)
	}
	return appear >= c.atLeast
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
