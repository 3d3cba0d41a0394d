package action_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// environment is the environment of a job that may sign in to e, with an empty output file.
func environment(t *testing.T, e *emulator.Emulator, inputs ...string) map[string]string {
	t.Helper()
	output := filepath.Join(t.TempDir(), "output")
	if err := os.WriteFile(output, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"GITHUB_OUTPUT": output, "AZURE_TENANT_ID": emulator.DefaultTenant, "AZURE_CLIENT_ID": emulator.DefaultClient,
		"INPUT_VAULT": emulator.DefaultVault, "INPUT_SECRETS": "a-secret: default",
	}
	for _, pair := range append(e.Environ(), inputs...) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// What is stored is not lost with the output file, nor with the log: each stands in for the other, and the run fails.
func TestNothingStoredIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		env := environment(t, e)
		log := &cutting{after: "created", cut: func() error { return os.Remove(env["GITHUB_OUTPUT"]) }}
		a := &action.Action{Getenv: func(name string) string { return env[name] }, Stdout: log, Network: network}
		if status := a.Main(t.Context()); status != action.StatusOK {
			t.Errorf("status %d; a file that is unlinked while open can still be written", status)
		}

		env = environment(t, e, "INPUT_MODE=force")
		full := &cutting{after: "created", fail: errors.New("no space left on device")}
		a = &action.Action{Getenv: func(name string) string { return env[name] }, Stdout: full, Network: network}
		if status := a.Main(t.Context()); status != action.StatusFailed {
			t.Errorf("status %d though the log was lost; want %d", status, action.StatusFailed)
		}
		text, err := os.ReadFile(env["GITHUB_OUTPUT"])
		if err != nil || !strings.Contains(string(text), `changed<<`) ||
			!strings.Contains(string(text), `["a-secret"]`) {
			t.Errorf("the outputs do not tell what was stored: %q, %v", text, err)
		}
	})
}

// cutting is a log that fails, or does something, once it has seen a word.
type cutting struct {
	text  strings.Builder
	after string
	cut   func() error
	fail  error
}

func (c *cutting) Write(p []byte) (int, error) {
	c.text.Write(p)
	if c.fail != nil {
		return 0, c.fail
	}
	if c.cut != nil && strings.Contains(c.text.String(), c.after) {
		cut := c.cut
		c.cut = nil
		return len(p), cut()
	}
	return len(p), nil
}

// A run that was stopped before it began contacts no vault to write, and fails.
func TestStoppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		env := environment(t, e)
		var log strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a := &action.Action{Getenv: func(name string) string { return env[name] }, Stdout: &log, Network: network}
		if status := a.Main(ctx); status != action.StatusFailed || len(e.Holds()) != 0 {
			t.Errorf("status %d with %d versions; want %d and none", status, len(e.Holds()), action.StatusFailed)
		}
		if !strings.Contains(strings.ToLower(log.String()), "the run was stopped") {
			t.Errorf("the log does not say that the run was stopped:\n%s", log.String())
		}
	})
}

// A run that was stopped fails, also where all that was in flight came to a good end: who stopped it shall not be told
// that it is done.
func TestStoppedWhileTheLastSecretIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		e.Fault(emulator.Fault{Operation: "set", Kind: emulator.Slow, Delay: time.Second})
		network := job.NewNetwork(e)
		defer network.Close()
		env := environment(t, e)
		var log strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		a := &action.Action{Getenv: func(name string) string { return env[name] }, Stdout: &log, Network: network}
		if status := a.Main(ctx); status != action.StatusFailed || len(e.Holds()) != 1 {
			t.Errorf("status %d with %d versions; want %d and the one in flight", status, len(e.Holds()),
				action.StatusFailed)
		}
	})
}
