package password

import (
	"maps"
	"math/big"
	"slices"
)

// The limits of counting phrases, which keep it within a tenth of a second: positions, for each of which the automaton
// reads the whole list, and additions of large numbers.
const (
	maxPhrasePositions = 64
	maxPhraseAdditions = 150_000
)

// A position is what the beginning of a phrase means for the rest: the automaton's state before a word. It knows the
// steps from here, and the tally of the rests that begin here.
type position struct {
	state     int32
	words     []wordGroup
	plain     []step     // to the positions before the next word, by a word and the separator; sorted by them
	withDigit []step     // likewise, by a word, a digit and the separator
	end       step       // to the end of the phrase, by a word
	endDigit  step       // likewise, by a word and a digit
	rests     [2][]tally // by whether the digit is still to come, and by the words to come
}

// A step is the choices of a word, or of a word and a digit, that lead from one position to another.
type step struct {
	to                int32
	choices           int64
	shortest, longest int // in bytes, the separator included
}

// A wordGroup is the words that lead from a position to one state, without what follows them.
type wordGroup struct {
	step
	words []int // by their places in the list
}

// A tally is how many texts there are, and the length in bytes of the shortest and the longest.
type tally struct {
	count             *big.Int
	shortest, longest int
}

// add counts in the texts that begin with one of the step's choices and go on with one of the rest's.
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

// countPhrases counts the phrases of words that hold none of the forbidden substrings, which are in lower case. Its
// error is that this would take more than the limits allow.
func countPhrases(words []string, p Passphrase, forbidden []string) (*phrases, error) {
	avoid, err := wordAutomaton(forbidden, maskOf(printables))
	if err != nil {
		return nil, err
	}
	ph := &phrases{
		words: words, places: p.Words, separator: p.Separator, digit: p.Digit,
		avoid: avoid, positions: map[int32]*position{},
	}
	ph.choices = new(big.Int).Exp(big.NewInt(int64(len(words))), big.NewInt(int64(p.Words)), nil)
	if p.Digit {
		ph.choices.Mul(ph.choices, big.NewInt(int64(10*p.Words)))
	}
	if err := ph.explore(); err != nil {
		return nil, err
	}
	for places := 1; places <= ph.places; places++ {
		for _, at := range ph.positions {
			at.rests[0] = append(at.rests[0], ph.tally(at, false, places))
			if ph.digit {
				at.rests[1] = append(at.rests[1], ph.tally(at, true, places))
			}
		}
	}
	return ph, nil
}

// explore finds the positions that a phrase can reach, with their steps.
func (ph *phrases) explore() error {
	steps := 0
	for queue := []int32{0}; len(queue) > 0; queue = queue[1:] {
		if ph.positions[queue[0]] != nil {
			continue
		}
		at := ph.position(queue[0])
		ph.positions[at.state] = at
		if ph.places == 1 {
			break // no word follows
		}
		for _, s := range slices.Concat(at.plain, at.withDigit) {
			queue = append(queue, s.to)
		}
		steps += 2*len(at.plain) + len(at.withDigit)
		if len(ph.positions) > maxPhrasePositions || steps*ph.places > maxPhraseAdditions {
			return errTooLarge
		}
	}
	return nil
}

// position returns the steps from the position before a word.
func (ph *phrases) position(state int32) *position {
	at := &position{state: state, words: ph.wordGroups(state)}
	plain, withDigit := map[int32]*step{}, map[int32]*step{}
	for _, group := range at.words {
		at.end.include(group.step)
		addStep(plain, ph.extended(group.step, ph.separator))
		for _, digit := range digitTexts {
			if !ph.digit {
				break
			}
			numbered := ph.extended(group.step, digit)
			at.endDigit.include(numbered)
			addStep(withDigit, ph.extended(numbered, ph.separator))
		}
	}
	at.plain, at.withDigit = sortedSteps(plain), sortedSteps(withDigit)
	return at
}

// wordGroups groups the words by the state after them, in the order of these, without words after which it is dead.
func (ph *phrases) wordGroups(state int32) []wordGroup {
	byState := map[int32]*wordGroup{}
	for i, word := range ph.words {
		to := ph.avoid.run(state, word)
		if to == dead {
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

// extended returns the step whose choices are those of s with text after each.
func (ph *phrases) extended(s step, text string) step {
	return step{ph.avoid.run(s.to, text), s.choices, s.shortest + len(text), s.longest + len(text)}
}

// addStep adds the choices of s to those that lead where it does.
func addStep(steps map[int32]*step, s step) {
	if steps[s.to] == nil {
		steps[s.to] = &step{to: s.to}
	}
	steps[s.to].include(s)
}

// include adds the choices of other, unless something forbidden was in them.
func (s *step) include(other step) {
	if other.to == dead || other.choices == 0 {
		return
	}
	if s.choices == 0 {
		s.shortest, s.longest = other.shortest, other.longest
	}
	s.choices += other.choices
	s.shortest, s.longest = min(s.shortest, other.shortest), max(s.longest, other.longest)
}

// sortedSteps returns the steps that have choices, by where they lead.
func sortedSteps(steps map[int32]*step) []step {
	sorted := make([]step, 0, len(steps))
	for _, to := range slices.Sorted(maps.Keys(steps)) {
		if steps[to].choices > 0 {
			sorted = append(sorted, *steps[to])
		}
	}
	return sorted
}

// tally counts the rests from a position on: so many words, and the digit if it is still to come. The tallies of fewer
// words must be there.
func (ph *phrases) tally(at *position, digit bool, places int) tally {
	t := tally{count: new(big.Int)}
	if places == 1 {
		nothing := tally{count: big.NewInt(1)}
		if digit {
			t.add(at.endDigit, nothing)
		} else {
			t.add(at.end, nothing)
		}
		return t
	}
	for _, s := range at.plain {
		t.add(s, ph.rest(s.to, digit, places-1))
	}
	if digit {
		for _, s := range at.withDigit {
			t.add(s, ph.rest(s.to, false, places-1))
		}
	}
	return t
}

// rest returns the tally of the rests from the position before the automaton reads the next of so many words.
func (ph *phrases) rest(state int32, digit bool, places int) tally {
	pending := 0
	if digit {
		pending = 1
	}
	return ph.positions[state].rests[pending][places-1]
}

func (ph *phrases) all() tally { return ph.rest(0, ph.digit, ph.places) }

// size returns how many phrases there are. It is the caller's.
func (ph *phrases) size() *big.Int { return new(big.Int).Set(ph.all().count) }

// lengths returns the number of characters of the shortest and the longest phrase; 0 and 0 if there is none.
func (ph *phrases) lengths() (shortest, longest int) {
	t := ph.all()
	return t.shortest, t.longest
}
