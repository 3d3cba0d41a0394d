package provision_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// exempt are types that the inside of a plan leads to and that hold no generated value: a policy, a template, a point
// in time.
var exempt = []reflect.Type{
	reflect.TypeFor[*password.Space](), reflect.TypeFor[*composite.Template](), reflect.TypeFor[time.Time](),
}

// A walk goes over a type, and what it leads to.
type walk struct {
	exported bool // over exported fields only
	exempt   []reflect.Type
	seen     map[reflect.Type]bool
}

// holders returns the paths from a type to whatever could hold a value or make one: bytes, functions, channels,
// sensitive.Value, generators, and interfaces, which could hold all of them.
func (w *walk) holders(t reflect.Type, path string) (paths []string) {
	if w.seen[t] || slices.Contains(w.exempt, t) {
		return nil
	}
	if w.seen == nil {
		w.seen = map[reflect.Type]bool{}
	}
	w.seen[t] = true
	switch t {
	case reflect.TypeFor[sensitive.Value](), reflect.TypeFor[password.Space](), reflect.TypeFor[composite.Template]():
		return []string{path + " " + t.String()}
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Interface:
		return []string{path + " " + t.String()}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return []string{path + " " + t.String()}
		}
		return w.holders(t.Elem(), path+"[]")
	case reflect.Pointer:
		return w.holders(t.Elem(), path)
	case reflect.Map:
		return append(w.holders(t.Key(), path+"[key]"), w.holders(t.Elem(), path+"[]")...)
	case reflect.Struct:
		for field := range t.Fields() {
			if field.IsExported() || !w.exported {
				paths = append(paths, w.holders(field.Type, path+"."+field.Name)...)
			}
		}
	}
	return paths
}

// Nothing that a plan or a result leads to can hold a value, not even a field that nobody can see; and nothing that
// other packages can see of it leads to what draws one.
func TestNothingReturnedCanHoldAValue(t *testing.T) {
	// What a result's error is, TestProperties holds: always a refusal.Refusal.
	want := map[reflect.Type][]string{reflect.TypeFor[provision.Result](): {"Result.Err error"}}
	for _, root := range []reflect.Type{
		reflect.TypeFor[provision.Plan](), reflect.TypeFor[provision.Result](), reflect.TypeFor[refusal.Refusal](),
	} {
		inside := &walk{exempt: exempt}
		if got := inside.holders(root, root.Name()); !slices.Equal(got, want[root]) {
			t.Errorf("a value could be in %s", strings.Join(got, ", "))
		}
		outside := &walk{exported: true, exempt: []reflect.Type{reflect.TypeFor[time.Time]()}}
		if got := outside.holders(root, root.Name()); !slices.Equal(got, want[root]) {
			t.Errorf("other packages can reach %s", strings.Join(got, ", "))
		}
	}
}

// The walk sees each of the ways in which a value could be held.
func TestTheWalkSees(t *testing.T) {
	for _, planted := range []any{
		struct{ b []byte }{}, struct{ a [4]byte }{}, struct{ f func() string }{}, struct{ c chan string }{},
		struct{ e error }{},
		struct{ v sensitive.Value }{}, struct {
			m map[string]*struct{ hidden []sensitive.Value }
		}{}, struct{ any any }{}, struct{ k map[[2]byte]int }{}, struct{ s *password.Space }{},
		struct{ p []declaration.Part }{},
	} {
		if got := new(walk).holders(reflect.TypeOf(planted), ""); len(got) != 1 {
			t.Errorf("%T: found %v", planted, got)
		}
	}
}
