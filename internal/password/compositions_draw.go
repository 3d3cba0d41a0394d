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
	var store [maxLimbs]uint64
	alike := nat(store[:c.limbs])
	d.pickPlaces(root.node, alike)
	d.pickCharacters()
	d.arrange(alike)
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

	characters [maxLength]byte // in the order of the atoms
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

// pickPlaces decides how many places each atom takes. It sets alike to the number of ways in which the places can be
// shared out so.
func (d *composing) pickPlaces(n *node, alike nat) {
	var store [5][maxLimbs]uint64
	chosen := nat(store[0][:d.limbs]) // in how many ways the atoms so far take what they take
	w := shares{
		ways: store[1][:d.limbs], places: store[2][:d.limbs], product: store[3][:d.limbs], share: store[4][:d.limbs],
	}
	alike.setOne()
	chosen.setOne()
	for n.atom < len(d.atoms) {
		b := d.pickBranch(n, chosen, w)
		d.taken[n.atom] = b.taken
		n = b.next
		w.product.setMul(chosen.trim(), w.ways.trim())
		copy(chosen, w.product)
		w.product.setMul(alike.trim(), w.places.trim())
		copy(alike, w.product)
	}
}

// shares are the numbers by which a branch is picked.
type shares struct {
	ways, places   nat // in how many ways the atom takes its places and characters, and its places alone
	product, share nat
}

// pickBranch returns the branch in whose share the rank falls, and makes rank the rank within that share. Afterwards,
// ways and places are those of the branch.
func (d *composing) pickBranch(n *node, chosen nat, w shares) branch {
	w.ways.setOne()
	w.places.setOne()
	taken, last := 0, len(n.branches)-1
	for i, b := range n.branches {
		for ; taken < b.taken; taken++ {
			chars := n.avail
			if d.distinct {
				chars -= taken
			}
			w.ways.mulSmall(uint64((n.left - taken) * chars))
			w.ways.divSmall(uint64(taken + 1))
			w.places.mulSmall(uint64(n.left - taken))
			w.places.divSmall(uint64(taken + 1))
		}
		if i == last {
			break
		}
		w.product.setMul(chosen.trim(), w.ways.trim())
		w.share.setMul(w.product.trim(), b.next.limbs)
		if d.rank.less(w.share) {
			return b
		}
		d.rank.sub(w.share.trim())
	}
	return n.branches[last]
}

// pickCharacters chooses the characters that each atom puts in its places.
func (d *composing) pickCharacters() {
	written := 0
	for atom := range d.atoms {
		places := d.characters[written:][:d.taken[atom]]
		written += d.taken[atom]
		switch {
		case d.distinct:
			d.pickDistinct(places, atom)
		case d.sizes[atom] > 1:
			d.pickAny(places, d.letters[atom])
		default:
			for i := range places {
				places[i] = d.letters[atom][0]
			}
		}
	}
}

func (d *composing) pickDistinct(places []byte, atom int) {
	chars := d.atoms[atom].less(d.used).count()
	for i := range places {
		places[i] = d.pick(atom, int(d.rank.divSmall(uint64(chars-i))))
	}
}

// pickAny fills the places with any of two characters or more. It takes from the rank the choices of several places at
// once, as many as a 64-bit number holds, since dividing the rank takes longest.
func (d *composing) pickAny(places []byte, letters string) {
	size := uint64(len(letters))
	for len(places) > 0 {
		ways, n := size, 1
		for n < len(places) && ways < 1<<57 {
			ways *= size
			n++
		}
		d.rank = d.rank.trim()
		choices := d.rank.divSmall(ways)
		for i := range places[:n] {
			places[i] = letters[choices%size]
			choices /= size
		}
		places = places[n:]
	}
}

// arrange gives each place to an atom. Of the ways to share out the places (alike, which it uses up), an atom that has
// n of the k places left has the next one in n/k of them.
func (d *composing) arrange(alike nat) {
	var starts [128]int
	var store [maxLimbs]uint64
	for atom := 1; atom < len(d.atoms); atom++ {
		starts[atom] = starts[atom-1] + d.taken[atom-1]
	}
	d.rank = d.rank.trim()
	for i := range d.text {
		left := uint64(len(d.text) - i)
		if alike = alike.trim(); len(alike) == 1 && alike[0] < 1<<54 {
			d.arrangeFew(d.text[i:], &starts, alike[0], d.rank[0])
			return
		}
		share := nat(store[:len(alike)+1])
		for atom := range d.atoms {
			if d.taken[atom] == 0 {
				continue
			}
			share.set(alike)
			share.mulSmall(uint64(d.taken[atom]))
			share.divSmall(left)
			if d.rank.less(share) {
				copy(alike, share)
				d.place(&d.text[i], atom, &starts)
				break
			}
			d.rank.sub(share.trim())
		}
	}
}

// arrangeFew does the same where the ways are so few that their product with a number of places fits in 64 bits.
func (d *composing) arrangeFew(text []byte, starts *[128]int, alike, rank uint64) {
	for i := range text {
		left := uint64(len(text) - i)
		for atom := range d.atoms {
			share := alike * uint64(d.taken[atom]) / left
			if rank < share {
				alike = share
				d.place(&text[i], atom, starts)
				break
			}
			rank -= share
		}
	}
}

// place writes the atom's next character.
func (d *composing) place(at *byte, atom int, starts *[128]int) {
	*at = d.characters[starts[atom]]
	starts[atom]++
	d.taken[atom]--
}
