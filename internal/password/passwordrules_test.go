package password

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rulesExample is one stanza of testdata/passwordrules.txt.
type rulesExample struct {
	in, out string
	length  int
}

func rulesExamples(t testing.TB) []rulesExample {
	t.Helper()
	text, err := os.ReadFile("testdata/passwordrules.txt")
	if err != nil {
		t.Fatal(err)
	}
	var examples []rulesExample
	for stanza := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		if strings.HasPrefix(stanza, "#") {
			continue
		}
		var e rulesExample
		lines := strings.Split(stanza, "\n")
		if len(lines) != 3 {
			t.Fatalf("a stanza of %d lines: %s", len(lines), stanza)
		}
		e.in = strings.TrimPrefix(lines[0], "in     ")
		e.out = strings.TrimPrefix(strings.TrimPrefix(lines[1], "out"), "    ")
		if _, err := fmt.Sscanf(lines[2], "length %d", &e.length); err != nil {
			t.Fatalf("%s: %v", lines[2], err)
		}
		examples = append(examples, e)
	}
	if len(examples) < 57 {
		t.Fatalf("%d examples: some are lost", len(examples))
	}
	return examples
}

func TestPasswordRules(t *testing.T) {
	for _, e := range rulesExamples(t) {
		rules, problems := parsePasswordRules(e.in)
		if len(problems) > 0 {
			t.Errorf("%s\n  refused: %v", e.in, problems)
		}
		if got := rules.String(); got != e.out {
			t.Errorf("%s\n  got  %s\n  want %s", e.in, got, e.out)
		}
		if got := rules.policy().Length; got != (Length{e.length, e.length}) {
			t.Errorf("%s\n  length %v, want %d", e.in, got, e.length)
		}
	}
}

func TestRulesPolicy(t *testing.T) {
	tests := []struct {
		rules string
		want  Policy
	}{
		{"minlength: 20; required: lower; required: upper, digit; max-consecutive: 2;", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{Chars: digits + uppers, Min: 1}, {Chars: lowers, Min: 1}},
			MaxRun:     2,
		}},
		{"maxlength: 12; required: digit; allowed: [-_], digit;", Policy{
			Length:     Length{12, 12},
			Characters: []Charset{{Chars: digits, Min: 1}, {Chars: "-_"}},
		}},
		{"minlength: 64; allowed: upper;", Policy{
			Length:     Length{64, 64},
			Characters: []Charset{{Chars: uppers}},
		}},
		{";", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{Chars: printables}},
		}},
	}
	for _, test := range tests {
		got, problems := parseRules(test.rules)
		if diff := cmp.Diff(test.want, got); diff != "" || len(problems) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", test.rules, problems, diff)
		}
	}
}

func TestPasswordRulesRefused(t *testing.T) {
	const names = "want minlength, maxlength, max-consecutive, required or allowed"
	const classNames = "want lower, upper, digit, special, ascii-printable, unicode or characters in brackets, such as [-_.]"
	const separators = "separate properties by a semicolon, classes by a comma"
	tests := []struct {
		rules string
		want  []string // "TEXT | WANT", without "rules, "
	}{
		{"minlen: 8;", []string{`offset 0: unknown "minlen" | ` + names}},
		{"  8;", []string{"offset 2: unexpected '8' | " + names}},
		{": 8;", []string{"offset 0: unexpected ':' | " + names}},
		{"é: 8;", []string{"offset 0: unexpected 'é' | " + names}},
		{"\xff", []string{"offset 0: unexpected '�' | " + names}},
		{"minlength 8;", []string{`offset 10: no colon after "minlength" | write minlength: VALUE;`}},
		{"minlength", []string{`offset 9: no colon after "minlength" | write minlength: VALUE;`}},
		{"minlength: eight;", []string{"offset 11: unexpected 'e' | want a number"}},
		{"minlength: -8;", []string{"offset 11: unexpected '-' | want a number"}},
		{"minlength: 8.5;", []string{"offset 12: unexpected '.' | " + separators}},
		{"minlength: 8 maxlength: 9;", []string{"offset 13: unexpected 'm' | " + separators}},
		{"maxlength: 1000000000;", []string{"offset 11: the number is too large | want at most 999999999"}},
		{"maxlength: 99999999999999999999;", []string{"offset 11: the number is too large | want at most 999999999"}},
		{"required: letter;", []string{`offset 10: unknown "letter" | ` + classNames}},
		{"required: lower upper;", []string{"offset 16: unexpected 'u' | " + separators}},
		{"required: lower,;", []string{"offset 16: unexpected ';' | " + classNames}},
		{"required: lower,", []string{"offset 16: the rules end | " + classNames}},
		{"allowed: , lower;", []string{"offset 9: unexpected ',' | " + classNames}},
		{"allowed: [abc;", []string{"offset 9: brackets that are not closed | write ] at their end"}},
		{"allowed: [", []string{"offset 9: brackets that are not closed | write ] at their end"}},
		{"allowed: [];", []string{"offset 9: brackets without an ASCII character | want characters in them, such as [-_.]"}},
		{"allowed: [äö];", []string{"offset 9: brackets without an ASCII character | want characters in them, such as [-_.]"}},
		{"allowed: [a-z;];", []string{"offset 11: a - that is not the first of its brackets | write the - first: [-_.]"}},
		{"allowed: [a\tb];", []string{`offset 11: unexpected '\t' | want printable characters in brackets`}},
		{"allowed: [a]b;", []string{"offset 12: unexpected 'b' | " + separators}},
		{"allowed: [a]]];", []string{"offset 13: unexpected ']' | " + separators}},
		{"minlength: 20; maxlength: 12;", []string{
			"rules: minlength 20 is above maxlength 12 | lower minlength or raise maxlength",
		}},
		{"minlength: x; maxlength: 8; required: letter; allowed: digit; foo: 1", []string{
			"offset 11: unexpected 'x' | want a number",
			`offset 38: unknown "letter" | ` + classNames,
			`offset 62: unknown "foo" | ` + names,
		}},
	}
	for _, test := range tests {
		_, problems := parseRules(test.rules)
		var got []string
		for _, p := range problems {
			if diff := cmp.Diff([]string{"rules"}, p.Keys); diff != "" {
				t.Errorf("%q: keys (-want +got):\n%s", test.rules, diff)
			}
			got = append(got, strings.TrimPrefix(p.Text, "rules, ")+" | "+p.Want)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.rules, diff)
		}
	}
}

// FuzzPasswordRules: what is accepted prints and reparses to the same rules, and means what it meant.
func FuzzPasswordRules(f *testing.F) {
	for _, e := range rulesExamples(f) {
		f.Add(e.in)
	}
	for _, text := range []string{"", "[", "required: [", "allowed: []", "minlength: 99999999999;", "required: [\xff]", "a:;b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, problems := parsePasswordRules(text)
		if len(problems) > 0 {
			return
		}
		again, problems := parsePasswordRules(rules.String())
		if len(problems) > 0 {
			t.Fatalf("%q prints %q, which is refused: %v", text, rules, problems)
		}
		if diff := cmp.Diff(rules, again, cmp.AllowUnexported(passwordRules{})); diff != "" {
			t.Fatalf("%q prints %q (-before +after):\n%s", text, rules, diff)
		}
		p := rules.policy()
		if p.Length.Min < rules.minLength || rules.maxLength > 0 && p.Length.Max > rules.maxLength {
			t.Fatalf("%q makes the length %v", text, p.Length)
		}
	})
}

// TestRulesMeanTheirParts draws rules from parts whose meaning is known, and compares the policy with it.
func TestRulesMeanTheirParts(t *testing.T) {
	type part struct{ text, chars string }
	parts := []part{
		{"lower", lowers}, {"UPPER", uppers}, {"digit", digits}, {"special", " " + symbols}, {"unicode", printables},
		{"[-x]]", "-x]"}, {"[ ;,]", " ;,"}, {"[ab]", "ab"}, {"[[]", "["},
	}
	rapid.Check(t, func(t *rapid.T) {
		var text []string
		var alphabet string
		groups := map[string]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "properties") {
			property := rapid.SampledFrom([]string{"required", "allowed"}).Draw(t, "property")
			chosen := rapid.SliceOfN(rapid.SampledFrom(parts), 1, 3).Draw(t, "classes")
			var names []string
			var chars string
			for _, part := range chosen {
				names, chars = append(names, part.text), chars+part.chars
			}
			alphabet += chars
			if property == "required" {
				groups[sortedChars(chars)] = true
			}
			text = append(text, property+": "+strings.Join(names, ","))
		}
		if alphabet == "" {
			alphabet = printables
		}
		p, problems := parseRules(strings.Join(text, "; "))
		if len(problems) > 0 {
			t.Fatalf("%q: %v", text, problems)
		}
		var got string
		required := map[string]bool{}
		for _, c := range p.Characters {
			got += c.Chars
			if c.Min == 1 {
				required[c.Chars] = true
			}
		}
		if diff := cmp.Diff(groups, required); diff != "" {
			t.Errorf("%q required (-want +got):\n%s", text, diff)
		}
		if sortedChars(got) != sortedChars(alphabet) {
			t.Errorf("%q: alphabet %q, want %q", text, sortedChars(got), sortedChars(alphabet))
		}
	})
}
