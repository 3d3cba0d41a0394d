package password

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/password/internal/ascii"
)

// refusals returns the problems of a policy that Compile must refuse.
func refusals(t *testing.T, p Policy) []Problem {
	t.Helper()
	s, err := Compile(p)
	refused, ok := errors.AsType[*Error](err)
	if !ok || s != nil || len(refused.Problems) == 0 {
		t.Fatalf("compiling %+v: set %v, error %v, want an *Error with problems and no set", p, s, err)
	}
	return refused.Problems
}

func most(n int) *int { return &n }

// Each policy breaks one rule. The problem names the rule, and says what is wrong with it.
func TestRefused(t *testing.T) {
	few := []Charset{{From: "lower"}, {From: "digit"}}
	for _, test := range []struct {
		policy Policy
		keys   string
		text   string
	}{
		{Policy{Length: Length{-1, 5}}, "length", "length -1 is too short"},
		{Policy{Length: Length{0, 40}}, "length", "length 0 is too short"},
		{Policy{Length: Length{9, 8}}, "length", "a minimum length of 9 with a maximum of 8"},
		{Policy{Length: Length{32, 513}}, "length", "length 513 is more than 512"},
		{Policy{Characters: []Charset{{}}}, "characters[0]", "an empty set of characters"},
		{Policy{Characters: []Charset{{From: "hex", Chars: "a"}}}, "characters[0]", "both from and chars"},
		{Policy{Characters: []Charset{{From: "Lower"}}}, "characters[0].from", `unknown class "Lower"`},
		{Policy{Characters: []Charset{{Chars: "aé"}}}, "characters[0].chars", `chars holds "é"`},
		{Policy{Characters: []Charset{{Chars: "a\tb"}}}, "characters[0].chars", `chars holds "\t`},
		{Policy{Characters: []Charset{{Chars: "a\xff"}}}, "characters[0].chars", `chars holds "\xff"`},
		{Policy{Characters: []Charset{{From: "hex", Min: -1}}}, "characters[0].min", "min is -1"},
		{Policy{Characters: []Charset{{From: "hex", Max: most(-1)}}}, "characters[0].max", "max is -1"},
		{Policy{Characters: []Charset{{From: "hex", Min: 3, Max: most(2)}}}, "characters[0].min characters[0].max",
			"a minimum of 3 with a maximum of 2"},
		{Policy{Characters: []Charset{{From: "hex", Min: 513}}}, "characters[0].min", "a minimum of 513"},
		{Policy{Characters: few, Sets: 3}, "sets", "sets is 3"},
		{Policy{Characters: few, Sets: -3}, "sets", "sets is -3"},
		{Policy{Exclude: "ß"}, "exclude", `exclude holds "ß"`},
		{Policy{First: []string{"vowel"}}, "first", `unknown class "vowel"`},
		{Policy{Last: []string{"letter", ""}}, "last", `unknown class ""`},
		{Policy{MaxRun: -1}, "max-run", "max-run is -1"},
		{Policy{MaxSequence: -1}, "max-sequence", "max-sequence is -1"},
		{Policy{Forbid: []string{"a", ""}}, "forbid[1]", "an empty substring is in every password"},
		{Policy{Forbid: []string{"ü"}}, "forbid[0]", `holds "ü"`},
		{Policy{ForbidPatterns: []string{"(", ""}}, "forbid-patterns[0]", "missing closing )"},
		{Policy{ForbidPatterns: []string{""}}, "forbid-patterns[0]", "an empty pattern matches every password"},
		{Policy{ForbidPatterns: []string{`(?=a)`}}, "forbid-patterns[0]", "invalid or unsupported Perl syntax"},
		{Policy{ForbidPatterns: []string{"a{999}b{999}c{999}"}}, "forbid-patterns[0]",
			"has 2999 steps, more than 2000"},
		{Policy{Dictionary: "klingon"}, "dictionary", `unknown dictionary "klingon"`},
		{Policy{MinEntropy: -1}, "min-entropy", "min-entropy is -1"},
		{Policy{MinEntropy: math.NaN()}, "min-entropy", "min-entropy is NaN"},
		{Policy{Login: strings.Repeat("a", 1001)}, "login", "login has 1001 characters"},
		{Policy{Rules: "minlength: 20; max-run: 2"}, "rules", ""},
		{Policy{Rules: "required: lower", MaxRun: 2}, "max-run rules", "max-run cannot be combined with rules"},
	} {
		problem := refusals(t, test.policy)[0]
		got := strings.Join(problem.Keys, " ")
		if got != test.keys || !strings.Contains(problem.Cause, test.text) || problem.Remedy == "" {
			t.Errorf("%+v is refused for %q: %v\nwant %q: ...%s...", test.policy, got, problem, test.keys, test.text)
		}
	}
}

// Policies without passwords, each with the smallest group of rules that conflict.
func TestConflicts(t *testing.T) {
	letters := []Charset{{From: "lower"}, {From: "upper"}}
	for _, test := range []struct {
		policy Policy
		keys   string
		text   string
	}{
		{
			fourSets(8, 3, ascii.Symbols), "length characters[1].min characters[2].min characters[3].min",
			"length 8 with minimums of 3 + 3 + 3 leaves no password",
		},
		{
			Policy{Characters: letters, First: []string{"letter"}, Exclude: ascii.Lowers + ascii.Uppers + ascii.Digits},
			"exclude", "exclude leaves no character",
		},
		{
			Policy{Characters: []Charset{{From: "letter"}, {From: "digit"}}, First: []string{"letter"},
				Exclude: ascii.Lowers + ascii.Uppers},
			"exclude first", "exclude with first: letter leaves no character to be the first",
		},
		{
			Policy{Length: Length{12, 12}, Characters: []Charset{{From: "digit"}}, Distinct: true},
			"length distinct", "length 12 with distinct leaves no password",
		},
		{
			Policy{Characters: []Charset{{Chars: "a"}}, MaxRun: 3, MaxSequence: 2, Login: "bob"},
			"length max-run", "length 32 with max-run: 3 leaves no password",
		},
		{
			Policy{Characters: few("digit", 1), ForbidPatterns: []string{"x", `\d`, "y"}},
			"characters[0].min forbid-patterns[1]", `a minimum of 1 with forbid-patterns: "\\d" leaves no password`,
		},
		{
			Policy{Characters: few("digit", 1), Forbid: slices.Concat([]string{"qq"}, strings.Split(ascii.Digits, ""))},
			"characters[0].min forbid[1] forbid[2] forbid[3] forbid[4] forbid[5] forbid[6] forbid[7] forbid[8] " +
				"forbid[9] forbid[10]",
			"a minimum of 1 with",
		},
		{ // a maximum of all characters is a bound on the length, which is not the rule length
			Policy{Length: Length{1, 3}, Characters: []Charset{{Chars: "abc", Max: most(1)}, {Chars: "a", Min: 2}}},
			"characters[1].min characters[0].max", `a minimum of 2 with at most 1 of "abc" leaves no password`,
		},
		{
			Policy{Length: Length{8, 12},
				Characters: []Charset{{From: "lower", Max: most(3)}, {From: "digit", Max: most(4)}}},
			"length characters[0].max characters[1].max",
			"length 8 to 12 with at most 3 of lower and at most 4 of digit leaves",
		},
		{
			Policy{Length: Length{4, 4}, Sets: 3,
				Characters: []Charset{{Chars: "a"}, {Chars: "b"}, {Chars: "ef", Max: most(0)}}},
			"characters[2].max sets", "at most 0 of \"ef\" with sets: 3 leaves no password",
		},
		{
			Policy{
				Rules:          "minlength: 8; maxlength: 8; required: [a]; allowed: [b]; max-consecutive: 3",
				ForbidPatterns: []string{"[ab]{8}"},
			},
			"rules forbid-patterns[0]", "length 8 with forbid-patterns",
		},
		{
			Policy{Exclude: ascii.Lowers},
			"exclude", "a minimum of 1 of lower (default's) with exclude leaves no password",
		},
		{
			Policy{Length: Length{2, 2}},
			"length", "length 2 with minimums of 1 of upper (default's)",
		},
		{
			Policy{Exclude: ascii.Lowers, Characters: few("lower", 1)},
			"characters[0].min exclude", "a minimum of 1 with exclude leaves no password",
		},
	} {
		problems := refusals(t, test.policy)
		got := strings.Join(problems[0].Keys, " ")
		if len(problems) != 1 || got != test.keys || !strings.HasPrefix(problems[0].Cause, test.text) {
			t.Errorf("%+v conflicts in %q: %s\nwant %q: %s", test.policy, got, problems[0].Cause, test.keys, test.text)
		}
	}
}

// few is letters, and so many at least of a class.
func few(class string, minimum int) []Charset {
	return []Charset{{From: class, Min: minimum}, {From: "letter"}}
}

func TestBelowMinEntropy(t *testing.T) {
	pin := []Charset{{From: "digit"}}
	for _, test := range []struct {
		policy Policy
		want   Problem
	}{
		{
			Policy{Length: Length{6, 6}, Characters: pin},
			problemOf("the policy has 19.93 bits, below the min-entropy of 64, the default",
				"expected length 20 or more; to accept less, declare min-entropy: 19", "length"),
		},
		{
			Policy{Length: Length{6, 6}, Characters: pin, MinEntropy: 20},
			problemOf("the policy has 19.93 bits, below the min-entropy of 20",
				"expected length 7 or more; to accept less, declare min-entropy: 19", "min-entropy", "length"),
		},
		{
			Policy{Length: Length{9, 9}, Characters: pin, Distinct: true},
			problemOf("the policy has 21.79 bits, below the min-entropy of 64, the default",
				"expected more characters; to accept less, declare min-entropy: 21", "length"),
		},
		{
			Policy{Length: Length{1, 1}, Characters: []Charset{{Chars: "a"}}},
			problemOf("the policy has 0.00 bits, below the min-entropy of 64, the default", "expected more characters",
				"length"),
		},
		{
			Policy{Rules: "maxlength: 6; required: digit"},
			problemOf("the policy has 19.93 bits, below the min-entropy of 64, the default",
				"expected minlength: 20 and maxlength: 20 in rules, or more; to accept less, declare min-entropy: 19",
				"rules"),
		},
		{
			Policy{Passphrase: &Passphrase{Words: 3}},
			problemOf("the policy has 38.77 bits, below the min-entropy of 64, the default",
				"expected words: 5 or more; to accept less, declare min-entropy: 38", "passphrase.words",
				"min-entropy"),
		},
		{
			Policy{Passphrase: &Passphrase{Words: 1}, MinEntropy: 3000},
			problemOf("the policy has 12.92 bits, below the min-entropy of 3000",
				"expected characters in place of words; to accept less, declare min-entropy: 12",
				"passphrase.words", "min-entropy"),
		},
	} {
		if diff := cmp.Diff([]Problem{test.want}, refusals(t, test.policy)); diff != "" {
			t.Errorf("problems of %+v (-want +got):\n%s", test.policy, diff)
		}
	}
	if _, err := Compile(Policy{Length: Length{6, 6}, Characters: pin, MinEntropy: 19.93}); err != nil {
		t.Errorf("a policy of exactly its min-entropy: %v", err)
	}
}

// What cannot be counted within the limits is refused with the rule that makes it so, and with a change that was tried.
func TestUncertified(t *testing.T) {
	for _, test := range []struct {
		policy Policy
		keys   string
		text   string
		remedy string
	}{
		{Policy{ForbidPatterns: []string{"x", "a.{14}b"}}, "forbid-patterns[1]", "more than 10000 states",
			"remove forbid-patterns[1]"},
		{Policy{ForbidPatterns: []string{"x", "a.{14}b"}, Dictionary: "english"}, "forbid-patterns[1]",
			"more than 10000 states", "remove forbid-patterns[1]"},
		{Policy{ForbidPatterns: []string{"(?i)password", "[0-9]{3}"}, Distinct: true},
			"distinct forbid-patterns[0] forbid-patterns[1]", "tell too many characters apart",
			"remove forbid-patterns[0]"},
		{Policy{Dictionary: "english", Length: Length{200, 200}, Characters: []Charset{{Chars: "aeinrst"}}},
			"dictionary",
			"after the words are taken out, too few passwords are left to prove that there are any",
			"set length to 100"},
		{hostile()["overlapping charsets, distinct"], "characters", "too many combinations", "remove distinct"},
		{hostile()["10,000 long words"], "forbid", "too many or too long", "set length to 384"},
		{Policy{Length: Length{8, 8}, Distinct: true, ForbidPatterns: []string{"(?i)(19|20)[0-9]{2}", "(?i)a.{10}z"}},
			"distinct forbid-patterns[0] forbid-patterns[1]", "tell too many characters apart",
			"remove forbid-patterns and distinct, and set length to 32"},
	} {
		problem := refusals(t, test.policy)[0]
		got := strings.Join(problem.Keys, " ")
		if got != test.keys || !strings.Contains(problem.Cause, "cannot be certified") ||
			!strings.Contains(problem.Cause, test.text) {
			t.Errorf("%+v is refused for %q: %s\nwant %q: ...%s", test.policy, got, problem.Cause, test.keys, test.text)
		}
		if problem.Remedy != test.remedy {
			t.Errorf("%+v: the remedy is %q, want %q", test.policy, problem.Remedy, test.remedy)
		}
	}
}

// All that is wrong is told at once, in the order of the policy.
func TestAllProblemsAtOnce(t *testing.T) {
	problems := refusals(t, Policy{
		Length: Length{8, 1e9}, Characters: []Charset{{From: "lower", Min: -1}, {From: "uper"}}, Dictionary: "x",
		MaxRun: -2,
	})
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Keys...)
	}
	want := []string{"length", "characters[0].min", "characters[1].from", "max-run", "dictionary"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("the rules with problems (-want +got):\n%s", diff)
	}
}

// hostile are policies that are made to take long: each is refused, or compiled within the limits of work.
func hostile() map[string]Policy {
	policies := map[string]Policy{
		"length of 10^9": {Length: Length{1e9, 1e9}},
		"lengths 1 to 512": {Length: Length{1, 512}, Characters: fourSets(1, 40, ascii.Symbols).Characters,
			MaxRun: 2},
		"minimums overflow": {Characters: []Charset{{Chars: "ab", Min: math.MaxInt},
			{Chars: "c", Min: math.MaxInt}}},
		"sum of minimums":      {Length: Length{512, 512}, Characters: fourSets(1, 512, ascii.Symbols).Characters},
		"large minimums":       fourSets(512, 50, ascii.Symbols),
		"max-run of 500":       {Length: Length{512, 512}, Characters: []Charset{{From: "printable"}}, MaxRun: 500},
		"max-run of 100":       {Length: Length{512, 512}, Characters: []Charset{{From: "printable"}}, MaxRun: 100},
		"exponential pattern":  {ForbidPatterns: []string{"a.{400}b"}},
		"large pattern":        {ForbidPatterns: []string{strings.Repeat("a{1000}", 30)}},
		"patterns of 9 states": {ForbidPatterns: []string{"a.{8}b", "c.{8}d", "e.{8}f"}},
		"word boundaries":      {ForbidPatterns: []string{`(\b\w{1,30}\b.){5}`}},
		"distinct with pattern": {Distinct: true, ForbidPatterns: []string{"a.*b"},
			Characters: []Charset{{From: "printable"}}},
		"maximums of printable": {Length: Length{256, 512}, Characters: []Charset{
			{From: "printable", Max: most(400)}, {From: "lower", Max: most(99)}}},
	}
	overlapping := Policy{Length: Length{64, 64}}
	for i := range 32 {
		overlapping.Characters = append(overlapping.Characters,
			Charset{Chars: ascii.Printable[2*i : 2*i+20], Min: 2, Max: most(40)})
	}
	policies["overlapping charsets"] = overlapping
	distinct := overlapping.clone()
	distinct.Distinct = true
	policies["overlapping charsets, distinct"] = distinct
	policies["10,000 charsets"] = Policy{Characters: make([]Charset, 10_000)}
	words, long := Policy{Length: Length{512, 512}}, Policy{Length: Length{512, 512}}
	for i := range 10_000 {
		words.Forbid = append(words.Forbid, fmt.Sprintf("%04dx%d", i, i))
		long.Forbid = append(long.Forbid, strings.Repeat("ab", 200)+fmt.Sprint(i))
	}
	policies["10,000 words"], policies["10,000 long words"] = words, long
	impossible := words.clone()
	impossible.Length, impossible.Characters = Length{9, 9}, []Charset{{From: "digit", Min: 5}, {From: "lower", Min: 5}}
	policies["10,000 words and a conflict"] = impossible
	return policies
}

// Of hostile policies, those without passwords are refused, and those that are compiled can be drawn from. That this
// takes a bounded time is what BenchmarkHostile shows.
func TestHostile(t *testing.T) {
	for name, p := range hostile() {
		s, err := Compile(p)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("%s: error %v, want an *Error", name, err)
			}
			continue
		}
		if _, err := s.Draw(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkHostile(b *testing.B) {
	for name, p := range hostile() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, _ = Compile(p) // most are refused
			}
		})
	}
}
