package language

import (
	"fmt"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/uniform"
)

// A ranking numbers the strings of a language: it finds the string of each rank from 0 to the size, exclusive.
type ranking interface {
	size() *big.Int
	unrank(dst []byte, rank uniform.Nat) (length int)
}

// Counted is a language with its exact size, or a lower bound of it, and a way to draw from it: candidates are drawn
// uniformly and rejected until one is in the language. At least half of them are.
type Counted struct {
	Size  *big.Int // must not be changed
	Exact bool     // Size is the size, not a lower bound

	checker  *checker       // which candidates are in the language
	ranking  ranking        // the candidates are its strings; nil: those of random
	ranks    uniform.Nat    // how many ranks the ranking has
	random   *randomStrings // nil: the candidates are those of ranking
	expected int            // about how many random bytes a draw takes
}

// Uncertified says why a language can neither be counted nor drawn from within the limits, and which rules make it so.
type Uncertified struct {
	Reason string
	Parts  []Part
}

// Error returns the reason.
func (u *Uncertified) Error() string { return u.Reason }

// A Part is a part of Rules.
type Part struct {
	Kind  Kind
	Index int // of a pattern: its place in Rules.Patterns. Else 0
}

// A Kind is which field of Rules a part is in.
type Kind int

// The kinds of parts. NoPart is of what never makes a language too large.
const (
	NoPart Kind = iota
	OfCharsets
	OfPatterns
	OfWords
	OfMaxRun
	OfDistinct
	OfDictionary
)

// Count counts the strings that satisfy the rules and finds a way to draw one. The only error is *[Uncertified]. A size
// of 0 is exact; there is nothing to draw then.
func Count(r *Rules, work *automaton.Budget) (*Counted, error) {
	if !r.hasEnds() {
		return &Counted{Size: new(big.Int), Exact: true}, nil
	}
	b, err := r.countBase(work)
	if err != nil {
		return nil, err
	}
	total := b.ranking.size()
	c := &Counted{Size: total, Exact: len(b.words)+len(r.Dictionary) == 0}
	if total.Sign() == 0 {
		c.Exact = true // a language without strings has none without words either
		return c, nil
	}
	var words *lexicon
	if !c.Exact {
		if words, c.Size, err = r.subtractWords(b, work); err != nil {
			return nil, err
		}
		c.Exact = c.Size.Cmp(total) == 0 // no string holds any of the words
	}
	return c, r.chooseCandidates(c, b, words)
}

// chooseCandidates sets what is drawn until it is in the language: the larger language that is drawn from more quickly,
// if it is at most twice as large.
func (r *Rules) chooseCandidates(c *Counted, b *base, words *lexicon) error {
	twice := new(big.Int).Lsh(c.Size, 1)
	switch {
	case twice.Cmp(r.anyStrings()) >= 0:
		c.checker = newChecker(r, b.automaton, words)
		c.random = newRandomStrings(r)
		c.expected = c.random.expectedBytes(r.Max)
	case !b.kept:
		return r.tooLarge("the tables to draw from would be too large")
	case c.Size.Sign() > 0 && twice.Cmp(b.ranking.size()) >= 0:
		c.ranking, c.checker = b.ranking, &checker{lexicon: words}
		c.ranks = uniform.NatOf(b.ranking.size(), uniform.LimbsFor(b.ranking.size()))
		c.expected = (b.ranking.size().BitLen() + 7) / 8
	default:
		return &Uncertified{
			Reason: "after the words are taken out, too few passwords are left to prove that there are any",
			Parts:  r.wordParts(b),
		}
	}
	return nil
}

// A base is what was counted exactly: the strings that satisfy all rules but some words.
type base struct {
	strategy  string
	ranking   ranking
	kept      bool           // the ranking can be drawn from
	automaton *automaton.DFA // nil: none was needed
	words     []string       // those that are still to be taken out
}

// A strategy counts the rules exactly, all of them or all but the words.
type strategy struct {
	name    string
	applies func(r *Rules) bool
	try     func(r *Rules, work *automaton.Budget) (*base, error)
}

// strategies are in the order in which they are tried, until one succeeds. Compositions do with many combinations of
// charsets, but cannot look at neighbours. A trellis looks at neighbours, and is quicker for few combinations.
var strategies = []strategy{
	{
		name: "a trellis of all rules",
		applies: func(r *Rules) bool {
			return !r.tooManyDistinct() && (r.looksAtNeighbours() || len(r.Words) > 0)
		},
		try: func(r *Rules, work *automaton.Budget) (*base, error) { return r.countTrellis(work) },
	},
	{
		name: "compositions, and words taken out",
		applies: func(r *Rules) bool {
			return !r.looksAtNeighbours() && (r.tooManyDistinct() || r.combinations() > fewQuotas)
		},
		try: func(r *Rules, work *automaton.Budget) (*base, error) { return r.countCompositions(work) },
	},
	{
		name: "a trellis of all rules but words, and words taken out",
		applies: func(r *Rules) bool {
			if r.looksAtNeighbours() {
				return !r.tooManyDistinct() && len(r.Words) > 0 // without words, the first strategy is the same
			}
			return !r.tooManyDistinct() && r.combinations() <= maxQuotas
		},
		try: func(r *Rules, work *automaton.Budget) (*base, error) {
			without := *r
			without.Words = nil
			b, err := without.countTrellis(work)
			if err == nil {
				b.words = r.Words
			}
			return b, err
		},
	},
}

// looksAtNeighbours reports whether a rule other than words is about characters next to each other.
func (r *Rules) looksAtNeighbours() bool { return len(r.Patterns)+r.MaxRun > 0 }

// tooManyDistinct reports whether no character may appear twice and the alphabet is too large for an automaton of that.
func (r *Rules) tooManyDistinct() bool {
	return r.Distinct && r.Alphabet.Count() > automaton.MaxDistinct
}

// countBase tries the strategies that apply. Each has half of the work that is left, and the last has all of it. The
// error is the last one's.
func (r *Rules) countBase(work *automaton.Budget) (*base, error) {
	var apply []strategy
	for _, s := range strategies {
		if s.applies(r) {
			apply = append(apply, s)
		}
	}
	for i, s := range apply {
		attempt := work
		if i < len(apply)-1 {
			attempt = work.Half()
		}
		b, err := s.try(r, attempt)
		switch {
		case err == nil:
			b.strategy = s.name
			return b, nil
		case i == len(apply)-1:
			return nil, err
		}
		work.Charge(attempt)
	}
	return nil, &Uncertified{
		Reason: fmt.Sprintf("patterns can be counted with at most %d characters if none may appear twice",
			automaton.MaxDistinct),
		Parts: []Part{{Kind: OfDistinct}, {Kind: OfPatterns}},
	}
}

// countCompositions counts the strings that satisfy the rules about characters. There must be no others but words.
func (r *Rules) countCompositions(work *automaton.Budget) (*base, error) {
	c, err := newCompositions(r, work)
	if err != nil {
		return nil, &Uncertified{
			Reason: "the sets of characters, their minimums and the length make too many combinations",
			Parts:  []Part{{Kind: OfCharsets}},
		}
	}
	return &base{ranking: c, kept: true, words: r.Words}, nil
}

// combinations returns an upper bound of the combinations of counts that quotas tell apart, or unlimited if it is above
// maxQuotas.
func (r *Rules) combinations() int {
	n := 1
	for _, s := range r.Charsets {
		counts := s.enough(r.AtLeast) + 1
		if s.Max < r.Max {
			counts = s.Max + 1
		}
		if n *= counts; n > maxQuotas {
			return unlimited
		}
	}
	return n
}

// countTrellis counts the strings that satisfy all rules but the dictionary.
func (r *Rules) countTrellis(work *automaton.Budget) (*base, error) {
	a, err := r.product(work)
	if err != nil {
		return nil, err
	}
	q, err := newQuotas(r, work)
	if err != nil {
		return nil, r.tooLarge("the sets of characters overlap in too many ways to be counted")
	}
	t, err := newTrellis(a, q, r, work)
	if err == nil {
		err = t.fill(work)
	}
	if err != nil {
		return nil, r.tooLarge("the rules together have too many states to be counted")
	}
	return &base{ranking: t, kept: t.layers != nil, automaton: a}, nil
}

// A factor is the automaton of one rule, and why rules are refused for which it is too large.
type factor struct {
	build   func() (*automaton.DFA, error)
	refusal error
}

// product returns the automaton of all rules that are about more than how many characters there are.
func (r *Rules) product(work *automaton.Budget) (*automaton.DFA, error) {
	all := automaton.Any(r.Alphabet)
	for i, f := range r.factors(work) {
		a, err := f.build()
		if err == nil && i > 0 {
			a, err = automaton.Product(all, a, r.Alphabet, work)
		}
		if err != nil || len(a.Accepts) > automaton.MaxStates {
			return nil, f.refusal
		}
		all = a
	}
	return all, nil
}

// factors returns the automata to multiply, those first that rule out most.
func (r *Rules) factors(work *automaton.Budget) []factor {
	var all []factor
	add := func(refusal error, build func() (*automaton.DFA, error)) {
		all = append(all, factor{build: build, refusal: refusal})
	}
	if r.First != r.Alphabet || r.Last != r.Alphabet {
		add(nil, func() (*automaton.DFA, error) { return automaton.WithEnds(r.Alphabet, r.First, r.Last), nil })
	}
	for i, p := range r.Patterns {
		add(&Uncertified{
			Reason: fmt.Sprintf("the automaton of this pattern has more than %d states, or takes too long to build",
				automaton.MaxStates),
			Parts: []Part{{Kind: OfPatterns, Index: i}},
		}, func() (*automaton.DFA, error) { return automaton.WithoutMatch(p, r.Alphabet, work) })
	}
	if len(r.Words) > 0 {
		add(r.tooLarge("the automaton of the forbidden words is too large"),
			func() (*automaton.DFA, error) { return automaton.WithoutWords(r.Words, r.Alphabet) })
	}
	if r.Distinct {
		add(r.tooLarge("the automaton that remembers all characters so far is too large"),
			func() (*automaton.DFA, error) { return automaton.WithoutRepeats(r.Alphabet) })
	}
	if r.MaxRun > 0 {
		add(r.tooLarge("the automaton of repeated characters is too large"),
			func() (*automaton.DFA, error) { return automaton.WithoutRuns(r.Alphabet, r.MaxRun) })
	}
	return all
}

// tooLarge returns the error of rules that cannot be counted together. Its parts are those that make automata, and the
// charsets, which multiply with these.
func (r *Rules) tooLarge(reason string) error {
	u := &Uncertified{Reason: reason}
	for i := range r.Patterns {
		u.Parts = append(u.Parts, Part{Kind: OfPatterns, Index: i})
	}
	if len(r.Words) > 0 {
		u.Parts = append(u.Parts, Part{Kind: OfWords})
	}
	if r.MaxRun > 0 {
		u.Parts = append(u.Parts, Part{Kind: OfMaxRun})
	}
	if r.Distinct {
		u.Parts = append(u.Parts, Part{Kind: OfDistinct})
	}
	u.Parts = append(u.Parts, Part{Kind: OfCharsets})
	return u
}

// wordParts returns the parts whose words are not counted exactly.
func (r *Rules) wordParts(b *base) []Part {
	var parts []Part
	if len(b.words) > 0 {
		parts = append(parts, Part{Kind: OfWords})
	}
	if len(r.Dictionary) > 0 {
		parts = append(parts, Part{Kind: OfDictionary})
	}
	return parts
}

// subtractWords returns the lexicon of the words that strings of the base may still hold, and a lower bound of the
// number of strings that hold none.
func (r *Rules) subtractWords(b *base, work *automaton.Budget) (*lexicon, *big.Int, error) {
	tooMany := &Uncertified{Reason: "the words are too many or too long to be counted", Parts: r.wordParts(b)}
	words := &lexicon{r.Dictionary} // no word of it holds another
	if len(b.words) > 0 {
		minimal, err := minimal(slices.Concat(b.words, r.Dictionary), work)
		if err != nil {
			return nil, nil, tooMany
		}
		words = &lexicon{minimal}
	}
	c, ok := b.ranking.(*compositions)
	if !ok {
		var err error
		if c, err = newCompositions(r, work); err != nil {
			return nil, nil, tooMany
		}
	}
	holding, err := words.atMost(c, r)
	if err != nil {
		return nil, nil, tooMany
	}
	return words, holding.Sub(b.ranking.size(), holding), nil
}
