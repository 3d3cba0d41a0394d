package language

import (
	"math"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// A walk is the way of a random text through an automaton of all rules but words. It tells how large a share of all
// texts satisfies these rules, and how large a share of all texts satisfies them and holds a word at most:
//
//  1. A text is of independent uniform characters of the alphabet. So the number of texts with some property is their
//     probability times that of all texts, and all below are probabilities. Texts of different lengths are weighted by
//     how many there are: those of n characters by |alphabet|^(n-Max).
//  2. A text that satisfies the rules and holds a word at position i consists of a prefix of i characters that does not
//     break the patterns, runs and maximums; of the word; and of a suffix. Wherever the prefix and the word lead, there
//     are at most as many suffixes as from the best state of the same quotas. So the share that hold a word is at most
//     the sum, over the positions, words and quotas, of share of prefixes * share of the word * best share of suffixes.
//  3. The shares are sums and products of numbers that are not negative, in float64. Each operation errs by a factor of
//     at most 1 +- 2^-53, or by 2^-1022 where it underflows. No result depends on more than 2^20 operations in a row,
//     since each layer adds two for each step from a state. So a result errs by a factor of less than 1 +- 2^-32, and,
//     with less than 2^60 operations altogether whose errors no later factor enlarges above 2^40, by less than 2^-900.
//     A processor that fuses an addition with a multiplication only rounds less.
type walk struct {
	*graph
	min      int
	each     float64 // the probability of each character
	alphabet ascii.Mask

	total    float64     // the share that satisfy the rules
	prefixes [][]float64 // by length and state of the quotas: the share of prefixes
	suffixes [][]float64 // likewise: the best share of suffixes of that length

	// The same by length, state of the quotas and stop. Nil: these are more than maxClose.
	closePrefixes, closeSuffixes [][]float64
}

// slack and underflow are more than any result errs by: see 3.
const (
	slack     = 0x1p-30
	underflow = 0x1p-900
)

// maxClose is of how many lengths, states of the quotas and stops a walk remembers the shares: 8 MB for each of two
// tables, and of a third one.
const maxClose = 1 << 20

// newWalk walks through the rules but words, and finds how large a share of all texts satisfies them. a is the
// automaton of the patterns and the ends.
func newWalk(a *automaton.DFA, r *Rules, work *automaton.Budget) (*walk, error) {
	g, err := newGraph(a, r, work)
	if err != nil {
		return nil, err
	}
	w := &walk{graph: g, min: r.Min, each: 1 / float64(r.Alphabet.Count()), alphabet: r.Alphabet}
	if err := work.Spend(g.steps()); err != nil {
		return nil, err
	}
	w.backward()
	return w, nil
}

// backward computes the shares of suffixes and the total.
func (w *walk) backward() {
	size := w.nodes * len(w.quotas.Accepts)
	current, below := make([]float64, size), make([]float64, size)
	p := w.pass()
	for left := range w.max + 1 {
		p.layer(left, current, below, w.each)
		w.suffixes = append(w.suffixes, highest(current, w.nodes))
		if w.isClose() {
			highest := func(a, b float64) float64 { return max(a, b) }
			w.closeSuffixes = append(w.closeSuffixes, w.byStop(current, highest))
		}
		if left >= w.min {
			w.total += current[0] * math.Pow(w.each, float64(w.max-left))
		}
		current, below = below, current
	}
}

// highest returns the highest share of each block.
func highest(shares []float64, size int) []float64 {
	highest := make([]float64, len(shares)/size)
	for i := range highest {
		highest[i] = slices.Max(shares[i*size:][:size])
	}
	return highest
}

// isClose reports whether shares are remembered by stop.
func (w *walk) isClose() bool { return len(w.quotas.Accepts)*len(w.stops)*(w.max+1) <= maxClose }

// byStop returns the shares of a layer by state of the quotas and stop: those of the nodes of a stop are joined.
func (w *walk) byStop(layer []float64, join func(a, b float64) float64) []float64 {
	joined := make([]float64, 0, len(w.quotas.Accepts)*len(w.stops))
	for held := range w.quotas.Accepts {
		block := layer[held*w.nodes:][:w.nodes]
		for i := range w.stops {
			all := 0.0
			for _, e := range w.stops[i].in {
				for n := range e.runs {
					all = join(all, block[int(e.first)+n])
				}
			}
			joined = append(joined, all)
		}
	}
	return joined
}

// forward computes the shares of prefixes.
func (w *walk) forward() {
	size := w.nodes * len(w.quotas.Accepts)
	current, above := make([]float64, size), make([]float64, size)
	p := w.pass()
	current[0] = 1
	for length := range w.max + 1 {
		sums := make([]float64, len(w.quotas.Accepts))
		clear(above)
		for held := range sums {
			if w.quotas.Low[held] > int32(w.max-length) {
				continue // no suffix is short enough
			}
			block := current[held*w.nodes:][:w.nodes]
			for _, share := range block {
				sums[held] += share
			}
			if sums[held] == 0 {
				continue
			}
			for i := range w.stops {
				s := &w.stops[i]
				p.enterLanes(s, int32(held))
				p.push(s, block, above, w.each)
			}
		}
		w.prefixes = append(w.prefixes, sums)
		if w.isClose() {
			w.closePrefixes = append(w.closePrefixes, w.byStop(current, func(a, b float64) float64 { return a + b }))
		}
		current, above = above, current
	}
}

// push adds the nodes of a stop to the layer above, times a factor.
func (p *pass) push(s *stop, block, above []float64, factor float64) {
	ending := p.numbers
	clear(ending)
	before := 0.0 // the share of what ends here in an earlier group, or in none
	for _, e := range s.in {
		if e.group == anyGroup {
			before += block[e.first]
			continue
		}
		for n := range e.runs {
			share := block[int(e.first)+n]
			ending[e.group] += share
			if at := p.lanes[e.group].at; at != dead && n+1 < e.runs {
				above[int(at)+n+1] += share * factor
			}
		}
	}
	for g, l := range p.lanes {
		if l.at != dead {
			above[l.at] += factor * (l.size*before + (l.size-1)*ending[g])
		}
		before += ending[g]
	}
	after := 0.0
	for g := len(p.lanes) - 1; g >= 0; g-- {
		if l := p.lanes[g]; l.at != dead {
			above[l.at] += factor * l.size * after
		}
		after += ending[g]
	}
}

// holding returns an upper bound of the share of texts that satisfy the rules and hold one of the words. It looks
// closely, which takes longer, if it seems that a word is in many of the texts.
func (w *walk) holding(words []string, work *automaton.Budget) (float64, error) {
	spellings, err := lexicon.Spellings(words, w.quotas.Atoms, work)
	if err != nil || len(spellings) == 0 {
		return 0, err
	}
	if err := work.Spend(w.steps()); err != nil {
		return 0, err
	}
	w.forward()
	held := len(w.quotas.Accepts)
	if err := work.Spend(held * (w.max + 1) * (w.max - w.min + 1 + len(spellings))); err != nil {
		return 0, err
	}
	share := w.holdingSpelt(spellings)
	if share < w.total/many {
		return share, nil
	}
	if closely, ok := w.holdingClosely(spellings, work); ok {
		return min(share, closely), nil
	}
	return share, nil
}

// many is which part of the texts must hold a word, as it seems, to look closely: as many cost 0.2 bits.
const many = 8

// holdingSpelt returns the bound of 2.
func (w *walk) holdingSpelt(spellings []lexicon.Spelling) float64 {
	held := len(w.quotas.Accepts)
	endings := w.endings()
	total := 0.0
	for _, s := range spellings {
		size := len(s.Placed)
		share := s.Ways * math.Pow(w.each, float64(size))
		sum := 0.0
		for h := range int32(held) {
			to := h
			for _, atom := range s.Placed {
				if to = w.quotas.Row(to)[atom]; to == dead {
					break
				}
			}
			if to == dead {
				continue
			}
			for start := 0; start+size <= w.max; start++ {
				sum += w.prefixes[start][h] * endings[start+size][to]
			}
		}
		total += share * sum
	}
	return total
}

// endings returns, by length of what is before and state of the quotas after it, the best share of suffixes that make a
// text of a right length.
func (w *walk) endings() [][]float64 {
	all := make([][]float64, w.max+1)
	for before := range all {
		all[before] = make([]float64, len(w.quotas.Accepts))
		for length := max(w.min, before); length <= w.max; length++ {
			weight := math.Pow(w.each, float64(w.max-length))
			for h, share := range w.suffixes[length-before] {
				all[before][h] += weight * share
			}
		}
	}
	return all
}

// atLeast and atMost return the number of texts that a share stands for, rounded down and up by more than it errs.
func (w *walk) atLeast(share float64) *big.Int { return w.texts(share*(1-slack) - underflow) }

func (w *walk) atMost(share float64) *big.Int {
	if share == 0 {
		return new(big.Int)
	}
	n := w.texts(share*(1+slack) + underflow)
	return n.Add(n, big.NewInt(1))
}

// texts returns share*|alphabet|^max, rounded down.
func (w *walk) texts(share float64) *big.Int {
	return portion(new(big.Int).Exp(big.NewInt(int64(w.alphabet.Count())), big.NewInt(int64(w.max)), nil), share)
}

// portion returns a share of a number, rounded down. It changes the number.
func portion(of *big.Int, share float64) *big.Int {
	if share <= 0 {
		return new(big.Int)
	}
	fraction, exponent := math.Frexp(share)
	of.Mul(of, big.NewInt(int64(fraction*(1<<53))))
	if exponent -= 53; exponent < 0 {
		return of.Rsh(of, uint(-exponent))
	}
	return of.Lsh(of, uint(exponent))
}
