// Package phrase counts the passphrases of a list of words in which no forbidden substring appears, and draws from
// them.
//
// A choice is a word for each place and, if there is to be a digit, the digit and the word that it follows. A phrase is
// the text of a choice. What is counted and drawn is choices; the lemma says that this counts phrases.
//
// # Lemma: no two choices give one phrase
//
//  1. No word is the beginning of another. So the beginning of a phrase shows its first word.
//  2. After that word comes the separator and a word, or a digit, the separator and a word. Suppose that a phrase can
//     be read both ways, with the digit d. Then the separator begins with d, its second character is its first, and so
//     on: it is d over and over. The first reading has a word after it, where the second has one more d. But a word
//     begins with a letter: a contradiction.
//  3. So the rest of the phrase, from the second word on, is read in one way, by induction over the places.
//
// The letter case of the words changes nothing of this. So there are 7776^words phrases of the EFF's list, times ten
// times the words with a digit, if nothing is forbidden.
//
// # Forbidden substrings
//
// They may lie across words and separators. An automaton finds them. All that the beginning of a phrase means for its
// rest is the automaton's state before the next word (a position). So the phrases are the paths through the positions,
// and counting them is exact.
package phrase

import (
	"maps"
	"math/big"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/uniform"
)

// The limits of counting phrases, which keep it within a tenth of a second: positions, at each of which the automaton
// reads the whole list, and additions of large numbers.
const (
	maxPositions = 64
	maxAdditions = 150_000
)

// A Shape is how phrases are made of words.
type Shape struct {
	Words     []string // as they appear. None is the beginning of another; each begins with a letter
	Places    int      // how many words make a phrase, from 1 on
	Separator string   // between words: printable ASCII, may be empty
	Digit     bool     // one digit follows one of the words
}

// Counted is the phrases of a shape in which nothing forbidden appears, with their exact number. It is safe for use by
// several goroutines at once.
type Counted struct {
	shape      Shape
	avoid      *automaton.DFA      // accepts what holds nothing forbidden
	positions  map[int32]*position // by the automaton's state before a word
	choices    *big.Int            // how many phrases there were if nothing were forbidden
	limit      uniform.Nat         // the number of phrases, if they are drawn by number. Nil: choices are drawn
	limitBytes int                 // how many bytes limit has
}

// A position is what the beginning of a phrase means for its rest: the automaton's state before a word. It has the
// steps from here, and the tallies of the rests.
type position struct {
	state     int32
	words     []wordGroup
	plain     []step     // to the positions before the next word, by a word and the separator; sorted by them
	withDigit []step     // likewise, by a word, a digit and the separator
	end       step       // to the end of the phrase, by a word
	endDigit  step       // likewise, by a word and a digit
	rests     [2][]tally // by whether the digit is still to come, then by the number of words to come, less one
}

// ahead is what of a phrase is still to come.
type ahead struct {
	places int // words
	digit  bool
}

// A step is the choices of a word, or of a word and a digit, that lead from one position to another.
type step struct {
	to                int32
	choices           int64
	shortest, longest int // in bytes, the separator included
}

// A wordGroup is the words that lead from a position to the same state, without what follows them.
type wordGroup struct {
	step
	words []int // by their places in the list
}

// A tally is the number of some texts, and the length in bytes of the shortest and the longest.
type tally struct {
	count             *big.Int
	shortest, longest int
}

// add adds the texts that begin with one of the step's choices and go on with one of the rest's texts.
func (t *tally) add(s step, rest tally) {
	if s.choices == 0 || rest.count.Sign() == 0 {
		return
	}
	shortest, longest := s.shortest+rest.shortest, s.longest+rest.longest
	if t.count.Sign() == 0 {
		t.shortest, t.longest = shortest, longest
	}
	t.shortest, t.longest = min(t.shortest, shortest), max(t.longest, longest)
	t.count.Add(t.count, new(big.Int).Mul(big.NewInt(s.choices), rest.count))
}

// Count counts the phrases of a shape that hold none of the forbidden substrings, letter case ignored. These must be in
// lower case and printable ASCII. The only error is [automaton.ErrTooLarge]. There may be no phrase.
func Count(shape Shape, forbidden []string) (*Counted, error) {
	avoid, err := automaton.WithoutWords(forbidden, ascii.Of(ascii.Printable))
	if err != nil {
		return nil, err
	}
	c := &Counted{shape: shape, avoid: avoid, positions: map[int32]*position{}}
	c.choices = new(big.Int).Exp(big.NewInt(int64(len(shape.Words))), big.NewInt(int64(shape.Places)), nil)
	if shape.Digit {
		c.choices.Mul(c.choices, big.NewInt(int64(10*shape.Places)))
	}
	if err := c.explore(); err != nil {
		return nil, err
	}
	for places := 1; places <= shape.Places; places++ {
		for _, at := range c.positions {
			at.rests[0] = append(at.rests[0], c.tally(at, ahead{places: places}))
			if shape.Digit {
				at.rests[1] = append(at.rests[1], c.tally(at, ahead{places: places, digit: true}))
			}
		}
	}
	if size := c.Size(); new(big.Int).Lsh(size, 1).Cmp(c.choices) < 0 {
		c.limit, c.limitBytes = uniform.NatOf(size, uniform.LimbsFor(size)), (size.BitLen()+7)/8
	}
	return c, nil
}

// explore finds the positions that a phrase can reach, and their steps.
func (c *Counted) explore() error {
	steps := 0
	for queue := []int32{0}; len(queue) > 0; queue = queue[1:] {
		if c.positions[queue[0]] != nil {
			continue
		}
		at := c.position(queue[0])
		c.positions[at.state] = at
		if c.shape.Places == 1 {
			break // no word follows
		}
		for _, s := range slices.Concat(at.plain, at.withDigit) {
			queue = append(queue, s.to)
		}
		steps += 2*len(at.plain) + len(at.withDigit)
		if len(c.positions) > maxPositions || steps*c.shape.Places > maxAdditions {
			return automaton.ErrTooLarge
		}
	}
	return nil
}

// position returns the position of a state before a word, with its steps.
func (c *Counted) position(state int32) *position {
	at := &position{state: state, words: c.wordGroups(state)}
	plain, withDigit := map[int32]*step{}, map[int32]*step{}
	for _, group := range at.words {
		at.end.include(group.step)
		addStep(plain, c.extended(group.step, c.shape.Separator))
		for _, digit := range oneDigit {
			if !c.shape.Digit {
				break
			}
			numbered := c.extended(group.step, digit)
			at.endDigit.include(numbered)
			addStep(withDigit, c.extended(numbered, c.shape.Separator))
		}
	}
	at.plain, at.withDigit = sortedSteps(plain), sortedSteps(withDigit)
	return at
}

// wordGroups groups the words by the state after them, sorted by it, without the words in which something forbidden
// ends.
func (c *Counted) wordGroups(state int32) []wordGroup {
	byState := map[int32]*wordGroup{}
	for i, word := range c.shape.Words {
		to := c.avoid.Run(state, word)
		if to == automaton.Dead {
			continue
		}
		if byState[to] == nil {
			byState[to] = &wordGroup{step: step{to: to}}
		}
		group := byState[to]
		group.include(step{to: to, choices: 1, shortest: len(word), longest: len(word)})
		group.words = append(group.words, i)
	}
	groups := make([]wordGroup, 0, len(byState))
	for _, to := range slices.Sorted(maps.Keys(byState)) {
		groups = append(groups, *byState[to])
	}
	return groups
}

// extended returns s with text after each of its choices.
func (c *Counted) extended(s step, text string) step {
	return step{
		to:       c.avoid.Run(s.to, text),
		choices:  s.choices,
		shortest: s.shortest + len(text),
		longest:  s.longest + len(text),
	}
}

// addStep adds the choices of s to those that lead to the same position.
func addStep(steps map[int32]*step, s step) {
	if steps[s.to] == nil {
		steps[s.to] = &step{to: s.to}
	}
	steps[s.to].include(s)
}

// include adds the choices of other, unless something forbidden ends in them.
func (s *step) include(other step) {
	if other.to == automaton.Dead || other.choices == 0 {
		return
	}
	if s.choices == 0 {
		s.shortest, s.longest = other.shortest, other.longest
	}
	s.choices += other.choices
	s.shortest, s.longest = min(s.shortest, other.shortest), max(s.longest, other.longest)
}

// sortedSteps returns the steps that have choices, sorted by where they lead.
func sortedSteps(steps map[int32]*step) []step {
	sorted := make([]step, 0, len(steps))
	for _, to := range slices.Sorted(maps.Keys(steps)) {
		if steps[to].choices > 0 {
			sorted = append(sorted, *steps[to])
		}
	}
	return sorted
}

// tally counts the rests from a position on. The tallies of one word less must be there.
func (c *Counted) tally(at *position, rest ahead) tally {
	t := tally{count: new(big.Int)}
	if rest.places == 1 {
		last := at.end
		if rest.digit {
			last = at.endDigit
		}
		t.add(last, tally{count: big.NewInt(1)})
		return t
	}
	for _, s := range at.plain {
		t.add(s, c.rest(s.to, ahead{places: rest.places - 1, digit: rest.digit}))
	}
	if rest.digit {
		for _, s := range at.withDigit {
			t.add(s, c.rest(s.to, ahead{places: rest.places - 1}))
		}
	}
	return t
}

// rest returns the tally of the rests from the position of a state on.
func (c *Counted) rest(state int32, rest ahead) tally {
	pending := 0
	if rest.digit {
		pending = 1
	}
	return c.positions[state].rests[pending][rest.places-1]
}

func (c *Counted) all() tally { return c.rest(0, ahead{places: c.shape.Places, digit: c.shape.Digit}) }

// Size returns the number of phrases. The caller may change it.
func (c *Counted) Size() *big.Int { return new(big.Int).Set(c.all().count) }

// SizeOf returns the number of phrases of fewer words, of the same shape else. places must be from 1 to the shape's.
// The caller may change it.
func (c *Counted) SizeOf(places int) *big.Int {
	return new(big.Int).Set(c.rest(0, ahead{places: places, digit: c.shape.Digit}).count)
}

// Lengths returns the number of characters of the shortest and the longest phrase; 0 and 0 if there is none.
func (c *Counted) Lengths() (shortest, longest int) {
	t := c.all()
	return t.shortest, t.longest
}
