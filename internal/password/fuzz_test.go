package password

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// Whatever a policy says, Compile does not panic, and of a policy that it accepts a password is drawn that keeps to it.
func FuzzCompile(f *testing.F) {
	f.Add(16, 16, "abcdef0123", 2, 8, "lower", "abc", "[0-9]{3}", "admin", 1, 2)
	f.Add(1, 40, "a-z", 0, -1, "letter", "", `^\d|\b`, "x", 0, 0)
	f.Add(8, 8, " ~", 9, 8, "", "ß", "(", "", 99, -1)
	f.Add(12, 12, "0123456789", 3, 3, "digit", "11", "(?i)a.{9}b", "a.b-c1", 3, 1)
	f.Fuzz(func(t *testing.T, shortest, longest int, chars string, minimum, maximum int, first, word, pattern,
		login string,
		run, sequence int) {
		p := Policy{
			Length:     Length{shortest, longest},
			Characters: []Charset{{Chars: chars, Min: minimum, Max: &maximum}, {From: "alphanumeric"}},
			First:      strings.Fields(first), Forbid: []string{word}, ForbidPatterns: []string{pattern}, Login: login,
			MaxRun: run, MaxSequence: sequence, Exclude: "x", MinEntropy: 1,
		}
		s, err := Compile(p)
		if err != nil {
			if refused, ok := errors.AsType[*Error](err); !ok || len(refused.Problems) == 0 || err.Error() == "" {
				t.Errorf("%+v is refused without a reason", p)
			}
			return
		}
		value, err := s.Draw()
		if err != nil {
			t.Fatal(err)
		}
		text := value.Reveal()
		if len(text) < shortest || len(text) > longest || strings.Trim(text, alphabetOf(p)) != "" ||
			strings.Contains(strings.ToLower(text), strings.ToLower(word)) ||
			regexp.MustCompile(pattern).MatchString(text) ||
			!conformsByNeighbours(p, text) || holdsForbidden(p, text) {
			t.Errorf("a password of %+v does not keep to it", p)
		}
	})
}
