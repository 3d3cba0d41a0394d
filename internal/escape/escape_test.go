package escape_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"keyvault-passwords/internal/escape"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"made 61d ago: fine":           "made 61d ago: fine",
		"":                             "",
		"a\nb\r\nc\td":                 "a b c d",
		"::error::x":                   ": :error::x",
		"  \u2003::error::x":           ": :error::x",
		"a ::error::x":                 "a ::error::x",
		"a ##[error]x":                 "a # #[error]x",
		"###[x":                        "## #[x",
		"##\u200b[x":                   "##\ufffd[x",
		"##\u00ad[x":                   "##\ufffd[x",
		"\x00::x":                      "\ufffd::x",
		"\x1b[31mred":                  "\ufffd[31mred",
		"\u202eabc":                    "\ufffdabc",
		"caf\u00e9 \xff":               "caf\u00e9 \ufffd",
		strings.Repeat("\u00e9", 2000): strings.Repeat("\u00e9", 2000),
		strings.Repeat("\u00e9", 2001): strings.Repeat("\u00e9", 1999) + "…",
	} {
		if got := escape.Line(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"made 61d ago, 2026-05-01 12:00Z": "made 61d ago, 2026-05-01 12:00Z",
		"a|b":                             "a&#124;b",
		" a\nb ":                          "a b",
		"`x` <b>&amp;":                    "&#96;x&#96; &#60;b&#62;&#38;amp;",
		"[l](https://x.y)":                "&#91;l&#93;(https&#58;//x.y)",
		"WWW.x.y":                         "WWW&#46;x.y",
		"*_~#!@\\":                        "&#42;&#95;&#126;&#35;&#33;&#64;&#92;",
	} {
		if got := escape.Cell(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// hostile is text as an answer could bring it.
const hostile = "\n::add-mask::x\r\n##[error]oops | `code` " +
	"<img src=x> [link](https://example.com) www.example.com\x1b[31m &amp; \u202e"

// checkLine holds what Escape promises of a line.
func checkLine(t testing.TB, line string) {
	t.Helper()
	switch {
	case strings.Contains(line, "##["):
		t.Fatalf("a command inside: %.200q", line)
	case strings.HasPrefix(strings.TrimLeftFunc(line, unicode.IsSpace), "::"):
		t.Fatalf("a command at the start: %.200q", line)
	case strings.ContainsFunc(line, func(c rune) bool { return c != ' ' && !unicode.IsPrint(c) }):
		t.Fatalf("a character that is not seen: %.200q", line)
	case !utf8.ValidString(line) || utf8.RuneCountInString(line) > 2100:
		t.Fatalf("not text, or too long: %.200q", line)
	}
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{
		hostile, "::x", " ::x", "####[[", "##\u00ad[", "\xff", "www.www.x://y", "&#58;",
		"::" + strings.Repeat("x", 1998),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := escape.Line(text)
		checkLine(t, line)
		if again := escape.Line(line); again != line {
			t.Errorf("escaped twice: %q, once: %q", again, line)
		}
		cell := escape.Cell(text)
		if strings.ContainsAny(cell, "|<>`[]*_~\\\n\r@!") || strings.Contains(cell, "://") ||
			strings.Contains(strings.ToLower(cell), "www.") {
			t.Errorf("%q is not plain in a cell: %q", text, cell)
		}
	})
}
