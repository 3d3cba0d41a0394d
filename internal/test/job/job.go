// Package job is the one way in which tests run the action: a [Job] has the environment, the workspace and the command
// files of a step, and runs the action on them in this process ([Job.Run], over a [Network] in memory) or as a program
// ([Job.Exec], over loopback and TLS). A [Result] is what a run left: status, log, files and outputs. [Job.Leaks] looks
// for values and tokens in it.
package job

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/test/emulator"
)

// CommandFiles are the variables that name a file through which a step answers the runner.
var CommandFiles = []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_STATE", "GITHUB_ENV", "GITHUB_PATH"}

// A Job is one step that uses the action. Its runs share workspace, command files and environment; each is a workflow
// run of its own unless GITHUB_RUN_ID is set.
type Job struct {
	// Env is the step's environment, and nothing else is in it. What a test needs otherwise it changes here.
	Env map[string]string
	// Stdout gets the log of Run, in place of Result.Log; nil: Result.Log gets it.
	Stdout io.Writer

	emulator *emulator.Emulator
	runs     int
	given    map[string]string // what the emulator's environment and the run's ID were
}

// New returns a job that may sign in to e: it has the tenant and the client of e in its variables, the workspace dir,
// and its command files there. It writes no file: each run does.
func New(e *emulator.Emulator, dir string) *Job {
	env := map[string]string{
		"GITHUB_WORKSPACE":   dir,
		"GITHUB_REPOSITORY":  emulator.DefaultRepository,
		"GITHUB_RUN_ATTEMPT": "1",
		"AZURE_TENANT_ID":    emulator.DefaultTenant,
		"AZURE_CLIENT_ID":    emulator.DefaultClient,
	}
	j := &Job{Env: env, emulator: e, given: map[string]string{}}
	for _, name := range CommandFiles {
		env[name] = filepath.Join(dir, strings.ToLower(name))
	}
	j.renew()
	return j
}

// firstRun is above the IDs that tests set themselves, so that one of those is never taken for one of these.
const firstRun = 1000

// renew takes the emulator's environment anew, since its request token changes with time, and the ID of another workflow
// run. What a test changed of it stays.
func (j *Job) renew() {
	j.runs++
	for _, variable := range append(j.emulator.Environ(), fmt.Sprint("GITHUB_RUN_ID=", firstRun+j.runs)) {
		name, value, _ := strings.Cut(variable, "=")
		if j.Env[name] == j.given[name] {
			j.Env[name] = value
		}
		j.given[name] = value
	}
}

// Set adds variables NAME=VALUE to the environment, or replaces them.
func (j *Job) Set(variables ...string) {
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		j.Env[name] = value
	}
}

// Input adds inputs NAME=VALUE, or replaces them. The variable of an input is its name in capitals, hyphens kept, as
// the runner has it.
func (j *Job) Input(inputs ...string) {
	for _, input := range inputs {
		name, value, _ := strings.Cut(input, "=")
		j.Env["INPUT_"+strings.ToUpper(name)] = value
	}
}

// Declare writes a declaration into the workspace and names it in the input file.
func (j *Job) Declare(text string) error {
	const name = "passwords.yml"
	j.Input("file=" + name)
	return os.WriteFile(filepath.Join(j.Env["GITHUB_WORKSPACE"], name), []byte(text), 0o600)
}

// A Result is what one run left behind.
type Result struct {
	Status  int
	Log     string            // standard output
	Stderr  string            // of a program
	Files   map[string]string // what stands in the command files, by the variable that names each
	Outputs Outputs
	State   *os.ProcessState // of a program
	Values  []string         // what the vaults were sent during the run
}

// Run runs the action in this process, over network. The services are those of a [Network] of the job's emulator.
func (j *Job) Run(ctx context.Context, network http.RoundTripper) (*Result, error) {
	j.renew()
	j.clear()
	before := len(j.emulator.Values())
	var log bytes.Buffer
	stdout := cmp.Or[io.Writer](j.Stdout, &log)
	a := action.Action{Getenv: func(name string) string { return j.Env[name] }, Stdout: stdout, Network: network}
	r := &Result{Status: a.Main(ctx)}
	r.Log = log.String()
	return r, j.read(r, before)
}

// Command returns the command that runs a program in the workspace with the job's environment as it is now.
func (j *Job) Command(ctx context.Context, program string, arguments ...string) *exec.Cmd {
	j.renew()
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir = j.Env["GITHUB_WORKSPACE"]
	for _, name := range slices.Sorted(maps.Keys(j.Env)) {
		cmd.Env = append(cmd.Env, name+"="+j.Env[name])
	}
	return cmd
}

// Exec runs a command in which the action does its work: that of [Job.Command], or a container engine's. It waits for
// its end; an exit status other than 0 is no error. If during is not nil, it is called once the command has started,
// with a context that ends when the command has ended.
func (j *Job) Exec(cmd *exec.Cmd, during func(running context.Context, process *os.Process)) (*Result, error) {
	j.clear()
	before := len(j.emulator.Values())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	running, ended := context.WithCancelCause(context.Background())
	go func() { ended(cmd.Wait()) }()
	if during != nil {
		during(running, cmd.Process)
	}
	<-running.Done()
	err := context.Cause(running)
	if _, exited := errors.AsType[*exec.ExitError](err); exited || errors.Is(err, context.Canceled) {
		err = nil
	}
	r := &Result{
		Status: cmd.ProcessState.ExitCode(),
		Log:    stdout.String(),
		Stderr: stderr.String(),
		State:  cmd.ProcessState,
	}
	return r, errors.Join(err, j.read(r, before))
}

// Leaks returns where a value that a vault was sent, or a token that was issued, stands in the log or a command file of
// one of the results, which must be of this job. It is an error if the vaults and the issuers had nothing to look for.
func (j *Job) Leaks(results ...*Result) ([]string, error) {
	secrets := append(j.emulator.Values(), j.emulator.Tokens()...)
	if len(secrets) == 0 {
		return nil, errors.New("no value was sent and no token issued: there is nothing to look for")
	}
	texts := map[string]string{}
	for i, r := range results {
		texts[fmt.Sprintf("the log of run %d", i+1)] = r.Log + r.Stderr
		for name, text := range r.Files {
			texts[fmt.Sprintf("%s of run %d", name, i+1)] = text
		}
	}
	return FindLeaks(secrets, texts), nil
}

// clear empties the command files, as the runner does for each step. What cannot be written, or is no file, stays as it
// is: then that is what the test is about.
func (j *Job) clear() {
	for _, name := range CommandFiles {
		if info, err := os.Stat(j.Env[name]); err != nil || info.Mode().IsRegular() {
			_ = os.WriteFile(j.Env[name], nil, 0o644)
		}
	}
}

// read fills r with what the run left in the command files and sent to the vaults, of which it had sent so many before.
func (j *Job) read(r *Result, before int) error {
	r.Values = j.emulator.Values()[before:]
	r.Files = map[string]string{}
	for _, name := range CommandFiles {
		info, err := os.Stat(j.Env[name])
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(j.Env[name])
		if err != nil {
			return err
		}
		r.Files[name] = string(text)
	}
	var err error
	r.Outputs, err = ParseOutputs(r.Files["GITHUB_OUTPUT"])
	return err
}

// Build builds the program into dir, with the flags that the Dockerfile has, and returns its path.
func Build(dir string) (string, error) {
	program := filepath.Join(dir, "keyvault-passwords")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags=nethttpomithttp2", "-o", program,
		"keyvault-passwords")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return program, nil
}
