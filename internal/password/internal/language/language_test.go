package language

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/composition"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/uniform"
)

// budget is what counting may cost in these tests: as much as for a policy.
func budget() *automaton.Budget { return &automaton.Budget{Steps: 60_000_000} }

// A sample is rules with the texts of their patterns.
type sample struct {
	Rules
	patterns []string
}

// conforms reports whether a string satisfies the rules, read from the comments of Rules and from nothing else.
func (s sample) conforms(text string) bool {
	if len(text) < s.Min || len(text) > s.Max || !s.First.Has(text[0]) || !s.Last.Has(text[len(text)-1]) {
		return false
	}
	run := 0
	for i := range text {
		if i > 0 && text[i] == text[i-1] {
			run++
		} else {
			run = 1
		}
		if !s.Alphabet.Has(text[i]) || s.MaxRun > 0 && run > s.MaxRun ||
			s.Distinct && strings.IndexByte(text[:i], text[i]) >= 0 {
			return false
		}
	}
	return s.hasCharsets(text) && !holdsOne(s.Words, text) && !holdsOne(s.Dictionary, text) &&
		!slices.ContainsFunc(s.patterns, func(p string) bool { return regexp.MustCompile(p).MatchString(text) })
}

func (s sample) hasCharsets(text string) bool {
	appear := 0
	for _, set := range s.Charsets {
		count := 0
		for i := range text {
			if set.Chars.Has(text[i]) {
				count++
			}
		}
		if count < set.Min || count > set.Max {
			return false
		}
		if count > 0 {
			appear++
		}
	}
	return appear >= s.AtLeast
}

func holdsOne(words []string, text string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(strings.ToLower(text), word) })
}

// conforming returns the strings of the rules, found by trying all.
func (s sample) conforming() map[string]bool {
	all := make(map[string]bool)
	s.everyString(func(text string) {
		if s.conforms(text) {
			all[text] = true
		}
	})
	return all
}

// everyString calls f with all strings over the alphabet that have one of the lengths.
func (s sample) everyString(f func(text string)) {
	var extend func(text []byte)
	extend = func(text []byte) {
		if len(text) >= s.Min {
			f(string(text))
		}
		if len(text) < s.Max {
			for _, c := range []byte(s.Alphabet.Chars()) {
				extend(append(text, c))
			}
		}
	}
	extend(nil)
}

// kinds are the kinds of rules, besides those about characters, that a sample may have.
type kinds struct{ runs, patterns, words bool }

// samples generates rules over few characters. Most have strings, some have none.
func samples(may kinds) *rapid.Generator[sample] {
	return rapid.Custom(func(t *rapid.T) sample {
		pool := rapid.SampledFrom([]string{"abAB1", "bc12-", "aA0-_", "abcd", "aB"}).Draw(t, "alphabet")
		part := func(name string, least int) ascii.Mask {
			return ascii.Of(rapid.StringOfN(rapid.SampledFrom([]rune(pool)), least, 4, -1).Draw(t, name))
		}
		rarely := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
		s := sample{Rules: Rules{Min: rapid.IntRange(1, 4).Draw(t, "min"), Alphabet: ascii.Of(pool)}}
		s.Max = min(5, s.Min+rapid.IntRange(0, 2).Draw(t, "more"))
		for range rapid.IntRange(0, 3).Draw(t, "charsets") {
			set := Charset{Chars: part("charset", 0), Min: rapid.IntRange(0, 2).Draw(t, "least"), Max: s.Max}
			if rarely("has max") {
				set.Max = min(s.Max, rapid.IntRange(0, 4).Draw(t, "most"))
			}
			s.Charsets = append(s.Charsets, set)
		}
		if rarely("has at least") {
			s.AtLeast = rapid.IntRange(1, 3).Draw(t, "at least")
		}
		s.First, s.Last = s.Alphabet, s.Alphabet
		if rarely("has first") {
			s.First = part("first", 1)
		}
		if rarely("has last") {
			s.Last = part("last", 1)
		}
		s.Distinct = rarely("distinct")
		if may.runs && !s.Distinct && rarely("has runs") {
			s.MaxRun = rapid.IntRange(1, 3).Draw(t, "max run")
		}
		if may.words && rapid.Bool().Draw(t, "has words") {
			word := rapid.StringOfN(rapid.SampledFrom([]rune(strings.ToLower(pool))), 2, 3, -1)
			s.Words = rapid.SliceOfN(word, 1, 3).Draw(t, "words")
		}
		if may.patterns && rarely("has patterns") {
			s.patterns = rapid.SliceOfN(rapid.SampledFrom(samplePatterns), 1, 2).Draw(t, "patterns")
			for _, text := range s.patterns {
				pattern, err := automaton.ParsePattern(text)
				if err != nil {
					t.Fatal(err)
				}
				s.Patterns = append(s.Patterns, pattern)
			}
		}
		return s
	})
}

var samplePatterns = []string{
	"[a-z]{2}", "^[0-9]", "[A-Z]$", `\b1`, `a\B`, `^.{4}$`, "(ab|1A)+", `\Aa.*1\z`, "(?i)ab", "a.{2}a", `(?:\d.){2}`,
	"..-",
}

// testRankings checks that every ranking of the rules that can be made finds each of the wanted strings at one rank.
func testRankings(t rapid.TB, s sample, strings map[string]bool) {
	want := make(map[string]int)
	for text := range strings {
		want[text] = 1
	}
	rankings := map[string]ranking{}
	r := &s.Rules
	if !r.looksAtNeighbours() && len(r.Words) == 0 {
		b, err := r.countCompositions(budget())
		if err != nil {
			t.Fatalf("counting compositions of %+v: %v", s, err)
		}
		rankings["compositions"] = b.compositions
		if b.size.Cmp(big.NewInt(int64(len(want)))) != 0 {
			t.Fatalf("the compositions of %+v count %v strings, want %d", s, b.size, len(want))
		}
	}
	b, err := r.countTrellis(budget())
	if err != nil {
		t.Fatalf("counting a trellis of %+v: %v", s, err)
	}
	if b.size.Cmp(big.NewInt(int64(len(want)))) != 0 {
		t.Fatalf("the trellis of %+v counts %v strings, want %d", s, b.size, len(want))
	}
	few := *r
	few.MaxRun, few.Distinct = 0, false
	a, err := few.product(budget())
	if err != nil {
		t.Fatal(err)
	}
	for name, highest := range map[string]float64{"weights": maxWeight, "rounded weights": 8} {
		if rankings[name], err = newWeights(a, r, highest, budget()); err != nil {
			t.Fatalf("the %s of %+v: %v", name, s, err)
		}
	}
	for name, ranking := range rankings {
		if diff := cmp.Diff(want, unranked(ranking)); diff != "" {
			t.Fatalf("how many ranks strings of the %s of %+v have (-want +got):\n%s", name, s, diff)
		}
	}
}

// unranked returns how many of all ranks each string has.
func unranked(ranking ranking) map[string]int {
	size := ranking.Size()
	all := make(map[string]int)
	for n := range size.Int64() {
		var dst [MaxLength]byte
		if length := ranking.Unrank(dst[:], uniform.NatOf(big.NewInt(n), uniform.LimbsFor(size))); length > 0 {
			all[string(dst[:length])]++
		}
	}
	return all
}

func TestCountAndRanksAreThoseOfBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := samples(kinds{runs: true, patterns: true, words: true}).Draw(t, "rules")
		want := s.conforming()
		testRankings(t, s, want)
		c, err := Count(&s.Rules, budget())
		if err != nil {
			t.Fatalf("counting %+v: %v", s, err)
		}
		if c.Size.Cmp(big.NewInt(int64(len(want)))) != 0 || !c.Exact {
			t.Fatalf("%+v counts %v strings (exact: %t), want %d", s, c.Size, c.Exact, len(want))
		}
	})
}

// Combinations that random rules seldom come to: the ends of strings without repeated characters.
func TestEndsOfDistinctStrings(t *testing.T) {
	for _, chars := range []string{"a1B", "ab1B", "aA1B", "abA12B", "abcA1-B"} {
		for _, last := range []string{chars, "abc", "aAbB", "12"} {
			s := sample{Rules: Rules{
				Min: 1, Max: min(5, len(chars)), Alphabet: ascii.Of(chars), Distinct: true,
				Charsets: []Charset{{Chars: ascii.Of("1aB").And(ascii.Of(chars)), Min: 1, Max: 5}},
				First:    ascii.Of("aAbBc").And(ascii.Of(chars)), Last: ascii.Of(last).And(ascii.Of(chars)),
			}}
			testRankings(t, s, s.conforming())
		}
	}
}

// The two ways to count agree on rules of real size, which no brute force reaches, and on each other's strings. What is
// bounded by each charset apart is not more, and more than half of it in many cases.
func TestTrellisAndCompositionsAgree(t *testing.T) {
	near := 0
	rapid.Check(t, func(t *rapid.T) {
		r := &Rules{Min: rapid.IntRange(1, 24).Draw(t, "min")}
		r.Max = r.Min + rapid.IntRange(0, 3).Draw(t, "more")
		names := rapid.SampledFrom([]string{"lower", "upper", "digit", "safe-symbol", "hex", "alphanumeric",
			"printable"})
		class := func(name string) ascii.Mask { chars, _ := ascii.Class(name); return ascii.Of(chars) }
		for range rapid.IntRange(1, 4).Draw(t, "charsets") {
			s := Charset{Chars: class(names.Draw(t, "class")), Min: rapid.IntRange(0, 4).Draw(t, "least"), Max: r.Max}
			s.Min = min(s.Min, r.Max+1)
			if rapid.Bool().Draw(t, "has max") {
				s.Max = min(r.Max, s.Min+rapid.IntRange(0, 8).Draw(t, "most"))
			}
			r.Charsets = append(r.Charsets, s)
			r.Alphabet = r.Alphabet.Or(s.Chars)
		}
		r.AtLeast = rapid.IntRange(0, len(r.Charsets)).Draw(t, "at least")
		r.First, r.Last = r.Alphabet, r.Alphabet
		if rapid.Bool().Draw(t, "has first") {
			r.First = class(rapid.SampledFrom([]string{"letter", "digit", "safe-symbol"}).Draw(t,
				"first")).And(r.Alphabet)
		}
		if rapid.Bool().Draw(t, "has last") {
			r.Last = class(rapid.SampledFrom([]string{"upper", "hex"}).Draw(t, "last")).And(r.Alphabet)
		}
		if !r.hasEnds() {
			t.Skip("there is nothing to count")
		}
		c := testAgreement(t, r)
		apart, err := r.withEachCharset(budget())
		if err != nil {
			t.Fatal(err)
		}
		if apart.Cmp(c.Size()) > 0 {
			t.Fatalf("%+v has %v strings, but %v are promised by each charset", r, c.Size(), apart)
		}
		if c.Size().Sign() > 0 && apart.Lsh(apart, 1).Cmp(c.Size()) > 0 {
			near++
		}
	})
	if near == 0 {
		t.Error("no rules were bounded by each charset")
	}
}

func testAgreement(t *rapid.T, r *Rules) *composition.Counted {
	c, err := r.compositions(budget())
	if err != nil {
		t.Fatalf("counting compositions of %+v: %v", r, err)
	}
	b, err := r.countTrellis(budget())
	if err != nil {
		t.Skip("the quotas are too many for a trellis")
	}
	if c.Size().Cmp(b.size) != 0 {
		t.Fatalf("%+v counts %v compositions and %v ways through the trellis", r, c.Size(), b.size)
	}
	if c.Size().Sign() == 0 {
		return c
	}
	w, err := r.weightsOf()(budget())
	if err != nil {
		t.Fatalf("weighing %+v: %v", r, err)
	}
	checker := newChecker(r, b.automata, nil)
	last := new(big.Int).Sub(c.Size(), big.NewInt(1))
	middle := new(big.Int).Rsh(last, 1)
	for _, rank := range []*big.Int{new(big.Int), middle, last} {
		for name, ranking := range map[string]ranking{"compositions": c, "weights": w} {
			dst := make([]byte, r.Max)
			length := ranking.Unrank(dst, uniform.NatOf(rank, uniform.LimbsFor(ranking.Size())))
			if length == 0 && name == "weights" {
				continue // a gap
			}
			if length < r.Min || length > r.Max || !checker.accepts(dst[:length]) {
				t.Fatalf("rank %v of %v of the %s of %+v does not conform", rank, ranking.Size(), name, r)
			}
		}
	}
	if gaps, _ := new(big.Rat).SetFrac(w.Size(), c.Size()).Float64(); gaps < 1 || gaps > 1.001 {
		t.Fatalf("%+v has %v ranks to a string", r, gaps)
	}
	return c
}

// What is not counted exactly is bounded: no bound is above what brute force finds, and what is drawn conforms.
func TestBoundIsBelowBruteForce(t *testing.T) {
	bounded, tight, apart, beside := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := samples(kinds{runs: true, patterns: true, words: true}).Draw(t, "rules")
		want := big.NewInt(int64(len(s.conforming())))
		if c, err := s.countBound(budget()); err == nil {
			if c.Size.Cmp(want) > 0 {
				t.Fatalf("%+v has %d strings, but %v are promised", s, want, c.Size)
			}
			bounded++
			if len(s.Words) == 0 && new(big.Int).Add(c.Size, big.NewInt(1)).Cmp(want) >= 0 {
				tight++
			}
			testDraws(t, s, c)
		}
		if c, err := s.countApart(budget()); err == nil {
			if c.Size.Cmp(want) > 0 {
				t.Fatalf("%+v has %d strings, but %v are promised by counting apart", s, want, c.Size)
			}
			apart++
			testDraws(t, s, c)
		}
		if size, err := s.sizeApart(lexicon.New(lexicon.Minimal(s.Words)), budget()); err == nil && size.Cmp(want) > 0 {
			t.Fatalf("%+v has %d strings, but %v are promised by each kind of rules", s, want, size)
		}
		if size, err := s.sizeBeside(lexicon.New(lexicon.Minimal(s.Words)), budget()); err == nil {
			if size.Cmp(want) > 0 {
				t.Fatalf("%+v has %d strings, but %v are promised with patterns beside", s, want, size)
			}
			beside++
		}
		if len(s.Words) > 0 && !s.looksAtNeighbours() {
			testSubtracted(t, s, want)
		}
	})
	if bounded == 0 || tight == 0 || apart == 0 || beside == 0 {
		t.Errorf("%d rules were bounded, %d of them by their size, %d were counted apart, and %d with patterns beside",
			bounded, tight, apart, beside)
	}
}

// testSubtracted takes the words out of what is counted without them, in each way.
func testSubtracted(t *rapid.T, s sample, want *big.Int) {
	without := s.Rules
	without.Words = nil
	for name, count := range map[string]func(*automaton.Budget) (*base, error){
		"compositions": without.countCompositions, "trellis": without.countTrellis,
	} {
		b, err := count(budget())
		if err != nil {
			t.Fatal(err)
		}
		words, err := s.lexicon(s.Words, budget())
		if err != nil {
			t.Fatal(err)
		}
		holding, err := s.holdingByCompositions(b, words, budget())
		if err != nil {
			t.Fatal(err)
		}
		c := &Counted{}
		if err := s.subtract(c, b, words, budget()); err != nil {
			t.Fatal(err)
		}
		for _, size := range []*big.Int{c.Size, holding.Sub(b.size, holding)} {
			if size.Cmp(want) > 0 {
				t.Fatalf("%+v has %v strings, but %v are promised by %s", s, want, size, name)
			}
		}
		s.everyString(func(text string) {
			if got, want := words.OccursIn([]byte(text)), holdsOne(s.Words, text); got != want {
				t.Fatalf("%q holds one of %q: %t, want %t", text, s.Words, got, want)
			}
		})
	}
}

// testDraws draws some strings, and looks at each.
func testDraws(t *rapid.T, s sample, c *Counted) {
	from := uniform.NewSource(rand.NewChaCha8([32]byte{1}))
	dst := make([]byte, s.Max)
	for range 10 {
		length, err := c.Draw(dst, from)
		if err != nil || !s.conforms(string(dst[:length])) {
			t.Fatalf("%+v draws %q, error %v", s, dst[:length], err)
		}
	}
}

// Candidates of each kind are drawn as often as Tries says, or less often where Size is a bound.
func TestTries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := samples(kinds{runs: true, patterns: true, words: true}).Draw(t, "rules")
		c, err := Count(&s.Rules, budget())
		if err != nil || c.Size.Sign() == 0 {
			t.Skip("there is nothing to draw")
		}
		candidates := s.anyStrings()
		if c.ranking != nil {
			candidates = c.ranking.Size()
		}
		tries, _ := new(big.Rat).SetFrac(candidates, c.Size).Float64()
		if math.Abs(tries-c.Tries) > 1e-9*tries {
			t.Fatalf("%+v is drawn in %v tries, want %v of %v candidates", s, c.Tries, tries, candidates)
		}
		testDraws(t, s, c)
	})
}

func TestCheckerAgreesWithBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := samples(kinds{runs: true, patterns: true, words: true}).Draw(t, "rules")
		a, err := s.product(budget())
		if err != nil {
			t.Fatal(err)
		}
		checker := newChecker(&s.Rules, []*automaton.DFA{a}, nil)
		s.everyString(func(text string) {
			if got, want := checker.accepts([]byte(text)), s.conforms(text); got != want {
				t.Fatalf("%+v accepts %q: %t, want %t", s, text, got, want)
			}
		})
	})
}

// Rules are found to be empty at any length only if they have no string.
func TestIsEmptyAtAnyLength(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		s := samples(kinds{runs: true, patterns: true, words: true}).Draw(t, "rules")
		some := len(s.conforming()) > 0
		anyLength := s.Rules
		anyLength.Min, anyLength.Max = 1, MaxLength
		for i, set := range anyLength.Charsets {
			if set.Max == s.Max {
				anyLength.Charsets[i].Max = MaxLength
			}
		}
		if IsEmptyAtAnyLength(&anyLength, budget()) {
			found++
			if some {
				t.Fatalf("%+v is said to be empty", s)
			}
		}
	})
	if found == 0 {
		t.Error("no rules were empty")
	}
}

// The lengths of random strings come as often as there are strings of them: 5, 25 and 125.
func TestDrawnLengthsAreExact(t *testing.T) {
	all := ascii.Of("abcde")
	lengths := newRandomStrings(&Rules{Min: 1, Max: 3, Alphabet: all, First: all, Last: all})
	drawn := make(map[int]int)
	for n := range 256 {
		from := uniform.NewSource(bytes.NewReader([]byte{byte(n)}))
		from.Reset(1)
		if length, err := lengths.drawLength(from); err == nil {
			drawn[length]++
		}
	}
	if diff := cmp.Diff(map[int]int{1: 5, 2: 25, 3: 125}, drawn); diff != "" {
		t.Errorf("how often lengths are drawn (-want +got):\n%s", diff)
	}
}

func TestMinimal(t *testing.T) {
	got := lexicon.Minimal(strings.Fields("passwords sword word password xyz xy yz a.b aab aab baab"))
	if diff := cmp.Diff(strings.Fields("a.b aab word xy yz"), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A lexicon of words and a dictionary is that of both together.
func TestLexicon(t *testing.T) {
	r := &Rules{Dictionary: []string{"also", "bird"}}
	for _, words := range []string{"", "also", "als", "salsos", "bi ir dx", "zz aa bird", "alsobird so"} {
		l, err := r.lexicon(strings.Fields(words), budget())
		if err != nil {
			t.Fatal(err)
		}
		want := lexicon.Minimal(append(strings.Fields(words), r.Dictionary...))
		if diff := cmp.Diff(want, l.Words()); diff != "" {
			t.Errorf("the lexicon of %q and the dictionary (-want +got):\n%s", words, diff)
		}
	}
}

// TestStrategies shows which strategies are tried for rules of different kinds, in order.
func TestStrategies(t *testing.T) {
	printable := ascii.Of(ascii.Printable)
	with := func(change func(r *Rules)) Rules {
		r := Rules{Min: 20, Max: 20, Alphabet: printable, First: printable, Last: printable}
		change(&r)
		return r
	}
	charsets := func(n, least int) []Charset {
		var all []Charset
		for i := range n {
			all = append(all, Charset{Chars: ascii.Of(ascii.Printable[10*i : 10*i+10]), Min: least, Max: 20})
		}
		return all
	}
	pattern, err := automaton.ParsePattern("aa")
	if err != nil {
		t.Fatal(err)
	}
	patterns := []*automaton.Pattern{pattern}
	const trellis, compositions = "a trellis of all rules", "compositions, and words taken out"
	const without = "a trellis of the charsets, and words taken out"
	for name, test := range map[string]struct {
		rules Rules
		tried []string
		by    string // the one that succeeds, if any
	}{
		"characters": {with(func(*Rules) {}), []string{without}, without},
		"many charsets": {with(func(r *Rules) { r.Charsets = charsets(4, 4) }), []string{compositions, without},
			compositions},
		"very many charsets": {with(func(r *Rules) { r.Charsets = charsets(8, 4) }), []string{compositions},
			compositions},
		"distinct": {with(func(r *Rules) { r.Distinct = true }), []string{compositions}, compositions},
		"distinct, words": {
			with(func(r *Rules) { r.Distinct, r.Words = true, []string{"ab"} }), []string{compositions}, compositions,
		},
		"distinct, few characters": {
			with(func(r *Rules) { r.Distinct, r.Alphabet = true, ascii.Of("abc") }), []string{without}, without,
		},
		"runs":  {with(func(r *Rules) { r.MaxRun = 2 }), []string{trellis}, trellis},
		"words": {with(func(r *Rules) { r.Words = []string{"ab"} }), []string{trellis, without}, trellis},
		"words, runs": {
			with(func(r *Rules) { r.Words, r.MaxRun = []string{"ab"}, 2 }), []string{trellis}, trellis,
		},
		"words, very many charsets": {
			with(func(r *Rules) { r.Words, r.Charsets = []string{"ab"}, charsets(8, 4) }),
			[]string{trellis, compositions}, compositions,
		},
		"patterns": {with(func(r *Rules) { r.Patterns = patterns }), []string{trellis}, trellis},
		"patterns, words, very many charsets": {
			with(func(r *Rules) { r.Patterns, r.Words, r.Charsets = patterns, []string{"ab"}, charsets(8, 4) }),
			[]string{trellis}, "",
		},
		"patterns, distinct": {with(func(r *Rules) { r.Patterns, r.Distinct = patterns, true }), nil, ""},
	} {
		var tried []string
		for _, s := range strategies {
			if s.applies(&test.rules) {
				tried = append(tried, s.name)
			}
		}
		if diff := cmp.Diff(test.tried, tried); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		by := ""
		if b, err := test.rules.countBase(budget()); err == nil {
			by = b.strategy
		}
		if by != test.by {
			t.Errorf("%s: counted by %q, want %q", name, by, test.by)
		}
	}
}
