package language

import (
	"math"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// countApart counts a lower bound: rules apart that are too large together.
func (r *Rules) countApart(work *automaton.Budget) (*Counted, error) {
	words, err := r.lexicon(r.Words, work)
	if err != nil {
		return nil, err
	}
	c, candidates := &Counted{}, &automaton.Budget{Steps: work.Steps / 4}
	work.Steps -= candidates.Steps
	attempt := work.Half()
	c.Size, err = r.sizeBeside(words, attempt)
	if work.Charge(attempt); err != nil {
		c.Size, err = r.sizeApart(words, work)
	}
	if err != nil {
		return nil, err
	}
	return c, r.chooseCandidates(c, nil, words, candidates)
}

// sizeBeside returns a lower bound above 0: patterns that few strings match are counted beside the other rules.
//
//	size >= strings that satisfy the rules without these patterns - strings that one of these patterns matches
//
// Patterns join the other rules, those first that most strings match, until few match the rest.
func (r *Rules) sizeBeside(words *lexicon.Lexicon, work *automaton.Budget) (*big.Int, error) {
	if r.Distinct {
		return nil, automaton.ErrTooLarge // sizeApart counts these
	}
	rare, matching := r.rareRules(), map[*automaton.Pattern]*big.Int{}
	beside := new(big.Int) // strings that one of the rest matches, at most
	for _, p := range r.Patterns {
		n, err := rare.matchingOf(p, work)
		if err != nil {
			return nil, err
		}
		matching[p] = n
		beside.Add(beside, n)
	}
	rest := slices.Clone(r.Patterns)
	slices.SortStableFunc(rest, func(a, b *automaton.Pattern) int { return matching[b].Cmp(matching[a]) })
	few, largest := *r, new(big.Int)
	for few.Patterns = nil; ; rest = rest[1:] {
		w, holding, err := few.walk(words, work)
		if err != nil {
			break
		}
		size := w.atLeast(w.total*(1-slack) - holding*(1+slack))
		if size.Sub(size, beside).Cmp(largest) > 0 {
			largest.Set(size)
		}
		if len(rest) == 0 || new(big.Int).Mul(beside, big.NewInt(many)).Cmp(largest) <= 0 {
			break
		}
		few.Patterns = append(few.Patterns, rest[0])
		beside.Sub(beside, matching[rest[0]])
	}
	if largest.Sign() == 0 {
		return nil, automaton.ErrTooLarge
	}
	return largest, nil
}

// rareRules returns those of the rules about charsets and runs that many strings break. Patterns are counted with them.
func (r *Rules) rareRules() *Rules {
	rare := *r
	rare.Charsets, rare.AtLeast, rare.Patterns = nil, 0, nil
	if r.MaxRun > 1 {
		rare.MaxRun = 0
	}
	for _, s := range r.Charsets {
		alone := rare.quotas()
		alone.Charsets = []Charset{s}
		if slices.Max(alone.Breaking()) > 1.0/many {
			rare.Charsets = append(rare.Charsets, s)
		}
	}
	return &rare
}

// matchingOf returns how many of the strings that satisfy the rules a pattern matches, at most.
func (r *Rules) matchingOf(p *automaton.Pattern, work *automaton.Budget) (*big.Int, error) {
	with := *r
	with.Patterns = []*automaton.Pattern{p}
	_, all, err := r.walked(work)
	if err != nil {
		return nil, err
	}
	without, _, err := with.walked(work)
	if err != nil {
		return nil, err
	}
	return all.Sub(all, without), nil
}

// sizeApart returns a lower bound above 0. It does for long strings, of which nearly all satisfy the charsets and the
// patterns, and of which many hold a word:
//
//	size >= strings without words and runs - strings that break the charsets - strings that a pattern matches
func (r *Rules) sizeApart(words *lexicon.Lexicon, work *automaton.Budget) (*big.Int, error) {
	if r.Distinct {
		return r.distinctApart(words, work)
	}
	matching, err := r.matching(r.anyStrings(), work)
	if err != nil {
		return nil, err
	}
	satisfying, err := r.withCharsets(work)
	if err != nil {
		return nil, err
	}
	breaking := new(big.Int).Sub(r.anyStrings(), satisfying)
	size := r.withoutWords(words)
	if size.Sub(size, breaking.Add(breaking, matching)); size.Sign() <= 0 {
		return nil, automaton.ErrTooLarge
	}
	return size, nil
}

// distinctApart is sizeApart where no character appears twice:
//
//	size >= strings that satisfy the charsets - of these, those that hold a word - strings that a pattern matches
func (r *Rules) distinctApart(words *lexicon.Lexicon, work *automaton.Budget) (*big.Int, error) {
	c, err := r.compositions(work)
	if err != nil {
		return nil, err
	}
	holding, err := c.Holding(words, work)
	if err != nil {
		return nil, err
	}
	few := *r
	few.Charsets, few.AtLeast = nil, 0
	all, err := few.compositions(work)
	if err != nil {
		return nil, err
	}
	matching, err := r.matching(all.Size(), work)
	if err != nil {
		return nil, err
	}
	size := new(big.Int).Sub(c.Size(), holding)
	if size.Sub(size, matching); size.Sign() <= 0 {
		return nil, automaton.ErrTooLarge
	}
	return size, nil
}

// withCharsets returns how many strings satisfy the charsets, at least, whatever the other rules say.
func (r *Rules) withCharsets(work *automaton.Budget) (*big.Int, error) {
	if len(r.Charsets) == 0 && r.AtLeast == 0 {
		return r.anyStrings(), nil
	}
	if r.combinations() <= maxQuotas {
		few := *r
		few.Patterns, few.MaxRun = nil, 0
		attempt := work.Half()
		satisfying, _, err := few.walked(attempt)
		work.Charge(attempt)
		if err == nil {
			return satisfying, nil
		}
	}
	reserve := r.stepsOfEachCharset()
	attempt := &automaton.Budget{Steps: work.Steps - reserve}
	c, err := r.compositions(attempt)
	work.Steps = attempt.Steps + reserve
	if err == nil {
		return c.Size(), nil
	}
	return r.withEachCharset(work)
}

// stepsOfEachCharset returns about how many steps withEachCharset takes.
func (r *Rules) stepsOfEachCharset() int {
	return 5 * len(r.Charsets) * (r.Max + 1) * (r.Max - r.Min + 1)
}

// withEachCharset returns how many strings satisfy the charsets, at least: all but the sum of those that break each
// one.
func (r *Rules) withEachCharset(work *automaton.Budget) (*big.Int, error) {
	if err := work.Spend(r.stepsOfEachCharset()); err != nil {
		return nil, err
	}
	total, breaking := new(big.Int), r.quotas().Breaking()
	for i, strings := range r.anyByLength() {
		total.Add(total, portion(strings, 1-breaking[i]*(1+slack)-slack))
	}
	return total, nil
}

// matching returns how many of all strings a pattern matches, at most, whatever the other rules say: of all patterns
// together, or else the sum of each. If no character may appear twice, that is so in all strings.
func (r *Rules) matching(all *big.Int, work *automaton.Budget) (*big.Int, error) {
	sum := new(big.Int)
	if len(r.Patterns) == 0 {
		return sum, nil
	}
	few := *r
	few.Charsets, few.AtLeast, few.MaxRun = nil, 0, 0
	attempt := work.Half()
	satisfying, _, err := few.walked(attempt)
	work.Charge(attempt)
	if err == nil {
		return sum.Sub(all, satisfying), nil
	}
	for _, p := range r.Patterns {
		few.Patterns = []*automaton.Pattern{p}
		satisfying, _, err := few.walked(work)
		if err != nil {
			return nil, err
		}
		sum.Add(sum, satisfying.Sub(all, satisfying))
	}
	return sum, nil
}

// walked returns how many strings satisfy the rules but words, at least and at most.
func (r *Rules) walked(work *automaton.Budget) (least, most *big.Int, err error) {
	a, err := r.neighbours(work)
	if err != nil {
		return nil, nil, err
	}
	w, err := newWalk(a, r, work)
	if err != nil {
		return nil, nil, err
	}
	return w.atLeast(w.total), w.atMost(w.total), nil
}

// withoutWords returns a lower bound of how many strings hold neither words nor runs, whatever the other rules say:
//
//  1. Say that there are f(n) such strings of n characters, the first one from First. A run that is too long is a word
//     too, for each character.
//  2. Of the strings that are one of f(n-1) and one more character, those are none of f(n) that end in a word. Without
//     the word, of some length l, they are one of f(n-l). So f(n) >= characters*f(n-1) - sum(words(l)*f(n-l)), where
//     f(0) is 1 and words(l) is how many spellings of words have that length.
//  3. Divided by f(n-1), that is growth(n) >= characters - sum(words(l) / (growth(n-1)*...*growth(n-l+1))), where
//     growth(n) = f(n)/f(n-1). A lower bound of the growths before gives one of this growth.
//  4. The last character is from Last: its growth has the size of Last in place of characters.
//
// The growths are computed in float64. Each depends on a few thousand operations in a row at most, which err by a
// factor of less than 1 +- 2^-40 altogether, since no growth is used that is less than one in a thousand of the
// characters.
func (r *Rules) withoutWords(words *lexicon.Lexicon) *big.Int {
	spelt := r.spellingsByLength(words)
	characters := float64(r.Alphabet.Count())
	total, logarithm := new(big.Int), 0.0
	growths := []float64{1, float64(r.First.Count())} // by number of characters
	for length := 1; length <= r.Max; length++ {
		lost, before := 0.0, 1.0 // before: growth(length-1) * ... * growth(length-l+1)
		for l := 1; l <= min(length, len(spelt)-1); l++ {
			lost += spelt[l] / before
			before *= growths[length-l]
		}
		last := float64(r.Last.Count()) - lost
		if length == 1 {
			last = float64(r.First.And(r.Last).Count())
		} else {
			growths = append(growths, (characters-lost)*(1-slack))
		}
		if length >= r.Min && last > 0 {
			total.Add(total, exp2(logarithm+math.Log2(last)))
		}
		if growths[length] < characters/1000 {
			break
		}
		logarithm += math.Log2(growths[length])
	}
	return total
}

// spellingsByLength returns in how many ways words can be written in the alphabet, by their length, and how many runs
// are a character too long.
func (r *Rules) spellingsByLength(words *lexicon.Lexicon) []float64 {
	ways := words.Spelt(r.Alphabet)
	if r.MaxRun > 0 {
		ways = append(ways, make([]float64, max(r.MaxRun+2-len(ways), 0))...)
		ways[r.MaxRun+1] += float64(r.Alphabet.Count())
	}
	return ways
}

// exp2 returns 2^x, rounded down by more than x errs.
func exp2(x float64) *big.Int {
	whole, fraction := math.Modf(x - slack)
	n := big.NewInt(int64(math.Exp2(fraction) * (1 << 52) * (1 - slack)))
	shift := int(whole) - 52
	if shift < 0 {
		return n.Rsh(n, uint(-shift))
	}
	return n.Lsh(n, uint(shift))
}
