package declaration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// encodeDeclaration writes a declaration as YAML that declares the same, without unused policies and vaults, comments
// and spelling. It writes JSON, a subset of YAML, and shares no code with the reader.
func encodeDeclaration(d *Declaration) []byte {
	policies, vaults := map[string]string{}, map[string]string{}
	var secrets []string
	var top []string
	for _, s := range d.Secrets {
		for _, v := range s.Vaults {
			address := "https://" + v.Name + "." + d.Cloud.VaultDomain
			if v.Alias == "" {
				top = []string{pair("vault", quote(address))}
				continue
			}
			vaults[v.Alias] = mappingOf(pair("name", quote(address)),
				optional("tenant-id", v.TenantID), optional("client-id", v.ClientID))
		}
		for _, p := range s.Parts {
			if _, preset := password.Preset(p.Policy); !preset && p.Policy != grammar.Inline {
				policies[p.Policy] = encodePolicy(p.rules)
			}
		}
		secrets = append(secrets, pair(s.Name, encodeSecret(s)))
	}
	top = append(top, pair("policies", sortedMapping(policies)), pair("vaults", sortedMapping(vaults)),
		pair("secrets", mappingOf(secrets...)), pair("audit", encodeAudit(d.Audit)))
	return []byte(mappingOf(top...))
}

func encodeAudit(a Audit) string {
	var entries []string
	for _, i := range a.Ignore {
		entries = append(entries, mappingOf(pair("name", quote(i.Name)), texts("rules", i.Rules),
			pair("reason", quote(i.Reason)), pair("until", i.Until.Format(time.DateOnly))))
	}
	pairs := []string{
		encodeDuration("expires-within", a.ExpiresWithin), pair("grace", fmt.Sprintf("%ds", a.Grace/time.Second)),
		encodeDuration("max-age", a.MaxAge), encodeDuration("max-validity", a.MaxValidity),
		number("max-versions", a.MaxVersions), pair("undeclared", quote(string(a.Undeclared))),
	}
	if entries != nil {
		pairs = append(pairs, pair("ignore", "["+strings.Join(entries, ",")+"]"))
	}
	return mappingOf(pairs...)
}

func encodeSecret(s Secret) string {
	pairs := []string{optional("login", s.Login), optional("content-type", s.ContentType)}
	if len(s.Logins) == 2 {
		pairs = append(pairs, pair("login", "["+quote(s.Logins[0])+","+quote(s.Logins[1])+"]"))
	}
	if a := s.Apply; a != nil {
		pairs = append(pairs, pair("apply", encodeApply(a)))
	}
	var parts []string
	for _, p := range s.Parts {
		use := quote(p.Policy)
		if p.Policy == grammar.Inline {
			use = encodePolicy(p.rules)
		}
		parts = append(parts, pair(p.Name, use))
	}
	if len(s.Parts) == 1 && s.Parts[0].Name == "password" {
		_, use, _ := strings.Cut(parts[0], ":")
		pairs = append(pairs, pair("policy", use))
	} else {
		pairs = append(pairs, pair("generate", mappingOf(parts...)))
	}
	if s.Value != nil {
		pairs = append(pairs, pair("value", quote(s.Value.Text())))
	}
	if s.Tags != nil {
		tags := map[string]string{}
		for name, value := range s.Tags {
			tags[name] = quote(value)
		}
		pairs = append(pairs, pair("tags", sortedMapping(tags)))
	}
	pairs = append(pairs, encodeDuration("expires", s.Expires), encodeDuration("not-before", s.NotBefore))
	if s.Rotate != (lifecycle.Rotate{}) {
		pairs = append(pairs, pair("rotate", mappingOf(encodeDuration("after", s.Rotate.After),
			encodeDuration("before-expiry", s.Rotate.BeforeExpiry),
			pair("on-policy-change", fmt.Sprint(s.Rotate.OnPolicyChange)))))
	}
	if s.Superseded != nil {
		after := fmt.Sprintf("%ds", s.Superseded.DisableAfter/time.Second)
		pairs = append(pairs, pair("superseded", mappingOf(pair("disable-after", after))))
	}
	if s.Vaults[0].Alias != "" {
		var names []string
		for _, v := range s.Vaults {
			names = append(names, quote(v.Alias))
		}
		pairs = append(pairs, pair("vaults", "["+strings.Join(names, ",")+"]"))
	}
	return mappingOf(pairs...)
}

func encodeApply(a *Apply) string {
	pairs := []string{optional("database", a.Database), optional("as", a.As), optional("current-login", a.CurrentLogin),
		optional("tenant-id", a.TenantID), optional("client-id", a.ClientID)}
	if a.Host != nil {
		pairs = append(pairs, pair("postgresql", quote(a.Host.Host)))
	}
	if a.Server != nil {
		pairs = append(pairs, pair("azure", quote(a.Server.ID())))
	}
	return mappingOf(pairs...)
}

func encodePolicy(p password.Policy) string {
	var pairs []string
	if p.Length != (password.Length{}) {
		pairs = append(pairs, pair("length", fmt.Sprintf("{min: %d, max: %d}", p.Length.Min, p.Length.Max)))
	}
	var sets []string
	for _, c := range p.Characters {
		set := []string{optional("from", c.From), optional("chars", c.Chars), pair("min", strconv.Itoa(c.Min))}
		if c.Max != nil {
			set = append(set, pair("max", strconv.Itoa(*c.Max)))
		}
		sets = append(sets, mappingOf(set...))
	}
	if sets != nil {
		pairs = append(pairs, pair("characters", "["+strings.Join(sets, ",")+"]"))
	}
	pairs = append(pairs, number("sets", p.Sets), optional("exclude", p.Exclude),
		texts("first", p.First), texts("last", p.Last),
		number("max-run", p.MaxRun), number("max-sequence", p.MaxSequence), texts("forbid", p.Forbid),
		texts("forbid-patterns", p.ForbidPatterns), optional("dictionary", p.Dictionary), optional("rules", p.Rules),
		whether("exclude-ambiguous", p.ExcludeAmbiguous), whether("distinct", p.Distinct))
	if p.MinEntropy != 0 {
		pairs = append(pairs, pair("min-entropy", strconv.FormatFloat(p.MinEntropy, 'f', -1, 64)))
	}
	if w := p.Passphrase; w != nil {
		pairs = append(pairs, pair("passphrase", mappingOf(
			number("words", w.Words), pair("separator", quote(w.Separator)),
			whether("capitalize", w.Capitalize), whether("digit", w.Digit))))
	}
	return mappingOf(pairs...)
}

// quote writes a text in double quotes and escapes everything except letters and digits, as YAML does.
func quote(text string) string {
	var b strings.Builder
	for _, c := range text {
		if c < 0x80 && (c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, `\U%08x`, c)
		}
	}
	return `"` + b.String() + `"`
}

func pair(key, value string) string { return quote(key) + ": " + value }

func optional(key, text string) string {
	if text == "" {
		return ""
	}
	return pair(key, quote(text))
}

func number(key string, n int) string {
	if n == 0 {
		return ""
	}
	return pair(key, strconv.Itoa(n))
}

func whether(key string, set bool) string {
	if !set {
		return ""
	}
	return pair(key, "true")
}

func texts(key string, list []string) string {
	if list == nil {
		return ""
	}
	var quoted []string
	for _, text := range list {
		quoted = append(quoted, quote(text))
	}
	return pair(key, "["+strings.Join(quoted, ",")+"]")
}

func encodeDuration(key string, d time.Duration) string {
	if d == 0 {
		return ""
	}
	return pair(key, fmt.Sprintf("%ds", d/time.Second))
}

func mappingOf(pairs ...string) string {
	return "{" + strings.Join(slices.DeleteFunc(pairs, func(p string) bool { return p == "" }), ",\n") + "}"
}

func sortedMapping(entries map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		pairs = append(pairs, pair(key, entries[key]))
	}
	return mappingOf(pairs...)
}

// sameAgain fails unless the declaration, written and read again, is equal.
func sameAgain(t *testing.T, d *Declaration) {
	t.Helper()
	text := encodeDeclaration(d)
	again, err := Parse(Source{File: "again.yml", Text: text})
	if err != nil {
		t.Fatalf("what was accepted is refused when it is written as\n%s\n%v", text, err)
	}
	if diff := cmp.Diff(d, again, sameDeclaration); diff != "" {
		t.Fatalf("what was accepted is another declaration when it is written as\n%s\n(-want +got):\n%s", text, diff)
	}
}

func TestGoodDeclarationsReadTheSameAgain(t *testing.T) {
	for _, path := range goodFiles(t) {
		sameAgain(t, parseFile(t, path))
	}
}

// FuzzParse: no text makes Parse panic; a refusal has one line for each problem, in order; an accepted declaration,
// written and read again, is equal.
func FuzzParse(f *testing.F) {
	var texts [][]byte
	for _, name := range fixtures(f, "good", ".yml", 8) {
		texts = append(texts, readFile(f, "testdata", "good", name+".yml"))
	}
	for _, bad := range badCases(f) {
		texts = append(texts, bad.text)
	}
	texts = append(texts, // found by fuzzing
		[]byte("vaults:\n  \x7fe u\": {name: kv-app-eu}  # wrong\nsecrets:\n  a: {vaults: [\"e u\"]}\n"),
		[]byte("va\r\r\r\r\rkv-app\nsecrets:\n  a: {expires: 90}  # wrong\n"))
	for _, text := range texts {
		f.Add(string(text), false)
		f.Add(string(text), true)
	}
	f.Fuzz(func(t *testing.T, text string, isInline bool) {
		source := Source{File: "f.yml", Text: []byte(text), Inline: isInline, Vault: inlineVault(isInline)}
		declaration, err := Parse(source)
		if err != nil {
			checkProblems(t, err, text)
			return
		}
		sameAgain(t, declaration)
	})
}

func inlineVault(isInline bool) *azure.Vault {
	if isInline {
		return &azure.Vault{Name: "kv-input"}
	}
	return nil
}

// checkProblems fails unless the error is Problems, in order, each of which prints as one line and is inside the text.
func checkProblems(t *testing.T, err error, text string) {
	t.Helper()
	problems, ok := errors.AsType[Problems](err)
	if !ok || len(problems) == 0 {
		t.Fatalf("the error is %T with %d problems, want Problems", err, len(problems))
	}
	lines := 1
	for _, c := range text {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", c) { // each breaks a line in YAML 1.1
			lines++
		}
	}
	for i, p := range problems {
		if p.Cause == "" || strings.ContainsFunc(p.Error(), func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Fatalf("%q says nothing, or contains a control character", p.Error())
		}
		if p.Place.Line > lines+1 || (p.Place.Line == 0) != (p.Place.Col == 0) {
			t.Fatalf("%q is nowhere in a text of %d lines", p.Error(), lines)
		}
		if i > 0 && p.Place.Line < problems[i-1].Place.Line {
			t.Fatalf("%q is out of order", p.Error())
		}
	}
}
