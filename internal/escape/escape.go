// Package escape makes text from outside safe to show: in a line of the job's log, and in a cell of the job summary.
// The words of an error, the name of a tag or a branch may be hostile. What [Line] returns is never a workflow
// command, and what [Cell] returns is never markup.
package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLength is how many characters of one text are shown. It is enough for a sentence and its remedy.
const maxLength = 2000

// Line returns text as one line of at most 2,000 characters, the rest cut off. The runner cannot take it for a
// workflow command, and a terminal cannot take it for a control sequence. The runner finds "##[" anywhere in a line
// and "::" at its start, after spaces (ActionCommand.cs of https://github.com/actions/runner). A printable line with
// neither stays as it is.
//
// Line also replaces invisible characters. The runner may overlook them when it compares, because comparisons in its
// language depend on the culture by default.
func Line(text string) string {
	text = visible(text)
	text = strings.ReplaceAll(text, "##[", "# #[")
	if rest := strings.TrimLeftFunc(text, unicode.IsSpace); strings.HasPrefix(rest, "::") {
		text = ": :" + rest[len("::"):]
	}
	return clip(text) // last: a space that was added counts too
}

// visible returns text in one line: every line break and other white space becomes a space, every invisible character
// becomes U+FFFD.
func visible(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", " ")
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c) || unicode.Is(unicode.Mn, c):
			return '\ufffd'
		}
		return c
	}, text)
}

// clip cuts text off after maxLength characters.
func clip(text string) string {
	if utf8.RuneCountInString(text) <= maxLength {
		return text
	}
	return string([]rune(text)[:maxLength-1]) + "…"
}

// Cell returns text for a cell of a Markdown table: one line without markup or links, which cannot end the cell. It
// writes each character that has a meaning in GitHub's Markdown as a character reference, which renders as plain text.
// https://github.github.com/gfm/
func Cell(text string) string {
	var b strings.Builder
	text = strings.TrimSpace(clip(visible(text)))
	for i, c := range text {
		scheme := c == ':' && strings.HasPrefix(text[i:], "://")
		host := c == '.' && strings.HasSuffix(strings.ToLower(text[:i]), "www")
		if scheme || host || strings.ContainsRune("&<>|`*_[]~\\#!@$", c) {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
