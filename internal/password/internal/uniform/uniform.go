// Package uniform makes uniform numbers and characters of random bytes. Nothing else in the program does: whoever
// checks that passwords are not biased reads this package and its test.
//
// # Why nothing is biased
//
//  1. The reader's bytes are uniform and independent. crypto/rand promises it, and all else follows from it.
//  2. So k bytes, read as a number, are uniform below 256^k.
//  3. Each function maps these 256^k values to its n results so that each result has equally many values, and the
//     values that are left over stand for no result. [Table] gives each character floor(256/n) bytes. [Source.Index]
//     gives each index floor(65536/n) pairs of bytes. [Source.Below] drops the bits above those of the limit, which
//     gives each number below the next power of two 256^k/2^bits values, and keeps the numbers below the limit.
//  4. A value that stands for no result is thrown away, and k new bytes are read, which are independent of it. So the
//     probability of each result is that of its values among the values that stand for a result: 1/n, by 3.
//  5. In 3, at least half of all values stand for a result. So a try fails with a probability of at most one half, and
//     a draw that has taken a million bytes ([ErrNotRandom]) is no bad luck: the reader repeats itself.
//
// The test feeds every value of 2 once, and counts: each result comes out exactly as often as 3 says.
package uniform

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// ErrNotRandom says that one draw took more than MaxBytes bytes. Whoever rejects what was drawn and draws again from
// the same source is covered too, as long as all tries together take MaxBytes/64 bytes on average at most: 64 times the
// average is exceeded with a probability of less than e^-64.
var ErrNotRandom = errors.New("the random source repeats itself")

// MaxBytes is how many random bytes one draw may take. A password takes some hundred.
const MaxBytes = 1 << 20

// A Source hands out random bytes for one draw. It reads them in blocks, and keeps none from one draw to the next. It
// is not safe for use by several goroutines at once.
type Source struct {
	random    io.Reader
	block     int // how many bytes to read at first
	next, end int // the bytes that were read and not used are bytes[next:end]
	total     int // bytes read since Reset
	bytes     [256]byte
}

// NewSource returns a source of the reader's bytes. Reset must be called before each draw.
func NewSource(random io.Reader) *Source { return &Source{random: random} }

// Reset makes s ready for another draw. expected is about how many bytes the draw takes, and how many are read at
// first.
func (s *Source) Reset(expected int) { s.block, s.next, s.end, s.total = expected, 0, 0, 0 }

// fill reads more bytes when all that were read are used up: as many as are needed, or as many as fit. The reader may
// give fewer.
func (s *Source) fill(needed int) error {
	if s.total == 0 {
		needed = s.block
	}
	needed = min(max(needed, 1), len(s.bytes))
	if s.total+needed > MaxBytes {
		return ErrNotRandom
	}
	read, err := io.ReadAtLeast(s.random, s.bytes[:needed], 1)
	if err != nil {
		return fmt.Errorf("reading random bytes: %w", err)
	}
	s.next, s.end, s.total = 0, read, s.total+read
	return nil
}

// Below sets n to a number below the limit, which must not be 0. n must be as wide as the limit.
func (s *Source) Below(n, limit Nat) error {
	limit = limit.Trim()
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
		if n[top] &= mask; n.Less(limit) {
			return nil
		}
	}
}

// indexValues is the number of values of the two bytes that make an index.
const indexValues = 1 << 16

// Index returns a number from 0 to n-1. n is from 1 to 65536.
func (s *Source) Index(n int) (int, error) {
	for {
		value := 0
		for i := range 2 {
			if s.next == s.end {
				if err := s.fill(2 - i); err != nil {
					return 0, err
				}
			}
			value = value<<8 | int(s.bytes[s.next])
			s.next++
		}
		if value < indexValues-indexValues%n {
			return value % n, nil
		}
	}
}

// A Table says which character a random byte stands for. Bytes that stand for none are 0.
type Table [256]byte

// NewTable returns the table of 1 to 255 distinct characters, none of which is 0.
func NewTable(chars string) *Table {
	var t Table
	each := len(t) / len(chars)
	for i := range each * len(chars) {
		t[i] = chars[i%len(chars)]
	}
	return &t
}

// BytesFor returns about how many bytes that many characters take, bytes that stand for no character included.
func (t *Table) BytesFor(characters int) int {
	used := 0
	for _, c := range t {
		if c != 0 {
			used++
		}
	}
	n := characters * len(t) / used
	return n + n/8 + 4
}

// Char returns one of the table's characters.
func (s *Source) Char(t *Table) (byte, error) {
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

// Chars fills dst with characters of the table, each independent of the others.
func (s *Source) Chars(dst []byte, t *Table) error {
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
