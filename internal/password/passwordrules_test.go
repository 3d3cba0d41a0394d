package password

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/password/internal/ascii"
	"keyvault-passwords/internal/password/internal/passwordrules"
)

// TestRulesLength holds the length of each example of the grammar against the length of its policy.
func TestRulesLength(t *testing.T) {
	text, err := os.ReadFile("internal/passwordrules/testdata/passwordrules.txt")
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for stanza := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(stanza, "\n")
		in, ok := strings.CutPrefix(lines[0], "in     ")
		if !ok {
			continue
		}
		var want int
		if _, err := fmt.Sscanf(lines[2], "length %d", &want); err != nil {
			t.Fatalf("%s: %v", lines[2], err)
		}
		p, problems := parseRules(in)
		if p.Length != (Length{want, want}) || len(problems) > 0 {
			t.Errorf("%s\n  length %v, want %d; problems %v", in, p.Length, want, problems)
		}
		parsed, _ := passwordrules.Parse(in)
		if p.Length.Min < parsed.MinLength || parsed.MaxLength > 0 && p.Length.Max > parsed.MaxLength {
			t.Errorf("%s\n  length %v is not within the rules", in, p.Length)
		}
		tested++
	}
	if tested < 57 {
		t.Errorf("%d examples: some are lost", tested)
	}
}

// A mistake in a passwordrules string is told with its offset, others without one.
func TestRulesOffset(t *testing.T) {
	problems := refusals(t, Policy{Rules: "minlength: 20; foo: 1", MaxRun: 2})
	if diff := cmp.Diff([]string{"max-run", "rules"}, problems[0].Keys); diff != "" || problems[0].InRules {
		t.Errorf("a conflict is in the rules: %t; keys (-want +got):\n%s", problems[0].InRules, diff)
	}
	if p := problems[1]; !p.InRules || p.Offset != 15 || p.Cause != `unknown property "foo"` {
		t.Errorf("%v is in the rules: %t, offset %d; want 15", p, p.InRules, p.Offset)
	}
	const want = `rules: offset 15: unknown property "foo"; ` +
		"expected minlength, maxlength, max-consecutive, required or allowed"
	if got := problems[1].Error(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRulesPolicy(t *testing.T) {
	tests := []struct {
		rules string
		want  Policy
	}{
		{"minlength: 20; required: lower; required: upper, digit; max-consecutive: 2;", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{Chars: ascii.Digits + ascii.Uppers, Min: 1}, {Chars: ascii.Lowers, Min: 1}},
			MaxRun:     2,
		}},
		{"maxlength: 12; required: digit; allowed: [-_], digit;", Policy{
			Length:     Length{12, 12},
			Characters: []Charset{{Chars: ascii.Digits, Min: 1}, {Chars: "-_"}},
		}},
		{"minlength: 64; allowed: upper;", Policy{
			Length:     Length{64, 64},
			Characters: []Charset{{Chars: ascii.Uppers}},
		}},
		{";", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{Chars: ascii.Printable}},
		}},
	}
	for _, test := range tests {
		got, problems := parseRules(test.rules)
		if diff := cmp.Diff(test.want, got); diff != "" || len(problems) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", test.rules, problems, diff)
		}
	}
}

// TestRulesMeanTheirParts draws rules from parts whose meaning is known, and compares the policy with it.
func TestRulesMeanTheirParts(t *testing.T) {
	type part struct{ text, chars string }
	parts := []part{
		{"lower", ascii.Lowers}, {"UPPER", ascii.Uppers}, {"digit", ascii.Digits}, {"special", " " + ascii.Symbols},
		{"unicode", ascii.Printable},
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
				groups[ascii.Sorted(chars)] = true
			}
			text = append(text, property+": "+strings.Join(names, ","))
		}
		if alphabet == "" {
			alphabet = ascii.Printable
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
		if ascii.Sorted(got) != ascii.Sorted(alphabet) {
			t.Errorf("%q: alphabet %q, want %q", text, ascii.Sorted(got), ascii.Sorted(alphabet))
		}
	})
}
