package password

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
)

// Compile checks a policy and counts its passwords. A policy that cannot be met, that is below its min-entropy, or that
// cannot be counted within the limits is refused, with all that is wrong with it in one *[Error]. The work is bounded,
// whatever the policy: about a tenth of a second.
func Compile(p Policy) (*Set, error) {
	s, problems := compile(p.clone())
	if len(problems) > 0 {
		return nil, &Error{problems}
	}
	return s, nil
}

func compile(p Policy) (*Set, []Problem) {
	if p.Passphrase != nil {
		return compilePhrases(p)
	}
	whole, problems := resolve(p)
	if problems = append(problems, reviewPolicy(whole)...); len(problems) > 0 {
		return nil, problems
	}
	r := newRules(whole)
	c, err := r.count(&budget{maxCountSteps})
	if err != nil {
		return nil, []Problem{inRules(p, uncertifiedProblem(p, err))}
	}
	if c.size.Sign() == 0 {
		return nil, []Problem{inRules(p, conflict(whole, p))}
	}
	s := newSet(p, r, c)
	if s.Bits() < minEntropy(p) {
		return nil, []Problem{inRules(p, tooWeak(whole, s))}
	}
	return s, nil
}

// resolve returns p with all that it leaves out, and a passwordrules string spelled out.
func resolve(p Policy) (Policy, []Problem) {
	if p.Rules == "" {
		return withDefaults(p), nil
	}
	problems := rulesConflicts(p)
	if len(p.Rules) > 10*maxTextLength {
		return p, []Problem{{Keys: []string{"rules"}, Text: fmt.Sprintf("rules have %d characters", len(p.Rules)),
			Want: fmt.Sprintf("want at most %d", 10*maxTextLength)}}
	}
	parsed, wrong := parseRules(p.Rules)
	if problems = append(problems, wrong...); len(problems) > 0 {
		parsed = Policy{}
	}
	p.Length, p.Characters, p.MaxRun, p.Rules = parsed.Length, parsed.Characters, parsed.MaxRun, ""
	return withDefaults(p), problems
}

// inRules returns the problem with the keys that a policy really has, where its characters come from a passwordrules
// string.
func inRules(p Policy, problem Problem) Problem {
	if p.Rules == "" {
		return problem
	}
	var keys []string
	for _, key := range problem.Keys {
		if key == "length" || key == "max-run" || strings.HasPrefix(key, "characters") {
			key = "rules"
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	problem.Keys = keys
	return problem
}

func compilePhrases(p Policy) (*Set, []Problem) {
	v := &review{}
	v.forbid(p.Forbid)
	v.size("login", p.Login)
	v.minEntropy(p.MinEntropy)
	if len(v.problems) > 0 {
		return nil, v.problems
	}
	phrases, problems := newPhrases(p)
	if len(problems) > 0 {
		return nil, problems
	}
	s := &Set{policy: p, phrases: phrases, size: phrases.size(), exact: true}
	if s.size.Sign() == 0 {
		return nil, []Problem{{
			Keys: phraseForbidKeys(p),
			Text: "no passphrase is left by what is forbidden",
			Want: "forbid less, or separate the words by something else",
		}}
	}
	s.min, s.max = phrases.lengths()
	s.hundreds = hundredthsOfBits(s.size)
	if s.Bits() < minEntropy(p) {
		return nil, []Problem{{
			Keys: []string{"passphrase.words", "min-entropy"},
			Text: belowMinEntropy(p, s),
			Want: moreWords(p, s) + fmt.Sprintf(", or in the open a min-entropy of %v or less", math.Floor(s.Bits())),
		}}
	}
	return s, nil
}

// moreWords says how many words have the min-entropy of a policy whose own words have less.
func moreWords(p Policy, s *Set) string {
	longest := *p.Passphrase
	longest.Words = maxPhraseWords
	phrases, err := countPhrases(s.phrases.words, longest, forbiddenWords(p))
	if err != nil {
		return "more words"
	}
	for phrases.places = p.Passphrase.Words + 1; phrases.places <= maxPhraseWords; phrases.places++ {
		if size := phrases.size(); size.Sign() > 0 && float64(hundredthsOfBits(size))/100 >= minEntropy(p) {
			return fmt.Sprintf("words: %d", phrases.places)
		}
	}
	return "characters in place of words"
}

// newSet returns the set of counted passwords. There is one at least.
func newSet(p Policy, r *rules, c *counted) *Set {
	s := &Set{
		policy: p, alphabet: r.alphabet.chars(), min: r.min, max: r.max,
		size: c.size, exact: c.exact, hundreds: hundredthsOfBits(c.size),
		checker: c.checker, ranking: c.ranking,
	}
	if c.ranking == nil {
		s.strings = newRandomStrings(r)
		s.appetite = s.strings.appetite(r.max)
		return s
	}
	total := c.ranking.size()
	s.ranks = natOf(total, limbsFor(total))
	s.appetite = (total.BitLen() + 7) / 8
	return s
}

// hundredthsOfBits returns 100*log2(n), rounded down, for n of at least 1. It is exact: 2^k <= n^100 for that k and no
// greater.
func hundredthsOfBits(n *big.Int) int {
	return new(big.Int).Exp(n, big.NewInt(100), nil).BitLen() - 1
}

// minEntropy returns how many bits the policy must have.
func minEntropy(p Policy) float64 {
	if p.MinEntropy == 0 {
		return defaultMinEntropy
	}
	return p.MinEntropy
}

// uncertifiedProblem says why a policy could not be counted.
func uncertifiedProblem(p Policy, err error) Problem {
	problem := Problem{Text: "the policy cannot be certified: " + err.Error(), Want: "a simpler policy"}
	if u, ok := errors.AsType[*uncertified](err); ok {
		problem.Keys = u.keys
		problem.Want = "simplify " + strings.Join(u.keys, ", or ")
		if slices.Contains(u.keys, "dictionary") {
			problem.Want = shorter(p) + ", or leave dictionary out"
		}
	}
	return problem
}

// shorter says how a policy is made shorter.
func shorter(p Policy) string {
	if p.Rules != "" {
		return "lower maxlength in rules"
	}
	return "shorten length"
}

// tooWeak says by how much a policy is below its min-entropy, and what raises it.
func tooWeak(p Policy, s *Set) Problem {
	problem := Problem{
		Keys: []string{"length"},
		Text: belowMinEntropy(p, s),
		Want: fmt.Sprintf("more characters, or in the open a min-entropy of %v or less", math.Floor(s.Bits())),
	}
	if p.MinEntropy != 0 {
		problem.Keys = []string{"min-entropy", "length"}
	}
	if length := longEnough(p, s); length > 0 {
		remedy := fmt.Sprintf("length %d", length)
		if s.policy.Rules != "" {
			remedy = fmt.Sprintf("minlength: %d and maxlength: %d in rules", length, length)
		}
		problem.Want = fmt.Sprintf("%s, or in the open a min-entropy of %v or less", remedy, math.Floor(s.Bits()))
	}
	return problem
}

func belowMinEntropy(p Policy, s *Set) string {
	text := fmt.Sprintf("the policy has %s, below the min-entropy of %v", s.Entropy(), minEntropy(p))
	if p.MinEntropy == 0 {
		text += " that holds where none is given"
	}
	return text
}

// longEnough returns a length at which the policy has its min-entropy, the shortest as far as it can tell, or 0 if it
// finds none quickly.
func longEnough(p Policy, s *Set) int {
	work := &budget{maxTrialSteps}
	guess := p.Length.Max
	if s.hundreds > 0 {
		guess = int(float64(p.Length.Max) * minEntropy(p) / s.Bits())
	}
	for length := max(guess, p.Length.Max+1); length <= min(guess+3, maxLength); length++ {
		p.Length = Length{length, length}
		c, err := newRules(p).count(work)
		if err != nil {
			return 0
		}
		if c.size.Sign() > 0 && float64(hundredthsOfBits(c.size))/100 >= minEntropy(p) {
			return length
		}
	}
	return 0
}
