package automaton

import (
	"encoding/binary"
	"fmt"
	"regexp/syntax"
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
)

// maxPatternSteps is the number of instructions of the program that package regexp makes of a pattern, at most.
const maxPatternSteps = 2_000

// A Pattern is a regular expression (RE2).
type Pattern struct{ prog *syntax.Prog }

// ParsePattern reads a pattern as package regexp does. Its errors are that package's, or that the pattern is too large.
func ParsePattern(text string) (*Pattern, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > maxPatternSteps {
		return nil, fmt.Errorf("the pattern repeats too much: it has %d steps, more than %d", len(prog.Inst),
			maxPatternSteps)
	}
	return &Pattern{prog}, nil
}

// WithoutMatch returns the automaton that accepts the strings in which the pattern matches nowhere. All of RE2 is
// supported, word boundaries and anchors included. A string is one line, so ^ and $ are its two ends, with (?m) too.
// More than MaxStates states are ErrTooLarge.
func WithoutMatch(pattern *Pattern, alphabet ascii.Mask, work *Budget) (*DFA, error) {
	p := patternStates{prog: pattern.prog, numbers: make(map[string]int32), work: work}
	p.words = usesEmptyWidth(pattern.prog, syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary)
	if err := work.Spend(10 * alphabet.Count() * len(pattern.prog.Inst)); err != nil {
		return nil, err
	}
	parts := ascii.Split(alphabet, p.signature)
	a := newDFA(parts)
	p.number(patternState{before: -1})
	for i := 0; i < len(p.states); i++ {
		if len(p.states) > MaxStates {
			return nil, ErrTooLarge
		}
		from := p.states[i]
		_, matched, err := p.follow(from, -1)
		if err != nil {
			return nil, err
		}
		state := a.addState(!matched, Dead)
		for class, part := range parts {
			to, matched, err := p.follow(from, rune(part.Lowest()))
			if err != nil {
				return nil, err
			}
			if !matched {
				a.Row(state)[class] = p.number(to)
			}
		}
	}
	return a.trim().minimise(work), nil
}

// A patternState is the state of a search for the pattern: the instructions that may come next, and the kind of the
// character before.
type patternState struct {
	at     []uint32 // sorted
	before rune     // -1 at the start; else 'a' for a character of words, ' ' for any other
}

type patternStates struct {
	prog    *syntax.Prog
	words   bool // the pattern looks at word boundaries
	states  []patternState
	numbers map[string]int32
	work    *Budget
}

// number returns the number of a state. A new state gets the next number.
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

// follow returns the state after the character c, and whether the pattern matches before c. At the end of the text, c
// is -1. A match may begin before every character.
func (p *patternStates) follow(s patternState, c rune) (to patternState, matched bool, err error) {
	if err := p.work.Spend(20 + 4*len(p.prog.Inst)); err != nil {
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

// kind returns what a patternState keeps of c, the character before the next one.
func (p *patternStates) kind(c rune) rune {
	if p.words && syntax.IsWordChar(c) {
		return 'a'
	}
	return ' '
}

// signature is equal for characters that the pattern does not tell apart: those that the same instructions take.
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

// smallAutomaton is the number of transitions up to which minimising pays.
const smallAutomaton = 5000

// minimise returns the smallest automaton that accepts the same strings, or a itself where that takes too long (Moore's
// method: blocks of states are refined by what they accept, then by where they lead, until nothing changes).
func (a *DFA) minimise(work *Budget) *DFA {
	block := make([]int32, len(a.Accepts))
	for state, accepts := range a.Accepts {
		if accepts {
			block[state] = 1
		}
	}
	count := 0
	for len(a.next) <= smallAutomaton && work.Spend(30*len(a.next)) == nil {
		numbers := make(map[string]int32)
		refined := make([]int32, len(block))
		for state := range block {
			key := binary.AppendVarint(nil, int64(block[state]))
			for _, to := range a.Row(int32(state)) {
				if to != Dead {
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

// merge returns a with one state for each block. The blocks are numbered in the order of their first states.
func (a *DFA) merge(block []int32, count int) *DFA {
	merged := &DFA{Class: a.Class, Classes: a.Classes}
	for state, number := range block {
		if int(number) < len(merged.Accepts) {
			continue
		}
		merged.addState(a.Accepts[state], Dead)
		for class, to := range a.Row(int32(state)) {
			if to != Dead {
				merged.Row(number)[class] = block[to]
			}
		}
		if len(merged.Accepts) == count {
			break
		}
	}
	return merged
}
