package password

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/language"
	"keyvault-passwords/internal/password/internal/lexicon"
)

// A rule is what the package knows of one key of a policy. Whatever a rule does is in its row of rules: to add one, add
// a field to Policy and a row here. A test holds the rows against the fields of Policy.
type rule struct {
	key string // in the declaration

	withPassphrase bool // it may be given beside passphrase
	withRules      bool // it may be given beside rules

	// given reports whether the policy has the rule.
	given func(p *Policy) bool

	// check notes what is wrong with the rule by itself. The policy has its defaults. Nil: nothing can be wrong.
	check func(v *review, p *Policy)

	// narrow adds what the rule rules out to the normal form. It is called if the rule is given. Nil: it rules out
	// nothing.
	narrow func(n *normal, p *Policy)

	// lines returns the rule's lines of the canonical text, whose fingerprint is stored with secrets: they must never
	// change. No lines: the rule is void. Nil: what the rule says is in the lines of another.
	lines func(n *normal) []string

	// constraints returns what a conflict may be made of, in groups of a kind. Nil: the rule is part of no conflict.
	constraints func(p *Policy) [][]constraint

	// part is what the rule becomes when it is counted, to name the rule if that is too large.
	part language.Kind
}

// A constraint is a rule, or one entry of it, as a possible cause of a conflict.
type constraint struct {
	key    string
	phrase string          // the constraint in a sentence
	drop   func(p *Policy) // removes it from the policy, of which p is a clone
}

// single is the constraint of a rule that has only one.
func single(key string, phrase string, drop func(p *Policy)) [][]constraint {
	return [][]constraint{{{key: key, phrase: phrase, drop: drop}}}
}

// rules are in the order in which problems are reported, and in that of the canonical text.
var rules = []rule{
	{
		key: "passphrase", withPassphrase: true,
		given:  func(p *Policy) bool { return p.Passphrase != nil },
		check:  func(v *review, p *Policy) { v.passphrase(p) },
		narrow: func(n *normal, p *Policy) { n.passphrase = p.Passphrase },
		lines:  passphraseLines,
	},
	{
		key: "rules", withRules: true, // replaced by the keys that it stands for before anything else is done
		given: func(p *Policy) bool { return p.Rules != "" },
	},
	{
		key:    "length",
		given:  func(p *Policy) bool { return p.Length != Length{} },
		check:  func(v *review, p *Policy) { v.length(p.Length) },
		narrow: func(n *normal, p *Policy) { n.length = p.Length },
		lines: func(n *normal) []string {
			return []string{fmt.Sprintf("length %d %d", n.length.Min, n.length.Max)}
		},
		constraints: func(p *Policy) [][]constraint {
			return single("length", lengthPhrase(p.Length), func(p *Policy) { p.Length = anyLength })
		},
	},
	{
		key:         "characters",
		given:       func(p *Policy) bool { return len(p.Characters) > 0 },
		check:       func(v *review, p *Policy) { v.characters(p.Characters) },
		narrow:      narrowCharacters,
		lines:       charsetLines,
		constraints: func(p *Policy) [][]constraint { return [][]constraint{minimums(p), maximums(p)} },
		part:        language.OfCharsets,
	},
	{
		key:   "sets",
		given: func(p *Policy) bool { return p.Sets != 0 },
		check: func(v *review, p *Policy) {
			v.atLeast("sets", p.Sets)
			if n := len(p.Characters); p.Sets > n {
				v.add("sets", fmt.Sprintf("expected at most %d, the number of sets of characters", n), "sets is %d",
					p.Sets)
			}
		},
		narrow: func(n *normal, p *Policy) { n.atLeast = p.Sets },
		lines:  func(n *normal) []string { return numberLine("sets", n.atLeast) },
		constraints: func(p *Policy) [][]constraint {
			return single("sets", fmt.Sprintf("sets: %d", p.Sets), func(p *Policy) { p.Sets = 0 })
		},
	},
	{
		key:    "exclude",
		given:  func(p *Policy) bool { return p.Exclude != "" },
		check:  func(v *review, p *Policy) { v.text("exclude", p.Exclude) },
		narrow: func(n *normal, p *Policy) { n.excluded = n.excluded.Or(ascii.Of(p.Exclude)) },
		constraints: func(*Policy) [][]constraint {
			return single("exclude", "exclude", func(p *Policy) { p.Exclude = "" })
		},
	},
	{
		key:    "exclude-ambiguous",
		given:  func(p *Policy) bool { return p.ExcludeAmbiguous },
		narrow: func(n *normal, _ *Policy) { n.excluded = n.excluded.Or(ascii.Of(ascii.Ambiguous)) },
		constraints: func(*Policy) [][]constraint {
			return single("exclude-ambiguous", "exclude-ambiguous", func(p *Policy) { p.ExcludeAmbiguous = false })
		},
	},
	{
		key:    "first",
		given:  func(p *Policy) bool { return len(p.First) > 0 },
		check:  func(v *review, p *Policy) { v.classNames("first", p.First) },
		narrow: func(n *normal, p *Policy) { n.first = classMask(p.First) },
		lines:  func(n *normal) []string { return endLine("first", n.first, n.alphabet) },
		constraints: func(p *Policy) [][]constraint {
			return single("first", "first: "+listed(p.First, "and"), func(p *Policy) { p.First = nil })
		},
	},
	{
		key:    "last",
		given:  func(p *Policy) bool { return len(p.Last) > 0 },
		check:  func(v *review, p *Policy) { v.classNames("last", p.Last) },
		narrow: func(n *normal, p *Policy) { n.last = classMask(p.Last) },
		lines:  func(n *normal) []string { return endLine("last", n.last, n.alphabet) },
		constraints: func(p *Policy) [][]constraint {
			return single("last", "last: "+listed(p.Last, "and"), func(p *Policy) { p.Last = nil })
		},
	},
	{
		key:    "max-run",
		given:  func(p *Policy) bool { return p.MaxRun != 0 },
		check:  func(v *review, p *Policy) { v.atLeast("max-run", p.MaxRun) },
		narrow: func(n *normal, p *Policy) { n.maxRun = p.MaxRun },
		lines:  func(n *normal) []string { return numberLine("max-run", n.maxRun) },
		constraints: func(p *Policy) [][]constraint {
			return single("max-run", fmt.Sprintf("max-run: %d", p.MaxRun), func(p *Policy) { p.MaxRun = 0 })
		},
		part: language.OfMaxRun,
	},
	{
		key: "max-sequence", withRules: true,
		given:  func(p *Policy) bool { return p.MaxSequence != 0 },
		check:  func(v *review, p *Policy) { v.atLeast("max-sequence", p.MaxSequence) },
		narrow: func(n *normal, p *Policy) { n.maxSequence = p.MaxSequence },
		lines:  func(n *normal) []string { return numberLine("max-sequence", n.maxSequence) },
		constraints: func(p *Policy) [][]constraint {
			phrase := fmt.Sprintf("max-sequence: %d", p.MaxSequence)
			return single("max-sequence", phrase, func(p *Policy) { p.MaxSequence = 0 })
		},
		part: language.OfWords,
	},
	{
		key: "distinct", withRules: true,
		given:  func(p *Policy) bool { return p.Distinct },
		narrow: func(n *normal, _ *Policy) { n.distinct = true },
		lines: func(n *normal) []string {
			if n.distinct {
				return []string{"distinct"}
			}
			return nil
		},
		constraints: func(*Policy) [][]constraint {
			return single("distinct", "distinct", func(p *Policy) { p.Distinct = false })
		},
		part: language.OfDistinct,
	},
	{
		key: "forbid", withPassphrase: true, withRules: true,
		given: func(p *Policy) bool { return len(p.Forbid) > 0 },
		check: func(v *review, p *Policy) { v.forbid(p) },
		narrow: func(n *normal, p *Policy) {
			for _, word := range p.Forbid {
				n.words = append(n.words, strings.ToLower(word))
			}
		},
		lines: func(n *normal) []string { return quotedLines("forbid", lexicon.Minimal(n.words)) },
		constraints: func(p *Policy) [][]constraint {
			return entries("forbid", p.Forbid, func(p *Policy, i int) { p.Forbid[i] = "" })
		},
		part: language.OfWords,
	},
	{
		key: "login", withPassphrase: true, withRules: true, // its lines are those of forbid
		given:  func(p *Policy) bool { return p.Login != "" },
		check:  func(v *review, p *Policy) { v.size("login", p.Login) },
		narrow: func(n *normal, p *Policy) { n.words = append(n.words, loginParts(p.Login)...) },
		constraints: func(*Policy) [][]constraint {
			return single("login", "login", func(p *Policy) { p.Login = "" })
		},
		part: language.OfWords,
	},
	{
		key: "forbid-patterns", withRules: true,
		given: func(p *Policy) bool { return len(p.ForbidPatterns) > 0 },
		check: func(v *review, p *Policy) { v.patterns(p.ForbidPatterns) },
		narrow: func(n *normal, p *Policy) {
			for _, text := range p.ForbidPatterns {
				if text != "" && !slices.Contains(n.patterns, text) {
					n.patterns = append(n.patterns, text)
				}
			}
		},
		lines: func(n *normal) []string { return quotedLines("forbid-pattern", sortedDistinct(n.patterns)) },
		constraints: func(p *Policy) [][]constraint {
			return entries("forbid-patterns", p.ForbidPatterns, func(p *Policy, i int) { p.ForbidPatterns[i] = "" })
		},
		part: language.OfPatterns,
	},
	{
		key: "dictionary", withRules: true,
		given:  func(p *Policy) bool { return p.Dictionary != "" },
		check:  func(v *review, p *Policy) { v.dictionary(p.Dictionary) },
		narrow: func(n *normal, p *Policy) { n.dictionary = p.Dictionary },
		lines: func(n *normal) []string {
			if n.dictionary != "" {
				return quotedLines("dictionary", []string{n.dictionary})
			}
			return nil
		},
		part: language.OfDictionary,
	},
	{
		key: "min-entropy", withPassphrase: true, withRules: true, // it says which policies are refused
		given: func(p *Policy) bool { return p.MinEntropy != 0 },
		check: func(v *review, p *Policy) { v.minEntropy(p.MinEntropy) },
	},
}

// keysOf names the rules that parts of what is counted come from.
func keysOf(parts []language.Part, p *Policy, n *normal) []string {
	var keys []string
	for _, part := range parts {
		if part.Kind == language.OfPatterns {
			keys = append(keys, indexed("forbid-patterns", slices.Index(p.ForbidPatterns, n.patterns[part.Index])))
			continue
		}
		for _, r := range rules {
			if r.part == part.Kind && r.given(p) {
				keys = append(keys, r.key)
			}
		}
	}
	return keys
}

// narrowCharacters adds the sets of characters to the normal form.
func narrowCharacters(n *normal, p *Policy) {
	for _, c := range p.Characters {
		s := charset{chars: c.mask(), min: max(c.Min, 0), max: noLimit}
		if c.Max != nil {
			s.max = *c.Max
		}
		n.sets = append(n.sets, s)
	}
}

// anyLength is the length of a policy without a rule for it.
var anyLength = Length{Min: 1, Max: language.MaxLength}

func lengthPhrase(l Length) string {
	if l.Min == l.Max {
		return "length " + strconv.Itoa(l.Min)
	}
	return fmt.Sprintf("length %d to %d", l.Min, l.Max)
}

func minimums(p *Policy) []constraint {
	var all []constraint
	for i, c := range p.Characters {
		if c.Min > 0 {
			all = append(all, constraint{
				key:    minimumKey(i),
				phrase: strconv.Itoa(c.Min),
				drop:   func(p *Policy) { p.Characters[i].Min = 0 },
			})
		}
	}
	return all
}

func maximums(p *Policy) []constraint {
	var all []constraint
	for i, c := range p.Characters {
		if c.Max != nil {
			all = append(all, constraint{
				key:    indexed("characters", i) + ".max",
				phrase: fmt.Sprintf("at most %d of %s", *c.Max, c.name()),
				drop:   func(p *Policy) { p.Characters[i].Max = nil },
			})
		}
	}
	return all
}

// minimumKey returns the key of the minimum of a set of characters.
func minimumKey(i int) string { return indexed("characters", i) + ".min" }

// entries returns the constraints of the entries of a list.
func entries(key string, texts []string, drop func(p *Policy, i int)) [][]constraint {
	var all []constraint
	for i, text := range texts {
		all = append(all, constraint{
			key:    indexed(key, i),
			phrase: fmt.Sprintf("%s: %q", key, text),
			drop:   func(p *Policy) { drop(p, i) },
		})
	}
	return [][]constraint{all}
}

// name returns the charset as a sentence names it.
func (c Charset) name() string {
	if c.From != "" {
		return c.From
	}
	return strconv.Quote(c.Chars)
}

// indexed returns the key of an entry of a list.
func indexed(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
