package password

// A Policy says which strings are passwords. It is data: what the user declared, unchecked. [Compile] checks it and
// makes a [Space] of it. The zero value of a field means that the rule is absent, unless the field's comment says
// otherwise.
//
// The comment of each field begins with its key in the declaration. A [Problem] names rules by these keys.
type Policy struct {
	Length           Length    // length. Zero: that of the default preset
	Characters       []Charset // characters. Empty: those of the default preset, and its First if First is empty too
	Sets             int       // sets: at least this many of Characters must appear
	Exclude          string    // exclude: these characters do not appear
	ExcludeAmbiguous bool      // exclude-ambiguous: nor do 0 O o 1 l I |
	First            []string  // first: the first character is in one of these named classes
	Last             []string  // last: the last character is in one of these named classes
	MaxRun           int       // max-run: no character appears more often in a row (letter case matters)
	MaxSequence      int       // max-sequence: no longer run of consecutive letters (any case) or digits, up or down
	Distinct         bool      // distinct: no character appears twice
	Forbid           []string  // forbid: these substrings do not appear, case ignored
	ForbidPatterns   []string  // forbid-patterns: these RE2 patterns match nowhere
	Dictionary       string    // dictionary: the name of the embedded list ("english") whose words do not appear
	MinEntropy       float64   // min-entropy, in bits: a smaller set is refused. Zero: 64

	Passphrase *Passphrase // passphrase: words in place of characters. Most other rules must then be absent
	Rules      string      // rules: an Apple passwordrules string. The rules that say the same must then be absent
	// login: neither it nor 3 consecutive letters or digits of it appear, case ignored. Several stand on lines of their
	// own
	Login string
}

// Length is the number of characters, both ends included.
type Length struct{ Min, Max int }

// A Charset is one of the character sets whose union is the alphabet, and how many of its characters must appear.
type Charset struct {
	From  string // from: a named class (see Classes); exactly one of From and Chars is given
	Chars string // chars: the characters themselves
	Min   int    // min: at least this many characters of it
	Max   *int   // max: at most this many. Nil: no limit
}

// A Passphrase is drawn from the EFF large word list (7,776 words).
type Passphrase struct {
	Words      int    // words: how many
	Separator  string // separator: between words. Empty means none; the declaration's default is "-"
	Capitalize bool   // capitalize: the first letter of each word is upper case
	Digit      bool   // digit: one digit is appended to one of the words, each word and digit equally likely
}

// The limits of a policy. They bound what Compile does with any input, hostile ones included, to about 200 ms on one
// core of 2025, and each is named in the message that refuses what is beyond it. Those of counting are in
// internal/language and internal/automaton.
const (
	maxCharsets      = 32     // entries of `characters`
	maxForbidden     = 10_000 // entries of `forbid`
	maxPatterns      = 16     // entries of `forbid-patterns`
	maxPatternLength = 250    // characters of one
	maxTextLength    = 1_000  // characters of a forbidden substring, a login, a charset, an exclude

	maxPhraseWords     = 64     // 827 bits, more than any use for a password knows
	maxPhraseSeparator = 16     // characters
	maxPhraseForbidden = 10_000 // characters of all forbidden substrings together, with a passphrase
)

// The budgets count steps, not time: a verdict is the same on every machine.
const (
	countSteps    = 60_000_000 // for counting a policy exactly; about 80 ms. Bounds may take three times as many
	conflictSteps = 12_000_000 // for finding which rules conflict, or how long a password must be
	trialSteps    = 3_000_000  // of these, for counting the policy without some of its rules
)

// defaultMinEntropy, in bits, applies where a policy has no min-entropy: 2^64 guesses are beyond any attacker online,
// and cost more than the passwords here are worth offline. Longer is cheap, since nobody types them.
const defaultMinEntropy = 64
