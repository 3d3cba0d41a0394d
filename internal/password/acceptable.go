package password

import (
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/language"
)

// A change is what would make a policy acceptable that could not be counted.
type change struct {
	remedy string
	apply  func(p *Policy)
}

// changeSteps is the work of trying all changes of a policy. Bounds may take three times as many.
const changeSteps = 36_000_000

// acceptable is the remedy that changes one rule of a policy that could not be counted so that it can be, with a value
// that was tried. whole is p with its defaults, and keys are the rules that make it too large.
func acceptable(p, whole Policy, keys []string) string {
	changes := changesOf(p, whole, keys)
	if c := firstAccepted(changes, p, whole, changeSteps/len(changes)); c != nil {
		return c.remedy
	}
	if c := firstAccepted(removals(p, whole), p, whole, trialSteps); c != nil {
		return c.remedy
	}
	return "simplify " + listed(keys, "or")
}

// firstAccepted returns the first change with which the policy is accepted; nil if there is none.
func firstAccepted(changes []change, p, whole Policy, steps int) *change {
	for _, c := range changes {
		changed := whole.clone()
		c.apply(&changed)
		counted, err := language.Count(normalise(changed).rules(), &automaton.Budget{Steps: steps})
		if err == nil && hasMinEntropy(p, counted.Size) {
			return &c
		}
	}
	return nil
}

// removals returns changes that remove more and more rules, for a policy in which no single change is enough.
func removals(p, whole Policy) []change {
	var removed []string
	var changes []change
	changed := whole.clone()
	remove := func(key string, given bool, drop func(p *Policy)) {
		if !given {
			return
		}
		drop(&changed)
		removed = append(removed, key)
		without := changed.clone()
		changes = append(changes, change{"remove " + listed(removed, "and"), func(p *Policy) { *p = without.clone() }})
	}
	remove("forbid-patterns", len(whole.ForbidPatterns) > 0, func(p *Policy) { p.ForbidPatterns = nil })
	remove("distinct", whole.Distinct, func(p *Policy) { p.Distinct = false })
	remove("max-run", whole.MaxRun > 0 && p.Rules == "", func(p *Policy) { p.MaxRun = 0 })
	remove("dictionary", whole.Dictionary != "", func(p *Policy) { p.Dictionary = "" })
	remove("max-sequence", whole.MaxSequence > 0, func(p *Policy) { p.MaxSequence = 0 })
	remove("forbid", len(whole.Forbid) > 0, func(p *Policy) { p.Forbid = nil })
	if p.Rules == "" && len(removed) > 0 {
		remedy := fmt.Sprintf("remove %s, and set length to %d", listed(removed, "and"), defaultLength)
		changed.Length = Length{defaultLength, defaultLength}
		changes = append(changes, change{remedy, func(p *Policy) { *p = changed }})
	}
	return changes
}

// changesOf returns the changes to try, the smallest ones first. Where a single pattern is too large, only patterns are
// changed.
func changesOf(p, whole Policy, keys []string) []change {
	patterns := len(whole.ForbidPatterns)
	if len(keys) == 1 && strings.HasPrefix(keys[0], "forbid-patterns[") {
		for i := range whole.ForbidPatterns {
			if keys[0] == indexed("forbid-patterns", i) {
				return append([]change{withoutPattern(i)}, firstOf("forbid-patterns", i, keepPatterns)...)
			}
		}
	}
	changes := lengthChanges(p, whole)
	for i := patterns - 1; i >= max(0, patterns-2); i-- {
		changes = append(changes, withoutPattern(i))
	}
	add := func(given bool, c ...change) {
		if given {
			changes = append(changes, c...)
		}
	}
	add(whole.Dictionary != "", change{"remove dictionary", func(p *Policy) { p.Dictionary = "" }})
	add(whole.Distinct, change{"remove distinct", func(p *Policy) { p.Distinct = false }})
	for _, part := range []int{2, 10, 100} {
		add(true, firstOf("forbid", len(whole.Forbid)/part, keepWords)...)
	}
	add(true, firstOf("forbid-patterns", patterns/2, keepPatterns)...)
	if p.Rules != "" {
		return changes
	}
	add(whole.MaxRun > 0, change{"remove max-run", func(p *Policy) { p.MaxRun = 0 }})
	hasMax := func(c Charset) bool { return c.Max != nil }
	add(slices.ContainsFunc(whole.Characters, hasMax), change{"remove each max of characters", withoutMaximums})
	for _, part := range []int{2, 4, 8} {
		add(len(whole.Characters) > 4, firstOf("characters", len(whole.Characters)/part, keepSets)...)
	}
	return changes
}

// lengthChanges returns shorter lengths to try, or one length in place of several.
func lengthChanges(p, whole Policy) []change {
	longest := whole.Length.Max
	tried := []Length{{longest, longest}}
	for _, eighths := range []int{6, 4, 2, 1} {
		length := longest * eighths / 8
		tried = append(tried, Length{min(whole.Length.Min, length), length})
	}
	var changes []change
	for _, l := range tried {
		remedy := fmt.Sprintf("set length to {min: %d, max: %d}", l.Min, l.Max)
		switch {
		case l.Min == 0 || l == whole.Length:
			continue
		case p.Rules != "":
			remedy = fmt.Sprintf("expected minlength: %d and maxlength: %d in rules", l.Min, l.Max)
		case l.Min == l.Max:
			remedy = fmt.Sprintf("set length to %d", l.Max)
		}
		changes = append(changes, change{remedy, func(p *Policy) { p.Length = l }})
	}
	return changes
}

func withoutPattern(i int) change {
	return change{"remove " + indexed("forbid-patterns", i), func(p *Policy) {
		p.ForbidPatterns = slices.Delete(p.ForbidPatterns, i, i+1)
	}}
}

// firstOf returns the change that keeps the first entries of a list, if there are to be any.
func firstOf(key string, kept int, keep func(p *Policy, kept int)) []change {
	remedy := fmt.Sprintf("keep only the first %d entries of %s", kept, key)
	switch kept {
	case 0:
		return nil
	case 1:
		remedy = "keep only the first entry of " + key
	}
	return []change{{remedy, func(p *Policy) { keep(p, kept) }}}
}

func keepPatterns(p *Policy, kept int) { p.ForbidPatterns = p.ForbidPatterns[:kept] }
func keepWords(p *Policy, kept int)    { p.Forbid = p.Forbid[:kept] }
func keepSets(p *Policy, kept int)     { p.Characters = p.Characters[:kept] }

func withoutMaximums(p *Policy) {
	for i := range p.Characters {
		p.Characters[i].Max = nil
	}
}
