package password

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

// patternAutomaton accepts the strings in which a pattern (RE2, as package regexp takes it) matches nowhere. All of
// RE2 is supported, word boundaries and anchors included: since a password is one line, ^ and $ are its two ends with
// (?m) too. More than maxStates states are errTooLarge.
func patternAutomaton(pattern *syntax.Prog, alphabet charMask, work *budget) (*automaton, error) {
	p := patternStates{prog: pattern, numbers: make(map[string]int32), work: work}
	p.words = usesEmptyWidth(pattern, syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary)
	if err := work.spend(10 * alphabet.count() * len(pattern.Inst)); err != nil {
		return nil, err
	}
	parts := splitBy(alphabet, p.signature)
	a := newAutomaton(parts)
	p.number(patternState{before: -1})
	for i := 0; i < len(p.states); i++ {
		if len(p.states) > maxStates {
			return nil, errTooLarge
		}
		from := p.states[i]
		_, matched, err := p.follow(from, -1)
		if err != nil {
			return nil, err
		}
		state := a.addState(!matched, dead)
		for class, part := range parts {
			to, matched, err := p.follow(from, rune(part.lowest()))
			if err != nil {
				return nil, err
			}
			if !matched {
				a.row(state)[class] = p.number(to)
			}
		}
	}
	return a.trim().minimise(work), nil
}

// A patternState is where the search for a pattern is: before which instructions of its program, and after which kind
// of character.
type patternState struct {
	at     []uint32 // sorted
	before rune     // the character before: -1 at the start; else only whether it is a character of words matters
}

type patternStates struct {
	prog    *syntax.Prog
	words   bool // the pattern looks at word boundaries
	states  []patternState
	numbers map[string]int32
	work    *budget
}

// number returns the number of a state, a new one if need be.
func (p *patternStates) number(s patternState) int32 {
	key := binary.AppendVarint(nil, int64(s.before))
	for _, pc := range s.at {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	number, ok := p.numbers[string(key)]
	if !ok {
		number = int32(len(p.states))
		p.numbers[string(key)] = number
		p.states = append(p.states, s)
	}
	return number
}

// follow returns the state after the character c, or after none at the end of the text (-1). It reports whether the
// pattern matches before c. A search begins anew before every character.
func (p *patternStates) follow(s patternState, c rune) (to patternState, matched bool, err error) {
	if err := p.work.spend(20 + 4*len(p.prog.Inst)); err != nil {
		return to, false, err
	}
	here := syntax.EmptyOpContext(s.before, c)
	seen := make([]bool, len(p.prog.Inst))
	open := append(slices.Clone(s.at), uint32(p.prog.Start))
	for len(open) > 0 {
		pc := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &p.prog.Inst[pc]; inst.Op {
		case syntax.InstMatch:
			return to, true, nil
		case syntax.InstAlt, syntax.InstAltMatch:
			open = append(open, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			open = append(open, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^here == 0 {
				open = append(open, inst.Out)
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if c >= 0 && inst.MatchRune(c) {
				to.at = append(to.at, inst.Out)
			}
		}
	}
	slices.Sort(to.at)
	to.at = slices.Compact(to.at)
	to.before = p.kind(c)
	return to, false, nil
}

// kind returns a character that stands for c as the character before the next one.
func (p *patternStates) kind(c rune) rune {
	if p.words && syntax.IsWordChar(c) {
		return 'a'
	}
	return ' '
}

// signature tells apart the characters that the pattern tells apart: by the instructions that take them.
func (p *patternStates) signature(c byte) string {
	var taken []byte
	for i := range p.prog.Inst {
		switch inst := &p.prog.Inst[i]; inst.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			taken = append(taken, '0')
			if inst.MatchRune(rune(c)) {
				taken[len(taken)-1] = '1'
			}
		}
	}
	return string(append(taken, byte(p.kind(rune(c)))))
}

// usesEmptyWidth reports whether the program asks for any of the given conditions.
func usesEmptyWidth(prog *syntax.Prog, conditions syntax.EmptyOp) bool {
	return slices.ContainsFunc(prog.Inst, func(inst syntax.Inst) bool {
		return inst.Op == syntax.InstEmptyWidth && syntax.EmptyOp(inst.Arg)&conditions != 0
	})
}

// smallAutomaton is up to how many transitions an automaton is worth minimising.
const smallAutomaton = 5000

// minimise returns the smallest automaton that accepts the same strings (Moore's method: states are told apart by
// what they accept, then by where they lead, until nothing changes), or a itself where that would take long.
func (a *automaton) minimise(work *budget) *automaton {
	block := make([]int32, len(a.accepts))
	for state, accepts := range a.accepts {
		if accepts {
			block[state] = 1
		}
	}
	count := 0
	for len(a.next) <= smallAutomaton && work.spend(30*len(a.next)) == nil {
		numbers := make(map[string]int32)
		refined := make([]int32, len(block))
		for state := range block {
			key := binary.AppendVarint(nil, int64(block[state]))
			for _, to := range a.row(int32(state)) {
				if to != dead {
					to = block[to]
				}
				key = binary.AppendVarint(key, int64(to))
			}
			number, ok := numbers[string(key)]
			if !ok {
				number = int32(len(numbers))
				numbers[string(key)] = number
			}
			refined[state] = number
		}
		block = refined
		if len(numbers) == count {
			return a.merge(block, count)
		}
		count = len(numbers)
	}
	return a
}

// merge returns a with the states of each block made one. The blocks are numbered in the order of their first states.
func (a *automaton) merge(block []int32, count int) *automaton {
	merged := &automaton{class: a.class, classes: a.classes}
	for state, number := range block {
		if int(number) < len(merged.accepts) {
			continue
		}
		merged.addState(a.accepts[state], dead)
		for class, to := range a.row(int32(state)) {
			if to != dead {
				merged.row(number)[class] = block[to]
			}
		}
		if len(merged.accepts) == count {
			break
		}
	}
	return merged
}
