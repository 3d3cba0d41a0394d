package action

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/runner"
)

// planOf returns a plan of steps NAME@VAULT, each with a current version that is its number.
func planOf(keys ...string) *provision.Plan {
	plan := &provision.Plan{}
	for i, key := range keys {
		name, vault, _ := strings.Cut(key, "@")
		plan.Steps = append(plan.Steps, provision.Step{
			Name: name, Vault: vault, Change: provision.Keep,
			Before: provision.State{Version: strings.Repeat(string(rune('a'+i)), 32)},
		})
	}
	return plan
}

// opened returns the runner of a job with an output file, and that file opened.
func opened(t *testing.T) (*runner.Runner, *runner.Outputs, *strings.Builder) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "output")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	r := runner.New(func(name string) string { return map[string]string{"GITHUB_OUTPUT": path}[name] }, &log, nil)
	outputs, err := r.OpenOutputs()
	if err != nil {
		t.Fatal(err)
	}
	return r, outputs, &log
}

func TestOutputsOfALedger(t *testing.T) {
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, tc := range []struct {
		name string
		plan *provision.Plan
		want []string
	}{
		{"one secret in one vault", planOf("x@kv"),
			[]string{`names=["x"]`, `versions={"x":"` + a + `"}`, `changed=[]`, `name=x`, `version=` + a, `due=[]`}},
		{"two secrets in one vault", planOf("x@kv", "y@kv"),
			[]string{`names=["x","y"]`, `versions={"x":"` + a + `","y":"` + b + `"}`, `changed=[]`, `due=[]`}},
		{"one secret in two vaults", planOf("x@k1", "x@k2"),
			[]string{`names=["k1/x","k2/x"]`, `versions={"k1/x":"` + a + `","k2/x":"` + b + `"}`, `changed=[]`,
				`due=[]`}},
		{"nothing", planOf(), []string{`names=[]`, `versions={}`, `changed=[]`, `due=[]`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, output := range newLedger(tc.plan, nil, provision.Options{}).outputs() {
				got = append(got, output.Name+"="+output.Value)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("outputs (-want +got):\n%s", diff)
			}
		})
	}
}

// The output file is written as soon as something is stored, and then once a second at most.
func TestLedgerIsFlushed(t *testing.T) {
	r, outputs, _ := opened(t)
	synctest.Test(t, func(t *testing.T) {
		plan := planOf("x@kv", "y@kv", "z@kv")
		l := newLedger(plan, outputs, provision.Options{})
		start := time.Now()
		for i, after := range []time.Duration{0, time.Second, 2 * time.Second} {
			stored := strings.Repeat(string(rune('5'+i)), 32)
			l.record(provision.Result{Step: &plan.Steps[i], After: provision.State{Version: stored}})
			synctest.Wait()
			has := func() bool {
				text, err := os.ReadFile(r.Getenv("GITHUB_OUTPUT"))
				if err != nil {
					t.Fatal(err)
				}
				return strings.Contains(string(text), stored)
			}
			if has() != (time.Since(start) == after) {
				t.Errorf("version %d is written after %s: %t; want it after %s", i, time.Since(start), has(), after)
			}
			time.Sleep(time.Until(start.Add(after)))
			synctest.Wait()
			if !has() {
				t.Errorf("version %d is not written after %s", i, after)
			}
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
}

// While a secret may get a new version at any moment, the outputs do not name the one before as current: the process
// may be killed. At the end they do.
func TestLedgerNamesNothingThatMayBeSuperseded(t *testing.T) {
	plan := planOf("x@kv", "y@kv", "z@kv")
	plan.Steps[0].Change, plan.Steps[1].Change = provision.Rotate, provision.Rotate
	_, outputs, _ := opened(t)
	l := newLedger(plan, outputs, provision.Options{})
	stored := strings.Repeat("5", 32)
	l.record(provision.Result{Step: &plan.Steps[0], After: provision.State{Version: stored}, OfRun: true})
	versions := func() string { return l.outputs()[1].Value }
	want := `{"x":"` + stored + `","z":"` + strings.Repeat("c", 32) + `"}`
	if got := versions(); got != want {
		t.Errorf("before the end: versions %s; want %s", got, want)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if got := versions(); !strings.Contains(got, `"y":"`+strings.Repeat("b", 32)+`"`) {
		t.Errorf("at the end: versions %s; want y's", got)
	}
}

func TestMasksOfALedger(t *testing.T) {
	plan := planOf("x-secret@kv", "y-secret@kv")
	plan.Steps[1].Before.Version = ""
	l, a := newLedger(plan, nil, provision.Options{}), strings.Repeat("a", 32)
	for masking, want := range map[masking][]string{maskAll: {"x-secret", a, "y-secret"}, maskVersions: {a},
		maskNone: nil} {
		if diff := cmp.Diff(want, l.masks(plan, masking)); diff != "" {
			t.Errorf("masks %s (-want +got):\n%s", masking, diff)
		}
	}
}

// Where the output file can no longer be written, names and version IDs stand in the log, readable, with the error, and
// the run fails.
func TestOutputsThatCannotBeWrittenAreLogged(t *testing.T) {
	r, outputs, log := opened(t)
	if err := outputs.Close(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for i := range 200 { // more than one line of the log has room for
		keys = append(keys, fmt.Sprintf("secret-%d@kv", i))
	}
	plan := planOf(keys...)
	for i := range plan.Steps {
		plan.Steps[i].Before.Version = fmt.Sprintf("%032x", i)
	}
	l := newLedger(plan, outputs, provision.Options{})
	stored := strings.Repeat("5", 32)
	results := []provision.Result{{Step: &plan.Steps[0], After: provision.State{Version: stored}, Changed: true,
		OfRun: true}}
	l.record(results[0])
	step := &run{runner: r}
	if failed := step.deliver(plan, results, l); !failed {
		t.Error("outputs that could not be written are no failure")
	}
	for _, want := range []string{"::error::writing the output file: ", "secret-0 " + stored + " (changed)\n",
		fmt.Sprintf("secret-199 %032x\n", 199)} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
}
