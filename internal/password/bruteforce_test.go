package password

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/password/internal/automaton"
	"keyvault-passwords/internal/password/internal/language"
	"keyvault-passwords/internal/password/internal/uniform"
)

// conforms reports whether a text satisfies a policy of characters, read from the comments of Policy and from nothing
// else: no code is shared with what is tested.
func conforms(p Policy, text string) bool {
	return len(text) >= p.Length.Min && len(text) <= p.Length.Max &&
		conformsByCharacter(p, text) && conformsByCharset(p, text) && conformsByNeighbours(p, text) &&
		!holdsForbidden(p, text)
}

func conformsByCharacter(p Policy, text string) bool {
	for i, c := range text {
		inSome := slices.ContainsFunc(p.Characters, func(s Charset) bool { return strings.ContainsRune(spelt(s), c) })
		if !inSome || strings.ContainsRune(p.Exclude, c) || p.ExcludeAmbiguous && strings.ContainsRune("0Oo1lI|", c) ||
			p.Distinct && strings.ContainsRune(text[:i], c) {
			return false
		}
	}
	in := func(names []string, c byte) bool {
		return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool {
			return strings.IndexByte(spelt(Charset{From: name}), c) >= 0
		})
	}
	return in(p.First, text[0]) && in(p.Last, text[len(text)-1])
}

// spelt returns the characters of a charset. Classes are those that the tests use.
func spelt(s Charset) string {
	switch s.From {
	case "lower":
		return "abcdefghijklmnopqrstuvwxyz"
	case "upper":
		return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	case "digit":
		return "0123456789"
	case "letter":
		return spelt(Charset{From: "lower"}) + spelt(Charset{From: "upper"})
	case "alphanumeric":
		return spelt(Charset{From: "letter"}) + spelt(Charset{From: "digit"})
	}
	return s.Chars
}

func conformsByCharset(p Policy, text string) bool {
	appear := 0
	for _, s := range p.Characters {
		count := 0
		for _, c := range text {
			if strings.ContainsRune(spelt(s), c) {
				count++
			}
		}
		if count < s.Min || s.Max != nil && count > *s.Max {
			return false
		}
		if count > 0 {
			appear++
		}
	}
	return appear >= p.Sets
}

func conformsByNeighbours(p Policy, text string) bool {
	run, up, down := 1, 1, 1
	for i := 1; i < len(text); i++ {
		run, up, down = run+1, up+1, down+1
		if text[i] != text[i-1] {
			run = 1
		}
		before, now := strings.ToLower(text)[i-1], strings.ToLower(text)[i]
		alike := isDigit(before) && isDigit(now) || isLower(before) && isLower(now)
		if !alike || now != before+1 {
			up = 1
		}
		if !alike || now != before-1 {
			down = 1
		}
		if p.MaxRun > 0 && run > p.MaxRun || p.MaxSequence > 0 && max(up, down) > p.MaxSequence {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func holdsForbidden(p Policy, text string) bool {
	folded := strings.ToLower(text)
	for _, word := range p.Forbid {
		if strings.Contains(folded, strings.ToLower(word)) {
			return true
		}
	}
	login := strings.ToLower(p.Login)
	if login != "" && strings.Contains(folded, login) {
		return true
	}
	for i := 0; i+3 <= len(login); i++ {
		part := login[i : i+3]
		if strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") == "" && strings.Contains(folded, part) {
			return true
		}
	}
	return slices.ContainsFunc(p.ForbidPatterns, func(pattern string) bool {
		return regexp.MustCompile(pattern).MatchString(text)
	})
}

// everyString calls f with all strings over the characters that have one of the lengths.
func everyString(chars string, length Length, f func(text string)) {
	var extend func(text []byte)
	extend = func(text []byte) {
		if len(text) >= length.Min {
			f(string(text))
		}
		if len(text) < length.Max {
			for _, c := range []byte(chars) {
				extend(append(text, c))
			}
		}
	}
	extend(nil)
}

// charactersOf returns the characters of all charsets, each once.
func charactersOf(p Policy) string {
	var all string
	for _, s := range p.Characters {
		for _, c := range spelt(s) {
			if !strings.ContainsRune(all, c) {
				all += string(c)
			}
		}
	}
	return all
}

// conforming returns the strings of a policy, found by trying all.
func conforming(p Policy) map[string]bool {
	all := make(map[string]bool)
	everyString(charactersOf(p), p.Length, func(text string) {
		if conforms(p, text) {
			all[text] = true
		}
	})
	return all
}

// hasPasswords reports whether any string conforms, trying short ones first.
func hasPasswords(p Policy) bool {
	found := false
	for length := p.Length.Min; length <= p.Length.Max && !found; length++ {
		everyString(charactersOf(p), Length{length, length}, func(text string) { found = found || conforms(p, text) })
	}
	return found
}

// smallPolicies generates policies over few characters that combine all rules but a dictionary. Most have passwords,
// some have none.
func smallPolicies() *rapid.Generator[Policy] {
	return rapid.Custom(func(t *rapid.T) Policy {
		pool := rapid.SampledFrom([]string{"abAB1", "abc12", "aA0-_", "oO01l", "12345", "abcd"}).Draw(t, "pool")
		chars := rapid.StringOfN(rapid.SampledFrom([]rune(pool)), 1, 5, -1)
		rarely := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
		p := Policy{Length: Length{rapid.IntRange(1, 5).Draw(t, "min length"), 0}}
		p.Length.Max = min(5, p.Length.Min+rapid.IntRange(0, 2).Draw(t, "more"))
		for range rapid.IntRange(1, 3).Draw(t, "charsets") {
			s := Charset{Chars: chars.Draw(t, "chars"), Min: max(0, rapid.IntRange(-1, 2).Draw(t, "min"))}
			if rarely("has max") {
				most := s.Min + rapid.IntRange(0, 2).Draw(t, "max")
				s.Max = &most
			}
			p.Characters = append(p.Characters, s)
		}
		if rarely("has sets") {
			p.Sets = rapid.IntRange(1, len(p.Characters)).Draw(t, "sets")
		}
		if rarely("has exclude") {
			p.Exclude = chars.Draw(t, "exclude")[:1]
		}
		p.ExcludeAmbiguous = rarely("exclude-ambiguous")
		classNames := rapid.SliceOfN(rapid.SampledFrom([]string{"lower", "upper", "digit", "letter"}), 1, 2)
		if rarely("has first") {
			p.First = classNames.Draw(t, "first")
		}
		if rarely("has last") {
			p.Last = classNames.Draw(t, "last")
		}
		if rarely("has max-run") {
			p.MaxRun = rapid.IntRange(1, 3).Draw(t, "max-run")
		}
		if rarely("has max-sequence") {
			p.MaxSequence = rapid.IntRange(1, 3).Draw(t, "max-sequence")
		}
		p.Distinct = rarely("distinct")
		if rarely("has forbid") {
			word := rapid.StringOfN(rapid.SampledFrom([]rune(pool+"B")), 1, 3, -1)
			p.Forbid = rapid.SliceOfN(word, 1, 3).Draw(t, "forbid")
		}
		if rarely("has patterns") {
			p.ForbidPatterns = rapid.SliceOfN(rapid.SampledFrom(samplePatterns), 1, 2).Draw(t, "patterns")
		}
		if rarely("has login") {
			p.Login = rapid.SampledFrom([]string{"ab", "a.b", "abc1", "12-34a", "A-1", "x"}).Draw(t, "login")
		}
		return p
	})
}

var samplePatterns = []string{
	"[a-z]{2}", "^[0-9]", "[A-Z]$", `\b1`, `a\B`, `^.{4}$`, "(ab|1A)+", `\Aa.*1\z`, "(?i)ab", "(?m)^1|a$", "[^a]b?[^1]",
	"a.{2}a", `(?:\d.){2}`, "^(a|b)*$", "0*1{2,}", "..-", `\w\W\w`, "$", `[[:upper:]]\d`, "zzz",
}

func TestCountIsThatOfBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := smallPolicies().Draw(t, "policy")
		want := conforming(p)
		c := count(t, p)
		if c.Size.Cmp(big.NewInt(int64(len(want)))) != 0 || !c.Exact {
			t.Fatalf("%+v counts %v strings (exact: %t), want %d", p, c.Size, c.Exact, len(want))
		}
	})
}

// count counts a policy.
func count(t rapid.TB, p Policy) *language.Counted {
	t.Helper()
	c, err := language.Count(normalise(p).rules(), &automaton.Budget{Steps: countSteps})
	if err != nil {
		t.Fatalf("counting %+v: %v", p, err)
	}
	return c
}

func TestDrawIsExactlyUniform(t *testing.T) {
	tested := 0
	for seed := range 40 {
		p := smallPolicies().Example(seed)
		p.Length = Length{1 + seed%2, 1 + seed%2}
		p.MinEntropy = 0.01
		if s, err := Compile(p); err == nil {
			testUniform(t, p, s, conforming(p))
			tested++
		}
	}
	if tested < 10 {
		t.Errorf("only %d policies had passwords", tested)
	}
}

// testUniform draws with every sequence of two bytes. Among the draws that two bytes are enough for, each password must
// come equally often.
func testUniform(t *testing.T, p Policy, s *Space, want map[string]bool) {
	drawn := make(map[string]int)
	dst := make([]byte, s.max)
	for n := range 1 << 16 {
		from := uniform.NewSource(bytes.NewReader([]byte{byte(n >> 8), byte(n)}))
		length, err := s.strings.Draw(dst, from)
		if err == nil {
			drawn[string(dst[:length])]++
		}
	}
	times := 0
	for _, times = range drawn {
		break
	}
	expected := make(map[string]int)
	for text := range want {
		expected[text] = times
	}
	if diff := cmp.Diff(expected, drawn); diff != "" || times == 0 {
		t.Fatalf("how often the passwords of %+v are drawn (-want +got):\n%s", p, diff)
	}
}

func TestConflictIsSmallest(t *testing.T) {
	conflicts := 0
	rapid.Check(t, func(t *rapid.T) {
		p := smallPolicies().Draw(t, "policy")
		if hasPasswords(p) {
			t.Skip("the policy has passwords")
		}
		_, err := Compile(p)
		conflicts++
		refused, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("compiling %+v: error %v, want an *Error", p, err)
		}
		problem := refused.Problems[0]
		all := slices.Concat(constraintsOf(p)...)
		for _, left := range slices.Concat([]string{""}, problem.Keys) {
			relaxed := p.clone()
			for _, d := range all {
				if !slices.Contains(problem.Keys, d.key) || d.key == left {
					d.drop(&relaxed)
				}
			}
			if relaxed.Length == anyLength {
				relaxed.Length = Length{1, 6}
				if left != "" {
					relaxed.Length.Max = 8
				}
			}
			relaxed.Forbid = slices.DeleteFunc(relaxed.Forbid, func(word string) bool { return word == "" })
			relaxed.ForbidPatterns = slices.DeleteFunc(relaxed.ForbidPatterns,
				func(text string) bool { return text == "" })
			if some := hasPasswords(relaxed); some != (left != "") {
				t.Fatalf("%+v conflicts in %q: without %q there are passwords: %t", p, problem.Keys, left, some)
			}
		}
	})
	if conflicts == 0 {
		t.Error("no policy had a conflict")
	}
}

func ExampleCompile() {
	minimum := func(class string) Charset { return Charset{From: class, Min: 2} }
	space, err := Compile(Policy{
		Length:     Length{32, 32},
		Characters: []Charset{minimum("lower"), minimum("upper"), minimum("digit"), minimum("symbol")},
	})
	fmt.Println(space.Entropy(), err)

	_, err = Compile(Policy{
		Length:     Length{5, 5},
		Characters: []Charset{minimum("lower"), minimum("upper"), minimum("digit")},
	})
	if refused, ok := errors.AsType[*Error](err); ok {
		fmt.Println(refused.Problems[0].Cause)
		fmt.Println(refused.Problems[0].Remedy)
	}
	// Output:
	// 209.54 bits <nil>
	// length 5 with minimums of 2 + 2 + 2 leaves no password
	// change length, characters[0].min, characters[1].min or characters[2].min
}
