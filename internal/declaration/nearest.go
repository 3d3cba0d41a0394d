package declaration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// alternatives says what could have stood in place of a word: the nearest known one, where one is near, and all of them.
// There must be one.
func alternatives(word string, known []string) string {
	list := "expected one of " + enumerate(known)
	if len(known) == 1 {
		list = "expected " + enumerate(known)
	}
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q? %s", near, list)
	}
	return list
}

// enumerate lists names for a message, not more than a reader takes in. A name that cannot be one, and has been refused
// where it stands, is quoted: it may hold anything.
func enumerate(names []string) string {
	const most = 24
	var list []string
	for _, name := range names[:min(len(names), most)] {
		if !aliasName.MatchString(name) {
			name = strconv.Quote(clip(name))
		}
		list = append(list, name)
	}
	text := strings.Join(list, ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}

// nearest returns the known word that is fewest slips away from word, in any letter case: at most one for each three
// characters; else one that word is a part of, or that is a part of word. "" if none is so near; the first of several.
func nearest(word string, known []string) string {
	const most = 64 // characters: longer words are no slip of a known one
	if len(word) > most {
		return ""
	}
	best, found := (len(word)+2)/3+1, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < best {
			best, found = d, k
		}
	}
	if i := slices.IndexFunc(known, func(k string) bool { return overlap(strings.ToLower(word), strings.ToLower(k)) }); found == "" && i >= 0 {
		found = known[i]
	}
	return found
}

// overlap reports whether one word, of three letters or more, is a part of the other: "minimum" and "min".
func overlap(a, b string) bool {
	return len(a) >= 3 && len(b) >= 3 && (strings.Contains(a, b) || strings.Contains(b, a))
}

// distance counts the slips between two words: a letter too many, too few, wrong, or two neighbours exchanged (optimal
// string alignment, https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance).
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
