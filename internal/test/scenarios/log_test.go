package scenarios

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// manySecrets declares so many secrets that the log of them does not fit into a pipe.
func manySecrets(n int) string {
	var b strings.Builder
	b.WriteString("secrets:\n")
	for i := range n {
		fmt.Fprintf(&b, "  a-secret-with-a-long-name-so-that-its-line-is-long-%04d: default\n", i)
	}
	return b.String()
}

// piped runs the program with a pipe as its standard output, of which read gets the other end, and returns the exit
// status and the outputs.
func (j *weekly) piped(read func(log *os.File), inputs ...string) (int, job.Outputs) {
	j.t.Helper()
	j.job.Input(inputs...)
	for _, name := range job.CommandFiles {
		if err := os.WriteFile(j.job.Env[name], nil, 0o600); err != nil {
			j.t.Fatal(err)
		}
	}
	log, end, err := os.Pipe()
	if err != nil {
		j.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(j.t.Context(), time.Minute)
	defer cancel()
	cmd := j.job.Command(ctx, program)
	cmd.Stdout = end
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	_ = end.Close()
	read(log)
	err = cmd.Wait()
	_ = log.Close()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		j.t.Fatal(err)
	}
	text, err := os.ReadFile(j.job.Env["GITHUB_OUTPUT"])
	if err != nil {
		j.t.Fatal(err)
	}
	outputs, err := job.ParseOutputs(string(text))
	if err != nil {
		j.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), outputs
}

// reported returns how many secrets the outputs name with their versions.
func reported(t *testing.T, outputs job.Outputs) int {
	t.Helper()
	versions := map[string]string{}
	if err := json.Unmarshal([]byte(outputs.Get("versions")), &versions); err != nil {
		t.Fatalf("versions: %v", err)
	}
	return len(versions)
}

// The reader of the log goes away while secrets are being stored. Go ends a process at a write to such a standard
// output; this one stores all, reports all, and fails.
func TestTheLogBreaks(t *testing.T) {
	j := newWeekly(t, emulator.Options{})
	j.declare(manySecrets(40))
	j.emulator.Fault(emulator.Fault{
		Operation: "set", Kind: emulator.Slow, Phase: emulator.After, Delay: 300 * time.Millisecond, Times: -1,
	})
	status, outputs := j.piped(func(log *os.File) {
		lines := bufio.NewScanner(log)
		for lines.Scan() && !strings.Contains(lines.Text(), "The plan was ready") {
		}
		_ = log.Close()
	}, "vault="+emulator.DefaultVault)
	if held := len(j.emulator.Holds()); status != 1 || held != 40 || reported(t, outputs) != 40 {
		t.Errorf("exit status %d, %d stored, %d reported; want 1, and all 40", status, held, reported(t, outputs))
	}
}

// Nobody reads the log, and its pipe is full: the run ends with its timeout, and has reported what it stored.
func TestTheLogIsNotRead(t *testing.T) {
	j := newWeekly(t, emulator.Options{})
	j.declare(manySecrets(1200))
	status, outputs := j.piped(func(*os.File) {}, "vault="+emulator.DefaultVault, "timeout=2s")
	if held := len(j.emulator.Holds()); status != 1 || held != reported(t, outputs) {
		t.Errorf("exit status %d, %d stored, %d reported; want 1, and what is stored", status, held,
			reported(t, outputs))
	}
}

// Whatever signal asks the process to end, what is in flight ends, and what is stored is reported.
func TestWhateverSignalStops(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGABRT} {
		t.Run(signal.String(), func(t *testing.T) {
			j := newWeekly(t, emulator.Options{})
			j.declare(manySecrets(40))
			j.emulator.Fault(emulator.Fault{
				Operation: "set", Kind: emulator.Slow, Phase: emulator.After, Delay: 300 * time.Millisecond, Times: -1,
			})
			r := j.exec(j.job.Command(t.Context(), program), func(running context.Context, process *os.Process) {
				for j.emulator.Requests()["set"] < 12 && running.Err() == nil {
					time.Sleep(10 * time.Millisecond)
				}
				_ = process.Signal(signal)
			})
			held := len(j.emulator.Holds())
			if r.Status != 1 || held == 40 || held != reported(t, r.Outputs) {
				t.Errorf("exit status %d, %d stored, %d reported; want 1, and what is stored", r.Status, held,
					reported(t, r.Outputs))
			}
		})
	}
}

// exec runs the program in a job with the default vault.
func (j *weekly) exec(cmd *exec.Cmd, during func(context.Context, *os.Process)) *job.Result {
	j.t.Helper()
	cmd.Env = append(cmd.Env, "INPUT_VAULT="+emulator.DefaultVault)
	r, err := j.job.Exec(cmd, during)
	if err != nil {
		j.t.Fatal(err)
	}
	return r
}

// A summary that is a pipe without a reader, or with one that does not read, makes nothing wait.
func TestTheSummaryIsNotRead(t *testing.T) {
	for _, opened := range []bool{false, true} {
		t.Run(fmt.Sprint("opened: ", opened), func(t *testing.T) {
			j := newWeekly(t, emulator.Options{})
			j.declare(manySecrets(3))
			pipe := filepath.Join(t.TempDir(), "summary")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			if opened {
				fill(t, pipe)
			}
			j.job.Set("GITHUB_STEP_SUMMARY=" + pipe)
			r := j.exec(j.job.Command(t.Context(), program), nil)
			if r.Status != 0 || reported(t, r.Outputs) != 3 || !strings.Contains(r.Log, "the job summary: ") {
				t.Errorf("exit status %d, %d reported; want 0, all 3, and a warning", r.Status,
					reported(t, r.Outputs))
			}
		})
	}
}

// fill makes a pipe that is open to be read, and takes no more.
func fill(t *testing.T, path string) {
	t.Helper()
	pipe, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(pipe) })
	for {
		if _, err := syscall.Write(pipe, make([]byte, 1<<10)); err != nil {
			return
		}
	}
}

// The disk is full before the outputs are written whole: the file has none, since the runner would refuse a part of
// them, and the log has all.
func TestTheOutputsDoNotFit(t *testing.T) {
	j := newWeekly(t, emulator.Options{})
	j.declare(manySecrets(40))
	r := j.exec(j.job.Command(t.Context(), "sh", "-c", `ulimit -f 1; exec "$0"`, program), nil)
	if text := r.Files["GITHUB_OUTPUT"]; r.Status != 1 || text != "" {
		t.Errorf("exit status %d, and the output file has %q; want 1, and nothing", r.Status, text)
	}
	for _, held := range j.emulator.Holds() {
		if !strings.Contains(r.Log, held.Name+" "+held.Version+" (changed)") {
			t.Errorf("version %s of %s is not in the log", held.Version, held.Name)
		}
	}
}
