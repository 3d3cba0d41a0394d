package language

import (
	"math/big"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/quota"
	"keyvault-passwords/internal/password/internal/uniform"
)

// A trellis counts the strings that both an automaton and quotas accept.
//
// It is the layered graph of their pairs of states. Layer n holds, for each pair, the number of strings of n characters
// that lead from there to acceptance:
//
//  1. In layer 0, the number is 1 where both states accept, and else 0.
//  2. In layer n, it is the sum, over the characters, of the numbers in layer n-1 of the pairs that they lead to. So
//     all numbers are exact.
//  3. Most states of an automaton have nearly the transitions of another, its model. So the sum of 2 is the model's
//     sum, plus and minus the terms of the transitions that differ.
//  4. The sum of 3 may wrap around in between. The result is right modulo 2^(64*limbs), and below that, so it is right.
type trellis struct {
	automaton *automaton.DFA
	quotas    *quota.Quotas
	groups    []group
	deltas    []delta // by state of the automaton
	min, max  int

	total *big.Int
}

// A group is a part of the alphabet that neither the automaton nor the quotas tell apart.
type group struct {
	atom, class int
	chars       string
}

// A delta is the difference between the transitions of a state and those of its model.
type delta struct {
	state int32
	model int32 // a state before. dead: there is none, and edges has all transitions
	edges []edge
}

// An edge is one transition that differs. Either end may be Dead.
type edge struct {
	group int
	to    int32 // where the group leads from the state
	from  int32 // where it leads from the model
}

// A layer holds the counts of all pairs of states for one number of characters left.
type layer struct {
	slots  []int32  // by state of the quotas: which block of counts, or dead
	counts []uint64 // a block has limbs for each state of the automaton
	limbs  int
}

func newTrellis(a *automaton.DFA, q *quota.Quotas, r *Rules, work *automaton.Budget) (*trellis, error) {
	tr := &trellis{automaton: a, quotas: q, groups: groupsOf(a, q), min: r.Min, max: r.Max, total: new(big.Int)}
	return tr, tr.compare(work)
}

func groupsOf(a *automaton.DFA, q *quota.Quotas) []group {
	var groups []group
	for atom, part := range q.Atoms {
		for _, chars := range ascii.Split(part, func(c byte) uint8 { return a.Class[c] }) {
			groups = append(groups, group{atom: atom, class: int(a.Class[chars.Lowest()]), chars: chars.Chars()})
		}
	}
	return groups
}

// A state that differs from every model in more than nearlyAlike classes becomes a model itself, up to maxModels of
// them.
const (
	maxModels   = 100
	nearlyAlike = 2
)

// compare finds a model for each state among the states before it.
func (tr *trellis) compare(work *automaton.Budget) error {
	a := tr.automaton
	var models []int32
	for state := range int32(len(a.Accepts)) {
		if err := work.Spend(len(models)*(2+a.Classes/8) + 3*len(tr.groups)); err != nil {
			return err
		}
		best, fewest := int32(dead), (a.Classes+1)/2 // each difference costs twice what a transition costs
		for _, model := range models {
			if n := differences(a.Row(state), a.Row(model), fewest); n < fewest {
				best, fewest = model, n
			}
			if fewest <= nearlyAlike {
				break
			}
		}
		if fewest > nearlyAlike && len(models) < maxModels {
			models = append(models, state)
		}
		tr.deltas = append(tr.deltas, delta{state: state, model: best, edges: tr.edges(state, best)})
	}
	return nil
}

// differences returns in how many places two rows differ, up to a limit.
func differences(a, b []int32, limit int) int {
	n := 0
	for i := range a {
		if a[i] != b[i] {
			if n++; n >= limit {
				break
			}
		}
	}
	return n
}

// edges returns the transitions of the state that differ from the model's.
func (tr *trellis) edges(state, model int32) []edge {
	var edges []edge
	for i, j := range tr.groups {
		e := edge{group: i, to: tr.automaton.Row(state)[j.class], from: dead}
		if model != dead {
			e.from = tr.automaton.Row(model)[j.class]
		}
		if e.to != e.from {
			edges = append(edges, e)
		}
	}
	return edges
}

// fill computes the layers, and the total.
func (tr *trellis) fill(work *automaton.Budget) error {
	widths := limbsByLength(tr.groups, tr.max)
	if err := work.Spend(tr.cost(widths, work.Steps)); err != nil {
		return err
	}
	widest := tr.widest(widths)
	if widest > maxTableWords {
		return automaton.ErrTooLarge
	}
	below, spare := layer{counts: make([]uint64, widest)}, make([]uint64, widest)
	for left := range tr.max + 1 {
		current := tr.layer(left, widths[left], below, spare)
		if count := tr.at(current, 0, 0); left >= tr.min && count != nil {
			tr.total.Add(tr.total, count.Big())
		}
		below, spare = current, below.counts[:widest]
	}
	return nil
}

// limbsByLength returns, by length, how many limbs hold the number of all strings of that length.
func limbsByLength(groups []group, maxLength int) []int {
	size := 0
	for _, j := range groups {
		size += len(j.chars)
	}
	widths := make([]int, maxLength+1)
	count := big.NewInt(1)
	for n := range widths {
		widths[n] = uniform.LimbsFor(count)
		count.Mul(count, big.NewInt(int64(size)))
	}
	return widths
}

// alive returns how many states of the quotas matter when the given number of characters is left.
func (tr *trellis) alive(left int) int {
	n := 0
	for state := range tr.quotas.Low {
		if tr.quotas.Low[state] <= int32(left) && int32(left) <= tr.quotas.High[state] {
			n++
		}
	}
	return n
}

// cost returns how many steps fill takes. It stops at a number above the limit.
func (tr *trellis) cost(widths []int, limit int) int {
	edges := len(tr.deltas)
	for _, c := range tr.deltas {
		for _, e := range c.edges {
			edges += min(int(e.to)+1, 1) + min(int(e.from)+1, 1)
		}
	}
	steps := 0
	for left, limbs := range widths {
		steps += len(tr.quotas.Low) + tr.alive(left)*(len(tr.groups)+edges*(2+limbs))
		if steps > limit {
			break
		}
	}
	return steps
}

// widest returns the size of the largest layer in 64-bit words.
func (tr *trellis) widest(widths []int) int {
	widest := 0
	for left, limbs := range widths {
		widest = max(widest, len(tr.quotas.Low)/2+tr.alive(left)*len(tr.deltas)*limbs)
	}
	return widest
}

// layer returns the counts for the given number of characters left, from the layer for one less. They are in spare.
func (tr *trellis) layer(left, limbs int, below layer, spare []uint64) layer {
	current := layer{slots: make([]int32, len(tr.quotas.Low)), limbs: limbs}
	blocks := 0
	for state := range current.slots {
		current.slots[state] = dead
		if tr.quotas.Low[state] <= int32(left) && int32(left) <= tr.quotas.High[state] {
			current.slots[state] = int32(blocks)
			blocks++
		}
	}
	size := len(tr.deltas) * limbs
	current.counts = spare[:blocks*size]
	clear(current.counts)
	starts := make([]int, len(tr.groups))
	for state, slot := range current.slots {
		if slot == dead {
			continue
		}
		block := current.counts[int(slot)*size:][:size]
		if left == 0 {
			tr.accepted(block, int32(state))
			continue
		}
		row := tr.quotas.Row(int32(state))
		for i := range starts {
			starts[i] = dead
			if to := row[tr.groups[i].atom]; to != dead && below.slots[to] != dead {
				starts[i] = int(below.slots[to]) * len(tr.deltas) * below.limbs
			}
		}
		tr.sum(block, limbs, starts, below)
	}
	return current
}

// accepted sets the counts of a block of layer 0: 1 where a string may end.
func (tr *trellis) accepted(block []uint64, state int32) {
	for i, accepts := range tr.automaton.Accepts {
		if accepts && tr.quotas.Accepts[state] {
			block[i] = 1
		}
	}
}

// start returns where the block of a state of the quotas begins in the layer, or Dead if it has none.
func (tr *trellis) start(l layer, state int32) int {
	if state == dead || l.slots[state] == dead {
		return dead
	}
	return int(l.slots[state]) * len(tr.deltas) * l.limbs
}

// sum sets the counts of a block. Group i leads to the block of the layer below that begins at starts[i].
func (tr *trellis) sum(block []uint64, limbs int, starts []int, below layer) {
	for i := range tr.deltas {
		c := &tr.deltas[i]
		count := uniform.Nat(block[int(c.state)*limbs:][:limbs])
		if c.model != dead {
			copy(count, block[int(c.model)*limbs:][:limbs])
		}
		for _, e := range c.edges {
			start := starts[e.group]
			if start == dead {
				continue
			}
			size := uint64(len(tr.groups[e.group].chars))
			if e.to != dead {
				count.AddMul(below.counts[start+int(e.to)*below.limbs:][:below.limbs], size)
			}
			if e.from != dead {
				count.SubMul(below.counts[start+int(e.from)*below.limbs:][:below.limbs], size)
			}
		}
	}
}

// at returns the count of a pair of states in the layer. Nil: it is 0.
func (tr *trellis) at(l layer, state, held int32) uniform.Nat {
	start := tr.start(l, held)
	if start == dead || state == dead {
		return nil
	}
	return l.counts[start+int(state)*l.limbs:][:l.limbs]
}
