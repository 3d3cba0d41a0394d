package automaton

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyvault-passwords/internal/password/internal/ascii"
)

// everyString calls f with all strings over the characters of 1 to longest characters.
func everyString(chars string, longest int, f func(text string)) {
	var extend func(text []byte)
	extend = func(text []byte) {
		if len(text) > 0 {
			f(string(text))
		}
		if len(text) < longest {
			for _, c := range []byte(chars) {
				extend(append(text, c))
			}
		}
	}
	extend(nil)
}

// The automaton of words rejects the strings that hold one, and no others, also where words overlap.
func TestWithoutWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 2, 4, -1), 1, 4).Draw(t, "words")
		a, err := WithoutWords(words, ascii.Of("abBc"))
		if err != nil {
			t.Fatal(err)
		}
		everyString("abBc", 6, func(text string) {
			holds := slices.ContainsFunc(words,
				func(w string) bool { return strings.Contains(strings.ToLower(text), w) })
			if a.Accept([]byte(text)) == holds {
				t.Fatalf("%q without %q: %t, want %t", text, words, !holds, holds)
			}
			if dead := a.Run(0, text) == Dead; dead != holds {
				t.Fatalf("after %q without %q, the state is dead: %t, want %t", text, words, dead, holds)
			}
		})
	})
}

// The automaton of a pattern rejects the strings in which package regexp finds it, and no others.
func TestWithoutMatch(t *testing.T) {
	for _, text := range []string{
		"[a-z]{2}", "^[0-9]", "[A-Z]$", `\b1`, `a\B`, `^.{4}$`, "(ab|1A)+", `\Aa.*1\z`, "(?i)ab", "(?m)^1|a$",
		"[^a]b?[^1]",
		`\w\W\w`, "$", `[[:upper:]]-`, "zzz",
	} {
		pattern, err := ParsePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := WithoutMatch(pattern, ascii.Of("abA1-"), &Budget{Steps: 1e7})
		if err != nil {
			t.Fatal(err)
		}
		compiled := regexp.MustCompile(text)
		everyString("abA1-", 5, func(password string) {
			if got, want := a.Accept([]byte(password)), !compiled.MatchString(password); got != want {
				t.Fatalf("%q without a match of %s: %t, want %t", password, text, got, want)
			}
		})
	}
}

// What is beyond the limits or the budget is refused.
func TestTooLarge(t *testing.T) {
	pattern, err := ParsePattern("a.{14}b")
	if err != nil {
		t.Fatal(err)
	}
	alphabet := ascii.Of(ascii.Lowers)
	for name, build := range map[string]func() (*DFA, error){
		"states":  func() (*DFA, error) { return WithoutMatch(pattern, alphabet, &Budget{Steps: 1e9}) },
		"budget":  func() (*DFA, error) { return WithoutMatch(pattern, alphabet, &Budget{Steps: 1e4}) },
		"runs":    func() (*DFA, error) { return WithoutRuns(alphabet, MaxStates) },
		"repeats": func() (*DFA, error) { return WithoutRepeats(ascii.Of(ascii.Lowers[:MaxDistinct+1])) },
		"words": func() (*DFA, error) {
			return WithoutWords([]string{strings.Repeat("a", 4*MaxStates+1)}, alphabet)
		},
	} {
		if _, err := build(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: error %v, want %v", name, err, ErrTooLarge)
		}
	}
}
