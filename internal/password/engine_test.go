package password

import (
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// The two ways to count agree on policies of real size, which no brute force reaches, and on each other's strings.
func TestTrellisAndCompositionsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{Length: Length{rapid.IntRange(1, 24).Draw(t, "length"), 0}}
		p.Length.Max = p.Length.Min + rapid.IntRange(0, 3).Draw(t, "more")
		classNames := rapid.SampledFrom([]string{"lower", "upper", "digit", "safe-symbol", "hex", "alphanumeric", "printable"})
		for range rapid.IntRange(1, 4).Draw(t, "charsets") {
			s := Charset{From: classNames.Draw(t, "class"), Min: rapid.IntRange(0, 4).Draw(t, "min")}
			if rapid.Bool().Draw(t, "has max") {
				most := s.Min + rapid.IntRange(0, 8).Draw(t, "max")
				s.Max = &most
			}
			p.Characters = append(p.Characters, s)
		}
		p.Sets = rapid.IntRange(0, len(p.Characters)).Draw(t, "sets")
		p.First = rapid.SliceOfN(rapid.SampledFrom([]string{"letter", "digit", "safe-symbol"}), 0, 2).Draw(t, "first")
		p.Last = rapid.SliceOfN(rapid.SampledFrom([]string{"upper", "hex"}), 0, 2).Draw(t, "last")
		r := newRules(p)
		if r.alphabet.isEmpty() || r.first.isEmpty() || r.last.isEmpty() {
			t.Skip("the alphabet is empty")
		}
		testAgreement(t, p, r)
	})
}

func testAgreement(t *rapid.T, p Policy, r *rules) {
	c, err := newCompositions(r, &budget{maxCountSteps})
	if err != nil {
		t.Fatalf("counting compositions of %+v: %v", p, err)
	}
	b, err := r.countAutomata(&budget{maxCountSteps}, false)
	if err != nil {
		t.Skip("the quotas are too many for a trellis")
	}
	if c.size().Cmp(b.ranking.size()) != 0 {
		t.Fatalf("%+v counts %v compositions and %v ways through the trellis", p, c.size(), b.ranking.size())
	}
	if c.size().Sign() == 0 {
		return
	}
	checker := newChecker(r, b.automaton, nil)
	last := new(big.Int).Sub(c.size(), big.NewInt(1))
	middle := new(big.Int).Rsh(last, 1)
	for _, rank := range []*big.Int{new(big.Int), middle, last} {
		for name, ranking := range map[string]ranking{"compositions": c, "trellis": b.ranking} {
			dst := make([]byte, r.max)
			length := ranking.unrank(dst, natOf(rank, limbsFor(c.size())))
			if length < r.min || length > r.max || !checker.accepts(dst[:length]) {
				t.Fatalf("rank %v of %v of the %s of %+v is no password", rank, c.size(), name, p)
			}
		}
	}
}

// The automaton of words rejects the strings that hold one, and no others, also where words overlap.
func TestWordAutomaton(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 2, 4, -1), 1, 4).Draw(t, "words")
		a, err := wordAutomaton(words, maskOf("abBc"))
		if err != nil {
			t.Fatal(err)
		}
		everyString("abBc", Length{1, 6}, func(text string) {
			holds := slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(text), w) })
			if a.accept([]byte(text)) == holds {
				t.Fatalf("%q without %q: %t, want %t", text, words, !holds, holds)
			}
		})
	})
}

// Words that are not counted exactly are taken out by a bound: it is never above what brute force finds.
func TestBoundIsBelowBruteForce(t *testing.T) {
	bounded := 0
	rapid.Check(t, func(t *rapid.T) {
		p := smallPolicies().Draw(t, "policy")
		p.ForbidPatterns, p.MaxRun = nil, 0
		p.Forbid = append(p.Forbid, p.Characters[0].Chars[:1]+p.Characters[len(p.Characters)-1].Chars[:1])
		r := newRules(p)
		if len(r.words) == 0 {
			t.Skip("there are no words")
		}
		b, err := r.countCharacters(&budget{maxCountSteps}, r.words)
		if err != nil {
			t.Fatal(err)
		}
		words, size, err := r.takeOut(b, &budget{maxCountSteps})
		if err != nil {
			t.Fatal(err)
		}
		want := conforming(p)
		if size.Cmp(big.NewInt(int64(len(want)))) > 0 {
			t.Fatalf("%+v has %d passwords, but %v are promised", p, len(want), size)
		}
		everyString(charactersOf(p), p.Length, func(text string) {
			holds := slices.ContainsFunc(r.words, func(w string) bool { return strings.Contains(strings.ToLower(text), w) })
			if got := words.occursIn([]byte(text)); got != holds {
				t.Fatalf("%q holds one of %q: %t, want %t", text, r.words, got, holds)
			}
		})
		bounded++
	})
	if bounded == 0 {
		t.Error("no policy had words")
	}
}

// The dictionary's bound is close where words are rare, and drawn passwords hold none.
func TestDictionary(t *testing.T) {
	for _, p := range []Policy{
		{Length: Length{5, 5}, Characters: []Charset{{Chars: "aestxqAEST12", Min: 0}}},
		{Length: Length{5, 5}, Characters: []Charset{{Chars: "aestxqAE"}, {Chars: "12", Min: 1}}, First: []string{"letter"}},
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
		size := s.Size().Int64()
		if size > int64(want) || size < int64(want)*95/100 || s.Exact() || !strings.HasPrefix(s.Entropy(), ">= ") {
			t.Errorf("%+v has %d passwords, but %d are proven (exact: %t)", p, want, size, s.Exact())
		}
		testHoldsNone(t, s, words)
	}
}

func testHoldsNone(t *testing.T, s *Set, words []string) {
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

// What Compile promises of a set can be read from it.
func TestSet(t *testing.T) {
	s, err := Compile(Policy{Length: Length{20, 24}, Characters: []Charset{{From: "hex"}, {Chars: "-f"}}, Exclude: "0"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Alphabet(), "-123456789abcdef"; got != want {
		t.Errorf("alphabet %q, want %q", got, want)
	}
	if shortest, longest := s.Lengths(); shortest != 20 || longest != 24 {
		t.Errorf("lengths %d to %d, want 20 to 24", shortest, longest)
	}
	// 16^20 + ... + 16^24 is a little more than 16^24 = 2^96: 2^96 * (1 + 1/15).
	if got, want := s.Entropy(), "96.09 bits"; got != want {
		t.Errorf("entropy %q, want %q", got, want)
	}
	s.Size().SetInt64(0)
	if s.Size().BitLen() != 97 {
		t.Errorf("the size has %d bits, want 97, whatever callers do to it", s.Size().BitLen())
	}
}

// One set serves several goroutines: the race detector watches. Each kind of drawing is tried.
func TestDrawConcurrently(t *testing.T) {
	for _, p := range []Policy{
		{Dictionary: "english"}, {ForbidPatterns: []string{"[a-z]{2}"}}, fourSets(16, 4, symbols), {Passphrase: &Passphrase{Words: 6}},
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
