package language

import (
	"math"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/uniform"
)

// weights number the strings that a graph accepts, with gaps between, and find the string of a rank:
//
//  1. Each node has a weight in each layer, a whole number of the layer's units, which are powers of two. The unit of
//     layer 0 is 1, and so is the weight of each node where a string may end.
//  2. In the other layers, the weight is the sum, over the characters, of the weights of the nodes that they lead to,
//     rounded up to a whole number of units. So it is at least the number of strings from there.
//  3. The ranks of the strings of some length are as many as the weight of the start is worth. The rank in units is a
//     number below that weight. Together with as many of its lower bits as two layers' units differ by, it is a number
//     in the units of the layer below; and that is in the share of a character, or in none, because of the rounding.
//     In the first case the character is the next one, and the rank within its share goes on from the node it leads to.
//     In the second case the rank is in a gap.
//  4. After the last character, the rank is a number below 1. So each string has exactly one rank.
//
// The weights are small numbers, whatever the length. So the tables are small, and drawing needs 64 bits.
type weights struct {
	*graph
	min    int
	layers []weightLayer // by number of characters left
	order  []int         // the groups, the largest first: a rank falls in these most often
	upTo   []uniform.Nat // by length from min on: how many ranks strings have that are no longer
	total  *big.Int      // of all ranks
}

// A weightLayer has the weights for one number of characters left.
type weightLayer struct {
	slots []int32  // by state of the quotas: which block of weights, or dead
	block []uint64 // a block has a weight for each node
	unit  int      // its logarithm
}

const (
	// maxWeight is the highest weight for drawing: sums of the weights that all characters lead to are exact in
	// float64.
	maxWeight = 1 << 46
	// maxWeights is how many weights are kept for drawing: 24 MB.
	maxWeights = 3 << 20
)

// newWeights numbers the strings that satisfy the automaton, the quotas and the limit of runs of the rules. No weight
// is above highest.
func newWeights(a *automaton.DFA, r *Rules, highest float64, work *automaton.Budget) (*weights, error) {
	g, err := newGraph(a, r, work)
	if err != nil {
		return nil, err
	}
	w := &weights{graph: g, min: r.Min, total: new(big.Int)}
	kept := 0
	for left := range r.Max + 1 {
		for held := range g.quotas.Accepts {
			if g.isAlive(held, left) {
				kept += g.nodes
			}
		}
	}
	if kept > maxWeights {
		return nil, automaton.ErrTooLarge
	}
	if err := work.Spend(g.steps()); err != nil {
		return nil, err
	}
	for i := range g.groups {
		w.order = append(w.order, i)
	}
	slices.SortStableFunc(w.order, func(a, b int) int { return len(g.groups[b].chars) - len(g.groups[a].chars) })
	w.fill(r.Alphabet.Count(), highest)
	return w, nil
}

// fill computes the layers and how many ranks there are.
func (w *weights) fill(characters int, highest float64) {
	size := w.nodes * len(w.quotas.Accepts)
	current, below := make([]float64, size), make([]float64, size)
	p := w.pass()
	unit, most := 0, 1.0
	var ranks []*big.Int
	for left := range w.max + 1 {
		shift := 0
		for left > 0 && float64(characters)*most > math.Ldexp(highest, shift) {
			shift++
		}
		unit += shift
		p.layer(left, current, below, math.Ldexp(1, -shift))
		most = 1
		for i, weight := range current {
			current[i] = math.Ceil(weight)
			most = max(most, current[i])
		}
		w.layers = append(w.layers, w.keep(current, left, unit))
		if left >= w.min {
			n := new(big.Int).Lsh(big.NewInt(int64(current[0])), uint(unit))
			ranks = append(ranks, new(big.Int).Set(w.total.Add(w.total, n)))
		}
		current, below = below, current
	}
	for _, upTo := range ranks {
		w.upTo = append(w.upTo, uniform.NatOf(upTo, uniform.LimbsFor(w.total)))
	}
}

// keep returns the layer of these weights.
func (w *weights) keep(all []float64, left, unit int) weightLayer {
	l := weightLayer{slots: make([]int32, len(w.quotas.Accepts)), unit: unit}
	for held := range l.slots {
		l.slots[held] = dead
		if !w.isAlive(held, left) {
			continue
		}
		l.slots[held] = int32(len(l.block) / w.nodes)
		for _, weight := range all[held*w.nodes:][:w.nodes] {
			l.block = append(l.block, uint64(weight))
		}
	}
	return l
}

// Size returns the number of ranks, which must not be changed.
func (w *weights) Size() *big.Int { return w.total }

// UnrankSteps returns about how many steps Unrank takes: for each character, unranking looks at groups until it finds
// the right one.
func (w *weights) UnrankSteps() int {
	looks, chars := 0, 0
	for n, i := range w.order {
		looks += (n + 1) * len(w.groups[i].chars)
		chars += len(w.groups[i].chars)
	}
	return 100 + w.max*(15+6*looks/chars)
}

// Unrank writes the string of a rank to dst and returns its length, or 0 if the rank is in a gap. It changes rank.
func (w *weights) Unrank(dst []byte, rank uniform.Nat) int {
	length := w.min
	for ; !rank.Less(w.upTo[length-w.min]); length++ {
	}
	if length > w.min {
		rank.Sub(w.upTo[length-w.min-1])
	}
	at, used := place{group: anyGroup}, ascii.Mask{}
	unit := w.layers[length].unit
	inUnits := bitsOf(rank, unit, 64)
	for i := range length {
		below := &w.layers[length-i-1]
		shift := unit - below.unit
		unit = below.unit
		if at = w.next(at, below, inUnits<<shift|bitsOf(rank, unit, shift)); at.group == anyGroup {
			return 0
		}
		dst[i] = w.groups[at.group].chars[at.char]
		if w.used != nil {
			dst[i] = ascii.Of(w.groups[at.group].chars).Minus(used).Nth(at.char)
			used.Add(dst[i])
		}
		inUnits = at.rank
	}
	return length
}

// bitsOf returns n bits of a number, from a bit on.
func bitsOf(x uniform.Nat, from, n int) uint64 {
	limb, shift := from/64, from%64
	bits := uint64(0)
	if limb < len(x) {
		bits = x[limb] >> shift
	}
	if limb+1 < len(x) {
		bits |= x[limb+1] << (64 - shift)
	}
	return bits & (1<<n - 1)
}

// A place is where a string has led to.
type place struct {
	state, held int32
	group, char int    // of the last character, among those that might come. anyGroup: there is none
	run         int    // how often it came in a row, less one
	rank        uint64 // within the weight of the place
}

// next returns the place after the character in whose share the rank falls. anyGroup: it falls in none.
func (w *weights) next(at place, below *weightLayer, rank uint64) place {
	s, row := &w.stops[at.state], w.quotas.Row(at.held)
	for _, i := range w.order {
		g := &w.groups[i]
		held := row[g.atom]
		if s.next[i] == dead || held == dead || below.slots[held] == dead {
			continue
		}
		first := below.block[int(below.slots[held])*w.nodes+int(s.to[i]):]
		to := place{state: s.next[i], held: held, group: i}
		others := uint64(w.choices(i, at.held))
		again := w.maxRun > 0 && i == at.group
		if again {
			others--
		}
		share := others * first[0]
		if rank < share {
			to.char, to.rank = int(rank/first[0]), rank%first[0]
			if again && to.char >= at.char {
				to.char++
			}
			return to
		}
		rank -= share
		if again && at.run+1 < w.maxRun {
			if rank < first[at.run+1] {
				to.char, to.run, to.rank = at.char, at.run+1, rank
				return to
			}
			rank -= first[at.run+1]
		}
	}
	return place{group: anyGroup}
}
