package password

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"

	"keyvault-passwords/internal/sensitive"
)

// A Set is the set of the passwords of a policy: all strings that satisfy it. It is made by [Compile], is not empty, and
// is safe for use by several goroutines at once.
type Set struct {
	policy   Policy
	alphabet string
	min, max int
	size     *big.Int
	exact    bool
	hundreds int // of a bit: 100*log2(size), rounded down

	phrases  *phrases // of a policy of passphrases, else nil. It has what follows in its own way
	checker  *checker
	ranking  ranking        // nil: random strings are proposed
	ranks    nat            // how many ranks the ranking has
	strings  *randomStrings // nil: strings of the ranking are proposed
	appetite int            // about how many random bytes a draw takes
}

// Size returns how many passwords there are, or where the set is not exact, a number that it proves not to be above
// that. The caller may change it.
func (s *Set) Size() *big.Int { return new(big.Int).Set(s.size) }

// Exact reports whether Size is the number of passwords. It is for all rules but a dictionary, and forbidden words
// that are so many that only a bound can be computed.
func (s *Set) Exact() bool { return s.exact }

// Bits returns the entropy of a password in bits: log2 of the size, rounded down to two decimals, so that it never says
// too much. All passwords being equally likely, this is their Shannon entropy and their min-entropy.
func (s *Set) Bits() float64 { return float64(s.hundreds) / 100 }

// Entropy returns the entropy as people read it: "209.54 bits", or ">= 203.10 bits" where the set is not exact.
func (s *Set) Entropy() string {
	text := fmt.Sprintf("%d.%02d bits", s.hundreds/100, s.hundreds%100)
	if !s.exact {
		return ">= " + text
	}
	return text
}

// Lengths returns how many characters the shortest and the longest password may have by the policy's length, or have
// where it is a passphrase.
func (s *Set) Lengths() (shortest, longest int) { return s.min, s.max }

// Fingerprint returns the fingerprint of the policy. See the function of that name.
func (s *Set) Fingerprint() string { return Fingerprint(s.policy) }

// Alphabet returns the characters that the policy lets occur, in the order of ASCII. It is empty for passphrases.
func (s *Set) Alphabet() string { return s.alphabet }

// Draw returns a password, each one of the set with the same probability. Randomness is crypto/rand's, and an error is
// that it could not be read.
func (s *Set) Draw() (sensitive.Value, error) {
	password, err := s.draw(rand.Reader)
	if err != nil {
		return sensitive.Value{}, err
	}
	return sensitive.New(password), nil
}

func (s *Set) draw(random io.Reader) ([]byte, error) {
	if s.phrases != nil {
		return s.phrases.draw(random)
	}
	password := make([]byte, s.max)
	length, err := s.drawInto(password, &source{random: random})
	if err != nil {
		return nil, fmt.Errorf("drawing a password: %w", err)
	}
	return password[:length], nil
}

// drawInto writes a password to dst, which has room for the longest, and returns its length. It proposes strings, each
// with the same probability, until one is in the set: two tries are expected at most, since at least half of the
// proposals are.
func (s *Set) drawInto(dst []byte, from *source) (length int, err error) {
	from.reset(s.appetite)
	for {
		if s.strings != nil {
			length, err = s.strings.draw(dst, from)
		} else {
			length, err = s.drawRank(dst, from)
		}
		if err != nil || s.checker.accepts(dst[:length]) {
			return length, err
		}
	}
}

// drawRank writes the string of a random rank to dst, and returns its length.
func (s *Set) drawRank(dst []byte, from *source) (length int, err error) {
	var store [maxLimbs]uint64
	rank := nat(store[:len(s.ranks)])
	if err := from.below(rank, s.ranks); err != nil {
		return 0, err
	}
	switch r := s.ranking.(type) { // a call of the interface would let the rank escape to the heap
	case *compositions:
		length = r.unrank(dst, rank)
	case *trellis:
		length = r.unrank(dst, rank)
	}
	return length, nil
}

// randomStrings are all strings of an alphabet that have one of some lengths, the first character from one set and the
// last from another.
type randomStrings struct {
	first, inner, last *table
	ends               *table // of strings of one character
	min                int
	upTo               []nat // by length from min on: how many strings are so long or shorter. Nil: there is one length
}

func newRandomStrings(r *rules) *randomStrings {
	s := &randomStrings{inner: newTable(r.alphabet.chars()), min: r.min}
	s.first, s.last = s.inner, s.inner
	if r.first != r.alphabet {
		s.first = newTable(r.first.chars())
	}
	if r.last != r.alphabet {
		s.last = newTable(r.last.chars())
	}
	if both := r.first.and(r.last); !both.isEmpty() {
		s.ends = newTable(both.chars())
	}
	if r.min == r.max {
		return s
	}
	limbs := limbsFor(r.anyStrings())
	total := new(big.Int)
	for _, n := range r.anyByLength() {
		s.upTo = append(s.upTo, natOf(total.Add(total, n), limbs))
	}
	return s
}

// draw writes one of the strings to dst and returns its length.
func (s *randomStrings) draw(dst []byte, from *source) (length int, err error) {
	if length, err = s.drawLength(from); err != nil {
		return 0, err
	}
	dst = dst[:length]
	if length == 1 {
		dst[0], err = from.char(s.ends)
		return length, err
	}
	if dst[0], err = from.char(s.first); err != nil {
		return 0, err
	}
	if err = from.chars(dst[1:length-1], s.inner); err != nil {
		return 0, err
	}
	dst[length-1], err = from.char(s.last)
	return length, err
}

// drawLength returns a length: each with the probability of its share of the strings.
func (s *randomStrings) drawLength(from *source) (int, error) {
	if s.upTo == nil {
		return s.min, nil
	}
	var store [maxLimbs]uint64
	rank := nat(store[:len(s.upTo[0])])
	if err := from.below(rank, s.upTo[len(s.upTo)-1]); err != nil {
		return 0, err
	}
	length := s.min
	for _, upTo := range s.upTo {
		if rank.less(upTo) {
			break
		}
		length++
	}
	return length, nil
}

// appetite returns about how many random bytes a string takes: those that stand for no character counted in.
func (s *randomStrings) appetite(length int) int {
	used := 0
	for _, c := range s.inner {
		if c != 0 {
			used++
		}
	}
	n := length * len(s.inner) / used
	n += n/8 + 4
	if s.upTo != nil {
		n += 8 * len(s.upTo[0])
	}
	return n
}
