package password

import "slices"

// An avoider reads text byte by byte and tells when one of its words was in it, case ignored (Aho and Corasick 1975). It
// has one state for each beginning of a word that holds no other word; state 0 is the empty one.
type avoider struct {
	next [][128]int32 // the state after a byte; found where that byte ends a word
}

// found is the state after a word was found. There is no way out of it.
const found = -1

// newAvoider returns an avoider of words in lower-case ASCII, none of which holds another.
func newAvoider(words []string) *avoider {
	a := &avoider{next: make([][128]int32, 1)}
	for _, word := range words {
		a.add(word)
	}
	a.fallBack()
	return a
}

// add makes a path of states for the word. A state that is not there yet is 0, since no path leads back to it.
func (a *avoider) add(word string) {
	state := int32(0)
	for i := range len(word) - 1 {
		if a.next[state][word[i]] == 0 {
			a.next = append(a.next, [128]int32{})
			a.next[state][word[i]] = int32(len(a.next) - 1)
		}
		state = a.next[state][word[i]]
	}
	a.next[state][word[len(word)-1]] = found
}

// fallBack completes the paths: where no word goes on, the state is that of the longest shorter text at hand. It goes
// through the states from the shortest text to the longest, so that the state fallen back to is complete.
func (a *avoider) fallBack() {
	fall := make([]int32, len(a.next))
	queue := []int32{0}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		for c := range a.next[state] {
			shorter := int32(0)
			if state != 0 {
				shorter = a.next[fall[state]][c]
			}
			switch next := a.next[state][c]; {
			case next == found:
			case next == 0 || shorter == found:
				a.next[state][c] = shorter
			default:
				fall[next] = shorter
				queue = append(queue, next)
			}
		}
		a.ignoreCase(state)
	}
}

// ignoreCase makes upper-case letters lead where lower-case ones do.
func (a *avoider) ignoreCase(state int32) {
	copy(a.next[state]['A':'Z'+1], slices.Clone(a.next[state]['a':'z'+1]))
}

// run returns the state after text, which is found if a word was. The text must be ASCII.
func (a *avoider) run(state int32, text string) int32 {
	for i := range len(text) {
		if state == found {
			return found
		}
		state = a.next[state][text[i]]
	}
	return state
}
