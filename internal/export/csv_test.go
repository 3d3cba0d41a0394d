package export_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/export"
)

// rowsOf returns the rows of a CSV text by their columns' names.
func rowsOf(t *testing.T, text []byte) (rows []map[string]string) {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all[1:] {
		of := map[string]string{}
		for i, cell := range row {
			of[all[0][i]] = cell
		}
		rows = append(rows, of)
	}
	return rows
}

// The columns are append-only: spreadsheets, dashboards and queries of others name them and count them. A new column is
// one more line at the end of the file; a line that is there never changes.
func TestCSVHeaderIsAppendOnly(t *testing.T) {
	golden, err := os.ReadFile("testdata/columns.txt")
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := bytes.Cut(written(t, export.CSV, sample(3)), []byte("\r\n"))
	if diff := cmp.Diff(strings.Fields(string(golden)), strings.Split(string(header), ",")); diff != "" {
		t.Errorf("the columns are append-only; expected those of testdata/columns.txt (-file +code):\n%s", diff)
	}
}

func TestCSVOfASecret(t *testing.T) {
	r := sample(3)
	s := &r.Secrets[1]
	want := map[string]string{
		"taken": "2026-11-24T06:30:12Z", "repository": "contoso/payments", "run_id": "11223344556",
		"vault": "kv-payments-prod", "name": s.Name, "declared": "true", "place": ".github/passwords.yml:12:3",
		"managed": "false", "enabled": "true", "content_type": "password", "policy": s.Made.Name(),
		"fingerprint": "a1b2c3d4e5f6", "drift": "false", "generated_by": "keyvault-passwords",
		"created": "2026-10-30T06:30:12Z", "age_days": "25", "expires": "2027-01-28T06:30:12Z", "days_left": "65",
		"not_before": "", "rotation_due": "2027-01-14T06:30:12Z", "overdue_days": "", "versions": "1",
		"superseded_enabled": "0", "deleted_on": "", "purge_on": "", "worst_level": "", "findings": "",
		"exists": "true", "due": "",
	}
	if diff := cmp.Diff(want, rowsOf(t, written(t, export.CSV, r))[1]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A secret that is not there says nothing of a version; one whose dates are past counts below zero.
func TestCSVOfOtherStates(t *testing.T) {
	r := sample(3)
	r.Secrets[0] = audit.Secret{Name: "gone", Declared: true, Findings: []string{"missing", "soft-deleted"}}
	r.Secrets[1].Expires, r.Secrets[1].Next = taken.Add(-day/2), taken.Add(-3*day)
	r.Secrets[2].Expires = far[2].expires
	r.Secrets[2].Enabled, r.Secrets[2].Next = false, taken.Add(-3*day) // which nothing replaces
	rows := rowsOf(t, written(t, export.CSV, r))
	for _, tc := range []struct{ column, first, second, third string }{
		{"enabled", "", "true", "false"},
		{"exists", "false", "true", "true"},
		{"expires", "", "2026-11-23T18:30:12Z", ""},
		{"days_left", "", "-1", "20784161"},
		{"overdue_days", "", "3", ""},
		{"age_days", "", "25", "45"},
		{"findings", "missing soft-deleted", "", "never-expires validity-too-long"},
	} {
		got := [...]string{rows[0][tc.column], rows[1][tc.column], rows[2][tc.column]}
		if want := [...]string{tc.first, tc.second, tc.third}; got != want {
			t.Errorf("%s: %q; want %q", tc.column, got, want)
		}
	}
}

// No cell of text from outside is a formula, or has more than one line.
func TestCSVCellsAreText(t *testing.T) {
	for _, text := range []string{
		"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u00a0=1", "＝1", "－1", "a\r\nb", "a\nb", `"a",b`,
		"\xff=", "=cmd|' /C calc'!A0", "\u2028=1", "\u202e=1", "\x00=1",
	} {
		text := written(t, export.CSV, hostile(text))
		if !utf8.Valid(text) {
			t.Errorf("%q is not UTF-8", text)
		}
		for _, row := range rowsOf(t, text) {
			for _, column := range []string{"vault", "name", "place", "content_type", "policy"} {
				cell := row[column]
				if strings.ContainsFunc(cell, unicode.IsControl) {
					t.Errorf("%s: %q has a control character", column, cell)
				}
				if first := strings.TrimLeftFunc(cell, unicode.IsSpace); first != "" &&
					strings.ContainsRune("=+-@＝＋－＠", []rune(first)[0]) {
					t.Errorf("%s: %q is a formula", column, cell)
				}
			}
		}
	}
	plain := rowsOf(t, written(t, export.CSV, hostile("text/plain; a=b")))[0]
	if plain["content_type"] != "text/plain; a=b" {
		t.Errorf("a text that is no formula became %q", plain["content_type"])
	}
}

// The lines end as RFC 4180 says, and every row has all columns.
func TestCSVLines(t *testing.T) {
	text := string(written(t, export.CSV, sample(300)))
	if n := strings.Count(text, "\n"); n != strings.Count(text, "\r\n") || n != len(sample(300).Secrets)+1 {
		t.Errorf("%d lines, %d of them end with CR LF; expected one for each of %d secrets, and the header", n,
			strings.Count(text, "\r\n"), len(sample(300).Secrets))
	}
}

// failing is a writer that takes so many bytes.
type failing int

var errFull = errors.New("no space left on device")

func (f *failing) Write(p []byte) (int, error) {
	if *f -= failing(len(p)); *f < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// Whenever the writer fails, so does the form.
func TestFormsFailWithTheirWriter(t *testing.T) {
	r := sample(300)
	for _, ending := range export.Endings() {
		form := export.FormOf("report" + ending)
		size := len(written(t, form, r))
		for _, room := range []int{0, 1, size / 2, size - 1} {
			f := failing(room)
			if err := form(&f, r, run); !errors.Is(err, errFull) {
				t.Errorf("%s: room for %d of %d bytes: error %v; want %v", ending, room, size, err, errFull)
			}
		}
	}
}

func TestFormOf(t *testing.T) {
	for _, name := range []string{"a.json", "a/b.CSV", "a.b.sarif", "x.html"} {
		if export.FormOf(name) == nil {
			t.Errorf("%s has no form", name)
		}
	}
	for _, name := range []string{"", "a", "json", "a.xml", "a.json/b", "a.html.txt", "a.htm"} {
		if export.FormOf(name) != nil {
			t.Errorf("%s has a form", name)
		}
	}
	if diff := cmp.Diff([]string{".json", ".csv", ".sarif", ".html"}, export.Endings()); diff != "" {
		t.Error(diff)
	}
}

// The same report makes the same bytes.
func TestFormsAreFunctions(t *testing.T) {
	for _, ending := range export.Endings() {
		form := export.FormOf(ending)
		if !bytes.Equal(written(t, form, sample(300)), written(t, form, sample(300))) {
			t.Errorf("%s: two texts of one report differ", ending)
		}
	}
}
