package internal_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// contributing returns .github/CONTRIBUTING.md.
func contributing(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../.github/CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of rooms has every package under internal, those of tests included, and no other.
func TestContributingHasTheRooms(t *testing.T) {
	out, err := exec.Command("go", "list", module+"/internal/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for path := range strings.Lines(string(out)) {
		want = append(want, strings.TrimPrefix(strings.TrimSpace(path), module+"/internal/"))
	}
	want = slices.DeleteFunc(want, func(path string) bool { return path == module+"/internal" })
	_, table, _ := strings.Cut(contributing(t), "<!-- rooms: begin -->")
	table, _, _ = strings.Cut(table, "<!-- rooms: end -->")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| .+ \\|.*\\|$").FindAllStringSubmatch(table, -1) {
		got = append(got, row[1])
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the rooms (-packages +table):\n%s", diff)
	}
}

// Every file and folder that the text names is there.
func TestContributingNamesWhatIsThere(t *testing.T) {
	paths := regexp.MustCompile("`((?:internal|examples|\\.ci|\\.github)/[\\w./-]+|[\\w.]+\\.yml)`")
	found := paths.FindAllStringSubmatch(contributing(t), -1)
	for _, match := range found {
		if _, err := os.Stat("../" + match[1]); err != nil {
			t.Errorf("%s: %v", match[1], err)
		}
	}
	if len(found) < 20 {
		t.Errorf("%d paths; expected those of all tables", len(found))
	}
}
