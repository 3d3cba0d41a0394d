package password

import (
	"math/big"
)

// A trellis counts the strings that an automaton accepts and whose characters quotas accept, and finds the string of
// a given rank among them.
//
// It is the layered graph of their common states: the layer of n holds, for each pair of states, how many strings of n
// more characters lead from there to acceptance. Each number is the sum of those one layer below, one for each
// character; so all of it is exact. What makes it quick is that most states of an automaton lead where a few others
// lead, but for some characters: the number of a state is that of its model, plus and minus the difference that these
// characters make. (In between, numbers wrap around; in the end they are right, since they are less than the modulus.)
type trellis struct {
	automaton *automaton
	quotas    *quotas
	joints    []joint
	changes   []change // by state of the automaton
	min, max  int

	layers []layer // by number of characters left; nil if they are not kept
	total  *big.Int
}

// A joint is a part of the alphabet that neither the automaton nor the quotas tell apart.
type joint struct {
	atom, class int
	chars       string
}

// A change says how the transitions of a state differ from those of its model.
type change struct {
	state, model int32 // the model is a state before; dead where there is none: then all transitions are listed
	edges        []edge
}

// An edge is where a joint leads from a state, and from its model in place of it. Either may be dead.
type edge struct {
	joint    int
	to, from int32
}

// A layer holds the counts of all states with so many characters left.
type layer struct {
	slots  []int32  // by state of the quotas: which block of counts, or dead
	counts []uint64 // a block has limbs for each state of the automaton
	limbs  int
}

func newTrellis(a *automaton, q *quotas, r *rules, work *budget) (*trellis, error) {
	tr := &trellis{automaton: a, quotas: q, min: r.min, max: r.max, total: new(big.Int)}
	for atom, part := range q.atoms {
		for _, chars := range splitBy(part, func(c byte) uint8 { return a.class[c] }) {
			tr.joints = append(tr.joints, joint{atom, int(a.class[chars.lowest()]), chars.chars()})
		}
	}
	return tr, tr.compare(work)
}

// maxModels is how many states may serve as models. A state is one if it has none that is nearly like it.
const (
	maxModels   = 100
	nearlyAlike = 2
)

// compare finds a model for each state among those before it.
func (tr *trellis) compare(work *budget) error {
	a := tr.automaton
	var models []int32
	for state := range int32(len(a.accepts)) {
		if err := work.spend(len(models)*(2+a.classes/8) + 3*len(tr.joints)); err != nil {
			return err
		}
		best, fewest := int32(dead), (a.classes+1)/2 // each difference costs twice what a transition costs
		for _, model := range models {
			if n := differences(a.row(state), a.row(model), fewest); n < fewest {
				best, fewest = model, n
			}
			if fewest <= nearlyAlike {
				break
			}
		}
		if fewest > nearlyAlike && len(models) < maxModels {
			models = append(models, state)
		}
		tr.changes = append(tr.changes, change{state, best, tr.edges(state, best)})
	}
	return nil
}

// differences counts in how many places two rows differ, up to a limit.
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

// edges returns how the state's transitions differ from the model's.
func (tr *trellis) edges(state, model int32) []edge {
	var edges []edge
	for i, j := range tr.joints {
		e := edge{joint: i, to: tr.automaton.row(state)[j.class], from: dead}
		if model != dead {
			e.from = tr.automaton.row(model)[j.class]
		}
		if e.to != e.from {
			edges = append(edges, e)
		}
	}
	return edges
}

// fill counts. The layers are kept for drawing if they are not too large.
func (tr *trellis) fill(work *budget) error {
	widths := limbsByLength(tr.joints, tr.max)
	if err := work.spend(tr.cost(widths)); err != nil {
		return err
	}
	words, widest := tr.words(widths)
	if widest > maxTableWords {
		return errTooLarge
	}
	keep := words <= maxTableWords
	var below layer
	for left := range tr.max + 1 {
		current := tr.layer(left, widths[left], below)
		if count := tr.at(current, 0, 0); left >= tr.min && count != nil {
			tr.total.Add(tr.total, count.big())
		}
		if keep {
			tr.layers = append(tr.layers, current)
		}
		below = current
	}
	return nil
}

// limbsByLength returns how many limbs hold the number of all strings of so many characters.
func limbsByLength(joints []joint, maxLength int) []int {
	size := 0
	for _, j := range joints {
		size += len(j.chars)
	}
	widths := make([]int, maxLength+1)
	count := big.NewInt(1)
	for n := range widths {
		widths[n] = limbsFor(count)
		count.Mul(count, big.NewInt(int64(size)))
	}
	return widths
}

// alive returns how many states of the quotas matter with so many characters left.
func (tr *trellis) alive(left int) int {
	n := 0
	for state := range tr.quotas.low {
		if tr.quotas.low[state] <= int32(left) && int32(left) <= tr.quotas.high[state] {
			n++
		}
	}
	return n
}

// cost returns how many steps fill takes.
func (tr *trellis) cost(widths []int) int {
	edges := len(tr.changes)
	for _, c := range tr.changes {
		for _, e := range c.edges {
			edges += min(int(e.to)+1, 1) + min(int(e.from)+1, 1)
		}
	}
	steps := 0
	for left, limbs := range widths {
		steps += len(tr.quotas.low) + tr.alive(left)*(len(tr.joints)+edges*(2+limbs))
		if steps > maxCountSteps {
			break
		}
	}
	return steps
}

// words returns the size of all layers in 64-bit words, and that of the largest.
func (tr *trellis) words(widths []int) (all, widest int) {
	for left, limbs := range widths {
		words := len(tr.quotas.low)/2 + tr.alive(left)*len(tr.changes)*limbs
		all, widest = all+words, max(widest, words)
	}
	return all, widest
}

// layer returns the counts with so many characters left, from those with one less.
func (tr *trellis) layer(left, limbs int, below layer) layer {
	current := layer{slots: make([]int32, len(tr.quotas.low)), limbs: limbs}
	blocks := 0
	for state := range current.slots {
		current.slots[state] = dead
		if tr.quotas.low[state] <= int32(left) && int32(left) <= tr.quotas.high[state] {
			current.slots[state] = int32(blocks)
			blocks++
		}
	}
	size := len(tr.changes) * limbs
	current.counts = make([]uint64, blocks*size)
	starts := make([]int, len(tr.joints))
	for state, slot := range current.slots {
		if slot == dead {
			continue
		}
		block := current.counts[int(slot)*size:][:size]
		if left == 0 {
			tr.accepted(block, int32(state))
			continue
		}
		for i, j := range tr.joints {
			starts[i] = tr.start(below, tr.quotas.row(int32(state))[j.atom])
		}
		tr.sum(block, limbs, starts, below)
	}
	return current
}

// accepted sets the counts with nothing left: 1 where a string may end.
func (tr *trellis) accepted(block []uint64, state int32) {
	for i, accepts := range tr.automaton.accepts {
		if accepts && tr.quotas.accepts[state] {
			block[i] = 1
		}
	}
}

// start returns where the block of a state of the quotas begins in the layer, or dead if it has none.
func (tr *trellis) start(l layer, state int32) int {
	if state == dead || l.slots[state] == dead {
		return dead
	}
	return int(l.slots[state]) * len(tr.changes) * l.limbs
}

// sum sets the counts of a block. The joint i leads to the block of the layer below that begins at starts[i].
func (tr *trellis) sum(block []uint64, limbs int, starts []int, below layer) {
	for i := range tr.changes {
		c := &tr.changes[i]
		count := nat(block[int(c.state)*limbs:][:limbs])
		if c.model != dead {
			copy(count, block[int(c.model)*limbs:][:limbs])
		}
		for _, e := range c.edges {
			start := starts[e.joint]
			if start == dead {
				continue
			}
			size := uint64(len(tr.joints[e.joint].chars))
			if e.to != dead {
				count.addMul(below.counts[start+int(e.to)*below.limbs:][:below.limbs], size)
			}
			if e.from != dead {
				count.subMul(below.counts[start+int(e.from)*below.limbs:][:below.limbs], size)
			}
		}
	}
}

// at returns the count of a pair of states in the layer, or nil where the count is 0 for sure.
func (tr *trellis) at(l layer, state, held int32) nat {
	start := tr.start(l, held)
	if start == dead || state == dead {
		return nil
	}
	return l.counts[start+int(state)*l.limbs:][:l.limbs]
}

func (tr *trellis) size() *big.Int { return tr.total }

// unrank writes the string of that rank to dst, and returns its length. Ranks go from 0 to the size, exclusive. It
// uses rank up.
func (tr *trellis) unrank(dst []byte, rank nat) int {
	length := tr.min
	for ; length < tr.max; length++ {
		count := tr.at(tr.layers[length], 0, 0)
		if count != nil {
			if rank.less(count) {
				break
			}
			rank.sub(count.trim())
		}
	}
	var scratch [maxLimbs]uint64
	var state, held int32
	for i := range length {
		below := tr.layers[length-i-1]
		rank = rank[:min(len(rank), tr.layers[length-i].limbs)]
		j := tr.choose(below, state, held, rank, scratch[:below.limbs+1])
		chars := tr.joints[j].chars
		dst[i] = chars[rank.divSmall(uint64(len(chars)))]
		state = tr.automaton.row(state)[tr.joints[j].class]
		held = tr.quotas.row(held)[tr.joints[j].atom]
	}
	return length
}

// choose returns the joint in whose share the rank falls, and makes rank the rank within that share.
func (tr *trellis) choose(below layer, state, held int32, rank nat, share nat) int {
	last := 0
	for i := range tr.joints {
		j := &tr.joints[i]
		count := tr.at(below, tr.automaton.row(state)[j.class], tr.quotas.row(held)[j.atom])
		if count == nil {
			continue
		}
		last = i
		clear(share)
		share.addMul(count, uint64(len(j.chars)))
		if rank.less(share) {
			break
		}
		rank.sub(share.trim())
	}
	return last
}
