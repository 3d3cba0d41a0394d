package provision_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/sensitive"
)

// exempt are types that a plan leads to and that hold no generated value: a policy, a template, a point in time.
var exempt = []reflect.Type{reflect.TypeFor[*password.Space](), reflect.TypeFor[*composite.Template](), reflect.TypeFor[time.Time]()}

// holders returns the paths from a type to whatever could hold a value: bytes, functions, channels, sensitive.Value, and
// interfaces, which could hold all of them. An error is one too, unless the type says which (see TestProperties).
func holders(t reflect.Type, path string, seen map[reflect.Type]bool) (paths []string) {
	if seen[t] || slices.Contains(exempt, t) {
		return nil
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Interface:
		return []string{path + " " + t.String()}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return []string{path + " " + t.String()}
		}
		return holders(t.Elem(), path+"[]", seen)
	case reflect.Pointer:
		return holders(t.Elem(), path, seen)
	case reflect.Map:
		return append(holders(t.Key(), path+"[key]", seen), holders(t.Elem(), path+"[]", seen)...)
	case reflect.Struct:
		if t == reflect.TypeFor[sensitive.Value]() {
			return []string{path + " " + t.String()}
		}
		for field := range t.Fields() {
			paths = append(paths, holders(field.Type, path+"."+field.Name, seen)...)
		}
	}
	return paths
}

// Nothing that a plan or a result leads to can hold a value, not even a field that nobody can see.
func TestNothingReturnedCanHoldAValue(t *testing.T) {
	for _, root := range []reflect.Type{reflect.TypeFor[provision.Plan](), reflect.TypeFor[provision.Error]()} {
		if got := holders(root, root.Name(), map[reflect.Type]bool{}); len(got) > 0 {
			t.Errorf("a value could be in %s", strings.Join(got, ", "))
		}
	}
	// What a result's error is of, TestProperties holds: always a *provision.Error.
	got := holders(reflect.TypeFor[provision.Result](), "Result", map[reflect.Type]bool{})
	if want := []string{"Result.Err error"}; !slices.Equal(got, want) {
		t.Errorf("a value could be in %s", strings.Join(got, ", "))
	}
}

// The walk sees each of the ways in which a value could be held.
func TestTheWalkSees(t *testing.T) {
	for _, planted := range []any{
		struct{ b []byte }{}, struct{ a [4]byte }{}, struct{ f func() string }{}, struct{ c chan string }{}, struct{ e error }{},
		struct{ v sensitive.Value }{}, struct {
			m map[string]*struct{ hidden []sensitive.Value }
		}{}, struct{ any any }{}, struct{ k map[[2]byte]int }{},
	} {
		if got := holders(reflect.TypeOf(planted), "", map[reflect.Type]bool{}); len(got) != 1 {
			t.Errorf("%T: found %v", planted, got)
		}
	}
}
