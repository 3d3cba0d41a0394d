package language

import (
	"slices"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/quota"
)

// A graph is the way of a text through an automaton, quotas and a limit of runs. Or no character appears twice.
//
// Characters of a group (that neither the automaton nor the quotas tell apart) can be exchanged for each other. So of a
// run it is enough to remember its length and the group of its character: the continuations of "aa" and "bb" are
// equally many. What is remembered besides the quotas is a node. Where no character appears twice, it is enough to
// count those of each group, which the quotas do.
type graph struct {
	quotas *quota.Quotas
	groups []group
	stops  []stop // by state of the automaton
	nodes  int    // of all stops. Node 0 is the start
	maxRun int    // 0: runs do not matter
	max    int    // the longest text
	used   []int  // by group: the charset that counts its characters. Nil: characters may appear again
}

// A stop is a state of the automaton, with a node for each group of which a run may end there, and each length of that
// run. Where runs do not matter, and at the start, it has one node.
type stop struct {
	accepts bool
	next    []int32 // by group: the state that it leads to, or dead
	to      []int32 // by group: the node there, of a run of one
	in      []entry
}

// An entry are the nodes of a stop for runs of a group, from one character on.
type entry struct {
	group int // anyGroup: the start, or runs do not matter
	first int32
	runs  int // how many nodes
}

const anyGroup = -1

// maxGraph is how many pairs of nodes, or of lengths, and of states of the quotas a graph has at most: 8 MB for a layer
// of float64.
const maxGraph = 1 << 20

// newGraph returns the graph of an automaton, the quotas of the rules and their limit of runs.
func newGraph(a *automaton.DFA, r *Rules, work *automaton.Budget) (*graph, error) {
	quotas := r.quotas()
	if r.Distinct {
		quotas = countingGroups(quotas, a)
	}
	q, err := quota.New(quotas, maxQuotas, work)
	if err != nil {
		return nil, err
	}
	g := &graph{quotas: q, groups: groupsOf(a, q), maxRun: r.MaxRun, max: r.Max}
	if r.Distinct {
		g.maxRun = 0
		for _, group := range g.groups {
			g.used = append(g.used, slices.IndexFunc(quotas.Charsets, func(s Charset) bool {
				return s.Each && s.Chars.Has(group.chars[0])
			}))
		}
	}
	if err := work.Spend(20 * len(a.Accepts) * len(g.groups)); err != nil {
		return nil, err
	}
	g.stops = make([]stop, len(a.Accepts))
	g.enter(0, anyGroup)
	for state := range g.stops {
		s := &g.stops[state]
		s.accepts = a.Accepts[state]
		for i, group := range g.groups {
			to := a.Row(int32(state))[group.class]
			s.next = append(s.next, to)
			s.to = append(s.to, g.enter(to, i))
		}
	}
	if len(q.Accepts)*max(g.nodes, r.Max+1) > maxGraph {
		return nil, automaton.ErrTooLarge
	}
	return g, nil
}

// countingGroups returns quotas that also count the characters of each part of the alphabet that neither the quotas nor
// the automaton tell apart.
func countingGroups(quotas *quota.Rules, a *automaton.DFA) *quota.Rules {
	counting := *quotas
	counting.Charsets = slices.Clone(quotas.Charsets)
	for _, atom := range ascii.Split(quotas.Alphabet, quotas.Membership) {
		for _, chars := range ascii.Split(atom, func(c byte) uint8 { return a.Class[c] }) {
			counting.Charsets = append(counting.Charsets, Charset{Chars: chars, Max: chars.Count(), Each: true})
		}
	}
	return &counting
}

// choices returns how many characters of a group may come next.
func (g *graph) choices(group int, held int32) int {
	n := len(g.groups[group].chars)
	if g.used != nil {
		n -= g.quotas.Held(held, g.used[group])
	}
	return n
}

// enter returns the first node of a state for a group that leads to it. It makes the nodes if there are none yet.
func (g *graph) enter(state int32, group int) int32 {
	if state == dead {
		return dead
	}
	e := entry{group: group, first: int32(g.nodes), runs: max(g.maxRun, 1)}
	if g.maxRun == 0 || group == anyGroup {
		e.group, e.runs = anyGroup, 1
	}
	s := &g.stops[state]
	for _, other := range s.in {
		if other.group == e.group {
			return other.first
		}
	}
	s.in = append(s.in, e)
	g.nodes += e.runs
	return e.first
}

// steps returns about how many steps a pass through all layers takes.
func (g *graph) steps() int {
	alive := 0
	for held := range g.quotas.Accepts {
		alive += 1 + max(0, min(int(g.quotas.High[held]), g.max)-int(g.quotas.Low[held])+1)
	}
	return alive * (4*len(g.stops)*len(g.groups) + 4*g.nodes)
}

// isAlive reports whether a state of the quotas matters when so many characters are left.
func (g *graph) isAlive(held, left int) bool {
	return g.quotas.Low[held] <= int32(left) && int32(left) <= g.quotas.High[held]
}

// A lane is a transition of a stop, for one state of the quotas: where a character of a group leads that is another
// than the last one. Where it is the same, it leads to the node after.
type lane struct {
	at   int32 // the node, in a layer. dead: none
	size float64
}

// A pass goes through the layers of a graph. It has room for the transitions of a stop, and a number for each.
type pass struct {
	*graph
	lanes   []lane
	numbers []float64
}

func (g *graph) pass() *pass {
	return &pass{graph: g, lanes: make([]lane, len(g.groups)), numbers: make([]float64, len(g.groups))}
}

// enterLanes sets the transitions of a stop from a state of the quotas, by group.
func (p *pass) enterLanes(s *stop, held int32) {
	row := p.quotas.Row(held)
	for g, group := range p.groups {
		p.lanes[g] = lane{at: dead, size: float64(p.choices(g, held))}
		if to, quota := s.to[g], row[group.atom]; to != dead && quota != dead {
			p.lanes[g].at = quota*int32(p.nodes) + to
		}
	}
}

// layer sets the numbers of the nodes from those of the layer below: each is the sum, over the characters, of the
// numbers of the nodes that they lead to, times a factor. In layer 0 it is 1 where a text may end, and else 0.
func (p *pass) layer(left int, current, below []float64, factor float64) {
	clear(current)
	for held := range p.quotas.Accepts {
		if !p.isAlive(held, left) {
			continue
		}
		block := current[held*p.nodes:][:p.nodes]
		for i := range p.stops {
			s := &p.stops[i]
			if left == 0 {
				p.accept(s, block, p.quotas.Accepts[held])
				continue
			}
			p.enterLanes(s, int32(held))
			p.pull(s, block, below, factor)
		}
	}
}

// accept sets the nodes of a stop in layer 0.
func (p *pass) accept(s *stop, block []float64, accepts bool) {
	if !s.accepts || !accepts {
		return
	}
	for _, e := range s.in {
		for n := range e.runs {
			block[int(e.first)+n] = 1
		}
	}
}

// pull sets the nodes of a stop from the layer below.
func (p *pass) pull(s *stop, block, below []float64, factor float64) {
	others, before := p.numbers, 0.0
	for g, l := range p.lanes {
		others[g] = before
		if l.at != dead {
			before += l.size * below[l.at]
		}
	}
	all, after := before*factor, 0.0
	for g := len(p.lanes) - 1; g >= 0; g-- {
		others[g] += after
		if l := p.lanes[g]; l.at != dead {
			others[g] += (l.size - 1) * below[l.at]
			after += l.size * below[l.at]
		}
	}
	for _, e := range s.in {
		if e.group == anyGroup {
			block[e.first] = all
			continue
		}
		for n := range e.runs {
			sum := others[e.group]
			if at := p.lanes[e.group].at; at != dead && n+1 < e.runs {
				sum += below[int(at)+n+1]
			}
			block[int(e.first)+n] = sum * factor
		}
	}
}
