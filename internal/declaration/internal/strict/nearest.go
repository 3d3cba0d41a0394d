package strict

import (
	"fmt"
	"strconv"
	"strings"
)

// Alternatives says what was expected in place of a word: the nearest known word, if one is near, and all of them.
// known must not be empty.
func Alternatives(word string, known []string) string {
	list := enumerated(known)
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q? %s", near, list)
	}
	return list
}

// enumerated says that one of the known words was expected.
func enumerated(known []string) string {
	if len(known) == 1 {
		return "expected " + enumerate(known)
	}
	return "expected one of " + enumerate(known)
}

// enumerate lists words for a message, no more than a reader takes in. A word that is not a plain one is quoted: it is
// from the text, was refused at its own place, and may contain anything.
func enumerate(words []string) string {
	const most = 24
	var list []string
	for _, word := range words[:min(len(words), most)] {
		if !IsName(word) {
			word = strconv.Quote(Clip(word))
		}
		list = append(list, word)
	}
	text := strings.Join(list, ", ")
	if len(words) > most {
		text += fmt.Sprintf(" and %d more", len(words)-most)
	}
	return text
}

// Nearest returns the known word that is the fewest slips away from word, letter case ignored: at most one slip for
// each three characters. If none is so near, it returns the first that word is a part of, or that is a part of word. ""
// if there is none either.
func Nearest(word string, known []string) string {
	const most = 64 // characters: a longer word is no slip of a known one
	if len(word) > most {
		return ""
	}
	best, found := (len(word)+2)/3+1, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < best {
			best, found = d, k
		}
	}
	if found != "" {
		return found
	}
	for _, k := range known {
		if overlap(strings.ToLower(word), strings.ToLower(k)) {
			return k
		}
	}
	return ""
}

// overlap reports whether one word, of three letters or more, is a part of the other: "minimum" and "min".
func overlap(a, b string) bool {
	return len(a) >= 3 && len(b) >= 3 && (strings.Contains(a, b) || strings.Contains(b, a))
}

// distance counts the slips between two words: a letter too many, too few or wrong, or two neighbours exchanged
// (optimal string alignment, https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance).
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
