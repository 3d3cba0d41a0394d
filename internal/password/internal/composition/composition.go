// Package composition counts the strings that have enough characters of each charset, and not too many, by how many
// characters of each kind they have; and it finds the string of a rank. It does with many combinations of charsets, and
// with strings in which no character appears twice, but cannot look at neighbours.
package composition

import (
	"encoding/binary"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/quota"
	"keyvault-passwords/internal/password/internal/uniform"
)

// Rules say which strings are counted.
type Rules struct {
	quota.Rules
	First, Last ascii.Mask // the characters at the ends, within Alphabet; equal to it: any
	Distinct    bool       // no character appears twice
}

// Counted are strings with their number:
//
//  1. The alphabet is the union of its atoms, the parts that neither a charset nor First nor Last tells apart. Whether
//     a string satisfies the rules depends only on the number of characters of each atom, and on the atoms at its ends.
//  2. An atom of s characters can take n of k places in C(k,n)*s^n ways, or in C(k,n)*s*(s-1)*...*(s-n+1) ways if no
//     character may appear twice. The other atoms share the rest.
//  3. So, after the two ends are filled, the atoms take their places one after the other, and the counts multiply. What
//     a node must remember is the number of places left, and the counts of the charsets that have atoms before and
//     after.
type Counted struct {
	rules     *Rules
	atoms     []ascii.Mask
	sizes     []int    // by atom: how many characters it has
	letters   []string // by atom: its characters
	members   [][]int  // by atom: the charsets that it belongs to
	completes [][]int  // by atom: the charsets whose last atom it is
	last      []int    // by charset: its last atom
	disjoint  []int    // charsets of which no two share a character, so that their minimums add up
	sets      []quota.Charset
	atLeast   int
	distinct  bool
	longest   int
	limbs     int // of any number in drawing

	nodes      map[string]*node
	factorials []*big.Int
	work       *automaton.Budget

	roots []root
	total *big.Int
}

// A node is the state after the atoms before atom have taken their places, with left places left.
type node struct {
	atom, left int
	available  int // how many characters of the atom may still be used
	count      *big.Int
	limbs      uniform.Nat // the same as count
	branches   []branch    // one for each number of places that the atom may take
}

// A branch is the node after the atom has taken some places.
type branch struct {
	taken int
	next  *node
}

// A root is the first node of the strings of one length and of given atoms at the ends, where these are restricted.
type root struct {
	ends
	node  *node
	count uniform.Nat
}

// ends are the atoms of the first and the last character of the strings of one length.
type ends struct {
	first, last int // -1: any atom
	ways        int // in how many ways the ends can be filled
	length      int
}

// Count counts the strings that satisfy the rules. The error is automaton.ErrTooLarge.
func Count(r *Rules, work *automaton.Budget) (*Counted, error) {
	c := &Counted{
		rules: r,
		sets:  r.Charsets, atLeast: r.AtLeast, distinct: r.Distinct, longest: r.Max, nodes: map[string]*node{},
		work:  work,
		total: new(big.Int),
	}
	c.split(r)
	for length := r.Min; length <= r.Max; length++ {
		for _, e := range c.endings(r, length) {
			if err := c.addRoot(e); err != nil {
				return nil, err
			}
		}
	}
	c.prepare(r)
	return c, nil
}

// split makes the atoms.
func (c *Counted) split(r *Rules) {
	type kind struct {
		sets        uint32
		first, last bool
	}
	c.atoms = ascii.Split(r.Alphabet, func(b byte) kind {
		return kind{sets: r.Membership(b), first: r.First.Has(b), last: r.Last.Has(b)}
	})
	// Atoms of the same charsets are neighbours, so that a node has few charsets with atoms before and after.
	slices.SortStableFunc(c.atoms, func(a, b ascii.Mask) int {
		return int(int64(r.Membership(a.Lowest())) - int64(r.Membership(b.Lowest())))
	})
	c.members, c.completes = make([][]int, len(c.atoms)), make([][]int, len(c.atoms))
	c.last = make([]int, len(r.Charsets))
	for i, atom := range c.atoms {
		c.sizes = append(c.sizes, atom.Count())
		c.letters = append(c.letters, atom.Chars())
		for s, set := range r.Charsets {
			if set.Chars.Has(atom.Lowest()) {
				c.members[i] = append(c.members[i], s)
				c.last[s] = i
			}
		}
	}
	c.close()
}

// close sets completes and disjoint.
func (c *Counted) close() {
	var taken ascii.Mask
	for s, set := range c.sets {
		if set.Chars.IsEmpty() {
			continue
		}
		c.completes[c.last[s]] = append(c.completes[c.last[s]], s)
		if set.Chars.And(taken).IsEmpty() {
			c.disjoint = append(c.disjoint, s)
			taken = taken.Or(set.Chars)
		}
	}
}

// endings returns the ways to choose the atoms of the first and the last place, where these are restricted.
func (c *Counted) endings(r *Rules, length int) []ends {
	free := []int{-1}
	firsts, lasts := free, free
	if r.First != r.Alphabet {
		firsts = c.atomsIn(r.First)
	}
	if r.Last != r.Alphabet {
		lasts = c.atomsIn(r.Last)
	}
	var all []ends
	for _, first := range firsts {
		for _, last := range lasts {
			e := ends{first: first, last: last, ways: 1, length: length}
			if length == 1 && first >= 0 && last >= 0 {
				if first != last {
					continue
				}
				e.last = -1
			}
			e.ways = c.ways(e)
			if e.ways > 0 {
				all = append(all, e)
			}
		}
	}
	return all
}

// ways returns in how many ways the ends can be filled.
func (c *Counted) ways(e ends) int {
	ways := 1
	if e.first >= 0 {
		ways = c.sizes[e.first]
	}
	if e.last >= 0 {
		others := c.sizes[e.last]
		if c.distinct && e.last == e.first {
			others--
		}
		ways *= others
	}
	return ways
}

func (c *Counted) atomsIn(chars ascii.Mask) []int {
	var atoms []int
	for i, atom := range c.atoms {
		if chars.Has(atom.Lowest()) {
			atoms = append(atoms, i)
		}
	}
	return atoms
}

func (c *Counted) addRoot(e ends) error {
	n, err := c.rest(e, nil)
	if err != nil {
		return err
	}
	if n.count.Sign() > 0 {
		c.roots = append(c.roots, root{ends: e, node: n})
		c.total.Add(c.total, new(big.Int).Mul(n.count, big.NewInt(int64(e.ways))))
	}
	return nil
}

// rest returns the node after the ends, and characters of the placed atoms, have taken their places.
func (c *Counted) rest(e ends, placed []int) (*node, error) {
	held, used := make([]int, len(c.sets)+1), make([]int, len(c.atoms))
	left := e.length
	for _, atom := range append([]int{e.first, e.last}, placed...) {
		if atom < 0 {
			continue
		}
		left--
		used[atom]++
		for _, s := range c.members[atom] {
			held[s]++
		}
	}
	return c.node(0, left, held, used)
}

var emptyNode = &node{count: new(big.Int)}

// node returns the node of the atoms from the given one on. held is, by charset, how many characters a string has so
// far, and behind these how many complete charsets appear. used is, by atom, how many characters are placed already.
func (c *Counted) node(atom, left int, held, used []int) (*node, error) {
	if left < 0 {
		return emptyNode, nil
	}
	for s := range c.sets {
		if held[s] > c.sets[s].Max || c.sets[s].Chars.IsEmpty() && c.sets[s].Min > 0 {
			return emptyNode, nil
		}
	}
	key := c.key(atom, left, held, used)
	if n, ok := c.nodes[key]; ok {
		return n, nil
	}
	n := &node{atom: atom, left: left, count: new(big.Int)}
	c.nodes[key] = n
	if atom == len(c.atoms) {
		if left == 0 && held[len(c.sets)] >= c.atLeast {
			n.count.SetInt64(1)
		}
		return n, c.work.Spend(200)
	}
	n.available = c.sizes[atom]
	if c.distinct {
		n.available = max(0, n.available-used[atom])
	}
	return n, c.branch(n, held, used)
}

// branch makes the branches of a node, and its count.
func (c *Counted) branch(n *node, held, used []int) error {
	least, most := c.span(n, held)
	if least > most {
		return c.work.Spend(100)
	}
	least = max(least, 0)
	ways := c.taking(n, least)
	if err := c.work.Spend(500 + 50*len(ways.Bits())); err != nil {
		return err
	}
	product := new(big.Int)
	for taken := least; taken <= most; taken++ {
		if taken > least {
			c.takeOneMore(n, ways, taken)
		}
		next, err := c.node(n.atom+1, n.left-taken, c.after(n.atom, taken, held), used)
		if err != nil {
			return err
		}
		limbs := len(ways.Bits())
		if err := c.work.Spend(120 + 4*len(c.sets)*len(c.sets) + limbs*(5+len(next.count.Bits())/2)); err != nil {
			return err
		}
		if next.count.Sign() > 0 {
			n.count.Add(n.count, product.Mul(ways, next.count))
			n.branches = append(n.branches, branch{taken: taken, next: next})
		}
	}
	return nil
}

// takeOneMore turns ways, in which the node's atom can take taken-1 places, into those in which it can take taken.
func (c *Counted) takeOneMore(n *node, ways *big.Int, taken int) {
	chars := n.available
	if c.distinct {
		chars -= taken - 1
	}
	ways.Mul(ways, big.NewInt(int64((n.left-taken+1)*chars)))
	ways.Quo(ways, big.NewInt(int64(taken)))
}

// taking returns in how many ways the node's atom can take the given number of places.
func (c *Counted) taking(n *node, places int) *big.Int {
	ways := new(big.Int).Mul(c.factorial(places), c.factorial(n.left-places))
	ways.Quo(c.factorial(n.left), ways)
	if c.distinct {
		falling := new(big.Int).Quo(c.factorial(n.available), c.factorial(n.available-places))
		return ways.Mul(ways, falling)
	}
	return ways.Mul(ways, new(big.Int).Exp(big.NewInt(int64(n.available)), big.NewInt(int64(places)), nil))
}

func (c *Counted) factorial(n int) *big.Int {
	for i := len(c.factorials); i <= n; i++ {
		next := big.NewInt(1)
		if i > 0 {
			next.Mul(c.factorials[i-1], big.NewInt(int64(i)))
		}
		c.factorials = append(c.factorials, next)
	}
	return c.factorials[n]
}

// span returns the lowest and the highest number of places that the node's atom may take.
func (c *Counted) span(n *node, held []int) (least, most int) {
	most = n.left // less what other charsets still need
	if n.atom == len(c.atoms)-1 {
		least = n.left
	}
	for _, s := range c.disjoint {
		if c.last[s] > n.atom && !slices.Contains(c.members[n.atom], s) {
			most -= max(c.sets[s].Min-held[s], 0)
		}
	}
	if c.distinct {
		most = min(most, n.available)
	}
	for _, s := range c.members[n.atom] {
		most = min(most, c.sets[s].Max-held[s])
	}
	for _, s := range c.completes[n.atom] {
		least = max(least, c.sets[s].Min-held[s])
	}
	return least, most
}

// after returns held after the atom has taken some places. Counts stop where more makes no difference, and those of
// complete charsets are forgotten.
func (c *Counted) after(atom, taken int, held []int) []int {
	held = slices.Clone(held)
	for _, s := range c.members[atom] {
		held[s] += taken
		if c.sets[s].Max >= c.longest {
			held[s] = min(held[s], c.sets[s].Enough(c.atLeast))
		}
	}
	for _, s := range c.completes[atom] {
		if held[s] > 0 {
			held[len(c.sets)] = min(held[len(c.sets)]+1, c.atLeast)
		}
		held[s] = 0
	}
	return held
}

// key is equal for equal nodes.
func (c *Counted) key(atom, left int, held, used []int) string {
	key := make([]byte, 0, 16+2*len(held))
	key = binary.AppendUvarint(key, uint64(atom))
	key = binary.AppendUvarint(key, uint64(left))
	for _, n := range held {
		key = binary.AppendUvarint(key, uint64(n))
	}
	if c.distinct {
		for _, n := range used[atom:] {
			key = binary.AppendUvarint(key, uint64(n))
		}
	}
	return string(key)
}

// prepare turns the counts into what drawing needs. Numbers in drawing are below the number of strings of the longest
// length over the alphabet and one more character, with a limb to spare.
func (c *Counted) prepare(r *Rules) {
	most := new(big.Int).Exp(big.NewInt(int64(r.Alphabet.Count()+1)), big.NewInt(int64(r.Max)), nil)
	c.limbs = uniform.LimbsFor(most) + 1
	for _, n := range c.nodes {
		n.limbs = uniform.NatOf(n.count, uniform.LimbsFor(n.count))
	}
	for i := range c.roots {
		root := &c.roots[i]
		count := new(big.Int).Mul(root.node.count, big.NewInt(int64(root.ways)))
		root.count = uniform.NatOf(count, uniform.LimbsFor(count))
	}
}

// Size returns the number of strings, which must not be changed.
func (c *Counted) Size() *big.Int { return c.total }

// UnrankSteps returns about how many steps of a nanosecond Unrank takes.
func (c *Counted) UnrankSteps() int { return 500 + c.longest*(30+5*uniform.LimbsFor(c.total)) }
