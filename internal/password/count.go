package password

import (
	"fmt"
	"math/big"
)

// A ranking numbers the strings of a set: it finds the string of each rank from 0 to the size, exclusive.
type ranking interface {
	size() *big.Int
	unrank(dst []byte, rank nat) (length int)
}

// A counted is a set of strings whose size is known, or a number that the size is not below, and how to draw from it:
// strings are proposed, all with the same probability, until one is in the set. At least half of the proposals are.
type counted struct {
	size    *big.Int
	exact   bool
	ranking ranking // what is proposed: of these strings the one of a random rank. Nil: any string of the alphabet
	checker *checker
}

// An uncertified says why a set can neither be counted nor drawn from within the limits.
type uncertified struct {
	keys   []string
	reason string
}

func (u *uncertified) Error() string { return u.reason }

// A base is what has been counted exactly: the strings that satisfy all rules but the words of the lexicon.
type base struct {
	ranking   ranking
	kept      bool       // the ranking can be drawn from
	automaton *automaton // nil: none was needed
	words     []string   // those that are still to be taken out
}

// count counts the strings that satisfy the rules and finds a way to draw one, or says why not: *uncertified.
func (r *rules) count(work *budget) (*counted, error) {
	if r.alphabet.isEmpty() || r.first.isEmpty() || r.last.isEmpty() {
		return &counted{size: new(big.Int), exact: true}, nil
	}
	b, err := r.countBase(work)
	if err != nil {
		return nil, err
	}
	total := b.ranking.size()
	c := &counted{size: total, exact: len(b.words)+len(r.dictionary) == 0}
	if total.Sign() == 0 {
		c.exact = true // without the words there is none, so with them neither
		return c, nil
	}
	var words *lexicon
	if !c.exact {
		if words, c.size, err = r.takeOut(b, work); err != nil {
			return nil, err
		}
		c.exact = c.size.Cmp(total) == 0 // no string holds any of the words
	}
	return c, r.propose(c, b, words)
}

// propose sets what is proposed in drawing from the set: the larger set that is drawn from more quickly, if at most
// twice as large.
func (r *rules) propose(c *counted, b *base, words *lexicon) error {
	twice := new(big.Int).Lsh(c.size, 1)
	switch {
	case twice.Cmp(r.anyStrings()) >= 0:
		c.checker = newChecker(r, b.automaton, words)
	case !b.kept:
		return r.tooLarge("the tables to draw from would be too large")
	case c.size.Sign() > 0 && twice.Cmp(b.ranking.size()) >= 0:
		c.ranking, c.checker = b.ranking, &checker{lexicon: words}
	default:
		return &uncertified{r.wordKeys(b), "the words leave too few passwords for a proof that some are left"}
	}
	return nil
}

// anyStrings returns the number of strings of the alphabet and the lengths with the right ends: what random characters
// make.
func (r *rules) anyStrings() *big.Int {
	total := new(big.Int)
	for _, n := range r.anyByLength() {
		total.Add(total, n)
	}
	return total
}

// anyByLength returns the same by length, from the shortest on.
func (r *rules) anyByLength() []*big.Int {
	var counts []*big.Int
	if r.min == 1 {
		counts = append(counts, big.NewInt(int64(r.first.and(r.last).count())))
	}
	size, ways := big.NewInt(int64(r.alphabet.count())), big.NewInt(int64(r.first.count()*r.last.count()))
	for length := 2; length <= r.max; length++ {
		if length >= r.min {
			counts = append(counts, new(big.Int).Set(ways))
		}
		ways.Mul(ways, size)
	}
	return counts
}

// takeOut returns the lexicon of the words that the base may still hold, and a number that the size of the set is not
// below.
func (r *rules) takeOut(b *base, work *budget) (*lexicon, *big.Int, error) {
	tooMany := &uncertified{r.wordKeys(b), "the words are too many or too long to be counted"}
	words := &lexicon{r.dictionary} // no word of it holds another
	var err error
	if len(b.words) > 0 {
		if words, err = newLexicon(append(b.words, r.dictionary...), work); err != nil {
			return nil, nil, tooMany
		}
	}
	c, ok := b.ranking.(*compositions)
	if !ok {
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

// countBase counts as much of the rules as can be counted exactly.
func (r *rules) countBase(work *budget) (*base, error) {
	if len(r.words)+len(r.patterns)+r.maxRun == 0 {
		return r.countCharacters(work, nil)
	}
	if r.distinct && r.alphabet.count() > maxDistinctAlphabet {
		if len(r.patterns) > 0 {
			return nil, &uncertified{[]string{"distinct", r.patterns[0].key},
				fmt.Sprintf("patterns together with distinct can be counted for up to %d characters", maxDistinctAlphabet)}
		}
		return r.countCharacters(work, r.words)
	}
	if len(r.words) == 0 {
		return r.countAutomata(work, true)
	}
	attempt := work.half()
	b, err := r.countAutomata(attempt, true)
	work.settle(attempt)
	if err == nil {
		return b, nil
	}
	if len(r.patterns)+r.maxRun == 0 {
		return r.countCharacters(work, r.words)
	}
	return r.countAutomata(work, false)
}

// countCharacters counts the strings that satisfy the rules about characters only. The given words are left.
//
// A few quotas make a small trellis, which is quicker than compositions. These can do with many.
func (r *rules) countCharacters(work *budget, words []string) (*base, error) {
	combinations := r.combinations()
	large := r.distinct && r.alphabet.count() > maxDistinctAlphabet
	if !large && combinations <= fewQuotas {
		return r.countByTrellis(work, words)
	}
	onlyWay := large || combinations > maxQuotas
	attempt := work
	if !onlyWay {
		attempt = work.half()
	}
	c, err := newCompositions(r, attempt)
	switch {
	case err == nil:
		return &base{ranking: c, kept: true, words: words}, nil
	case onlyWay:
		return nil, &uncertified{[]string{"characters"},
			"the sets of characters, their minimums and the length make too many combinations"}
	}
	work.settle(attempt)
	return r.countByTrellis(work, words)
}

func (r *rules) countByTrellis(work *budget, words []string) (*base, error) {
	without := *r
	without.words = nil
	b, err := without.countAutomata(work, false)
	if err != nil {
		return nil, err
	}
	b.words = words
	return b, nil
}

// combinations returns how many combinations of counts there may be that quotas tell apart, or a number above any
// limit.
func (r *rules) combinations() int {
	n := 1
	for _, s := range r.sets {
		counts := s.enough(r.atLeast) + 1
		if s.max < r.max {
			counts = s.max + 1
		}
		if n *= counts; n > maxQuotas {
			return endless
		}
	}
	return n
}

// countAutomata counts the strings that satisfy all rules, or all but the words.
func (r *rules) countAutomata(work *budget, withWords bool) (*base, error) {
	a, err := r.automaton(work, withWords)
	if err != nil {
		return nil, err
	}
	q, err := newQuotas(r.alphabet, r.sets, r.atLeast, r.min, r.max, work)
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
	b := &base{ranking: t, kept: t.layers != nil, automaton: a}
	if !withWords {
		b.words = r.words
	}
	return b, nil
}

// A part is the automaton of one rule, and why a policy is refused for which it is too large.
type part struct {
	build   func() (*automaton, error)
	refusal error
}

// automaton returns the automaton of all rules that are about more than how many characters there are.
func (r *rules) automaton(work *budget, withWords bool) (*automaton, error) {
	all := anyString(r.alphabet)
	for i, p := range r.parts(work, withWords) {
		a, err := p.build()
		if err == nil && i > 0 {
			a, err = product(all, a, r.alphabet, work)
		}
		if err != nil || len(a.accepts) > maxStates {
			return nil, p.refusal
		}
		all = a
	}
	return all, nil
}

// parts returns the parts of the automaton, those first that rule out most.
func (r *rules) parts(work *budget, withWords bool) []part {
	var parts []part
	add := func(build func() (*automaton, error), refusal error) { parts = append(parts, part{build, refusal}) }
	if r.first != r.alphabet || r.last != r.alphabet {
		add(func() (*automaton, error) { return endsAutomaton(r.alphabet, r.first, r.last), nil }, nil)
	}
	for _, p := range r.patterns {
		add(func() (*automaton, error) { return patternAutomaton(p.prog, r.alphabet, work) }, &uncertified{[]string{p.key},
			fmt.Sprintf("with this pattern, the automaton has more than %d states or takes too long to make", maxStates)})
	}
	if withWords && len(r.words) > 0 {
		add(func() (*automaton, error) { return wordAutomaton(r.words, r.alphabet) },
			r.tooLarge("the automaton of the forbidden words is too large"))
	}
	if r.distinct {
		add(func() (*automaton, error) { return distinctAutomaton(r.alphabet) },
			r.tooLarge("the automaton of distinct is too large"))
	}
	if r.maxRun > 0 {
		add(func() (*automaton, error) { return runAutomaton(r.alphabet, r.maxRun) },
			r.tooLarge("the automaton of max-run is too large"))
	}
	return parts
}

// tooLarge returns the error of rules that cannot be counted together.
func (r *rules) tooLarge(reason string) error {
	return &uncertified{r.heavyKeys(), reason}
}

// heavyKeys names the rules that make automata, and the charsets, which multiply with these.
func (r *rules) heavyKeys() []string {
	var keys []string
	for _, p := range r.patterns {
		keys = append(keys, p.key)
	}
	if len(r.words) > 0 {
		keys = append(keys, r.wordRules...)
	}
	if r.maxRun > 0 {
		keys = append(keys, "max-run")
	}
	if r.distinct {
		keys = append(keys, "distinct")
	}
	return append(keys, "characters")
}

// wordKeys names the rules whose words are not counted exactly.
func (r *rules) wordKeys(b *base) []string {
	var keys []string
	if len(b.words) > 0 {
		keys = append(keys, r.wordRules...)
	}
	if len(r.dictionary) > 0 {
		keys = append(keys, "dictionary")
	}
	return keys
}
