package uniform

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// A maker is one way to make one of n results, numbered from 0, of the given number of bytes.
type maker struct {
	name  string
	bytes int
	sizes []int                                  // the n that are tried
	of    func(n int) func(*Source) (int, error) // draws one of n results
	want  func(n int) (values int)               // how many of the values of the bytes stand for each result
}

var makers = []maker{
	{
		name: "Char", bytes: 1, sizes: upTo(255),
		of: func(n int) func(*Source) (int, error) {
			table := NewTable(characters(n))
			return func(s *Source) (int, error) { c, err := s.Char(table); return int(c) - 1, err }
		},
		want: func(n int) int { return 256 / n },
	},
	{
		name: "Chars", bytes: 1, sizes: upTo(255),
		of: func(n int) func(*Source) (int, error) {
			table := NewTable(characters(n))
			return func(s *Source) (int, error) {
				var dst [1]byte
				err := s.Chars(dst[:], table)
				return int(dst[0]) - 1, err
			}
		},
		want: func(n int) int { return 256 / n },
	},
	{
		name: "Index", bytes: 2, sizes: []int{
			1, 2, 3, 10, 80, 127, 128, 129, 255, 257, 640, 7772, 7776, 32768, 32769, 65535, 65536,
		},
		of:   func(n int) func(*Source) (int, error) { return func(s *Source) (int, error) { return s.Index(n) } },
		want: func(n int) int { return 65536 / n },
	},
	{
		name: "Below, one byte", bytes: 1, sizes: upTo(255), of: below,
		want: func(n int) int { return 256 / powerAbove(n) },
	},
	{
		name: "Below, two bytes", bytes: 2, sizes: []int{256, 257, 1000, 4096, 32767, 32768, 32769, 65535}, of: below,
		want: func(n int) int { return 65536 / powerAbove(n) },
	},
}

func upTo(n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = i + 1
	}
	return sizes
}

// characters returns n characters, from the byte 1 on.
func characters(n int) string {
	chars := make([]byte, n)
	for i := range chars {
		chars[i] = byte(i + 1)
	}
	return string(chars)
}

func below(n int) func(*Source) (int, error) {
	return func(s *Source) (int, error) {
		drawn := make(Nat, 2)
		err := s.Below(drawn, Nat{uint64(n), 0})
		return int(drawn[0]), err
	}
}

// powerAbove returns the smallest power of two that is above n.
func powerAbove(n int) int {
	power := 1
	for power <= n {
		power *= 2
	}
	return power
}

// TestEachResultHasEquallyManyValues feeds each value of the bytes once. Each result must come out exactly as often as
// the package's comment says, and every other value must be thrown away.
func TestEachResultHasEquallyManyValues(t *testing.T) {
	for _, m := range makers {
		for _, n := range m.sizes {
			counts := make([]int, n)
			draw := m.of(n)
			for value := range 1 << (8 * m.bytes) {
				s := NewSource(bytes.NewReader([]byte{byte(value >> 8), byte(value)}[2-m.bytes:]))
				s.Reset(100) // the reader gives fewer
				switch result, err := draw(s); {
				case errors.Is(err, io.EOF): // another value was asked for
				case err != nil:
					t.Fatalf("%s of %d: %v", m.name, n, err)
				default:
					counts[result]++
				}
			}
			for result, count := range counts {
				if count != m.want(n) {
					t.Fatalf("%s of %d: result %d has %d values, want %d", m.name, n, result, count, m.want(n))
				}
			}
		}
	}
}

// TestCharsFillsInOrder: the characters of a long text are those of its bytes, one by one, across blocks.
func TestCharsFillsInOrder(t *testing.T) {
	var stream, want []byte
	table := NewTable("abcdefg")
	for i := range 3000 {
		b := byte(i * 7)
		stream = append(stream, b)
		if c := table[b]; c != 0 && len(want) < 2000 {
			want = append(want, c)
		}
	}
	s := NewSource(bytes.NewReader(stream))
	s.Reset(10)
	got := make([]byte, 2000)
	for _, part := range [][]byte{got[:1], got[1:4], got[4:1999], got[1999:]} {
		if err := s.Chars(part, table); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(want, got) {
		t.Error("the characters are not those of the bytes")
	}
}

// constant is a reader that is not random at all.
type constant byte

func (c constant) Read(dst []byte) (int, error) {
	for i := range dst {
		dst[i] = byte(c)
	}
	return len(dst), nil
}

// TestRepeatingSourceIsCapped: a reader whose only value is thrown away ends in an error, also where it is the caller
// that throws results away.
func TestRepeatingSourceIsCapped(t *testing.T) {
	for _, m := range makers {
		s := NewSource(constant(0xff))
		s.Reset(m.bytes)
		if _, err := m.of(255)(s); !errors.Is(err, ErrNotRandom) {
			t.Errorf("%s of a constant reader: error %v, want %v", m.name, err, ErrNotRandom)
		}
		s, draw := NewSource(constant(0)), m.of(5)
		s.Reset(m.bytes)
		var err error
		for range MaxBytes + 1 {
			if _, err = draw(s); err != nil {
				break
			}
		}
		if !errors.Is(err, ErrNotRandom) {
			t.Errorf("%s, rejected again and again: error %v, want %v", m.name, err, ErrNotRandom)
		}
	}
}

func TestReadErrorIsReported(t *testing.T) {
	for _, m := range makers {
		for name, test := range map[string]struct {
			reader io.Reader
			want   error
		}{
			"fails": {iotest.ErrReader(io.ErrClosedPipe), io.ErrClosedPipe},
			"ends":  {bytes.NewReader([]byte{0xff}), io.EOF},
		} {
			s := NewSource(test.reader)
			s.Reset(4)
			if _, err := m.of(5)(s); !errors.Is(err, test.want) {
				t.Errorf("%s of a reader that %s: error %v, want %v", m.name, name, err, test.want)
			}
		}
	}
}
