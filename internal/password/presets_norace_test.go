//go:build !race

package password

// presetDraws is how many passwords of each preset the tests draw.
const presetDraws = 100_000
