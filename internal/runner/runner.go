// Package runner is GitHub's runner: inputs, outputs, masks, annotations, the job summary, report files and the job's
// ID token. It is a thin layer over sethvargo/go-githubactions. It avoids that library's fixed heredoc delimiter, its
// panics on input and output errors, log texts that can issue workflow commands, error texts that hold response bodies,
// and that it returns an empty ID token without an error.
//
// All output goes to standard output. The runner handles a batch of standard error before one of standard output, so a
// mask on standard output could come too late for a line on standard error (ProcessInvoker.cs of actions/runner).
//
// Nothing that the package prints can be read by the runner as a command unless it is meant as one. It never prints a
// token.
package runner

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"keyvault-passwords/internal/escape"
)

// MaxAnnotations is how many annotations of one level the runner shows for a step. It drops the rest without a word.
// https://github.com/actions/toolkit/blob/main/docs/problem-matchers.md#limitations
const MaxAnnotations = 10

// A Runner is the runner of one job. It is safe for concurrent use.
type Runner struct {
	getenv func(string) string
	action *githubactions.Action
	out    *output
}

// New returns the runner of the job with that environment and standard output. The client requests ID tokens.
func New(getenv func(string) string, stdout io.Writer, client *http.Client) *Runner {
	out := &output{w: stdout}
	return &Runner{
		getenv: getenv,
		out:    out,
		action: githubactions.New(
			githubactions.WithWriter(out),
			githubactions.WithGetenv(getenv),
			githubactions.WithHTTPClient(client),
		),
	}
}

// Err returns the first error of writing to standard output, if there was one.
func (r *Runner) Err() error {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	if r.out.err != nil {
		return fmt.Errorf("writing the log: %w", r.out.err)
	}
	return nil
}

// Input returns the input of that name without surrounding white space; "" if it is not given.
func (r *Runner) Input(name string) string { return r.action.GetInput(name) }

// Getenv returns a variable of the job's environment.
func (r *Runner) Getenv(name string) string { return r.getenv(name) }

// Run names this attempt of this run: OWNER/REPO/RUN_ID/ATTEMPT. Outside GitHub, "local".
func (r *Runner) Run() string {
	repository, id := r.getenv("GITHUB_REPOSITORY"), r.getenv("GITHUB_RUN_ID")
	if repository == "" || id == "" {
		return "local"
	}
	attempt := r.getenv("GITHUB_RUN_ATTEMPT")
	if attempt == "" {
		attempt = "1"
	}
	return strings.Join([]string{repository, id, attempt}, "/")
}

// Print writes one line to the log. The line cannot issue a command: see [escape.Line].
func (r *Runner) Print(line string) { _, _ = r.out.Write([]byte(escape.Line(line) + "\n")) }

// PrintLines writes each line of text as Print does, all of them at once.
func (r *Runner) PrintLines(text string) {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		lines.WriteString(escape.Line(strings.TrimSuffix(line, "\n")))
		lines.WriteByte('\n')
	}
	if lines.Len() > 0 {
		_, _ = r.out.Write([]byte(lines.String()))
	}
}

// Debug writes one line that the log shows only if step debug logging is on.
func (r *Runner) Debug(line string) { r.action.Debugf("%s", escape.Line(line)) }

// Group opens a fold of the log, which EndGroup closes. Folds do not nest.
func (r *Runner) Group(title string) { r.action.Group(escape.Line(title)) }

// EndGroup closes the fold that Group opened.
func (r *Runner) EndGroup() { r.action.EndGroup() }

// A Level is how serious an annotation is.
type Level string

// The levels that GitHub knows.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
	LevelNotice  Level = "notice"
)

// An Annotation is a message on the run's page. If it names a file, the pull request shows it there too.
type Annotation struct {
	Level     Level
	Text      string // the runner cuts it after 4096 characters
	File      string // its path in the repository; "": none
	Line, Col int    // from 1; 0: none
}

// Annotate shows the annotation. The runner shows the first [MaxAnnotations] of each level.
func (r *Runner) Annotate(a Annotation) {
	properties := githubactions.CommandProperties{}
	if a.File != "" {
		properties["file"] = escape.Line(a.File)
		if a.Line > 0 {
			properties["line"] = strconv.Itoa(a.Line)
		}
		if a.Col > 0 {
			properties["col"] = strconv.Itoa(a.Col)
		}
	}
	lines := strings.Split(a.Text, "\n")
	for i := range lines {
		lines[i] = escape.Line(lines[i])
	}
	r.action.IssueCommand(&githubactions.Command{
		Name: string(a.Level), Message: strings.Join(lines, "\n"), Properties: properties,
	})
}

// Maskable returns those of texts that can be masked, each once, and how many others there are: texts of three
// characters or fewer, which would make the log unreadable.
func Maskable(texts []string) (masks []string, short int) {
	seen := map[string]bool{}
	for _, text := range texts {
		switch {
		case seen[text]:
		case len(text) < minMask:
			short++
		default:
			masks = append(masks, text)
		}
		seen[text] = true
	}
	return masks, short
}

// Mask makes the runner replace each text that is [Maskable] by *** in everything that the job prints from then on.
func (r *Runner) Mask(texts ...string) {
	masks, _ := Maskable(texts)
	for _, text := range masks {
		r.action.AddMask(text)
	}
}

// minMask is the length of the shortest text that is masked. A mask of one digit would hit most version IDs.
const minMask = 4
