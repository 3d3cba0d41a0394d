package declaration

import (
	"strings"
	"testing"
)

// sqlServer is the resource ID of a server, up to its name.
const sqlServer = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/" +
	"Microsoft.Sql/servers/"

// warned are declarations with the warnings that they cause, one a line.
var warned = []struct{ name, text, want string }{
	{
		"user info of a URL", `
policies: {p: {length: 32, characters: [{from: lower}, {chars: "/@:#%?", min: 6}]}}
secrets:
  a:
    policy: p
    login: app
    value: "postgres://${login}:${password}@host/db"`,
		`f.yml:8:35: ${password} stands in the user info of a URL, and its policy allows "#", "%", "/", "?" and "@"; ` +
			`write ${password|url}`,
	},
	{
		"each reference has its place", `
secrets:
  a:
    policy: {length: 40, characters: [{from: printable}]}
    value: |
      {
        "p": "${password}",
        "q": "${password|json}", "r": "${password}"
      }`,
		`f.yml:8:17: ${password} stands in a JSON string, and its policy allows '"' and "\"; write ${password|json}
f.yml:9:42: ${password} stands in a JSON string, and its policy allows '"' and "\"; write ${password|json}`,
	},
	{
		"one value of several policies", `
secrets:
  a: {value: &v "Server=x;Password=${password};Encrypt=true", policy: default}
  b: {value: *v, policy: {length: 40, characters: [{from: letter}, {chars: ";"}]}}
  c: {value: *v, policy: {length: 40, characters: [{from: letter}, {chars: ";"}]}}`,
		`f.yml:4:38: ${password} stands in an ADO.NET connection string, and its policy allows ";"; write ${password|ado}`,
	},
	{
		"a separator of words", `
secrets:
  a: {policy: {passphrase: {words: 8, separator: "/"}}, value: "https://a:${password}@host/"}`,
		`f.yml:4:77: ${password} stands in the user info of a URL, and its policy allows "/"; write ${password|url}`,
	},
	{
		"a word of letters", `
secrets:
  a: {policy: passphrase, value: "https://a:${password}@host/"}
  b: {value: '{"p": "${password}"}'}
  c: {policy: azure-sql, value: "https://a:${password|url}@host/"}`, "",
	},
	{
		"a policy that Azure may refuse", `
secrets:
  a:
    login: sqladmin
    policy: {length: 12, characters: [{from: lower, min: 1}, {from: upper, min: 1}, {from: digit}]}
    apply: {azure: ` + sqlServer + `a}
  b:
    login: sqladmin
    policy: {length: 12, characters: [{from: lower}, {from: upper}, {from: digit}], sets: 3}
    apply: {azure: ` + sqlServer + `b}
  c: {login: sqladmin, policy: {passphrase: {words: 6, digit: true}}, apply: {azure: ` + sqlServer + `c}}`,
		"f.yml:6:13: " + mayBeRefused,
	},
	{
		"an administrator's password of sets that are of no one class", `
secrets:
  a:
    login: sqladmin
    policy:
      length: 12
      characters: [{from: letter, min: 1}, {from: lower, min: 1}, {from: upper, min: 1}, {from: digit}]
    apply: {azure: ` + sqlServer + `a}
  b:
    login: sqladmin
    policy: {length: 12, characters: [{from: lower}, {from: upper}, {from: alphanumeric}], sets: 3}
    apply: {azure: ` + sqlServer + `b}
  c:
    login: sqladmin
    policy: {length: 12, characters: [{from: lower}, {from: upper}, {from: digit}], sets: 3}
    apply: {azure: ` + sqlServer + `c}`,
		"f.yml:7:7: " + mayBeRefused + "\nf.yml:12:13: " + mayBeRefused,
	},
	{
		"two logins, of which one does not fit", `
secrets:
  a:
    login: [app_a, "app:b"]
    value: "postgres://${login}:${password}@host/db"
    apply: {postgresql: pg-prod.postgres.database.azure.com, as: gh}`,
		`f.yml:6:26: ${login} stands in the user info of a URL, and the login has ":"; write ${login|url}`,
	},
	{
		"two logins, neither of which fits twice", `
secrets:
  a:
    login: ["app:a", "app@b"]
    value: "postgres://${login}:${password}@host/a\npostgres://${login}:${password}@host/b"
    apply: {postgresql: pg-prod.postgres.database.azure.com, as: gh}`,
		`f.yml:6:26: ${login} stands in the user info of a URL, and the login has ":"; write ${login|url}` + "\n" +
			`f.yml:6:66: ${login} stands in the user info of a URL, and the login has ":"; write ${login|url}`,
	},
	{"at once", "\nsecrets: {a: {superseded: {disable-after: 0h}}}", disabled("0h")},
	{"half a day", "\nsecrets: {a: {superseded: {disable-after: 12h}}}", disabled("12h")},
	{"a second less than a day", "\nsecrets: {a: {superseded: {disable-after: 86399s}}}", disabled("86399s")},
	{"a day", "\nsecrets: {a: {superseded: {disable-after: 24h}}, b: {superseded: {disable-after: P1D}}}", ""},
	{"an hour more", "\nsecrets: {a: {superseded: {disable-after: 25h}}}", ""},
	{
		"due when it has expired", "\nsecrets: {a: {expires: 30d, rotate: {after: P30D}}}",
		"f.yml:3:45: after P30D is no shorter than expires 30d: a version has expired when the next one is due; " +
			"expected a shorter after, or before-expiry",
	},
	{
		"renewed only with the policy", "\nsecrets: {a: {expires: 30d, rotate: {on-policy-change: true}}}",
		"f.yml:3:24: expires 30d: rotate makes no new version before that, unless the policy changes; " +
			"add before-expiry or after to rotate",
	},
	{"a fixed expiry", "\nsecrets: {a: {expires: 30d}}", ""},
	{"due before it expires", "\nsecrets: {a: {expires: 30d, rotate: {after: 29d}}}", ""},
	{"due before its expiry", "\nsecrets: {a: {expires: 30d, rotate: {before-expiry: 1d, on-policy-change: true}}}",
		""},
}

const mayBeRefused = "the policy allows passwords that Azure refuses of an administrator; expected 8 to 128 " +
	"characters " +
	"of three of lower, upper, digit, symbol, as in the presets azure-sql, azure-postgresql and azure-mysql"

func disabled(text string) string {
	return "f.yml:3:43: disable-after " + text +
		": App Service and Functions keep a value for up to 24h, and fail with " +
		"one that is disabled before; expected 24h or more, unless no such app reads it"
}

func TestWarnings(t *testing.T) {
	for _, tt := range warned {
		declaration, err := Parse(Source{File: "f.yml", Text: []byte("vault: kv-app\n" + tt.text)})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := Problems(declaration.Warnings).Error(); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// No example is warned of.
func TestExamplesAreNotWarnedOf(t *testing.T) {
	for _, path := range goodFiles(t) {
		if warnings := parseFile(t, path).Warnings; strings.HasPrefix(path, "..") && len(warnings) > 0 {
			t.Errorf("%v", Problems(warnings))
		}
	}
}
