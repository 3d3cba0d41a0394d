package internal_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// arrows is the structure of the program: which of its packages each package may import, and no other. It is the true
// diagram: a package that is missing here fails the test, and so does an arrow that is not in the code.
var arrows = map[string]string{
	".":                                        "action",
	"internal/access":                          "",
	"internal/action":                          "access arm audit azure declaration export identity keyvault lifecycle network postgres provision refusal report runner",
	"internal/arm":                             "access azure network refusal sdk sensitive",
	"internal/audit":                           "declaration lifecycle",
	"internal/azure":                           "refusal",
	"internal/composite":                       "refusal sensitive",
	"internal/declaration":                     "azure composite declaration/internal/grammar declaration/internal/strict lifecycle password refusal",
	"internal/declaration/internal/grammar":    "azure composite declaration/internal/strict lifecycle password refusal",
	"internal/declaration/internal/strict":     "refusal",
	"internal/escape":                          "",
	"internal/export":                          "audit declaration lifecycle refusal",
	"internal/identity":                        "access azure network refusal sdk sensitive",
	"internal/keyvault":                        "access lifecycle network refusal sdk sensitive",
	"internal/lifecycle":                       "",
	"internal/network":                         "",
	"internal/password":                        "password/internal/ascii password/internal/automaton password/internal/language password/internal/lexicon password/internal/passwordrules password/internal/phrase password/internal/uniform refusal sensitive",
	"internal/password/internal/ascii":         "",
	"internal/password/internal/automaton":     "password/internal/ascii",
	"internal/password/internal/composition":   "password/internal/ascii password/internal/automaton password/internal/lexicon password/internal/quota password/internal/uniform",
	"internal/password/internal/language":      "password/internal/ascii password/internal/automaton password/internal/composition password/internal/lexicon password/internal/quota password/internal/uniform",
	"internal/password/internal/lexicon":       "password/internal/ascii password/internal/automaton",
	"internal/password/internal/passwordrules": "password/internal/ascii refusal",
	"internal/password/internal/phrase":        "password/internal/ascii password/internal/automaton password/internal/uniform",
	"internal/password/internal/quota":         "password/internal/ascii password/internal/automaton",
	"internal/password/internal/uniform":       "",
	"internal/postgres":                        "access network refusal sensitive",
	"internal/provision":                       "declaration keyvault lifecycle refusal sensitive",
	"internal/refusal":                         "",
	"internal/report":                          "audit declaration escape provision refusal",
	"internal/runner":                          "escape network refusal sensitive",
	"internal/sdk":                             "network",
	"internal/sensitive":                       "",
	"internal/test/emulator":                   "",
	"internal/test/job":                        "action network test/emulator",
	"internal/test/pgserver":                   "test/emulator",
	"examples/local":                           "test/emulator test/pgserver",
}

const module = "keyvault-passwords"

func TestImportsAreTheArrowsOfTheDesign(t *testing.T) {
	imports := list(t, "{{.ImportPath}}:{{join .Imports \" \"}}")
	for place, others := range imports {
		want, ok := arrows[place]
		if !ok {
			t.Errorf("package %s is not in the diagram", place)
			continue
		}
		if diff := cmp.Diff(strings.Fields(want), ours(others), ignoreEmpty); diff != "" {
			t.Errorf("%s imports other packages than the diagram says (-want +got):\n%s", place, diff)
		}
	}
	for place := range arrows {
		if _, ok := imports[place]; !ok {
			t.Errorf("package %s of the diagram does not exist", place)
		}
	}
}

// Nothing of the tests is linked into the program, and the emulator, which stands in for all others' services, is
// written with the standard library alone.
func TestWhatMayNotBeReached(t *testing.T) {
	deps := list(t, "{{.ImportPath}}:{{join .Deps \" \"}}")
	for place, others := range deps {
		if strings.HasPrefix(place, "internal/test/") || strings.HasPrefix(place, "examples/") {
			continue
		}
		for _, path := range strings.Fields(others) {
			if strings.HasPrefix(path, module+"/internal/test/") {
				t.Errorf("%s depends on %s; only tests and examples may", place, path)
			}
		}
	}
	for _, path := range strings.Fields(deps["internal/test/emulator"]) {
		if strings.Contains(strings.Split(path, "/")[0], ".") && !strings.HasPrefix(path, "vendor/") {
			t.Errorf("the emulator depends on %s; expected the standard library alone", path)
		}
	}
}

// list returns what go list says of each package of the module that has code of its own, by its folder.
func list(t *testing.T, format string) map[string]string {
	t.Helper()
	command := exec.Command("go", "list", "-f", "{{if .GoFiles}}"+format+"{{end}}", module+"/...")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	packages := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		place := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if place == "" {
			place = "."
		}
		packages[place] = rest
	}
	return packages
}

// ours returns the packages of the module among imports, by their paths below internal.
func ours(imports string) (names []string) {
	for _, path := range strings.Fields(imports) {
		if name, ok := strings.CutPrefix(path, module+"/internal/"); ok {
			names = append(names, name)
		}
	}
	return names
}

var ignoreEmpty = cmp.Transformer("joined", func(names []string) string { return strings.Join(names, " ") })
