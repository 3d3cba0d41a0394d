package password

// The limits of a policy. They bound what Compile does with any input, hostile ones included, to about 100 ms on one
// core of 2025, and each is named in the message that refuses what is beyond it. The work limits count steps, not time:
// a verdict is the same on every machine.
const (
	maxLength        = 512    // characters of a password: twice the longest that Azure takes (Entra: 256)
	maxCharsets      = 32     // entries of `characters`
	maxForbidden     = 10_000 // entries of `forbid`
	maxPatterns      = 16     // entries of `forbid-patterns`
	maxPatternLength = 250    // characters of one
	maxPatternSteps  = 2_000  // instructions of the program that package regexp makes of one
	maxTextLength    = 1_000  // characters of a forbidden substring, a login, a charset, an exclude

	maxStates           = 10_000 // states of the automaton that the rules make together
	maxDistinctAlphabet = 12     // characters for which distinct makes an automaton: 2^12 states
	maxQuotas           = 50_000 // combinations of how many characters each charset has so far
	fewQuotas           = 256    // combinations up to which a trellis is quicker than compositions

	maxCountSteps    = 60_000_000 // for counting a policy; about 80 ms
	maxConflictSteps = 12_000_000 // for finding which rules conflict
	maxTrialSteps    = 3_000_000  // of these, for leaving out one of them

	maxTableWords  = 3 << 20 // 64-bit words of a table that is kept for drawing: 24 MB
	maxRandomBytes = 1 << 20 // random bytes for one draw: see source
)

// defaultMinEntropy, in bits, applies where a policy states no min-entropy: 2^64 guesses are beyond any attacker
// online, and cost more than the passwords here are worth offline. Longer is cheap, since nobody types them.
const defaultMinEntropy = 64
