// Package escape makes text from outside fit for where a person reads it: a line of the job's log, a cell of the job
// summary. An error's words, a tag's name or a branch may be hostile; nothing that passes [Line] can be a workflow
// command, and nothing that passes [Cell] is markup.
package escape

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxForeign is how many characters of one text reach the log or a cell: enough for a sentence and its remedy.
const maxForeign = 2000

// Line returns text as one line that the runner cannot take for a workflow command, that a terminal cannot take for a
// control sequence, and that is cut after 2,000 characters. The runner finds "##[" anywhere in a line and "::" at its
// start, spaces aside (ActionCommand.cs of https://github.com/actions/runner). A line of which no part is from outside
// and which has neither stays as it is.
//
// Characters that are not seen go too: a comparison by culture, as the runner's language makes by default, overlooks
// them.
func Line(text string) string {
	text = visible(text)
	text = strings.ReplaceAll(text, "##[", "# #[")
	if rest := strings.TrimLeftFunc(text, unicode.IsSpace); strings.HasPrefix(rest, "::") {
		text = ": :" + rest[len("::"):]
	}
	return text
}

// visible returns text with each line break or other space as a space, and each character that is not seen as U+FFFD.
func visible(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", " ")
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case !unicode.IsPrint(c) || unicode.Is(unicode.Mn, c):
			return '\ufffd'
		}
		return c
	}, text)
	if utf8.RuneCountInString(text) <= maxForeign {
		return text
	}
	return string([]rune(text)[:maxForeign-1]) + "…"
}

// Cell returns text for a cell of a Markdown table: one line, without markup, link, or anything that ends the cell.
// What has a meaning in GitHub's Markdown is written as a character reference, which is plain text once it is rendered.
// https://github.github.com/gfm/
func Cell(text string) string {
	var b strings.Builder
	text = strings.TrimSpace(visible(text))
	for i, c := range text {
		link := c == ':' && strings.HasPrefix(text[i:], "://") ||
			c == '.' && strings.HasSuffix(strings.ToLower(text[:i]), "www")
		if link || strings.ContainsRune("&<>|`*_[]~\\#!@$", c) {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}
