package password

import (
	"flag"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/password/internal/ascii"
)

var update = flag.Bool("update", false, "write the list of presets in the comment of Presets anew")

func TestPresets(t *testing.T) {
	want := strings.Fields("default azure-sql azure-postgresql azure-mysql azure-vm-windows azure-vm-linux " +
		"aks-windows entra-user nist-800-63b pci-dss-4 cis url-safe connection-string hex-256 pin passphrase")
	if diff := cmp.Diff(want, Presets()); diff != "" {
		t.Errorf("Presets (-want +got):\n%s", diff)
	}
	for _, name := range []string{"", "Default", "azure", "windows"} {
		if p, ok := Preset(name); ok || cmp.Diff(Policy{}, p) != "" {
			t.Errorf("there is a preset %q", name)
		}
	}
}

// TestPresetIsACopy changes all of a preset that can be changed, and takes it again.
func TestPresetIsACopy(t *testing.T) {
	for _, name := range Presets() {
		before, _ := Preset(name)
		p, _ := Preset(name)
		for i := range p.Characters {
			p.Characters[i].Min = -1
		}
		for _, texts := range [][]string{p.First, p.Last, p.Forbid, p.ForbidPatterns} {
			for i := range texts {
				texts[i] = "changed"
			}
		}
		if p.Passphrase != nil {
			p.Passphrase.Words = -1
		}
		if after, _ := Preset(name); cmp.Diff(before, after) != "" {
			t.Errorf("%s: a caller changed it", name)
		}
	}
}

func TestClone(t *testing.T) {
	p := Policy{
		Characters: []Charset{{From: "lower", Max: limit(3)}}, First: []string{"a"}, Last: []string{"b"},
		Forbid: []string{"c"}, ForbidPatterns: []string{"d"}, Passphrase: &Passphrase{Words: 1},
	}
	q := p.clone()
	if diff := cmp.Diff(p, q); diff != "" {
		t.Errorf("another policy (-want +got):\n%s", diff)
	}
	*q.Characters[0].Max, q.Characters[0].From, q.First[0], q.Last[0] = 4, "x", "x", "x"
	q.Forbid[0], q.ForbidPatterns[0], q.Passphrase.Words = "x", "x", 2
	texts := p.Characters[0].From + p.First[0] + p.Last[0] + p.Forbid[0] + p.ForbidPatterns[0]
	if *p.Characters[0].Max != 3 || texts != "lowerabcd" || p.Passphrase.Words != 1 {
		t.Errorf("the clone shares something: %+v", p)
	}
}

func TestWithDefaults(t *testing.T) {
	standard, _ := Preset("default")
	hex := []Charset{{From: "hex"}}
	tests := []struct {
		name     string
		in, want Policy
	}{
		{"nothing", Policy{}, standard},
		{"length alone", Policy{Length: Length{48, 48}}, Policy{
			Length: Length{48, 48}, Characters: standard.Characters, First: standard.First,
		}},
		{"characters alone", Policy{Characters: hex}, Policy{Length: Length{32, 32}, Characters: hex}},
		{"first alone", Policy{First: []string{"upper"}}, Policy{
			Length: Length{32, 32}, Characters: standard.Characters, First: []string{"upper"},
		}},
		{"characters and first", Policy{Characters: hex, First: []string{"letter"}}, Policy{
			Length: Length{32, 32}, Characters: hex, First: []string{"letter"},
		}},
		{"another rule", Policy{MaxRun: 2, MinEntropy: 100}, Policy{
			Length: Length{32, 32}, Characters: standard.Characters, First: standard.First, MaxRun: 2, MinEntropy: 100,
		}},
		{"a wrong length stays", Policy{Length: Length{0, 9}, Characters: hex},
			Policy{Length: Length{0, 9}, Characters: hex}},
		{"passphrase", Policy{Passphrase: &Passphrase{Words: 3}}, Policy{Passphrase: &Passphrase{Words: 3}}},
		{"rules", Policy{Rules: "minlength: 8;"}, Policy{Rules: "minlength: 8;"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, withDefaults(test.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestPresetsGolden pins each preset's entropy and fingerprint. The entropies of the file were computed by inclusion
// and exclusion in another language.
func TestPresetsGolden(t *testing.T) {
	got := map[string][]string{}
	for _, name := range Presets() {
		set := compilePreset(t, name)
		if !set.exact {
			t.Errorf("%s: its size is not exact", name)
		}
		got[name] = []string{fmt.Sprintf("%.2f", set.Bits()), set.Fingerprint()}
	}
	if diff := cmp.Diff(goldenLines(t, "presets.golden"), got); diff != "" {
		t.Errorf("bits and fingerprints (-want +got):\n%s", diff)
	}
}

func compilePreset(t *testing.T, name string) *Space {
	t.Helper()
	p, ok := Preset(name)
	if !ok {
		t.Fatalf("there is no preset %s", name)
	}
	set, err := Compile(p)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return set
}

// kinds is what a checker sees of a password.
type kinds struct {
	text, folded                       string // folded: in lower case
	lower, upper, digit, symbol, other int    // how many; other is neither of these nor ASCII
}

func kindsOf(text string) kinds {
	s := kinds{text: text, folded: strings.ToLower(text)}
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z':
			s.lower++
		case 'A' <= c && c <= 'Z':
			s.upper++
		case '0' <= c && c <= '9':
			s.digit++
		case '!' <= c && c <= '~':
			s.symbol++
		default:
			s.other++
		}
	}
	return s
}

// A vendorRule says what is wrong with a password, or nothing.
type vendorRule func(s kinds) string

func lengthRule(shortest, longest int) vendorRule {
	return func(s kinds) string {
		if len(s.text) < shortest || len(s.text) > longest {
			return fmt.Sprintf("has %d characters, want %d to %d", len(s.text), shortest, longest)
		}
		return ""
	}
}

// complexityRule is Azure's "three of the four", held against each reading of "special character" that is known: that
// of the API and documentation (whatever is not a letter or digit), of the Azure CLI (not "-" or "\"), and of
// Terraform's azurerm for virtual machines and MySQL (not "_" or "\").
func complexityRule(s kinds) string {
	for _, notSpecial := range []string{"", `-\`, `_\`} {
		special := s.symbol
		for _, c := range []byte(notSpecial) {
			special -= strings.Count(s.text, string(c))
		}
		held := 0
		for _, count := range []int{s.lower, s.upper, s.digit, special} {
			if count > 0 {
				held++
			}
		}
		if held < 4 { // three would do; the presets promise all four under every reading
			return fmt.Sprintf("has %d kinds of characters where %q is not special", held, notSpecial)
		}
	}
	return asciiRule(s)
}

func asciiRule(s kinds) string {
	if s.other > 0 {
		return "has a control character, a space or something that is not ASCII"
	}
	return ""
}

// wellKnownPasswords are what Azure refuses for virtual machines, in lower case.
var wellKnownPasswords = strings.Fields("abc@123 p@$$w0rd p@ssw0rd p@ssword123 pa$$word pass@word1 password! " +
	"password1 " +
	"password22 iloveyou!")

// wellKnownRule refuses what holds a well-known password, in any letter case.
func wellKnownRule(s kinds) string {
	for _, known := range wellKnownPasswords {
		if strings.Contains(s.folded, known) {
			return "holds a well-known password"
		}
	}
	return ""
}

// checkPolicyRule refuses what SQL Server's CHECK_POLICY does.
func checkPolicyRule(s kinds) string {
	if slices.Contains([]string{"password", "admin", "administrator", "sa", "sysadmin"}, s.folded) {
		return "is a weak password"
	}
	return ""
}

func letterFirstRule(s kinds) string {
	if c := s.text[0] | 0x20; c < 'a' || c > 'z' {
		return "has no letter first"
	}
	return ""
}

// onlyRule allows letters, digits and some symbols.
func onlyRule(symbols string) vendorRule {
	return func(s kinds) string {
		allowed := 0
		for _, c := range []byte(symbols) {
			allowed += strings.Count(s.text, string(c))
		}
		if s.symbol != allowed || s.other > 0 {
			return fmt.Sprintf("has symbols that are not of %q", symbols)
		}
		return ""
	}
}

func lettersAndDigitsRule(s kinds) string {
	if s.lower+s.upper == 0 || s.digit == 0 {
		return "lacks letters or digits"
	}
	return ""
}

// noFinalDotRule: programs that find URLs in text leave out punctuation at their end.
func noFinalDotRule(s kinds) string {
	if strings.ContainsAny(s.text[len(s.text)-1:], ascii.Symbols) {
		return "ends with a symbol"
	}
	return ""
}

func hexRule(s kinds) string {
	if strings.Trim(s.text, "0123456789abcdef") != "" {
		return "is not lower-case hexadecimal"
	}
	return ""
}

func digitsRule(s kinds) string {
	if s.digit != len(s.text) {
		return "is not all digits"
	}
	return ""
}

func eightWordsRule(s kinds) string {
	words := 0
	for rest := s.text; ; words++ {
		word := leadingWord(rest)
		if word == "" || !strings.HasPrefix(rest, word) {
			return "is not made of words in lower case"
		}
		if rest = rest[len(word):]; rest == "" {
			break
		}
		if rest[0] != '-' {
			return "lacks a hyphen between words"
		}
		rest = rest[1:]
	}
	if words != 7 { // what the loop counts is the hyphens
		return fmt.Sprintf("has %d words", words+1)
	}
	return ""
}

// vendorRules are what each preset's target demands, written from its documentation and not from the policy. Where
// products or tools of the target differ, it is the strictest of each.
var vendorRules = map[string][]vendorRule{
	"default": {
		lengthRule(32, 32), threeKindsRule, onlyRule("-._~"), letterFirstRule, wellKnownRule, checkPolicyRule,
	},
	"azure-sql":         {lengthRule(16, 128), complexityRule, checkPolicyRule, onlyRule("-._~"), letterFirstRule},
	"azure-postgresql":  {lengthRule(8, 128), complexityRule, onlyRule("-._~"), letterFirstRule},
	"azure-mysql":       {lengthRule(8, 128), complexityRule, onlyRule("-._~"), letterFirstRule},
	"azure-vm-windows":  {lengthRule(12, 123), complexityRule, wellKnownRule, onlyRule("-._~"), letterFirstRule},
	"azure-vm-linux":    {lengthRule(12, 72), complexityRule, wellKnownRule, onlyRule("-._~"), letterFirstRule},
	"aks-windows":       {lengthRule(14, 123), complexityRule, wellKnownRule, onlyRule("-._~"), letterFirstRule},
	"entra-user":        {lengthRule(8, 256), complexityRule, wellKnownRule, onlyRule("-._~"), letterFirstRule},
	"nist-800-63b":      {lengthRule(15, 64), onlyRule("-._~")},
	"pci-dss-4":         {lengthRule(12, 64), lettersAndDigitsRule, onlyRule(""), letterFirstRule},
	"cis":               {lengthRule(14, 64), onlyRule("-._~"), letterFirstRule},
	"url-safe":          {lengthRule(43, 43), onlyRule("-._~"), noFinalDotRule},
	"connection-string": {lengthRule(32, 32), onlyRule("-._"), letterFirstRule, noFinalDotRule, lettersAndDigitsRule},
	"hex-256":           {lengthRule(64, 64), hexRule},
	"pin":               {lengthRule(6, 6), digitsRule},
	"passphrase":        {lengthRule(8*3+7, 8*9+7), eightWordsRule},
}

// threeKindsRule is what Azure asks for, with neither "_" nor "-" counted as special. default meets it with letters and
// digits alone, and promises a symbol.
func threeKindsRule(s kinds) string {
	if s.lower == 0 || s.upper == 0 || s.digit == 0 || s.symbol == 0 {
		return "lacks one of four kinds of characters"
	}
	return asciiRule(s)
}

// loginRule refuses what any target refuses of an account name, in any letter case: the whole of it, three letters or
// digits in a row of it (Azure SQL), and its parts of three characters or more (Windows).
func loginRule(login string) vendorRule {
	login = strings.ToLower(login)
	refused := []string{login}
	notAlphanumeric := func(r rune) bool { return !strings.ContainsRune(ascii.Lowers+ascii.Digits, r) }
	for _, run := range strings.FieldsFunc(login, notAlphanumeric) {
		for i := 0; i+3 <= len(run); i++ {
			refused = append(refused, run[i:i+3])
		}
	}
	for _, part := range strings.FieldsFunc(login, func(r rune) bool { return strings.ContainsRune(",.-_ #\t", r) }) {
		if len(part) >= 3 {
			refused = append(refused, part)
		}
	}
	return func(s kinds) string {
		for _, part := range refused {
			if strings.Contains(s.folded, part) {
				return fmt.Sprintf("holds %q of the login", part)
			}
		}
		return ""
	}
}

// TestPresetsConform holds drawn passwords of each preset against the rules of its target: without a login, and with
// logins of two characters, with digits and with separators. Without the login's rule, about one password in 170 would
// hold some of the last one.
func TestPresetsConform(t *testing.T) {
	for _, name := range Presets() {
		if len(vendorRules[name]) < 2 {
			t.Errorf("%s: %d rules to hold it against", name, len(vendorRules[name]))
		}
		for _, login := range []string{"", "sa", "jdoe2042", "svc-Payments_web.01"} {
			t.Run(name+","+login, func(t *testing.T) {
				t.Parallel()
				rules := vendorRules[name]
				if login != "" {
					rules = append(slices.Clone(rules), loginRule(login))
				}
				checkDraws(t, name, login, rules)
			})
		}
	}
}

// checkDraws draws from a preset with a login, and holds what is drawn against rules.
func checkDraws(t *testing.T, name, login string, rules []vendorRule) {
	t.Helper()
	p, _ := Preset(name)
	p.Login = login
	set, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	for range presetDraws {
		value, err := set.Draw()
		if err != nil {
			t.Fatal(err)
		}
		of := kindsOf(value.Reveal())
		for _, rule := range rules {
			if problem := rule(of); problem != "" {
				t.Fatalf("a password %s", problem) // never the password
			}
		}
	}
}

// Each preset says what it is for, in README's table, in the schema and in the comment of Presets, which this compares
// with the rest.
func TestTargets(t *testing.T) {
	own := strings.Fields("default url-safe connection-string hex-256 pin passphrase") // nobody else's rules
	var want []string
	for _, name := range Presets() {
		target, ok := TargetOf(name)
		_, err := time.Parse(time.DateOnly, target.Checked)
		if own := slices.Contains(own, name); !ok || target.Rule == "" || own != (target.Checked == "") ||
			!own && (err != nil || target.Pages == nil) {
			t.Errorf("%s: it is not said what it is for, or not where and when that was looked up", name)
		}
		want = append(want, wrapped("- "+name+": "+target.String())...)
	}
	if _, ok := TargetOf("azure"); ok {
		t.Error("there is a target of what is no preset")
	}
	source, err := os.ReadFile("presets.go")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(source), "when that was looked up:\n//\n")
	list, _, _ = strings.Cut(list, "//\n// A preset may demand more")
	diff := cmp.Diff(strings.Join(want, ""), list)
	if diff != "" && *update && list != "" {
		text := strings.Replace(string(source), list, strings.Join(want, ""), 1)
		if err := os.WriteFile("presets.go", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff != "" {
		t.Errorf("the comment of Presets says something else; -update writes it (-code +comment):\n%s", diff)
	}
}

// wrapped returns an entry of a list as lines of a comment.
func wrapped(entry string) []string {
	lines := []string{"//  "}
	for _, word := range strings.Fields(entry) {
		last := &lines[len(lines)-1]
		if len(*last)+1+len(word) > 120 && len(*last) > len("//    ") {
			lines = append(lines, "//    ")
			last = &lines[len(lines)-1]
		}
		*last += " " + word
	}
	for i := range lines {
		lines[i] += "\n"
	}
	return lines
}

// TestKnownCounts are figures that others published, or got wrong. See the comment of each.
func TestKnownCounts(t *testing.T) {
	atLeastOne := func(classes ...string) []Charset {
		var sets []Charset
		for _, class := range classes {
			sets = append(sets, Charset{From: class, Min: 1})
		}
		return sets
	}
	tests := []struct {
		name   string
		policy Policy
		want   string
	}{
		// https://learn.microsoft.com/windows/security/threat-protection/security-policy-settings/
		// password-must-meet-complexity-requirements says 159,238,157,238,528: it leaves out the last terms of
		// inclusion and exclusion.
		{"Windows complexity", Policy{Length: Length{8, 8}, Characters: atLeastOne("lower", "upper", "digit")},
			"159655911367680"},
		// https://mathspp.com, 8 to 10 characters with each of lower, upper and digit.
		{"mathspp", Policy{Length: Length{8, 10}, Characters: atLeastOne("lower", "upper", "digit")},
			"698438863898480640"},
		// 1Password's spg says 20.562 bits, since it takes overlapping sets for disjoint ones: these have 20.679.
		{"overlapping sets", Policy{
			Length: Length{8, 8}, Characters: []Charset{{Chars: "abcd", Min: 1}, {Chars: "cdef", Min: 1}},
		}, "1679104"},
		// A maximum of all characters is a length: 2^2 + 2^3.
		{"a maximum of all characters", Policy{
			Length: Length{2, 5}, Characters: []Charset{{Chars: "ab", Max: limit(3)}},
		}, "12"},
	}
	for _, test := range tests {
		test.policy.MinEntropy = 1
		set, err := Compile(test.policy)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		want, _ := new(big.Int).SetString(test.want, 10)
		if set.size.Cmp(want) != 0 || !set.exact {
			t.Errorf("%s: %v, want %v", test.name, set.size, want)
		}
	}
}

// TestKnownEntropies are the policies of which peers' generators were examined: log2 of the number of passwords, as
// enumerated for that. The policies with symbols have the 32 of ASCII unless they say otherwise.
func TestKnownEntropies(t *testing.T) {
	four := func(length, each int, symbols string) Policy {
		return Policy{Length: Length{length, length}, Characters: []Charset{
			{From: "lower", Min: each}, {From: "upper", Min: each}, {From: "digit", Min: each},
			{Chars: symbols, Min: each},
		}}
	}
	tests := []struct {
		name   string
		policy Policy
		want   float64
	}{
		{"32, two of each", four(32, 2, ascii.Symbols), 209.54},
		{"20, one of each", four(20, 1, ascii.Symbols), 130.92},
		{"20, one of each, only -", four(20, 1, "-"), 117.62}, // Vault's default
		{"16, one of each", four(16, 1, ascii.Symbols), 104.59},
		{"16, two of each", four(16, 2, ascii.Symbols), 103.74},
		{"12, one of each", four(12, 1, ascii.Symbols), 78.14},
		{"16, six digits", Policy{
			Length: Length{16, 16}, Characters: []Charset{{From: "lower"}, {From: "digit", Min: 6}},
		}, 80.82},
		{"16, four of each", four(16, 4, ascii.Symbols), 96.80},
		{"20, five of each, only -_", four(20, 5, "-_"), 102.06},
		{"32, eight of each, only -", four(32, 8, "-"), 158.24}, // Vault accepts it and times out
	}
	for _, test := range tests {
		set, err := Compile(test.policy)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if set.Bits() != test.want || !set.exact {
			t.Errorf("%s: %v, want %v", test.name, set.Bits(), test.want)
		}
	}
}
