package password

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestPhraseWords compares the list with the EFF's file and checks what counting relies on.
func TestPhraseWords(t *testing.T) {
	words := phraseWords()
	var file strings.Builder
	for i, word := range words {
		for _, power := range []int{1296, 216, 36, 6, 1} {
			fmt.Fprint(&file, i/power%6+1)
		}
		fmt.Fprintf(&file, "\t%s\n", word)
	}
	sum := sha256.Sum256([]byte(file.String()))
	const eff = "addd35536511597a02fa0a9ff1e5284677b8883b83e986e43f15a3db996b903e" // of eff_large_wordlist.txt
	if got := hex.EncodeToString(sum[:]); got != eff {
		t.Errorf("SHA-256 of the list: %s, want that of the EFF's file, %s", got, eff)
	}
	if len(words) != 7776 || !slices.IsSorted(words) {
		t.Fatalf("%d words, sorted: %t", len(words), slices.IsSorted(words))
	}
	for i, word := range words {
		if i > 0 && strings.HasPrefix(word, words[i-1]) { // sorted: what begins a word stands before it
			t.Errorf("%q begins with %q", word, words[i-1])
		}
		if !holdsChars(lowers, word[:1]) || !holdsChars(lowers+"-", word) || len(word) > longestWord {
			t.Errorf("%q: want a letter first, letters and hyphens, at most %d", word, longestWord)
		}
	}
	for i, word := range capitalPhraseWords() {
		if !strings.EqualFold(word, words[i]) || !holdsChars(uppers, word[:1]) || word[1:] != words[i][1:] {
			t.Errorf("capitalized: %q, of %q", word, words[i])
		}
	}
}

// allPhrases returns the strings that p makes of words without what is forbidden, by making all of them.
func allPhrases(words []string, p Passphrase, forbidden []string) map[string]bool {
	texts := []string{""}
	for place := range p.Words {
		var longer []string
		for _, text := range texts {
			for _, word := range words {
				if place > 0 {
					word = p.Separator + word
				}
				longer = append(longer, text+word)
				if p.Digit {
					for digit := range 10 {
						longer = append(longer, fmt.Sprint(text, word, "#", digit)) // # marks the digit, until below
					}
				}
			}
		}
		texts = longer
	}
	all := map[string]bool{}
	for _, text := range texts {
		if p.Digit && strings.Count(text, "#") != 1 {
			continue
		}
		text = strings.ReplaceAll(text, "#", "")
		holds := func(word string) bool { return strings.Contains(strings.ToLower(text), word) }
		if !slices.ContainsFunc(forbidden, holds) {
			all[text] = true
		}
	}
	return all
}

// TestPhrasesEnumerated compares the count, the lengths and the numbering with all strings, for small lists of words.
func TestPhrasesEnumerated(t *testing.T) {
	lists := [][]string{
		{"ab", "ba", "c-a", "bb"},
		{"Ab", "Ba", "Cc"},
		{"a", "b", "ca", "cb"},
		{"t-a", "ta"},
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SampledFrom(lists).Draw(t, "words")
		p := Passphrase{
			Words:     rapid.IntRange(1, 3).Draw(t, "places"),
			Separator: rapid.SampledFrom([]string{"", "-", "1", "11", "1a", "a", "b-", " ", "-1-"}).Draw(t, "separator"),
			Digit:     rapid.Bool().Draw(t, "digit"),
		}
		forbidden := minimalWords(rapid.SliceOfN(rapid.StringMatching(`[abc1-]{1,3}`), 0, 3).Draw(t, "forbidden"))
		ph, err := countPhrases(words, p, forbidden)
		if err != nil {
			t.Fatal(err)
		}
		want := allPhrases(words, p, forbidden)
		if ph.size().Cmp(big.NewInt(int64(len(want)))) != 0 {
			t.Fatalf("%v phrases, want %d", ph.size(), len(want))
		}
		comparePhrases(t, ph, want)
	})
}

// comparePhrases makes sure that the numbering reaches each of the wanted phrases once, and compares the lengths.
func comparePhrases(t *rapid.T, ph *phrases, want map[string]bool) {
	got := map[string]bool{}
	var shortest, longest int
	for n := range int64(len(want)) {
		text := string(ph.unrank(big.NewInt(n)))
		got[text] = true
		if n == 0 {
			shortest, longest = len(text), len(text)
		}
		shortest, longest = min(shortest, len(text)), max(longest, len(text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("numbered phrases (-want +got):\n%s", diff)
	}
	if a, b := ph.lengths(); a != shortest || b != longest {
		t.Fatalf("lengths %d to %d, want %d to %d", a, b, shortest, longest)
	}
}

// TestPhraseLengths: "d" leads to a position before the one that the longer "bca" leads to, and no "ad" may appear.
func TestPhraseLengths(t *testing.T) {
	ph, err := countPhrases([]string{"bca", "d"}, Passphrase{Words: 2}, []string{"ad"})
	if err != nil {
		t.Fatal(err)
	}
	if shortest, longest := ph.lengths(); shortest != len("dd") || longest != len("bcabca") || ph.size().Int64() != 3 {
		t.Errorf("%v phrases of %d to %d characters, want 3 of 2 to 6", ph.size(), shortest, longest)
	}
}

// TestPhraseSizes checks counts over the EFF's list.
func TestPhraseSizes(t *testing.T) {
	clean := 0 // words that hold no part of the login "napping": nap app ppi pin ing
	for _, word := range phraseWords() {
		if !slices.ContainsFunc([]string{"nap", "app", "ppi", "pin", "ing"}, func(part string) bool {
			return strings.Contains(word, part)
		}) {
			clean++
		}
	}
	power := func(base, exponent, factor int64) *big.Int {
		n := new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil)
		return n.Mul(n, big.NewInt(factor))
	}
	tests := []struct {
		name   string
		policy Policy
		want   *big.Int
	}{
		{"one word", Policy{Passphrase: &Passphrase{Words: 1}}, power(7776, 1, 1)},
		{"eight", Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}}, power(7776, 8, 1)},
		{"eight, no separator", Policy{Passphrase: &Passphrase{Words: 8}}, power(7776, 8, 1)},
		{"capitals", Policy{Passphrase: &Passphrase{Words: 8, Capitalize: true}}, power(7776, 8, 1)},
		{"a digit", Policy{Passphrase: &Passphrase{Words: 8, Separator: "1", Digit: true}}, power(7776, 8, 80)},
		{"most", Policy{Passphrase: &Passphrase{Words: 64, Separator: "-", Digit: true}}, power(7776, 64, 640)},
		{"login", Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}, Login: "NAPPING"}, power(int64(clean), 8, 1)},
		{"login, capitals", Policy{
			Passphrase: &Passphrase{Words: 3, Separator: " ", Capitalize: true, Digit: true}, Login: "napping",
		}, power(int64(clean), 3, 30)},
		{"forbidden separator", Policy{
			Passphrase: &Passphrase{Words: 2, Separator: "-"}, Forbid: []string{"-"},
		}, new(big.Int)},
		{"forbidden separator, one word", Policy{
			Passphrase: &Passphrase{Words: 1, Separator: "-"}, Forbid: []string{"-"},
		}, power(7772, 1, 1)},
		{"forbidden digits", Policy{
			Passphrase: &Passphrase{Words: 2, Separator: "-", Digit: true}, Forbid: strings.Split("012345678", ""),
		}, power(7776, 2, 2)},
		{"forbidden, but not ASCII", Policy{
			Passphrase: &Passphrase{Words: 2, Separator: "-"}, Forbid: []string{"é"}, Login: "zoë",
		}, power(7776, 2, 1)},
	}
	for _, test := range tests {
		ph, problems := newPhrases(test.policy)
		if len(problems) > 0 {
			t.Errorf("%s: refused: %v", test.name, problems)
			continue
		}
		if ph.size().Cmp(test.want) != 0 {
			t.Errorf("%s: %v phrases, want %v", test.name, ph.size(), test.want)
		}
		ph.size().SetInt64(-1)
		if ph.size().Cmp(test.want) != 0 {
			t.Errorf("%s: a caller changed the size", test.name)
		}
	}
}

func TestPhraseRefused(t *testing.T) {
	with := func(change func(p *Policy)) Policy {
		p := Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}}
		change(&p)
		return p
	}
	const tooMany = "forbid,login,passphrase: the forbidden substrings meet the words in too many ways, so that the " +
		"passphrase cannot be certified | forbid fewer substrings, or separate the words by a character that is in none"
	const leaveOut = " does not go with passphrase | leave it out: a passphrase is made of whole words"
	tests := []struct {
		policy Policy
		want   []string // "KEYS: TEXT | WANT"
	}{
		{with(func(p *Policy) { p.Passphrase.Words = 0 }), []string{"passphrase.words: a passphrase of 0 words | want 1 to 64"}},
		{with(func(p *Policy) { p.Passphrase.Words = -5 }), []string{"passphrase.words: a passphrase of -5 words | want 1 to 64"}},
		{with(func(p *Policy) { p.Passphrase.Words = 65 }), []string{"passphrase.words: a passphrase of 65 words | want 1 to 64"}},
		{with(func(p *Policy) { p.Passphrase.Separator = strings.Repeat("-", 17) }), []string{
			"passphrase.separator: a separator of 17 bytes | want at most 16",
		}},
		{with(func(p *Policy) { p.Passphrase.Separator = "–" }), []string{
			"passphrase.separator: the separator holds '–' | want printable ASCII",
		}},
		{with(func(p *Policy) { p.Passphrase.Separator = "\n" }), []string{
			`passphrase.separator: the separator holds '\n' | want printable ASCII`,
		}},
		{with(func(p *Policy) {
			p.Length, p.Characters, p.Sets = Length{8, 8}, []Charset{{From: "hex"}}, 1
			p.Exclude, p.ExcludeAmbiguous, p.First, p.Last = "x", true, []string{"letter"}, []string{"letter"}
			p.MaxRun, p.MaxSequence, p.Distinct = 1, 1, true
			p.ForbidPatterns, p.Dictionary, p.Rules = []string{"x"}, "english", "minlength: 8"
		}), []string{
			"length: length" + leaveOut, "characters: characters" + leaveOut, "sets: sets" + leaveOut,
			"exclude: exclude" + leaveOut, "exclude-ambiguous: exclude-ambiguous" + leaveOut, "first: first" + leaveOut,
			"last: last" + leaveOut, "max-run: max-run" + leaveOut, "max-sequence: max-sequence" + leaveOut,
			"distinct: distinct" + leaveOut, "forbid-patterns: forbid-patterns" + leaveOut,
			"dictionary: dictionary" + leaveOut, "rules: rules" + leaveOut,
		}},
		{manyWays(64, 1600), []string{tooMany}},
		{manyWays(64, 2000), []string{
			"forbid: forbidden substrings of 12000 characters together | want at most 10000 with a passphrase",
		}},
		{manyWays(2, 100), []string{tooMany}}, // too many positions
		{manyWays(64, 20), []string{tooMany}}, // too many additions
		{manyWays(8, 20), nil},
		{manyWays(1, 1600), nil}, // no word follows another
	}
	for _, test := range tests {
		_, problems := newPhrases(test.policy)
		var got []string
		for _, p := range problems {
			got = append(got, strings.Join(p.Keys, ",")+": "+p.Text+" | "+p.Want)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.policy, diff)
		}
	}
}

// manyWays is a policy whose words end in the beginnings of many forbidden substrings.
func manyWays(places, substrings int) Policy {
	p := Policy{Passphrase: &Passphrase{Words: places}, Login: "app"}
	for i := range substrings {
		word := phraseWords()[i*7776/substrings]
		p.Forbid = append(p.Forbid, word[len(word)-3:]+"xyz")
	}
	return p
}

// TestBelowIsUniform feeds every pair of bytes once: each number must come out equally often, as often as possible.
func TestBelowIsUniform(t *testing.T) {
	var all bytes.Buffer
	for value := range 1 << 16 {
		all.Write([]byte{byte(value >> 8), byte(value)})
	}
	for _, n := range []int{1, 2, 3, 10, 80, 257, 640, 7772, 7776, 32768, 32769, 65535, 65536} {
		source := &diceReader{random: bytes.NewReader(all.Bytes())}
		counts := make([]int, n)
		for {
			got, err := source.below(n)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			counts[got]++
		}
		for number, count := range counts {
			if count != 1<<16/n {
				t.Fatalf("below %d: %d came out %d times, want %d", n, number, count, 1<<16/n)
			}
		}
	}
}

// TestDrawIsUniform enumerates all choices of a small set: each allowed phrase comes out once, each other is refused.
func TestDrawIsUniform(t *testing.T) {
	words := []string{"ab", "ba", "c-a", "bb"}
	p := Passphrase{Words: 2, Separator: "a", Digit: true}
	forbidden := []string{"aa", "7"}
	ph, err := countPhrases(words, p, forbidden)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	refused := 0
	for choice := range 20 * 4 * 4 {
		source := bytes.NewReader([]byte{0, byte(choice / 16), 0, byte(choice / 4 % 4), 0, byte(choice % 4)})
		phrase, err := ph.draw(source)
		switch {
		case errors.Is(err, io.EOF): // another choice was wanted
			refused++
		case err != nil:
			t.Fatal(err)
		default:
			got[string(phrase)]++
		}
	}
	want := map[string]int{}
	for text := range allPhrases(words, p, forbidden) {
		want[text] = 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("how often each phrase was drawn (-want +got):\n%s", diff)
	}
	if refused != 20*4*4-len(want) {
		t.Errorf("%d choices refused, want %d", refused, 20*4*4-len(want))
	}
}

// TestDrawNumberIsUniform does the same where phrases are drawn by number: 72 of 512 choices are phrases.
func TestDrawNumberIsUniform(t *testing.T) {
	words := []string{"ab", "ba", "ca", "bb", "da", "ea", "fa", "ga"}
	p := Passphrase{Words: 3, Separator: "-"}
	forbidden := []string{"a-b", "b-a", "c", "d"}
	ph, err := countPhrases(words, p, forbidden)
	if err != nil {
		t.Fatal(err)
	}
	want := allPhrases(words, p, forbidden)
	if 2*len(want) >= 512 || len(want) < 10 || len(want) > 255 {
		t.Fatalf("%d phrases: not what this test is for", len(want))
	}
	got := map[string]int{}
	for n := range len(want) {
		phrase, err := ph.draw(bytes.NewReader([]byte{byte(n)}))
		if err != nil {
			t.Fatal(err)
		}
		got[string(phrase)]++
	}
	for text := range want {
		if got[text] != 1 || len(got) != len(want) {
			t.Fatalf("a phrase was drawn %d times of once; %d different ones of %d", got[text], len(got), len(want))
		}
	}
}

// TestDrawnPhrasesConform takes drawn phrases apart and looks for what is forbidden, over the EFF's list.
func TestDrawnPhrasesConform(t *testing.T) {
	tests := []struct {
		name     string
		policy   Policy
		byNumber bool // less than half of the choices are phrases
	}{
		{"plain", Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}}, false},
		{"capitals, digit", Policy{Passphrase: &Passphrase{Words: 5, Separator: " ", Capitalize: true, Digit: true}}, false},
		{"login", Policy{Passphrase: &Passphrase{Words: 6, Separator: "_", Digit: true}, Login: "admin"}, false},
		{"no separator, long login", Policy{
			Passphrase: &Passphrase{Words: 8, Capitalize: true, Digit: true}, Login: "station-ring-over.per", Forbid: []string{"E1"},
		}, true},
	}
	for _, test := range tests {
		ph, problems := newPhrases(test.policy)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", test.name, problems)
		}
		if byNumber := new(big.Int).Lsh(ph.size(), 1).Cmp(ph.choices) < 0; byNumber != test.byNumber {
			t.Errorf("%s: drawn by number: %t, want %t", test.name, byNumber, test.byNumber)
		}
		shortest, longest := ph.lengths()
		for range 200 {
			phrase, err := ph.draw(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			if len(phrase) < shortest || len(phrase) > longest {
				t.Fatalf("%s: %d characters, want %d to %d", test.name, len(phrase), shortest, longest)
			}
			if problem := phraseProblem(string(phrase), test.policy); problem != "" {
				t.Fatalf("%s: a phrase %s", test.name, problem)
			}
		}
	}
}

// phraseProblem reads a phrase as a person would and says what is wrong with it.
func phraseProblem(phrase string, p Policy) string {
	lower := strings.ToLower(phrase)
	for _, part := range append(slices.Clone(p.Forbid), p.Login) {
		for end := 3; end <= len(part); end++ {
			if window := strings.ToLower(part[end-3 : end]); !strings.ContainsAny(window, "-.") && strings.Contains(lower, window) {
				return "holds a part of the login"
			}
		}
	}
	digitsLeft := 0
	if p.Passphrase.Digit {
		digitsLeft = 1
	}
	for place := range p.Passphrase.Words {
		rest, ok := strings.CutPrefix(phrase, p.Passphrase.Separator)
		if place > 0 && !ok {
			return "lacks a separator"
		}
		if place > 0 {
			phrase = rest
		}
		word := leadingWord(phrase)
		if word == "" {
			return "lacks a word"
		}
		if isCapital := holdsChars(uppers, phrase[:1]); isCapital != p.Passphrase.Capitalize {
			return "has the wrong letter case"
		}
		phrase = phrase[len(word):]
		if digitsLeft > 0 && phrase != "" && holdsChars(digits, phrase[:1]) {
			phrase, digitsLeft = phrase[1:], 0
		}
	}
	if phrase != "" || digitsLeft > 0 {
		return "does not end after its words, or lacks the digit"
	}
	return ""
}

// leadingWord returns the word of the EFF's list that text begins with.
func leadingWord(text string) string {
	text = strings.ToLower(text)
	for length := 3; length <= min(longestWord, len(text)); length++ {
		if _, ok := slices.BinarySearch(phraseWords(), text[:length]); ok {
			return text[:length]
		}
	}
	return ""
}

// TestDrawFails: where the source of random bytes fails, so does the draw, whatever was read before.
func TestDrawFails(t *testing.T) {
	broken := errors.New("broken source")
	byChoice, _ := newPhrases(Policy{Passphrase: &Passphrase{Words: 3, Digit: true}})
	byNumber, _ := newPhrases(Policy{Passphrase: &Passphrase{Words: 3, Digit: true}, Forbid: []string{"e"}})
	for name, ph := range map[string]*phrases{"by choice": byChoice, "by number": byNumber} {
		for ready := range 5 {
			random := io.MultiReader(bytes.NewReader(make([]byte, ready)), failing{broken})
			phrase, err := ph.draw(random)
			if !errors.Is(err, broken) || phrase != nil {
				t.Errorf("%s, after %d bytes: %v", name, ready, err)
			}
		}
	}
	nothing, _ := newPhrases(Policy{Passphrase: &Passphrase{Words: 2, Separator: "-"}, Forbid: []string{"-"}})
	if phrase, err := nothing.draw(rand.Reader); err == nil || phrase != nil {
		t.Error("an empty set was drawn from")
	}
	if a, b := nothing.lengths(); a != 0 || b != 0 {
		t.Errorf("lengths of nothing: %d to %d", a, b)
	}
}

// failing is a reader that only fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func BenchmarkCompilePassphrase(b *testing.B) {
	for name, p := range map[string]Policy{
		"preset": {Passphrase: &Passphrase{Words: 8, Separator: "-"}},
		"digit":  {Passphrase: &Passphrase{Words: 8, Separator: "-", Digit: true}},
		"login":  {Passphrase: &Passphrase{Words: 8, Capitalize: true}, Login: "production-database-admin"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := newPhrases(p); len(problems) > 0 {
					b.Fatal(problems)
				}
			}
		})
	}
}

func BenchmarkDrawPassphrase(b *testing.B) {
	for name, p := range map[string]Policy{
		"byChoice": {Passphrase: &Passphrase{Words: 8, Separator: "-"}},
		"byNumber": {Passphrase: &Passphrase{Words: 8, Separator: "-"}, Forbid: []string{"e"}},
	} {
		b.Run(name, func(b *testing.B) {
			ph, problems := newPhrases(p)
			if len(problems) > 0 {
				b.Fatal(problems)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ph.draw(rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
