package scenarios

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

const week = 7 * 24 * time.Hour

// A weekly runs the program outside of scripts.
type weekly struct {
	t        testing.TB
	emulator *emulator.Emulator
	job      *job.Job
	runs     int
}

// newWeekly starts an emulator with vaults, in which the job may disable versions too.
func newWeekly(t testing.TB, o emulator.Options) *weekly {
	t.Helper()
	o.Dir = t.TempDir()
	e, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	for _, vault := range o.Vaults {
		e.Grant(emulator.DefaultClient, vault, emulator.Update)
	}
	j := &weekly{t: t, emulator: e, job: job.New(e, o.Dir)}
	j.job.Set("SSL_CERT_DIR=" + filepath.Join(o.Dir, "none")) // the machine's roots would cost as much as all the rest
	return j
}

// declare writes the declaration.
func (j *weekly) declare(text string) {
	j.t.Helper()
	if err := j.job.Declare(text); err != nil {
		j.t.Fatal(err)
	}
}

// run runs the program once on the declaration, with inputs NAME=VALUE. It must succeed.
func (j *weekly) run(inputs ...string) *job.Result {
	j.t.Helper()
	j.runs++
	j.job.Set(fmt.Sprint("GITHUB_RUN_ID=", j.runs))
	j.job.Input(inputs...)
	r, err := j.job.Exec(j.job.Command(j.t.Context(), program), nil)
	if err != nil || r.Status != 0 {
		j.t.Fatalf("run %d: %v\n%s%s", j.runs, err, r.Log, r.Stderr)
	}
	return r
}

// versions returns the versions of a secret in the order in which they were made.
func (j *weekly) versions(name string) (versions []emulator.Held) {
	for _, h := range j.emulator.Holds() {
		if h.Name == name {
			versions = append(versions, h)
		}
	}
	slices.SortFunc(versions, func(a, b emulator.Held) int { return a.Commit - b.Commit })
	return versions
}

// A year of weekly rotations: each secret gets a new version in the first weekly run in which it is due, and only then;
// superseded versions are disabled in the first run after their grace; nothing is read.
func TestYearOfWeeklyRotation(t *testing.T) {
	const declaration = `
vault: kv-example
secrets:
  monthly: {policy: default, rotate: {after: 30d}, superseded: {disable-after: 24h}}
  yearly: {policy: default, expires: 90d, rotate: {before-expiry: 14d}}
  never: default
  on-change: {policy: %s, rotate: {on-policy-change: true}}
`
	j := newWeekly(t, emulator.Options{Vaults: []string{emulator.DefaultVault}})
	// The week, counted from the first run, in which each version is due.
	due := map[string][]int{"never": {0}, "on-change": {0, 26}}
	for at := 0; at <= 52; at += 5 { // 30 days are over in the 5th weekly run after: 35 days
		due["monthly"] = append(due["monthly"], at)
	}
	for at := 0; at <= 52; at += 11 { // 90 - 14 = 76 days are over in the 11th: 77 days
		due["yearly"] = append(due["yearly"], at)
	}
	start := j.emulator.Now()
	for at := range 53 {
		policy := "url-safe"
		if at >= 26 {
			policy = "azure-sql"
		}
		j.declare(fmt.Sprintf(declaration, policy))
		j.run("mode=rotate")
		j.checkWeek(at, start, due)
		j.emulator.Advance(week)
	}
	if n := j.emulator.Requests()["get"]; n != 0 {
		t.Errorf("%d values were read", n)
	}
	if n := len(j.versions("monthly")); n != 11 {
		t.Errorf("monthly has %d versions after a year; want 11", n)
	}
}

// checkWeek compares what the vault holds after the run of a week with what is due by then.
func (j *weekly) checkWeek(at int, start time.Time, due map[string][]int) {
	j.t.Helper()
	for name, weeks := range due {
		var want []int
		for _, w := range weeks {
			if w <= at {
				want = append(want, w)
			}
		}
		versions := j.versions(name)
		var got []int
		operations := map[string]bool{}
		for _, v := range versions {
			got = append(got, int((v.Created.Sub(start)+time.Hour)/week))
			operations[v.Tags["operation"]] = true
		}
		if !slices.Equal(got, want) {
			j.t.Fatalf("week %d: %s has versions of the weeks %v; want %v", at, name, got, want)
		}
		if len(operations) != len(versions) {
			j.t.Errorf("week %d: %s has %d versions of %d operations", at, name, len(versions), len(operations))
		}
		for i, v := range versions {
			last := i == len(versions)-1
			// A version that was superseded this week is within its grace until the next run.
			enabled := last || name != "monthly" || i == len(versions)-2 && got[len(got)-1] == at
			if v.Enabled != enabled || v.Current != last {
				j.t.Errorf("week %d: version %d of %d of %s is enabled %t, current %t; want %t, %t", at, i+1,
					len(versions), name, v.Enabled, v.Current, enabled, last)
			}
		}
	}
}
