package scenarios

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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
