package password

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"slices"
)

// draw returns a phrase, each with the same probability, from a source of random bytes. Its error is the source's.
//
// While at least half of all choices hold nothing forbidden, it makes choices until one is allowed: two expected tries
// at most. Otherwise it draws the number of a phrase.
func (ph *phrases) draw(random io.Reader) ([]byte, error) {
	size := ph.all().count
	if size.Sign() == 0 {
		return nil, fmt.Errorf("drawing a passphrase: none satisfies the policy")
	}
	if new(big.Int).Lsh(size, 1).Cmp(ph.choices) < 0 {
		n, err := rand.Int(random, size)
		if err != nil {
			return nil, fmt.Errorf("drawing a passphrase: reading random bytes: %w", err)
		}
		return ph.unrank(n), nil
	}
	source := &diceReader{random: random}
	for {
		phrase, err := ph.drawChoice(source)
		if err != nil {
			return nil, fmt.Errorf("drawing a passphrase: reading random bytes: %w", err)
		}
		if ph.avoid.run(0, string(phrase)) != dead {
			return phrase, nil
		}
	}
}

// drawChoice returns one of all choices, forbidden ones included.
func (ph *phrases) drawChoice(source *diceReader) ([]byte, error) {
	digitPlace, digit := -1, 0
	if ph.digit {
		n, err := source.below(10 * ph.places)
		if err != nil {
			return nil, err
		}
		digitPlace, digit = n/10, n%10
	}
	phrase := make([]byte, 0, ph.longestChoice())
	for place := range ph.places {
		n, err := source.below(len(ph.words))
		if err != nil {
			return nil, err
		}
		if place > 0 {
			phrase = append(phrase, ph.separator...)
		}
		phrase = append(phrase, ph.words[n]...)
		if place == digitPlace {
			phrase = append(phrase, digits[digit])
		}
	}
	return phrase, nil
}

// longestWord is the length of the longest words of the EFF's large list.
const longestWord = 9

// longestChoice returns how many bytes a choice may take, so that a phrase in the making is never moved.
func (ph *phrases) longestChoice() int { return ph.places*(longestWord+len(ph.separator)) + 1 }

// A diceReader makes uniform numbers of random bytes. It reads no more bytes than it needs.
type diceReader struct {
	random io.Reader
	bytes  [2]byte
}

// below returns a number from 0 to n-1, each with the same probability; n is from 1 to 65536. Of the 65536 values of two
// bytes it takes the largest multiple of n and reads again at the others: at the words of the EFF's large list, once
// in twenty.
func (d *diceReader) below(n int) (int, error) {
	const values = 1 << 16
	for {
		if _, err := io.ReadFull(d.random, d.bytes[:]); err != nil {
			return 0, err
		}
		value := int(d.bytes[0])<<8 | int(d.bytes[1])
		if value < values-values%n {
			return value % n, nil
		}
	}
}

// unrank returns the phrase of a number from 0 below the size: each number has one phrase, and each phrase a number.
// The order has no meaning. At each place, first come the choices without a digit, by the position they lead to and
// then by word; then the choices with a digit likewise.
func (ph *phrases) unrank(number *big.Int) []byte {
	n := new(big.Int).Set(number)
	phrase := make([]byte, 0, ph.longestChoice())
	state, digit := int32(0), ph.digit
	for places := ph.places; places > 1; places-- {
		s, withDigit := ph.pickStep(n, state, digit, places)
		digit = digit && !withDigit
		index := new(big.Int)
		index.QuoRem(n, ph.rest(s.to, digit, places-1).count, n)
		phrase = append(phrase, ph.choice(state, s.to, withDigit, index.Int64())...)
		phrase = append(phrase, ph.separator...)
		state = s.to
	}
	return append(phrase, ph.lastChoice(state, digit, n.Int64())...)
}

// pickStep returns the step that the n-th rest from the position begins with, and makes n the number of the rest among
// those of this step.
func (ph *phrases) pickStep(n *big.Int, state int32, digit bool, places int) (s step, withDigit bool) {
	at := ph.positions[state]
	for _, s := range at.plain {
		if ph.skip(n, s, digit, places) {
			return s, false
		}
	}
	for _, s := range at.withDigit {
		if ph.skip(n, s, false, places) {
			return s, true
		}
	}
	return step{}, false // unreachable: n is below the tally, which is the sum of what was skipped
}

// skip takes the number of rests that begin with the step from n, unless n is one of them.
func (ph *phrases) skip(n *big.Int, s step, digit bool, places int) (here bool) {
	rests := new(big.Int).Mul(big.NewInt(s.choices), ph.rest(s.to, digit, places-1).count)
	if n.Cmp(rests) < 0 {
		return true
	}
	n.Sub(n, rests)
	return false
}

// choice returns the index-th word, with a digit or without, that leads from one position to another.
func (ph *phrases) choice(from, to int32, withDigit bool, index int64) string {
	return ph.nth(from, withDigit, index, func(after int32) bool {
		return after != dead && ph.avoid.run(after, ph.separator) == to
	})
}

// lastChoice returns the index-th word, with a digit or without, that ends a phrase.
func (ph *phrases) lastChoice(from int32, withDigit bool, index int64) string {
	return ph.nth(from, withDigit, index, func(after int32) bool { return after != dead })
}

// nth returns the index-th of the words, each with every digit if it is to have one, whose state after it is wanted.
func (ph *phrases) nth(from int32, withDigit bool, index int64, wanted func(after int32) bool) string {
	for _, group := range ph.positions[from].words {
		endings := ph.endings(group.to, withDigit, wanted)
		choices := int64(len(group.words) * len(endings))
		if index < choices {
			perWord := int64(len(endings))
			return ph.words[group.words[index/perWord]] + endings[index%perWord]
		}
		index -= choices
	}
	return "" // unreachable: the index is below the number of choices that were counted
}

// endings returns what may follow a word to reach a wanted state: nothing, or some of the digits.
func (ph *phrases) endings(state int32, withDigit bool, wanted func(after int32) bool) []string {
	endings := []string{""}
	if withDigit {
		endings = digitTexts
	}
	return slices.DeleteFunc(slices.Clone(endings), func(ending string) bool {
		return !wanted(ph.avoid.run(state, ending))
	})
}

var digitTexts = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
