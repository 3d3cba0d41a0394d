package export_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/export"
)

// parsed returns a page as a browser reads it.
func parsed(t *testing.T, text []byte) *html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// shapeOf returns the elements of a page with their attributes' names and the values of those that are not text.
func shapeOf(root *html.Node) (shape []string) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		element := n.Data
		for _, a := range n.Attr {
			element += " " + a.Key
		}
		shape = append(shape, element)
	}
	return shape
}

// textOf returns what an element says.
func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

// elements returns the elements of that name.
func elements(root *html.Node, name string) (found []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// hostileTexts try to be more than text.
var hostileTexts = []string{
	`<script>document.title="run"</script>`, `"><img src=https://evil.example/x onerror="document.title='run'">`,
	"</title></style></svg></table></main><h1>x", "'><svg onload=alert(1)>", "javascript:alert(1)", "<!--", "&lt;b&gt;",
	"]]><x>", "a\x00b\u2028c\u202ed\xff", "{{.}}", "<style>*{display:none}</style>", "<base href=//evil.example>",
}

// Whatever a name, a tag or a message is, the page has the same elements as with a harmless one.
func TestHTMLTextsAreText(t *testing.T) {
	want := shapeOf(parsed(t, written(t, export.HTML, hostile("harmless"))))
	for _, text := range hostileTexts {
		if diff := cmp.Diff(want, shapeOf(parsed(t, written(t, export.HTML, hostile(text))))); diff != "" {
			t.Errorf("%q changes the page (-harmless +hostile):\n%.600s", text, diff)
		}
	}
	root := parsed(t, written(t, export.HTML, hostile("&lt;b&gt;")))
	if cell := textOf(elements(root, "td")[0]); !strings.Contains(cell, "&lt;b&gt;") {
		t.Errorf("a name is shown as %q; want it as it is", cell)
	}
}

func FuzzHTMLTextsAreText(f *testing.F) {
	for _, text := range hostileTexts {
		f.Add(text)
	}
	var b bytes.Buffer
	if err := export.HTML(&b, saying(sample(3), "harmless"), run); err != nil {
		f.Fatal(err)
	}
	page := b.Bytes()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.TrimSpace(text) == "" {
			return // no text at all: what would name it is left out
		}
		want, got := shapeOf(parsed(t, page)), shapeOf(parsed(t, written(t, export.HTML, saying(sample(3), text))))
		if !slices.Equal(want, got) {
			t.Errorf("%q changes the page (-harmless +hostile):\n%.600s", text, cmp.Diff(want, got))
		}
	})
}

// The page has no script, no event handler, no style but its own, and nothing that a browser loads by itself. Its
// policy says so too.
func TestHTMLLoadsNothing(t *testing.T) {
	root := parsed(t, written(t, export.HTML, sample(300)))
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "form", "base", "image",
			"use",
			"video", "audio", "source", "foreignObject"}, n.Data) {
			t.Errorf("the page has an element %s", n.Data)
		}
		for _, a := range n.Attr {
			link := a.Key == "href" && n.Data == "a" &&
				(strings.HasPrefix(a.Val, "#") || strings.HasPrefix(a.Val, "https://github.com/contoso/payments"))
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "href" && !link ||
				strings.Contains(a.Val, "url(") {
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	style := textOf(elements(root, "style")[0])
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'"
	if meta := elements(root, "meta")[1]; attribute(meta, "http-equiv") != "Content-Security-Policy" ||
		attribute(meta, "content") != want {
		t.Errorf("policy %q; want %q", attribute(meta, "content"), want)
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style sheet loads something")
	}
}

// Each chart has a title and says in words what it shows; every id is there once, and each link within the page leads
// to one.
func TestHTMLChartsHaveTexts(t *testing.T) {
	root := parsed(t, written(t, export.HTML, sample(300)))
	ids := map[string]int{}
	for n := range root.Descendants() {
		if id := attribute(n, "id"); id != "" {
			ids[id]++
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements have the id %s", n, id)
		}
	}
	for n := range root.Descendants() {
		for _, to := range []string{attribute(n, "aria-labelledby"), strings.TrimPrefix(attribute(n, "href"), "#")} {
			if to != "" && !strings.HasPrefix(to, "https:") && ids[to] == 0 {
				t.Errorf("%s leads to %q, which is not there", n.Data, to)
			}
		}
		if n.Data == "svg" && attribute(n, "role") == "img" &&
			(n.FirstChild == nil || n.FirstChild.Data != "title" || textOf(n.FirstChild) == "") {
			t.Errorf("a chart has no title: %v", n.Attr)
		}
	}
	if n := len(elements(root, "figure")); n != 5 {
		t.Errorf("%d charts; want 5", n)
	}
}

// What the page says of a report, in the words of its findings.
func TestHTMLSaysWhatWasFound(t *testing.T) {
	r := sample(300)
	text := textOf(parsed(t, written(t, export.HTML, r)))
	for _, f := range r.Findings {
		since := f.Message[1:]
		if !f.Since.IsZero() {
			since += " since " + f.Since.Format(time.DateOnly)
		}
		for _, want := range []string{f.Secret, since, f.Remedy[1:], f.Vault} {
			if !strings.Contains(text, want) {
				t.Fatalf("the page does not say %q", want)
			}
		}
	}
	for _, s := range r.Secrets {
		if !strings.Contains(text, s.Name) {
			t.Errorf("the page lacks %s", s.Name)
		}
	}
	for _, want := range []string{"2026-11-24 06:30 UTC", "contoso/payments", "8f2d1c4b5a69",
		"every vault was listed whole"} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// A vault that could not be listed whole never looks like a clean one.
func TestHTMLOfAnIncompleteVault(t *testing.T) {
	r := &audit.Report{Taken: taken, Vaults: []audit.Vault{{Name: "kv-x", Why: "the firewall refuses this runner"}}}
	root := parsed(t, written(t, export.HTML, r))
	text := textOf(root)
	for _, want := range []string{"This audit is incomplete", "kv-x: the firewall refuses this runner", "incomplete",
		"Nothing was found in what could be listed.", "No secret could be listed.",
		"nothing expires in the next 90 days in what could be listed."} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, wrong := range []string{"100%", "listed whole.", "No errors and no warnings", "The vaults hold no secret"} {
		if strings.Contains(textOf(elements(root, "body")[0]), wrong) {
			t.Errorf("the page says %q", wrong)
		}
	}
}

// However many secrets there are, the page stays one that a phone opens. It says what it leaves out, and it leaves out
// what matters least.
func TestHTMLIsOfLimitedSize(t *testing.T) {
	r := sample(20000)
	page := written(t, export.HTML, r)
	if len(page) > 5<<20 {
		t.Errorf("%d bytes; want 5 MiB at most", len(page))
	}
	root := parsed(t, page)
	rows, grave := 0, 0
	for _, n := range elements(root, "tr") {
		class := strings.Fields(attribute(n, "class"))
		if slices.Contains(class, "r") {
			rows++
		}
		if slices.Contains(class, "e") {
			grave++
		}
	}
	errors := 0
	for _, s := range r.Secrets {
		if s.Worst == audit.LevelError {
			errors++
		}
	}
	if rows != 5000 || grave != errors {
		t.Errorf("%d rows of secrets, %d of them with errors; want 5000, and all %d with errors", rows, grave, errors)
	}
	text := textOf(root)
	of := map[string]int{}
	for _, f := range r.Findings {
		of[string(f.Level)+f.Rule]++
	}
	for _, want := range []string{
		fmt.Sprintf("%d,%03d more rows not shown here", (len(r.Secrets)-5000)/1000, (len(r.Secrets)-5000)%1000),
		grouped(of["warning"+audit.NeverExpires]-200) + " more findings not shown here",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// A date of any year has a place.
func TestHTMLOfFarYears(t *testing.T) {
	for _, tc := range far {
		r := sample(3)
		r.Secrets[0].Expires, r.Secrets[0].Next = tc.expires, tc.expires
		if text := textOf(parsed(t, written(t, export.HTML, r))); !strings.Contains(text,
			tc.expires.Format(time.DateOnly)) {
			t.Errorf("the page does not say %s", tc.expires.Format(time.DateOnly))
		}
	}
}

// An audit of a part says so.
func TestHTMLOfAPart(t *testing.T) {
	part := run
	part.Part = true
	var b bytes.Buffer
	if err := export.HTML(&b, sample(3), part); err != nil {
		t.Fatal(err)
	}
	const want = "a part, as the input only says"
	if !strings.Contains(b.String(), want) || strings.Contains(string(written(t, export.HTML, sample(3))), want) {
		t.Errorf("the page of a part does not say %q, or that of all does", want)
	}
}

// A link leads to the line at the commit that was audited, or there is none.
func TestHTMLLinksToTheDeclaration(t *testing.T) {
	page := string(written(t, export.HTML, sample(3)))
	want := `href="https://github.com/contoso/payments/blob/` + run.SHA + `/.github/passwords.yml#L12"`
	if !strings.Contains(page, want) {
		t.Errorf("no link %s", want)
	}
	for _, run := range []export.Run{
		{}, {Server: "https://github.com", Repository: "contoso/payments", SHA: "main"},
		{Server: `https://x"onclick="`, Repository: "contoso/payments", SHA: run.SHA},
	} {
		var b bytes.Buffer
		if err := export.HTML(&b, sample(3), run); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "/blob/") {
			t.Errorf("%+v: there is a link to the declaration", run)
		}
	}
}

var colour = regexp.MustCompile(`--(\w+): (#[0-9a-f]{3,6});`)

// palettes returns the colours of the style sheet: the light ones, and the dark ones.
func palettes(t *testing.T) (light, dark map[string]string) {
	t.Helper()
	style, err := os.ReadFile("style.css")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(string(style), "prefers-color-scheme: dark", 2)
	of := func(text string) map[string]string {
		colours := map[string]string{}
		for _, match := range colour.FindAllStringSubmatch(text, -1) {
			colours[match[1]] = match[2]
		}
		return colours
	}
	return of(parts[0]), of(parts[1])
}

// luminance is that of WCAG 2.2: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = fmt.Sprintf("%c%[1]c%c%[2]c%c%[3]c", digits[0], digits[1], digits[2])
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || len(digits) != 6 {
		t.Fatalf("%q is no colour", colour)
	}
	linear := func(c uint64) float64 {
		x := float64(c&255) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n)
}

// Text can be read on what it stands on: 4.5 to 1, and what is drawn can be seen: 3 to 1 (WCAG 2.2, level AA).
func TestColoursHaveContrast(t *testing.T) {
	light, dark := palettes(t)
	for name, palette := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, tc := range []struct {
			pairs string
			least float64
		}{
			{"ink/back ink/panel ink/etint ink/itint soft/back soft/panel a/panel a/back e/panel w/panel i/panel", 4.5},
			{"e/etint w/wtint i/itint", 4.5},
			{"a/panel e/panel k/panel i/panel", 3},
		} {
			for _, pair := range strings.Fields(tc.pairs) {
				on, under, _ := strings.Cut(pair, "/")
				a, b := luminance(t, palette[on]), luminance(t, palette[under])
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < tc.least {
					t.Errorf("%s: %s has a contrast of %.2f; want %.1f", name, pair, ratio, tc.least)
				}
			}
		}
	}
}

// classed returns the elements of that name and class.
func classed(root *html.Node, name, class string) []*html.Node {
	return slices.DeleteFunc(elements(root, name), func(n *html.Node) bool {
		return !slices.Contains(strings.Fields(attribute(n, "class")), class)
	})
}

// holding counts the secrets of a report of which something is so.
func holding(r *audit.Report, is func(s *audit.Secret) bool) (n int) {
	for i := range r.Secrets {
		if is(&r.Secrets[i]) {
			n++
		}
	}
	return n
}

// The totals are those of the report, each in its colour, and in none if there is nothing to count.
func TestHTMLTotals(t *testing.T) {
	for _, n := range []int{3, 300} {
		r := sample(n)
		root := parsed(t, written(t, export.HTML, r))
		counts := r.Counts()
		due := holding(r, func(s *audit.Secret) bool { return s.Due != "" })
		want := []int{counts[audit.LevelError], counts[audit.LevelWarning], counts[audit.LevelInfo], due}
		tiles := elements(classed(root, "ul", "tiles")[0], "li")
		for i, class := range []string{"e", "w", "i", "a"} {
			if want[i] == 0 {
				class = "z"
			}
			if text := textOf(tiles[i]); !strings.HasPrefix(text, strconv.Itoa(want[i])+" ") ||
				attribute(tiles[i], "class") != class {
				t.Errorf("of %d secrets, tile %d says %q in %q; want %d in %q", n, i, text,
					attribute(tiles[i], "class"), want[i], class)
			}
		}
		before := fmt.Sprintf("Before that: %d due already, %d expired.",
			holding(r, func(s *audit.Secret) bool { return s.Exists && s.Due != "" }),
			holding(r, func(s *audit.Secret) bool {
				return s.Exists && s.Enabled && !s.Expires.IsZero() && !s.Expires.After(taken)
			}))
		told := !strings.HasPrefix(before, "Before that: 0 due already, 0 expired")
		if text := textOf(root); strings.Contains(text, before) != told ||
			strings.Contains(text, "Before that") != told {
			t.Errorf("of %d secrets: want %q: %t", n, before, told)
		}
	}
}

// Each choice of the table of secrets says how many rows it leaves.
func TestHTMLChoices(t *testing.T) {
	r := sample(300)
	var got []string
	for _, label := range elements(classed(parsed(t, written(t, export.HTML, r)), "fieldset", "show")[0], "label") {
		got = append(got, strings.TrimSpace(textOf(label)))
	}
	want := []string{
		"All",
		fmt.Sprint("With errors ", holding(r, func(s *audit.Secret) bool { return s.Worst == audit.LevelError })),
		fmt.Sprint("With warnings ", holding(r, func(s *audit.Secret) bool { return s.Worst == audit.LevelWarning })),
		fmt.Sprint("Due now ", holding(r, func(s *audit.Secret) bool { return s.Due != "" })),
		fmt.Sprint("Not declared ", holding(r, func(s *audit.Secret) bool { return !s.Declared })),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A row has the number of versions where there is one, with a plus where there are more, and an expiry or "never".
func TestHTMLRows(t *testing.T) {
	r := sample(300)
	rows := map[string]*html.Node{}
	for _, row := range classed(parsed(t, written(t, export.HTML, r)), "tr", "r") {
		rows[textOf(elements(row, "b")[0])] = row
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		cells := elements(rows[s.Name], "td")
		versions := ""
		if s.Versions > 0 {
			versions = strconv.Itoa(s.Versions)
		}
		if !s.Whole && s.Versions > 1 {
			versions += "+"
		}
		if got := textOf(cells[6]); got != versions {
			t.Errorf("%s has %q versions; want %q", s.Name, got, versions)
		}
		expiry := ""
		switch {
		case s.Exists && s.Expires.IsZero():
			expiry = "never"
		case s.Exists:
			expiry = s.Expires.Format(time.DateOnly)
		}
		if got := textOf(cells[4]); !strings.HasPrefix(got, expiry) || expiry == "" && got != "" {
			t.Errorf("%s expires %q; want %q", s.Name, got, expiry)
		}
	}
}

// A row says what a secret is, and the words before the charts what was due and has expired before.
func TestHTMLStates(t *testing.T) {
	known := audit.Secret{Vault: "kv", Name: "db", Exists: true, Enabled: true, Declared: true, Ours: true,
		Created: taken}
	for want, change := range map[string]func(s *audit.Secret){
		"declared":               func(*audit.Secret) {},
		"soft-deleted":           func(s *audit.Secret) { s.Exists, s.Deleted = false, taken },
		"missing":                func(s *audit.Secret) { s.Exists = false },
		"disabled":               func(s *audit.Secret) { s.Enabled = false },
		"managed":                func(s *audit.Secret) { s.Managed = true },
		"disabled, not declared": func(s *audit.Secret) { s.Enabled, s.Declared = false, false },
		"foreign":                func(s *audit.Secret) { s.Ours = false },
	} {
		s := known
		change(&s)
		r := &audit.Report{Taken: taken, Vaults: []audit.Vault{{Name: "kv", Complete: true}},
			Secrets: []audit.Secret{s}}
		rows := classed(parsed(t, written(t, export.HTML, r)), "tr", "r")
		if got := textOf(elements(rows[0], "td")[1]); got != want {
			t.Errorf("state %q; want %q", got, want)
		}
	}
	expired := known
	expired.Expires = taken
	r := &audit.Report{Taken: taken, Vaults: []audit.Vault{{Name: "kv"}}, Secrets: []audit.Secret{expired}}
	if text := textOf(parsed(t, written(t, export.HTML, r))); !strings.Contains(text, "0 due already, 1 expired.") {
		t.Error("the page does not say that one secret has expired")
	}
}
