package password

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// rules is a checked policy in the form in which it is counted: as few kinds of rules as possible, none that says
// nothing.
type rules struct {
	min, max    int
	alphabet    charMask
	sets        []bounds // charsets that have bounds, or that must appear
	atLeast     int      // of sets
	first, last charMask // within the alphabet; all of it where there is no such rule
	maxRun      int      // 0: no limit
	distinct    bool
	words       []string // what forbid, login and max-sequence forbid, in lower case, of two characters and more
	wordRules   []string // the keys of the rules that the words come from
	patterns    []pattern
	dictionary  []string // in lower case, sorted; none holds another
}

// A pattern is one of forbid-patterns.
type pattern struct {
	key  string
	prog *syntax.Prog
}

// newRules returns the rules of a policy that has no problems, with its defaults.
func newRules(p Policy) *rules {
	r := &rules{min: p.Length.Min, max: p.Length.Max, distinct: p.Distinct, maxRun: p.MaxRun}
	words := r.collectWords(p)
	r.alphabet = alphabetOf(p, words)
	if r.distinct {
		r.max = max(r.min, min(r.max, r.alphabet.count()))
	}
	r.addSets(p)
	r.first, r.last = classMask(p.First, r.alphabet), classMask(p.Last, r.alphabet)
	if r.maxRun >= r.max || r.distinct {
		r.maxRun = 0
	}
	r.words = r.possible(words)
	if p.Dictionary != "" {
		r.dictionary, _ = dictionaryWords(p.Dictionary)
	}
	for i, text := range p.ForbidPatterns {
		if prog, err := parsePattern(text); text != "" && err == nil {
			r.patterns = append(r.patterns, pattern{indexed("forbid-patterns", i), prog})
		}
	}
	return r
}

// collectWords returns what forbid, login and max-sequence forbid, in lower case.
func (r *rules) collectWords(p Policy) []string {
	forbidden := make([]string, len(p.Forbid))
	for i, word := range p.Forbid {
		forbidden[i] = strings.ToLower(word)
	}
	var all []string
	for _, rule := range []struct {
		key   string
		words []string
	}{{"forbid", forbidden}, {"login", loginParts(p.Login)}, {"max-sequence", sequences(p.MaxSequence)}} {
		if len(rule.words) > 0 {
			r.wordRules = append(r.wordRules, rule.key)
			all = append(all, rule.words...)
		}
	}
	return all
}

// parsePattern compiles a pattern as package regexp does.
func parsePattern(text string) (*syntax.Prog, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err == nil && len(prog.Inst) > maxPatternSteps {
		return nil, fmt.Errorf("the pattern repeats so much that it has %d steps, more than %d",
			len(prog.Inst), maxPatternSteps)
	}
	return prog, err
}

// charsOf returns the characters of a charset.
func (c Charset) mask() charMask {
	if chars, ok := classChars(c.From); ok {
		return maskOf(chars)
	}
	return maskOf(c.Chars)
}

// alphabetOf returns the characters that can occur: those of the charsets without those that are excluded, that a
// charset may hold none of, or that are forbidden as a word of one character.
func alphabetOf(p Policy, words []string) charMask {
	excluded := maskOf(p.Exclude)
	if p.ExcludeAmbiguous {
		excluded = excluded.or(maskOf(ambiguous))
	}
	for _, word := range words {
		if len(word) == 1 {
			excluded = excluded.or(maskOf(word + strings.ToUpper(word)))
		}
	}
	var alphabet charMask
	for _, c := range p.Characters {
		alphabet = alphabet.or(c.mask())
		if c.Max != nil && *c.Max == 0 {
			excluded = excluded.or(c.mask())
		}
	}
	return alphabet.less(excluded)
}

// addSets adds the charsets that say more than that their characters may occur.
func (r *rules) addSets(p Policy) {
	required := 0
	for _, c := range p.Characters {
		if c.Min > 0 {
			required++
		}
	}
	if p.Sets > required {
		r.atLeast = p.Sets
	}
	for _, c := range p.Characters {
		b := bounds{chars: c.mask().and(r.alphabet), min: min(max(c.Min, 0), r.max+1), max: r.max}
		if c.Max != nil {
			b.max = min(*c.Max, r.max)
		}
		everywhere := b.chars == r.alphabet && b.min <= r.min
		if r.atLeast > 0 || b.max < r.max && !b.chars.isEmpty() || b.min > 0 && !everywhere {
			r.sets = append(r.sets, b)
		}
	}
}

// classMask returns the characters of the named classes within the alphabet: all of it if no class is named.
func classMask(names []string, alphabet charMask) charMask {
	if len(names) == 0 {
		return alphabet
	}
	var m charMask
	for _, name := range names {
		chars, _ := classChars(name)
		m = m.or(maskOf(chars))
	}
	return m.and(alphabet)
}

// sequences returns the shortest runs of consecutive letters or digits, up or down, that are longer than most.
func sequences(most int) []string {
	if most < 1 {
		return nil
	}
	var words []string
	for _, up := range []string{lowers, digits} {
		down := reversed(up)
		for i := 0; i+most < len(up); i++ {
			words = append(words, up[i:i+most+1], down[i:i+most+1])
		}
	}
	return words
}

func reversed(text string) string {
	bytes := make([]byte, len(text))
	for i := range bytes {
		bytes[i] = text[len(text)-1-i]
	}
	return string(bytes)
}

// possible returns the words of two characters and more that a password could hold, each once.
func (r *rules) possible(words []string) []string {
	spelt := maskOf(strings.ToLower(r.alphabet.chars()))
	var possible []string
	for _, word := range sortedDistinct(words) {
		if 1 < len(word) && len(word) <= r.max && maskOf(word).less(spelt).isEmpty() {
			possible = append(possible, word)
		}
	}
	return possible
}
