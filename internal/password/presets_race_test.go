//go:build race

package password

// presetDraws is how many passwords of each preset the tests draw: with the race detector, which makes a draw twenty
// times as slow, fewer. What it looks for does not depend on the number.
const presetDraws = 2_000

// sweepPolicies is how many policies of each family TestSweep compiles: fewer, for the same reason.
const sweepPolicies = 20
