package password

import "strings"

// A Policy says which strings are passwords. It is data: what the user declared, unchecked. [Compile] checks it and
// makes a [Set] of it. The zero value of each field means that the rule is absent, unless its comment says otherwise.
//
// The comment of each field names the key of the declaration it comes from. A [Problem] names rules by these keys.
type Policy struct {
	Length           Length    // length. Zero: that of the default preset
	Characters       []Charset // characters. Empty: those of the default preset, with its First where First is empty too
	Sets             int       // sets: at least so many of Characters must appear
	Exclude          string    // exclude: these characters do not appear
	ExcludeAmbiguous bool      // exclude-ambiguous: neither do 0 O o 1 l I |
	First            []string  // first: the first character is in one of these named classes
	Last             []string  // last: so is the last
	MaxRun           int       // max-run: no character stands more often in a row (letter case matters)
	MaxSequence      int       // max-sequence: no longer run of consecutive letters (case ignored) or digits, up or down
	Distinct         bool      // distinct: no character twice
	Forbid           []string  // forbid: these substrings do not appear, case ignored
	ForbidPatterns   []string  // forbid-patterns: these RE2 patterns match nowhere
	Dictionary       string    // dictionary: the name of the embedded list ("english") whose words do not appear
	MinEntropy       float64   // min-entropy, in bits: a smaller set is refused. Zero: 64

	Passphrase *Passphrase // passphrase: words in place of characters; Length to Distinct must then be absent
	Rules      string      // rules: an Apple passwordrules string; Length to MaxRun must then be absent
	Login      string      // login: neither it nor 3 consecutive alphanumerics of it appear, case ignored
}

// Length is the number of characters, both ends included.
type Length struct{ Min, Max int }

// A Charset is one of the character sets whose union is the alphabet, and how many of its characters must appear.
type Charset struct {
	From  string // from: a named class (see Classes); exactly one of From and Chars is given
	Chars string // chars: the characters themselves
	Min   int    // min: at least so many
	Max   *int   // max: at most so many. Nil: no limit
}

// A Passphrase is drawn from the EFF large word list (7,776 words).
type Passphrase struct {
	Words      int    // words: how many
	Separator  string // separator: stands between words. Empty means none: the declaration's default is "-"
	Capitalize bool   // capitalize: the first letter of each word is upper case
	Digit      bool   // digit: one digit is appended to one of the words, each word and digit equally likely
}

// An Error is why Compile refuses a policy: one or more problems.
type Error struct{ Problems []Problem }

// Error returns the problems, one a line: the keys concerned, what is wrong, and what was expected.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// String returns the problem in one line: "length and characters[0].min: length 2 with a minimum of 3 leaves no
// password; change one of length and characters[0].min".
func (p Problem) String() string {
	text := p.Text
	if len(p.Keys) > 0 {
		text = joined(p.Keys) + ": " + text
	}
	if p.Want != "" {
		text += "; " + p.Want
	}
	return text
}

// A Problem is one reason to refuse a policy. It never quotes a generated value: there is none yet.
type Problem struct {
	// Keys names the rules concerned, the smallest group that conflicts, as paths in the declaration: "length",
	// "characters[2].min", "forbid-patterns[0]", "rules". The first is where to look. Empty: the policy as a whole.
	Keys []string
	Text string // what is wrong: "length 8 with minimums of 3 + 3 + 3"
	Want string // what was expected, or what to do. May be empty
}
