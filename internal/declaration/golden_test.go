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
	"github.com/rogpeppe/go-internal/txtar"

	"keyvault-passwords/internal/declaration/internal/strict"
)

var update = flag.Bool("update", false, "write the golden files and schema.json anew")

// fixtures returns the base names of the files DIR/*EXT of testdata. It fails if they are fewer than least: a glob that
// matches nothing must not pass.
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

// A badCase is a declaration that is refused, and its error: the files NAME.yml and NAME.txt of an archive.
type badCase struct {
	name string
	text []byte
	want *txtar.File
}

// A badTopic is an archive of testdata/bad.
type badTopic struct {
	path    string
	archive *txtar.Archive
	cases   []badCase
}

// badTopics returns the archives of testdata/bad. Their files must be pairs, and no name may be there twice.
func badTopics(t testing.TB) []badTopic {
	t.Helper()
	var topics []badTopic
	seen := map[string]bool{}
	for _, topic := range fixtures(t, "bad", ".txtar", 15) {
		path := filepath.Join("testdata", "bad", topic+".txtar")
		archive := txtar.Parse(readFile(t, path))
		var cases []badCase
		for i := 0; i < len(archive.Files); i += 2 {
			name, ok := strings.CutSuffix(archive.Files[i].Name, ".yml")
			if !ok || i+1 == len(archive.Files) || archive.Files[i+1].Name != name+".txt" || seen[name] {
				t.Fatalf("%s: %s does not begin a new pair of NAME.yml and NAME.txt", path, archive.Files[i].Name)
			}
			seen[name] = true
			cases = append(cases, badCase{name: name, text: archive.Files[i].Data, want: &archive.Files[i+1]})
		}
		topics = append(topics, badTopic{path: path, archive: archive, cases: cases})
	}
	return topics
}

// badCases returns the cases of all topics.
func badCases(t testing.TB) (cases []badCase) {
	t.Helper()
	const least = 215
	for _, topic := range badTopics(t) {
		cases = append(cases, topic.cases...)
	}
	if len(cases) < least {
		t.Fatalf("testdata/bad has %d cases, want %d or more", len(cases), least)
	}
	return cases
}

// Each bad declaration is refused with exactly the text that follows it, at exactly the lines that it marks.
func TestBadDeclarations(t *testing.T) {
	count := 0
	for _, topic := range badTopics(t) {
		for _, bad := range topic.cases {
			count++
			t.Run(bad.name, func(t *testing.T) { checkBad(t, bad) })
		}
		if *update {
			if err := os.WriteFile(topic.path, txtar.Format(topic.archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d cases", count)
}

func checkBad(t *testing.T, bad badCase) {
	declaration, err := Parse(Source{File: "passwords.yml", Text: bad.text})
	problems, ok := errors.AsType[Problems](err)
	if !ok || declaration != nil {
		t.Fatalf("got declaration %v and error %v, want Problems alone", declaration, err)
	}
	got := err.Error() + "\n"
	if *update {
		bad.want.Data = []byte(got)
	}
	if diff := cmp.Diff(string(bad.want.Data), got); diff != "" {
		t.Errorf("the error is another than %s (-want +got):\n%s", bad.want.Name, diff)
	}
	if got, want := linesOf(problems), marked(bad.text); !slices.Equal(got, want) {
		t.Errorf("the problems are at lines %v, and the file marks %v", got, want)
	}
}

// linesOf returns the lines with problems. The file as a whole has no line.
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

// marked returns the lines that end in "# wrong", and those that a line "# wrong: LINE" names, for a text that cannot
// have a comment.
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

// No two bad declarations are refused for the same reason: each is there for its own.
func TestBadDeclarationsDiffer(t *testing.T) {
	place := regexp.MustCompile(`(?m)^passwords\.yml(:\d+:\d+)?: `)
	seen := map[string]string{}
	for _, bad := range badCases(t) {
		text := place.ReplaceAllString(string(bad.want.Data), "")
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s are refused for the same reason", bad.name, other)
		}
		seen[text] = bad.name
	}
}

// Every problem has a cause and a remedy: it reads FILE:LINE:COL: what is wrong; what was expected.
func TestProblemsSayWhatWasExpected(t *testing.T) {
	for _, bad := range badCases(t) {
		_, err := Parse(Source{File: "passwords.yml", Text: bad.text})
		problems, _ := errors.AsType[Problems](err)
		for _, p := range problems {
			if p.Cause == "" || p.Remedy == "" || p.Act != "" {
				t.Errorf("%s: %q does not say what was expected", bad.name, p)
			}
		}
	}
}

// The number of problems is bounded, also for a text with a mistake in every line.
func TestProblemsAreBounded(t *testing.T) {
	text := "vault: kv-app\nsecrets:\n" + numbered("  k%d: [x]\n", 5000)
	_, err := Parse(Source{File: "passwords.yml", Text: []byte(text)})
	if problems, _ := errors.AsType[Problems](err); len(problems) != strict.MaxProblems || problems[0].Place.Line != 3 {
		t.Errorf("got %d problems, want the first %d", len(problems), strict.MaxProblems)
	}
}
