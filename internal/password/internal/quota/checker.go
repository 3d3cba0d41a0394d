package quota

import "math/bits"

// A Checker decides whether a string has enough and not too many characters of each charset, and enough charsets.
type Checker struct {
	counters []counters // of the charsets, four in each
	atLeast  int
}

// counters counts the characters of up to four charsets at once, each in 16 bits of a word.
//
// The top bit of a counter compares: sum+min has it set from the minimum on, max-sum up to the maximum. No counter
// carries into the next, since no sum is above the longest string, of less than 2^15 characters.
type counters struct {
	weights  [128]uint64 // by character: 1 in the counter of each charset that holds it
	min, max uint64      // in each counter: 0x8000 - minimum, and 0x8000 + maximum
}

const (
	countersPerWord = 4
	topBits         = 0x8000_8000_8000_8000
)

// Checker returns the checker of the rules.
func (r *Rules) Checker() *Checker {
	c := &Checker{atLeast: r.AtLeast}
	for i, set := range r.Charsets {
		place := i % countersPerWord
		if place == 0 {
			c.counters = append(c.counters, counters{min: topBits, max: topBits})
		}
		g := &c.counters[len(c.counters)-1]
		one := uint64(1) << (16 * place)
		g.min -= uint64(set.Min) * one
		g.max += uint64(min(set.Max, r.Max)) * one
		for _, char := range []byte(set.Chars.Chars()) {
			g.weights[char] += one
		}
	}
	return c
}

// Accept reports whether the text, of at most the longest length, satisfies the rules.
func (c *Checker) Accept(text []byte) bool {
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
