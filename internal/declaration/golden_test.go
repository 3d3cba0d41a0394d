package declaration

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/declaration/internal/strict"
)

var update = flag.Bool("update", false, "write the golden files and schema.json anew")

// fixtures returns the base names of the files DIR/*EXT of testdata, which must be at least so many: a glob that matches
// nothing is no passing test.
func fixtures(t testing.TB, dir, ext string, least int) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*"+ext))
	if err != nil || len(paths) < least {
		t.Fatalf("testdata/%s/*%s: %d files (%v), want %d or more", dir, ext, len(paths), err, least)
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ext))
	}
	return names
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each bad file is refused with exactly the text beside it, at exactly the lines that it marks.
func TestBadDeclarations(t *testing.T) {
	names := fixtures(t, "bad", ".yml", 60)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			text := readFile(t, "testdata", "bad", name+".yml")
			declaration, err := Parse(Source{File: "passwords.yml", Text: text})
			problems, ok := errors.AsType[Problems](err)
			if !ok || declaration != nil {
				t.Fatalf("got declaration %v and error %v, want Problems alone", declaration, err)
			}
			golden := filepath.Join("testdata", "bad", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(readFile(t, golden)), err.Error()+"\n"); diff != "" {
				t.Errorf("the error is another than %s (-want +got):\n%s", golden, diff)
			}
			if got, want := linesOf(problems), marked(text); !slices.Equal(got, want) {
				t.Errorf("the problems are at lines %v, and the file marks %v", got, want)
			}
		})
	}
	if diff := cmp.Diff(names, fixtures(t, "bad", ".txt", 60)); diff != "" {
		t.Errorf("testdata/bad does not hold pairs (-.yml +.txt):\n%s", diff)
	}
}

// linesOf returns the lines that have problems. A file as a whole has no line.
func linesOf(problems Problems) []int {
	var lines []int
	for _, p := range problems {
		if p.Place.Line > 0 && !slices.Contains(lines, p.Place.Line) {
			lines = append(lines, p.Place.Line)
		}
	}
	return lines
}

var mark = regexp.MustCompile(`# wrong(?:: (\d+))?$`)

// marked returns the lines that end in "# wrong", and those named by a line "# wrong: LINE", which is for text that can
// hold no comment.
func marked(text []byte) []int {
	var lines []int
	for i, line := range strings.Split(string(text), "\n") {
		switch match := mark.FindStringSubmatch(line); {
		case match == nil:
		case match[1] == "":
			lines = append(lines, i+1)
		default:
			number, _ := strconv.Atoi(match[1]) // digits, by the pattern
			lines = append(lines, number)
		}
	}
	return lines
}

// No two bad files are refused for the same reason: each is there for its own.
func TestBadDeclarationsDiffer(t *testing.T) {
	place := regexp.MustCompile(`(?m)^passwords\.yml(:\d+:\d+)?: `)
	seen := map[string]string{}
	for _, name := range fixtures(t, "bad", ".txt", 60) {
		text := place.ReplaceAllString(string(readFile(t, "testdata", "bad", name+".txt")), "")
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s are refused for the same reason", name, other)
		}
		seen[text] = name
	}
}

// Every message reads FILE:LINE:COL: what is wrong; what was expected.
func TestProblemsSayWhatWasExpected(t *testing.T) {
	for _, name := range fixtures(t, "bad", ".txt", 60) {
		for _, line := range strings.Split(strings.TrimSuffix(string(readFile(t, "testdata", "bad", name+".txt")), "\n"), "\n") {
			text, want, ok := strings.Cut(line, "; ")
			if !ok || text == "" || want == "" {
				t.Errorf("%s: %q does not say what was expected", name, line)
			}
		}
	}
}

// A text with a mistake in every line is not answered with as many.
func TestProblemsAreBounded(t *testing.T) {
	_, err := Parse(Source{File: "passwords.yml", Text: []byte("vault: kv-app\nsecrets:\n" + numbered("  k%d: [x]\n", 5000))})
	if problems, _ := errors.AsType[Problems](err); len(problems) != strict.MaxProblems || problems[0].Place.Line != 3 {
		t.Errorf("got %d problems, want the first %d", len(problems), strict.MaxProblems)
	}
}
