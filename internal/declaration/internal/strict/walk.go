package strict

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// PlacesIn returns the places of bytes of a scalar's text. The offsets must be in ascending order. It follows the
// source and the text together, past what only the source has: anchor, quotes, escapes, indentation and folded line
// breaks. If the two do not match at an offset, that offset and all after it have the place of the scalar.
func (r *Reader) PlacesIn(n *Node, offsets []int) []Place {
	v := deref(n)
	if len(offsets) == 0 {
		return nil
	}
	w := walk{source: r.finder.at(v.Line, v.Column), at: r.Place(v), style: v.Style}
	w.open(v)
	var places []Place
	for rest := v.Value; len(places) < len(offsets); {
		char, size := utf8.DecodeRuneInString(rest)
		w.align(char)
		found := size == 0 || w.shows(char) || strings.ContainsRune(" \n", char) && w.isBlank()
		switch {
		case found && len(v.Value)-len(rest) >= offsets[len(places)]:
			places = append(places, w.at)
		case (char == ' ' || char == '\n') && w.folded():
			w.skip(w.blank())
			rest = strings.TrimLeft(rest, " \n")
		case w.pass(char):
			rest = rest[size:]
		default:
			places = append(places, r.Place(v))
		}
	}
	return places
}

// A finder finds places in a text, in any order.
type finder struct {
	text  string
	known []known // in order; nil: the text was not yet passed through
}

// A known is a place whose offset is known.
type known struct{ line, col, offset int }

// at returns the text from a place on. It passes through the text once, and then through a few characters each time.
func (f *finder) at(line, col int) string {
	if f.known == nil {
		f.pass()
	}
	i, found := slices.BinarySearchFunc(f.known, known{line: line, col: col}, func(a, b known) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col))
	})
	if !found {
		i-- // the first is the beginning of the text
	}
	from := f.known[max(i, 0)]
	rest := f.text[from.offset:]
	for range col - from.col {
		char, size := utf8.DecodeRuneInString(rest)
		if size == 0 || isBreak(char, rest[size:]) {
			break
		}
		rest = rest[size:]
	}
	return rest
}

// pass notes the beginning of each line, and some places in long lines.
func (f *finder) pass() {
	const columns = 256
	at := known{line: 1, col: 1}
	f.known = []known{at}
	for at.offset < len(f.text) {
		char, size := utf8.DecodeRuneInString(f.text[at.offset:])
		at.offset += size
		at.col++
		if isBreak(char, f.text[at.offset:]) {
			at.line, at.col = at.line+1, 1
		}
		if at.col%columns == 1 {
			f.known = append(f.known, at)
		}
	}
}

// isBreak reports whether a character ends a line, as the parser counts lines: by YAML 1.1. rest is what follows it.
func isBreak(char rune, rest string) bool {
	switch char {
	case '\r':
		return !strings.HasPrefix(rest, "\n")
	case '\n', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// A walk is a position in the source of one scalar.
type walk struct {
	source string
	at     Place
	style  yaml.Style

	// flat saves folded from scanning a long run of white space at each of its characters: the source is known to have
	// no line break in white space until it has only flat bytes left. 0: nothing is known.
	flat int
}

// white is what YAML folds to a space or a line break in every style.
const white = " \n\r"

// blank returns what YAML folds in the style of the scalar. In a block scalar a tab is text.
func (w *walk) blank() string {
	if w.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return white
	}
	return white + "\t"
}

// isBlank reports whether the source continues with white space.
func (w *walk) isBlank() bool {
	return w.source != "" && strings.IndexByte(w.blank(), w.source[0]) >= 0
}

// step passes the first character of the source.
func (w *walk) step() {
	if w.source == "" {
		return
	}
	char, size := utf8.DecodeRuneInString(w.source)
	w.source = w.source[size:]
	w.at.Col++
	if isBreak(char, w.source) {
		w.at.Line, w.at.Col = w.at.Line+1, 1
	}
}

// skip passes all of the characters given.
func (w *walk) skip(chars string) {
	for w.source != "" && strings.ContainsRune(chars, rune(w.source[0])) {
		w.step()
	}
}

// skipTo passes everything before the first of the characters given.
func (w *walk) skipTo(chars string) {
	for w.source != "" && !strings.ContainsRune(chars, rune(w.source[0])) {
		w.step()
	}
}

// open passes what is before the text: anchor and tag, with comments behind them, and then what the text
// itself begins with. A plain text cannot begin with any of these.
func (w *walk) open(n *Node) {
	const separators = white + "\t"
	anchor := "&" + n.Anchor
	for {
		switch {
		case n.Anchor != "" && strings.HasPrefix(w.source, anchor):
			for range anchor { // which is no part of a longer one: the parser found its end
				w.step()
			}
		case strings.HasPrefix(w.source, "!"):
			w.skipTo(separators)
		case strings.HasPrefix(w.source, "#"):
			w.skipTo("\n")
		default:
			w.enter()
			return
		}
		w.skip(separators)
	}
}

// enter passes the quote, or the line of the indicator, that the text itself begins with.
func (w *walk) enter() {
	switch {
	case w.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		w.step()
	case w.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		w.skipTo("\n")
		w.step()
	}
}

// align passes what is in the source before a character of the text and is not part of the text: an escaped line break,
// and indentation.
func (w *walk) align(char rune) {
	escaped := strings.HasPrefix(w.source, "\\\n") || strings.HasPrefix(w.source, "\\\r")
	if escaped && w.style&yaml.DoubleQuotedStyle != 0 {
		w.step()
		w.skip(w.blank())
	}
	switch {
	case char == '\n' && w.style&yaml.LiteralStyle != 0:
		w.skip(" \r")
	case char != ' ' && char != '\n':
		w.skip(white)
	}
}

// folded reports whether the source continues with white space that contains a line break and is folded.
func (w *walk) folded() bool {
	if w.style&yaml.LiteralStyle != 0 || w.flat > 0 && len(w.source) > w.flat {
		return false
	}
	rest := strings.TrimLeft(w.source, strings.ReplaceAll(w.blank(), "\n", ""))
	if strings.HasPrefix(rest, "\n") {
		return true
	}
	w.flat = len(rest)
	return false
}

// shows reports whether the source goes on with a character of the text, as it is or escaped.
func (w *walk) shows(char rune) bool {
	source, _ := utf8.DecodeRuneInString(w.source)
	return w.source != "" && (source == char || source == '\\' && w.style&yaml.DoubleQuotedStyle != 0)
}

// pass passes the source of one character of the text. It reports false where the source is that of another character.
func (w *walk) pass(char rune) bool {
	if !w.shows(char) {
		return false
	}
	length := 1
	switch {
	case w.style&yaml.DoubleQuotedStyle != 0 && w.source[0] == '\\':
		length = escapeLen(w.source)
	case w.style&yaml.SingleQuotedStyle != 0 && char == '\'':
		length = len("''")
	}
	for range length {
		w.step()
	}
	return true
}

// escapeLen returns the length of the escape that the source begins with, in characters.
func escapeLen(source string) int {
	switch {
	case len(source) < 2:
		return len(source)
	case source[1] == 'x':
		return 4
	case source[1] == 'u':
		return 6
	case source[1] == 'U':
		return 10
	}
	return 2
}
