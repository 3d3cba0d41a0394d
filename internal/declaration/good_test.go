package declaration

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/password"
)

// equalSets compares compiled policies by their fingerprints.
var equalSets = cmp.Comparer(func(a, b *password.Space) bool {
	return a == b || a != nil && b != nil && a.Fingerprint() == b.Fingerprint()
})

// ignorePlaces leaves out where things stand.
var ignorePlaces = cmp.Comparer(func(Place, Place) bool { return true })

// goodFiles returns the paths of declarations that must be accepted: the good fixtures and the examples.
func goodFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, name := range fixtures(t, "good", ".yml", 8) {
		files = append(files, filepath.Join("testdata", "good", name+".yml"))
	}
	examples, err := filepath.Glob("../../examples/*/passwords.yml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples/*/passwords.yml (%v)", err)
	}
	return append(files, examples...)
}

func parseFile(t *testing.T, path string) *Declaration {
	t.Helper()
	declaration, err := Parse(Source{File: path, Text: readFile(t, path), Vault: inputVault(path)})
	if err != nil {
		t.Fatalf("%s is refused:\n%v", path, err)
	}
	return declaration
}

// inputVault is the input that an example leaves to its workflow; fixtures name their vaults themselves.
func inputVault(path string) string {
	if filepath.Dir(path) == filepath.Join("testdata", "good") {
		return ""
	}
	return "kv-input"
}

func parseTemplate(t *testing.T, text string) *composite.Template {
	t.Helper()
	template, problems := composite.Parse(text)
	if problems != nil {
		t.Fatalf("template %q: %v", text, problems)
	}
	return template
}

func TestGoodDeclarations(t *testing.T) {
	for _, path := range goodFiles(t) {
		declaration := parseFile(t, path)
		if len(declaration.Secrets) == 0 {
			t.Errorf("%s declares nothing", path)
		}
		for _, s := range declaration.Secrets {
			if s.Name == "" || s.Place.File != path || s.Place.Line == 0 || len(s.Vaults) == 0 || len(s.Parts) == 0 || s.Policy == "" {
				t.Errorf("%s: %s is incomplete", path, s.Name)
			}
			for _, part := range s.Parts {
				if part.Name == "" || part.Policy == "" || part.Space == nil || part.Rules.Login != s.Login {
					t.Errorf("%s: part %s of %s is incomplete", path, part.Name, s.Name)
				}
			}
		}
	}
}

// The whole of what the design's own example declares.
func TestFullDeclaration(t *testing.T) {
	got := parseFile(t, filepath.Join("testdata", "good", "full.yml"))
	standard := []Vault{{Name: "kv-app-prod"}}
	eight := 8
	service := password.Policy{
		Length: password.Length{Min: 32, Max: 32},
		Characters: []password.Charset{
			{From: "lower", Min: 2}, {From: "upper", Min: 2}, {From: "digit", Min: 2, Max: &eight}, {Chars: "-._~", Min: 1},
		},
		Sets: 3, Exclude: "{}", ExcludeAmbiguous: true, First: []string{"letter"}, Last: []string{"alphanumeric"},
		MaxRun: 2, MaxSequence: 3, Forbid: []string{"contoso"}, ForbidPatterns: []string{"[a-z]{5}"},
		Dictionary: "english", MinEntropy: 100,
	}
	part := func(name, policy string, rules password.Policy) Part {
		set, err := password.Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		return Part{name, policy, rules, set}
	}
	preset := func(name, login string) Part {
		rules, _ := password.Preset(name)
		rules.Login = login
		return part("password", name, rules)
	}
	tag := func(p Part) string { return p.Policy + "@" + p.Space.Fingerprint() }
	sql, redis := preset("azure-sql", ""), part("password", "service", service)
	site := part("password", "inline", password.Policy{Rules: "minlength: 20; required: lower; required: upper, digit; max-consecutive: 2;"})
	key := part("key", "inline", password.Policy{Passphrase: &password.Passphrase{Words: 8, Separator: " "}})
	salt := part("salt", "inline", password.Policy{Length: password.Length{Min: 32, Max: 32}, Characters: []password.Charset{{From: "hex"}}})
	want := &Declaration{
		Cloud: azure.Public(),
		Secrets: []Secret{
			{Name: "sql-admin-password", Vaults: standard, Parts: []Part{sql}, Policy: tag(sql)},
			{
				Name: "redis-password", Vaults: standard, Parts: []Part{redis}, Policy: tag(redis), ContentType: "password",
				Tags: map[string]string{"owner": "data-platform"}, Expires: 90 * 24 * time.Hour, NotBefore: time.Hour,
				Rotate:     Rotate{After: 60 * 24 * time.Hour, BeforeExpiry: 14 * 24 * time.Hour, OnPolicyChange: true},
				Superseded: &Superseded{DisableAfter: 24 * time.Hour},
			},
			{Name: "partner-site", Vaults: standard, Parts: []Part{site}, Policy: tag(site)},
			{
				Name: "app-login", Vaults: standard, Parts: []Part{preset("default", "app")}, Login: "app",
				Value: parseTemplate(t, "${login}:${password|url}"), Policy: got.Secrets[3].Policy,
			},
			{
				Name: "signing", Vaults: []Vault{{Name: "kv-app-eu", Alias: "eu"}, {Name: "kv-app-us", Alias: "us"}},
				Parts: []Part{key, salt}, Value: parseTemplate(t, `{"key":"${key|json}","salt":"${salt|json}"}`), Policy: got.Secrets[4].Policy,
			},
		},
	}
	if diff := cmp.Diff(want, got, equalSets, ignorePlaces); diff != "" {
		t.Errorf("full.yml is another declaration (-want +got):\n%s", diff)
	}
}

// What stands where, and that it is the author's spelling that is kept.
func TestPlaces(t *testing.T) {
	got := parseFile(t, filepath.Join("testdata", "good", "vaults.yml"))
	file := filepath.Join("testdata", "good", "vaults.yml")
	want := []Secret{
		{Name: "here", Place: Place{file, 7, 3}, Vaults: []Vault{{Name: "kv-app", Place: Place{file, 1, 8}}}},
		{Name: "both", Place: Place{file, 8, 3}, Vaults: []Vault{
			{Name: "kv-east", Alias: "east", TenantID: "11111111-2222-3333-4444-555555555555", Place: Place{file, 8, 19}},
			{Name: "kv-west", Alias: "west", TenantID: "99999999-8888-7777-6666-555555555555", ClientID: "11111111-2222-3333-4444-555555555555", Place: Place{file, 8, 25}},
		}},
	}
	for i := range got.Secrets {
		got.Secrets[i].Parts, got.Secrets[i].Policy = nil, ""
	}
	if diff := cmp.Diff(want, got.Secrets); diff != "" {
		t.Errorf("vaults.yml (-want +got):\n%s", diff)
	}
	if got.Cloud.Name != "AzureUSGovernment" {
		t.Errorf("the cloud is %s, want the one that the vaults' URLs name", got.Cloud.Name)
	}
}

func TestInputsStandOverTheDeclaration(t *testing.T) {
	const text = "vault: https://kv-own.vault.azure.cn/\nsecrets: {a: default}\n"
	parse := func(vault, cloudName string) (*Declaration, error) {
		return Parse(Source{File: "passwords.yml", Text: []byte(text), Vault: vault, Cloud: cloudName})
	}
	own, err := parse("", "")
	if err != nil || own.Secrets[0].Vaults[0].Name != "kv-own" || own.Cloud.Name != "AzureChinaCloud" {
		t.Errorf("without inputs: got %+v and error %v", own, err)
	}
	input, err := parse("kv-input", "")
	if err != nil || input.Secrets[0].Vaults[0].Name != "kv-input" || input.Cloud.Name != "AzureCloud" {
		t.Errorf("with the vault input: got %+v and error %v", input, err)
	}
	if _, err := parse("", "AzureCloud"); err == nil || err.Error() !=
		"passwords.yml:1:8: vault kv-own is in AzureChinaCloud, and the run is in AzureCloud; expected all vaults of a run in one cloud" {
		t.Errorf("with the cloud input: got error %v", err)
	}
	if _, err := parse("https://kv-input.vault.azure.cn", "azurecloud"); err == nil {
		t.Error("a vault input of another cloud than the cloud input is accepted")
	}
	if d, err := parse("kv-input", "azureusgovernment"); err != nil || d.Cloud.Name != "AzureUSGovernment" {
		t.Errorf("with both inputs: got %+v and error %v", d, err)
	}
}

func TestInlineInput(t *testing.T) {
	parse := func(text string) (*Declaration, error) {
		return Parse(Source{File: "secrets", Text: []byte(text), Inline: true, Vault: "kv-app"})
	}
	got, err := parse("sql-admin-password: azure-sql\nredis-password: {policy: {length: 48}, expires: 90d}\nsecrets: {login: app}\n")
	if err != nil || len(got.Secrets) != 3 || got.Secrets[1].Expires != 90*24*time.Hour {
		t.Fatalf("got %+v and error %v", got, err)
	}
	for text, want := range map[string]string{
		"a: azure-sq\n": `secrets:1:4: unknown policy "azure-sq"; did you mean "azure-sql"?`,
		"":              "secrets: the declaration is empty; expected a mapping of names to secrets",
		"- a\n":         "secrets:1:1: the declaration is a list; expected a mapping of names to secrets",
		"secrets: {a: {policy: default}}\n": "secrets:1:1: the secrets input holds a whole declaration; " +
			"expected what is under secrets: alone; a whole declaration goes into a file",
	} {
		if _, err := parse(text); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%q: got error %v, want %s", text, err, want)
		}
	}
}

// A whole declaration in the input is one mistake: what it holds is not read as secrets.
func TestWholeDeclarationInline(t *testing.T) {
	text := "vault: kv-app\npolicies: {p: {length: 40}}\nsecrets: {a: p, b: {login: app}}\n"
	_, err := Parse(Source{File: "secrets", Text: []byte(text), Inline: true})
	if problems, _ := errors.AsType[Problems](err); len(problems) != 1 || problems[0].Place.Line != 3 {
		t.Errorf("got %v, want one problem at line 3", err)
	}
}

// Before the expiry that before-expiry waits for, after has its time; at it or behind it, it never has.
func TestAfterThatNeverComes(t *testing.T) {
	for after, want := range map[string]bool{"75d": true, "76d": false, "90d": false} {
		text := "a: {expires: 90d, rotate: {after: " + after + ", before-expiry: 14d}}\n"
		_, err := Parse(Source{File: "secrets", Text: []byte(text), Inline: true, Vault: "kv-app"})
		if (err == nil) != want {
			t.Errorf("after %s of 90d less 14d: got error %v", after, err)
		}
	}
}

// The policy tag changes whenever another declaration would make other values, and only then.
func TestPolicyTag(t *testing.T) {
	tag := func(secret string) string {
		t.Helper()
		d, err := Parse(Source{File: "p.yml", Text: []byte("vault: kv-app\npolicies: {service: {length: 40}}\nsecrets: {a: " + secret + "}\n")})
		if err != nil {
			t.Fatal(err)
		}
		return d.Secrets[0].Policy
	}
	same := [][2]string{
		{"default", "{policy: default}"},
		{"", "{expires: 90d, tags: {owner: me}}"},
		{`{value: "a${password}"}`, `{value: 'a${password}', expires: 90d}`},
		{"{policy: {length: 20}}", "{policy: {length: {min: 20, max: 20}}}"},
	}
	for _, pair := range same {
		if tag(pair[0]) != tag(pair[1]) {
			t.Errorf("%s has tag %s, and %s has %s", pair[0], tag(pair[0]), pair[1], tag(pair[1]))
		}
	}
	seen := map[string]string{}
	for _, secret := range []string{
		"default", "service", "hex-256", "{policy: {length: 40}}", "{policy: {length: 41}}", "{policy: hex-256, login: cafe}",
		`{value: "a${password}"}`, `{value: "b${password}"}`, `{value: "${password}"}`, `{policy: service, value: "a${password}"}`,
		`{login: app, value: "${login}${password}"}`, `{login: apq, value: "${login}${password}"}`,
		`{login: xyz, policy: hex-256, value: "${login}${password}"}`, `{login: uvw, policy: hex-256, value: "${login}${password}"}`,
		`{generate: {x: hex-256, y: hex-256}, value: "${x}${y}"}`, `{generate: {x: hex-256, y: service}, value: "${x}${y}"}`,
		`{generate: {y: hex-256, x: service}, value: "${x}${y}"}`,
	} {
		if other, ok := seen[tag(secret)]; ok {
			t.Errorf("%s has the tag of %s", secret, other)
		}
		seen[tag(secret)] = secret
	}
}

// The example that others begin with names the schema in its first line, for editors, by a path that leads to it.
func TestExampleNamesTheSchema(t *testing.T) {
	const example, schema = "../../examples/bootstrap/passwords.yml", "../../internal/declaration/schema.json"
	if want := "# yaml-language-server: $schema=" + schema + "\n"; !strings.HasPrefix(string(readFile(t, example)), want) {
		t.Errorf("the first line of %s is not %q", example, want)
	}
	readFile(t, filepath.Dir(example), schema)
}
