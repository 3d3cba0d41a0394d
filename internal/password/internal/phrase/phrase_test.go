package phrase

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

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/lexicon"
	"keyvault-passwords/internal/password/internal/uniform"
)

// TestWords compares the list with the EFF's file and checks what counting relies on.
func TestWords(t *testing.T) {
	words := Words()
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
		if !ascii.HoldsAll(ascii.Lowers, word[:1]) || !ascii.HoldsAll(ascii.Lowers+"-", word) ||
			len(word) > longestWord {
			t.Errorf("%q: want a letter first, letters and hyphens, at most %d", word, longestWord)
		}
	}
	for i, word := range Capitalized() {
		if !strings.EqualFold(word, words[i]) || !ascii.HoldsAll(ascii.Uppers, word[:1]) || word[1:] != words[i][1:] {
			t.Errorf("capitalized: %q, of %q", word, words[i])
		}
	}
}

// allPhrases returns the strings that p makes of words without what is forbidden, by making all of them.
func allPhrases(p Shape, forbidden []string) map[string]bool {
	texts := []string{""}
	for place := range p.Places {
		var longer []string
		for _, text := range texts {
			for _, word := range p.Words {
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
		p := Shape{
			Words:  words,
			Places: rapid.IntRange(1, 3).Draw(t, "places"),
			Separator: rapid.SampledFrom([]string{"", "-", "1", "11", "1a", "a", "b-", " ", "-1-"}).Draw(t,
				"separator"),
			Digit: rapid.Bool().Draw(t, "digit"),
		}
		forbidden := lexicon.Minimal(rapid.SliceOfN(rapid.StringMatching(`[abc1-]{1,3}`), 0, 3).Draw(t, "forbidden"))
		ph, err := Count(p, forbidden)
		if err != nil {
			t.Fatal(err)
		}
		want := allPhrases(p, forbidden)
		if ph.Size().Cmp(big.NewInt(int64(len(want)))) != 0 {
			t.Fatalf("%v phrases, want %d", ph.Size(), len(want))
		}
		comparePhrases(t, ph, want)
		for places := 1; places < p.Places; places++ {
			fewer := p
			fewer.Places = places
			if got, want := ph.SizeOf(places),
				len(allPhrases(fewer, forbidden)); got.Cmp(big.NewInt(int64(want))) != 0 {
				t.Fatalf("%v phrases of %d words, want %d", got, places, want)
			}
		}
	})
}

// comparePhrases makes sure that the numbering reaches each of the wanted phrases once, and compares the lengths.
func comparePhrases(t *rapid.T, ph *Counted, want map[string]bool) {
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
	if a, b := ph.Lengths(); a != shortest || b != longest {
		t.Fatalf("lengths %d to %d, want %d to %d", a, b, shortest, longest)
	}
}

// TestPhraseLengths: "d" leads to a position before the one that the longer "bca" leads to, and no "ad" may appear.
func TestPhraseLengths(t *testing.T) {
	ph, err := Count(Shape{Words: []string{"bca", "d"}, Places: 2}, []string{"ad"})
	if err != nil {
		t.Fatal(err)
	}
	if shortest, longest := ph.Lengths(); shortest != len("dd") || longest != len("bcabca") || ph.Size().Int64() != 3 {
		t.Errorf("%v phrases of %d to %d characters, want 3 of 2 to 6", ph.Size(), shortest, longest)
	}
}

// TestDrawIsUniform enumerates all choices of a small set: each allowed phrase comes out once, each other is refused.
func TestDrawIsUniform(t *testing.T) {
	words := []string{"ab", "ba", "c-a", "bb"}
	p := Shape{Words: words, Places: 2, Separator: "a", Digit: true}
	forbidden := []string{"aa", "7"}
	ph, err := Count(p, forbidden)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	refused := 0
	for choice := range 20 * 4 * 4 {
		source := bytes.NewReader([]byte{0, byte(choice / 16), 0, byte(choice / 4 % 4), 0, byte(choice % 4)})
		phrase, err := ph.Draw(uniform.NewSource(source))
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
	for text := range allPhrases(p, forbidden) {
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
	p := Shape{Words: words, Places: 3, Separator: "-"}
	forbidden := []string{"a-b", "b-a", "c", "d"}
	ph, err := Count(p, forbidden)
	if err != nil {
		t.Fatal(err)
	}
	want := allPhrases(p, forbidden)
	if 2*len(want) >= 512 || len(want) < 10 || len(want) > 255 {
		t.Fatalf("%d phrases: not what this test is for", len(want))
	}
	got := map[string]int{}
	for n := range len(want) {
		phrase, err := ph.Draw(uniform.NewSource(bytes.NewReader([]byte{byte(n)})))
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

func count(t *testing.T, shape Shape, forbidden ...string) *Counted {
	t.Helper()
	counted, err := Count(shape, forbidden)
	if err != nil {
		t.Fatal(err)
	}
	return counted
}

// TestDrawFails: where the source of random bytes fails, so does the draw, whatever was read before.
func TestDrawFails(t *testing.T) {
	broken := errors.New("broken source")
	byChoice := count(t, Shape{Words: Words(), Places: 3, Digit: true})
	byNumber := count(t, Shape{Words: Words(), Places: 3, Digit: true}, "e")
	for name, ph := range map[string]*Counted{"by choice": byChoice, "by number": byNumber} {
		for ready := range 5 {
			random := io.MultiReader(bytes.NewReader(make([]byte, ready)), failing{broken})
			phrase, err := ph.Draw(uniform.NewSource(random))
			if !errors.Is(err, broken) || phrase != nil {
				t.Errorf("%s, after %d bytes: %v", name, ready, err)
			}
		}
	}
	nothing := count(t, Shape{Words: Words(), Places: 2, Separator: "-"}, "-")
	if phrase, err := nothing.Draw(uniform.NewSource(rand.Reader)); err == nil || phrase != nil {
		t.Error("an empty set was drawn from")
	}
	if a, b := nothing.Lengths(); a != 0 || b != 0 {
		t.Errorf("lengths of nothing: %d to %d", a, b)
	}
}

// failing is a reader that only fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
