package declaration

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A reader turns nodes into values and collects what is wrong with them. Its methods report whether a value was read;
// where it was not, the problem is noted, and reading goes on with the next.
type reader struct {
	file     string
	problems Problems
	found    int    // problems, the ones beyond maxProblems too
	cursor   cursor // in the text
}

// maxProblems bounds what is kept: a person mends a few and reads again, and a hostile text has one in every byte.
const maxProblems = 1000

// A located is a value and where it stands. The zero located is a key that is absent.
type located[T any] struct {
	value T
	place Place
	node  *yaml.Node
}

// given reports whether the key was there.
func (l located[T]) given() bool { return l.node != nil }

// A field is one key of a mapping that is read into a T: what the reference and the schema say of it, and how it is read.
type field[T any] struct {
	name   string
	shape  string // what it takes, for the reference: "text", "list of text"
	schema string // a JSON Schema of its value
	doc    string // one or two sentences
	read   func(r *reader, n *yaml.Node, into *T)
}

func (r *reader) place(n *yaml.Node) Place { return Place{r.file, n.Line, n.Column} }

func (r *reader) problem(at Place, text, want string) {
	r.found++
	if r.found <= maxProblems {
		r.problems = append(r.problems, Problem{at, text, want})
	}
}

// unknown notes a name that is none of the known ones.
func (r *reader) unknown(at Place, kind, name, where string, known []string) {
	if r.found >= maxProblems {
		r.found++ // and the search for the nearest is saved
		return
	}
	r.problem(at, fmt.Sprintf("unknown %s %q%s", kind, clip(name), where), alternatives(name, known))
}

// entries returns keys and values of a mapping in turn. Keys are unique texts; what is not is noted and left out.
func (r *reader) entries(n *yaml.Node, what, want string) (pairs [][2]*yaml.Node, ok bool) {
	n = deref(n)
	if n.Kind != yaml.MappingNode || n.Style&yaml.TaggedStyle != 0 {
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, kindOf(n)), want)
		return nil, false
	}
	first := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), n.Content[i+1]
		switch {
		case key.Tag == "!!merge":
			r.problem(r.place(key), "merge key << is not supported", "expected the keys themselves; a policy under policies serves many secrets")
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
			r.problem(r.place(key), fmt.Sprintf("a key of %s is %s", what, kindOf(key)), "expected text")
		case first[key.Value] != nil:
			r.problem(r.place(n.Content[i]), fmt.Sprintf("key %q stands twice in %s; it is first at %s", clip(key.Value), what, r.place(first[key.Value])), "expected it once")
		default:
			first[key.Value] = n.Content[i]
			pairs = append(pairs, [2]*yaml.Node{n.Content[i], value})
		}
	}
	return pairs, true
}

// readFields reads a mapping of known keys. It reports whether the node is a mapping at all.
func readFields[T any](r *reader, n *yaml.Node, what, want string, fields []field[T], into *T) bool {
	pairs, ok := r.entries(n, what, want)
	for _, pair := range pairs {
		name := deref(pair[0]).Value
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == name })
		if i < 0 {
			r.unknown(r.place(pair[0]), "key", name, " in "+what, namesOf(fields))
			continue
		}
		if value := deref(pair[1]); value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			r.problem(r.place(pair[0]), fmt.Sprintf("%s has no value", name), "expected one ("+fields[i].shape+"); leave the key out where there is none")
			continue
		}
		fields[i].read(r, pair[1], into)
	}
	return ok
}

func namesOf[T any](fields []field[T]) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// locate notes a value with its place.
func locate[T any](r *reader, n *yaml.Node, value T) located[T] {
	return located[T]{value, r.place(n), n}
}

// readText reads a text of 1 to most characters without control characters.
func (r *reader) readText(n *yaml.Node, what string, most int) (string, bool) {
	text, ok := r.scalar(n, what)
	switch count := utf8.RuneCountInString(text); {
	case !ok:
		return "", false
	case count == 0:
		r.problem(r.place(n), what+" is empty", "expected text, or leave the key out")
	case count > most:
		r.problem(r.place(n), fmt.Sprintf("%s has %d characters", what, count), fmt.Sprintf("expected at most %d", most))
	case strings.ContainsFunc(text, unicode.IsControl):
		r.control(n, what)
	default:
		return text, true
	}
	return "", false
}

// control notes a text with a control character.
func (r *reader) control(n *yaml.Node, what string) {
	want := "expected printable text on one line"
	if deref(n).Style&yaml.DoubleQuotedStyle != 0 {
		want += `; in double quotes a backslash is written \\`
	}
	r.problem(r.place(n), what+" holds a control character", want)
}

// scalar reads any text, the empty one too. A number or a boolean is refused: what is meant needs quotes.
func (r *reader) scalar(n *yaml.Node, what string) (string, bool) {
	v := deref(n)
	if v.Kind == yaml.ScalarNode && v.Style&yaml.TaggedStyle == 0 && (v.Tag == "!!str" || v.Tag == "!!timestamp") {
		return v.Value, true
	}
	want := "expected text"
	if v.Kind == yaml.ScalarNode && v.Tag != "!!null" && v.Style&yaml.TaggedStyle == 0 {
		want = "expected text; put it in quotes"
	}
	r.problem(r.place(n), fmt.Sprintf("%s is %s", what, kindOf(v)), want)
	return "", false
}

var (
	integer  = regexp.MustCompile(`^[0-9]{1,9}$`)
	negative = regexp.MustCompile(`^-[0-9]{1,9}$`)
	decimal  = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)
)

// quoted notes a number that is a text because of its quotes, and reports whether it is one.
func (r *reader) quoted(n *yaml.Node, what string, form *regexp.Regexp) bool {
	v := deref(n)
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle
	if v.Kind != yaml.ScalarNode || v.Style&quotes == 0 || v.Style&yaml.TaggedStyle != 0 || !form.MatchString(v.Value) {
		return false
	}
	r.problem(r.place(n), fmt.Sprintf("%s is the text %q", what, v.Value), "expected a number; take it out of its quotes")
	return true
}

// readInt reads a whole number in decimal digits. What it is at least is for the message: a negative one is none, and its
// range is for the rule it belongs to.
func (r *reader) readInt(n *yaml.Node, what string, least int) (int, bool) {
	v := deref(n)
	if r.quoted(n, what, integer) {
		return 0, false
	}
	if v.Kind == yaml.ScalarNode && v.Style == 0 && negative.MatchString(v.Value) {
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, v.Value), fmt.Sprintf("expected %d or more", least))
		return 0, false
	}
	if v.Kind != yaml.ScalarNode || v.Style != 0 || !integer.MatchString(v.Value) {
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, describe(v)), "expected a whole number, such as 3")
		return 0, false
	}
	number, err := strconv.Atoi(v.Value)
	if err != nil {
		r.problem(r.place(n), what+" is not a number", "expected a whole number, such as 3")
	}
	return number, err == nil
}

// readBool reads true or false.
func (r *reader) readBool(n *yaml.Node, what string) bool {
	v := deref(n)
	if v.Kind != yaml.ScalarNode || v.Style != 0 || v.Tag != "!!bool" {
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, describe(v)), "expected true or false")
		return false
	}
	return strings.EqualFold(v.Value, "true")
}

// items returns the items of a list.
func (r *reader) items(n *yaml.Node, what, want string) ([]*yaml.Node, bool) {
	v := deref(n)
	if v.Kind != yaml.SequenceNode || v.Style&yaml.TaggedStyle != 0 {
		r.problem(r.place(n), fmt.Sprintf("%s is %s", what, kindOf(v)), want)
		return nil, false
	}
	return v.Content, true
}

// kindOf says what a node is, without its content.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		return "a value with a YAML tag"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	case n.Tag == "!!bool":
		return "a boolean"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	}
	return "text"
}

// describe says what a node is, and quotes it where it is a scalar.
func describe(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Style&yaml.TaggedStyle != 0 {
		return kindOf(n)
	}
	return strconv.Quote(clip(n.Value))
}

// clip keeps a quotation short enough for one line.
func clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// placeIn returns the place of a byte of a scalar's text; see placesIn.
func (r *reader) placeIn(n *yaml.Node, offset int) Place { return r.placesIn(n, []int{offset})[0] }

// placesIn returns the places of bytes of a scalar's text, given in ascending order: it goes along the source and the
// text together, past the anchor, quotes, escapes, indentation and folded line breaks that only the source has. Where
// the two cannot be matched it is the place of the scalar.
func (r *reader) placesIn(n *yaml.Node, offsets []int) []Place {
	v := deref(n)
	w := walk{source: r.cursor.at(v.Line, v.Column), at: r.place(v), style: v.Style}
	w.open(v)
	var places []Place
	for rest := v.Value; len(places) < len(offsets); {
		char, size := utf8.DecodeRuneInString(rest)
		w.align(char)
		switch {
		case len(v.Value)-len(rest) >= offsets[len(places)]:
			places = append(places, w.at)
		case (char == ' ' || char == '\n') && w.folded():
			w.skip(white)
			rest = strings.TrimLeft(rest, " \n")
		case w.pass(char):
			rest = rest[size:]
		default:
			places = append(places, r.place(v))
		}
	}
	return places
}

// A cursor goes along a text. Its zero place is the beginning.
type cursor struct {
	text              string
	line, col, offset int
}

// at returns the text from a place on. It goes on from where it was last, as reading does: many calls in the order of the
// text take one way through it.
func (c *cursor) at(line, col int) string {
	if c.line == 0 || line < c.line || line == c.line && col < c.col {
		c.line, c.col, c.offset = 1, 1, 0
	}
	for c.offset < len(c.text) && (c.line < line || c.line == line && c.col < col) {
		char, size := utf8.DecodeRuneInString(c.text[c.offset:])
		c.offset += size
		c.col++
		if char == '\n' {
			c.line, c.col = c.line+1, 1
		}
	}
	return c.text[c.offset:]
}

// A walk is a way through the source of one scalar.
type walk struct {
	source string
	at     Place
	style  yaml.Style
	flat   int // white space before the last so many bytes of the source is known to hold no line break; 0: none is known
}

// white is what YAML folds.
const white = " \n\r"

// step passes the first character of the source.
func (w *walk) step() {
	char, size := utf8.DecodeRuneInString(w.source)
	w.source = w.source[size:]
	w.at.Col++
	if char == '\n' {
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

// open passes what stands before the text: an anchor, a quote, or the line of a block scalar's indicator.
func (w *walk) open(n *yaml.Node) {
	if strings.HasPrefix(w.source, "&"+n.Anchor) && n.Anchor != "" {
		w.skipTo(white)
		w.skip(white)
	}
	switch {
	case w.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		w.step()
	case w.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		w.skipTo("\n")
		w.step()
	}
}

// align passes what stands in the source before a character of the text and is not part of it: an escaped line break,
// and indentation.
func (w *walk) align(char rune) {
	if w.style&yaml.DoubleQuotedStyle != 0 && (strings.HasPrefix(w.source, "\\\n") || strings.HasPrefix(w.source, "\\\r")) {
		w.step()
		w.skip(white)
	}
	switch {
	case char == '\n' && w.style&yaml.LiteralStyle != 0:
		w.skip(" \r")
	case char != ' ' && char != '\n':
		w.skip(white)
	}
}

// folded reports whether the source goes on with white space that holds a line break and is folded.
func (w *walk) folded() bool {
	if w.style&yaml.LiteralStyle != 0 || w.flat > 0 && len(w.source) > w.flat {
		return false
	}
	rest := strings.TrimLeft(w.source, " \r")
	if strings.HasPrefix(rest, "\n") {
		return true
	}
	w.flat = len(rest)
	return false
}

// pass passes what stands in the source for one character of the text, and reports whether it does.
func (w *walk) pass(char rune) bool {
	source, _ := utf8.DecodeRuneInString(w.source)
	switch {
	case w.source == "":
		return false
	case w.style&yaml.DoubleQuotedStyle != 0 && source == '\\':
		for range escapeLen(w.source) {
			w.step()
		}
	case w.style&yaml.SingleQuotedStyle != 0 && source == '\'' && char == '\'':
		w.step()
		w.step()
	case source == char:
		w.step()
	default:
		return false
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
