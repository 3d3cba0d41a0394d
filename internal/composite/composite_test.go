package composite

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

func mustParse(t interface{ Fatalf(string, ...any) }, text string) *Template {
	template, problems := Parse(text)
	if len(problems) > 0 {
		t.Fatalf("Parse(%q): %v", text, problems)
	}
	return template
}

// values makes parts of texts.
func values(texts map[string]string) map[string]sensitive.Value {
	parts := map[string]sensitive.Value{}
	for name, text := range texts {
		parts[name] = sensitive.New([]byte(text))
	}
	return parts
}

func TestRender(t *testing.T) {
	parts := values(map[string]string{"password": "p@ss", "key": `a"b`, "Salt_2-x": "s"})
	for template, want := range map[string]string{
		"":                                  "",
		"plain":                             "plain",
		"${password}":                       "p@ss",
		"a${password}b":                     "ap@ssb",
		"${login}:${password|url}":          "app user:p%40ss",
		"${login|url}":                      "app%20user",
		"$$":                                "$",
		"$$$$${password}$$":                 "$$p@ss$",
		"$${password}":                      "${password}",
		"}{${password}}{":                   "}{p@ss}{",
		`{"k":"${key|json}"}`:               `{"k":"a\"b"}`,
		"${key|json|base64}":                "YVwiYg==",
		"${key|base64url|url}":              "YSJi",
		"${password}${password}${Salt_2-x}": "p@ssp@sss",
		"line\n\t${password}\n":             "line\n\tp@ss\n",
		"ü${password}ü":                     "üp@ssü",
	} {
		if got := mustParse(t, template).Render(parts, "app user").Reveal(); got != want {
			t.Errorf("%q renders as %q, want %q", template, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	problem := func(offset int, cause, remedy string) Problem {
		return Problem{Refusal: refusal.Refusal{Cause: cause, Remedy: remedy}, Offset: offset}
	}
	single := func(offset int) Problem { return problem(offset, "a single $", "expected ${NAME}, or $$ for a dollar") }
	open := func(offset int) Problem {
		return problem(offset, "a ${ without a }", "expected ${NAME} or ${NAME|FILTER}, or $$ for a dollar")
	}
	name := func(quoted string) Problem {
		return problem(2, quoted+" is not the name of a part", "expected ${NAME} or ${NAME|FILTER}, without spaces")
	}
	unknown := func(offset int, filter string) Problem {
		p := problem(offset, fmt.Sprintf("unknown filter %q", filter),
			"expected one of url, json, xml, base64, base64url, odbc, ado, shell")
		p.Filter = filter
		return p
	}
	for text, want := range map[string][]Problem{
		"$":                  {single(0)},
		"costs $5":           {single(6)},
		"$$$":                {single(2)},
		"ü$x":                {single(2)},
		"a${password":        {open(1)},
		"${}":                {name(`""`)},
		"${ password }":      {name(`" password "`)},
		"${{ secrets.X }}":   {name(`"{ secrets.X "`)},
		"${a|URL}":           {unknown(4, "URL")},
		"${a|}":              {unknown(4, "")},
		"${a|json|x|url|yy}": {unknown(9, "x"), unknown(15, "yy")},
		"$ ${a|x} ${":        {single(0), unknown(6, "x"), open(9)},
	} {
		template, problems := Parse(text)
		if diff := cmp.Diff(want, problems); diff != "" || template != nil {
			t.Errorf("Parse(%q): template %v, problems (-want +got):\n%s", text, template, diff)
		}
	}
}

func TestReferences(t *testing.T) {
	template := mustParse(t, "ü ${b}${a|url}$$${login} ${b}")
	want := []Reference{{"b", 5}, {"a", 9}, {"login", 19}, {"b", 28}}
	if diff := cmp.Diff(want, template.References()); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b", "a", "login"}, template.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for _, r := range template.References() {
		if !strings.HasPrefix(template.Text()[r.Offset:], r.Name) {
			t.Errorf("%s is not at offset %d", r.Name, r.Offset)
		}
	}
}

// A mistake in one reference does not hide the others.
func TestMentions(t *testing.T) {
	want := []Reference{{"b", 4}, {"a", 13}, {"login", 23}}
	if diff := cmp.Diff(want, Mentions("$ ${b|nope}${a|url}$$${login} ${")); diff != "" {
		t.Errorf("mentions (-want +got):\n%s", diff)
	}
}

func TestIsName(t *testing.T) {
	for text, want := range map[string]bool{
		"password": true, "a": true, "A-b_9": true, strings.Repeat("a", 64): true, "Login": true,
		"": false, "login": false, "9a": false, "a b": false, "a|b": false, "-a": false, "ä": false,
		strings.Repeat("a", 65): false, "a\n": false,
	} {
		if IsName(text) != want {
			t.Errorf("IsName(%q) = %v, want %v", text, !want, want)
		}
	}
}

// A value is computed when it is revealed and not before, and the template keeps no part.
func TestRenderIsLazyAndDoesNotPrint(t *testing.T) {
	const canary = "canary-7351"
	computed := 0
	part := sensitive.Derive(func([][]byte) []byte { computed++; return []byte(canary) })
	template := mustParse(t, "a${password|url}b")
	value := template.Render(map[string]sensitive.Value{"password": part}, "")
	encoded, err := json.Marshal(map[string]any{"template": template, "value": value})
	if err != nil {
		t.Fatal(err)
	}
	printed := fmt.Sprintf("%[1]v %+[1]v %#[1]v %[1]s %[1]q %[1]x", value)
	printed += fmt.Sprintf("%v %+v %#v", template, template, *template)
	for _, text := range []string{printed, string(encoded)} {
		if strings.Contains(text, canary) {
			t.Error("a rendered value, or its template, prints a part")
		}
	}
	if computed != 0 {
		t.Errorf("the part was computed %d times before the value was revealed", computed)
	}
	if got := value.Reveal(); got != "a"+canary+"b" || computed == 0 {
		t.Error("the revealed value is not made of the part")
	}
}

// A value with a missing part would be stored, and could be guessed: rendering it panics.
func TestRenderRefusesAMissingPart(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a value was rendered without one of its parts")
		}
	}()
	mustParse(t, "${a}${b}").Render(values(map[string]string{"a": "x"}), "")
}

// No value is longer than MaxLen, and without parts MaxLen is exact.
func TestMaxLenBoundsEveryValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "part")
		login := rapid.String().Draw(t, "login")
		template := mustParse(t, rapid.Custom(drawTemplate).Draw(t, "template"))
		value := template.Render(map[string]sensitive.Value{"password": sensitive.New(part)}, login)
		bound := template.MaxLen(func(string) int { return len(part) }, login)
		if got := len(value.Reveal()); got > bound {
			t.Fatalf("%q of %d bytes makes %d, and MaxLen says %d", template.Text(), len(part), got, bound)
		}
		if longer := template.MaxLen(func(string) int { return len(part) + 1 }, login); longer < bound {
			t.Fatalf("%q: MaxLen falls from %d to %d when the part grows", template.Text(), bound, longer)
		}
	})
	template := mustParse(t, "ü$$${login|json}")
	if got := template.MaxLen(nil, `"`); got != 5 {
		t.Errorf("MaxLen of fixed text and login is %d, want 5", got)
	}
}

// Some text reaches the bound of each filter.
func TestMaxLenIsReached(t *testing.T) {
	worst := map[string]string{
		"url": "@", "json": "\x01", "xml": `"`, "base64": "a", "base64url": "a", "odbc": "}", "ado": `"`, "shell": "'",
	}
	for _, name := range Filters() {
		part := strings.Repeat(worst[name], 6)
		template := mustParse(t, "${password|"+name+"}")
		value := template.Render(values(map[string]string{"password": part}), "")
		if got, want := len(value.Reveal()), template.MaxLen(func(string) int { return len(part) }, ""); got != want {
			t.Errorf("%s: the longest value has %d bytes, and MaxLen says %d", name, got, want)
		}
	}
}

func drawTemplate(t *rapid.T) string {
	var text strings.Builder
	for range rapid.IntRange(0, 5).Draw(t, "pieces") {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			text.WriteString(strings.ReplaceAll(rapid.String().Draw(t, "fixed"), "$", "$$"))
		case 1:
			text.WriteString("${login" + drawFilters(t) + "}")
		default:
			text.WriteString("${password" + drawFilters(t) + "}")
		}
	}
	return text.String()
}

func drawFilters(t *rapid.T) string {
	var text strings.Builder
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(Filters()), 0, 3).Draw(t, "filters") {
		text.WriteString("|" + name)
	}
	return text.String()
}

// FuzzParse: every text is refused with problems inside it, or is a template that consists of its fixed text and
// references.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "$", "$$", "${", "${a}", "${a|url}", "${a|url|x}$", "ü${b}$$", "${login}:${password|url}", "\xff${a}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, problems := Parse(text)
		if (template == nil) != (len(problems) > 0) {
			t.Fatalf("Parse(%q) returns template %v with problems %v", text, template, problems)
		}
		last := 0
		for _, p := range problems {
			if p.Offset < last || p.Offset > len(text) || p.Cause == "" || p.Remedy == "" {
				t.Fatalf("Parse(%q): problem %+v is out of order, out of the text, or says nothing", text, p)
			}
			last = p.Offset
		}
		if template == nil {
			return
		}
		if again := mustParse(t, template.Text()); !slices.Equal(again.References(), template.References()) {
			t.Fatalf("%q is another template when it is read again", text)
		}
		var rebuilt strings.Builder
		for _, p := range template.pieces {
			if p.name == "" {
				rebuilt.WriteString(strings.ReplaceAll(p.text, "$", "$$"))
				continue
			}
			rebuilt.WriteString("${" + p.name)
			for _, f := range p.filters {
				rebuilt.WriteString("|" + f.name)
			}
			rebuilt.WriteString("}")
		}
		if rebuilt.String() != text {
			t.Fatalf("%q was read as %q", text, rebuilt.String())
		}
	})
}
