package language

import (
	"bytes"
	"maps"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// A spelling is a multiset of atoms, and how many ways of writing a word (of any of the words) have these atoms.
type spelling struct {
	placed []int // the atoms
	ways   float64
}

// exactly is up to which number a float64 has every integer.
const exactly = 1 << 53

// bigWays returns ways rounded up, by more than it errs.
func (s spelling) bigWays() *big.Int {
	if s.ways <= exactly {
		return big.NewInt(int64(s.ways))
	}
	n, _ := big.NewFloat(s.ways * (1 + slack)).Int(nil)
	return n
}

// holdingWords returns an upper bound of the number of strings in c that contain a word: the sum over words and
// positions (union bound).
func (c *compositions) holdingWords(r *Rules, words *lexicon.Lexicon) (*big.Int, error) {
	total := new(big.Int)
	spellings, err := spellings(words.Words(), c.atoms, c.work)
	if err != nil {
		return nil, err
	}
	for _, s := range spellings {
		for length := max(r.Min, len(s.placed)); length <= r.Max; length++ {
			places, err := c.holding(r, length, s.placed)
			if err != nil {
				return nil, err
			}
			total.Add(total, places.Mul(places, s.bigWays()))
		}
	}
	return total, nil
}

// holding returns an upper bound of the sum, over the positions in strings of that length, of the number of strings
// that have a given word there. The word has characters of the placed atoms. A word at an end may break the rule for
// that end: that only raises the bound.
func (c *compositions) holding(r *Rules, length int, placed []int) (*big.Int, error) {
	free := *r
	free.First, free.Last = r.Alphabet, r.Alphabet
	if length == len(placed) {
		return c.around(&free, length, placed)
	}
	atStart, atEnd := free, free
	atStart.Last, atEnd.First = r.Last, r.First
	total := new(big.Int)
	for _, at := range []struct {
		rules  *Rules
		places int
	}{{&atStart, 1}, {&atEnd, 1}, {r, length - len(placed) - 1}} {
		if at.places == 0 {
			continue
		}
		count, err := c.around(at.rules, length, placed)
		if err != nil {
			return nil, err
		}
		total.Add(total, count.Mul(count, big.NewInt(int64(at.places))))
	}
	return total, nil
}

// around returns an upper bound of the number of strings that have characters of the placed atoms at given positions.
func (c *compositions) around(r *Rules, length int, placed []int) (*big.Int, error) {
	total := new(big.Int)
	for _, e := range c.endings(r, length) {
		n, err := c.rest(e, placed)
		if err != nil {
			return nil, err
		}
		total.Add(total, new(big.Int).Mul(n.count, big.NewInt(int64(e.ways))))
	}
	return total, nil
}

// spellings returns the ways to write the words in the alphabet of the atoms, letter case ignored, by atoms.
func spellings(words []string, atoms []ascii.Mask, work *automaton.Budget) ([]spelling, error) {
	alike := make(map[string]float64) // how many words have these choices
	for _, word := range words {
		if choices, ok := choices(word, atoms); ok {
			alike[choices]++
		}
	}
	ways := make(map[string]float64)
	for _, choices := range slices.Sorted(maps.Keys(alike)) {
		spelt, err := spell(choices, work)
		if err != nil {
			return nil, err
		}
		for placed, n := range spelt {
			ways[placed] += n * alike[choices]
		}
	}
	all := make([]spelling, 0, len(ways))
	for _, placed := range slices.Sorted(maps.Keys(ways)) {
		s := spelling{ways: ways[placed]}
		for _, atom := range []byte(placed) {
			s.placed = append(s.placed, int(atom))
		}
		all = append(all, s)
	}
	return all, nil
}

// noAtom is the atom of a letter case that is not in the alphabet.
const noAtom = 0xff

// choices returns two bytes for each character of the word, the atoms of its lower and its upper case, in a sorted
// order. It is not ok if the alphabet has a character in neither case.
func choices(word string, atoms []ascii.Mask) (text string, ok bool) {
	pairs := make([][2]byte, len(word))
	for i := range len(word) {
		low, up := atomOf(word[i], atoms), atomOf(ascii.Upper(word[i]), atoms)
		if word[i] == ascii.Upper(word[i]) {
			up = noAtom
		}
		if low == noAtom && up == noAtom {
			return "", false
		}
		pairs[i] = [2]byte{low, up}
	}
	slices.SortFunc(pairs, func(a, b [2]byte) int { return bytes.Compare(a[:], b[:]) })
	all := make([]byte, 0, 2*len(pairs))
	for _, pair := range pairs {
		all = append(all, pair[:]...)
	}
	return string(all), true
}

func atomOf(char byte, atoms []ascii.Mask) byte {
	for i, atom := range atoms {
		if atom.Has(char) {
			return byte(i)
		}
	}
	return noAtom
}

// spell returns the multisets of atoms, each as a sorted text, that the choices of a word lead to, and in how many
// ways.
func spell(choices string, work *automaton.Budget) (map[string]float64, error) {
	ways := map[string]float64{"": 1}
	for i := 0; i < len(choices); i += 2 {
		if err := work.Spend(400 * len(ways) * (1 + i/8)); err != nil {
			return nil, err
		}
		longer := make(map[string]float64)
		for _, placed := range slices.Sorted(maps.Keys(ways)) {
			for _, atom := range []byte(choices[i : i+2]) {
				if atom == noAtom {
					continue
				}
				bytes := append([]byte(placed), atom)
				slices.Sort(bytes)
				longer[string(bytes)] += ways[placed]
			}
		}
		ways = longer
	}
	return ways, nil
}
