// Package prose_test holds what people read against what the code does: README, action.yml, the examples, the set-up
// files and the workflows. What can be parsed is parsed as what it is, what can be run is run, and what is generated is
// compared with what generates it (go test ./internal/test/prose -update writes it).
package prose_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write the generated parts of REFERENCE.md and SECURITY.md")

// root is the repository, seen from this folder.
const root = "../../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// files returns the paths that match any of the globs, from the root. A glob that matches nothing fails the test: a
// check of nothing passes always.
func files(t *testing.T, globs ...string) []string {
	t.Helper()
	var all []string
	for _, glob := range globs {
		found, err := fs.Glob(os.DirFS(root), glob)
		if err != nil || len(found) == 0 {
			t.Fatalf("no file matches %s (%v)", glob, err)
		}
		all = append(all, found...)
	}
	return all
}

func texts(t *testing.T) []string {
	t.Helper()
	return files(t, "README.md", ".github/*.md", "examples/*/README.md")
}

func workflows(t *testing.T) []string {
	t.Helper()
	return files(t, ".github/workflows/*.yml", "examples/*/workflow.yml")
}

// A block is a fenced block of a Markdown text.
type block struct {
	language, text string
	line           int
}

// blocks returns the fenced blocks of a text, each without the indentation of its fence.
func blocks(text string) []block {
	var all []block
	var open *block
	var indent string
	for i, line := range strings.Split(text, "\n") {
		bare := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(bare, "```") && open == nil:
			indent = line[:len(line)-len(bare)]
			open = &block{language: strings.TrimSpace(bare[3:]), line: i + 1}
		case strings.HasPrefix(bare, "```"):
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	return all
}

// prose returns a text without its fenced blocks.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```").ReplaceAllString(text, "")
}

// between returns what stands between the two marks of a generated or compared part.
func between(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, begun := strings.Cut(text, "<!-- "+name+": begin -->\n")
	part, _, ended := strings.Cut(rest, "<!-- "+name+": end -->")
	if !begun || !ended {
		t.Fatalf("the text has no part marked %q", name)
	}
	return part
}

// rows returns the cells of a Markdown table, without its head.
func rows(t *testing.T, table string) [][]string {
	t.Helper()
	var all [][]string
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		all = append(all, cells)
	}
	if len(all) < 3 {
		t.Fatal("no table, or an empty one")
	}
	return all[2:]
}

// code returns the text of a cell that is one code span.
func code(cell string) (string, bool) {
	inner, ok := strings.CutPrefix(cell, "`")
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "`")
	return inner, ok && !strings.Contains(inner, "`")
}

// Lines have at most 120 columns, as in the code. What has no place to be broken at has none: a row of a table, a
// heading, an address, a code span. What is generated is as wide as its source has it.
func TestWidth(t *testing.T) {
	generated := regexp.MustCompile(`(?s)<!-- [a-z ]+: begin -->.*?<!-- [a-z ]+: end -->`)
	blank := func(part string) string { return strings.Repeat("\n", strings.Count(part, "\n")) }
	unbroken := regexp.MustCompile("^\\s*([|#]|`[^`]+`\\S*|\\S+)")
	for _, file := range append(texts(t), "action.yml") {
		text := generated.ReplaceAllStringFunc(read(t, file), blank)
		for i, line := range strings.Split(text, "\n") {
			if utf8.RuneCountInString(line) <= 120 {
				continue
			}
			start := unbroken.FindString(line)
			if bare := strings.TrimSpace(start); bare != "|" && bare != "#" && start != line {
				t.Errorf("%s:%d has %d columns; expected at most 120", file, i+1, utf8.RuneCountInString(line))
			}
		}
	}
}

// A mapping is a YAML mapping in the order of its text.
type mapping struct {
	Keys   []string
	Values map[string]yaml.Node
}

// UnmarshalYAML reads the mapping.
func (m *mapping) UnmarshalYAML(n *yaml.Node) error {
	m.Values = map[string]yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		m.Keys = append(m.Keys, n.Content[i].Value)
		m.Values[n.Content[i].Value] = *n.Content[i+1]
	}
	return nil
}

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}
