package password

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// errNotRandom says that a source of random bytes has given a million bytes for one draw. That is no chance: each try
// succeeds with a probability of one half or more, and takes some hundred bytes.
var errNotRandom = errors.New("the random source repeats itself")

// A source hands out random bytes for one draw. It reads them in blocks, and keeps none from one draw to the next.
//
// What is drawn is uniform because what is not is drawn again: of the 256 values of a byte, a table takes the largest
// multiple of the number of characters, and of the numbers of so many bits, below takes those that are small enough.
type source struct {
	random    io.Reader
	block     int // how many bytes to read at first
	next, end int // of the bytes that are not used yet
	total     int
	bytes     [256]byte
}

// reset makes s ready for another draw from the same reader, which takes about so many bytes.
func (s *source) reset(block int) { s.block, s.next, s.end, s.total = block, 0, 0, 0 }

// fill reads as many bytes as are wanted, or as many as fit, when all that were read are used up.
func (s *source) fill(want int) error {
	if s.total == 0 {
		want = s.block
	}
	want = min(max(want, 1), len(s.bytes))
	if s.total += want; s.total > maxRandomBytes {
		return errNotRandom
	}
	if _, err := io.ReadFull(s.random, s.bytes[:want]); err != nil {
		return fmt.Errorf("reading random bytes: %w", err)
	}
	s.next, s.end = 0, want
	return nil
}

// below sets n to a number below the limit, which is not 0, each with the same probability. It takes as many bits as
// the limit has, and again while they make a number that is too large: at most two tries are expected.
func (s *source) below(n, limit nat) error {
	limit = limit.trim()
	top := len(limit) - 1
	bytes := 8*top + (bits.Len64(limit[top])+7)/8
	mask := uint64(1)<<bits.Len64(limit[top]) - 1
	for {
		clear(n)
		for i := range bytes {
			if s.next == s.end {
				if err := s.fill(bytes - i); err != nil {
					return err
				}
			}
			n[i/8] |= uint64(s.bytes[s.next]) << (i % 8 * 8)
			s.next++
		}
		if n[top] &= mask; n.less(limit) {
			return nil
		}
	}
}

// A table says which character a random byte stands for. Bytes that stand for none are 0: the characters have equal
// numbers of bytes, as many as there can be.
type table [256]byte

func newTable(chars string) *table {
	var t table
	each := len(t) / len(chars)
	for i := range each * len(chars) {
		t[i] = chars[i%len(chars)]
	}
	return &t
}

// char returns a character, each with the same probability.
func (s *source) char(t *table) (byte, error) {
	for {
		for s.next < s.end {
			c := t[s.bytes[s.next]]
			s.next++
			if c != 0 {
				return c, nil
			}
		}
		if err := s.fill(4); err != nil {
			return 0, err
		}
	}
}

// chars fills dst with characters, each independent of the others and each with the same probability.
func (s *source) chars(dst []byte, t *table) error {
	i := 0
	for {
		bytes := s.bytes[s.next:s.end]
		for used, b := range bytes {
			if i == len(dst) {
				s.next += used
				return nil
			}
			dst[i] = t[b]
			if dst[i] != 0 {
				i++
			}
		}
		s.next = s.end
		if i == len(dst) {
			return nil
		}
		if err := s.fill(len(dst) - i + (len(dst)-i)/2); err != nil {
			return err
		}
	}
}
