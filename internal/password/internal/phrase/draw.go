package phrase

import (
	"errors"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/uniform"
)

// Draw returns a phrase, each with the same probability. The error is the source's, or that there is no phrase.
//
// If at least half of all choices hold nothing forbidden, choices are drawn and rejected until one does: two are
// expected at most. Otherwise the number of a phrase is drawn.
func (c *Counted) Draw(from *uniform.Source) ([]byte, error) {
	if c.all().count.Sign() == 0 {
		return nil, errors.New("no passphrase satisfies the policy")
	}
	if c.limit != nil {
		return c.drawNumber(from)
	}
	from.Reset(2 * (c.shape.Places + 1))
	for {
		phrase, err := c.drawChoice(from)
		if err != nil {
			return nil, err
		}
		if c.avoid.Run(0, string(phrase)) != automaton.Dead {
			return phrase, nil
		}
	}
}

// drawNumber returns the phrase of a random number.
func (c *Counted) drawNumber(from *uniform.Source) ([]byte, error) {
	from.Reset(c.limitBytes)
	number := make(uniform.Nat, len(c.limit))
	if err := from.Below(number, c.limit); err != nil {
		return nil, err
	}
	return c.unrank(number.Big()), nil
}

// drawChoice returns the text of one of all choices, forbidden ones included.
func (c *Counted) drawChoice(from *uniform.Source) ([]byte, error) {
	digitPlace, digit := -1, 0
	if c.shape.Digit {
		n, err := from.Index(10 * c.shape.Places)
		if err != nil {
			return nil, err
		}
		digitPlace, digit = n/10, n%10
	}
	phrase := make([]byte, 0, c.longestChoice())
	for place := range c.shape.Places {
		n, err := from.Index(len(c.shape.Words))
		if err != nil {
			return nil, err
		}
		if place > 0 {
			phrase = append(phrase, c.shape.Separator...)
		}
		phrase = append(phrase, c.shape.Words[n]...)
		if place == digitPlace {
			phrase = append(phrase, ascii.Digits[digit])
		}
	}
	return phrase, nil
}

// longestWord is the length of the longest words of the EFF's large list.
const longestWord = 9

// longestChoice returns how many bytes a choice may take, so that a phrase is never moved while it is made.
func (c *Counted) longestChoice() int { return c.shape.Places*(longestWord+len(c.shape.Separator)) + 1 }

// unrank returns the phrase of a number from 0 below the size: each number has one phrase, and each phrase one number.
// The order has no meaning. It changes n. At each place, first come the choices without a digit, sorted by the position
// they lead to and then by word; then the choices with a digit likewise.
func (c *Counted) unrank(n *big.Int) []byte {
	phrase := make([]byte, 0, c.longestChoice())
	state, rest := int32(0), ahead{places: c.shape.Places, digit: c.shape.Digit}
	for rest.places > 1 {
		s, endings := c.pickStep(n, state, rest)
		rest = rest.after(endings)
		index := new(big.Int)
		index.QuoRem(n, c.rest(s.to, rest).count, n)
		phrase = append(phrase, c.choice(state, s.to, endings, index.Int64())...)
		phrase = append(phrase, c.shape.Separator...)
		state = s.to
	}
	endings := noDigit
	if rest.digit {
		endings = oneDigit
	}
	return append(phrase, c.lastChoice(state, endings, n.Int64())...)
}

// What may follow a word: nothing, or one of the digits.
var (
	noDigit  = []string{""}
	oneDigit = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
)

// after returns what is still to come after one more word with one of the endings.
func (a ahead) after(endings []string) ahead {
	return ahead{places: a.places - 1, digit: a.digit && len(endings) == len(noDigit)}
}

// pickStep returns the step that the n-th rest from the position begins with, and the endings of its words. It makes n
// the number of the rest among those of this step.
func (c *Counted) pickStep(n *big.Int, state int32, rest ahead) (s step, endings []string) {
	at := c.positions[state]
	for _, s := range at.plain {
		if c.skip(n, s, rest.after(noDigit)) {
			return s, noDigit
		}
	}
	for _, s := range at.withDigit {
		if c.skip(n, s, rest.after(oneDigit)) {
			return s, oneDigit
		}
	}
	return step{}, nil // unreachable: n is below the tally, which is the sum of what was skipped
}

// skip takes the number of rests that begin with the step from n, unless n is one of them. rest is what follows the
// step.
func (c *Counted) skip(n *big.Int, s step, rest ahead) (here bool) {
	rests := new(big.Int).Mul(big.NewInt(s.choices), c.rest(s.to, rest).count)
	if n.Cmp(rests) < 0 {
		return true
	}
	n.Sub(n, rests)
	return false
}

// choice returns the index-th word, with one of the endings, that leads from one position to another.
func (c *Counted) choice(from, to int32, endings []string, index int64) string {
	return c.nth(from, endings, index, func(after int32) bool {
		return after != automaton.Dead && c.avoid.Run(after, c.shape.Separator) == to
	})
}

// lastChoice returns the index-th word, with one of the endings, that ends a phrase.
func (c *Counted) lastChoice(from int32, endings []string, index int64) string {
	return c.nth(from, endings, index, func(after int32) bool { return after != automaton.Dead })
}

// nth returns the index-th of the words with an ending after which the state is wanted.
func (c *Counted) nth(from int32, endings []string, index int64, wanted func(after int32) bool) string {
	for _, group := range c.positions[from].words {
		allowed := slices.DeleteFunc(slices.Clone(endings), func(ending string) bool {
			return !wanted(c.avoid.Run(group.to, ending))
		})
		choices := int64(len(group.words) * len(allowed))
		if index < choices {
			perWord := int64(len(allowed))
			return c.shape.Words[group.words[index/perWord]] + allowed[index%perWord]
		}
		index -= choices
	}
	return "" // unreachable: the index is below the number of choices that were counted
}
