package password

import (
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"keyvault-passwords/internal/password/internal/ascii"
)

// The dictionary's bound is close where words are rare, and drawn passwords hold none.
func TestDictionary(t *testing.T) {
	for _, p := range []Policy{
		{Length: Length{5, 5}, Characters: []Charset{{Chars: "aestxqAEST12", Min: 0}}},
		{Length: Length{5, 5}, Characters: []Charset{{Chars: "aestxqAE"}, {Chars: "12", Min: 1}},
			First: []string{"letter"}},
		{Length: Length{4, 5}, Characters: []Charset{{Chars: "aestxqAE"}}, Distinct: true},
		{Length: Length{5, 5}, Characters: []Charset{{Chars: "estxqAE"}}, Last: []string{"lower"}},
	} {
		var words []string
		for _, word := range english() {
			if strings.Trim(word, strings.ToLower(charactersOf(p))) == "" && len(word) <= p.Length.Max {
				words = append(words, word)
			}
		}
		brute := p.clone()
		brute.Forbid = words
		want := len(conforming(brute))
		p.Dictionary, p.MinEntropy = "english", 1
		s, err := Compile(p)
		if err != nil {
			t.Errorf("%+v: %v", p, err)
			continue
		}
		size := s.size.Int64()
		if size > int64(want) || size < int64(want)*95/100 || s.exact || !strings.HasPrefix(s.Entropy(), ">= ") {
			t.Errorf("%+v has %d passwords, but %d are proven (exact: %t)", p, want, size, s.exact)
		}
		testHoldsNone(t, s, words)
	}
}

func testHoldsNone(t *testing.T, s *Space, words []string) {
	for range 2000 {
		value, err := s.Draw()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ToLower(value.Reveal())
		if slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) }) {
			t.Fatalf("a password of %+v holds a word of the dictionary", s.policy)
		}
	}
}

// A dictionary none of whose words can be written leaves the count exact.
func TestDictionaryThatCannotOccur(t *testing.T) {
	s, err := Compile(Policy{Length: Length{20, 20}, Characters: []Charset{{From: "digit"}}, Dictionary: "english"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Entropy(), "66.43 bits"; got != want {
		t.Errorf("entropy %q, want %q", got, want)
	}
}

// What Compile promises of a space can be read from it.
func TestSpace(t *testing.T) {
	s, err := Compile(Policy{Length: Length{20, 24}, Characters: []Charset{{From: "hex"}, {Chars: "-f"}}, Exclude: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := alphabetOf(s.policy), "-123456789abcdef"; got != want {
		t.Errorf("alphabet %q, want %q", got, want)
	}
	if shortest, longest := s.Lengths(); shortest != 20 || longest != 24 {
		t.Errorf("lengths %d to %d, want 20 to 24", shortest, longest)
	}
	// 16^20 + ... + 16^24 is a little more than 16^24 = 2^96: 2^96 * (1 + 1/15).
	if got, want := s.Entropy(), "96.09 bits"; got != want {
		t.Errorf("entropy %q, want %q", got, want)
	}
	if s.size.BitLen() != 97 {
		t.Errorf("the size has %d bits, want 97", s.size.BitLen())
	}
}

// One space serves several goroutines: the race detector watches. Each kind of drawing is tried.
func TestDrawConcurrently(t *testing.T) {
	for _, p := range []Policy{
		{Dictionary: "english"}, {ForbidPatterns: []string{"[a-z]{2}"}}, fourSets(16, 4, ascii.Symbols),
		{Passphrase: &Passphrase{Words: 6}},
	} {
		s, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 20 {
					value, err := s.Draw()
					shortest, longest := s.Lengths()
					if length := len(value.Reveal()); err != nil || length < shortest || length > longest {
						t.Errorf("drawing from %+v: %d characters, error %v", p, length, err)
					}
				}
			})
		}
		group.Wait()
	}
}

// Entropy is rounded down, never up, also where a float would be.
func TestEntropyIsRoundedDown(t *testing.T) {
	power := func(n int64) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }
	for _, test := range []struct {
		size *big.Int
		want int
	}{
		{big.NewInt(1), 0}, {big.NewInt(2), 100}, {big.NewInt(3), 158}, {power(64), 6400},
		{new(big.Int).Sub(power(64), big.NewInt(1)), 6399}, {new(big.Int).Sub(power(400), big.NewInt(1)), 39999},
	} {
		if got := hundredthsOfBits(test.size); got != test.want {
			t.Errorf("log2 of %v is %d hundredths, want %d", test.size, got, test.want)
		}
	}
}

// alphabetOf returns the characters that may appear in passwords of a policy.
func alphabetOf(p Policy) string {
	whole, _ := resolve(p)
	return normalise(whole).alphabet.Chars()
}
