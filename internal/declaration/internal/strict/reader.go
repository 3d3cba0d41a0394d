package strict

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A Kind is what a node is. An alias has the kind of what it refers to.
type Kind int

// The kinds. A node that has a YAML tag in the text is Tagged, whatever else it is.
const (
	Text Kind = iota
	Empty
	Boolean
	Integer
	Float
	MergeKey // <<
	Tagged
	List
	Mapping
)

// String returns the kind with its article, for "KEY is ...".
func (k Kind) String() string {
	return [...]string{"text", "empty", "a boolean", "a number", "a number", "a merge key", "a value with a YAML tag",
		"a list", "a mapping"}[k]
}

// scalarKinds are the kinds by the tag that the parser resolves. It leaves the date of YAML 1.1 as text.
var scalarKinds = map[string]Kind{
	"!!null": Empty, "!!bool": Boolean, "!!int": Integer, "!!float": Float, "!!merge": MergeKey,
}

// KindOf returns the kind of a node.
func KindOf(n *Node) Kind {
	switch n = deref(n); {
	case n.Style&yaml.TaggedStyle != 0:
		return Tagged
	case n.Kind == yaml.MappingNode:
		return Mapping
	case n.Kind == yaml.SequenceNode:
		return List
	}
	return scalarKinds[n.Tag]
}

// Value returns the text of a scalar, with quotes, escapes and folding resolved; "" for a mapping and a list.
func Value(n *Node) string { return deref(n).Value }

// Content returns a text that two nodes share exactly if they say the same: kinds, values and order are equal, aliases
// replaced. Places, comments and the way a text is quoted do not matter.
func Content(n *Node) string {
	n = deref(n)
	var text strings.Builder
	fmt.Fprintf(&text, "%d%s%q(", n.Kind, n.Tag, n.Value)
	for _, child := range n.Content {
		text.WriteString(Content(child))
	}
	text.WriteString(")")
	return text.String()
}

// IsPlain reports whether a node is a scalar without quotes, which is what a number and a boolean must be.
func IsPlain(n *Node) bool {
	n = deref(n)
	return n.Kind == yaml.ScalarNode && n.Style == 0
}

// Describe says what a node is: its kind, or its text in quotes where it is a scalar that has one.
func Describe(n *Node) string {
	if kind := KindOf(n); kind == Empty || kind >= Tagged {
		return kind.String()
	}
	return strconv.Quote(Clip(Value(n)))
}

// Clip shortens a quotation to 60 characters.
func Clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// IsName reports whether a text is a letter followed by at most 63 letters, digits, hyphens and underscores, all of
// ASCII. [NamePattern] says the same.
func IsName(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '-' && c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return 0 < len(text) && len(text) <= 64
}

// NamePattern is a regular expression for what [IsName] accepts.
const NamePattern = `^[A-Za-z][A-Za-z0-9_-]{0,63}$`

// An Entry is a key of a mapping and its value.
type Entry struct{ Key, Value *Node }

// Name returns the text of the key.
func (e Entry) Name() string { return Value(e.Key) }

// Entries returns the entries of a mapping, in order. A key must be text, and be there once; any other is noted and
// left out. what names the mapping in messages, and remedy says what was expected if it is none.
func (r *Reader) Entries(n *Node, what, remedy string) (entries []Entry, ok bool) {
	if kind := KindOf(n); kind != Mapping {
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
		return nil, false
	}
	first := map[string]*Node{}
	for _, entry := range EntriesOf(n) {
		key, name := entry.Key, entry.Name()
		switch kind := KindOf(key); {
		case kind == MergeKey:
			r.Refuse(r.Place(key), "merge key << is not supported", "expected the keys themselves")
		case kind >= Tagged:
			r.Refuse(r.Place(key), fmt.Sprintf("a key of %s is %s", what, kind), "expected text")
		case first[name] != nil:
			cause := fmt.Sprintf("key %q is in %s twice, first at %s", Clip(name), what, r.Place(first[name]))
			r.Refuse(r.Place(key), cause, "remove one of them")
		default:
			first[name] = key
			entries = append(entries, entry)
		}
	}
	return entries, true
}

// EntriesOf returns all entries of a mapping, unchecked; none of any other node.
func EntriesOf(n *Node) []Entry {
	if KindOf(n) != Mapping {
		return nil
	}
	content := deref(n).Content
	entries := make([]Entry, 0, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		entries = append(entries, Entry{Key: content[i], Value: content[i+1]})
	}
	return entries
}

// Along returns the node that a path leads to, as "characters[2].min" does through mappings and lists; where it leads
// to none, the last one on the way, which may be n.
func Along(n *Node, path string) *Node {
	for _, step := range strings.FieldsFunc(path, func(c rune) bool { return strings.ContainsRune(".[]", c) }) {
		next := child(n, step)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// child returns the value of a key of a mapping, or an item of a list by its index; nil if there is none.
func child(n *Node, step string) *Node {
	for _, entry := range EntriesOf(n) {
		if entry.Name() == step {
			return entry.Value
		}
	}
	index, err := strconv.Atoi(step)
	if KindOf(n) != List || err != nil || index >= len(deref(n).Content) {
		return nil
	}
	return deref(n).Content[index]
}

// Items returns the items of a list.
func (r *Reader) Items(n *Node, what, remedy string) ([]*Node, bool) {
	if kind := KindOf(n); kind != List {
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
		return nil, false
	}
	return deref(n).Content, true
}

// IsBare reports whether a node is a mapping or a list with nothing in it.
func IsBare(n *Node) bool {
	kind := KindOf(n)
	return (kind == Mapping || kind == List) && len(deref(n).Content) == 0
}

// Line reads a text of 1 to most characters without control characters.
func (r *Reader) Line(n *Node, what string, most int) (string, bool) {
	text, ok := r.Scalar(n, what)
	switch count := utf8.RuneCountInString(text); {
	case !ok:
		return "", false
	case count == 0:
		r.Refuse(r.Place(n), what+" is empty", "expected text; otherwise remove the key")
	case count > most:
		r.Refuse(r.Place(n), fmt.Sprintf("%s has %d characters", what, count), fmt.Sprintf("expected at most %d", most))
	case !r.Printable(n, what):
	default:
		return text, true
	}
	return "", false
}

// Scalar reads any text, the empty one too. A number or a boolean is refused: as text it needs quotes.
func (r *Reader) Scalar(n *Node, what string) (string, bool) {
	kind := KindOf(n)
	if kind == Text {
		return Value(n), true
	}
	remedy := "expected text"
	if kind != Empty && kind < Tagged {
		remedy = "expected text; put it in quotes"
	}
	r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, kind), remedy)
	return "", false
}

// Printable notes a text with a control character, and reports whether there is none.
func (r *Reader) Printable(n *Node, what string) bool {
	if !strings.ContainsFunc(Value(n), unicode.IsControl) {
		return true
	}
	remedy := "expected printable text on one line"
	if deref(n).Style&yaml.DoubleQuotedStyle != 0 {
		remedy += `; in double quotes, write a backslash as \\`
	}
	r.Refuse(r.Place(n), what+" contains a control character", remedy)
	return false
}

// Integer reads a whole number of at most nine decimal digits, without a sign. least is only for the message on a
// negative number: the caller checks the range.
func (r *Reader) Integer(n *Node, what string, least int) (int, bool) {
	text := Value(n)
	digits, negative := strings.CutPrefix(text, "-")
	switch number, err := strconv.Atoi(digits); {
	case r.quoted(n, what, isDigits(text)):
	case !IsPlain(n) || !isDigits(digits) || err != nil:
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, Describe(n)), "expected a whole number, such as 3")
	case negative:
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, text), fmt.Sprintf("expected %d or more", least))
	default:
		return number, true
	}
	return 0, false
}

// Decimal reads a number above 0, of at most nine decimal digits and nine more after a point. remedy says what was
// expected.
func (r *Reader) Decimal(n *Node, what, remedy string) (float64, bool) {
	text := Value(n)
	whole, fraction, point := strings.Cut(text, ".")
	decimal := isDigits(whole) && (!point || isDigits(fraction))
	switch number, err := strconv.ParseFloat(text, 64); {
	case r.quoted(n, what, decimal):
	case !IsPlain(n) || !decimal || err != nil || number <= 0:
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, Describe(n)), remedy)
	default:
		return number, true
	}
	return 0, false
}

// quoted notes a number that its quotes make a text, and reports whether it is one. isNumber says whether the text is
// that of a number.
func (r *Reader) quoted(n *Node, what string, isNumber bool) bool {
	const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle
	if !isNumber || KindOf(n) != Text || deref(n).Style&quotes == 0 {
		return false
	}
	r.Refuse(r.Place(n), fmt.Sprintf("%s is the text %q", what, Value(n)), "expected a number; remove the quotes")
	return true
}

// isDigits reports whether a text is one to nine decimal digits: a number that fits in any integer.
func isDigits(text string) bool {
	return text != "" && len(text) <= 9 && strings.Trim(text, "0123456789") == ""
}

// Boolean reads true or false, in lower case, in upper case, or with a capital.
func (r *Reader) Boolean(n *Node, what string) bool {
	if !IsPlain(n) || KindOf(n) != Boolean {
		r.Refuse(r.Place(n), fmt.Sprintf("%s is %s", what, Describe(n)), "expected true or false")
		return false
	}
	return strings.EqualFold(Value(n), "true")
}
