package composition

import (
	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/uniform"
)

// MaxLimbs is how many limbs any number in a draw needs: one that counts strings over 95 characters and a separator,
// with one limb to spare for a product before it is divided.
const MaxLimbs = (lexicon.MaxText*7+63)/64 + 1

// Unrank writes the string of a rank to dst, and returns its length. Ranks go from 0 to the size, exclusive. It changes
// rank.
//
// The rank first decides the length and the ends, then how many places each atom takes. The rest of the rank numbers
// the strings that are equal in all of this: first by their characters, then by which places belong to which atom.
func (c *Counted) Unrank(dst []byte, rank uniform.Nat) int {
	root := c.pickRoot(rank)
	d := unranking{Counted: c, rank: rank, text: dst[:root.length]}
	d.pickEnds(root, int(rank.DivSmall(uint64(root.ways))))
	var store [MaxLimbs]uint64
	alike := uniform.Nat(store[:c.limbs])
	d.pickPlaces(root.node, alike)
	d.pickCharacters()
	d.arrange(alike)
	return root.length
}

// pickRoot returns the root in whose share the rank falls, and makes rank the rank within that share.
func (c *Counted) pickRoot(rank uniform.Nat) *root {
	last := len(c.roots) - 1
	for i := range c.roots[:last] {
		if rank.Less(c.roots[i].count) {
			return &c.roots[i]
		}
		rank.Sub(c.roots[i].count)
	}
	return &c.roots[last]
}

// unranking is the state of one draw.
type unranking struct {
	*Counted
	rank  uniform.Nat
	text  []byte     // without the ends, once these are written
	used  ascii.Mask // the characters that are written, where none may appear twice
	taken [128]int   // places, by atom

	characters [lexicon.MaxText]byte // in the order of the atoms
}

// pickEnds writes the first and the last character where these are restricted, in the index-th of the ways to do so.
func (d *unranking) pickEnds(root *root, index int) {
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

// pick returns the index-th of the characters of an atom that may still be used.
func (d *unranking) pick(atom, index int) byte {
	if !d.distinct {
		return d.letters[atom][index]
	}
	c := d.atoms[atom].Minus(d.used).Nth(index)
	d.used.Add(c)
	return c
}

// pickPlaces decides how many places each atom takes, and sets alike to the number of ways to give the atoms that many.
func (d *unranking) pickPlaces(n *node, alike uniform.Nat) {
	var store [5][MaxLimbs]uint64
	chosen := uniform.Nat(store[0][:d.limbs]) // in how many ways the atoms so far take their places and characters
	w := shares{
		ways: store[1][:d.limbs], places: store[2][:d.limbs], product: store[3][:d.limbs], share: store[4][:d.limbs],
	}
	alike.SetOne()
	chosen.SetOne()
	for n.atom < len(d.atoms) {
		b := d.pickBranch(n, chosen, w)
		d.taken[n.atom] = b.taken
		n = b.next
		w.product.SetMul(chosen.Trim(), w.ways.Trim())
		copy(chosen, w.product)
		w.product.SetMul(alike.Trim(), w.places.Trim())
		copy(alike, w.product)
	}
}

// shares are the numbers that decide which branch is picked.
type shares struct {
	ways           uniform.Nat // in how many ways the atom takes its places and characters
	places         uniform.Nat // in how many ways it takes its places alone
	product, share uniform.Nat
}

// pickBranch returns the branch in whose share the rank falls, and makes rank the rank within that share. It sets ways
// and places to those of the branch.
func (d *unranking) pickBranch(n *node, chosen uniform.Nat, w shares) branch {
	w.ways.SetOne()
	w.places.SetOne()
	taken, last := 0, len(n.branches)-1
	for i, b := range n.branches {
		for ; taken < b.taken; taken++ {
			chars := n.available
			if d.distinct {
				chars -= taken
			}
			w.ways.MulSmall(uint64((n.left - taken) * chars))
			w.ways.DivSmall(uint64(taken + 1))
			w.places.MulSmall(uint64(n.left - taken))
			w.places.DivSmall(uint64(taken + 1))
		}
		if i == last {
			break
		}
		w.product.SetMul(chosen.Trim(), w.ways.Trim())
		w.share.SetMul(w.product.Trim(), b.next.limbs)
		if d.rank.Less(w.share) {
			return b
		}
		d.rank.Sub(w.share.Trim())
	}
	return n.branches[last]
}

// pickCharacters chooses the characters that each atom puts in its places.
func (d *unranking) pickCharacters() {
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

func (d *unranking) pickDistinct(places []byte, atom int) {
	chars := d.atoms[atom].Minus(d.used).Count()
	for i := range places {
		places[i] = d.pick(atom, int(d.rank.DivSmall(uint64(chars-i))))
	}
}

// pickAny fills the places with any of two characters or more. Since dividing the rank is slow, it takes the choices of
// as many places at once as fit in 64 bits.
func (d *unranking) pickAny(places []byte, letters string) {
	size := uint64(len(letters))
	for len(places) > 0 {
		ways, n := size, 1
		for n < len(places) && ways < 1<<57 {
			ways *= size
			n++
		}
		d.rank = d.rank.Trim()
		choices := d.rank.DivSmall(ways)
		for i := range places[:n] {
			places[i] = letters[choices%size]
			choices /= size
		}
		places = places[n:]
	}
}

// arrange gives each place to an atom. alike is the number of ways to do so, and changes: an atom that still takes n of
// k places has the next one in n/k of the ways.
func (d *unranking) arrange(alike uniform.Nat) {
	var starts [128]int
	var store [MaxLimbs]uint64
	for atom := 1; atom < len(d.atoms); atom++ {
		starts[atom] = starts[atom-1] + d.taken[atom-1]
	}
	d.rank = d.rank.Trim()
	for i := range d.text {
		left := uint64(len(d.text) - i)
		if alike = alike.Trim(); len(alike) == 1 && alike[0] < 1<<54 {
			d.arrangeFew(d.text[i:], &starts, alike[0], d.rank[0])
			return
		}
		share := uniform.Nat(store[:len(alike)+1])
		for atom := range d.atoms {
			if d.taken[atom] == 0 {
				continue
			}
			share.Set(alike)
			share.MulSmall(uint64(d.taken[atom]))
			share.DivSmall(left)
			if d.rank.Less(share) {
				copy(alike, share)
				d.place(&d.text[i], atom, &starts)
				break
			}
			d.rank.Sub(share.Trim())
		}
	}
}

// arrangeFew does the same where the ways are so few that alike times a number of places fits in 64 bits.
func (d *unranking) arrangeFew(text []byte, starts *[128]int, alike, rank uint64) {
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
func (d *unranking) place(at *byte, atom int, starts *[128]int) {
	*at = d.characters[starts[atom]]
	starts[atom]++
	d.taken[atom]--
}
