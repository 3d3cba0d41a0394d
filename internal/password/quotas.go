package password

import (
	"encoding/binary"
	"math"
	"slices"
)

// bounds is a charset and how many of its characters a password holds.
type bounds struct {
	chars    charMask
	min, max int // both at most one more than the longest password
}

// Quotas keep count of how many characters of each charset a string has so far: an automaton over atoms, which are
// the parts of the alphabet that no charset tells apart. A count stops where more makes no difference any more.
type quotas struct {
	atoms   []charMask
	next    []int32 // next[state*len(atoms)+atom]: a state, or dead
	accepts []bool
	low     []int32 // low and high: by state, how many characters may be left there
	high    []int32
}

// endless is more than any length.
const endless = math.MaxInt32 / 4

// newQuotas returns the quotas of the charsets of a policy, of which at least the given number must appear.
func newQuotas(alphabet charMask, sets []bounds, atLeast, minLength, maxLength int, work *budget) (*quotas, error) {
	q := &quotas{atoms: splitBy(alphabet, func(c byte) uint32 { return membership(sets, c) })}
	numbers := map[string]int32{}
	var held [][]uint16
	number := func(counts []uint16) int32 {
		var key []byte
		for _, n := range counts {
			key = binary.BigEndian.AppendUint16(key, n)
		}
		state, ok := numbers[string(key)]
		if !ok {
			state = int32(len(held))
			numbers[string(key)] = state
			held = append(held, counts)
		}
		return state
	}
	number(make([]uint16, len(sets)))
	for i := 0; i < len(held); i++ {
		if err := work.spend((100 + 20*len(sets)) * len(q.atoms)); err != nil || len(held) > maxQuotas {
			return nil, errTooLarge
		}
		q.accepts = append(q.accepts, satisfied(sets, held[i], atLeast))
		for _, atom := range q.atoms {
			to := int32(dead)
			if counts, ok := oneMore(sets, held[i], atom.lowest(), atLeast, maxLength); ok {
				to = number(counts)
			}
			q.next = append(q.next, to)
		}
	}
	q.bound(held, minLength, maxLength)
	return q, nil
}

// membership returns a bit for each charset that holds c.
func membership(sets []bounds, c byte) uint32 {
	var m uint32
	for i, s := range sets {
		if s.chars.has(c) {
			m |= 1 << i
		}
	}
	return m
}

// oneMore returns the counts after one more character c, and false if that is too many of some charset.
func oneMore(sets []bounds, held []uint16, c byte, atLeast, maxLength int) ([]uint16, bool) {
	held = slices.Clone(held)
	for i, s := range sets {
		if !s.chars.has(c) {
			continue
		}
		if s.max < maxLength {
			if int(held[i]) == s.max {
				return nil, false
			}
			held[i]++
			continue
		}
		held[i] = uint16(min(int(held[i])+1, s.enough(atLeast)))
	}
	return held, true
}

// enough is the count above which only the maximum of the charset matters.
func (s bounds) enough(atLeast int) int {
	if atLeast > 0 {
		return max(s.min, 1)
	}
	return s.min
}

// satisfied reports whether a string with these counts has enough of each charset, and enough charsets.
func satisfied(sets []bounds, held []uint16, atLeast int) bool {
	appear := 0
	for i, s := range sets {
		if int(held[i]) < s.min {
			return false
		}
		if held[i] > 0 {
			appear++
		}
	}
	return appear >= atLeast
}

// bound sets, for each state, between how many and how many characters may be left there in a string of a length from
// minLength to maxLength that is accepted in the end. Outside of that nothing needs to be counted. Where low is more
// than high, the state is useless.
func (q *quotas) bound(held [][]uint16, minLength, maxLength int) {
	order := q.byProgress(held)
	earliest, latest := q.arrivals(order)
	soonest, furthest := q.departures(order)
	q.low, q.high = make([]int32, len(held)), make([]int32, len(held))
	for state := range held {
		q.low[state] = max(soonest[state], int32(minLength)-latest[state], 0)
		q.high[state] = min(furthest[state], int32(maxLength)-earliest[state])
	}
}

// byProgress returns the states so that each transition leads to a later one or to the same: counts only grow.
func (q *quotas) byProgress(held [][]uint16) []int32 {
	sums := make([]int, len(held))
	order := make([]int32, len(held))
	for state, counts := range held {
		order[state] = int32(state)
		for _, n := range counts {
			sums[state] += int(n)
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return sums[a] - sums[b] })
	return order
}

// arrivals returns after how many characters a state is reached, at the least and at the most.
func (q *quotas) arrivals(order []int32) (earliest, latest []int32) {
	earliest, latest = make([]int32, len(order)), make([]int32, len(order))
	for state := range earliest {
		earliest[state] = endless
	}
	earliest[0] = 0
	for _, from := range order {
		row := q.row(from)
		if slices.Contains(row, from) {
			latest[from] = endless
		}
		for _, to := range row {
			if to != dead && to != from {
				earliest[to] = min(earliest[to], earliest[from]+1)
				latest[to] = max(latest[to], min(latest[from]+1, endless))
			}
		}
	}
	return earliest, latest
}

// departures returns how many characters follow a state before a string is accepted, at the least and at the most.
// The most is negative where none is accepted.
func (q *quotas) departures(order []int32) (soonest, furthest []int32) {
	soonest, furthest = make([]int32, len(order)), make([]int32, len(order))
	for _, from := range slices.Backward(order) {
		soonest[from], furthest[from] = endless, -1
		if q.accepts[from] {
			soonest[from], furthest[from] = 0, 0
		}
		row := q.row(from)
		for _, to := range row {
			if to != dead && to != from && furthest[to] >= 0 {
				soonest[from] = min(soonest[from], soonest[to]+1)
				furthest[from] = max(furthest[from], min(furthest[to]+1, endless))
			}
		}
		if furthest[from] >= 0 && slices.Contains(row, from) {
			furthest[from] = endless
		}
	}
	return soonest, furthest
}

// step returns the state after c, or dead.
func (q *quotas) step(state int32, c byte) int32 {
	for i, atom := range q.atoms {
		if atom.has(c) {
			return q.row(state)[i]
		}
	}
	return dead
}

// row returns where the state's transitions lead, by atom.
func (q *quotas) row(state int32) []int32 {
	return q.next[int(state)*len(q.atoms):][:len(q.atoms)]
}
