package composite

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/sensitive"
)

const (
	safe      = alphanumerics + "-._~"
	printable = safe + "!\"#$%&'()*+,/:;<=>?@[\\]^`{|} "
)

// fitsOf says of each misfit of a template what is seen and what to do.
func fitsOf(t interface{ Fatalf(string, ...any) }, template, alphabet, login string) (texts []string) {
	for _, p := range mustParse(t, template).Misfits(func(string) (Characters, bool) {
		return Characters{Any: alphabet, First: alphabet, Last: alphabet}, true
	}, login) {
		texts = append(texts, p.Refusal.Error())
	}
	return texts
}

// surrounded are templates whose surroundings are clear: each is told with one alphabet, and fits with another.
var surrounded = []struct {
	template, alphabet string // a part of which breaks something
	want               string
	fits               string // with it, nothing is told
}{
	{
		"postgres://${login}:${password}@host/db", safe + "/@:#%?",
		`${password} stands in the user info of a URL, and its policy allows "#", "%", "/", "?" and "@"; ` +
			`write ${password|url}`, safe + "!$&'()*+,;=:",
	},
	{"https://${password}@host/x", ":", `":"; write ${password|url}`, safe},
	{"mongodb+srv://a:${password}@h1,h2:1/db", "[", `"["; write ${password|url}`, safe},
	{"https://host/a/${password}/b", "/", "the path of a URL", safe + ":@"},
	{"https://host/?a=b&token=${password}#x", "+&", `allows "&" and "+"; write ${password|url}`, safe + "/?:@"},
	{"jdbc:postgresql://host/db?user=u&password=${password}", "%", "the query of a URL", safe},
	{"DSN=postgres://a:${password}@host/db", "/", "the user info of a URL", safe},
	{"postgres://a:${password|base64}@host/db", safe, `it can be written with "/"; write ${password|base64|url}`, ""},
	{"postgres://a:${password|json}@host/db", `"\`, "write ${password|url}", safe},
	{
		"postgres://a:${password|url|url}@host/db", "/", "the filter url changes what is read; write ${password|url}",
		safe,
	},
	{`{"p":"${password}"}`, safe + `"\`, `a JSON string, and its policy allows '"' and "\"; write ${password|json}`,
		safe + "/'<&;@"},
	{`["a", {"p": "x ${password}"}]`, `"`, "a JSON string", safe},
	{
		`{"p":"${password|url}"}`, "/", "a JSON string, where the filter url changes what is read; write ${password}",
		safe,
	},
	{`{"p":"${password|json|url}"}`, "/", "where the filter url changes what is read; write ${password}", safe},
	{`{"p":"${password|shell}"}`, safe, "the filter shell changes what is read; write ${password}", ""},
	{`{"u":"postgres://a:${password}@h/d"}`, `"@`, "write ${password|url}", safe},
	{`{"u":"Server=x;Password=${password};Encrypt=true"}`, `;`, "write ${password|ado|json}", safe},
	{`{"u":"Server=x;Password=${password|ado};Encrypt=true"}`, `a`, "write ${password}", ""},
	{`{"s":"{\"p\":\"${password|json}\"}"}`, `"`, "write ${password|json|json}", safe},
	{"<a><p>${password}</p></a>", "<&", `XML text, and its policy allows "&" and "<"; write ${password|xml}`, `"'>;`},
	{"<a><p>${password}</p></a>", "]>", `allows ">"`, "]"},
	{`<a p="${password}"/>`, `"`, "an XML attribute", "'>"},
	{`<a q='"' p='${password}'/>`, `'`, "an XML attribute", `">`},
	{`<?xml version="1.0"?><add cs="Server=x;User ID=a;Password=${password|ado}"/>`, "a", "it can be written with", ""},
	{"Server=x;Password=${password};Encrypt=true", ";",
		`an ADO.NET connection string, and its policy allows ";"; write ${password|ado}`, safe + "/@:#%?"},
	{"Password=${password};", "'", `"'"; write ${password|ado}`, safe},
	{"Data Source=x; Pwd = ${password}", "=", "an ADO.NET connection string", safe},
	{"Server=x;UID=a;PWD=${password}", ";", "a connection string", safe},
	{"Server=x;Password=${password|odbc}", "a", "the filter odbc changes what is read; write ${password}", ""},
	{"Server=x;Password='${password}';", "'", "write ${password|ado} outside the quotes", `";=`},
	{"Driver={ODBC Driver 18 for SQL Server};UID=a;PWD=${password}", "{;", "an ODBC connection string", safe},
	{"DSN=x;PWD=${password|ado}", "a", "the filter ado changes what is read", ""},
	{"DSN=x;PWD={${password}}", "}", "write ${password|odbc} outside the braces", "{;"},
	{"jdbc:sqlserver://h:1433;user=a;password=${password};encrypt=true", ";", "write ${password|odbc}", safe},
	{"export P='${password}'", "'", `a shell word in single quotes, and its policy allows "'"; ` +
		"write ${password|shell} outside the quotes", printableWithout("'")},
	{`P="${password}"`, "$\"\\`", "a shell word in double quotes", printableWithout("$\"\\`")},
	{"curl -u 'a:${password}' https://host", "'", "a shell word in single quotes", safe},
	{"PGPASSWORD='${password}' psql -h x", "'", "a shell word in single quotes", safe},
	{"#!/bin/sh\nset -e\nlogin '${password}'\n", "'", "a shell word in single quotes", safe},
	{"export P=${password}", "; ", "a shell word, and", safe[:62] + "-._/:@%+=,"},
	{"export P='${password|shell}'", "a", "it can be written with", ""},
	{`curl -d '{"p":"${password|json}"}' https://h`, "'", "write ${password|shell} outside the quotes", safe},
	{"export U='postgres://a:${password}@h/d'", "/", "write ${password|url}", safe},
	{"postgres://${login}:${password}@h/d", "", `the login has "@"; write ${login|url}`, ""},
}

func printableWithout(chars string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(chars, c) {
			return -1
		}
		return c
	}, printable)
}

func TestMisfits(t *testing.T) {
	for _, tt := range surrounded {
		login := "app"
		if tt.alphabet == "" {
			login = "app@server"
		}
		if got := strings.Join(fitsOf(t, tt.template, tt.alphabet, login), "\n"); !strings.Contains(got, tt.want) ||
			strings.Contains(got, "\n") {
			t.Errorf("%s with %q: got %q, want one with %q", tt.template, tt.alphabet, got, tt.want)
		}
		if got := fitsOf(t, tt.template, tt.fits, "app"); tt.fits != "" && len(got) > 0 {
			t.Errorf("%s with %q: got %q, want none", tt.template, tt.fits, got)
		}
	}
}

// What is told is followed by nothing more: the remedy fits.
func TestRemediesFit(t *testing.T) {
	for _, tt := range surrounded {
		for _, text := range fitsOf(t, tt.template, tt.alphabet, "app") {
			_, remedy, _ := strings.Cut(text, "; write ")
			if strings.Contains(remedy, "outside") {
				continue // marks are to be moved too
			}
			start := strings.Index(tt.template, "${password")
			end := start + strings.Index(tt.template[start:], "}") + 1
			mended := tt.template[:start] + remedy + tt.template[end:]
			if again := fitsOf(t, mended, tt.alphabet, "app"); len(again) > 0 {
				t.Errorf("%s: the remedy %q leads to %q", tt.template, remedy, again)
			}
		}
	}
}

// Where the kind of text is not clear, nothing is told, whatever a part can have.
func TestMisfitsOfUnclearTexts(t *testing.T) {
	for _, template := range []string{
		"${password}", "${login}:${password}", "${password|url}", "key = ${password}", "password: '${password}'",
		"'${password}'", `"${password}"`, "ALTER ROLE app PASSWORD '${password}'", "p='${password}'", "P=${password}",
		"https://${password}/x", "https://host:${password}", "https://host/#${password}", "//${login}:${password}@host",
		"app:${password|url}@tcp(host)/db", `{"p":${password}}`, `{"p":"${password}"`, `{p: "${password}"}`,
		"{${password}}",
		"<${password}>", "<a>${password}", "a < b, ${password}", "<a><![CDATA[${password}]]></a>",
		"<!-- ${password} -->",
		"a=1;b=${password}", "session=${password}; Path=/; HttpOnly", "Password=${password}",
		"host=h password=${password}",
		"Endpoint=sb://n.servicebus.windows.net/;SharedAccessKey=${password}",
		"host:6380,password=${password},ssl=True",
		"see https://host/ and ${password}", "https://host/;x=${password}",
		"P='${password}", "it's ${password}", "echo's '${password}'", "cat <<E\n${password}\nE",
		`{"q":"a=1&p=${password|url}"}`, `{"auth":"${password|base64}"}`, `{"auth":"${password|json|base64}"}`,
	} {
		if got := fitsOf(t, template, printable, "app"); len(got) > 0 {
			t.Errorf("%s: got %q, want none", template, got)
		}
	}
}

// Where nothing is known of a part, nothing is told of it.
func TestMisfitsOfUnknownParts(t *testing.T) {
	template := mustParse(t, `{"p":"${password}"}`)
	if got := template.Misfits(func(string) (Characters, bool) { return Characters{}, false }, ""); got != nil {
		t.Errorf("got %v, want none", got)
	}
}

// fitting are places with what reads a part back from them.
var fitting = []struct {
	template string
	read     func(value string) (string, error)
}{
	{"postgres://app:${password}@db.example.com:5432/app", readUserinfo},
	{"postgres://app:${password|url}@db.example.com:5432/app", readUserinfo},
	{"https://example.com/?a=b&password=${password}&c=d", readQuery},
	{"https://example.com/x/${password}/y", readPath},
	{`{"user":"app","password":"${password}"}`, readJSON},
	{`{"user":"app","password":"${password|json}"}`, readJSON},
	{"<add><password>${password}</password></add>", readXMLText},
	{`<add password="${password}"/>`, readXMLAttribute},
	{"<add password='${password}'/>", readXMLAttribute},
	{"Driver={ODBC Driver 18 for SQL Server};UID=a;PWD=${password};Encrypt=yes", readODBC},
	{"Driver={ODBC Driver 18 for SQL Server};UID=a;PWD={${password}};Encrypt=yes", readODBC},
	{"Server=db;User ID=a;Password=${password};Encrypt=True", readADO},
	{"Server=db;User ID=a;Password=${password}", readADO},
	{"Server=db;User ID=a;Password=\"${password}\";Encrypt=True", readADO},
	{"Server=db;User ID=a;Password='${password}';Encrypt=True", readADO},
}

// drawAlphabet draws a policy's characters: letters, and up to four symbols.
func drawAlphabet(t *rapid.T) string {
	return "abcdef0123456789ghijklmnop" + string(rapid.SliceOfNDistinct(rapid.SampledFrom([]byte(printable[62:])), 1, 4,
		rapid.ID[byte]).Draw(t, "symbols"))
}

// spaceOf compiles a policy of an alphabet, in which the characters behind the first 26 are frequent.
func spaceOf(t interface{ Fatal(...any) }, alphabet string) *password.Space {
	space, err := password.Compile(password.Policy{
		Length: password.Length{Min: 20, Max: 24}, Characters: []password.Charset{{Chars: alphabet},
			{Chars: alphabet[26:], Min: 10}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return space
}

func known(space *password.Space) func(string) (Characters, bool) {
	return func(string) (Characters, bool) {
		anywhere, first, last := space.Characters()
		return Characters{Any: anywhere, First: first, Last: last}, true
	}
}

// What is not told of reads back, by a real reader of the kind, for 10,000 passwords of each place.
func TestWhatFitsReadsBack(t *testing.T) {
	for _, place := range fitting {
		template, fitted := mustParse(t, place.template), 0
		rapid.Check(t, func(t *rapid.T) {
			space := spaceOf(t, drawAlphabet(t))
			if len(template.Misfits(known(space), "")) > 0 {
				return
			}
			for range 200 {
				value, err := space.Draw()
				if err != nil {
					t.Fatal(err)
				}
				fitted++
				rendered := template.Render(map[string]sensitive.Value{"password": value}, "")
				if got, err := place.read(rendered.Reveal()); err != nil || got != value.Reveal() {
					t.Fatalf("%s: a password does not read back (error: %t), and nothing was told", place.template,
						err != nil)
				}
			}
		})
		t.Logf("%s: %d passwords read back", place.template, fitted)
		for safe := spaceOf(t, "abcdef0123456789ghijklmnop-._~"); fitted < draws; fitted++ {
			value, err := safe.Draw()
			if err != nil {
				t.Fatal(err)
			}
			rendered := template.Render(map[string]sensitive.Value{"password": value}, "")
			if got, err := place.read(rendered.Reveal()); err != nil || got != value.Reveal() {
				t.Fatalf("%s: a password of safe characters does not read back", place.template)
			}
		}
	}
}

// sh reads words back that nothing was told of.
func TestShellWordsThatFit(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh here")
	}
	for _, text := range []string{
		"printf '%s\\0' '${password}'\n", "printf '%s\\0' \"${password}\"\n", "printf '%s\\0' ${password}\n",
	} {
		template, symbols := mustParse(t, text), []byte(printable[62:])
		var script, want bytes.Buffer
		for i := range symbols {
			for j := range symbols[i:] {
				alphabet := "abcdef0123456789ghijklmnop" + string(symbols[i:i+1])
				if j > 0 {
					alphabet += string(symbols[i+j])
				}
				space := spaceOf(t, alphabet)
				if len(template.Misfits(known(space), "")) > 0 {
					continue
				}
				for range 60 {
					value, err := space.Draw()
					if err != nil {
						t.Fatal(err)
					}
					script.WriteString(template.Render(map[string]sensitive.Value{"password": value}, "").Reveal())
					want.WriteString(value.Reveal() + "\x00")
				}
			}
		}
		command := exec.Command(sh)
		command.Stdin = &script
		got, err := command.Output()
		if err != nil || !bytes.Equal(got, want.Bytes()) || want.Len() == 0 {
			t.Errorf("%q: sh gives back other words: %d bytes, want %d (%v)", text, len(got), want.Len(), err)
		}
	}
}

// Any text has surroundings or none: nothing panics, and what is told has a remedy that names the part.
func TestMisfitsOfAnyText(t *testing.T) {
	pieces := []string{
		"${password}", "${password|json}", "{", "}", `"`, "'", "<", ">", "/", "=", ";", ":", "://", "@", "?", "&", "#", `\`,
		"`",
		" ", "\n", "a", "P", "export ", "#!/bin/sh", "Password", "Driver", "<![CDATA[", "]]>", "&amp;", "$$",
		"jdbc:sqlserver",
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 20).Draw(t, "pieces"), "")
		for _, told := range fitsOf(t, text, printable, "app") {
			if !strings.Contains(told, "; write ${password") {
				t.Fatalf("%q: %q has no remedy", text, told)
			}
		}
	})
}
