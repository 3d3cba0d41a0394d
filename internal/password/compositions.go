package password

import (
	"encoding/binary"
	"math/big"
	"slices"
)

// Compositions count the strings that have enough characters of each charset and not too many, without looking at any
// string: by how many characters there are of each part of the alphabet (its atoms). Some n of k places can be taken
// by an atom of s characters in C(k,n)*s^n ways, or C(k,n)*s*(s-1)*...*(s-n+1) where no character may appear twice; the
// rest is left to the other atoms. The atoms are taken one after the other, so that all that must be remembered is how
// many places are left and how many characters there are of each charset that has atoms before and after.
//
// The rules for the first and the last character are met by filling these two places first.
type compositions struct {
	atoms    []charMask // the parts of the alphabet that neither a charset nor first nor last tells apart
	sizes    []int
	letters  []string
	members  [][]int // by atom: the charsets it belongs to
	closing  [][]int // by atom: the charsets whose last atom it is
	last     []int   // by charset: its last atom
	apart    []int   // charsets of which no two have a character in common, so that their minimums add up
	sets     []bounds
	atLeast  int
	distinct bool
	longest  int
	limbs    int // of any number in drawing

	nodes      map[string]*node
	factorials []*big.Int
	work       *budget

	roots []root
	total *big.Int
}

// A node is what remains when some atoms have had their places: the others, and the places left.
type node struct {
	atom, left int
	avail      int // how many characters the atom still has
	count      *big.Int
	limbs      nat
	branches   []branch // one for each number of places that the atom may take
}

type branch struct {
	taken int
	next  *node
}

// A root is a length together with the atoms of the first and the last character, where these are restricted.
type root struct {
	ends
	node  *node
	count nat
}

// ends says which atoms the first and the last character are of, -1 where any will do, and in how many ways.
type ends struct {
	first, last int
	ways        int
	length      int
}

// newCompositions counts the strings of the rules that are about characters: what other rules forbid is not looked at.
func newCompositions(r *rules, work *budget) (*compositions, error) {
	c := &compositions{
		sets: r.sets, atLeast: r.atLeast, distinct: r.distinct, longest: r.max, nodes: map[string]*node{}, work: work,
		total: new(big.Int),
	}
	c.split(r)
	for length := r.min; length <= r.max; length++ {
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
func (c *compositions) split(r *rules) {
	type kind struct {
		sets        uint32
		first, last bool
	}
	c.atoms = splitBy(r.alphabet, func(b byte) kind {
		return kind{membership(r.sets, b), r.first.has(b), r.last.has(b)}
	})
	// Atoms of one charset stand together, so that few charsets are open at a time.
	slices.SortStableFunc(c.atoms, func(a, b charMask) int {
		return int(int64(membership(r.sets, a.lowest())) - int64(membership(r.sets, b.lowest())))
	})
	c.members, c.closing = make([][]int, len(c.atoms)), make([][]int, len(c.atoms))
	c.last = make([]int, len(r.sets))
	for i, atom := range c.atoms {
		c.sizes = append(c.sizes, atom.count())
		c.letters = append(c.letters, atom.chars())
		for s, set := range r.sets {
			if set.chars.has(atom.lowest()) {
				c.members[i] = append(c.members[i], s)
				c.last[s] = i
			}
		}
	}
	c.close()
}

// close finds out where charsets end, and which have no character in common.
func (c *compositions) close() {
	var taken charMask
	for s, set := range c.sets {
		if set.chars.isEmpty() {
			continue
		}
		c.closing[c.last[s]] = append(c.closing[c.last[s]], s)
		if set.chars.and(taken).isEmpty() {
			c.apart = append(c.apart, s)
			taken = taken.or(set.chars)
		}
	}
}

// endings returns the ways to fill the first and the last place, where these are restricted.
func (c *compositions) endings(r *rules, length int) []ends {
	free := []int{-1}
	firsts, lasts := free, free
	if r.first != r.alphabet {
		firsts = c.atomsIn(r.first)
	}
	if r.last != r.alphabet {
		lasts = c.atomsIn(r.last)
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
func (c *compositions) ways(e ends) int {
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

func (c *compositions) atomsIn(chars charMask) []int {
	var atoms []int
	for i, atom := range c.atoms {
		if chars.has(atom.lowest()) {
			atoms = append(atoms, i)
		}
	}
	return atoms
}

func (c *compositions) addRoot(e ends) error {
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

// rest returns the node of a string whose ends, and some more characters of given atoms, have their places already.
func (c *compositions) rest(e ends, placed []int) (*node, error) {
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

// node returns the node of the atoms from the given one on. held is how many characters there are of each charset, and
// behind those how many closed charsets appear; used is how many of each atom.
func (c *compositions) node(atom, left int, held, used []int) (*node, error) {
	if left < 0 {
		return emptyNode, nil
	}
	for s := range c.sets {
		if held[s] > c.sets[s].max || c.sets[s].chars.isEmpty() && c.sets[s].min > 0 {
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
		return n, c.work.spend(200)
	}
	n.avail = c.sizes[atom]
	if c.distinct {
		n.avail = max(0, n.avail-used[atom])
	}
	return n, c.branch(n, held, used)
}

// branch makes the branches of a node, and its count.
func (c *compositions) branch(n *node, held, used []int) error {
	least, most := c.span(n, held)
	if least > most {
		return c.work.spend(100)
	}
	least = max(least, 0)
	ways := c.taking(n, least)
	if err := c.work.spend(500 + 50*len(ways.Bits())); err != nil {
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
		if err := c.work.spend(120 + 4*len(c.sets)*len(c.sets) + limbs*(5+len(next.count.Bits())/2)); err != nil {
			return err
		}
		if next.count.Sign() > 0 {
			n.count.Add(n.count, product.Mul(ways, next.count))
			n.branches = append(n.branches, branch{taken, next})
		}
	}
	return nil
}

// takeOneMore makes of the ways in which the node's atom can take one place less those in which it can take so many.
func (c *compositions) takeOneMore(n *node, ways *big.Int, taken int) {
	chars := n.avail
	if c.distinct {
		chars -= taken - 1
	}
	ways.Mul(ways, big.NewInt(int64((n.left-taken+1)*chars)))
	ways.Quo(ways, big.NewInt(int64(taken)))
}

// taking returns in how many ways the node's atom can take so many places.
func (c *compositions) taking(n *node, places int) *big.Int {
	ways := new(big.Int).Mul(c.factorial(places), c.factorial(n.left-places))
	ways.Quo(c.factorial(n.left), ways)
	if c.distinct {
		falling := new(big.Int).Quo(c.factorial(n.avail), c.factorial(n.avail-places))
		return ways.Mul(ways, falling)
	}
	return ways.Mul(ways, new(big.Int).Exp(big.NewInt(int64(n.avail)), big.NewInt(int64(places)), nil))
}

func (c *compositions) factorial(n int) *big.Int {
	for i := len(c.factorials); i <= n; i++ {
		next := big.NewInt(1)
		if i > 0 {
			next.Mul(c.factorials[i-1], big.NewInt(int64(i)))
		}
		c.factorials = append(c.factorials, next)
	}
	return c.factorials[n]
}

// span returns how many places the node's atom may take, at the least and at the most.
func (c *compositions) span(n *node, held []int) (least, most int) {
	most = n.left // less what others need
	if n.atom == len(c.atoms)-1 {
		least = n.left
	}
	for _, s := range c.apart {
		if c.last[s] > n.atom && !slices.Contains(c.members[n.atom], s) {
			most -= max(c.sets[s].min-held[s], 0)
		}
	}
	if c.distinct {
		most = min(most, n.avail)
	}
	for _, s := range c.members[n.atom] {
		most = min(most, c.sets[s].max-held[s])
	}
	for _, s := range c.closing[n.atom] {
		least = max(least, c.sets[s].min-held[s])
	}
	return least, most
}

// after returns held after the atom has taken so many places. Counts stop where more makes no difference, and those of
// closed charsets are forgotten.
func (c *compositions) after(atom, taken int, held []int) []int {
	held = slices.Clone(held)
	for _, s := range c.members[atom] {
		held[s] += taken
		if c.sets[s].max >= c.longest {
			held[s] = min(held[s], c.sets[s].enough(c.atLeast))
		}
	}
	for _, s := range c.closing[atom] {
		if held[s] > 0 {
			held[len(c.sets)] = min(held[len(c.sets)]+1, c.atLeast)
		}
		held[s] = 0
	}
	return held
}

// key tells apart what makes a difference to a node's count.
func (c *compositions) key(atom, left int, held, used []int) string {
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

// prepare makes what drawing needs of the counts. Numbers in drawing count strings of at most the longest length over
// the alphabet and one mark more, with a limb to spare.
func (c *compositions) prepare(r *rules) {
	most := new(big.Int).Exp(big.NewInt(int64(r.alphabet.count()+1)), big.NewInt(int64(r.max)), nil)
	c.limbs = limbsFor(most) + 1
	for _, n := range c.nodes {
		n.limbs = natOf(n.count, limbsFor(n.count))
	}
	for i := range c.roots {
		root := &c.roots[i]
		count := new(big.Int).Mul(root.node.count, big.NewInt(int64(root.ways)))
		root.count = natOf(count, limbsFor(count))
	}
}

func (c *compositions) size() *big.Int { return c.total }
