package language

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/composition"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/quota"
	"keyvault-passwords/internal/password/internal/uniform"
)

// A ranking numbers the strings of a language: it finds the string of each rank from 0 to the size, exclusive. Ranks
// may have no string; then the length is 0.
type ranking interface {
	Size() *big.Int
	UnrankSteps() int // about how many steps of a nanosecond Unrank takes
	Unrank(dst []byte, rank uniform.Nat) (length int)
}

// Counted is a language with its exact size, or a lower bound of it, and a way to draw from it: candidates are drawn
// uniformly and rejected until one is in the language.
type Counted struct {
	Size  *big.Int // must not be changed
	Exact bool     // Size is the size, not a lower bound
	Tries float64  // how many candidates a draw takes on average, at most
	Cost  float64  // of a draw on average, at most, in steps of about a nanosecond

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
//
// What is exact may take all of the work. Bounds may take as much, and so may what is only drawn from, and what counts
// rules apart, which also gets a quarter of what is left of these.
func Count(r *Rules, work *automaton.Budget) (*Counted, error) {
	if !r.hasEnds() {
		return &Counted{Size: new(big.Int), Exact: true}, nil
	}
	bounds, apart := &automaton.Budget{Steps: 2 * work.Steps}, &automaton.Budget{Steps: work.Steps}
	c, err := r.countTogether(work, bounds)
	if err == nil {
		return c, nil
	}
	apart.Steps += bounds.Steps / 4
	if c, apartErr := r.countApart(apart); apartErr == nil {
		return c, nil
	}
	if errors.Is(err, errNoBound) {
		b, err := r.countBase(work)
		if err == nil && b.size.Sign() == 0 {
			return &Counted{Size: b.size, Exact: true}, nil
		}
		return nil, cmp.Or(err, r.tooLarge("the rules together have too many states to be counted"))
	}
	return nil, err
}

// countTogether counts all rules together, or at least all of them but words.
func (r *Rules) countTogether(work, bounds *automaton.Budget) (*Counted, error) {
	if len(r.Dictionary) > 0 && !r.Distinct {
		// What holds none of so many words is not counted exactly. So nothing else need be, unless no word fits.
		c, err := r.countBound(bounds)
		if c != nil {
			return c, nil
		}
		switch {
		case errors.Is(err, errNoWords):
			without := *r
			without.Dictionary = nil
			r = &without
		case r.looksAtNeighbours():
			return nil, errNoBound
		}
	}
	b, err := r.countBase(work)
	switch {
	case err != nil:
		if c, _ := r.countBound(bounds); c != nil {
			return c, nil
		}
		return nil, err
	case b.size.Sign() == 0:
		// A language without strings has none without words either.
		return &Counted{Size: b.size, Exact: true}, nil
	}
	c := &Counted{Size: b.size, Exact: true}
	var words *lexicon.Lexicon
	if len(b.words)+len(r.Dictionary) > 0 {
		if words, err = r.lexicon(b.words, bounds); err == nil {
			err = r.subtract(c, b, words, bounds)
		}
		if err != nil {
			return nil, &Uncertified{
				Reason: "the words are too many or too long to be counted", Parts: r.wordParts(b.words),
			}
		}
	}
	if c.Size.Sign() <= 0 {
		return nil, &Uncertified{
			Reason: "after the words are taken out, too few passwords are left to prove that there are any",
			Parts:  r.wordParts(b.words),
		}
	}
	return c, r.chooseCandidates(c, b, words, bounds)
}

// lexicon returns the lexicon of words and of the dictionary, of which no word holds another.
func (r *Rules) lexicon(words []string, work *automaton.Budget) (*lexicon.Lexicon, error) {
	dictionary := lexicon.New(r.Dictionary)
	if len(words) == 0 {
		return dictionary, nil
	}
	least, err := lexicon.MinimalWithin(words, work)
	if err != nil || len(r.Dictionary) == 0 {
		return lexicon.New(least), err
	}
	if err := work.Spend(100 * (len(least) + len(r.Dictionary))); err != nil {
		return nil, err
	}
	least = slices.DeleteFunc(least, func(word string) bool { return dictionary.OccursIn([]byte(word)) })
	others := lexicon.New(least)
	for _, word := range r.Dictionary {
		if !others.OccursIn([]byte(word)) {
			least = append(least, word)
		}
	}
	return lexicon.New(slices.Sorted(slices.Values(least))), nil
}

// subtract takes from the size of a base an upper bound of what holds a word.
func (r *Rules) subtract(c *Counted, b *base, words *lexicon.Lexicon, work *automaton.Budget) error {
	var holding *big.Int
	attempt := work.Half()
	w, share, err := r.walk(words, attempt)
	work.Charge(attempt)
	if err == nil {
		holding = w.atMost(share)
	} else if holding, err = r.holdingByCompositions(b, words, work); err != nil {
		return err
	}
	c.Exact = holding.Sign() == 0 // no string holds any of the words
	c.Size = holding.Sub(b.size, holding)
	return nil
}

// holdingByCompositions returns an upper bound of how many strings hold a word, whatever the patterns and runs say.
func (r *Rules) holdingByCompositions(b *base, words *lexicon.Lexicon, work *automaton.Budget) (*big.Int, error) {
	c := b.compositions
	if c == nil {
		var err error
		if c, err = r.compositions(work); err != nil {
			return nil, err
		}
	}
	return c.Holding(words, work)
}

// errNoWords says that none of the words can occur, and errNoBound that nothing else need be counted than what no bound
// was found of, unless that is nothing.
var errNoWords, errNoBound = errors.New("none of the words can occur"), errors.New("no bound was found")

// countBound counts a lower bound: what satisfies the rules but words, less what holds a word at most.
func (r *Rules) countBound(work *automaton.Budget) (*Counted, error) {
	words, err := r.lexicon(r.Words, work)
	if err != nil {
		return nil, err
	}
	attempt := work.Half()
	w, holding, err := r.walk(words, attempt)
	work.Charge(attempt)
	switch {
	case err != nil:
		return nil, err
	case holding == 0 && len(words.Words()) > 0:
		return nil, errNoWords
	}
	c := &Counted{Size: w.atLeast(w.total*(1-slack) - holding*(1+slack))}
	if holding > w.total/many {
		if apart, err := r.sizeApart(words, work); err == nil && apart.Cmp(c.Size) > 0 {
			c.Size = apart
		}
	}
	if c.Size.Sign() == 0 {
		return nil, automaton.ErrTooLarge
	}
	if err := r.chooseCandidates(c, nil, words, work); err != nil {
		return nil, err
	}
	return c, nil
}

// walk walks through the rules but words, and returns what share of all texts satisfies them and holds a word at most.
func (r *Rules) walk(words *lexicon.Lexicon, work *automaton.Budget) (*walk, float64, error) {
	if r.Distinct && len(r.Patterns) == 0 {
		return nil, 0, automaton.ErrTooLarge // compositions count these
	}
	a, err := r.neighbours(work)
	if err != nil {
		return nil, 0, err
	}
	w, err := newWalk(a, r, work)
	if err != nil {
		return nil, 0, err
	}
	holding, err := w.holding(words.Words(), work)
	return w, holding, err
}

// neighbours returns the automaton of the patterns and the ends.
func (r *Rules) neighbours(work *automaton.Budget) (*automaton.DFA, error) {
	few := *r
	few.Words, few.MaxRun, few.Distinct = nil, 0, false
	return few.product(work)
}

// What a draw may cost on average, in steps of about a nanosecond and in random bytes. Up to a cheap one, no cheaper
// one is looked for: policies as people write them have one. What has none is drawn at ten times the cost rather than
// refused, as 512 lower-case letters without an English word are. A draw that needs 64 times as many bytes as the
// average has a probability of less than e^-64, and is taken for a source that repeats itself.
const (
	cheapDraw    = 20_000
	maxDraw      = 200_000
	maxDrawBytes = uniform.MaxBytes / 64
)

// chooseCandidates sets what is drawn until it is in the language: of the larger languages that can be drawn from, the
// one that costs least.
func (r *Rules) chooseCandidates(c *Counted, b *base, words *lexicon.Lexicon, work *automaton.Budget) error {
	all, err := r.wholeChecker(b, words, work)
	if err != nil {
		return err
	}
	c.Cost = math.Inf(1)
	random := newRandomStrings(r)
	if c.propose(r.anyStrings(), costOfRandom+costOfRandomChar*r.Max) {
		c.checker, c.random, c.expected = all, random, random.expectedBytes(r.Max)
	}
	if c.Tries <= 2 {
		return nil
	}
	neighbours := func(r *Rules) { r.Words = nil }
	for _, larger := range []struct {
		rank  func(work *automaton.Budget) (ranking, error)
		check *checker
	}{
		{
			rank: func(work *automaton.Budget) (ranking, error) {
				if b != nil && b.compositions != nil {
					return b.compositions, nil
				}
				return r.compositions(work)
			},
			check: all.withoutCharacters(),
		},
		{rank: r.weightsOf(neighbours), check: all.withoutCharacters()},
		{rank: r.weightsOf(neighbours, func(r *Rules) { r.Patterns = nil }), check: all.withoutCharacters()},
		{rank: r.weightsOf(neighbours, func(r *Rules) { r.MaxRun = 0 }), check: all.withoutCharacters()},
		{rank: r.weightsOf(neighbours, func(r *Rules) { r.Charsets, r.AtLeast = nil, 0 }), check: all},
		{rank: r.weightsOf(), check: all.withoutCharacters()},
	} {
		if c.Cost <= cheapDraw {
			break
		}
		attempt := work.Half()
		ranking, err := larger.rank(attempt)
		work.Charge(attempt)
		if err == nil && ranking.Size().Sign() > 0 {
			c.proposeRanking(r, ranking, larger.check)
		}
	}
	if bytes := c.Tries * float64(c.expected); c.Cost > maxDraw || bytes > maxDrawBytes {
		return r.tooLarge(fmt.Sprintf("a password would be drawn in %.0f tries", math.Ceil(c.Tries)))
	}
	c.expected = int(min(c.Tries*float64(c.expected), 256))
	return nil
}

// wholeChecker returns the checker of all rules but the ends. The words are those that the base leaves.
func (r *Rules) wholeChecker(b *base, words *lexicon.Lexicon, work *automaton.Budget) (*checker, error) {
	if b != nil {
		return newChecker(r, b.automata, words), nil
	}
	automata, err := r.patternAutomata(work)
	if err != nil {
		return nil, err
	}
	c := newChecker(r, automata, words)
	c.maxRun = r.MaxRun
	return c, nil
}

// patternAutomata returns the automaton of the patterns, or else one for each.
func (r *Rules) patternAutomata(work *automaton.Budget) ([]*automaton.DFA, error) {
	attempt := work.Half()
	a, err := r.neighbours(attempt)
	work.Charge(attempt)
	if err == nil {
		return []*automaton.DFA{a}, nil
	}
	var each []*automaton.DFA
	for i := range r.Patterns {
		few := *r
		few.Patterns = r.Patterns[i : i+1]
		if a, err = few.neighbours(work); err != nil {
			return nil, r.tooLarge("the patterns have too many states to be counted")
		}
		each = append(each, a)
	}
	return each, nil
}

// weightsOf returns what makes weights of the rules, once these are relaxed.
func (r *Rules) weightsOf(relax ...func(r *Rules)) func(work *automaton.Budget) (ranking, error) {
	return func(work *automaton.Budget) (ranking, error) {
		relaxed := *r
		for _, f := range relax {
			f(&relaxed)
		}
		few := relaxed
		few.MaxRun, few.Distinct = 0, false // the weights see to these
		a, err := few.product(work)
		if err != nil {
			return nil, err
		}
		return newWeights(a, &relaxed, maxWeight, work)
	}
}

// What a random string costs with its check, in steps of about a nanosecond, and what checking another one costs.
const (
	costOfRandom, costOfRandomChar = 100, 10
	costOfCheckChar                = 3
)

// propose sets how many tries it takes, and their cost, to draw from candidates of which there are so many, each of
// which costs so much, and reports whether that is the least cost so far.
func (c *Counted) propose(candidates *big.Int, cost int) bool {
	tries, _ := new(big.Float).Quo(new(big.Float).SetInt(candidates), new(big.Float).SetInt(c.Size)).Float64()
	if tries*float64(cost) >= c.Cost {
		return false
	}
	c.Tries, c.Cost = tries, tries*float64(cost)
	return true
}

// proposeRanking does the same for the strings of a ranking, of which the checker takes those of the language.
func (c *Counted) proposeRanking(r *Rules, candidates ranking, check *checker) {
	cost := candidates.UnrankSteps() + costOfCheckChar*r.Max
	size := candidates.Size()
	if c.propose(size, cost) {
		c.ranking, c.checker, c.random = candidates, check, nil
		c.ranks = uniform.NatOf(size, uniform.LimbsFor(size))
		c.expected = (size.BitLen() + 7) / 8
	}
}

// A base is what was counted exactly: the strings that satisfy all rules but some words.
type base struct {
	strategy     string
	size         *big.Int
	compositions *composition.Counted // nil: it was counted in another way
	automata     []*automaton.DFA     // what the counting needed
	words        []string             // those that are still to be taken out
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
		name: "a trellis of the charsets, and words taken out",
		applies: func(r *Rules) bool {
			return !r.looksAtNeighbours() && !r.tooManyDistinct() && r.combinations() <= maxQuotas
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
	u := &Uncertified{
		Reason: "the patterns tell too many characters apart to be counted where none may appear twice",
		Parts:  []Part{{Kind: OfDistinct}},
	}
	for i := range r.Patterns {
		u.Parts = append(u.Parts, Part{Kind: OfPatterns, Index: i})
	}
	return nil, u
}

// countCompositions counts the strings that satisfy the rules about characters. There must be no others but words.
func (r *Rules) countCompositions(work *automaton.Budget) (*base, error) {
	c, err := r.compositions(work)
	if err != nil {
		return nil, &Uncertified{
			Reason: "the sets of characters, their minimums and the length make too many combinations",
			Parts:  []Part{{Kind: OfCharsets}},
		}
	}
	return &base{size: c.Size(), compositions: c, words: r.Words}, nil
}

// compositions counts the strings that satisfy the rules about characters, whatever the other rules say.
func (r *Rules) compositions(work *automaton.Budget) (*composition.Counted, error) {
	return composition.Count(&composition.Rules{
		Rules: *r.quotas(), First: r.First, Last: r.Last, Distinct: r.Distinct,
	}, work)
}

// combinations returns an upper bound of the combinations of counts that quotas tell apart, or unlimited if it is above
// maxQuotas.
func (r *Rules) combinations() int {
	n := 1
	for _, s := range r.Charsets {
		counts := s.Enough(r.AtLeast) + 1
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
	q, err := quota.New(r.quotas(), maxQuotas, work)
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
	return &base{size: t.total, automata: []*automaton.DFA{a}}, nil
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
func (r *Rules) wordParts(words []string) []Part {
	var parts []Part
	if len(words) > 0 {
		parts = append(parts, Part{Kind: OfWords})
	}
	if len(r.Dictionary) > 0 {
		parts = append(parts, Part{Kind: OfDictionary})
	}
	return parts
}
