package password

import (
	"slices"
	"strings"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/language"
)

// conflict says which rules of a policy without passwords conflict: a minimal unsatisfiable subset, from which no rule
// can be removed without there being a password. It is found by deletion: a rule is removed if there is still no
// password without it. If that takes too much work, the subset may be larger than need be.
//
// p is own with its defaults. Rules that come from the defaults are marked "(default's)", and are not suggested as keys
// to change.
func conflict(p, own Policy) Problem {
	s := &subset{policy: p, own: own, work: automaton.Budget{Steps: conflictSteps}}
	groups := constraintsOf(p)
	s.kept = slices.Concat(groups...)
	for _, group := range slices.Backward(groups) {
		s.minimise(group)
	}
	return s.problem()
}

// constraintsOf returns the constraints of a policy in groups of a kind. The last are removed first: so of several
// conflicts, the plainest is reported, that of rules about single characters before that of rules about neighbours.
func constraintsOf(p Policy) [][]constraint {
	var single, neighbours [][]constraint
	for _, r := range rules {
		if r.constraints == nil || !r.given(&p) {
			continue
		}
		switch r.part {
		case language.OfMaxRun, language.OfWords, language.OfPatterns:
			neighbours = append(neighbours, r.constraints(&p)...)
		default:
			single = append(single, r.constraints(&p)...)
		}
	}
	return slices.Concat(single, neighbours)
}

// A subset is the constraints that still leave no password.
type subset struct {
	policy Policy // without the constraints that were removed
	own    Policy // as it was declared, without defaults
	kept   []constraint
	work   automaton.Budget
}

// minimise removes what it can of a group of constraints: first all of them together, then smaller and smaller parts.
func (s *subset) minimise(group []constraint) {
	for size := len(group); size > 0; size /= 2 {
		for at := 0; at < len(group); {
			part := group[at:min(at+size, len(group))]
			if s.remove(part) {
				group = slices.Concat(group[:at], group[at+len(part):])
			} else {
				at += len(part)
			}
		}
	}
}

// remove removes the constraints if there is certainly no password without them either.
func (s *subset) remove(part []constraint) bool {
	p := s.policy.clone()
	removed := make(map[string]bool)
	for _, c := range part {
		c.drop(&p)
		removed[c.key] = true
	}
	if !s.isEmpty(p) {
		return false
	}
	s.policy = p
	s.kept = slices.DeleteFunc(s.kept, func(c constraint) bool { return removed[c.key] })
	return true
}

// isEmpty reports whether it is certain that the policy, its dictionary aside, has no passwords.
func (s *subset) isEmpty(p Policy) bool {
	p.Dictionary = ""
	p.Forbid = slices.DeleteFunc(slices.Clone(p.Forbid), func(word string) bool { return word == "" })
	if s.work.Spend(20_000+500*len(p.Forbid)) != nil {
		return false
	}
	r := normalise(p).rules()
	attempt := automaton.Budget{Steps: min(trialSteps, s.work.Steps)}
	s.work.Steps -= attempt.Steps
	defer func() { s.work.Steps += attempt.Steps }()
	if r.Min == anyLength.Min && r.Max == anyLength.Max { // other rules may bound the length too
		return language.IsEmptyAtAnyLength(r, &attempt)
	}
	c, err := language.Count(r, &attempt)
	return err == nil && c.Exact && c.Size.Sign() == 0
}

// problem says in a sentence how the constraints that are left conflict.
func (s *subset) problem() Problem {
	if len(s.kept) == 0 {
		return problemOf("the sets of characters hold no character", "add characters", "characters")
	}
	var keys, minimums, phrases []string
	usesDefaults := false
	for _, c := range s.kept {
		phrase := c.phrase
		if s.isDefault(c.key) {
			phrase += s.ofDefault(c.key)
			usesDefaults = true
		} else {
			keys = append(keys, c.key)
		}
		if strings.HasSuffix(c.key, ".min") {
			minimums = append(minimums, phrase)
			continue
		}
		phrases = append(phrases, phrase)
	}
	if len(minimums) > 0 {
		at := 0
		if s.kept[0].key == "length" {
			at = 1
		}
		phrases = slices.Insert(phrases, at, minimumPhrase(minimums))
	}
	cause := phrases[0]
	if len(phrases) > 1 {
		cause += " with " + listed(phrases[1:], "and")
	}
	if len(keys) > maxKeys {
		keys = listNames(keys)
	}
	choices := keys
	if usesDefaults {
		choices = append(slices.Clone(keys), "declare characters")
	}
	return problemOf(cause+s.leaves(), "change "+listed(choices, "or"), keys...)
}

// isDefault reports whether the rule of a key is one of the default preset, and not the policy's own.
func (s *subset) isDefault(key string) bool {
	ofCharacters := strings.HasPrefix(key, "characters[") || key == "first" && len(s.own.First) == 0
	return ofCharacters && len(s.own.Characters) == 0 && s.own.Rules == ""
}

// ofDefault says that the rule of a key is the default preset's, and of which class its minimum is.
func (s *subset) ofDefault(key string) string {
	for i, c := range s.policy.Characters {
		if key == minimumKey(i) {
			return " of " + c.name() + " (default's)"
		}
	}
	return " (default's)"
}

// maxKeys is how many rules a problem names one by one.
const maxKeys = 20

// listNames returns the keys without their places in lists: "forbid" for "forbid[0]" and "forbid[1]".
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

// leaves says what is missing because of the constraints.
func (s *subset) leaves() string {
	n := normalise(s.policy)
	switch {
	case n.alphabet.IsEmpty():
		return " leaves no character"
	case n.first.IsEmpty():
		return " leaves no character to be the first"
	case n.last.IsEmpty():
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
