package ascii

import "strings"

// The characters of some classes, in the order of ASCII.
const (
	Digits      = "0123456789"
	Uppers      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	Lowers      = "abcdefghijklmnopqrstuvwxyz"
	Symbols     = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" // the 32 of ASCII that are neither letter, digit nor space
	SafeSymbols = "-._~"                               // RFC 3986, 2.3: unescaped in URLs, like letters and digits
	Printable   = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
)

// Ambiguous are the characters that a reader takes for one another in some typeface. They are no class.
const Ambiguous = "0O1Il|o"

var classes = []struct{ name, chars string }{
	{"lower", Lowers},
	{"upper", Uppers},
	{"digit", Digits},
	{"letter", Uppers + Lowers},
	{"alphanumeric", Digits + Uppers + Lowers},
	{"symbol", Symbols},
	{"safe-symbol", SafeSymbols},
	{"hex", "0123456789abcdef"},
	{"printable", Printable},
}

// Classes returns the names of the classes, in the order in which they are documented: lower, upper, digit, letter,
// alphanumeric, symbol (the 32 of ASCII), safe-symbol (-._~), hex (0-9 and a-f) and printable (all 95 characters from
// the space to the tilde).
func Classes() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// Class returns the characters of a class in the order of ASCII, and whether there is a class of that name.
func Class(name string) (chars string, ok bool) {
	for _, c := range classes {
		if c.name == name {
			return c.chars, true
		}
	}
	return "", false
}

// Sorted returns the distinct characters of all texts, in the order of ASCII. The texts must be ASCII.
func Sorted(texts ...string) string {
	var all Mask
	for _, text := range texts {
		all = all.Or(Of(text))
	}
	return all.Chars()
}

// Without returns chars without those of removed. Both may be any text.
func Without(chars, removed string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(removed, c) {
			return -1
		}
		return c
	}, chars)
}

// HoldsAll reports whether every character of some is in chars. Both may be any text.
func HoldsAll(chars, some string) bool { return Without(some, chars) == "" }
