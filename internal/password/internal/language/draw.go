package language

import (
	"math/big"

	"keyvault-passwords/internal/password/internal/composition"
	"keyvault-passwords/internal/password/internal/uniform"
)

// Draw writes a string of the language to dst, each with the same probability, and returns its length. dst must have
// room for the longest. The error is the source's. The language must not be empty.
func (c *Counted) Draw(dst []byte, from *uniform.Source) (length int, err error) {
	from.Reset(c.expected)
	for {
		length, ok, err := c.Try(dst, from)
		if ok || err != nil {
			return length, err
		}
	}
}

// Try writes a candidate to dst, each with the same probability, and returns its length, and whether it is in the
// language. What Draw says of dst and the error holds here too, and the source must have been reset.
func (c *Counted) Try(dst []byte, from *uniform.Source) (length int, ok bool, err error) {
	if c.random != nil {
		length, err = c.random.draw(dst, from)
	} else {
		length, err = c.drawRank(dst, from)
	}
	return length, err == nil && length > 0 && c.checker.accepts(dst[:length]), err
}

// drawRank writes the string of a random rank to dst, and returns its length. 0: the rank has none.
func (c *Counted) drawRank(dst []byte, from *uniform.Source) (length int, err error) {
	var store [composition.MaxLimbs]uint64
	rank := uniform.Nat(store[:len(c.ranks)])
	if err := from.Below(rank, c.ranks); err != nil {
		return 0, err
	}
	switch r := c.ranking.(type) { // a call of the interface would let the rank escape to the heap
	case *composition.Counted:
		length = r.Unrank(dst, rank)
	case *weights:
		length = r.Unrank(dst, rank)
	}
	return length, nil
}

// randomStrings are all strings of an alphabet that have one of some lengths, the first character from one set and the
// last from another.
type randomStrings struct {
	first, inner, last *uniform.Table
	only               *uniform.Table // of strings of one character, which is first and last
	min                int
	upTo               []uniform.Nat // by length from min on: how many strings are no longer. Nil: there is one length
}

func newRandomStrings(r *Rules) *randomStrings {
	s := &randomStrings{inner: uniform.NewTable(r.Alphabet.Chars()), min: r.Min}
	s.first, s.last = s.inner, s.inner
	if r.First != r.Alphabet {
		s.first = uniform.NewTable(r.First.Chars())
	}
	if r.Last != r.Alphabet {
		s.last = uniform.NewTable(r.Last.Chars())
	}
	if both := r.First.And(r.Last); !both.IsEmpty() {
		s.only = uniform.NewTable(both.Chars())
	}
	if r.Min == r.Max {
		return s
	}
	limbs := uniform.LimbsFor(r.anyStrings())
	total := new(big.Int)
	for _, n := range r.anyByLength() {
		s.upTo = append(s.upTo, uniform.NatOf(total.Add(total, n), limbs))
	}
	return s
}

// draw writes one of the strings to dst and returns its length.
func (s *randomStrings) draw(dst []byte, from *uniform.Source) (length int, err error) {
	if length, err = s.drawLength(from); err != nil {
		return 0, err
	}
	dst = dst[:length]
	if length == 1 {
		dst[0], err = from.Char(s.only)
		return length, err
	}
	if dst[0], err = from.Char(s.first); err != nil {
		return 0, err
	}
	if err = from.Chars(dst[1:length-1], s.inner); err != nil {
		return 0, err
	}
	dst[length-1], err = from.Char(s.last)
	return length, err
}

// drawLength returns a length, each with the probability of its share of the strings.
func (s *randomStrings) drawLength(from *uniform.Source) (int, error) {
	if s.upTo == nil {
		return s.min, nil
	}
	var store [composition.MaxLimbs]uint64
	rank := uniform.Nat(store[:len(s.upTo[0])])
	if err := from.Below(rank, s.upTo[len(s.upTo)-1]); err != nil {
		return 0, err
	}
	length := s.min
	for _, upTo := range s.upTo {
		if rank.Less(upTo) {
			break
		}
		length++
	}
	return length, nil
}

// expectedBytes returns about how many random bytes a string of that length takes.
func (s *randomStrings) expectedBytes(length int) int {
	n := s.inner.BytesFor(length)
	if s.upTo != nil {
		n += 8 * len(s.upTo[0])
	}
	return n
}
