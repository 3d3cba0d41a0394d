package internal_test

import (
	"go/token"
	"path"
	"strings"
	"testing"
)

// A package is read by one person in one go: beyond 2,500 lines outside of tests it is split, or something of it goes.
// The emulator, which has a file for each service, is the exception.
func TestNoPackageIsTooLarge(t *testing.T) {
	const most = 2500
	files, lines := token.NewFileSet(), map[string]int{}
	for _, s := range sources(t, files) {
		if !strings.HasSuffix(s.path, "_test.go") {
			lines[path.Dir(s.path)] += files.File(s.file.FileStart).LineCount()
		}
	}
	for place, n := range lines {
		if n > most && place != "internal/test/emulator" {
			t.Errorf("%s has %d lines outside of tests; expected at most %d", place, n, most)
		}
	}
	if len(lines) < 30 {
		t.Errorf("%d packages; expected those of the whole module", len(lines))
	}
}
