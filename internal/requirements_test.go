package internal_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// blocks returns the module paths of go.mod's require blocks, by the comment above each.
func blocks(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	title, before := "", ""
	inside := false
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case line == "require (":
			title, inside = strings.TrimPrefix(before, "// "), true
		case line == ")":
			inside = false
		case inside && line != "":
			if strings.HasSuffix(line, "// indirect") {
				title = "indirect"
			}
			path, _, _ := strings.Cut(line, " ")
			all[title] = append(all[title], path)
		}
		before = line
	}
	return all
}

// What go.mod says of its blocks is so: the first is what the program names and is made of, the second what only tests
// name, of which nothing is in the program.
func TestRequirementsAreGroupedAsGoModSays(t *testing.T) {
	const forTests = "For tests only: none of these is linked into the program."
	command := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for path := range strings.Lines(string(out)) {
		linked[strings.TrimSpace(path)] = true
	}
	of := blocks(t)
	for _, path := range of[""] {
		if !linked[path] {
			t.Errorf("%s is not in the program: its place is among those for tests only", path)
		}
	}
	for _, path := range of[forTests] {
		if linked[path] {
			t.Errorf("%s is in the program: its place is not among those for tests only", path)
		}
	}
	if len(of[""]) < 5 || len(of[forTests]) < 5 || len(of["indirect"]) < 5 || len(of) != 3 {
		t.Errorf("expected three blocks, the second with the comment %q; got %v", forTests, of)
	}
}
