// Package automaton makes deterministic finite automata: of strings without given words, patterns, runs or repeated
// characters, and of what several of them accept. It knows no policy. Its limits and budgets bound what any input
// costs.
package automaton

import "keyvault-passwords/internal/password/internal/ascii"

// The limits of an automaton.
const (
	MaxStates   = 10_000 // states
	MaxDistinct = 12     // characters of an alphabet for which WithoutRepeats makes one: 2^12 states
)

// A DFA is a deterministic finite automaton over an alphabet. It starts in state 0. Characters that it does not tell
// apart are one class.
type DFA struct {
	Class   [128]uint8 // of each character of the alphabet
	Classes int
	next    []int32 // next[state*classes+class]: a state, or Dead
	Accepts []bool  // by state: whether a string may end there
}

// Dead is the state of a string that no continuation makes acceptable.
const Dead = -1

// newDFA returns an automaton without states whose classes are the given parts of the alphabet.
func newDFA(parts []ascii.Mask) *DFA {
	a := &DFA{Classes: len(parts)}
	for i, part := range parts {
		for _, c := range []byte(part.Chars()) {
			a.Class[c] = uint8(i)
		}
	}
	return a
}

// addState appends a state, all of whose transitions lead to the given one, and returns its number.
func (a *DFA) addState(accepts bool, to int32) int32 {
	a.Accepts = append(a.Accepts, accepts)
	for range a.Classes {
		a.next = append(a.next, to)
	}
	return int32(len(a.Accepts) - 1)
}

// Step returns the state after c, or Dead.
func (a *DFA) Step(state int32, c byte) int32 {
	return a.next[int(state)*a.Classes+int(a.Class[c])]
}

// Row returns the transitions of a state, by class.
func (a *DFA) Row(state int32) []int32 {
	return a.next[int(state)*a.Classes:][:a.Classes]
}

// Run returns the state after text. From Dead, it is Dead.
func (a *DFA) Run(state int32, text string) int32 {
	for i := 0; i < len(text) && state != Dead; i++ {
		state = a.Step(state, text[i])
	}
	return state
}

// Accept reports whether the automaton accepts the string.
func (a *DFA) Accept(text []byte) bool {
	var state int32
	for _, c := range text {
		if state = a.Step(state, c); state == Dead {
			return false
		}
	}
	return a.Accepts[state]
}

// Any returns the automaton that accepts all strings over the alphabet.
func Any(alphabet ascii.Mask) *DFA {
	a := newDFA([]ascii.Mask{alphabet})
	a.addState(true, 0)
	return a
}

// Product returns the automaton of the strings that both a and b accept. Its states are the pairs that can be reached;
// more than MaxStates are ErrTooLarge.
func Product(a, b *DFA, alphabet ascii.Mask, work *Budget) (*DFA, error) {
	parts := ascii.Split(alphabet, func(c byte) [2]uint8 { return [2]uint8{a.Class[c], b.Class[c]} })
	p := newDFA(parts)
	numbers := map[[2]int32]int32{{0, 0}: 0}
	pairs := [][2]int32{{0, 0}}
	for i := 0; i < len(pairs); i++ {
		if err := work.Spend(60 * len(parts)); err != nil || len(pairs) > MaxStates {
			return nil, ErrTooLarge
		}
		from := pairs[i]
		state := p.addState(a.Accepts[from[0]] && b.Accepts[from[1]], Dead)
		for class, part := range parts {
			c := part.Lowest()
			to := [2]int32{a.Step(from[0], c), b.Step(from[1], c)}
			if to[0] == Dead || to[1] == Dead {
				continue
			}
			number, ok := numbers[to]
			if !ok {
				number = int32(len(pairs))
				numbers[to] = number
				pairs = append(pairs, to)
			}
			p.Row(state)[class] = number
		}
	}
	return p.trim(), nil
}

// trim returns a without the states that cannot be reached or from which no string is accepted. The start always stays.
func (a *DFA) trim() *DFA {
	useful := a.coaccessible()
	numbers := make([]int32, len(a.Accepts))
	for i := range numbers {
		numbers[i] = Dead
	}
	trimmed := &DFA{Class: a.Class, Classes: a.Classes}
	numbers[0] = 0
	order := []int32{0}
	for i := 0; i < len(order); i++ {
		state := trimmed.addState(a.Accepts[order[i]], Dead)
		for class, to := range a.Row(order[i]) {
			if to == Dead || !useful[to] {
				continue
			}
			if numbers[to] == Dead {
				numbers[to] = int32(len(order))
				order = append(order, to)
			}
			trimmed.Row(state)[class] = numbers[to]
		}
	}
	return trimmed
}

// coaccessible reports for each state whether any string is accepted from there.
func (a *DFA) coaccessible() []bool {
	before := make([][]int32, len(a.Accepts))
	for state := range a.Accepts {
		for _, to := range a.Row(int32(state)) {
			if to != Dead {
				before[to] = append(before[to], int32(state))
			}
		}
	}
	useful := make([]bool, len(a.Accepts))
	var open []int32
	for state, accepts := range a.Accepts {
		if accepts {
			useful[state] = true
			open = append(open, int32(state))
		}
	}
	for len(open) > 0 {
		state := open[len(open)-1]
		open = open[:len(open)-1]
		for _, from := range before[state] {
			if !useful[from] {
				useful[from] = true
				open = append(open, from)
			}
		}
	}
	return useful
}

// WithEnds returns the automaton that accepts the strings whose first character is in first and whose last is in last.
func WithEnds(alphabet, first, last ascii.Mask) *DFA {
	parts := ascii.Split(alphabet, func(c byte) [2]bool { return [2]bool{first.Has(c), last.Has(c)} })
	a := newDFA(parts)
	start := a.addState(false, Dead)
	outside := a.addState(false, Dead) // the last character so far is not in last
	inside := a.addState(true, Dead)
	for class, part := range parts {
		to := outside
		if last.Has(part.Lowest()) {
			to = inside
		}
		a.Row(outside)[class], a.Row(inside)[class] = to, to
		if first.Has(part.Lowest()) {
			a.Row(start)[class] = to
		}
	}
	return a.trim()
}

// WithoutRuns returns the automaton that accepts the strings in which no character appears more than most times in a
// row. More than MaxStates states are ErrTooLarge.
func WithoutRuns(alphabet ascii.Mask, most int) (*DFA, error) {
	count := alphabet.Count()
	if count*most >= MaxStates {
		return nil, ErrTooLarge
	}
	a := newDFA(ascii.Split(alphabet, func(c byte) byte { return c }))
	a.addState(true, Dead)
	for range count * most {
		a.addState(true, Dead)
	}
	// State 1 + c*most + n is after n+1 times the character c.
	for state := range a.Accepts {
		for c := range count {
			a.Row(int32(state))[c] = int32(1 + c*most)
		}
		if state > 0 {
			c, n := (state-1)/most, (state-1)%most
			a.Row(int32(state))[c] = int32(state + 1)
			if n+1 == most {
				a.Row(int32(state))[c] = Dead
			}
		}
	}
	return a, nil
}

// WithoutRepeats returns the automaton that accepts the strings in which no character appears twice. It has a state for
// each set of characters used so far: alphabets of more than MaxDistinct characters are ErrTooLarge.
func WithoutRepeats(alphabet ascii.Mask) (*DFA, error) {
	count := alphabet.Count()
	if count > MaxDistinct {
		return nil, ErrTooLarge
	}
	a := newDFA(ascii.Split(alphabet, func(c byte) byte { return c }))
	for used := range 1 << count {
		state := a.addState(true, Dead)
		for c := range count {
			if used>>c&1 == 0 {
				a.Row(state)[c] = int32(used | 1<<c)
			}
		}
	}
	return a, nil
}

// WithoutWords returns the automaton that accepts the strings that contain none of the words, letter case ignored (Aho
// and Corasick, "Efficient string matching", CACM 18, 1975). The words must not be empty, must be in lower case, and
// must be spelt with characters of the alphabet. Words that are too long together are ErrTooLarge.
func WithoutWords(words []string, alphabet ascii.Mask) (*DFA, error) {
	var spelt ascii.Mask
	length := 0
	for _, word := range words {
		spelt = spelt.Or(ascii.Of(word))
		length += len(word)
	}
	if length > 4*MaxStates {
		return nil, ErrTooLarge
	}
	parts := ascii.Split(alphabet, func(c byte) byte {
		if c = ascii.Lower(c); spelt.Has(c) {
			return c
		}
		return 0
	})
	a := newDFA(parts)
	ends := []bool{false} // by state: whether a word ends here
	a.addState(true, Dead)
	for _, word := range words {
		end := a.addWord(word, alphabet)
		for len(ends) < len(a.Accepts) {
			ends = append(ends, false)
		}
		ends[end] = true
	}
	a.completeWords(ends)
	return a.trim(), nil
}

// addWord adds a word to the trie, and returns the state at its end.
func (a *DFA) addWord(word string, alphabet ascii.Mask) int32 {
	state := int32(0)
	for i := range len(word) {
		class := a.foldedClass(word[i], alphabet)
		if a.Row(state)[class] == Dead {
			to := a.addState(true, Dead)
			a.Row(state)[class] = to
		}
		state = a.Row(state)[class]
	}
	return state
}

// foldedClass returns the class of a lower-case character. The alphabet has the character in at least one letter case.
func (a *DFA) foldedClass(c byte, alphabet ascii.Mask) uint8 {
	if alphabet.Has(c) {
		return a.Class[c]
	}
	return a.Class[ascii.Upper(c)]
}

// completeWords turns the trie into an Aho-Corasick automaton: missing transitions follow the failure link, and states
// that complete a word are dead.
func (a *DFA) completeWords(ends []bool) {
	failure := make([]int32, len(ends)) // the state of the longest proper suffix of the state's text
	order := []int32{0}
	for i := 0; i < len(order); i++ {
		state := order[i]
		for class, to := range a.Row(state) {
			var shorter int32
			if state != 0 {
				shorter = a.Row(failure[state])[class]
			}
			if to == Dead {
				a.Row(state)[class] = shorter
				continue
			}
			failure[to] = shorter
			ends[to] = ends[to] || ends[shorter]
			order = append(order, to)
		}
	}
	for i, to := range a.next {
		if ends[to] {
			a.next[i] = Dead
		}
	}
}
