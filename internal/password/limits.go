package password

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
	countSteps    = 60_000_000 // for counting a policy exactly; about 80 ms. Bounds may take twice as many
	conflictSteps = 12_000_000 // for finding which rules conflict
	trialSteps    = 3_000_000  // of these, for counting the policy without some of its rules
)

// defaultMinEntropy, in bits, applies where a policy has no min-entropy: 2^64 guesses are beyond any attacker online,
// and cost more than the passwords here are worth offline. Longer is cheap, since nobody types them.
const defaultMinEntropy = 64
