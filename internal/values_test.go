package internal_test

import (
	"go/types"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reads are all places outside of tests at which a value is read or made: each call of Reveal, which gives the bytes of
// a value, of Inspect and Derive, which hand them to a function, and of a generator's Draw, which makes a new one.
// Whoever reviews where a password can go reads these lines.
var reads = []string{
	"internal/arm/change.go: Reveal",          // the password, to Resource Manager
	"internal/composite/composite.go: Derive", // a connection string, computed when it is revealed
	"internal/identity/claims.go: Inspect",    // the ID token's claims
	"internal/identity/identity.go: Reveal",   // the ID token, to Entra
	"internal/keyvault/set.go: Reveal",        // the password, to its vault
	"internal/postgres/change.go: Derive",     // a SCRAM verifier, computed when it is revealed
	"internal/postgres/change.go: Reveal",     // the verifier, to the server
	"internal/postgres/change.go: Reveal",     // the password, into the proof's SCRAM exchange, which does not send it
	"internal/provision/apply.go: Draw",       // a new password
}

// TestWhoReadsAValue compares the list with the program. It finds what an identifier means, so a method that is taken
// as a value, or called through an embedded field, an alias or an interface of one's own, is found too. Through package
// reflect a method could be called unseen: no package of the program imports it.
func TestWhoReadsAValue(t *testing.T) {
	var got []string
	packages := program(t)
	for _, c := range packages {
		for id, object := range c.uses {
			if name := reader(c.path, object); name != "" {
				got = append(got, c.place(id)+": "+name)
			}
		}
		for _, file := range c.syntax {
			for _, spec := range file.Imports {
				if path := spec.Path.Value; path == `"reflect"` || path == `"unsafe"` {
					t.Errorf("%s imports %s, through which a value could be read unseen", c.place(spec), path)
				}
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(reads, got); diff != "" {
		t.Errorf("values are read elsewhere than the list says (-list +program):\n%s", diff)
	}
	if len(packages) < 15 {
		t.Errorf("%d packages; expected all of the program", len(packages))
	}
}

// reader returns the name of what an identifier in a package stands for if it reads or makes a value. The packages that
// make values are left out of the last: a generator is made of generators.
func reader(from string, object types.Object) string {
	function, ok := object.(*types.Func)
	if !ok {
		return ""
	}
	within := func(path string) bool { return from == module+path || strings.HasPrefix(from, module+path+"/") }
	method := function.Signature().Recv() != nil
	switch name := function.Name(); {
	case name == "Reveal" && method && !within("/internal/sensitive"):
		return name
	case name == "Draw" && method && !within("/internal/password"):
		return name
	case function.FullName() == module+"/internal/sensitive."+name && (name == "Inspect" || name == "Derive"):
		return name
	}
	return ""
}
