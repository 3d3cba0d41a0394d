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
	".":                     "action",
	"internal/action":       "cloud declaration identity keyvault provision report runner",
	"internal/cloud":        "",
	"internal/composite":    "sensitive",
	"internal/declaration":  "cloud composite password",
	"internal/emulator":     "",
	"internal/emulatortest": "emulator",
	"internal/escape":       "",
	"internal/identity":     "cloud netfault sensitive",
	"internal/keyvault":     "netfault sensitive",
	"internal/netfault":     "",
	"internal/password":     "sensitive",
	"internal/provision":    "declaration keyvault sensitive",
	"internal/report":       "declaration escape keyvault provision",
	"internal/runner":       "escape netfault sensitive",
	"internal/sensitive":    "",
	"examples/local":        "emulator",
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

// The report is made of names, versions and reasons. What it may not name it cannot print, and the emulator, which reads
// values, is no part of the program.
func TestWhatMayNotBeReached(t *testing.T) {
	deps := list(t, "{{.ImportPath}}:{{join .Deps \" \"}}")
	for _, path := range strings.Fields(deps["."]) {
		if path == module+"/internal/emulator" {
			t.Error("the program links the emulator")
		}
	}
	imports := list(t, "{{.ImportPath}}:{{join .Imports \" \"}}")
	for _, name := range ours(imports["internal/report"]) {
		if name == "sensitive" {
			t.Error("report can name a value")
		}
	}
	for _, path := range strings.Fields(deps["internal/emulator"]) {
		if strings.Contains(strings.Split(path, "/")[0], ".") && !strings.HasPrefix(path, "vendor/") {
			t.Errorf("the emulator depends on %s; it stands on the standard library alone", path)
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

// ours returns the packages of the module among imports, by their last element.
func ours(imports string) (names []string) {
	for _, path := range strings.Fields(imports) {
		if name, ok := strings.CutPrefix(path, module+"/internal/"); ok {
			names = append(names, name)
		}
	}
	return names
}

var ignoreEmpty = cmp.Transformer("joined", func(names []string) string { return strings.Join(names, " ") })
