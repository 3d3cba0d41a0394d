package password

import "strings"

// The named classes: what `from`, `first` and `last` may say. Each is spelled out, in the order of ASCII.
const (
	digits     = "0123456789"
	uppers     = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowers     = "abcdefghijklmnopqrstuvwxyz"
	hexDigits  = "0123456789abcdef"
	symbols    = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" // the 32 of ASCII that are neither letter, digit nor space
	safeSymbol = "-._~"                               // RFC 3986, 2.3: unescaped in URLs, like letters and digits
	printables = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

	// ambiguous are the characters that exclude-ambiguous takes out: a reader takes one for the other in some typeface.
	ambiguous = "0O1Il|o"
)

var classes = []struct{ name, chars string }{
	{"lower", lowers},
	{"upper", uppers},
	{"digit", digits},
	{"letter", uppers + lowers},
	{"alphanumeric", digits + uppers + lowers},
	{"symbol", symbols},
	{"safe-symbol", safeSymbol},
	{"hex", hexDigits},
	{"printable", printables},
}

// Classes returns the names of the character classes that a policy may use, in the order in which they are documented:
// lower, upper, digit, letter, alphanumeric, symbol (the 32 of ASCII), safe-symbol (-._~), hex (0-9 and a-f) and
// printable (all 95 characters of ASCII from the space to the tilde).
func Classes() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// classChars returns the characters of a named class in the order of ASCII, and whether there is such a class.
func classChars(name string) (string, bool) {
	for _, c := range classes {
		if c.name == name {
			return c.chars, true
		}
	}
	return "", false
}

// sortedChars returns the distinct characters of all texts, in the order of ASCII. Of texts that are not ASCII, and so
// refused elsewhere, the result means nothing.
func sortedChars(texts ...string) string {
	var all charMask
	for _, text := range texts {
		all = all.or(maskOf(text))
	}
	return all.chars()
}

// withoutChars returns chars without those of removed.
func withoutChars(chars, removed string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(removed, c) {
			return -1
		}
		return c
	}, chars)
}

// holdsChars reports whether every character of some is in chars.
func holdsChars(chars, some string) bool { return withoutChars(some, chars) == "" }
