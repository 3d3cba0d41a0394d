package strict

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

// The bytes of a text are found in every way that YAML has to write it. Each row marks with ▸ what is looked for: the
// mark is taken out of the source, and its place is the place of that byte of the text.
func TestPlacesIn(t *testing.T) {
	for _, marked := range []string{
		"'▸one ▸two'", `"▸one ▸two"`, "▸one ▸two", "&a ▸one ▸two", "&a '▸one▸two'", "▸o▸n▸e", "&a ▸o▸n▸e",
		`"\t\u00e4\U0001F511 ▸one\x41 ▸two"`, "'it''s ▸one ''▸two'", "ä ▸one ü▸two", "'a   ▸one   ▸two'",
		`"▸\t▸\u00e4▸\U0001F511▸\x41"`, "'it▸''s'",
		"one line\n  ▸one more\n\n  and ▸two", "'one\n\n  ▸one\n  ▸two'", "\"one \\\n  ▸one\n  ▸two\"",
		"|\n  a\n    b ▸one\n\n  ▸two\n", ">\n  a\n  b ▸one\n\n  c ▸two\n", ">-\n  a ▸one\n    deep ▸two\n",
		"|2-\n     ▸one\n  ▸two\n", "|\n\n  ▸one\n  ▸two", "\"a\\nb ▸one \\\"▸two\"", "a\r\n  ▸one\r\n  ▸two",
		"|\r\n  a\r\n  ▸one ▸two\r\n", "|  # comment\n  ▸one # ▸two\n",
		"!x ▸one ▸two", "&a !x '▸one'", "!x &a # comment\n  ▸one", ">\n  a\n  \t▸one\n  ▸two\n", "a\t\n \t▸one",
	} {
		head := "a:\n  - b\nkey: "
		source := strings.ReplaceAll(marked, "▸", "")
		r, problem := Open("f.yml", []byte(head+source))
		if problem != nil {
			t.Errorf("%q: %v", marked, problem)
			continue
		}
		n := r.Top().Content[3]
		offsets, want := marksIn(t, marked, Value(n))
		for i := range want {
			want[i] = at(head+source, len(head)+offsetIn(marked, i))
		}
		if got := r.PlacesIn(n, offsets); !slices.Equal(got, want) {
			t.Errorf("%q: got places %v, want %v", marked, got, want)
		}
	}
}

// marksIn returns where in the text each mark of the source is. It looks for the letters that follow the mark, which is
// unambiguous: "one" and "two" are in each text once. A mark before an escape or a quote counts characters.
func marksIn(t *testing.T, marked, text string) (offsets []int, places []Place) {
	t.Helper()
	from := 0
	for _, rest := range strings.Split(marked, "▸")[1:] {
		letters := rest[:min(len(rest), 3)]
		switch i := strings.LastIndex(text, letters); {
		case (letters == "one" || letters == "two") && i >= 0:
			offsets = append(offsets, i)
		case strings.HasPrefix(rest, "''"):
			offsets = append(offsets, strings.IndexByte(text, '\''))
		default: // marks before each character of the text
			offsets = append(offsets, from)
			_, size := utf8.DecodeRuneInString(text[from:])
			from += size
		}
	}
	return offsets, make([]Place, len(offsets))
}

// offsetIn returns the offset of the mark of that number in the source without marks.
func offsetIn(marked string, number int) int {
	return len(strings.Join(strings.Split(marked, "▸")[:number+1], ""))
}

func at(text string, offset int) Place { return placeOf("f.yml", []byte(text), offset) }

// A double-quoted scalar made of pieces: every piece of the text is found where its source is.
func TestPlacesInDoubleQuotes(t *testing.T) {
	pieces := [][2]string{ // source, text
		{"a", "a"}, {"ä", "ä"}, {"🔑", "🔑"}, {" b", " b"}, {`\n`, "\n"}, {`\"`, `"`}, {`\\`, `\`}, {`\x41`, "A"},
		{`\u00e4`, "ä"},
		{`\U0001F511`, "🔑"}, {"'", "'"}, {"$", "$"}, {"\\\n  x", "x"}, {"c\n  d", "c d"}, {"c\n\n  d", "c\nd"},
		{"c \r\n  d", "c d"},
		{"c\t\n\td", "c d"}, {"c\td", "c\td"}, {"\\\n\tx", "x"},
	}
	rapid.Check(t, func(t *rapid.T) {
		head, source, text := "- x\n- &anchor ", `"`, ""
		var offsets []int
		var want []Place
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(pieces)-1), 1, 20).Draw(t, "pieces") {
			skip := 0
			if strings.HasPrefix(pieces[i][0], "\\\n") {
				skip = strings.IndexByte(pieces[i][0], 'x')
			}
			offsets = append(offsets, len(text))
			want = append(want, at(head+source+pieces[i][0], len(head+source)+skip))
			source, text = source+pieces[i][0], text+pieces[i][1]
		}
		r, problem := Open("f.yml", []byte(head+source+"\"\n"))
		if problem != nil {
			t.Fatalf("%q: %v", source, problem)
		}
		n := r.Top().Content[1]
		if Value(n) != text {
			t.Fatalf("%q is read as %q, want %q", source, Value(n), text)
		}
		if got := r.PlacesIn(n, offsets); !slices.Equal(got, want) {
			t.Fatalf("%q, offsets %v: got places %v, want %v", source, offsets, got, want)
		}
	})
}

// Many calls in the order of the text pass through it once, and a call out of order is answered all the same.
func TestPlacesInAnyOrder(t *testing.T) {
	r, problem := Open("f.yml", []byte("- 'ab'\n- 'cd'\n- 'ef'\n"))
	if problem != nil {
		t.Fatal(problem)
	}
	for _, i := range []int{2, 0, 1, 1} {
		want := []Place{{File: "f.yml", Line: i + 1, Col: 4}, {File: "f.yml", Line: i + 1, Col: 5}}
		if got := r.PlacesIn(r.Top().Content[i], []int{0, 1}); !slices.Equal(got, want) {
			t.Errorf("item %d: got places %v, want %v", i, got, want)
		}
	}
}

// No text makes Open or PlacesIn panic. Each place of a byte of a scalar lies inside the text and points at the source
// of that byte: the character itself, an escape, white space that is folded, or, where the two cannot be matched, the
// place of the scalar.
func FuzzPlaces(f *testing.F) {
	for _, seed := range []string{
		"a: b\n", "'it''s'", `"\t\u00e4 \` + "\n  b\"", "- |2-\n     a\n  b\n- >\n  a\n  b\n\n    c\n", "&a 'x\n\n  y'",
		"a\r\n  b\r\n  c",
		"[a, 'b', \"c\", {d: *e}]", "- &e ä 🔑\n- *e\n", "\ufeffa: \"b\\x41\"\n", "a: |  # c\n\n  b\n \n  c\n",
		"? 'a b\n\n  c'\n: !!str d\n",
		// found by fuzzing
		"! '000'", "\r0\n0", "0\t\n0", "|\r0", "͙\u0085Һ", "!0\t0",
		"|\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r\r0", "&00 !00 0", "&0:,",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, problem := Open("f.yml", []byte(text))
		if problem != nil {
			inside(t, text, problem.Place)
			return
		}
		for _, n := range scalars(r.Top()) {
			value := Value(n)
			var offsets []int
			for i := range value {
				offsets = append(offsets, i)
			}
			places := r.PlacesIn(n, offsets)
			if len(places) != len(offsets) {
				t.Fatalf("%d places for %d offsets", len(places), len(offsets))
			}
			for i, place := range places {
				if place == r.Place(n) {
					continue
				}
				inside(t, text, place)
				if !points(text, place, value[offsets[i]:], n.Style) {
					t.Fatalf("%s is not the place of %q", place, value[offsets[i]:])
				}
			}
		}
	})
}

// scalars returns the scalars of a document, keys included, each once.
func scalars(n *Node) (list []*Node) {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		return []*Node{n}
	}
	for _, child := range n.Content {
		list = append(list, scalars(child)...)
	}
	return list
}

// inside fails unless a place is on one of the lines of the text, or at its end.
func inside(t *testing.T, text string, place Place) {
	t.Helper()
	lines := 1
	for _, c := range text {
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", c) { // the line breaks of YAML 1.1
			lines++
		}
	}
	if place.Line > lines+1 || place.Col > len(text)+1 || (place.Line < 1) != (place.Col < 1) {
		t.Fatalf("%s is outside a text of %d lines", place, lines)
	}
}

// points reports whether a place is that of the first character of value in the source. A space or a line break that is
// folded has no source of its own: its place is in the white space there, or right behind it.
func points(text string, place Place, value string, style yaml.Style) bool {
	c := finder{text: strings.TrimPrefix(text, byteOrderMark)}
	rest := c.at(place.Line, place.Col)
	source, _ := utf8.DecodeRuneInString(rest)
	char, _ := utf8.DecodeRuneInString(value)
	before, _ := utf8.DecodeLastRuneInString(strings.TrimSuffix(c.text, rest))
	switch {
	case source == char:
		return true
	case source == '\\':
		return style&yaml.DoubleQuotedStyle != 0
	}
	return strings.ContainsRune(" \n", char) &&
		strings.ContainsAny(string([]rune{source, before}), white+"\t\u0085\u2028\u2029")
}
