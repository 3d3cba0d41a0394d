package password

import (
	"math"
	"slices"
	"strings"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/language"
)

// normal is the normal form of a policy: what it says, without what rules out nothing. It is the one place that decides
// which characters are excluded, which sets say nothing, which words can be spelt, and which rules are void. What is
// counted is made of it ([normal.rules]), and so is the fingerprint.
//
// It is made in two steps. Each given rule of the table narrows it, in any order. Then settle does what depends on
// several rules.
type normal struct {
	length      Length
	passphrase  *Passphrase
	sets        []charset
	excluded    ascii.Mask
	alphabet    ascii.Mask // set by settle
	atLeast     int        // of sets
	first, last ascii.Mask // where any may be, the alphabet
	maxRun      int        // 0: no limit
	maxSequence int        // 0: no limit
	distinct    bool
	words       []string // forbidden ones, in lower case, sorted
	patterns    []string
	dictionary  string
}

// A charset is a Charset by its characters.
type charset struct {
	chars    ascii.Mask
	min, max int // max is noLimit where there is none
}

const noLimit = math.MaxInt

// normalise returns the normal form of a policy with its defaults and without Rules. It means something only if the
// policy has no problems.
func normalise(p Policy) *normal {
	n := &normal{first: ascii.Of(ascii.Printable), last: ascii.Of(ascii.Printable)}
	for _, r := range rules {
		if r.given(&p) && r.narrow != nil {
			r.narrow(n, &p)
		}
	}
	n.settle()
	return n
}

// settle removes what rules out nothing.
func (n *normal) settle() {
	longest := n.length.Max
	if n.passphrase != nil {
		n.alphabet, longest = ascii.Of(ascii.Printable), noLimit
	} else {
		n.settleAlphabet()
		n.settleSets()
	}
	n.first, n.last = n.first.And(n.alphabet), n.last.And(n.alphabet)
	if n.maxRun >= longest || n.distinct {
		n.maxRun = 0
	}
	if n.maxSequence >= min(longest, len(ascii.Lowers)) {
		n.maxSequence = 0
	}
	spelt := n.alphabet.Lower()
	n.words = slices.DeleteFunc(sortedDistinct(n.words), func(word string) bool {
		return word == "" || len(word) > longest || !isASCII(word) || !ascii.Of(word).Minus(spelt).IsEmpty()
	})
}

// settleAlphabet sets the alphabet: the union of the sets, without the characters that are excluded, that a set may
// have none of, or that are forbidden as a word of one character.
func (n *normal) settleAlphabet() {
	for _, word := range n.words {
		if len(word) == 1 {
			n.excluded = n.excluded.Or(ascii.Of(word + strings.ToUpper(word)))
		}
	}
	for _, s := range n.sets {
		n.alphabet = n.alphabet.Or(s.chars)
		if s.max <= 0 {
			n.excluded = n.excluded.Or(s.chars)
		}
	}
	n.alphabet = n.alphabet.Minus(n.excluded)
}

// settleSets makes sets of equal characters one, and removes those that say nothing. Where a number of sets must
// appear, each set counts, and all stay.
func (n *normal) settleSets() {
	required := 0
	for i := range n.sets {
		s := &n.sets[i]
		s.chars = s.chars.And(n.alphabet)
		if s.max >= n.length.Max {
			s.max = noLimit
		}
		if s.min > 0 {
			required++
		}
	}
	if n.atLeast > max(required, 1) {
		return
	}
	n.atLeast = 0
	var merged []charset
	for _, s := range n.sets {
		i := slices.IndexFunc(merged, func(m charset) bool { return m.chars == s.chars })
		if i < 0 {
			merged = append(merged, s)
			continue
		}
		merged[i].min, merged[i].max = max(merged[i].min, s.min), min(merged[i].max, s.max)
	}
	n.sets = slices.DeleteFunc(merged, func(s charset) bool { return n.saysNothing(s, n.length.Max) })
}

// saysNothing reports whether every string of the alphabet and of at most longest characters has enough and not too
// many characters of the set.
func (n *normal) saysNothing(s charset, longest int) bool {
	enough := s.min == 0 || s.chars == n.alphabet && s.min <= n.length.Min
	return enough && (s.max >= longest || s.chars.IsEmpty())
}

// rules returns what is counted: the strings of the normal form.
func (n *normal) rules() *language.Rules {
	r := &language.Rules{
		Min: n.length.Min, Max: n.length.Max, Alphabet: n.alphabet, AtLeast: n.atLeast, First: n.first, Last: n.last,
		MaxRun: n.maxRun, Distinct: n.distinct,
	}
	if n.distinct {
		r.Max = max(r.Min, min(r.Max, n.alphabet.Count()))
	}
	for _, s := range n.sets {
		if s.chars == n.alphabet && s.max >= r.Min {
			r.Max = min(r.Max, s.max) // no string has more
		}
	}
	for _, s := range n.sets {
		if n.atLeast == 0 && n.saysNothing(s, r.Max) {
			continue
		}
		r.Charsets = append(r.Charsets, language.Charset{Chars: s.chars, Min: min(s.min, r.Max+1),
			Max: min(s.max, r.Max)})
	}
	spelt := n.alphabet.Lower()
	for _, word := range sortedDistinct(slices.Concat(n.words, sequences(n.maxSequence))) {
		if len(word) <= r.Max && ascii.Of(word).Minus(spelt).IsEmpty() {
			r.Words = append(r.Words, word)
		}
	}
	for _, text := range n.patterns {
		if pattern, err := automaton.ParsePattern(text); err == nil {
			r.Patterns = append(r.Patterns, pattern)
		}
	}
	r.Dictionary, _ = dictionaryWords(n.dictionary)
	return r
}

// mask returns the characters of a set.
func (c Charset) mask() ascii.Mask {
	if chars, ok := ascii.Class(c.From); ok {
		return ascii.Of(chars)
	}
	return ascii.Of(c.Chars)
}

// classMask returns the characters of the named classes.
func classMask(names []string) ascii.Mask {
	var m ascii.Mask
	for _, name := range names {
		chars, _ := ascii.Class(name)
		m = m.Or(ascii.Of(chars))
	}
	return m
}

// sequences returns the shortest runs of consecutive letters or digits, up or down, that are longer than most. 0: none.
func sequences(most int) []string {
	if most < 1 {
		return nil
	}
	var words []string
	for _, up := range []string{ascii.Lowers, ascii.Digits} {
		down := reversed(up)
		for i := 0; i+most < len(up); i++ {
			words = append(words, up[i:i+most+1], down[i:i+most+1])
		}
	}
	return words
}

func reversed(text string) string {
	bytes := []byte(text)
	slices.Reverse(bytes)
	return string(bytes)
}

// loginParts returns what a password must not hold of a login, in lower case: each three letters or digits in a row of
// it; or, if there are none, the whole login. A login that is not ASCII has no whole: no password holds it. Of several
// logins, on lines of their own, it returns the parts of each.
func loginParts(login string) []string {
	var parts []string
	for one := range strings.SplitSeq(strings.ToLower(login), "\n") {
		parts = append(parts, partsOfLogin(one)...)
	}
	return sortedDistinct(parts)
}

func partsOfLogin(login string) (parts []string) {
	for end := 3; end <= len(login); end++ {
		if part := login[end-3 : end]; ascii.HoldsAll(ascii.Lowers+ascii.Digits, part) {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 && login != "" && isASCII(login) {
		parts = []string{login}
	}
	return parts
}

// isASCII reports whether text is printable ASCII.
func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func sortedDistinct(texts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(texts)))
}
