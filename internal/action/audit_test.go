package action_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// newAudit is a job that audits a vault of so many secrets, of which one is declared.
func newAudit(t *testing.T, e *emulator.Emulator, secrets int) *job.Job {
	t.Helper()
	for i := range secrets {
		if _, err := e.Put(emulator.DefaultVault, fmt.Sprintf("secret-%d", i), emulator.Plant{}); err != nil {
			t.Fatal(err)
		}
	}
	j := job.New(e, t.TempDir())
	j.Input("mode=audit", "fail-on=never", "vault="+emulator.DefaultVault, "secrets=secret-0: default")
	return j
}

// A report that cannot be written fails the run and stops nothing: the others, the outputs and the summary are written.
func TestReportThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		j := newAudit(t, e, 2)
		j.Input("report=audit/a.json\nother.csv")
		workspace := j.Env["GITHUB_WORKSPACE"]
		log := &cutting{after: "Findings: ", cut: func() error {
			return os.WriteFile(filepath.Join(workspace, "audit"), nil, 0o600) // a file where the folder is to be
		}}
		j.Stdout = log
		r, err := j.Run(t.Context(), network)
		if err != nil || r.Status != action.StatusFailed {
			t.Errorf("status %d, %v; want a failure", r.Status, err)
		}
		if text := log.text.String(); !strings.Contains(text, `::error::writing the report "audit/a.json": `) {
			t.Errorf("the log does not say which report is not written:\n%s", text)
		}
		if _, err := os.Stat(filepath.Join(workspace, "other.csv")); err != nil {
			t.Error(err)
		}
		if r.Outputs.Get("names") != `["secret-0"]` || !strings.Contains(r.Files["GITHUB_STEP_SUMMARY"], "secret-0") {
			t.Errorf("outputs %v, or the summary, are not written", r.Outputs)
		}
	})
}

// Outputs that cannot be written fail the run, and the log has what they would be. The file is checked before anything
// is contacted.
func TestAuditWithoutAnOutputFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		j := newAudit(t, e, 1)
		j.Input("secrets={secret-0: default, secret-1: default}")
		r, err := j.Run(t.Context(), network)
		if err != nil || r.Outputs.Get("due") != `["secret-1"]` {
			t.Errorf("outputs %v, %v", r.Outputs, err)
		}
		j.Set("GITHUB_OUTPUT=/dev/full")
		before := e.Requests()["list"]
		if r, err = j.Run(t.Context(), network); r != nil && r.Status != action.StatusFailed ||
			e.Requests()["list"] != before {
			t.Errorf("status %d, %v; want a failure before the vault is listed", r.Status, err)
		}

		disk := t.TempDir() // which fills up while the vault is listed
		if err := syscall.Mount("none", disk, "tmpfs", 0, "size=64k"); err != nil {
			t.Skipf("mounting a small disk: %v; run this as root", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
		j.Set("GITHUB_OUTPUT=" + filepath.Join(disk, "output"))
		log := &cutting{after: "Findings: ", cut: func() error {
			_ = os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 1<<20), 0o600)
			return nil
		}}
		j.Stdout = log
		if r, err = j.Run(t.Context(), network); err != nil || r.Status != action.StatusFailed {
			t.Errorf("status %d, %v; want a failure", r.Status, err)
		}
		version := e.Holds()[0].Version
		for _, want := range []string{
			"::error::writing the output file: ", "no space left on device; free space on the runner's disk, and run " +
				"the job again; the log has what it should hold\n",
			"These outputs could not be written:\nsecret-0 " + version + "\nDue: [\"secret-1\"]\n",
		} {
			if text := log.text.String(); !strings.Contains(text, want) {
				t.Errorf("the log lacks %q:\n%s", want, text)
			}
		}
	})
}

// The log says how many findings a report leaves out.
func TestReportThatLeavesFindingsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		j := newAudit(t, e, 1700) // each has three
		j.Input("secrets=", "report=a.sarif\na.json")
		if err := j.Declare("secrets: {secret-0: default}"); err != nil {
			t.Fatal(err)
		}
		r, err := j.Run(t.Context(), network)
		const want = "Report: a.sarif, without the 100 findings that matter least: GitHub keeps no more\n"
		if err != nil || !strings.Contains(r.Log, want) {
			t.Errorf("%v; the log lacks %q:\n%.3000s", err, want, r.Log)
		}
	})
}

// A long audit says how far it is, and one that is stopped reports what it has, and fails.
func TestLongAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		j := newAudit(t, e, 60)
		e.Fault(emulator.Fault{Operation: "list", Kind: emulator.Slow, Delay: 3 * time.Second, Times: -1})
		e.Fault(emulator.Fault{Operation: "versions", Kind: emulator.Slow, Delay: time.Second, Times: -1})
		j.Input("concurrency=4")
		r, err := j.Run(t.Context(), network)
		if err != nil || r.Status != action.StatusOK {
			t.Fatalf("status %d, %v", r.Status, err)
		}
		for _, want := range []string{"secrets listed: 25 so far\n",
			"version lists read: 21 of 60, 3.5/s, 11 s left\n"} {
			if !strings.Contains(r.Log, want) {
				t.Errorf("the log lacks %q:\n%s", want, r.Log)
			}
		}

		ctx, cancel := context.WithCancelCause(t.Context())
		stop := time.AfterFunc(15*time.Second, func() { cancel(errors.New("stopped")) })
		defer stop.Stop()
		r, err = j.Run(ctx, network)
		if err != nil || r.Status != action.StatusFailed {
			t.Errorf("status %d, %v; want a failure", r.Status, err)
		}
		for _, want := range []string{
			"The run was stopped before every vault was listed", "was not listed whole", "60 secrets in 1 vault",
		} {
			if !strings.Contains(r.Log, want) {
				t.Errorf("the log lacks %q:\n%s", want, r.Log)
			}
		}
		if got := r.Outputs.Get("due"); got != "[]" {
			t.Errorf("due is %q, though nothing is known", got)
		}

		j.Input("timeout=15s")
		r, err = j.Run(t.Context(), network)
		const want = "The run's timeout is over before every vault was listed. Set the input timeout to more, and " +
			"run the job again.\n"
		if err != nil || r.Status != action.StatusFailed || !strings.Contains(r.Log, want) {
			t.Errorf("status %d, %v; the log lacks %q:\n%s", r.Status, err, want, r.Log)
		}
	})
}
