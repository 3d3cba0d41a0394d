package password

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A demand is a rule of a policy, as a cause why nothing satisfies it.
type demand struct {
	key    string
	phrase string        // the rule in a sentence
	drop   func(*Policy) // takes the rule out
}

// conflict says which rules of a policy without passwords conflict: a group from which no rule can be taken without
// there being a password. Where finding it takes too much work, the group may be larger than need be. The policy is own
// with its defaults: what is lent by them is told as such, and is no key to change.
func conflict(p, own Policy) Problem {
	t := &trial{policy: p, own: own, work: budget{maxConflictSteps}}
	for _, group := range demands(p) {
		t.held = append(t.held, group...)
	}
	for _, group := range slices.Backward(demands(p)) {
		t.shrink(group)
	}
	return t.problem()
}

// A trial finds out which demands can be dropped while there is still no password.
type trial struct {
	policy Policy // without what was dropped
	own    Policy // as it was declared, without defaults
	held   []demand
	work   budget
}

// shrink drops what it can of a group of demands: first all of them together, then smaller and smaller parts.
func (t *trial) shrink(group []demand) {
	for size := len(group); size > 0; size /= 2 {
		for at := 0; at < len(group); {
			part := group[at:min(at+size, len(group))]
			if t.drop(part) {
				group = slices.Concat(group[:at], group[at+len(part):])
			} else {
				at += len(part)
			}
		}
	}
}

// drop takes the demands out if the policy has no passwords without them either.
func (t *trial) drop(part []demand) bool {
	p := t.policy.clone()
	for _, d := range part {
		d.drop(&p)
	}
	if !t.isEmpty(p) {
		return false
	}
	t.policy = p
	dropped := make(map[string]bool)
	for _, d := range part {
		dropped[d.key] = true
	}
	t.held = slices.DeleteFunc(t.held, func(d demand) bool { return dropped[d.key] })
	return true
}

// anyLength is what the length of a policy is while no length is demanded.
var anyLength = Length{1, maxLength}

// isEmpty reports whether it is certain that the policy has no passwords.
func (t *trial) isEmpty(p Policy) bool {
	p.Dictionary = ""
	p.Forbid = slices.DeleteFunc(slices.Clone(p.Forbid), func(word string) bool { return word == "" })
	if t.work.spend(20_000+500*len(p.Forbid)) != nil {
		return false
	}
	r := newRules(p)
	attempt := budget{min(maxTrialSteps, t.work.steps)}
	t.work.steps -= attempt.steps
	defer func() { t.work.steps += attempt.steps }()
	if p.Length == anyLength && !r.distinct {
		return r.isEmptyAtAnyLength(&attempt)
	}
	c, err := r.count(&attempt)
	return err == nil && c.exact && c.size.Sign() == 0
}

// isEmptyAtAnyLength reports whether it is certain that no string at all satisfies the rules. It does not count, so
// that it is quick.
func (r *rules) isEmptyAtAnyLength(work *budget) bool {
	if r.alphabet.isEmpty() || r.first.isEmpty() || r.last.isEmpty() {
		return true
	}
	a, err := r.automaton(work, true)
	if err != nil {
		return false
	}
	q, err := newQuotas(r.alphabet, r.sets, r.atLeast, r.min, r.max, work)
	if err != nil {
		return false
	}
	parts := splitBy(r.alphabet, func(c byte) [2]uint32 { return [2]uint32{membership(r.sets, c), uint32(a.class[c])} })
	seen := make(map[[2]int32]bool) // after one character or more
	open := [][2]int32{{0, 0}}
	for len(open) > 0 {
		at := open[len(open)-1]
		open = open[:len(open)-1]
		if work.spend(30*len(parts)) != nil {
			return false
		}
		for _, part := range parts {
			to := [2]int32{a.step(at[0], part.lowest()), q.step(at[1], part.lowest())}
			if to[0] == dead || to[1] == dead || seen[to] {
				continue
			}
			if a.accepts[to[0]] && q.accepts[to[1]] {
				return false
			}
			seen[to] = true
			open = append(open, to)
		}
	}
	return true
}

// problem says in a sentence how the demands that are left conflict.
func (t *trial) problem() Problem {
	var keys, minimums, phrases []string
	lent := false
	for _, d := range t.held {
		phrase := d.phrase
		if t.lent(d.key) {
			phrase += t.lender(d.key)
			lent = true
		} else {
			keys = append(keys, d.key)
		}
		if strings.HasSuffix(d.key, ".min") {
			minimums = append(minimums, phrase)
			continue
		}
		phrases = append(phrases, phrase)
	}
	if len(t.held) == 0 {
		return Problem{Keys: []string{"characters"}, Text: "the sets of characters hold no character", Want: "add characters"}
	}
	if len(minimums) > 0 {
		at := 0
		if t.held[0].key == "length" {
			at = 1
		}
		phrases = slices.Insert(phrases, at, minimumPhrase(minimums))
	}
	text := phrases[0]
	if len(phrases) > 1 {
		text += " with " + joined(phrases[1:])
	}
	if len(keys) > maxKeys {
		keys = listNames(keys)
	}
	want := "change " + joined(keys)
	if len(keys) > 1 {
		want = "change one of " + joined(keys)
	}
	if lent {
		want += ", or declare characters"
	}
	return Problem{Keys: keys, Text: text + t.leaves(), Want: want}
}

// lent reports whether the rule of a key is one of the default preset, and none of the policy's own.
func (t *trial) lent(key string) bool {
	ofCharacters := strings.HasPrefix(key, "characters[") || key == "first" && len(t.own.First) == 0
	return ofCharacters && len(t.own.Characters) == 0 && t.own.Rules == ""
}

// lender says which class a lent rule is of, and that it is default's.
func (t *trial) lender(key string) string {
	for i, c := range t.policy.Characters {
		if key == indexed("characters", i)+".min" {
			return " of " + c.name() + " (default's)"
		}
	}
	return " (default's)"
}

// maxKeys is how many rules a problem names one by one.
const maxKeys = 20

// listNames returns the keys without the places in lists: "forbid" for "forbid[0]" and "forbid[1]".
func listNames(keys []string) []string {
	var names []string
	for _, key := range keys {
		name, _, _ := strings.Cut(key, "[")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// leaves says what is missing because of the demands.
func (t *trial) leaves() string {
	r := newRules(t.policy)
	switch {
	case r.alphabet.isEmpty():
		return " leaves no character"
	case r.first.isEmpty():
		return " leaves no character to be the first"
	case r.last.isEmpty():
		return " leaves no character to be the last"
	}
	return " leaves no password"
}

// minimumPhrase returns "minimums of 3 + 3 + 3".
func minimumPhrase(minimums []string) string {
	if len(minimums) == 1 {
		return "a minimum of " + minimums[0]
	}
	return "minimums of " + strings.Join(minimums, " + ")
}

// joined returns "a, b and c". It names ten at most.
func joined(texts []string) string {
	const most = 10
	if len(texts) > most {
		texts = append(slices.Clone(texts[:most]), fmt.Sprintf("%d more", len(texts)-most))
	}
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	return strings.Join(texts[:len(texts)-1], ", ") + " and " + texts[len(texts)-1]
}

// demands returns the rules of a policy by kind. Those of the last kinds are dropped first, so that if there are
// several conflicts, the plainest is told.
func demands(p Policy) [][]demand {
	return [][]demand{
		{{"length", lengthPhrase(p.Length), func(p *Policy) { p.Length = anyLength }}},
		minimumDemands(p), maximumDemands(p),
		single(p.Sets > 0, "sets", fmt.Sprintf("sets: %d", p.Sets), func(p *Policy) { p.Sets = 0 }),
		single(p.Exclude != "", "exclude", "exclude", func(p *Policy) { p.Exclude = "" }),
		single(p.ExcludeAmbiguous, "exclude-ambiguous", "exclude-ambiguous", func(p *Policy) { p.ExcludeAmbiguous = false }),
		single(len(p.First) > 0, "first", "first: "+joined(p.First), func(p *Policy) { p.First = nil }),
		single(len(p.Last) > 0, "last", "last: "+joined(p.Last), func(p *Policy) { p.Last = nil }),
		single(p.Distinct, "distinct", "distinct", func(p *Policy) { p.Distinct = false }),
		single(p.MaxRun > 0, "max-run", fmt.Sprintf("max-run: %d", p.MaxRun), func(p *Policy) { p.MaxRun = 0 }),
		single(p.MaxSequence > 0, "max-sequence", fmt.Sprintf("max-sequence: %d", p.MaxSequence),
			func(p *Policy) { p.MaxSequence = 0 }),
		textDemands("forbid", p.Forbid, func(p *Policy, i int) { p.Forbid[i] = "" }),
		single(p.Login != "", "login", "login", func(p *Policy) { p.Login = "" }),
		textDemands("forbid-patterns", p.ForbidPatterns, func(p *Policy, i int) { p.ForbidPatterns[i] = "" }),
	}
}

func lengthPhrase(l Length) string {
	if l.Min == l.Max {
		return "length " + strconv.Itoa(l.Min)
	}
	return fmt.Sprintf("length %d to %d", l.Min, l.Max)
}

// single returns the demand of a rule that stands once, if it is given.
func single(given bool, key, phrase string, drop func(*Policy)) []demand {
	if !given {
		return nil
	}
	return []demand{{key, phrase, drop}}
}

func minimumDemands(p Policy) []demand {
	var all []demand
	for i, c := range p.Characters {
		if c.Min > 0 {
			all = append(all, demand{indexed("characters", i) + ".min", strconv.Itoa(c.Min),
				func(p *Policy) { p.Characters[i].Min = 0 }})
		}
	}
	return all
}

func maximumDemands(p Policy) []demand {
	var all []demand
	for i, c := range p.Characters {
		if c.Max != nil {
			all = append(all, demand{indexed("characters", i) + ".max", fmt.Sprintf("at most %d of %s", *c.Max, c.name()),
				func(p *Policy) { p.Characters[i].Max = nil }})
		}
	}
	return all
}

// name returns the charset as a sentence names it.
func (c Charset) name() string {
	if c.From != "" {
		return c.From
	}
	return strconv.Quote(c.Chars)
}

func textDemands(key string, texts []string, drop func(p *Policy, i int)) []demand {
	var all []demand
	for i, text := range texts {
		all = append(all, demand{indexed(key, i), fmt.Sprintf("%s: %q", key, text), func(p *Policy) { drop(p, i) }})
	}
	return all
}
