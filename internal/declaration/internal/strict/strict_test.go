package strict

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read returns what a row's reading notes, one problem a line.
func read(t *testing.T, text string, reading func(*Reader, *Node)) string {
	t.Helper()
	r, problem := Open("f.yml", []byte(text))
	if problem != nil {
		t.Fatalf("%q: %v", text, problem)
	}
	reading(r, r.Top())
	return r.Problems().Error()
}

func TestValues(t *testing.T) {
	line := func(r *Reader, n *Node) { r.Line(n, "key", 5) }
	scalar := func(r *Reader, n *Node) { r.Scalar(n, "key") }
	integer := func(r *Reader, n *Node) { r.Integer(n, "key", 1) }
	decimal := func(r *Reader, n *Node) { r.Decimal(n, "key", "expected bits") }
	boolean := func(r *Reader, n *Node) { r.Boolean(n, "key") }
	items := func(r *Reader, n *Node) { r.Items(n, "key", "expected a list") }
	entries := func(r *Reader, n *Node) { r.Entries(n, "key", "expected a mapping") }
	const whole, number = "expected a whole number, such as 3", "expected a number; remove the quotes"
	for _, tt := range []struct {
		text    string
		reading func(*Reader, *Node)
		want    string // without the place, which is 1:1; "" where the text is accepted
	}{
		{"abc", line, ""},
		{"2001-01-01", scalar, ""},
		{`""`, scalar, ""},
		{`""`, line, "key is empty; expected text, or leave the key out"},
		{"äöüäö", line, ""},
		{"äöüäöü", line, "key has 6 characters; expected at most 5"},
		{`"a\tb"`, line, `key contains a control character; expected printable text on one line; in double quotes, write a backslash as \\`},
		{"|\n  a\n", line, "key contains a control character; expected printable text on one line"},
		{"12", line, "key is a number; expected text; put it in quotes"},
		{"1.5", scalar, "key is a number; expected text; put it in quotes"},
		{"true", scalar, "key is a boolean; expected text; put it in quotes"},
		{"~", scalar, "key is empty; expected text"},
		{"<<", scalar, "key is a merge key; expected text; put it in quotes"},
		{"!!str a", scalar, "key is a value with a YAML tag; expected text"},
		{"[a]", scalar, "key is a list; expected text"},
		{"{a: b}", scalar, "key is a mapping; expected text"},
		{"3", integer, ""},
		{"0", integer, ""},
		{"999999999", integer, ""},
		{"1000000000", integer, `key is "1000000000"; ` + whole},
		{"-3", integer, "key is -3; expected 1 or more"},
		{"'3'", integer, `key is the text "3"; ` + number},
		{"'-3'", integer, `key is "-3"; ` + whole},
		{"0x10", integer, `key is "0x10"; ` + whole},
		{"1_000", integer, `key is "1_000"; ` + whole},
		{"+3", integer, `key is "+3"; ` + whole},
		{"3.0", integer, `key is "3.0"; ` + whole},
		{"!!int 3", integer, "key is a value with a YAML tag; " + whole},
		{"[3]", integer, "key is a list; " + whole},
		{"~", integer, "key is empty; " + whole},
		{"100", decimal, ""},
		{"99.5", decimal, ""},
		{"0", decimal, `key is "0"; expected bits`},
		{"-1", decimal, `key is "-1"; expected bits`},
		{"1e3", decimal, `key is "1e3"; expected bits`},
		{"1.", decimal, `key is "1."; expected bits`},
		{".inf", decimal, `key is ".inf"; expected bits`},
		{`"99.5"`, decimal, `key is the text "99.5"; ` + number},
		{"true", boolean, ""},
		{"FALSE", boolean, ""},
		{"yes", boolean, `key is "yes"; expected true or false`},
		{"'true'", boolean, `key is "true"; expected true or false`},
		{"1", boolean, `key is "1"; expected true or false`},
		{"[a, b]", items, ""},
		{"a", items, "key is text; expected a list"},
		{"!!seq [a]", items, "key is a value with a YAML tag; expected a list"},
		{"{a: 1, b: 2}", entries, ""},
		{"[a]", entries, "key is a list; expected a mapping"},
		{"? [a]\n: 1", entries, "a key of key is a list; expected text"},
	} {
		want := tt.want
		if want != "" {
			want = "f.yml:1:1: " + want
		}
		got := strings.Replace(read(t, tt.text, tt.reading), "f.yml:1:3: a key of", "f.yml:1:1: a key of", 1)
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", tt.text, got, want)
		}
	}
}

func TestValuesThatAreRead(t *testing.T) {
	r, problem := Open("f.yml", []byte("[&a 'it''s', *a, 007, 12.25, True, no]"))
	if problem != nil {
		t.Fatal(problem)
	}
	n, _ := r.Items(r.Top(), "the list", "")
	var got []any
	note := func(value any, ok bool) { got = append(got, value, ok) }
	text, ok := r.Line(n[0], "text", 9)
	note(text, ok)
	text, ok = r.Line(n[1], "alias", 9)
	note(text, ok)
	number, ok := r.Integer(n[2], "number", 1)
	note(number, ok)
	bits, ok := r.Decimal(n[3], "bits", "")
	note(bits, ok)
	note(r.Boolean(n[4], "switch"), r.Boolean(n[5], "switch"))
	want := []any{"it's", true, "it's", true, 7, true, 12.25, true, true, false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if got, want := r.Place(n[1]), (Place{File: "f.yml", Line: 1, Col: 14}); got != want {
		t.Errorf("the alias is at %s, want %s", got, want)
	}
}

// Keys that cannot be read hide no other, and problems come in the order of the text, equal ones once.
func TestEntries(t *testing.T) {
	const text = "b: &b {y: 1}\nb: 2\n<<: *b\n[x]: 3\n!!str t: 4\na: *b\n"
	got := read(t, text, func(r *Reader, n *Node) {
		entries, _ := r.Entries(n, "the text", "")
		var names []string
		for i := len(entries) - 1; i >= 0; i-- {
			names = append(names, entries[i].Name())
			for _, inner := range EntriesOf(entries[i].Value) {
				r.Unknown(r.Place(inner.Key), "key", inner.Name(), " inside", []string{"x"})
			}
		}
		if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
	want := strings.Join([]string{
		`f.yml:1:8: unknown key "y" inside; did you mean "x"? expected x`,
		`f.yml:2:1: key "b" stands twice in the text, first at f.yml:1:1; expected it once`,
		"f.yml:3:1: merge key << is not supported; expected the keys themselves",
		"f.yml:4:1: a key of the text is a list; expected text",
		"f.yml:5:1: a key of the text is a value with a YAML tag; expected text",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	r, problem := Open("f.yml", []byte("a"))
	if problem != nil {
		t.Fatal(problem)
	}
	for i := range MaxProblems + 10 {
		r.Unknown(Place{File: "f.yml", Line: i + 1, Col: 1}, "key", "b", "", []string{"a"})
		r.Refuse(Place{File: "f.yml", Line: i + 1, Col: 2}, "wrong", "")
	}
	if kept := r.Problems(); len(kept) != MaxProblems || kept[0].Place.Line != 1 || r.Found() != 2*(MaxProblems+10) {
		t.Errorf("%d problems are kept of %d found, want the first %d", len(kept), r.Found(), MaxProblems)
	}
}

func TestIsName(t *testing.T) {
	for text, want := range map[string]bool{
		"a": true, "A-b_9": true, strings.Repeat("a", 64): true,
		"": false, "9a": false, "-a": false, "a b": false, "ä": false, "aä": false, "a\n": false, strings.Repeat("a", 65): false,
	} {
		if IsName(text) != want {
			t.Errorf("IsName(%q) = %v, want %v", text, !want, want)
		}
	}
}

// Nodes of one content say the same, and no others do.
func TestContent(t *testing.T) {
	r, problem := Open("f.yml", []byte("- &a {a: b, c: [1, '2']}\n- *a\n- a: \"b\" # comment\n  c:\n  - 1\n  - \"2\"\n"+
		"- {a: b, c: [1, 2]}\n- {c: [1, '2'], a: b}\n- {a: b, c: [1], '2': x}\n- {a: b, c: ['1', '2']}\n- [a, b]\n- [[a], b]\n- [a, [b]]\n- ab\n"))
	if problem != nil {
		t.Fatal(problem)
	}
	seen := map[string]int{}
	for i, n := range r.Top().Content {
		content := Content(n)
		if other, ok := seen[content]; ok != (i == 1 || i == 2) {
			t.Errorf("item %d has the content of item %d: %v", i, other, ok)
		}
		seen[content] = i
	}
}

func TestDescribe(t *testing.T) {
	for text, want := range map[string]string{
		"a": `"a"`, "'a'": `"a"`, "12": `"12"`, "true": `"true"`, "~": "empty", "[a]": "a list", "{a: b}": "a mapping",
		"!!str a": "a value with a YAML tag", strings.Repeat("x", 61): `"` + strings.Repeat("x", 60) + `..."`,
	} {
		r, problem := Open("f.yml", []byte(text))
		if problem != nil {
			t.Fatal(problem)
		}
		if got := Describe(r.Top()); got != want {
			t.Errorf("%q is described as %s, want %s", text, got, want)
		}
	}
}

func TestPlaceString(t *testing.T) {
	for want, p := range map[string]Place{
		"f.yml:3:7": {File: "f.yml", Line: 3, Col: 7}, "f.yml": {File: "f.yml"}, "": {},
	} {
		if got := fmt.Sprint(p); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
