package phrase

import (
	"strings"
	"sync"

	"github.com/sethvargo/go-diceware/diceware"
)

// Words returns the EFF's large list, https://www.eff.org/files/2016/07/18/eff_large_wordlist.txt: 7,776 words of 3 to
// 9 lower-case letters, four of them with a hyphen, sorted. No word is the beginning of another. The list must not be
// changed.
var Words = sync.OnceValue(func() []string {
	list := diceware.WordListEffLarge()
	words := []string{""}
	for range list.Digits() {
		words = appendDie(words)
	}
	for i, rolls := range words {
		var n int
		for _, roll := range rolls {
			n = 10*n + int(roll-'0')
		}
		words[i] = list.WordAt(n)
	}
	return words
})

// appendDie returns each text six times, with the roll of one more die appended.
func appendDie(texts []string) []string {
	var rolled []string
	for _, text := range texts {
		for _, roll := range "123456" {
			rolled = append(rolled, text+string(roll))
		}
	}
	return rolled
}

// Capitalized returns the same list with the first letter of each word in upper case. It must not be changed.
var Capitalized = sync.OnceValue(func() []string {
	words := make([]string, len(Words()))
	for i, word := range Words() {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return words
})
