package lexicon

import (
	"bytes"
	"maps"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
)

// A Spelling is a multiset of atoms, and how many ways of writing a word (of any of the words) have these atoms.
type Spelling struct {
	Placed []int // the atoms
	Ways   float64
}

// Spellings returns the ways to write the words in the alphabet of the atoms, letter case ignored, by atoms.
func Spellings(words []string, atoms []ascii.Mask, work *automaton.Budget) ([]Spelling, error) {
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
	all := make([]Spelling, 0, len(ways))
	for _, placed := range slices.Sorted(maps.Keys(ways)) {
		s := Spelling{Ways: ways[placed]}
		for _, atom := range []byte(placed) {
			s.Placed = append(s.Placed, int(atom))
		}
		all = append(all, s)
	}
	return all, nil
}

// Spelt returns in how many ways the words can be written in the alphabet, by their length, letter case ignored.
func (l *Lexicon) Spelt(alphabet ascii.Mask) []float64 {
	ways := []float64{0}
	for _, word := range l.words {
		n := 1.0
		for _, c := range []byte(word) {
			n *= float64(ascii.Of(string([]byte{c, ascii.Upper(c)})).And(alphabet).Count())
		}
		ways = append(ways, make([]float64, max(len(word)+1-len(ways), 0))...)
		ways[len(word)] += n
	}
	return ways
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
