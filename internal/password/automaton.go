package password

// An automaton is a deterministic finite automaton over the characters of a policy. It accepts the strings that the
// rules it stands for allow. State 0 is where it starts; characters that no rule tells apart are one class.
type automaton struct {
	class   [128]uint8 // of each character of the alphabet
	classes int
	next    []int32 // next[state*classes+class]: a state, or dead
	accepts []bool  // by state: whether a string may end there
}

// dead is where a string goes that nothing can make acceptable any more.
const dead = -1

// newAutomaton returns an automaton without states whose classes are the given parts of the alphabet.
func newAutomaton(parts []charMask) *automaton {
	a := &automaton{classes: len(parts)}
	for i, part := range parts {
		for _, c := range []byte(part.chars()) {
			a.class[c] = uint8(i)
		}
	}
	return a
}

// addState appends a state, all of whose transitions lead to the given one, and returns its number.
func (a *automaton) addState(accepts bool, to int32) int32 {
	a.accepts = append(a.accepts, accepts)
	for range a.classes {
		a.next = append(a.next, to)
	}
	return int32(len(a.accepts) - 1)
}

// step returns the state after c, or dead.
func (a *automaton) step(state int32, c byte) int32 {
	return a.next[int(state)*a.classes+int(a.class[c])]
}

// row returns the transitions of a state, by class.
func (a *automaton) row(state int32) []int32 {
	return a.next[int(state)*a.classes:][:a.classes]
}

// accept reports whether the automaton accepts the string.
func (a *automaton) accept(text []byte) bool {
	var state int32
	for _, c := range text {
		if state = a.step(state, c); state == dead {
			return false
		}
	}
	return a.accepts[state]
}

// anyString returns the automaton that accepts all strings over the alphabet.
func anyString(alphabet charMask) *automaton {
	a := newAutomaton([]charMask{alphabet})
	a.addState(true, 0)
	return a
}

// product returns the automaton that accepts what both a and b accept: of the pairs of states those that can be
// reached. More than maxStates are errTooLarge.
func product(a, b *automaton, alphabet charMask, work *budget) (*automaton, error) {
	parts := splitBy(alphabet, func(c byte) [2]uint8 { return [2]uint8{a.class[c], b.class[c]} })
	p := newAutomaton(parts)
	numbers := map[[2]int32]int32{{0, 0}: 0}
	pairs := [][2]int32{{0, 0}}
	for i := 0; i < len(pairs); i++ {
		if err := work.spend(60 * len(parts)); err != nil || len(pairs) > maxStates {
			return nil, errTooLarge
		}
		from := pairs[i]
		state := p.addState(a.accepts[from[0]] && b.accepts[from[1]], dead)
		for class, part := range parts {
			c := part.lowest()
			to := [2]int32{a.step(from[0], c), b.step(from[1], c)}
			if to[0] == dead || to[1] == dead {
				continue
			}
			number, ok := numbers[to]
			if !ok {
				number = int32(len(pairs))
				numbers[to] = number
				pairs = append(pairs, to)
			}
			p.row(state)[class] = number
		}
	}
	return p.trim(), nil
}

// trim returns a without the states that cannot be reached, and without those from which nothing is accepted. The
// start stays in any case.
func (a *automaton) trim() *automaton {
	hope := a.hopeful()
	numbers := make([]int32, len(a.accepts))
	for i := range numbers {
		numbers[i] = dead
	}
	trimmed := &automaton{class: a.class, classes: a.classes}
	numbers[0] = 0
	order := []int32{0}
	for i := 0; i < len(order); i++ {
		state := trimmed.addState(a.accepts[order[i]], dead)
		for class, to := range a.row(order[i]) {
			if to == dead || !hope[to] {
				continue
			}
			if numbers[to] == dead {
				numbers[to] = int32(len(order))
				order = append(order, to)
			}
			trimmed.row(state)[class] = numbers[to]
		}
	}
	return trimmed
}

// hopeful returns, by state, whether any string is accepted from there.
func (a *automaton) hopeful() []bool {
	before := make([][]int32, len(a.accepts))
	for state := range a.accepts {
		for _, to := range a.row(int32(state)) {
			if to != dead {
				before[to] = append(before[to], int32(state))
			}
		}
	}
	hope := make([]bool, len(a.accepts))
	var open []int32
	for state, accepts := range a.accepts {
		if accepts {
			hope[state] = true
			open = append(open, int32(state))
		}
	}
	for len(open) > 0 {
		state := open[len(open)-1]
		open = open[:len(open)-1]
		for _, from := range before[state] {
			if !hope[from] {
				hope[from] = true
				open = append(open, from)
			}
		}
	}
	return hope
}

// endsAutomaton accepts the strings whose first character is in first and whose last is in last.
func endsAutomaton(alphabet, first, last charMask) *automaton {
	parts := splitBy(alphabet, func(c byte) [2]bool { return [2]bool{first.has(c), last.has(c)} })
	a := newAutomaton(parts)
	start := a.addState(false, dead)
	outside := a.addState(false, dead) // the last character so far is not in last
	inside := a.addState(true, dead)
	for class, part := range parts {
		to := outside
		if last.has(part.lowest()) {
			to = inside
		}
		a.row(outside)[class], a.row(inside)[class] = to, to
		if first.has(part.lowest()) {
			a.row(start)[class] = to
		}
	}
	return a.trim()
}

// runAutomaton accepts the strings in which no character stands more than most times in a row.
func runAutomaton(alphabet charMask, most int) (*automaton, error) {
	count := alphabet.count()
	if count*most >= maxStates {
		return nil, errTooLarge
	}
	a := newAutomaton(splitBy(alphabet, func(c byte) byte { return c }))
	a.addState(true, dead)
	for range count * most {
		a.addState(true, dead)
	}
	// State 1 + c*most + n is after n+1 times the character c.
	for state := range a.accepts {
		for c := range count {
			a.row(int32(state))[c] = int32(1 + c*most)
		}
		if state > 0 {
			c, n := (state-1)/most, (state-1)%most
			a.row(int32(state))[c] = int32(state + 1)
			if n+1 == most {
				a.row(int32(state))[c] = dead
			}
		}
	}
	return a, nil
}

// distinctAutomaton accepts the strings without a repeated character. It has a state for each set of characters used
// so far, so that only small alphabets have one.
func distinctAutomaton(alphabet charMask) (*automaton, error) {
	count := alphabet.count()
	if count > maxDistinctAlphabet {
		return nil, errTooLarge
	}
	a := newAutomaton(splitBy(alphabet, func(c byte) byte { return c }))
	for used := range 1 << count {
		state := a.addState(true, dead)
		for c := range count {
			if used>>c&1 == 0 {
				a.row(state)[c] = int32(used | 1<<c)
			}
		}
	}
	return a, nil
}

// wordAutomaton accepts the strings that hold none of the words, letter case ignored (Aho and Corasick, "Efficient
// string matching", CACM 18, 1975). The words are not empty, in lower case, and can be written in the alphabet.
func wordAutomaton(words []string, alphabet charMask) (*automaton, error) {
	var spelt charMask
	length := 0
	for _, word := range words {
		spelt = spelt.or(maskOf(word))
		length += len(word)
	}
	if length > 4*maxStates {
		return nil, errTooLarge
	}
	parts := splitBy(alphabet, func(c byte) byte {
		if c = lower(c); spelt.has(c) {
			return c
		}
		return 0
	})
	a := newAutomaton(parts)
	ends := []bool{false} // by state: a word ends here
	a.addState(true, dead)
	for _, word := range words {
		end := a.addWord(word, alphabet)
		for len(ends) < len(a.accepts) {
			ends = append(ends, false)
		}
		ends[end] = true
	}
	a.completeWords(ends)
	return a.trim(), nil
}

// addWord adds a word to the tree of words, and returns the state at its end.
func (a *automaton) addWord(word string, alphabet charMask) int32 {
	state := int32(0)
	for i := range len(word) {
		class := a.foldedClass(word[i], alphabet)
		if a.row(state)[class] == dead {
			to := a.addState(true, dead)
			a.row(state)[class] = to
		}
		state = a.row(state)[class]
	}
	return state
}

// foldedClass returns the class of a lower-case character, of which the alphabet has at least one letter case.
func (a *automaton) foldedClass(c byte, alphabet charMask) uint8 {
	if alphabet.has(c) {
		return a.class[c]
	}
	return a.class[upper(c)]
}

// completeWords makes the tree of words the automaton: what leaves the tree goes where the longest end of it goes that
// begins a word, and what ends a word is dead.
func (a *automaton) completeWords(ends []bool) {
	back := make([]int32, len(ends)) // the longest proper end of the state's text that is a state
	order := []int32{0}
	for i := 0; i < len(order); i++ {
		state := order[i]
		for class, to := range a.row(state) {
			var shorter int32
			if state != 0 {
				shorter = a.row(back[state])[class]
			}
			if to == dead {
				a.row(state)[class] = shorter
				continue
			}
			back[to] = shorter
			ends[to] = ends[to] || ends[shorter]
			order = append(order, to)
		}
	}
	for i, to := range a.next {
		if ends[to] {
			a.next[i] = dead
		}
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}
