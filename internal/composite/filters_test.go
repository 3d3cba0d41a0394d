package composite

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/sensitive"
)

// draws is the number of random passwords that each reader must return.
const draws = 10_000

// everything is a policy of all printable ASCII characters, with special ones often.
var everything = password.Policy{
	Length:     password.Length{Min: 12, Max: 40},
	Characters: []password.Charset{{From: "printable"}, {Chars: "{}'\"\\&<>;=%+$ ", Min: 3}},
}

// drawn returns random passwords of the policy. A test must not print one.
func drawn(t *testing.T, count int) []sensitive.Value {
	t.Helper()
	set, err := password.Compile(everything)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]sensitive.Value, count)
	for i := range values {
		if values[i], err = set.Draw(); err != nil {
			t.Fatal(err)
		}
	}
	return values
}

// readers read a part back from a value, each as the reader that the filter is made for.
var readers = []struct {
	filter, template string
	read             func(value string) (string, error)
}{
	{"url", "postgres://${login|url}:${password|url}@db.example.com:5432/app", readUserinfo},
	{"url", "https://example.com/?a=b&password=${password|url}&c=d", readQuery},
	{"url", "https://example.com/x/${password|url}/y", readPath},
	{"json", `{"user":"${login|json}","password":"${password|json}"}`, readJSON},
	{"xml", `<add><password>${password|xml}</password></add>`, readXMLText},
	{"xml", `<add password="${password|xml}"/>`, readXMLAttribute},
	{"xml", `<add password='${password|xml}'/>`, readXMLAttribute},
	{"base64", "${password|base64}", readBase64(base64.StdEncoding.Strict())},
	{"base64url", "${password|base64url}", readBase64(base64.RawURLEncoding.Strict())},
	{"odbc", "Driver={ODBC Driver 18 for SQL Server};Server=db;UID=${login|odbc};PWD=${password|odbc};Encrypt=yes",
		readODBC},
	{"ado", "Server=db;User ID=${login|ado};Password=${password|ado};Encrypt=True", readADO},
	{"ado", "Server=db;Password=${password|ado}", readADO},
}

func TestReadersGiveBackThePassword(t *testing.T) {
	values := drawn(t, draws)
	for _, reader := range readers {
		t.Run(reader.template, func(t *testing.T) {
			template := mustParse(t, reader.template)
			for i, value := range values {
				rendered := template.Render(map[string]sensitive.Value{"password": value}, `a'b"c}{d;=&<%`)
				got, err := reader.read(rendered.Reveal())
				if err != nil || got != value.Reveal() {
					t.Fatalf("draw %d of %+v does not read back: %v", i, everything, err != nil)
				}
			}
		})
	}
}

// Each filter has a reader here.
func TestEveryFilterHasAReader(t *testing.T) {
	covered := []string{"shell"} // TestShellGivesBackThePassword
	for _, r := range readers {
		covered = append(covered, r.filter)
	}
	for _, name := range Filters() {
		if !slices.Contains(covered, name) {
			t.Errorf("no reader takes %s apart", name)
		}
		if FilterDoc(name) == "" {
			t.Errorf("%s is not documented", name)
		}
	}
	if FilterDoc("no such filter") != "" {
		t.Error("a filter that does not exist is documented")
	}
}

func readUserinfo(value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil {
		return "", errors.New("net/url refuses the URL") // its error would quote the password
	}
	text, _ := u.User.Password()
	return text, nil
}

func readQuery(value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil {
		return "", errors.New("net/url refuses the URL")
	}
	if len(u.Query()) != 3 {
		return "", errors.New("the query has another number of members")
	}
	return u.Query().Get("password"), nil
}

func readPath(value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil || len(strings.Split(u.EscapedPath(), "/")) != 4 {
		return "", errors.New("net/url refuses the URL, or the path has another number of segments")
	}
	return url.PathUnescape(strings.Split(u.EscapedPath(), "/")[2])
}

func readJSON(value string) (string, error) {
	var document struct{ User, Password string }
	if err := json.Unmarshal([]byte(value), &document); err != nil {
		return "", errors.New("encoding/json refuses the document")
	}
	return document.Password, nil
}

func readXMLText(value string) (string, error) {
	var document struct {
		Password string `xml:"password"`
	}
	err := readXML(value, &document)
	return document.Password, err
}

func readXMLAttribute(value string) (string, error) {
	var document struct {
		Password string `xml:"password,attr"`
	}
	err := readXML(value, &document)
	return document.Password, err
}

func readXML(value string, document any) error {
	if err := xml.Unmarshal([]byte(value), document); err != nil {
		return errors.New("encoding/xml refuses the document")
	}
	return nil
}

func readBase64(encoding *base64.Encoding) func(string) (string, error) {
	return func(value string) (string, error) {
		text, err := encoding.DecodeString(value)
		return string(text), err
	}
}

// readODBC is the reading side of [MS-ODBCSTR] 2.1.1 and 2.1.2: pairs separated by semicolons; a value that begins with
// a brace ends at the next single closing brace, and two closing braces are one.
func readODBC(value string) (string, error) {
	return readPairs(value, "PWD", func(rest string) (string, string, error) {
		if !strings.HasPrefix(rest, "{") {
			text, after, _ := strings.Cut(rest, ";")
			return text, after, nil
		}
		return readQuoted(rest[1:], '}')
	})
}

// readADO is the reading side of DbConnectionStringBuilder: pairs separated by semicolons; a value in double or single
// quotes ends at the next single quote of that kind, and two of them are one.
func readADO(value string) (string, error) {
	return readPairs(value, "Password", func(rest string) (string, string, error) {
		if rest == "" || rest[0] != '"' && rest[0] != '\'' {
			text, after, _ := strings.Cut(rest, ";")
			return strings.TrimSpace(text), after, nil
		}
		return readQuoted(rest[1:], rest[0])
	})
}

// readPairs reads KEY=VALUE pairs and returns the value of one key.
func readPairs(text, key string, read func(rest string) (value, after string, err error)) (found string, err error) {
	for text != "" {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return "", errors.New("a pair without =")
		}
		var value string
		if value, text, err = read(rest); err != nil {
			return "", err
		}
		if name == key {
			found = value
		}
	}
	return found, nil
}

// readQuoted reads up to the closing mark, which a semicolon or the end must follow.
func readQuoted(text string, mark byte) (value, after string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != mark:
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == mark:
			b.WriteByte(mark)
			i++
		case i+1 == len(text) || text[i+1] == ';':
			return b.String(), strings.TrimPrefix(text[i+1:], ";"), nil
		default:
			return "", "", errors.New("something follows the closing mark")
		}
	}
	return "", "", errors.New("no closing mark")
}

// The readers read the strings that Microsoft's pages show, and refuse others.
func TestReadersReadAsTheyShould(t *testing.T) {
	for _, tt := range []struct {
		read        func(string) (string, error)
		value, want string
	}{
		{readODBC, "PWD=abc;X=y", "abc"},
		{readODBC, "PWD={a;b};X=y", "a;b"},
		{readODBC, "X={};PWD={a}}b}", "a}b"},
		{readADO, "Password=abc; X=y", "abc"},
		{readADO, `Password="a;b";X=y`, "a;b"},
		{readADO, `Password='a"b';X=y`, `a"b`},
		{readADO, `Password="a""b"`, `a"b`},
	} {
		if got, err := tt.read(tt.value); got != tt.want || err != nil {
			t.Errorf("%q reads as %q (%v), want %q", tt.value, got, err, tt.want)
		}
	}
	for _, value := range []string{"PWD={a}b}", "PWD={a", "PWD"} {
		if got, err := readODBC(value); err == nil {
			t.Errorf("ODBC: %q reads as %q, want an error", value, got)
		}
	}
}

// sh reads the passwords back: a script of a few thousand printf commands writes each, followed by NUL.
func TestShellGivesBackThePassword(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh here")
	}
	template := mustParse(t, "printf '%s\\0' ${password|shell}\n")
	values := drawn(t, draws)
	var script, want bytes.Buffer
	for _, value := range values {
		script.WriteString(template.Render(map[string]sensitive.Value{"password": value}, "").Reveal())
		want.WriteString(value.Reveal() + "\x00")
	}
	command := exec.Command(sh)
	command.Stdin = &script
	got, err := command.Output()
	if err != nil {
		t.Fatalf("sh: %v", err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("sh gives back other passwords: %d bytes, want %d", len(got), want.Len())
	}
}

// Two different parts never become the same text, whatever their bytes: a filter keeps the entropy of a part.
func TestFiltersAreInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		filter := rapid.SampledFrom(filters).Draw(t, "filter")
		text := rapid.SliceOfN(rapid.SampledFrom([]byte("a%&#3;\\u0\"'{}=\x00\n\xff")), 0, 8)
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if !bytes.Equal(a, b) && bytes.Equal(filter.write(a), filter.write(b)) {
			t.Fatalf("%s writes %q and %q alike", filter.name, a, b)
		}
	})
}

// A filter does not change its argument, which other references to the same part read too.
func TestFiltersLeaveThePartAsItIs(t *testing.T) {
	for _, f := range filters {
		part := []byte(`a"'{}<&%$ z`)
		f.write(part)
		if string(part) != `a"'{}<&%$ z` {
			t.Errorf("%s modifies its argument", f.name)
		}
	}
}

// Control characters survive JSON, although only a login could contain one.
func TestJSONEscapesControls(t *testing.T) {
	var all []byte
	for b := range byte(0x80) {
		all = append(all, b)
	}
	var got string
	if err := json.Unmarshal(fmt.Appendf(nil, `"%s"`, writeJSON(all)), &got); err != nil || got != string(all) {
		t.Errorf("ASCII reads back as %q (%v)", got, err)
	}
}
