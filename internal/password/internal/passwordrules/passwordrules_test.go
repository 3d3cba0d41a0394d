package passwordrules

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/password/internal/ascii"
)

// textOf returns rules as a text, which parses to the same rules.
func textOf(r Rules) string {
	var properties []string
	add := func(name, value string) { properties = append(properties, name+": "+value+";") }
	addNumber := func(name string, n int) {
		if n > 0 {
			add(name, strconv.Itoa(n))
		}
	}
	addNumber("minlength", r.MinLength)
	addNumber("maxlength", r.MaxLength)
	for _, group := range r.Required {
		add("required", classText(group))
	}
	if r.Allowed != "" {
		add("allowed", classText(r.Allowed))
	}
	addNumber("max-consecutive", r.MaxConsecutive)
	return strings.Join(properties, " ")
}

// classText returns characters as a list of classes.
func classText(chars string) string {
	var names []string
	for _, class := range classes {
		if chars != "" && ascii.HoldsAll(chars, class.chars) {
			names = append(names, class.name)
			chars = ascii.Without(chars, class.chars)
		}
	}
	if chars != "" {
		names = append(names, "["+bracketOrder(chars)+"]")
	}
	return strings.Join(names, ", ")
}

// bracketOrder returns chars with "-" first and "]" last, the only places where they may be.
func bracketOrder(chars string) string {
	ordered := ascii.Without(chars, "-]")
	if strings.Contains(chars, "-") {
		ordered = "-" + ordered
	}
	if strings.Contains(chars, "]") {
		ordered += "]"
	}
	return ordered
}

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
		rules, problems := Parse(e.in)
		if len(problems) > 0 {
			t.Errorf("%s\n  refused: %v", e.in, problems)
		}
		if got := textOf(rules); got != e.out {
			t.Errorf("%s\n  got  %s\n  want %s", e.in, got, e.out)
		}
	}
}

func TestPasswordRulesRefused(t *testing.T) {
	const names = "expected minlength, maxlength, max-consecutive, required or allowed"
	const classNames = "expected lower, upper, digit, special, ascii-printable, unicode or characters in brackets, " +
		"such as [-_.]"
	tests := []struct {
		rules string
		want  []string // "offset OFFSET: CAUSE | REMEDY"
	}{
		{"minlen: 8;", []string{`offset 0: unknown property "minlen" | ` + names}},
		{"  8;", []string{"offset 2: unexpected '8' | " + names}},
		{": 8;", []string{"offset 0: unexpected ':' | " + names}},
		{"é: 8;", []string{"offset 0: unexpected 'é' | " + names}},
		{"\xff", []string{"offset 0: unexpected '�' | " + names}},
		{"minlength 8;", []string{`offset 10: no colon after "minlength" | expected minlength: VALUE;`}},
		{"minlength", []string{`offset 9: no colon after "minlength" | expected minlength: VALUE;`}},
		{"minlength: eight;", []string{"offset 11: unexpected 'e' | expected a number"}},
		{"minlength: -8;", []string{"offset 11: unexpected '-' | expected a number"}},
		{"minlength: 8.5;", []string{"offset 12: unexpected '.' | " + separators}},
		{"minlength: 8 maxlength: 9;", []string{"offset 13: unexpected 'm' | " + separators}},
		{"maxlength: 1000000000;", []string{"offset 11: the number is too large | expected at most 999999999"}},
		{"maxlength: 99999999999999999999;",
			[]string{"offset 11: the number is too large | expected at most 999999999"}},
		{"required: letter;", []string{`offset 10: unknown class "letter" | ` + classNames}},
		{"required: lower upper;", []string{"offset 16: unexpected 'u' | " + separators}},
		{"required: lower,;", []string{"offset 16: unexpected ';' | " + classNames}},
		{"required: lower,", []string{"offset 16: the rules end | " + classNames}},
		{"allowed: , lower;", []string{"offset 9: unexpected ',' | " + classNames}},
		{"allowed: [abc;", []string{"offset 9: brackets that are not closed | expected ] at their end"}},
		{"allowed: [", []string{"offset 9: brackets that are not closed | expected ] at their end"}},
		{"allowed: [];", []string{
			"offset 9: brackets without an ASCII character | expected characters in them, such as [-_.]",
		}},
		{"allowed: [äö];", []string{
			"offset 9: brackets without an ASCII character | expected characters in them, such as [-_.]",
		}},
		{"allowed: [a-z;];", []string{
			"offset 11: a hyphen that is not the first character in its brackets | expected the hyphen first: [-_.]",
		}},
		{"allowed: [a\tb];", []string{`offset 11: unexpected '\t' | expected printable characters in brackets`}},
		{"allowed: [a]b;", []string{"offset 12: unexpected 'b' | " + separators}},
		{"allowed: [a]]];", []string{"offset 13: unexpected ']' | " + separators}},
		{"minlength: 20; maxlength: 12;", []string{
			"offset 26: minlength 20 is above maxlength 12 | lower minlength or raise maxlength",
		}},
		{"minlength: x; maxlength: 8; required: letter; allowed: digit; foo: 1", []string{
			"offset 11: unexpected 'x' | expected a number",
			`offset 38: unknown class "letter" | ` + classNames,
			`offset 62: unknown property "foo" | ` + names,
		}},
	}
	for _, test := range tests {
		_, problems := Parse(test.rules)
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("offset %d: %s | %s", p.Offset, p.Cause, p.Remedy))
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
	for _, text := range []string{"", "[", "required: [", "allowed: []", "minlength: 99999999999;", "required: [\xff]",
		"a:;b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, problems := Parse(text)
		if len(problems) > 0 {
			return
		}
		again, problems := Parse(textOf(rules))
		if len(problems) > 0 {
			t.Fatalf("%q prints %q, which is refused: %v", text, textOf(rules), problems)
		}
		if diff := cmp.Diff(rules, again); diff != "" {
			t.Fatalf("%q prints %q (-before +after):\n%s", text, textOf(rules), diff)
		}
	})
}
