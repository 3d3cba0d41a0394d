package password

// unrank writes the string of that rank to dst, and returns its length. Ranks go from 0 to the size, exclusive. It
// uses rank up.
//
// First the rank decides the length and the ends, then how many places each atom takes. What is left of it numbers the
// strings that are alike in all of this: by their characters, and by which places are whose.
func (c *compositions) unrank(dst []byte, rank nat) int {
	root := c.pickRoot(rank)
	d := composing{compositions: c, rank: rank, text: dst[:root.length]}
	d.pickEnds(root, int(rank.divSmall(uint64(root.ways))))
	d.pickPlaces(root.node)
	d.pickCharacters()
	d.arrange()
	return root.length
}

// pickRoot returns the root in whose share the rank falls, and makes rank the rank within that share.
func (c *compositions) pickRoot(rank nat) *root {
	last := len(c.roots) - 1
	for i := range c.roots[:last] {
		if rank.less(c.roots[i].count) {
			return &c.roots[i]
		}
		rank.sub(c.roots[i].count)
	}
	return &c.roots[last]
}

// composing is the state of one draw.
type composing struct {
	*compositions
	rank  nat
	text  []byte   // without the ends, once these are written
	used  charMask // where no character may appear twice: those that do
	taken [128]int // places, by atom
	alike nat      // how many ways there are to share out the places as taken says

	characters [maxLength]byte // in the order of the atoms
	store      [6][maxLimbs]uint64
}

// pickEnds writes the first and the last character, where these are restricted: the index-th of the ways to do so.
func (d *composing) pickEnds(root *root, index int) {
	lasts := d.ways(ends{first: -1, last: root.last})
	if d.distinct && root.first >= 0 && root.first == root.last {
		lasts--
	}
	if root.first >= 0 {
		d.text[0] = d.pick(root.first, index/lasts)
		d.text = d.text[1:]
	}
	if root.last >= 0 {
		end := len(d.text) - 1
		d.text[end] = d.pick(root.last, index%lasts)
		d.text = d.text[:end]
	}
}

// pick returns the index-th character of an atom, among those that may still be used.
func (d *composing) pick(atom, index int) byte {
	if !d.distinct {
		return d.letters[atom][index]
	}
	c := d.atoms[atom].less(d.used).nth(index)
	d.used[c>>6] |= 1 << (c & 63)
	return c
}

// pickPlaces decides how many places each atom takes.
func (d *composing) pickPlaces(n *node) {
	chosen, alike := d.one(0), d.one(1) // in how many ways the atoms so far take what they take; the places alone
	for n.atom < len(d.atoms) {
		ways, places := d.one(2), d.one(3) // likewise, of this atom
		b := d.pickBranch(n, chosen, ways, places)
		d.taken[n.atom] = b.taken
		n = b.next
		product := nat(d.store[4][:d.limbs])
		product.setMul(chosen.trim(), ways.trim())
		copy(chosen, product)
		product.setMul(alike.trim(), places.trim())
		copy(alike, product)
	}
	d.alike = alike
}

// one returns the number 1 in one of the numbers of the draw.
func (d *composing) one(i int) nat {
	n := nat(d.store[i][:d.limbs])
	clear(n)
	n[0] = 1
	return n
}

// pickBranch returns the branch in whose share the rank falls, and makes rank the rank within that share. It makes
// ways the ways in which the atom takes its places and characters, and places those of the places alone.
func (d *composing) pickBranch(n *node, chosen, ways, places nat) branch {
	taken, last := 0, len(n.branches)-1
	for i, b := range n.branches {
		for ; taken < b.taken; taken++ {
			chars := n.avail
			if d.distinct {
				chars -= taken
			}
			ways.mulSmall(uint64((n.left - taken) * chars))
			ways.divSmall(uint64(taken + 1))
			places.mulSmall(uint64(n.left - taken))
			places.divSmall(uint64(taken + 1))
		}
		if i == last {
			break
		}
		product, share := nat(d.store[4][:d.limbs]), nat(d.store[5][:d.limbs])
		product.setMul(chosen.trim(), ways.trim())
		share.setMul(product.trim(), b.next.limbs)
		if d.rank.less(share) {
			return b
		}
		d.rank.sub(share.trim())
	}
	return n.branches[last]
}

// pickCharacters chooses the characters that each atom puts in its places.
func (d *composing) pickCharacters() {
	written := 0
	for atom := range d.atoms {
		chars := d.sizes[atom]
		if d.distinct {
			chars = d.atoms[atom].less(d.used).count()
		}
		for range d.taken[atom] {
			d.rank = d.rank.trim()
			d.characters[written] = d.pick(atom, int(d.rank.divSmall(uint64(chars))))
			written++
			if d.distinct {
				chars--
			}
		}
	}
}

// arrange gives each place to an atom. Of the ways to share out the places, an atom that has n of the k places left
// has the next one in n/k of them.
func (d *composing) arrange() {
	var starts [128]int
	for atom := 1; atom < len(d.atoms); atom++ {
		starts[atom] = starts[atom-1] + d.taken[atom-1]
	}
	d.rank = d.rank.trim()
	for i := range d.text {
		left := uint64(len(d.text) - i)
		d.alike = d.alike.trim()
		share := nat(d.store[4][:len(d.alike)+1])
		for atom := range d.atoms {
			if d.taken[atom] == 0 {
				continue
			}
			share.set(d.alike)
			share.mulSmall(uint64(d.taken[atom]))
			share.divSmall(left)
			if d.rank.less(share) {
				copy(d.alike, share)
				d.text[i] = d.characters[starts[atom]]
				starts[atom]++
				d.taken[atom]--
				break
			}
			d.rank.sub(share.trim())
		}
	}
}
