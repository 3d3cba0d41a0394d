package password

import (
	"cmp"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// A lexicon is a list of words too long for an automaton: in lower case, sorted, none holds another.
type lexicon struct{ words []string }

// occursIn reports whether the text holds a word, letter case ignored.
func (l *lexicon) occursIn(text []byte) bool {
	var folded [maxLength]byte
	for i, c := range text {
		folded[i] = lower(c)
	}
	for i := range text {
		if l.startsWith(folded[i:len(text)]) {
			return true
		}
	}
	return false
}

// startsWith reports whether the text begins with a word. Since no word begins another, that can only be the last
// word that does not come after the text.
func (l *lexicon) startsWith(text []byte) bool {
	after := sort.Search(len(l.words), func(i int) bool { return l.words[i] > string(text) })
	if after == 0 {
		return false
	}
	word := l.words[after-1]
	return len(word) <= len(text) && string(text[:len(word)]) == word
}

// newLexicon returns the words without those that hold another.
func newLexicon(words []string, work *budget) (*lexicon, error) {
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	kept := make(map[string]bool, len(words))
	var lengths []int
	var minimal []string
	for _, word := range words {
		if err := work.spend(30 * len(lengths) * len(word)); err != nil {
			return nil, err
		}
		if holdsKept(word, kept, lengths) {
			continue
		}
		if len(lengths) == 0 || lengths[len(lengths)-1] != len(word) {
			lengths = append(lengths, len(word))
		}
		kept[word] = true
		minimal = append(minimal, word)
	}
	slices.Sort(minimal)
	return &lexicon{minimal}, nil
}

// holdsKept reports whether a part of the word, of one of the lengths, is kept.
func holdsKept(word string, kept map[string]bool, lengths []int) bool {
	for _, length := range lengths {
		for end := length; end <= len(word); end++ {
			if kept[word[end-length:end]] {
				return true
			}
		}
	}
	return false
}

// A spelling is how many characters of each atom a word has, and how many ways of writing words have so many.
type spelling struct {
	placed []int // the atoms
	ways   *big.Int
}

// atMost returns a number that is not less than the number of strings in c that hold a word of the lexicon: the number
// of pairs of such a string and a place where a word stands in it.
func (l *lexicon) atMost(c *compositions, r *rules) (*big.Int, error) {
	total := new(big.Int)
	spellings, err := c.spellings(l.words)
	if err != nil {
		return nil, err
	}
	for _, s := range spellings {
		for length := max(r.min, len(s.placed)); length <= r.max; length++ {
			places, err := c.holding(r, length, s.placed)
			if err != nil {
				return nil, err
			}
			total.Add(total, places.Mul(places, s.ways))
		}
	}
	return total, nil
}

// holding returns a number that is not less than the number of pairs of a string of that length and a place in it
// where a given word stands, which has characters of the placed atoms. At the ends, what first and last say is left
// out.
func (c *compositions) holding(r *rules, length int, placed []int) (*big.Int, error) {
	free := *r
	free.first, free.last = r.alphabet, r.alphabet
	if length == len(placed) {
		return c.around(&free, length, placed)
	}
	atStart, atEnd := free, free
	atStart.last, atEnd.first = r.last, r.first
	total := new(big.Int)
	for _, at := range []struct {
		rules  *rules
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

// around returns how many strings of the rules have the placed characters at given places, or more.
func (c *compositions) around(r *rules, length int, placed []int) (*big.Int, error) {
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

// spellings returns how the words can be written in the alphabet, letter case ignored, by atoms.
func (c *compositions) spellings(words []string) ([]spelling, error) {
	alike := make(map[string]int64) // words by how many characters have which choice of atoms
	for _, word := range words {
		if choices, ok := c.choices(word); ok {
			alike[choices]++
		}
	}
	ways := make(map[string]*big.Int)
	for choices, count := range alike {
		spelt, err := c.spell(choices)
		if err != nil {
			return nil, err
		}
		for placed, n := range spelt {
			if ways[placed] == nil {
				ways[placed] = new(big.Int)
			}
			ways[placed].Add(ways[placed], n.Mul(n, big.NewInt(count)))
		}
	}
	var all []spelling
	for placed, n := range ways {
		s := spelling{ways: n}
		for _, atom := range []byte(placed) {
			s.placed = append(s.placed, int(atom))
		}
		all = append(all, s)
	}
	return all, nil
}

// noAtom stands for a letter case that is not in the alphabet.
const noAtom = 0xff

// choices returns two bytes for each character of the word, sorted: the atoms of its lower and its upper case. It is
// not ok where a character cannot be written at all.
func (c *compositions) choices(word string) (text string, ok bool) {
	pairs := make([]string, len(word))
	for i := range len(word) {
		low, up := c.atomOf(word[i]), c.atomOf(upper(word[i]))
		if word[i] == upper(word[i]) {
			up = noAtom
		}
		if low == noAtom && up == noAtom {
			return "", false
		}
		pairs[i] = string([]byte{low, up})
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ""), true
}

func (c *compositions) atomOf(char byte) byte {
	for i, atom := range c.atoms {
		if atom.has(char) {
			return byte(i)
		}
	}
	return noAtom
}

// spell returns the multisets of atoms, each sorted in a text, that the choices of a word come to, and in how many ways.
func (c *compositions) spell(choices string) (map[string]*big.Int, error) {
	ways := map[string]*big.Int{"": big.NewInt(1)}
	for i := 0; i < len(choices); i += 2 {
		if err := c.work.spend(400 * len(ways) * (1 + i/8)); err != nil {
			return nil, err
		}
		longer := make(map[string]*big.Int)
		for placed, n := range ways {
			for _, atom := range []byte(choices[i : i+2]) {
				if atom == noAtom {
					continue
				}
				bytes := append([]byte(placed), atom)
				slices.Sort(bytes)
				if longer[string(bytes)] == nil {
					longer[string(bytes)] = new(big.Int)
				}
				longer[string(bytes)].Add(longer[string(bytes)], n)
			}
		}
		ways = longer
	}
	return ways, nil
}
