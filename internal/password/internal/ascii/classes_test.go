package ascii

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// TestClasses compares each class with what its name says by Unicode's tables, and the documented count.
func TestClasses(t *testing.T) {
	tests := []struct {
		name string
		size int
		is   func(c rune) bool
	}{
		{"lower", 26, unicode.IsLower},
		{"upper", 26, unicode.IsUpper},
		{"digit", 10, unicode.IsDigit},
		{"letter", 52, unicode.IsLetter},
		{"alphanumeric", 62, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }},
		{"symbol", 32, func(c rune) bool { return unicode.IsPunct(c) || unicode.IsSymbol(c) }},
		{"safe-symbol", 4, func(c rune) bool { return strings.ContainsRune("-._~", c) }},
		{"hex", 16, func(c rune) bool { return unicode.Is(unicode.ASCII_Hex_Digit, c) && !unicode.IsUpper(c) }},
		{"printable", 95, unicode.IsPrint},
	}
	var names []string
	for _, test := range tests {
		names = append(names, test.name)
		chars, ok := Class(test.name)
		if !ok || len(chars) != test.size {
			t.Errorf("%s: %d characters, want %d", test.name, len(chars), test.size)
		}
		var want string
		for c := range rune(unicode.MaxASCII + 1) {
			if test.is(c) {
				want += string(c)
			}
		}
		if chars != want {
			t.Errorf("%s is %q, want %q", test.name, chars, want)
		}
	}
	if diff := cmp.Diff(names, Classes()); diff != "" {
		t.Errorf("Classes (-want +got):\n%s", diff)
	}
}

func TestUnknownClass(t *testing.T) {
	for _, name := range []string{"", "Lower", "lowercase", "unicode"} {
		if chars, ok := Class(name); ok || chars != "" {
			t.Errorf("class %q is %q, want none", name, chars)
		}
	}
}

func TestAmbiguous(t *testing.T) {
	if got, want := Sorted(Ambiguous), Sorted("0Oo1lI|"); got != want {
		t.Errorf("ambiguous: %q, want %q", got, want)
	}
}

func TestCharacterArithmetic(t *testing.T) {
	if got := Sorted("banana", "", "Zz-"); got != "-Zabnz" {
		t.Errorf("Sorted: %q", got)
	}
	if got := Without("banana", "nx"); got != "baaa" {
		t.Errorf("Without: %q", got)
	}
	for some, want := range map[string]bool{"": true, "ab": true, "aab": true, "abd": false, "d": false} {
		if got := HoldsAll("abc", some); got != want {
			t.Errorf("HoldsAll(abc, %q) is %t", some, got)
		}
	}
}

// TestClassesAreTheCallers makes sure that a caller cannot change what the next one sees.
func TestClassesAreTheCallers(t *testing.T) {
	Classes()[0] = "changed"
	if slices.Contains(Classes(), "changed") {
		t.Error("a caller changed the list")
	}
}

// TestMask compares the sets with what the texts say.
func TestMask(t *testing.T) {
	for _, text := range []string{"", "a", "banana", "Zz-@[{09 ~", Printable} {
		m := Of(text)
		for c := range byte(200) {
			if got, want := m.Has(c), c < 128 && strings.IndexByte(text, c) >= 0; got != want {
				t.Errorf("%q has %q: %t, want %t", text, c, got, want)
			}
		}
		if got, want := m.Lower(), Of(strings.ToLower(text)); got != want {
			t.Errorf("%q in lower case is %q, want %q", text, got.Chars(), want.Chars())
		}
		var again Mask
		for i := range m.Count() {
			again.Add(m.Nth(i))
		}
		if again != m || m.IsEmpty() != (text == "") || m.Chars() != Sorted(text) {
			t.Errorf("the characters of %q are %q", text, m.Chars())
		}
		if text != "" && m.Lowest() != m.Chars()[0] {
			t.Errorf("the lowest of %q is %q", text, m.Lowest())
		}
		if parts := Split(m, func(c byte) bool { return c < 'a' }); len(parts) == 2 && parts[0].Or(parts[1]) != m {
			t.Errorf("the parts of %q are %v", text, parts)
		}
		for c := range byte(128) {
			if lower := string(Lower(c)); lower != strings.ToLower(string(c)) ||
				string(Upper(c)) != strings.ToUpper(string(c)) {
				t.Errorf("the letter cases of %q are %q and %q", c, Lower(c), Upper(c))
			}
		}
	}
}
