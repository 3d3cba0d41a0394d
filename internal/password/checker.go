package password

import "math/bits"

// A checker tells whether a string of a policy's alphabet and lengths satisfies the rest of its rules.
type checker struct {
	groups    []lanes // of charsets
	atLeast   int
	distinct  bool
	automaton *automaton // nil: none
	lexicon   *lexicon   // nil: none
}

// lanes counts up to four charsets at once, each in 16 bits of a word.
type lanes struct {
	weights  [128]uint64 // by character: 1 in the lane of each charset that holds it
	min, max uint64      // what must be added to have the top bit set at the minimum, and still set up to the maximum
}

const (
	lanesPerWord = 4
	topBits      = 0x8000_8000_8000_8000
)

// newChecker returns the checker of the rules about characters, of an automaton, and of words that may not occur.
func newChecker(r *rules, a *automaton, words *lexicon) *checker {
	c := &checker{atLeast: r.atLeast, distinct: r.distinct, automaton: a, lexicon: words}
	for i, set := range r.sets {
		lane := i % lanesPerWord
		if lane == 0 {
			c.groups = append(c.groups, lanes{min: topBits, max: topBits})
		}
		g := &c.groups[len(c.groups)-1]
		one := uint64(1) << (16 * lane)
		g.min -= uint64(set.min) * one
		g.max += uint64(min(set.max, maxLength)) * one
		for _, char := range []byte(set.chars.chars()) {
			g.weights[char] += one
		}
	}
	return c
}

func (c *checker) accepts(text []byte) bool {
	return c.hasEnough(text) && (!c.distinct || isDistinct(text)) &&
		(c.automaton == nil || c.automaton.accept(text)) && (c.lexicon == nil || !c.lexicon.occursIn(text))
}

// hasEnough reports whether the text has enough and not too many characters of each charset, and enough charsets.
func (c *checker) hasEnough(text []byte) bool {
	appear := 0
	for i := range c.groups {
		g := &c.groups[i]
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

func isDistinct(text []byte) bool {
	var seen charMask
	for _, c := range text {
		if seen.has(c) {
			return false
		}
		seen[c>>6&1] |= 1 << (c & 63)
	}
	return true
}
