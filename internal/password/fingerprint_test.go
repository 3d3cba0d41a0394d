package password

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/password/internal/ascii"
)

// goldenLines returns the lines of a file of testdata that are not comments, as fields by the first field.
func goldenLines(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] != "#" {
			lines[fields[0]] = fields[1:]
		}
	}
	return lines
}

// limit returns a maximum for a charset.
func limit(n int) *int { return &n }

// plain is a policy that the tests below vary.
func plain() Policy {
	return Policy{
		Length: Length{24, 40},
		Characters: []Charset{{From: "lower", Min: 2}, {From: "upper", Min: 2}, {From: "digit", Max: limit(8)},
			{Chars: "-._~"}},
	}
}

// TestFingerprintsAreStable pins the fingerprints of policies that use every rule. The file must never change: vaults
// hold these fingerprints, and another one means "the policy has changed".
func TestFingerprintsAreStable(t *testing.T) {
	policies := map[string]Policy{
		"nothing":      {},
		"plain":        plain(),
		"excluding":    {Exclude: "{}x", ExcludeAmbiguous: true},
		"ends":         {First: []string{"letter", "digit"}, Last: []string{"alphanumeric"}},
		"runs":         {MaxRun: 2, MaxSequence: 3},
		"distinct":     {Distinct: true},
		"forbidding":   {Forbid: []string{"contoso", "Fabrikam"}, ForbidPatterns: []string{"[a-z]{5}", "^x"}},
		"dictionary":   {Dictionary: "english"},
		"login":        {Login: "app-admin"},
		"rules":        {Rules: "minlength: 20; required: lower; required: upper, digit; max-consecutive: 2;"},
		"words":        {Passphrase: &Passphrase{Words: 6, Separator: " ", Capitalize: true, Digit: true}},
		"words-forbid": {Passphrase: &Passphrase{Words: 6}, Forbid: []string{"ing"}, Login: "app"},
	}
	sets := plain()
	sets.Sets = 3
	policies["sets"] = sets

	got := map[string][]string{}
	for name, p := range policies {
		got[name] = []string{Fingerprint(p)}
	}
	if diff := cmp.Diff(goldenLines(t, "fingerprints.golden"), got); diff != "" {
		t.Errorf("fingerprints (-want +got):\n%s", diff)
	}
	for name, fingerprint := range got {
		if !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(fingerprint[0]) {
			t.Errorf("%s: %q is not 12 hexadecimal digits", name, fingerprint[0])
		}
	}
}

// TestSameFingerprint: each group is one policy in several spellings.
func TestSameFingerprint(t *testing.T) {
	with := func(change func(p *Policy)) Policy {
		p := plain()
		change(&p)
		return p
	}
	preset := func(name string) Policy { p, _ := Preset(name); return p }
	groups := map[string][]Policy{
		"classes or characters, in any order, once or twice": {
			plain(),
			with(func(p *Policy) { p.Characters[3].Chars = "~_.-" }),
			with(func(p *Policy) { p.Characters[3].Chars = "-._~.~" }),
			with(func(p *Policy) { p.Characters[3] = Charset{From: "safe-symbol"} }),
			with(func(p *Policy) { p.Characters[0] = Charset{Chars: ascii.Lowers, Min: 2} }),
			with(func(p *Policy) { slices.Reverse(p.Characters) }),
			with(func(p *Policy) { p.Characters = append(p.Characters, p.Characters...) }),
			with(func(p *Policy) {
				p.Characters = append(p.Characters,
					Charset{From: "lower", Min: 1, Max: limit(40)})
			}),
			with(func(p *Policy) {
				p.Characters = append(p.Characters, Charset{From: "alphanumeric"}, Charset{From: "letter"})
			}),
			with(func(p *Policy) { p.Characters = append(p.Characters, Charset{Chars: "!", Max: limit(0)}) }),
		},
		"what rules out nothing": {
			plain(),
			with(func(p *Policy) { p.MinEntropy = 100 }),
			with(func(p *Policy) { p.Sets = 2 }),
			with(func(p *Policy) { p.Exclude = "!#" }),
			with(func(p *Policy) { p.MaxRun = 40 }),
			with(func(p *Policy) { p.MaxSequence = 26 }),
			with(func(p *Policy) { p.First = []string{"printable"} }),
			with(func(p *Policy) { p.Last = []string{"safe-symbol", "alphanumeric"} }),
			with(func(p *Policy) { p.Forbid = []string{"a b", "conto+so", strings.Repeat("a", 41)} }),
			with(func(p *Policy) { p.Characters[0].Max = limit(40) }),
			with(func(p *Policy) { p.Login = "a+" }),
		},
		"bounds of one set": {
			with(func(p *Policy) { p.Characters[2].Min = 1 }),
			with(func(p *Policy) { p.Characters = append(p.Characters, Charset{From: "digit", Min: 1}) }),
			with(func(p *Policy) {
				p.Characters[2].Min, p.Characters[2].Max = 0, limit(9)
				p.Characters = append(p.Characters, Charset{From: "digit", Min: 1, Max: limit(8)})
			}),
		},
		"what is excluded": {
			with(func(p *Policy) { p.Exclude = "0O1Il|o" }),
			with(func(p *Policy) { p.ExcludeAmbiguous = true }),
			with(func(p *Policy) { p.Exclude, p.ExcludeAmbiguous = "loO", true }),
		},
		"a character forbidden": {
			with(func(p *Policy) { p.Exclude = "xX" }),
			with(func(p *Policy) { p.Forbid = []string{"x"} }),
			with(func(p *Policy) { p.Forbid = []string{"X", "xyz"} }),
			with(func(p *Policy) { p.Login = "x" }),
		},
		"words": {
			with(func(p *Policy) { p.Forbid = []string{"app", "con"} }),
			with(func(p *Policy) { p.Forbid = []string{"CON", "app", "Con", "contoso", "app"} }),
			with(func(p *Policy) { p.Forbid, p.Login = []string{"con"}, "App" }),
			with(func(p *Policy) { p.Login = "con-app" }),
		},
		"patterns": {
			with(func(p *Policy) { p.ForbidPatterns = []string{"a+", "b"} }),
			with(func(p *Policy) { p.ForbidPatterns = []string{"b", "a+", "b"} }),
		},
		"the classes of an end": {
			with(func(p *Policy) { p.First, p.Last = []string{"letter"}, []string{"alphanumeric"} }),
			with(func(p *Policy) {
				p.First, p.Last = []string{"upper", "lower"},
					[]string{"letter", "digit", "lower"}
			}),
		},
		"runs of distinct characters": {
			with(func(p *Policy) { p.Distinct = true }),
			with(func(p *Policy) { p.Distinct, p.MaxRun = true, 1 }),
		},
		"the default": {
			{},
			preset("default"),
			{Length: Length{32, 32}},
			{First: []string{"letter"}},
			{
				Length: Length{32, 32},
				Characters: []Charset{
					{Chars: "~_.-", Min: 1}, {From: "digit", Min: 1}, {From: "upper", Min: 1}, {From: "lower", Min: 1},
				},
				First: []string{"lower", "upper"},
			},
		},
		"passwordrules": {
			{Rules: "minlength: 20; required: lower; required: upper, digit; allowed: [-]; max-consecutive: 2;"},
			{Rules: "max-consecutive:2;required:digit,[ABCDEFGHIJKLMNOPQRSTUVWXYZ];required:lower;allowed:lower,[-]"},
			{
				Length: Length{32, 32},
				Characters: []Charset{{From: "lower", Min: 1}, {Chars: ascii.Digits + ascii.Uppers, Min: 1},
					{Chars: "-"}},
				MaxRun: 2,
			},
		},
		"passphrase": {
			preset("passphrase"),
			{Passphrase: &Passphrase{Words: 8, Separator: "-"}, MinEntropy: 90},
			{Passphrase: &Passphrase{Words: 8, Separator: "-"}, Forbid: []string{""}},
		},
	}
	owner := map[string]string{}
	for name, group := range groups {
		want := Fingerprint(group[0])
		for i, p := range group {
			if got := Fingerprint(p); got != want {
				t.Errorf("%s: spelling %d has another fingerprint:\n%s\nwant\n%s", name, i, canonicalText(p),
					canonicalText(group[0]))
			}
		}
		if other, ok := owner[want]; ok && name != "what rules out nothing" && other != "what rules out nothing" {
			t.Errorf("%q and %q have one fingerprint", name, other)
		}
		owner[want] = name
	}
}

// TestOtherFingerprint: each of these is another policy.
func TestOtherFingerprint(t *testing.T) {
	changes := map[string]func(p *Policy){
		"nothing":         func(*Policy) {},
		"length min":      func(p *Policy) { p.Length.Min = 25 },
		"length max":      func(p *Policy) { p.Length.Max = 41 },
		"alphabet":        func(p *Policy) { p.Characters[3].Chars = "-._" },
		"a minimum":       func(p *Policy) { p.Characters[0].Min = 3 },
		"another minimum": func(p *Policy) { p.Characters[1].Min = 3 },
		"a maximum":       func(p *Policy) { p.Characters[2].Max = limit(7) },
		"no maximum":      func(p *Policy) { p.Characters[2].Max = nil },
		"an overlap":      func(p *Policy) { p.Characters = append(p.Characters, Charset{From: "hex", Min: 1}) },
		"some of all": func(p *Policy) {
			p.Characters = append(p.Characters,
				Charset{Chars: ascii.Digits + ascii.Lowers + ascii.Uppers + ascii.SafeSymbols, Min: 25})
		},
		"sets":           func(p *Policy) { p.Sets = 3 },
		"more sets":      func(p *Policy) { p.Sets = 4 },
		"a set to count": func(p *Policy) { p.Sets = 3; p.Characters = append(p.Characters, Charset{From: "hex"}) },
		"exclude":        func(p *Policy) { p.Exclude = "a" },
		"ambiguous":      func(p *Policy) { p.ExcludeAmbiguous = true },
		"first":          func(p *Policy) { p.First = []string{"letter"} },
		"last":           func(p *Policy) { p.Last = []string{"letter"} },
		"max-run":        func(p *Policy) { p.MaxRun = 2 },
		"max-run 3":      func(p *Policy) { p.MaxRun = 3 },
		"max-sequence":   func(p *Policy) { p.MaxSequence = 2 },
		"distinct":       func(p *Policy) { p.Distinct = true },
		"forbid":         func(p *Policy) { p.Forbid = []string{"contoso"} },
		"forbid more":    func(p *Policy) { p.Forbid = []string{"contoso", "fabrikam"} },
		"a pattern":      func(p *Policy) { p.ForbidPatterns = []string{"contoso"} },
		"dictionary":     func(p *Policy) { p.Dictionary = "english" },
		"login":          func(p *Policy) { p.Login = "contoso" },
		"short login":    func(p *Policy) { p.Login = "ab" },
		"rules":          func(p *Policy) { *p = Policy{Rules: "minlength: 24;"} },
		"words":          func(p *Policy) { *p = Policy{Passphrase: &Passphrase{Words: 8}} },
		"more words":     func(p *Policy) { *p = Policy{Passphrase: &Passphrase{Words: 9}} },
		"a separator":    func(p *Policy) { *p = Policy{Passphrase: &Passphrase{Words: 8, Separator: " "}} },
		"capitals":       func(p *Policy) { *p = Policy{Passphrase: &Passphrase{Words: 8, Capitalize: true}} },
		"a digit":        func(p *Policy) { *p = Policy{Passphrase: &Passphrase{Words: 8, Digit: true}} },
		"words, a login": func(p *Policy) { *p = Policy{Passphrase: &Passphrase{Words: 8}, Login: "app"} },
		"words, a space": func(p *Policy) {
			*p = Policy{Passphrase: &Passphrase{Words: 8},
				Forbid: []string{"a b"}}
		},
		"a line in a line":  func(p *Policy) { p.ForbidPatterns = []string{"contoso\"\nforbid \"fabrikam"} },
		"everything absent": func(p *Policy) { *p = Policy{} },
	}
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		p := plain()
		changes[name](&p)
		fingerprint := Fingerprint(p)
		if other, ok := owner[fingerprint]; ok {
			t.Errorf("%q has the fingerprint of %q", name, other)
		}
		owner[fingerprint] = name
	}
}

// TestFingerprintIgnoresOrder shuffles everything whose order means nothing, and doubles some of it.
func TestFingerprintIgnoresOrder(t *testing.T) {
	classes := rapid.SampledFrom(Classes())
	charset := rapid.Custom(func(t *rapid.T) Charset {
		c := Charset{From: classes.Draw(t, "from"), Min: rapid.IntRange(0, 3).Draw(t, "min")}
		if rapid.Bool().Draw(t, "has max") {
			c.Max = limit(rapid.IntRange(3, 40).Draw(t, "max"))
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Length:         Length{20, 30},
			Characters:     rapid.SliceOfN(charset, 1, 5).Draw(t, "characters"),
			Sets:           rapid.IntRange(0, 5).Draw(t, "sets"),
			Exclude:        rapid.StringMatching(`[ -~]{0,5}`).Draw(t, "exclude"),
			First:          rapid.SliceOfN(classes, 0, 3).Draw(t, "first"),
			Forbid:         rapid.SliceOfN(rapid.StringMatching(`[a-cA-C]{1,4}`), 0, 5).Draw(t, "forbid"),
			ForbidPatterns: rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,3}`), 0, 3).Draw(t, "patterns"),
			Login:          rapid.StringMatching(`[a-c-]{0,5}`).Draw(t, "login"),
		}
		q := p
		q.Characters = rapid.Permutation(p.Characters).Draw(t, "charsets in another order")
		for i := range q.Characters {
			if rapid.Bool().Draw(t, "spell out") {
				chars, _ := ascii.Class(q.Characters[i].From)
				q.Characters[i].From, q.Characters[i].Chars = "",
					string(rapid.Permutation([]byte(chars)).Draw(t, "chars"))
			}
		}
		q.Exclude += p.Exclude
		q.First = append(rapid.Permutation(p.First).Draw(t, "first in another order"), p.First...)
		q.Forbid = append(rapid.Permutation(p.Forbid).Draw(t, "forbid in another order"), loginParts(p.Login)...)
		q.ForbidPatterns = append(rapid.Permutation(p.ForbidPatterns).Draw(t, "patterns in another order"),
			p.ForbidPatterns...)
		if Fingerprint(p) != Fingerprint(q) {
			t.Errorf("two fingerprints:\n%s\n%s", canonicalText(p), canonicalText(q))
		}
	})
}

// TestFingerprintOfNonsense: a policy that Compile refuses has a fingerprint without a meaning, and no panic.
func TestFingerprintOfNonsense(t *testing.T) {
	for _, p := range []Policy{
		{Length: Length{-1, -5}, Sets: -1, MaxRun: -1, MaxSequence: -3},
		{Characters: []Charset{{}, {From: "nothing", Max: limit(-1)}, {Chars: "é\xff"}}},
		{First: []string{"nothing"}, Forbid: []string{"", "é", "\xff"}, Login: "é\xff-"},
		{Rules: "\xff["},
		{Passphrase: &Passphrase{Words: -1, Separator: "\xff"}, Rules: "x", Forbid: []string{"\xff", ""}},
	} {
		if got := Fingerprint(p); len(got) != 12 {
			t.Errorf("%+v: %q", p, got)
		}
	}
}

func TestLoginParts(t *testing.T) {
	tests := []struct {
		login string
		want  string
	}{
		{"", ""},
		{"a", "a"},
		{"Sa", "sa"},
		{"app", "app"},
		{"Admin", "adm dmi min"},
		{"app-db1", "app db1"},
		{"a-b_c", "a-b_c"},
		{"ab.cde", "cde"},
		{"aaaa", "aaa"},
		{"zoë", ""},
		{"zoë123", "123"},
		{"App_a\napp_b\nxy", "app xy"},
	}
	for _, test := range tests {
		if got := strings.Join(loginParts(test.login), " "); got != test.want {
			t.Errorf("parts of the login %q: %q, want %q", test.login, got, test.want)
		}
	}
}

// TestCanonicalText shows the text that is hashed. Of the second one, `sha256sum` says 4425a53e837f....
func TestCanonicalText(t *testing.T) {
	everything := plain()
	everything.Sets, everything.Exclude, everything.First = 4, "xyz", []string{"letter"}
	everything.MaxRun, everything.MaxSequence, everything.Distinct = 2, 3, false
	everything.Forbid, everything.Login, everything.Dictionary = []string{"Contoso"}, "app", "english"
	everything.ForbidPatterns = []string{`^"`}
	tests := []struct {
		policy Policy
		want   string
	}{
		{everything, `policy 1
length 24 40
alphabet "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvw~"
set "-._~" min 0
set "0123456789" min 0 max 8
set "ABCDEFGHIJKLMNOPQRSTUVWXYZ" min 2
set "abcdefghijklmnopqrstuvw" min 2
sets 4
first "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvw"
max-run 2
max-sequence 3
forbid "app"
forbid "contoso"
forbid-pattern "^\""
dictionary "english"
`},
		{plain(), `policy 1
length 24 40
alphabet "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
set "0123456789" min 0 max 8
set "ABCDEFGHIJKLMNOPQRSTUVWXYZ" min 2
set "abcdefghijklmnopqrstuvwxyz" min 2
`},
		{Policy{Passphrase: &Passphrase{Words: 6, Digit: true}, Login: "bob"}, `policy 1
passphrase words=6 separator="" capitalize=false digit=true
forbid "bob"
`},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, canonicalText(test.policy)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
