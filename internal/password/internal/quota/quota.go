// Package quota counts how many characters of some charsets a string has, as an automaton: with it, the bounds of
// charsets can be multiplied with other automata.
package quota

import (
	"encoding/binary"
	"math"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
)

// Charset bounds how many characters of a set a string has. Min and Max are at most one more than the longest string.
type Charset struct {
	Chars    ascii.Mask
	Min, Max int
	Each     bool // each character is counted up to Max, and the set is none of AtLeast
}

// Rules are what quotas are made of.
type Rules struct {
	Alphabet ascii.Mask
	Charsets []Charset // maxCharsets at most
	AtLeast  int       // how many of Charsets must appear, by one character or more
	Min, Max int       // the number of characters of a string
}

// Quotas are an automaton that remembers how many characters of each charset a string has so far. It reads atoms, which
// are the parts of the alphabet that no charset tells apart. A count stops growing where more makes no difference.
type Quotas struct {
	Atoms   []ascii.Mask
	next    []int32 // next[state*len(Atoms)+atom]: a state, or dead
	Accepts []bool
	Low     []int32 // by state: how many more characters must follow at least, in a string that is accepted
	High    []int32 // likewise: how many may follow at most

	held [][]uint16 // by state, then by charset: how many characters it has so far
}

// dead is the state from which nothing is accepted.
const dead = automaton.Dead

// maxCharsets is how many charsets there are at most.
const maxCharsets = 32

// unlimited is more than any length.
const unlimited = math.MaxInt32 / 4

// New returns the quotas of the charsets. More states than most are automaton.ErrTooLarge.
func New(r *Rules, most int, work *automaton.Budget) (*Quotas, error) {
	if len(r.Charsets) > maxCharsets {
		return nil, automaton.ErrTooLarge
	}
	q := &Quotas{Atoms: ascii.Split(r.Alphabet, r.Membership)}
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
	number(make([]uint16, len(r.Charsets)))
	for i := 0; i < len(held); i++ {
		if err := work.Spend((100 + 20*len(r.Charsets)) * len(q.Atoms)); err != nil || len(held) > most {
			return nil, automaton.ErrTooLarge
		}
		q.Accepts = append(q.Accepts, r.satisfied(held[i]))
		for _, atom := range q.Atoms {
			to := int32(dead)
			if counts, ok := r.oneMore(held[i], atom.Lowest()); ok {
				to = number(counts)
			}
			q.next = append(q.next, to)
		}
	}
	q.held = held
	q.bound(held, r.Min, r.Max)
	return q, nil
}

// Held returns how many characters of a charset a string has in a state, as far as they are counted.
func (q *Quotas) Held(state int32, charset int) int { return int(q.held[state][charset]) }

// Membership returns a bit for each charset that holds c.
func (r *Rules) Membership(c byte) uint32 {
	var m uint32
	for i, s := range r.Charsets {
		if s.Chars.Has(c) {
			m |= 1 << i
		}
	}
	return m
}

// oneMore returns the counts after one more character c. It is not ok if that is too many of some charset.
func (r *Rules) oneMore(held []uint16, c byte) (more []uint16, ok bool) {
	held = slices.Clone(held)
	for i, s := range r.Charsets {
		if !s.Chars.Has(c) {
			continue
		}
		if s.Max < r.Max || s.Each {
			if int(held[i]) == s.Max {
				return nil, false
			}
			held[i]++
			continue
		}
		held[i] = uint16(min(int(held[i])+1, s.Enough(r.AtLeast)))
	}
	return held, true
}

// Enough returns the count above which only the maximum of the charset matters. atLeast is that of the rules.
func (s Charset) Enough(atLeast int) int {
	if atLeast > 0 {
		return max(s.Min, 1)
	}
	return s.Min
}

// satisfied reports whether a string with these counts has enough of each charset, and enough charsets.
func (r *Rules) satisfied(held []uint16) bool {
	appear := 0
	for i, s := range r.Charsets {
		if int(held[i]) < s.Min {
			return false
		}
		if held[i] > 0 && !s.Each {
			appear++
		}
	}
	return appear >= r.AtLeast
}

// bound sets Low and High, from the strings of minLength to maxLength characters. Outside of these bounds nothing needs
// to be counted. A state whose Low is above its High is useless.
func (q *Quotas) bound(held [][]uint16, minLength, maxLength int) {
	order := q.byProgress(held)
	earliest, latest := q.arrivals(order)
	soonest, furthest := q.departures(order)
	q.Low, q.High = make([]int32, len(held)), make([]int32, len(held))
	for state := range held {
		q.Low[state] = max(soonest[state], int32(minLength)-latest[state], 0)
		q.High[state] = min(furthest[state], int32(maxLength)-earliest[state])
	}
}

// byProgress returns the states in an order in which each transition leads to the same or a later state: counts only
// grow.
func (q *Quotas) byProgress(held [][]uint16) []int32 {
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

// arrivals returns, by state, the lowest and the highest number of characters after which it is reached.
func (q *Quotas) arrivals(order []int32) (earliest, latest []int32) {
	earliest, latest = make([]int32, len(order)), make([]int32, len(order))
	for state := range earliest {
		earliest[state] = unlimited
	}
	earliest[0] = 0
	for _, from := range order {
		row := q.Row(from)
		if slices.Contains(row, from) {
			latest[from] = unlimited
		}
		for _, to := range row {
			if to != dead && to != from {
				earliest[to] = min(earliest[to], earliest[from]+1)
				latest[to] = max(latest[to], min(latest[from]+1, unlimited))
			}
		}
	}
	return earliest, latest
}

// departures returns, by state, the lowest and the highest number of characters after which a string is accepted. The
// highest is negative if none is.
func (q *Quotas) departures(order []int32) (soonest, furthest []int32) {
	soonest, furthest = make([]int32, len(order)), make([]int32, len(order))
	for _, from := range slices.Backward(order) {
		soonest[from], furthest[from] = unlimited, -1
		if q.Accepts[from] {
			soonest[from], furthest[from] = 0, 0
		}
		row := q.Row(from)
		for _, to := range row {
			if to != dead && to != from && furthest[to] >= 0 {
				soonest[from] = min(soonest[from], soonest[to]+1)
				furthest[from] = max(furthest[from], min(furthest[to]+1, unlimited))
			}
		}
		if furthest[from] >= 0 && slices.Contains(row, from) {
			furthest[from] = unlimited
		}
	}
	return soonest, furthest
}

// Step returns the state after c, or automaton.Dead.
func (q *Quotas) Step(state int32, c byte) int32 {
	for i, atom := range q.Atoms {
		if atom.Has(c) {
			return q.Row(state)[i]
		}
	}
	return dead
}

// Row returns the transitions of a state, by atom.
func (q *Quotas) Row(state int32) []int32 {
	return q.next[int(state)*len(q.Atoms):][:len(q.Atoms)]
}
