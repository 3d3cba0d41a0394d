package password

import (
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/phrase"
)

// TestPhraseSizes checks counts over the EFF's list.
func TestPhraseSizes(t *testing.T) {
	clean := 0 // words that hold no part of the login "napping": nap app ppi pin ing
	for _, word := range phrase.Words() {
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
		{"login", Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}, Login: "NAPPING"},
			power(int64(clean), 8, 1)},
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
		ph, err := countPhrases(test.policy, test.policy.Passphrase.Words)
		if err != nil {
			t.Errorf("%s: refused: %v", test.name, err)
			continue
		}
		if ph.Size().Cmp(test.want) != 0 {
			t.Errorf("%s: %v phrases, want %v", test.name, ph.Size(), test.want)
		}
		ph.Size().SetInt64(-1)
		if ph.Size().Cmp(test.want) != 0 {
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
	const tooMany = "forbid,login,passphrase: the policy cannot be certified: the forbidden substrings overlap the " +
		"words in too many ways | forbid fewer substrings, or use a separator that is in none of them"
	const leaveOut = " cannot be combined with passphrase | remove it: a passphrase is made of whole words"
	tests := []struct {
		policy Policy
		want   []string // "KEYS: CAUSE | REMEDY"
	}{
		{with(func(p *Policy) { p.Passphrase.Words = 0 }),
			[]string{"passphrase.words: a passphrase of 0 words | expected 1 to 64"}},
		{with(func(p *Policy) { p.Passphrase.Words = -5 }),
			[]string{"passphrase.words: a passphrase of -5 words | expected 1 to 64"}},
		{with(func(p *Policy) { p.Passphrase.Words = 65 }),
			[]string{"passphrase.words: a passphrase of 65 words | expected 1 to 64"}},
		{with(func(p *Policy) { p.Passphrase.Separator = strings.Repeat("-", 17) }), []string{
			"passphrase.separator: a separator of 17 bytes | expected at most 16",
		}},
		{with(func(p *Policy) { p.Passphrase.Separator = "–" }), []string{
			"passphrase.separator: the separator holds '–' | expected printable ASCII",
		}},
		{with(func(p *Policy) { p.Passphrase.Separator = "\n" }), []string{
			`passphrase.separator: the separator holds '\n' | expected printable ASCII`,
		}},
		{with(func(p *Policy) {
			p.Length, p.Characters, p.Sets = Length{8, 8}, []Charset{{From: "hex"}}, 1
			p.Exclude, p.ExcludeAmbiguous, p.First, p.Last = "x", true, []string{"letter"}, []string{"letter"}
			p.MaxRun, p.MaxSequence, p.Distinct = 1, 1, true
			p.ForbidPatterns, p.Dictionary, p.Rules = []string{"x"}, "english", "minlength: 8"
		}), []string{
			"rules: rules" + leaveOut, "length: length" + leaveOut, "characters: characters" + leaveOut, "sets: sets" +
				leaveOut,
			"exclude: exclude" + leaveOut, "exclude-ambiguous: exclude-ambiguous" + leaveOut, "first: first" + leaveOut,
			"last: last" + leaveOut, "max-run: max-run" + leaveOut, "max-sequence: max-sequence" + leaveOut,
			"distinct: distinct" + leaveOut, "forbid-patterns: forbid-patterns" + leaveOut,
			"dictionary: dictionary" + leaveOut,
		}},
		{manyWays(64, 1600), []string{tooMany}},
		{manyWays(64, 2000), []string{
			"forbid: the forbidden substrings have 12000 characters together " +
				"| expected at most 10000 with a passphrase",
		}},
		{manyWays(2, 100), []string{tooMany}}, // too many positions
		{manyWays(64, 20), []string{tooMany}}, // too many additions
		{manyWays(8, 20), nil},
		{manyWays(1, 1600), nil}, // no word follows another
	}
	for _, test := range tests {
		test.policy.MinEntropy = 1
		var got []string
		if _, err := Compile(test.policy); err != nil {
			refused, _ := errors.AsType[*Error](err)
			for _, p := range refused.Problems {
				got = append(got, strings.Join(p.Keys, ",")+": "+p.Cause+" | "+p.Remedy)
			}
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
		word := phrase.Words()[i*7776/substrings]
		p.Forbid = append(p.Forbid, word[len(word)-3:]+"xyz")
	}
	return p
}

// TestDrawnPhrasesConform takes drawn phrases apart and looks for what is forbidden, over the EFF's list.
func TestDrawnPhrasesConform(t *testing.T) {
	tests := []struct {
		name     string
		policy   Policy
		byNumber bool // less than half of the choices are phrases
	}{
		{"plain", Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}}, false},
		{"capitals, digit", Policy{Passphrase: &Passphrase{Words: 5, Separator: " ", Capitalize: true, Digit: true}},
			false},
		{"login", Policy{Passphrase: &Passphrase{Words: 6, Separator: "_", Digit: true}, Login: "admin"}, false},
		{"no separator, long login", Policy{
			Passphrase: &Passphrase{Words: 8, Capitalize: true, Digit: true}, Login: "station-ring-over.per",
			Forbid: []string{"E1"},
		}, true},
	}
	for _, test := range tests {
		s, err := Compile(test.policy)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		choices := new(big.Int).Exp(big.NewInt(7776), big.NewInt(int64(test.policy.Passphrase.Words)), nil)
		if test.policy.Passphrase.Digit {
			choices.Mul(choices, big.NewInt(int64(10*test.policy.Passphrase.Words)))
		}
		if byNumber := new(big.Int).Lsh(s.size, 1).Cmp(choices) < 0; byNumber != test.byNumber {
			t.Errorf("%s: drawn by number: %t, want %t", test.name, byNumber, test.byNumber)
		}
		shortest, longest := s.Lengths()
		for range 200 {
			value, err := s.Draw()
			if err != nil {
				t.Fatal(err)
			}
			phrase := value.Reveal()
			if len(phrase) < shortest || len(phrase) > longest {
				t.Fatalf("%s: %d characters, want %d to %d", test.name, len(phrase), shortest, longest)
			}
			if problem := phraseProblem(phrase, test.policy); problem != "" {
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
			if window := strings.ToLower(part[end-3 : end]); !strings.ContainsAny(window, "-.") &&
				strings.Contains(lower, window) {
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
		if isCapital := ascii.HoldsAll(ascii.Uppers, phrase[:1]); isCapital != p.Passphrase.Capitalize {
			return "has the wrong letter case"
		}
		phrase = phrase[len(word):]
		if digitsLeft > 0 && phrase != "" && ascii.HoldsAll(ascii.Digits, phrase[:1]) {
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
	for length := 3; length <= min(9, len(text)); length++ {
		if _, ok := slices.BinarySearch(phrase.Words(), text[:length]); ok {
			return text[:length]
		}
	}
	return ""
}

func BenchmarkCompilePassphrase(b *testing.B) {
	for name, p := range map[string]Policy{
		"preset": {Passphrase: &Passphrase{Words: 8, Separator: "-"}},
		"digit":  {Passphrase: &Passphrase{Words: 8, Separator: "-", Digit: true}},
		"login":  {Passphrase: &Passphrase{Words: 8, Capitalize: true}, Login: "production-database-admin"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(p); err != nil {
					b.Fatal(err)
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
			s, err := Compile(p)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.draw(rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
