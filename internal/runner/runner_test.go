package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/runner"
)

// job returns a runner of a job with that environment, and its log.
func job(env map[string]string, client *http.Client) (*runner.Runner, *bytes.Buffer) {
	var log bytes.Buffer
	return runner.New(func(name string) string { return env[name] }, &log, client), &log
}

func TestInput(t *testing.T) {
	r, _ := job(map[string]string{"INPUT_TENANT-ID": "  x \n"}, nil)
	if got := r.Input("tenant-id"); got != "x" {
		t.Errorf("Input = %q; want it trimmed, and the hyphen kept in the variable's name", got)
	}
}

func TestRun(t *testing.T) {
	r, _ := job(map[string]string{"GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "2"}, nil)
	if got := r.Run(); got != "o/r/7/2" {
		t.Errorf("Run = %q", got)
	}
	if r, _ = job(nil, nil); r.Run() != "local" {
		t.Errorf("Run outside GitHub = %q", r.Run())
	}
}

// No text can be read as a command, by the rules of the runner's ActionCommand.cs.
func TestTextCannotIssueCommands(t *testing.T) {
	for _, text := range []string{
		"::error::x", "  ::add-mask::x", "\t::error::x", "a\n::set-output name=x::y", "a\r\n::error::x",
		"a\r::error::x", "x ##[add-mask]y", "##[error]x", "x\x00##[error]y",
		"\u2028::error::x", "\x1b[31mred", "::::error::x",
		"\u00a0::error::x", "\u200b::error::x", "#\u00ad#[error]x",
	} {
		r, log := job(nil, nil)
		r.Print(text)
		if got := log.String(); isCommand(got) || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("Print(%q) prints %q", text, got)
		}
		log.Reset()
		r.Annotate(runner.Annotation{Level: runner.LevelError, Text: text, File: text, Line: 1})
		got, isError := log.String(), strings.HasPrefix(log.String(), "::error ")
		if strings.Count(got, "\n") != 1 || !isError || strings.Contains(got, "##[") {
			t.Errorf("Annotate(%q) prints %q", text, got)
		}
	}
	r, log := job(nil, nil)
	r.Print("plain: text, with %0A and a :: in the middle")
	if got := log.String(); got != "plain: text, with %0A and a :: in the middle\n" {
		t.Errorf("plain text is printed as %q", got)
	}
}

// isCommand is ActionCommand.cs: "::" after spaces at the start of a line, "##[" anywhere.
func isCommand(text string) bool {
	for _, line := range regexp.MustCompile(`[\r\n\x{2028}\x{2029}\x{0085}]`).Split(text, -1) {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[") {
			return true
		}
	}
	return false
}

func TestAnnotation(t *testing.T) {
	r, log := job(nil, nil)
	r.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: "a\nb: 100%", File: "a,b:c.yml", Line: 3, Col: 5})
	r.Annotate(runner.Annotation{Level: runner.LevelNotice, Text: "no place"})
	want := "::warning col=5,file=a%2Cb%3Ac.yml,line=3::a%0Ab: 100%25\n::notice::no place\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestMask(t *testing.T) {
	r, log := job(nil, nil)
	texts := []string{"a-secret", "abc", "a-secret", "", "50%done"}
	if _, short := runner.Maskable(texts); short != 2 {
		t.Errorf("Maskable reports %d short texts; want 2", short)
	}
	r.Mask(texts...)
	if diff := cmp.Diff("::add-mask::a-secret\n::add-mask::50%25done\n", log.String()); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
}

// The output file is rewritten as a whole, keeps what stood in it, and no value can end its own fence.
func TestOutputs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "output")
	if err := os.WriteFile(path, []byte("before=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, _ := job(map[string]string{"GITHUB_OUTPUT": path}, nil)
	outputs, err := r.OpenOutputs()
	if err != nil {
		t.Fatal(err)
	}
	if text := read(t, path); text != "before=1\n" {
		t.Errorf("the probe left %q", text)
	}
	write := func(values ...string) string {
		t.Helper()
		var list []runner.Output
		for i, value := range values {
			list = append(list, runner.Output{Name: fmt.Sprintf("o%d", i), Value: value})
		}
		if err := outputs.Write(list); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	long := write("a long first value", "and another")
	short := write("b")
	fence := regexp.MustCompile(`^before=1\no0<<(ghadelimiter_[A-Z2-7]{26})\n(.*)\n(ghadelimiter_[A-Z2-7]{26})\n`)
	first, second := fence.FindStringSubmatch(long), fence.FindStringSubmatch(short)
	if first == nil || second == nil || first[1] != first[3] || second[2] != "b" || len(short) >= len(long) {
		t.Fatalf("the file reads %q, then %q", long, short)
	}
	if first[1] == second[1] {
		t.Error("the delimiter is not drawn anew")
	}
	if err := outputs.Close(); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOutputsThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"":                       "GITHUB_OUTPUT is not set",
		filepath.Join(dir, "no"): "no such file",
		dir:                      "is a directory",
		"/dev/full":              "nothing was stored",
	} {
		r, _ := job(map[string]string{"GITHUB_OUTPUT": path}, nil)
		if _, err := r.OpenOutputs(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("OpenOutputs of %q: %v; want %q", path, err, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "summary")
	r, _ := job(map[string]string{"GITHUB_STEP_SUMMARY": path}, nil)
	for _, text := range []string{"# a\n", "b\n"} {
		if err := r.Summarize(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := read(t, path); text != "# a\nb\n" {
		t.Errorf("the summary is %q", text)
	}
	if r, _ = job(nil, nil); r.Summarize("x") != nil {
		t.Error("without a summary file there is an error")
	}
	if r, _ = job(map[string]string{"GITHUB_STEP_SUMMARY": "/dev/full"}, nil); r.Summarize("x") == nil {
		t.Error("a summary that cannot be written is no error")
	}
}

// A log that cannot be written stops nothing, and Err says so at the end.
func TestLogThatCannotBeWritten(t *testing.T) {
	r := runner.New(func(string) string { return "" }, failing{}, nil)
	r.Print("x")
	r.Annotate(runner.Annotation{Level: runner.LevelError, Text: "x"})
	r.Mask("a-secret")
	r.Group("x")
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "writing the log: full") {
		t.Errorf("Err = %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

// answers is a token service that gives its answers one after the other, and then a token.
type answers struct {
	t        *testing.T
	given    []func() (*http.Response, error)
	asked    int
	audience string
}

func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	a.asked++
	a.audience = request.URL.Query().Get("audience")
	if request.Header.Get("Authorization") != "Bearer request-token" {
		a.t.Error("the request token is not sent")
	}
	if a.asked <= len(a.given) {
		return a.given[a.asked-1]()
	}
	return answer(200, `{"value":"the.id.token"}`)()
}

func answer(status int, body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		recorder := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody}
		recorder.Body = readCloser{strings.NewReader(body)}
		return recorder, nil
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func lost() (*http.Response, error) { return nil, errors.New("connection reset by canary") }

// mayRequest is the environment of a job that may request an ID token at url.
func mayRequest(url string) map[string]string {
	return map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token"}
}

func TestIDToken(t *testing.T) {
	const canary = "body-canary"
	type given = []func() (*http.Response, error)
	four := func(a func() (*http.Response, error)) given { return given{a, a, a, a} }
	for _, tc := range []struct {
		name  string
		given given
		asked int
		want  string // of the error; "" for a token
	}{
		{"at once", nil, 1, ""},
		{"after 503", given{answer(503, canary)}, 2, ""},
		{"after 429, 425 and 408", given{answer(429, canary), answer(425, canary), answer(408, canary)}, 4, ""},
		{"after a lost connection", given{lost, lost}, 3, ""},
		{"after an empty answer", given{answer(200, `{}`)}, 2, ""},
		{"never: 500", four(answer(500, canary)), 4, "GitHub answered with status 500"},
		{"refused", given{answer(403, `{"message":"body-canary"}`)}, 1, "GitHub answered with status 403; run"},
		{"refused by a proxy", given{answer(403, canary)}, 1, "so it may be a proxy's answer; run"},
		{"nonsense", four(answer(200, canary)), 4, "not what its documentation says"},
		{"never: lost", four(lost), 4, "cannot be reached"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &answers{t: t, given: tc.given}
				const url = "https://x.actions.githubusercontent.com/y?api-version=2.0"
				r, log := job(mayRequest(url), &http.Client{Transport: service})
				token, err := r.IDToken(t.Context(), "api://x")
				switch {
				case tc.want == "" && (err != nil || token.Reveal() != "the.id.token"):
					t.Errorf("IDToken: %v; want the token", err)
				case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
					t.Errorf("IDToken: %v; want %q", err, tc.want)
				}
				for _, secret := range []string{canary, "api-version", "request-token"} {
					if strings.Contains(fmt.Sprint(err), secret) {
						t.Errorf("the error holds the body, the query or the token: %v", err)
					}
				}
				if service.asked != tc.asked || service.audience != "api://x" {
					t.Errorf("asked %d times for %q; want %d for api://x", service.asked, service.audience, tc.asked)
				}
				if log.Len() > 0 {
					t.Errorf("it printed %q", log)
				}
			})
		})
	}
}

func TestIDTokenWithoutPermission(t *testing.T) {
	for _, env := range []map[string]string{nil, {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x"}} {
		r, _ := job(env, &http.Client{})
		_, err := r.IDToken(t.Context(), "x")
		if err == nil || !strings.Contains(err.Error(), "permissions:\n  id-token: write\n") {
			t.Errorf("IDToken: %v; want the missing permission shown", err)
		}
	}
}

func TestIDTokenStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &answers{t: t, given: []func() (*http.Response, error){lost, lost, lost, lost}}
		r, _ := job(mayRequest("https://x"), &http.Client{Transport: service})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if _, err := r.IDToken(ctx, "x"); err == nil || time.Since(start) > 200*time.Millisecond {
			t.Errorf("IDToken: %v after %s; want it to stop with its context", err, time.Since(start))
		}
	})
}
