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
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// equalSets compares compiled policies by their fingerprints.
var equalSets = cmp.Comparer(func(a, b *password.Space) bool {
	return a == b || a != nil && b != nil && a.Fingerprint() == b.Fingerprint()
})

// ignorePlaces treats all places as equal.
var ignorePlaces = cmp.Comparer(func(Place, Place) bool { return true })

// equalTemplates compares templates by their texts.
var equalTemplates = cmp.Comparer(func(a, b *composite.Template) bool {
	return a == b || a != nil && b != nil && a.Text() == b.Text()
})

// ignoreWarnings treats all warnings as equal: they quote durations as they are written.
var ignoreWarnings = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Warnings" }, cmp.Ignore())

// ignoreUnused treats all lists of places as equal: they have vaults that no secret uses.
var ignoreUnused = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Places" }, cmp.Ignore())

// sameDeclaration compares declarations without their places.
var sameDeclaration = cmp.Options{
	equalSets, equalTemplates, ignorePlaces, ignoreWarnings, ignoreUnused, cmp.AllowUnexported(Part{}),
}

// goodFiles returns the paths of declarations that must be accepted: the good fixtures and the examples.
func goodFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, name := range fixtures(t, "good", ".yml", 9) {
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

// inputVault returns the vault input. The examples leave it to their workflows; the fixtures name their vaults.
func inputVault(path string) *azure.Vault {
	if filepath.Dir(path) == filepath.Join("testdata", "good") {
		return nil
	}
	return &azure.Vault{Name: "kv-input"}
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
			if s.Name == "" || s.Place.File != path || s.Place.Line == 0 || len(s.Vaults) == 0 || len(s.Parts) == 0 ||
				s.PolicyTag == "" {
				t.Errorf("%s: %s is incomplete", path, s.Name)
			}
			for _, part := range s.Parts {
				if part.Name == "" || part.Policy == "" || part.Space == nil ||
					part.rules.Login != strings.Join(append(s.Logins, s.Login)[:max(1, len(s.Logins))], "\n") {
					t.Errorf("%s: part %s of %s is incomplete", path, part.Name, s.Name)
				}
			}
		}
	}
}

// The long example has every field as declared.
func TestFullDeclaration(t *testing.T) {
	got := parseFile(t, filepath.Join("testdata", "good", "full.yml"))
	standard := []Vault{{Name: "kv-app-prod"}}
	eight := 8
	service := password.Policy{
		Length: password.Length{Min: 32, Max: 32},
		Characters: []password.Charset{
			{From: "lower", Min: 2}, {From: "upper", Min: 2}, {From: "digit", Min: 2, Max: &eight},
			{Chars: "-._~", Min: 1},
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
		return Part{Name: name, Policy: policy, Space: set, rules: rules}
	}
	preset := func(name, login string) Part {
		rules, _ := password.Preset(name)
		rules.Login = login
		return part("password", name, rules)
	}
	tag := func(p Part) lifecycle.Terms {
		return lifecycle.Terms{PolicyTag: lifecycle.NewPolicyTag(p.Policy, p.Space.Fingerprint())}
	}
	sql, redis := preset("azure-sql", ""), part("password", "service", service)
	site := part("password", "inline", password.Policy{
		Rules: "minlength: 20; required: lower; required: upper, digit; max-consecutive: 2;",
	})
	key := part("key", "inline", password.Policy{Passphrase: &password.Passphrase{Words: 8, Separator: " "}})
	salt := part("salt", "inline", password.Policy{
		Length: password.Length{Min: 32, Max: 32}, Characters: []password.Charset{{From: "hex"}},
	})
	want := &Declaration{
		Cloud: azure.Public(), Audit: DefaultAudit(),
		Secrets: []Secret{
			{Name: "sql-admin-password", Vaults: standard, Parts: []Part{sql}, Terms: tag(sql)},
			{
				Name: "redis-password", Vaults: standard, Parts: []Part{redis}, ContentType: "password",
				Tags: map[string]string{"owner": "data-platform"},
				Terms: lifecycle.Terms{
					PolicyTag: tag(redis).PolicyTag, Expires: 90 * 24 * time.Hour, NotBefore: time.Hour,
					Rotate: lifecycle.Rotate{After: 60 * 24 * time.Hour, BeforeExpiry: 14 * 24 * time.Hour,
						OnPolicyChange: true},
					Superseded: &lifecycle.Superseded{DisableAfter: 24 * time.Hour},
				},
			},
			{Name: "partner-site", Vaults: standard, Parts: []Part{site}, Terms: tag(site)},
			{
				Name: "app-login", Vaults: standard, Parts: []Part{preset("default", "app")}, Login: "app",
				Value: parseTemplate(t, "${login}:${password|url}"), Terms: got.Secrets[3].Terms,
			},
			{
				Name: "signing", Vaults: []Vault{{Name: "kv-app-eu", Alias: "eu"}, {Name: "kv-app-us", Alias: "us"}},
				Parts: []Part{key, salt}, Value: parseTemplate(t, `{"key":"${key|json}","salt":"${salt|json}"}`),
				Terms: got.Secrets[4].Terms,
			},
			{
				Name: "orders-login", Vaults: standard, Logins: []string{"orders_a", "orders_b"},
				Parts: []Part{preset("azure-postgresql", "orders_a\norders_b")},
				Value: parseTemplate(t, "postgres://${login}:${password|url}@pg-prod.postgres.database.azure.com/"+
					"orders?sslmode=verify-full"),
				Apply: &Apply{
					Host: &azure.Database{
						Host: "pg-prod.postgres.database.azure.com", Name: "pg-prod", Cloud: azure.Public(),
					},
					Database: "postgres", As: "gh-passwords", Part: "password",
				},
				Terms: lifecycle.Terms{
					PolicyTag: got.Secrets[5].PolicyTag, KeepFor: 24 * time.Hour,
					Rotate: lifecycle.Rotate{After: 30 * 24 * time.Hour},
				},
			},
			{
				Name: "sql-admin", Vaults: standard, Parts: []Part{preset("azure-sql", "sqladmin")}, Login: "sqladmin",
				Apply: &Apply{
					Server: &azure.Server{
						Subscription: "00000000-0000-0000-0000-000000000001", ResourceGroup: "rg",
						Kind: azure.SQLServer, Name: "sql-prod",
					},
					Part: "password",
				},
				Terms: lifecycle.Terms{PolicyTag: tag(preset("azure-sql", "sqladmin")).PolicyTag, Confirm: true},
			},
		},
	}
	if diff := cmp.Diff(want, got, sameDeclaration); diff != "" {
		t.Errorf("full.yml is another declaration (-want +got):\n%s", diff)
	}
}

// Secrets and vaults have their places, and names their spelling.
func TestPlaces(t *testing.T) {
	got := parseFile(t, filepath.Join("testdata", "good", "vaults.yml"))
	file := filepath.Join("testdata", "good", "vaults.yml")
	at := func(line, col int) Place { return Place{File: file, Line: line, Col: col} }
	want := []Secret{
		{Name: "here", Place: at(7, 3), Vaults: []Vault{{Name: "kv-app", Place: at(1, 8)}}},
		{Name: "both", Place: at(8, 3), Vaults: []Vault{
			{Name: "kv-east", Alias: "east", TenantID: "11111111-2222-3333-4444-555555555555", Place: at(8, 19)},
			{
				Name: "kv-west", Alias: "west", TenantID: "99999999-8888-7777-6666-555555555555",
				ClientID: "11111111-2222-3333-4444-555555555555", Place: at(8, 25),
			},
		}},
	}
	for i := range got.Secrets {
		got.Secrets[i].Parts, got.Secrets[i].PolicyTag = nil, ""
	}
	if diff := cmp.Diff(want, got.Secrets); diff != "" {
		t.Errorf("vaults.yml (-want +got):\n%s", diff)
	}
	if got.Cloud.Name != "AzureUSGovernment" {
		t.Errorf("the cloud is %s, want the one that the vaults' URLs name", got.Cloud.Name)
	}
}

func TestInputsOverrideTheDeclaration(t *testing.T) {
	const text = "vault: https://kv-own.vault.azure.cn/\nsecrets: {a: default}\n"
	parse := func(vault *azure.Vault, cloudName string) (*Declaration, error) {
		source := Source{File: "passwords.yml", Text: []byte(text), Vault: vault}
		if cloudName != "" {
			cloud, err := azure.Parse(cloudName)
			if err != nil {
				t.Fatal(err)
			}
			source.Cloud = &cloud
		}
		return Parse(source)
	}
	input, _ := azure.ParseVault("kv-input")
	china, _ := azure.ParseVault("https://kv-input.vault.azure.cn")
	for _, tt := range []struct {
		name      string
		vault     *azure.Vault
		cloud     string
		wantVault string
		wantCloud string
	}{
		{name: "no input", wantVault: "kv-own", wantCloud: "AzureChinaCloud"},
		{name: "vault", vault: &input, wantVault: "kv-input", wantCloud: "AzureCloud"},
		{name: "vault with a cloud", vault: &china, wantVault: "kv-input", wantCloud: "AzureChinaCloud"},
		{name: "both", vault: &input, cloud: "AzureUSGovernment", wantVault: "kv-input",
			wantCloud: "AzureUSGovernment"},
		{name: "the same", vault: &china, cloud: "AzureChinaCloud", wantVault: "kv-input",
			wantCloud: "AzureChinaCloud"},
	} {
		d, err := parse(tt.vault, tt.cloud)
		if err != nil || d.Secrets[0].Vaults[0].Name != tt.wantVault || d.Cloud.Name != tt.wantCloud {
			t.Errorf("%s: got %+v and error %v, want vault %s in %s", tt.name, d, err, tt.wantVault, tt.wantCloud)
		}
	}
	if _, err := parse(nil, "AzureCloud"); err == nil || err.Error() !=
		"passwords.yml:1:8: vault kv-own is in AzureChinaCloud, and the run is in AzureCloud; "+
			"expected all vaults of a run in one cloud" {
		t.Errorf("with another cloud: got error %v", err)
	}
}

// A refused vault input is not reported again as a missing vault, and hides no other mistake.
func TestVaultRefused(t *testing.T) {
	parse := func(secrets string, refused bool) error {
		_, err := Parse(Source{File: "p.yml", Text: []byte("secrets: {a: " + secrets + "}\n"), VaultRefused: refused})
		return err
	}
	if err := parse("default", true); err != nil {
		t.Errorf("the refused vault is reported again: %v", err)
	}
	if err := parse("default", false); err == nil || !strings.Contains(err.Error(), "no vault is known") {
		t.Errorf("without any vault: got error %v", err)
	}
	if err := parse("no-such-policy", true); err == nil || !strings.Contains(err.Error(), "unknown policy") {
		t.Errorf("with another mistake: got error %v", err)
	}
}

func TestInlineInput(t *testing.T) {
	parse := func(text string) (*Declaration, error) {
		return Parse(Source{File: "secrets", Text: []byte(text), Inline: true, Vault: &azure.Vault{Name: "kv-app"}})
	}
	got, err := parse("sql-admin-password: azure-sql\n" +
		"redis-password: {policy: {length: 48}, expires: 90d}\nsecrets: {login: app}\n")
	if err != nil || len(got.Secrets) != 3 || got.Secrets[1].Expires != 90*24*time.Hour {
		t.Fatalf("got %+v and error %v", got, err)
	}
	for text, want := range map[string]string{
		"a: azure-sq\n": `secrets:1:4: unknown policy "azure-sq"; did you mean "azure-sql"?`,
		"":              "secrets: the declaration is empty; expected a mapping of names to secrets",
		"- a\n":         "secrets:1:1: the declaration is a list; expected a mapping of names to secrets",
		"secrets: {a: {policy: default}}\n": "secrets:1:1: the secrets input is a whole declaration; " +
			"expected only what is under secrets:; to use a whole declaration, set the input file",
	} {
		if _, err := parse(text); err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%q: got error %v, want %s", text, err, want)
		}
	}
}

// A whole declaration in the secrets input is one mistake: its keys are not read as secrets.
func TestWholeDeclarationInline(t *testing.T) {
	text := "vault: kv-app\npolicies: {p: {length: 40}}\nsecrets: {a: p, b: {login: app}}\n"
	_, err := Parse(Source{File: "secrets", Text: []byte(text), Inline: true})
	if problems, _ := errors.AsType[Problems](err); len(problems) != 1 || problems[0].Place.Line != 3 {
		t.Errorf("got %v, want one problem at line 3", err)
	}
}

// after has an effect only if it ends earlier than expires minus before-expiry.
func TestAfterThatNeverComes(t *testing.T) {
	for after, want := range map[string]bool{"75d": true, "76d": false, "90d": false} {
		text := "a: {expires: 90d, rotate: {after: " + after + ", before-expiry: 14d}}\n"
		_, err := Parse(Source{File: "secrets", Text: []byte(text), Inline: true, Vault: &azure.Vault{Name: "kv-app"}})
		if (err == nil) != want {
			t.Errorf("after %s of 90d less 14d: got error %v", after, err)
		}
	}
}

// Two declarations have the same policy tag exactly if they make the same values.
func TestPolicyTag(t *testing.T) {
	tag := func(secret string) lifecycle.PolicyTag {
		t.Helper()
		text := "vault: kv-app\npolicies: {service: {length: 40}}\nsecrets: {a: " + secret + "}\n"
		d, err := Parse(Source{File: "p.yml", Text: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		return d.Secrets[0].PolicyTag
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
	seen := map[lifecycle.PolicyTag]string{}
	for _, secret := range []string{
		"default", "service", "hex-256", "{policy: {length: 40}}", "{policy: {length: 41}}",
		"{policy: hex-256, login: cafe}",
		`{value: "a${password}"}`, `{value: "b${password}"}`, `{value: "${password}"}`,
		`{policy: service, value: "a${password}"}`,
		`{login: app, value: "${login}${password}"}`, `{login: apq, value: "${login}${password}"}`,
		`{login: xyz, policy: hex-256, value: "${login}${password}"}`,
		`{login: uvw, policy: hex-256, value: "${login}${password}"}`,
		`{generate: {x: hex-256, y: hex-256}, value: "${x}${y}"}`,
		`{generate: {x: hex-256, y: service}, value: "${x}${y}"}`,
		`{generate: {y: hex-256, x: service}, value: "${x}${y}"}`,
	} {
		if other, ok := seen[tag(secret)]; ok {
			t.Errorf("%s has the tag of %s", secret, other)
		}
		seen[tag(secret)] = secret
	}
}

// The first line of the first example is the path of the schema, for editors.
func TestExampleNamesTheSchema(t *testing.T) {
	const example, schema = "../../examples/bootstrap/passwords.yml", "../../internal/declaration/schema.json"
	want := "# yaml-language-server: $schema=" + schema + "\n"
	if !strings.HasPrefix(string(readFile(t, example)), want) {
		t.Errorf("the first line of %s is not %q", example, want)
	}
	readFile(t, filepath.Dir(example), schema)
}

// Which of two logins comes first changes nothing: neither the policy's tag nor what the policy forbids.
func TestTheOrderOfLogins(t *testing.T) {
	read := func(logins string) Secret {
		text := `{vault: kv-app, secrets: {a: {login: ` + logins + `, value: "${login}:${password}",
  apply: {postgresql: pg-prod.postgres.database.azure.com, as: gh}}}}`
		declaration, err := Parse(Source{File: "f.yml", Text: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		return declaration.Secrets[0]
	}
	one, other, third := read("[app_a, web_b]"), read("[web_b, app_a]"), read("[app_a, web_c]")
	if one.PolicyTag != other.PolicyTag || one.PolicyTag == third.PolicyTag {
		t.Errorf("tags %s and %s, with another login %s", one.PolicyTag, other.PolicyTag, third.PolicyTag)
	}
	if one.Parts[0].Space.Fingerprint() != other.Parts[0].Space.Fingerprint() {
		t.Error("the policy depends on the order")
	}
	alone, err := password.Compile(withLogin(one.Parts[0].rules, "app_a"))
	if err != nil || alone.Fingerprint() == one.Parts[0].Space.Fingerprint() {
		t.Errorf("the second login forbids nothing (%v)", err)
	}
}

// The tags of composites are the same in every release: another one would make each of them due by on-policy-change.
func TestCompositeTagsStay(t *testing.T) {
	const postgres = "apply: {postgresql: pg-prod.postgres.database.azure.com, as: gh}"
	for secret, want := range map[string]string{
		`{value: "x${password}"}`: "composite@73b2c89a4864",
		`{value: "${login}:${password|url}", login: app, policy: azure-sql}`:       "composite@2b4bd4e092d3",
		`{value: "${login}:${password}", login: [app_a, web_b], ` + postgres + `}`: "composite@080bd96f917c",
		`{value: "${key}${salt}", generate: {key: hex-256, salt: pin}}`:            "composite@97e96e0463da",
	} {
		text := "vault: kv-app\nsecrets: {a: " + secret + "}"
		d, err := Parse(Source{File: "f.yml", Text: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(d.Secrets[0].PolicyTag); got != want {
			t.Errorf("%s: tag %s; want %s", secret, got, want)
		}
	}
}

// What is declared of audits is read, each key into its own place.
func TestAuditIsRead(t *testing.T) {
	path := filepath.Join("testdata", "good", "audit.yml")
	want := Audit{
		ExpiresWithin: 14 * day, MaxAge: 365 * day, MaxValidity: 400 * day, MaxVersions: 100, Undeclared: UndeclaredOff,
		Ignore: []Ignore{
			{
				Name: "legacy-*", Rules: []string{"never-expires", "too-old"}, Reason: "moves in Q1",
				Until: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC), Place: Place{File: path, Line: 12, Col: 7},
			},
			{
				Name: "A", Reason: "a test's", Until: time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC),
				Place: Place{File: path, Line: 13, Col: 7},
			},
		},
	}
	if diff := cmp.Diff(want, parseFile(t, path).Audit); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
