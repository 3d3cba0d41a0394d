package prose_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/test/job"
)

// need skips the test where a program is not installed.
func need(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name + " is not installed")
	}
}

// program puts an executable script into a folder.
func program(t *testing.T, dir, name, text string) {
	t.Helper()
	write(t, dir, name, text)
	if err := os.Chmod(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
}

// script returns what the step of that name or ID runs.
func script(t *testing.T, file, step string) string {
	t.Helper()
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ ID, Name, Run string }
		}
	}
	parse(t, read(t, file), &workflow)
	for _, job := range workflow.Jobs {
		for _, s := range job.Steps {
			if (s.ID == step || s.Name == step) && s.Run != "" {
				return s.Run
			}
		}
	}
	t.Fatalf("%s has no step %q that runs something", file, step)
	return ""
}

// bash runs a script as the runner does, with -e and pipefail, and returns what it printed.
func bash(t *testing.T, script, dir string, environment ...string) (string, error) {
	t.Helper()
	need(t, "bash")
	c := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
	c.Dir = dir
	c.Env = append(os.Environ(), environment...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// Whatever somebody types for `only` becomes one output, a pattern a line, and can neither end it early nor add
// another.
func TestRotationOnly(t *testing.T) {
	for typed, want := range map[string]string{
		"":                     "",
		"sql-* redis-password": "sql-*\nredis-password",
		"a   b":                "a\nb",
		"a\nend_0\nmode=force": "a\nend_0\nmode=force",
		"*":                    "*",
	} {
		dir := t.TempDir()
		output := filepath.Join(dir, "output")
		if out, err := bash(t, script(t, "examples/rotation/workflow.yml", "only"), dir, "ONLY="+typed,
			"GITHUB_OUTPUT="+output); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		got, err := job.ParseOutputs(string(text))
		if diff := cmp.Diff(job.Outputs{{Name: "lines", Value: want}}, got); diff != "" || err != nil {
			t.Errorf("%q: %v, outputs (-want +got):\n%s", typed, err, diff)
		}
	}
}

// What a failed run stored is in use by nobody until its readers are restarted: the step's condition may not imply
// success().
func TestRotationRestartsAfterFailure(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Steps []struct{ Name, If string }
		}
	}
	parse(t, read(t, "examples/rotation/workflow.yml"), &workflow)
	for _, step := range workflow.Jobs["rotate"].Steps {
		if step.Name != "Restart what reads the passwords" {
			continue
		}
		if !strings.HasPrefix(step.If, "${{ !cancelled() && steps.passwords.outputs.changed ") {
			t.Errorf("the condition is %q", step.If)
		}
		return
	}
	t.Error("no step restarts the readers")
}

// The list of the fleet becomes a matrix; one that is too long for a matrix is refused.
func TestFleetList(t *testing.T) {
	need(t, "jq")
	list := script(t, "examples/fleet/workflow.yml", "list")
	dir := t.TempDir()
	write(t, dir, ".github/fleet.json", read(t, "examples/fleet/fleet.json"))
	output := filepath.Join(dir, "output")
	if out, err := bash(t, list, dir, "GITHUB_OUTPUT="+output); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(output)
	if err != nil {
		t.Fatal(err)
	}
	var matrix struct{ Include []map[string]string }
	parse(t, strings.TrimPrefix(string(text), "matrix="), &matrix)
	if len(matrix.Include) != 3 || matrix.Include[0]["vault"] != "kv-shop-eu" ||
		strings.Count(string(text), "\n") != 1 {
		t.Errorf("the matrix is %s", text)
	}
	write(t, dir, ".github/fleet.json", "["+strings.Repeat(`{"vault":"kv-a"},`, 256)+`{"vault":"kv-a"}]`)
	if out, err := bash(t, list, dir, "GITHUB_OUTPUT="+output); err == nil || !strings.Contains(out, "257 vaults") {
		t.Errorf("a list of 257 vaults was taken: %s", out)
	}
}

// A bootstrap waits for what it made a moment ago, within the timeouts of the step and of the job, and does not sleep.
func TestBootstrapWaits(t *testing.T) {
	const file = "examples/bootstrap/workflow.yml"
	var workflow struct {
		Jobs map[string]struct {
			Minutes int `yaml:"timeout-minutes"`
			Steps   []struct {
				ID   string
				With map[string]string
			}
		}
	}
	parse(t, read(t, file), &workflow)
	duration := func(text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	found := false
	for _, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if step.ID != "passwords" {
				continue
			}
			found = true
			wait, timeout := duration(step.With["wait-for-access"]), duration(step.With["timeout"])
			if wait < 10*time.Minute || wait >= timeout || timeout >= time.Duration(job.Minutes)*time.Minute {
				t.Errorf("the step waits %s of %s, in a job of %d minutes", wait, timeout, job.Minutes)
			}
		}
	}
	if !found || strings.Contains(read(t, file), "sleep") {
		t.Error("the workflow has no step that waits, or sleeps")
	}
}

// No job is both identities, and none of them trusts what another job could be: each has an environment of its own.
func TestWriterAndReaderAreApart(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Environment string
			Steps       []struct {
				With map[string]string
			}
		}
	}
	parse(t, read(t, "examples/use-the-password/workflow.yml"), &workflow)
	identities := map[string]string{}
	for name, job := range workflow.Jobs {
		for _, step := range job.Steps {
			if id := step.With["client-id"]; id != "" {
				identities[job.Environment] += id
			}
		}
		if job.Environment == "" {
			t.Errorf("job %s has no environment", name)
		}
	}
	want := map[string]string{"passwords-write": "${{ vars.AZURE_CLIENT_ID }}",
		"passwords-read": "${{ vars.AZURE_READER_CLIENT_ID }}"}
	if diff := cmp.Diff(want, identities); diff != "" {
		t.Errorf("the identities by environment (-want +got):\n%s", diff)
	}
}

// The step that applies a password masks it before anything else and gives it to psql through the environment: no
// argument, no file and no text of the step holds it. (That PostgreSQL then takes it was tried by hand.)
func TestApplyHidesThePassword(t *testing.T) {
	const value = `ab'c%"x$y\Z`
	dir := t.TempDir()
	program(t, dir, "az", "#!/bin/sh\necho \"az $*\" >> \"$CALLS\"\nprintf '%s\\n' \"$VALUE\"\n")
	program(t, dir, "psql",
		"#!/bin/sh\necho \"psql $*\" >> \"$CALLS\"\necho \"new=$NEW_PASSWORD as=$PGPASSWORD\" >> \"$SEEN\"\ncase "+
			"\"$*\" in *--command*) ;; *) cat >> \"$CALLS\" ;; esac\n")
	calls, seen := filepath.Join(dir, "calls"), filepath.Join(dir, "seen")
	out, err := bash(t, script(t, "examples/use-the-password/workflow.yml", "Apply it"), dir,
		"PATH="+dir+":"+os.Getenv("PATH"),
		"CALLS="+calls, "SEEN="+seen, "VALUE="+value, "VAULT=kv-app-prod", "NAME=app-database-password", "VERSION=0123",
		"PGPASSWORD=throw-away")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "::add-mask::" + strings.ReplaceAll(value, "%", "%25") + "\n"; out != want {
		t.Errorf("the step prints %q, not the mask alone", out)
	}
	called, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(called); strings.Contains(text, value) ||
		!strings.Contains(text,
			"az keyvault secret show --vault-name kv-app-prod --name app-database-password --version 0123 ") ||
		!strings.Contains(text, "ALTER ROLE app PASSWORD :'password';") {
		t.Errorf("the programs were called so:\n%s", text)
	}
	passed, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("new="+value+" as=throw-away\nnew="+value+" as="+value+"\n", string(passed)); diff != "" {
		t.Errorf("psql's environment (-want +got):\n%s", diff)
	}
}
