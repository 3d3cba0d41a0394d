package password

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/language"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/passwordrules"
	"keyvault-passwords/internal/password/internal/phrase"
)

// Compile checks a policy and counts its passwords. A policy that cannot be met, that is below its min-entropy, or that
// cannot be counted within the limits is refused, with all that is wrong with it in one *[Error]. The work is bounded,
// whatever the policy: about a fifth of a second.
func Compile(p Policy) (*Space, error) {
	s, problems := compile(p.clone())
	if len(problems) > 0 {
		return nil, &Error{problems}
	}
	return s, nil
}

func compile(p Policy) (*Space, []Problem) {
	whole, problems := resolve(p)
	if problems = append(problems, reviewPolicy(whole)...); len(problems) > 0 {
		return nil, problems
	}
	if p.Passphrase != nil {
		return compilePhrases(p)
	}
	n := normalise(whole)
	r := n.rules()
	c, err := language.Count(r, &automaton.Budget{Steps: countSteps})
	if err != nil {
		return nil, []Problem{inRules(p, uncertifiedProblem(p, whole, n, err))}
	}
	if c.Size.Sign() == 0 {
		return nil, []Problem{inRules(p, conflict(whole, p))}
	}
	s := &Space{
		policy: p, min: r.Min, max: r.Max, size: c.Size, exact: c.Exact, hundreds: hundredthsOfBits(c.Size), strings: c,
	}
	if s.Bits() < minEntropy(p) {
		return nil, []Problem{inRules(p, tooWeak(whole, s))}
	}
	return s, nil
}

// resolve returns p with the defaults for what it leaves out, and with the keys that a passwordrules string stands for.
func resolve(p Policy) (Policy, []Problem) {
	if p.Rules == "" || p.Passphrase != nil {
		return withDefaults(p), nil
	}
	problems := rulesConflicts(p)
	if len(p.Rules) > 10*maxTextLength {
		problem := problemOf(fmt.Sprintf("rules has %d characters", len(p.Rules)),
			fmt.Sprintf("expected at most %d", 10*maxTextLength), "rules")
		return p, []Problem{problem}
	}
	parsed, wrong := parseRules(p.Rules)
	if problems = append(problems, wrong...); len(problems) > 0 {
		parsed = Policy{}
	}
	p.Length, p.Characters, p.MaxRun, p.Rules = parsed.Length, parsed.Characters, parsed.MaxRun, ""
	return withDefaults(p), problems
}

// rulesConflicts returns the rules that cannot be combined with a passwordrules string, since it says the same.
func rulesConflicts(p Policy) []Problem {
	var problems []Problem
	for _, r := range rules {
		if r.given(&p) && !r.withRules {
			problems = append(problems, problemOf(
				r.key+" cannot be combined with rules, which say the same", "remove one of them", r.key, "rules"))
		}
	}
	return problems
}

// parseRules returns the policy that a passwordrules string asks for, and what is wrong with the string. The policy
// means something only if there is no problem.
func parseRules(text string) (Policy, []Problem) {
	parsed, wrong := passwordrules.Parse(text)
	var problems []Problem
	for _, p := range wrong {
		problems = append(problems, Problem{
			Refusal: p.Refusal, Keys: []string{"rules"}, InRules: true, Offset: p.Offset,
		})
	}
	return rulesPolicy(parsed), problems
}

// rulesPolicy returns passwordrules as a policy. Its length is a single one: that of the default preset (32), or
// minlength if that is more, or maxlength if that is less. So it is never shorter than asked.
func rulesPolicy(r passwordrules.Rules) Policy {
	length := max(defaultLength, r.MinLength)
	if r.MaxLength > 0 {
		length = min(length, r.MaxLength)
	}
	p := Policy{Length: Length{length, length}, MaxRun: r.MaxConsecutive}
	for _, group := range r.Required {
		p.Characters = append(p.Characters, Charset{Chars: group, Min: 1})
	}
	switch {
	case r.Allowed != "":
		p.Characters = append(p.Characters, Charset{Chars: r.Allowed})
	case len(r.Required) == 0:
		p.Characters = []Charset{{Chars: ascii.Printable}}
	}
	return p
}

// inRules returns the problem with the keys that the policy really has, if it has a passwordrules string.
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

func compilePhrases(p Policy) (*Space, []Problem) {
	c, err := countPhrases(p, p.Passphrase.Words)
	if err != nil {
		return nil, []Problem{problemOf(
			"the policy cannot be certified: the forbidden substrings overlap the words in too many ways",
			"forbid fewer substrings, or use a separator that is in none of them", phraseForbidKeys(p)...)}
	}
	s := &Space{policy: p, phrases: c, size: c.Size(), exact: true}
	if s.size.Sign() == 0 {
		return nil, []Problem{problemOf(
			"what is forbidden leaves no passphrase", "forbid less, or use another separator", phraseForbidKeys(p)...)}
	}
	s.min, s.max = c.Lengths()
	s.hundreds = hundredthsOfBits(s.size)
	if s.Bits() < minEntropy(p) {
		remedy := orLess(moreWords(p), s)
		return nil, []Problem{problemOf(belowMinEntropy(p, s), remedy, "passphrase.words", "min-entropy")}
	}
	return s, nil
}

// countPhrases counts the phrases of a policy with that many words in place of its own.
func countPhrases(p Policy, words int) (*phrase.Counted, error) {
	shape := phrase.Shape{
		Words: phrase.Words(), Places: words, Separator: p.Passphrase.Separator, Digit: p.Passphrase.Digit,
	}
	if p.Passphrase.Capitalize {
		shape.Words = phrase.Capitalized()
	}
	return phrase.Count(shape, lexicon.Minimal(normalise(p).words))
}

// phraseForbidKeys returns the keys of what forbids substrings in phrases, and of the phrases.
func phraseForbidKeys(p Policy) []string {
	var keys []string
	for _, r := range rules {
		if r.part == language.OfWords && r.given(&p) {
			keys = append(keys, r.key)
		}
	}
	return append(keys, "passphrase")
}

// moreWords is the remedy that gives a policy its min-entropy.
func moreWords(p Policy) string {
	c, err := countPhrases(p, maxPhraseWords)
	if err != nil {
		return "expected more words"
	}
	for words := p.Passphrase.Words + 1; words <= maxPhraseWords; words++ {
		if hasMinEntropy(p, c.SizeOf(words)) {
			return fmt.Sprintf("expected words: %d or more", words)
		}
	}
	return "expected characters in place of words"
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

// hasMinEntropy reports whether that many passwords are enough for the policy.
func hasMinEntropy(p Policy, size *big.Int) bool {
	return size.Sign() > 0 && float64(hundredthsOfBits(size))/100 >= minEntropy(p)
}

// uncertifiedProblem says why a policy could not be counted. whole is p with its defaults, and n its normal form.
func uncertifiedProblem(p, whole Policy, n *normal, err error) Problem {
	problem := problemOf("the policy cannot be certified: "+err.Error(), "simplify the policy")
	if u, ok := errors.AsType[*language.Uncertified](err); ok {
		problem.Keys = keysOf(u.Parts, &whole, n)
		problem.Remedy = acceptable(p, whole, problem.Keys)
	}
	return problem
}

// tooWeak says by how much a policy is below its min-entropy, and what raises it. p is the policy with its defaults.
func tooWeak(p Policy, s *Space) Problem {
	remedy := "expected more characters"
	if length := longEnough(p, s); length > 0 {
		remedy = fmt.Sprintf("expected length %d or more", length)
		if s.policy.Rules != "" {
			remedy = fmt.Sprintf("expected minlength: %d and maxlength: %d in rules, or more", length, length)
		}
	}
	problem := problemOf(belowMinEntropy(p, s), orLess(remedy, s), "length")
	if p.MinEntropy != 0 {
		problem.Keys = []string{"min-entropy", "length"}
	}
	return problem
}

// orLess adds to a remedy how the policy is accepted as it is. A min-entropy is more than 0.
func orLess(remedy string, s *Space) string {
	bits := math.Floor(s.Bits())
	if bits == 0 {
		return remedy
	}
	return fmt.Sprintf("%s; to accept less, declare min-entropy: %v", remedy, bits)
}

func belowMinEntropy(p Policy, s *Space) string {
	if p.MinEntropy == 0 {
		return fmt.Sprintf("the policy has %s, below the min-entropy of %d, the default", s.Entropy(),
			defaultMinEntropy)
	}
	return fmt.Sprintf("the policy has %s, below the min-entropy of %v", s.Entropy(), p.MinEntropy)
}

// longEnough returns a length at which the policy has its min-entropy, the shortest as far as it can tell, or 0 if it
// finds none quickly.
func longEnough(p Policy, s *Space) int {
	work := &automaton.Budget{Steps: conflictSteps}
	guess := p.Length.Max
	if s.hundreds > 0 {
		guess = int(float64(p.Length.Max) * minEntropy(p) / s.Bits())
	}
	for length := max(guess, p.Length.Max+1); length <= min(guess+3, language.MaxLength); length++ {
		p.Length = Length{length, length}
		c, err := language.Count(normalise(p).rules(), work)
		if err != nil {
			return 0
		}
		if hasMinEntropy(p, c.Size) {
			return length
		}
	}
	return 0
}
