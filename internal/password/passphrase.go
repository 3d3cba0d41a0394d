package password

import (
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/sethvargo/go-diceware/diceware"
)

// The limits of a passphrase. 64 words have 827 bits, more than any use for a password knows.
const (
	maxPhraseWords     = 64
	maxPhraseSeparator = 16     // characters
	maxPhraseForbidden = 10_000 // characters of all forbidden substrings together
)

// phraseWords are the EFF's large list, https://www.eff.org/files/2016/07/18/eff_large_wordlist.txt: 7,776 words of 3 to
// 9 lower-case letters, four of them with a hyphen, sorted. No word is the beginning of another, which is what makes
// the counting of phrases exact: see phrases.
var phraseWords = sync.OnceValue(func() []string {
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

// phrases is the set of the passphrases of a policy, counted.
//
// A phrase is a choice of words and, where there is to be a digit, of the digit and of the word that it follows.
// Different choices are different strings, whatever the separator, so that counting choices counts strings: since no
// word is the beginning of another, a string shows its first word. Behind that stands either the separator and a word,
// or a digit, the separator and a word. A string that could be read both ways would have a separator that is this digit
// over and over, and behind it the digit once more where the other reading has the letter that a word begins with. And
// so on to the end. (Capitals change nothing of this.)
//
// So there are 7776^words phrases, times ten times the words with a digit, where nothing is forbidden. Forbidden
// substrings, those of a login included, may lie across words and separators. An automaton finds them; all that the
// beginning of a phrase means for the rest of it is the automaton's state before the next word. Their phrases are
// counted as the ways through these states: exactly.
type phrases struct {
	words     []string // in the letter case in which they appear; none is the beginning of another, each has a letter first
	places    int      // how many words make a phrase
	separator string
	digit     bool

	avoid     *automaton          // accepts what holds nothing forbidden
	positions map[int32]*position // by the state before a word
	choices   *big.Int            // how many phrases there were if nothing were forbidden
}

// newPhrases counts the phrases of a policy that has a Passphrase, or returns what is wrong with it. There may turn out
// to be none.
func newPhrases(p Policy) (*phrases, []Problem) {
	if problems := phraseProblems(p); len(problems) > 0 {
		return nil, problems
	}
	words := phraseWords()
	if p.Passphrase.Capitalize {
		words = capitalPhraseWords()
	}
	ph, err := countPhrases(words, *p.Passphrase, forbiddenWords(p))
	if err != nil {
		return nil, []Problem{{
			Keys: phraseForbidKeys(p),
			Text: "the forbidden substrings meet the words in too many ways, so that the passphrase cannot be certified",
			Want: "forbid fewer substrings, or separate the words by a character that is in none",
		}}
	}
	return ph, nil
}

// phraseProblems returns what is wrong with the passphrase itself, and which rules do not go with it.
func phraseProblems(p Policy) []Problem {
	var v review
	if n := p.Passphrase.Words; n < 1 || n > maxPhraseWords {
		v.add("passphrase.words", fmt.Sprintf("want 1 to %d", maxPhraseWords), "a passphrase of %d words", n)
	}
	v.separator(p.Passphrase.Separator)
	if n := len(strings.Join(p.Forbid, "")); n > maxPhraseForbidden {
		v.add("forbid", fmt.Sprintf("want at most %d with a passphrase", maxPhraseForbidden),
			"forbidden substrings of %d characters together", n)
	}
	for _, key := range characterKeys(p) {
		v.add(key, "leave it out: a passphrase is made of whole words", "%s does not go with passphrase", key)
	}
	return v.problems
}

func (v *review) separator(text string) {
	if len(text) > maxPhraseSeparator {
		v.add("passphrase.separator", fmt.Sprintf("want at most %d", maxPhraseSeparator),
			"a separator of %d bytes", len(text))
		return
	}
	if wrong := withoutChars(text, printables); wrong != "" {
		v.add("passphrase.separator", "want printable ASCII", "the separator holds %q", []rune(wrong)[0])
	}
}

// characterKeys returns the keys of p that say something of characters that words cannot do.
func characterKeys(p Policy) []string {
	var keys []string
	for _, rule := range []struct {
		key   string
		given bool
	}{
		{"length", p.Length != Length{}},
		{"characters", len(p.Characters) > 0},
		{"sets", p.Sets != 0},
		{"exclude", p.Exclude != ""},
		{"exclude-ambiguous", p.ExcludeAmbiguous},
		{"first", len(p.First) > 0},
		{"last", len(p.Last) > 0},
		{"max-run", p.MaxRun != 0},
		{"max-sequence", p.MaxSequence != 0},
		{"distinct", p.Distinct},
		{"forbid-patterns", len(p.ForbidPatterns) > 0},
		{"dictionary", p.Dictionary != ""},
		{"rules", p.Rules != ""},
	} {
		if rule.given {
			keys = append(keys, rule.key)
		}
	}
	return keys
}

// phraseForbidKeys returns the keys of the rules that forbid substrings.
func phraseForbidKeys(p Policy) []string {
	var keys []string
	if len(p.Forbid) > 0 {
		keys = append(keys, "forbid")
	}
	if p.Login != "" {
		keys = append(keys, "login")
	}
	return append(keys, "passphrase")
}

var capitalPhraseWords = sync.OnceValue(func() []string {
	words := make([]string, len(phraseWords()))
	for i, word := range phraseWords() {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return words
})

// run returns the state after text, which is dead once something forbidden was in it.
func (a *automaton) run(state int32, text string) int32 {
	for i := 0; i < len(text) && state != dead; i++ {
		state = a.step(state, text[i])
	}
	return state
}
