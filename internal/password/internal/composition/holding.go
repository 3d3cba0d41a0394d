package composition

import (
	"math/big"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// Holding returns an upper bound of the number of strings that contain a word: the sum over words and positions (union
// bound). The error is automaton.ErrTooLarge.
func (c *Counted) Holding(words *lexicon.Lexicon, work *automaton.Budget) (*big.Int, error) {
	c.work = work
	total, r := new(big.Int), c.rules
	spellings, err := lexicon.Spellings(words.Words(), c.atoms, work)
	if err != nil {
		return nil, err
	}
	for _, s := range spellings {
		for length := max(r.Min, len(s.Placed)); length <= r.Max; length++ {
			places, err := c.holding(r, length, s.Placed)
			if err != nil {
				return nil, err
			}
			total.Add(total, places.Mul(places, ways(s)))
		}
	}
	return total, nil
}

// holding returns an upper bound of the sum, over the positions in strings of that length, of the number of strings
// that have a given word there. The word has characters of the placed atoms. A word at an end may break the rule for
// that end: that only raises the bound.
func (c *Counted) holding(r *Rules, length int, placed []int) (*big.Int, error) {
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
func (c *Counted) around(r *Rules, length int, placed []int) (*big.Int, error) {
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

// exactly is up to which number a float64 has every integer.
const exactly = 1 << 53

// ways returns in how many ways words have a spelling, rounded up by more than it errs.
func ways(s lexicon.Spelling) *big.Int {
	if s.Ways <= exactly {
		return big.NewInt(int64(s.Ways))
	}
	n, _ := big.NewFloat(s.Ways * (1 + 0x1p-30)).Int(nil)
	return n
}
