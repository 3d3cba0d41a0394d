// Package lexicon finds words in texts, of lists that are too long for an automaton.
package lexicon

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
)

// MaxText is how many characters a text has at most.
const MaxText = 512

// A Lexicon is a list of words that is too long for an automaton: in lower case, sorted, and none holds another.
type Lexicon struct {
	words  []string
	starts [startBits / 64]uint64 // of words, each a bit by its number (see start)
}

// The number of a start is made of the low five bits of three characters, which are the same for both letter cases.
const (
	startBits  = 1 << 15
	startChars = 3
)

// start returns the number of the start of a text from that of the text a character before, and the third character.
func start(before uint, char byte) uint { return (before<<5 | uint(char)&31) % startBits }

// New returns the lexicon of words of two characters or more: in lower case, sorted, and none holds another.
func New(words []string) *Lexicon {
	l := &Lexicon{words: words}
	for _, word := range words {
		number := start(start(0, word[0]), word[1])
		if len(word) >= startChars {
			number = start(number, word[2])
			l.starts[number/64] |= 1 << (number % 64)
			continue
		}
		for third := range byte(32) {
			number := start(number, third)
			l.starts[number/64] |= 1 << (number % 64)
		}
	}
	return l
}

// Words returns the words, which must not be changed.
func (l *Lexicon) Words() []string { return l.words }

// OccursIn reports whether the text, of at most MaxText characters, holds a word, letter case ignored.
func (l *Lexicon) OccursIn(text []byte) bool {
	var folded [MaxText]byte
	for i, c := range text {
		folded[i] = ascii.Lower(c)
	}
	number := uint(0)
	for end := 1; end <= len(text)+1; end++ {
		var char byte // after the end: 0
		if end <= len(text) {
			char = folded[end-1]
		}
		number = start(number, char)
		if l.starts[number/64]>>(number%64)&1 != 0 && end >= startChars &&
			l.startsWith(folded[end-startChars:len(text)]) {
			return true
		}
	}
	return false
}

// startsWith reports whether the text begins with a word. No word begins another. So it can only be the last word that
// does not sort after the text.
func (l *Lexicon) startsWith(text []byte) bool {
	after := sort.Search(len(l.words), func(i int) bool { return l.words[i] > string(text) })
	if after == 0 {
		return false
	}
	word := l.words[after-1]
	return len(word) <= len(text) && string(text[:len(word)]) == word
}

// Minimal returns the words that hold no other word, sorted: a text that holds none of these holds none of the words.
// It takes as long as that takes.
func Minimal(words []string) []string {
	least, err := MinimalWithin(words, &automaton.Budget{Steps: math.MaxInt})
	if err != nil {
		return words // unreachable: the words would fill the memory before
	}
	return least
}

// MinimalWithin is Minimal within a budget: the error is automaton.ErrTooLarge.
func MinimalWithin(words []string, work *automaton.Budget) ([]string, error) {
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	kept := make(map[string]bool, len(words))
	var lengths []int
	var least []string
	for _, word := range words {
		if err := work.Spend(30 * len(lengths) * len(word)); err != nil {
			return nil, err
		}
		if holdsKept(word, kept, lengths) {
			continue
		}
		if len(lengths) == 0 || lengths[len(lengths)-1] != len(word) {
			lengths = append(lengths, len(word))
		}
		kept[word] = true
		least = append(least, word)
	}
	slices.Sort(least)
	return least, nil
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
