package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// holding puts so many secrets of one version each into kv-bench-0, of which the first are declared.
func (j *weekly) holding(secrets, declared int) {
	j.t.Helper()
	j.emulator.AddVault(emulator.VaultOptions{Name: "kv-bench-0"})
	for i := range secrets {
		p := emulator.Plant{
			Created: j.emulator.Now().Add(-time.Duration(i%400) * 24 * time.Hour), ContentType: "password",
			Expires: j.emulator.Now().Add(time.Duration(i%365+1) * 24 * time.Hour),
			Tags: map[string]string{
				"generated-by": "keyvault-passwords", "policy": "default@ebb64fbfb647", "operation": fmt.Sprint(i),
			},
		}
		if _, err := j.emulator.Put("kv-bench-0", fmt.Sprintf("secret-%d", i), p); err != nil {
			j.t.Fatal(err)
		}
	}
	var text strings.Builder
	text.WriteString("vault: kv-bench-0\nsecrets:\n")
	for i := range declared {
		fmt.Fprintf(&text, "  secret-%d: {policy: default, expires: 400d, rotate: {after: 390d}}\n", i)
	}
	j.declare(text.String())
}

// audit runs an audit that writes every report, and returns how many requests it made of each kind.
func (j *weekly) audit(inputs ...string) (requests map[string]int, wall time.Duration, peak int64) {
	j.t.Helper()
	before, start := j.emulator.Requests(), time.Now()
	r := j.run(append(inputs, "mode=audit", "fail-on=never", "report=a.json\na.csv\na.sarif\na.html")...)
	wall = time.Since(start)
	requests = map[string]int{}
	for name, n := range j.emulator.Requests() {
		requests[name] = n - before[name]
	}
	if usage, ok := r.State.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss * 1024
	}
	if !strings.Contains(r.Log, "Report: a.html") {
		j.t.Errorf("the reports are not written:\n%.2000s", r.Log)
	}
	return requests, wall, peak
}

// An audit makes no more requests than it needs: a page for each 25 secrets, a version list for each secret that is
// declared, and for each other one where a vault has no more than 1,000. None of them writes or reads a value, and the
// vault throttles none.
func TestRequestsOfAnAudit(t *testing.T) {
	for _, tc := range []struct{ secrets, declared, versions int }{{990, 10, 990}, {1010, 10, 10}} {
		j := newWeekly(t, emulator.Options{Vaults: vaultNames(1)})
		j.emulator.Revoke(emulator.DefaultClient, "kv-bench-0", emulator.SetSecret, emulator.Update)
		j.holding(tc.secrets, tc.declared)
		j.emulator.Revoke(emulator.DefaultClient, "kv-bench-0")
		j.emulator.Grant(emulator.DefaultClient, "kv-bench-0", emulator.ReadMetadata)
		requests, _, _ := j.audit()
		for name, want := range map[string]int{
			"list": (tc.secrets + 24) / 25, "versions": tc.versions, "list-deleted": 1, "throttled": 0, "set": 0,
			"update": 0, "recover": 0, "delete": 0, "get": 0, "other": 0,
		} {
			if requests[name] != want {
				t.Errorf("%d secrets: %d requests %s; want %d", tc.secrets, requests[name], name, want)
			}
		}
	}
}

// Where a file may not grow as large as a report, that report is not written, and all the rest is: what a full disk
// does.
func TestAuditUnderALimitOfFiles(t *testing.T) {
	e, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	workspace := t.TempDir()
	j := job.New(e, workspace)
	j.Input("mode=audit", "fail-on=never", "vault="+emulator.DefaultVault, "report=a.html\na.csv")
	r, err := j.Exec(j.Command(t.Context(), "/bin/sh", "-c", `ulimit -f 8 && exec "$0"`, program), nil)
	if err != nil || r.Status != 1 {
		t.Fatalf("status %d, %v; want a failure\n%s%s", r.Status, err, r.Log, r.Stderr)
	}
	const want = `::error::writing the report "a.html": file too large; let the container write larger files`
	if !strings.Contains(r.Log, want) || !strings.Contains(r.Log, "Report: a.csv") {
		t.Errorf("the log lacks %q, or the other report:\n%s", want, r.Log)
	}
	if r.Outputs.Get("due") != "[]" || r.Files["GITHUB_STEP_SUMMARY"] == "" {
		t.Errorf("outputs %v, or the summary, are not written", r.Outputs)
	}
	if _, err := os.Stat(filepath.Join(workspace, "a.html")); err == nil {
		t.Error("a part of the report stands there")
	}
}

func BenchmarkAudit5000(b *testing.B) { benchmarkAudit(b, 5000) }

func BenchmarkAudit20000(b *testing.B) { benchmarkAudit(b, 20000) }

// benchmarkAudit audits a vault of so many secrets, of which 500 are declared.
func benchmarkAudit(b *testing.B, secrets int) {
	j := newWeekly(b, emulator.Options{Vaults: vaultNames(1)})
	j.holding(secrets, 500)
	j.audit()
	var walls []time.Duration
	var peaks []int64
	var made int
	for b.Loop() {
		requests, wall, peak := j.audit()
		made = requests["list"] + requests["versions"] + requests["list-deleted"]
		if requests["throttled"] != 0 {
			b.Fatalf("%d requests were throttled", requests["throttled"])
		}
		walls, peaks = append(walls, wall), append(peaks, peak)
	}
	slices.Sort(walls)
	slices.Sort(peaks)
	b.ReportMetric(float64(walls[len(walls)/2].Microseconds())/1000, "ms/run")
	b.ReportMetric(float64(peaks[len(peaks)-1])/(1<<20), "highest-peak-MiB")
	b.ReportMetric(float64(made), "requests")
	b.ReportMetric(0, "ns/op")
}
