//go:build !race

package password

// presetDraws is how many passwords of each preset the tests draw.
const presetDraws = 100_000

// sweepPolicies is how many policies of each family TestSweep compiles.
const sweepPolicies = 400
