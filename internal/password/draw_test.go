package password

import (
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"keyvault-passwords/internal/password/internal/uniform"
)

// constant is a source that is not random at all.
type constant byte

func (c constant) Read(dst []byte) (int, error) {
	for i := range dst {
		dst[i] = byte(c)
	}
	return len(dst), nil
}

// A source that gives only what is drawn again ends in an error, however the policy is drawn from.
func TestDrawGivesUpOnSourceThatIsNotRandom(t *testing.T) {
	for name, test := range map[string]struct {
		policy Policy
		bytes  constant
	}{
		"random strings":     {Policy{}, 0xff},
		"ranks of a trellis": {Policy{ForbidPatterns: []string{"[a-z]{2}"}}, 0xff},
		"ranks of compositions": {Policy{
			Length: Length{16, 16}, Characters: []Charset{{From: "lower", Min: 8}, {Chars: "-", Min: 8}}, MinEntropy: 1,
		}, 0xff},
		"passphrases": {Policy{Passphrase: &Passphrase{Words: 8}}, 0xff},
		"passphrases that are rejected": {Policy{
			Passphrase: &Passphrase{Words: 6, Separator: "-"}, Forbid: []string{"abacus"}, // word 0
		}, 0},
		"passphrases by number": {Policy{
			Passphrase: &Passphrase{Words: 8, Separator: "-"}, Forbid: []string{"e"},
		}, 0xff},
	} {
		s, err := Compile(test.policy)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.draw(test.bytes); !errors.Is(err, uniform.ErrNotRandom) {
			t.Errorf("drawing from %s with a constant source: error %v, want %v", name, err, uniform.ErrNotRandom)
		}
	}
}

func TestDrawReportsReadError(t *testing.T) {
	for name, p := range map[string]Policy{"characters": {}, "words": {Passphrase: &Passphrase{Words: 8}}} {
		s, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.draw(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("drawing %s from a source that fails: error %v, want %v", name, err, io.ErrClosedPipe)
		}
		if _, err := s.draw(io.LimitReader(constant('a'), 9)); !errors.Is(err, io.EOF) {
			t.Errorf("drawing %s from a source that ends: error %v, want %v", name, err, io.EOF)
		}
	}
}
