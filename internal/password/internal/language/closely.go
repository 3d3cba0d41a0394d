package language

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// holdingClosely returns the same bound as holdingSpelt, but a closer one, unless that takes too long. Wherever a
// prefix leads to in the automaton, the word and the suffix go on from there:
//
//  1. Of a word it is known how many characters of each atom it has, and not in which order. So the best share of word
//     and suffix is the highest over the first characters, of the best share of the word without it and the suffix.
//     These shares are computed for all parts of the spellings, the shorter ones first.
//  2. The share that hold a word is at most the sum, over the positions, words, quotas and stops, of the share of
//     prefixes, times the share of the word, times the best share of word and suffix from there.
func (w *walk) holdingClosely(spellings []lexicon.Spelling, work *automaton.Budget) (share float64, ok bool) {
	if !w.isClose() {
		return 0, false
	}
	parts := partsOf(spellings)
	size := len(w.quotas.Accepts) * len(w.stops)
	if size*len(parts) > maxClose {
		return 0, false
	}
	best := make([][]float64, len(parts)) // by part, then by state of the quotas and stop
	for i := range best {
		best[i] = make([]float64, size)
	}
	leads := w.leads()
	if work.Spend(w.raiseSteps(parts, leads)) != nil {
		return 0, false
	}
	for i := range best[0] {
		best[0][i] = 1
	}
	w.raiseAll(parts, leads, best)
	for i := range parts {
		parts[i].dead = slices.Max(best[i]) == 0 // no such word can be written anywhere
	}
	if work.Spend((w.max+1)*(w.raiseSteps(parts, leads)+size*(w.max-w.min+1))) != nil {
		return 0, false
	}
	for end := range w.max + 1 { // of the word
		w.endingsAt(end, best[0])
		w.raiseAll(parts, leads, best)
		for i, p := range parts {
			if p.dead || p.ways == 0 || end < p.length {
				continue
			}
			sum := 0.0
			for at, prefixes := range w.closePrefixes[end-p.length] {
				sum += prefixes * best[i][at]
			}
			share += p.ways * math.Pow(w.each, float64(p.length)) * sum
		}
	}
	return share, true
}

// leads returns, by atom and stop, the stops that a character leads to.
func (w *walk) leads() [][][]int32 {
	leads := make([][][]int32, len(w.quotas.Atoms))
	for atom := range leads {
		leads[atom] = make([][]int32, len(w.stops))
	}
	for g, group := range w.groups {
		for i := range w.stops {
			to := &leads[group.atom][i]
			if next := w.stops[i].next[g]; next != dead && !slices.Contains(*to, next) {
				*to = append(*to, next)
			}
		}
	}
	return leads
}

// raiseSteps returns about how many steps raiseAll takes.
func (w *walk) raiseSteps(parts []part, leads [][][]int32) int {
	edges := make([]int, len(leads)) // by atom
	for atom, stops := range leads {
		edges[atom] = len(stops)
		for _, to := range stops {
			edges[atom] += len(to)
		}
	}
	steps := len(w.stops)
	for _, p := range parts {
		for _, rest := range p.rests {
			if !p.dead && !parts[rest.part].dead {
				steps += edges[rest.atom]
			}
		}
	}
	return steps * len(w.quotas.Accepts)
}

// raiseAll sets the shares of all parts but the first, which is the empty one, from those of shorter ones.
func (w *walk) raiseAll(parts []part, leads [][][]int32, best [][]float64) {
	for i, p := range parts {
		if i == 0 || p.dead {
			continue
		}
		clear(best[i])
		for _, rest := range p.rests {
			if !parts[rest.part].dead {
				w.raise(best[i], best[rest.part], rest.atom, leads[rest.atom])
			}
		}
	}
}

// A part is what may be left of a word: how many characters of each atom, in any order.
type part struct {
	length int
	ways   float64 // of writing words that are this as a whole
	rests  []rest
	dead   bool
}

// A rest is what is left of a part after a character of an atom.
type rest struct{ atom, part int }

// partsOf returns the parts of spellings, the shorter ones first.
func partsOf(spellings []lexicon.Spelling) []part {
	ways := map[string]float64{}
	var open []string
	add := func(placed string, n float64) {
		if _, ok := ways[placed]; !ok {
			open = append(open, placed)
		}
		ways[placed] += n
	}
	for _, s := range spellings {
		placed := make([]byte, len(s.Placed))
		for i, atom := range s.Placed {
			placed[i] = byte(atom)
		}
		add(string(placed), s.Ways)
	}
	for i := 0; i < len(open); i++ {
		for at := range len(open[i]) {
			add(without(open[i], at), 0)
		}
	}
	slices.SortFunc(open, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	number := make(map[string]int, len(open))
	parts := make([]part, len(open))
	for i, placed := range open {
		number[placed] = i
		rests := map[int]int{} // by atom
		for at := range len(placed) {
			rests[int(placed[at])] = number[without(placed, at)]
		}
		parts[i] = part{length: len(placed), ways: ways[placed]}
		for _, atom := range slices.Sorted(maps.Keys(rests)) {
			parts[i].rests = append(parts[i].rests, rest{atom, rests[atom]})
		}
	}
	return parts
}

// without returns a text without the character at a place.
func without(text string, at int) string { return text[:at] + text[at+1:] }

// endingsAt sets shares to the best of the suffixes that make a text of a right length, after so many characters.
func (w *walk) endingsAt(before int, shares []float64) {
	clear(shares)
	for length := max(w.min, before); length <= w.max; length++ {
		weight := math.Pow(w.each, float64(w.max-length))
		for at, share := range w.closeSuffixes[length-before] {
			shares[at] += weight * share
		}
	}
}

// raise raises shares to those that one character of an atom leads to.
func (w *walk) raise(shares, after []float64, atom int, leads [][]int32) {
	size := len(w.stops)
	for held := range w.quotas.Accepts {
		to := w.quotas.Row(int32(held))[atom]
		if to == dead {
			continue
		}
		from, after := shares[held*size:][:size], after[int(to)*size:][:size]
		for i, all := range leads {
			for _, next := range all {
				if share := after[next]; share > from[i] {
					from[i] = share
				}
			}
		}
	}
}
