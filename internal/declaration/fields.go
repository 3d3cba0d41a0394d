package declaration

import (
	"fmt"
	"slices"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
)

// A reader reads a declaration: its methods know the kinds of values that a declaration has.
type reader struct {
	*strict.Reader
	hint      func(key string) string        // where a key belongs that is unknown where it is
	templates map[string]*composite.Template // the sound ones, by their texts
}

// A located is a value and its place. The zero located is a key that is absent.
type located[T any] struct {
	value T
	place Place
	node  *strict.Node
}

// given reports whether the key was there.
func (l located[T]) given() bool { return l.node != nil }

// text returns the value as it was written.
func (l located[T]) text() string { return strict.Value(l.node) }

// locate returns a value with its place.
func locate[T any](r *reader, n *strict.Node, value T) located[T] {
	return located[T]{value: value, place: r.Place(n), node: n}
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
}

// A noter notes the place of each value before it is read.
type noter interface{ note(key string, at Place) }

// readFields reads a mapping of known keys. It reports whether the node is a mapping at all.
func readFields[T any](r *reader, n *strict.Node, what, remedy string, fields []field[T], into *T) bool {
	entries, ok := r.Entries(n, what, remedy)
	for _, entry := range entries {
		i := slices.IndexFunc(fields, func(f field[T]) bool { return f.name == entry.Name() })
		switch {
		case i < 0:
			r.Unknown(r.Place(entry.Key), "key", entry.Name(), " in "+what, namesOf(fields), r.hint(entry.Name()))
		case strict.KindOf(entry.Value) == strict.Empty:
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%s has no value", entry.Name()),
				"set it ("+fields[i].takes+") or remove the key")
		default:
			if d, ok := any(into).(noter); ok {
				d.note(entry.Name(), r.Place(entry.Value))
			}
			fields[i].read(r, entry.Value, into)
		}
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
