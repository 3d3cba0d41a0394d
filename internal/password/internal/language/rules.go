// Package language counts the strings that satisfy some rules, and draws from them. It knows no policy and no
// declaration: its [Rules] are the normal form that package password makes of a policy.
//
// Each rule is an automaton, or a bound of how many characters of a charset there are (a quota). [Count] multiplies the
// automata and counts the ways through the product, layer by layer (trellis.go); or it counts how many strings have how
// many characters of each kind (package composition). See strategies for which. What neither counts is bounded: by
// probabilities in floating point (walk.go), and words by a union bound (walk.go, lexicon.go).
//
// A language is drawn from any larger one by rejection, if its share of that is large enough (chooseCandidates): from
// all strings, or from those that are numbered by compositions or by weights (weights.go). A uniform number makes a
// uniform string.
package language

import (
	"math"
	"math/big"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/quota"
)

// MaxLength is the longest string that is counted, in characters: twice the longest password that Azure takes (Entra:
// 256).
const MaxLength = lexicon.MaxText

// The limits of counting. They bound the work of [Count] together with its budget, and the memory.
const (
	maxQuotas     = 50_000  // combinations of how many characters of each charset a string has so far
	fewQuotas     = 256     // combinations up to which a trellis is quicker than compositions
	maxTableWords = 3 << 20 // 64-bit words of a layer of a trellis: 24 MB
)

// Rules say which strings are in a language: as few kinds of rules as possible, and none that rules out nothing.
type Rules struct {
	Min, Max    int                  // the number of characters: from 1 to MaxLength
	Alphabet    ascii.Mask           // the characters that may appear
	Charsets    []Charset            // bounds of how many characters of a set appear; 32 at most
	AtLeast     int                  // how many of Charsets must appear, by one character or more
	First, Last ascii.Mask           // the characters at the ends, within Alphabet; equal to it: any
	MaxRun      int                  // no character appears more often in a row. 0: no limit
	Distinct    bool                 // no character appears twice
	Words       []string             // none of these appears, case ignored: in lower case, of two characters or more
	Patterns    []*automaton.Pattern // none of these matches anywhere
	Dictionary  []string             // as Words, for long lists: sorted, and none holds another
}

// A Charset bounds how many characters of a set a string has.
type Charset = quota.Charset

// quotas returns what the quotas of the rules are made of.
func (r *Rules) quotas() *quota.Rules {
	return &quota.Rules{Alphabet: r.Alphabet, Charsets: r.Charsets, AtLeast: r.AtLeast, Min: r.Min, Max: r.Max}
}

const (
	// dead is the state from which nothing is accepted, of automata and of quotas.
	dead = automaton.Dead
	// unlimited is more than any number of combinations.
	unlimited = math.MaxInt32 / 4
)

// hasEnds reports whether the alphabet, and what may be at the ends, have characters at all.
func (r *Rules) hasEnds() bool {
	return !r.Alphabet.IsEmpty() && !r.First.IsEmpty() && !r.Last.IsEmpty()
}

// anyStrings returns the number of strings that have the right characters, lengths and ends, whatever the other rules
// say.
func (r *Rules) anyStrings() *big.Int {
	total := new(big.Int)
	for _, n := range r.anyByLength() {
		total.Add(total, n)
	}
	return total
}

// anyByLength returns the same by length, from the shortest on.
func (r *Rules) anyByLength() []*big.Int {
	var counts []*big.Int
	if r.Min == 1 {
		counts = append(counts, big.NewInt(int64(r.First.And(r.Last).Count())))
	}
	size, ways := big.NewInt(int64(r.Alphabet.Count())), big.NewInt(int64(r.First.Count()*r.Last.Count()))
	for length := 2; length <= r.Max; length++ {
		if length >= r.Min {
			counts = append(counts, new(big.Int).Set(ways))
		}
		ways.Mul(ways, size)
	}
	return counts
}
