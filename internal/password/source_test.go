package password

import (
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// Each character has the same number of the 256 bytes, the largest that is possible, for every size of an alphabet.
func TestTableGivesEachCharacterEquallyManyBytes(t *testing.T) {
	for size := 1; size <= len(printables); size++ {
		chars := printables[:size]
		var times [256]int
		for _, c := range newTable(chars) {
			times[c]++
		}
		for i := range size {
			if got, want := times[chars[i]], 256/size; got != want {
				t.Errorf("of %d characters, %q has %d bytes, want %d", size, chars[i], got, want)
			}
		}
		if got, want := times[0], 256%size; got != want {
			t.Errorf("of %d characters, %d bytes are drawn again, want %d", size, got, want)
		}
	}
}

// With every sequence of two bytes that a source may begin with, each number below a limit is drawn equally often.
func TestSourceBelowIsUniform(t *testing.T) {
	for _, limit := range []uint64{1, 2, 3, 127, 128, 129, 255, 256, 257, 1000, 4096, 65535} {
		times := make(map[uint64]int)
		for n := range 1 << 16 {
			from := &source{random: &beginning{bytes: []byte{byte(n >> 8), byte(n)}}, block: 2}
			drawn := make(nat, 1)
			if err := from.below(drawn, nat{limit, 0}); err == nil && from.total == 2 {
				times[drawn[0]]++
			}
		}
		for n := range limit {
			if times[n] != times[0] || times[n] == 0 {
				t.Errorf("below %d, %d is drawn %d times and 0 %d times", limit, n, times[n], times[0])
				break
			}
		}
		if len(times) > int(limit) {
			t.Errorf("%d numbers are drawn below %d", len(times), limit)
		}
	}
}

// constant is a source that is not random at all.
type constant byte

func (c constant) Read(dst []byte) (int, error) {
	for i := range dst {
		dst[i] = byte(c)
	}
	return len(dst), nil
}

func TestDrawGivesUpOnSourceThatIsNotRandom(t *testing.T) {
	for name, p := range map[string]Policy{
		"random strings":     {},
		"ranks of a trellis": {ForbidPatterns: []string{"[a-z]{2}"}},
		"ranks of compositions": {
			Length: Length{16, 16}, Characters: []Charset{{From: "lower", Min: 8}, {Chars: "-", Min: 8}}, MinEntropy: 1,
		},
	} {
		s, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.draw(constant(0xff)); !errors.Is(err, errNotRandom) {
			t.Errorf("drawing from %s with a constant source: error %v, want %v", name, err, errNotRandom)
		}
	}
}

func TestDrawReportsReadError(t *testing.T) {
	s, err := Compile(Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.draw(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("drawing from a source that fails: error %v, want %v", err, io.ErrClosedPipe)
	}
	if _, err := s.draw(io.LimitReader(constant('a'), 10)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("drawing from a source that ends: error %v, want %v", err, io.ErrUnexpectedEOF)
	}
}
