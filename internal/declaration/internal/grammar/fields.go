package grammar

import (
	"fmt"
	"slices"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/refusal"
)

// A reader reads a declaration: its methods know the kinds of values that a declaration has.
type reader struct {
	*strict.Reader
	hint      func(key string) string        // where a key belongs that is unknown where it is
	templates map[string]*composite.Template // the sound ones, by their texts
	isTrial   bool                           // it only finds out whether a value can be read
}

// A Located is a value and its place. The zero Located is a key that is absent, or whose value was refused.
type Located[T any] struct {
	Value T
	Place strict.Place

	node *strict.Node
}

// Given reports whether the key was there.
func (l Located[T]) Given() bool { return l.node != nil }

// Text returns the value as it was written.
func (l Located[T]) Text() string { return strict.Value(l.node) }

// locate returns a value with its place.
func locate[T any](r *reader, n *strict.Node, value T) Located[T] {
	return Located[T]{Value: value, Place: r.Place(n), node: n}
}

// A field is one key of a mapping that is read into a T: how it is read, and what the reference and the schema say of
// it.
type field[T any] struct {
	name    string
	takes   string   // its value, for the reference: "text", "list of text"
	schema  string   // the definition of its value in the JSON Schema
	doc     string   // one or two sentences, in Markdown
	notWith []string // the keys of the same mapping that exclude it, for the JSON Schema
	read    func(r *reader, n *strict.Node, into *T)

	// fits reports whether a value that is wrong under another key is meant for this one. Nil: if it can be read. Keys
	// that take nearly any text need it.
	fits func(n *strict.Node) bool
}

// readFields reads a mapping of known keys. It reports whether it found no problem.
func readFields[T any](r *reader, n *strict.Node, what, remedy string, fields []field[T], into *T) bool {
	before := r.Found()
	entries, _ := r.Entries(n, what, remedy)
	for _, entry := range entries {
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == entry.Name() })
		switch {
		case i < 0:
			r.Unknown(r.Place(entry.Key), "key", entry.Name(), " in "+what, namesOf(fields), r.hint(entry.Name()))
		case strict.KindOf(entry.Value) == strict.Empty:
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%s has no value", entry.Name()),
				"set it ("+fields[i].takes+") or remove the key")
		default:
			found := r.Found()
			fields[i].read(r, entry.Value, into)
			if r.Found() > found && !r.isTrial {
				r.Advise(found, r.Place(entry.Value), hintForValue(r, entry.Value, i, fields))
			}
		}
	}
	return r.Found() == before
}

func namesOf[T any](fields []field[T]) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return names
}

// readItems returns the items of a list, which must have one.
func (r *reader) readItems(n *strict.Node, what, remedy, remedyForNone string) []*strict.Node {
	items, ok := r.Items(n, what, remedy)
	if ok && len(items) == 0 {
		r.Refuse(r.Place(n), what+" is empty", remedyForNone)
	}
	return items
}

// readCount reads a whole number of at least 1, for rules that 0 would turn off without a word.
func (r *reader) readCount(n *strict.Node, what string) int {
	number, ok := r.Integer(n, what, 1)
	if ok && number == 0 {
		r.Refuse(r.Place(n), what+" is 0", "expected 1 or more; otherwise remove the key")
	}
	return number
}

// locateText reads a text and notes its place.
func (r *reader) locateText(n *strict.Node, what string) Located[string] {
	return locateAs(r, n, what, maxText, func(text string) (string, error) { return text, nil })
}

// locateAs reads a text of some form, and notes the refusal of one that is not of it.
func locateAs[T any](r *reader, n *strict.Node, what string, most int, parse func(string) (T, error)) Located[T] {
	text, ok := r.Line(n, what, most)
	if !ok {
		return Located[T]{}
	}
	value, err := parse(text)
	if err != nil {
		why := refusal.Of(err)
		r.Refuse(r.Place(n), why.Cause, why.Remedy)
		return Located[T]{}
	}
	return locate(r, n, value)
}

// nameRemedy says what [strict.IsName] accepts: the names of policies, vaults and parts. A policy's name is part of a
// tag of at most 256 characters.
const nameRemedy = "expected a letter, followed by up to 63 letters, digits, hyphens and underscores"
