package report_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

const day = 24 * time.Hour

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got; go test -update writes it anew\n%s", path, diff)
	}
}

func id(n int) string { return fmt.Sprintf("%032x", n+0xabc) }

// step returns a step of a secret that is declared in the line.
func step(line int, name, vault string, change provision.Change, reason string) provision.Step {
	return provision.Step{
		Name: name, Place: declaration.Place{File: ".github/passwords.yml", Line: line, Col: 3}, Vault: vault,
		Change: change, Reason: reason, Policy: "azure-sql@0123456789ab", Bits: "209.54",
	}
}

// example returns a plan with one step of each kind, and how it ended.
func example() (*provision.Plan, []provision.Result) {
	const remedy = "to replace it, set the input adopt: true; otherwise declare another name"
	again := refusal.Refusal{Remedy: "run the job again", Kind: refusal.Cancelled}
	forbidden := refusal.Refusal{
		Act: "setting it", Cause: "the identity has no role here that allows it", Remedy: "assign one",
		Trace: "request ID 7", Kind: refusal.Forbidden,
	}
	steps := []provision.Step{
		step(12, "sql-admin-password", "kv-app-prod", provision.Create, "did not exist"),
		step(13, "redis-password", "kv-app-prod", provision.Rotate, "made 61d ago, rotate after 60d"),
		step(14, "old", "kv-app-prod", provision.Recover, "soft-deleted: it is recovered first"),
		step(15, "web", "kv-app-prod", provision.Keep, "made 3d ago, not due before 2026-05-01 12:00Z"),
		step(16, "theirs", "kv-app-prod", provision.Refuse, ""),
		step(20, "signing", "kv-app-eu", provision.Create, "did not exist"),
		step(20, "signing", "kv-app-us", provision.Create, "did not exist"),
		step(30, "late", "kv-app-us", provision.Create, "did not exist"),
		step(31, "later", "kv-app-us", provision.Refuse, ""),
		step(32, "held", "kv-app-us", provision.Keep, "made 3d ago, no rotation by time is declared"),
	}
	steps[0].After.Expires, steps[0].After.Next = today.Add(90*day), today.Add(60*day)
	steps[1].Before.Version, steps[1].After.Expires, steps[1].Disable = id(2), today.Add(20*day), []string{id(1), id(2)}
	steps[3].Before = provision.State{Version: id(3), Expires: today.Add(-day)}
	steps[3].After, steps[3].Warnings = steps[3].Before, []string{"expired 24h ago"}
	steps[4].Before.Version = id(4)
	steps[4].Refusal = refusal.Refusal{
		Cause: "made 61d ago, rotate after 60d, but this action did not make the current version", Remedy: remedy,
	}
	steps[5].Bits, steps[6].Bits = "77.54 + 128.00", "77.54 + 128.00"
	steps[8].Refusal = again
	steps[8].Refusal.Cause = "the run was stopped before this was looked up"
	steps[9].Before.Version, steps[9].Disable = id(5), []string{id(6)}

	stopped := again
	stopped.Cause = "the run was stopped before this was started"
	results := make([]provision.Result, len(steps))
	for i := range steps {
		results[i] = provision.Result{Step: &steps[i], After: steps[i].Before}
	}
	for i, changed := range map[int]int{0: 10, 1: 11, 2: 12} {
		results[i].Changed = true
		results[i].After = provision.State{Version: id(changed), Expires: steps[i].After.Expires,
			Next: steps[i].After.Next}
	}
	results[0].Elapsed, results[1].Elapsed, results[2].Elapsed = 120*time.Millisecond, 2*time.Second, time.Millisecond
	results[1].Disabled = []string{id(1)}
	results[1].Err = refusal.Refusal{
		Act: "disabling superseded version " + id(2), Cause: "the identity has no role here that allows it",
		Remedy: "assign a role with the data action Microsoft.KeyVault/vaults/secrets/update/action",
		Kind:   refusal.Forbidden,
	}
	results[2].Duplicates = []string{id(13)}
	results[4].Err, results[8].Err = steps[4].Refusal, steps[8].Refusal
	results[5].Err, results[6].Err = forbidden, forbidden
	results[7].Err = stopped
	results[9].Err = refusal.Refusal{
		Act: "disabling superseded version " + id(6), Cause: "it is not there", Kind: refusal.NotFound,
	}
	return &provision.Plan{Steps: steps}, results
}

// withTargets returns a plan of secrets with targets, and how it ended.
func withTargets() (*provision.Plan, []provision.Result) {
	steps := []provision.Step{
		step(12, "orders-login", "kv-app-prod", provision.Rotate, "made 31d ago, rotate after 30d"),
		step(18, "sql-admin", "kv-app-prod", provision.Rotate, "the target does not hold this version"),
		step(22, "web-login", "kv-app-prod", provision.Keep, "made 3d ago, not due before 2026-05-01 12:00Z"),
		step(28, "mail-login", "kv-app-prod", provision.Rotate, "forced"),
		step(34, "late-login", "kv-app-prod", provision.Rotate, "forced"),
		step(40, "lost-login", "kv-app-prod", provision.Refuse, ""),
		step(46, "plain", "kv-app-prod", provision.Create, "did not exist"),
	}
	for i, at := range []string{"orders_b at pg-prod", "sqladmin at sql-prod", "web_a at pg-prod", "mail at pg-prod",
		"late_b at pg-prod", " at pg-prod", " at "} {
		steps[i].Login, steps[i].Target, _ = strings.Cut(at, " at ")
		steps[i].Before.Version = id(i)
		steps[i].After = steps[i].Before
	}
	steps[5].Refusal = refusal.Refusal{
		Act: "looking at pg-prod", Cause: "there is no role lost_b", Remedy: "create it",
	}
	results := make([]provision.Result, len(steps))
	for i := range steps {
		results[i] = provision.Result{Step: &steps[i], After: steps[i].Before}
		if steps[i].Change.Writes() {
			results[i].Changed, results[i].After.Version = true, id(i+20)
		}
	}
	results[0].Outcome = provision.Applied
	results[1].Outcome, results[1].Err = provision.VaultAhead, refusal.Refusal{
		Act: "setting sqladmin at sql-prod", Cause: "the server is stopped", Remedy: "start it",
		Kind: refusal.Forbidden,
	}
	results[3].Outcome, results[3].Changed, results[3].After = provision.TargetUntouched, false, steps[3].Before
	results[3].Err = refusal.Refusal{Act: "setting it", Cause: "the identity has no role here", Kind: refusal.Forbidden}
	results[4].Overtaken, results[4].Changed, results[4].After = true, false, provision.State{Version: id(99)}
	results[5].Err = steps[5].Refusal
	return &provision.Plan{Steps: steps}, results
}

// Secrets with targets are told with login and target, and what became of it; one without has no more to say.
func TestTargets(t *testing.T) {
	plan, results := withTargets()
	var b strings.Builder
	report.Plan(&b, plan)
	b.WriteString(report.Totals(plan, nil) + "\n\n")
	b.WriteString(logOf(plan, results) + report.Totals(plan, results) + "\n\n")
	b.WriteString(report.Summary(report.Run{Mode: provision.ModeRotate, Plan: plan, Results: results, Now: today}))
	golden(t, "targets.txt", b.String())
	checkTables(t, b.String())
}

func TestPlan(t *testing.T) {
	plan, _ := example()
	var b strings.Builder
	report.Plan(&b, plan)
	golden(t, "plan.txt", b.String()+report.Totals(plan, nil)+"\n")
}

// logOf returns the log of a run.
func logOf(plan *provision.Plan, results []provision.Result) (text string) {
	log := report.NewLog(plan)
	for _, r := range results {
		if lines := log.Ended(r); lines != "" {
			text += lines + "\n"
		}
	}
	if rest := log.Rest(); rest != "" {
		text += rest + "\n"
	}
	return text
}

func TestLog(t *testing.T) {
	plan, results := example()
	golden(t, "log.txt", logOf(plan, results)+report.Totals(plan, results)+"\n")
}

// Where all is in one vault the log does not repeat its name.
func TestLogOfOneVault(t *testing.T) {
	plan, results := example()
	plan.Steps = plan.Steps[:4]
	if got := logOf(plan, results[:4]); strings.Contains(got, "kv-app-prod") {
		t.Error(got)
	}
}

func TestSummary(t *testing.T) {
	plan, results := example()
	golden(t, "summary.md", report.Summary(report.Run{
		Mode: provision.ModeRotate, Plan: plan, Results: results, Now: today, Elapsed: 2345 * time.Millisecond,
		Notes: []string{"identity: 0.31 s"},
	}))
	golden(t, "dry-run.md", report.Summary(report.Run{Mode: provision.ModeRotate, Plan: plan, Now: today}))
}

// A check tells each secret in a line, and in a row that has its place.
func TestCheck(t *testing.T) {
	declared := []report.Declared{
		{
			Name: "sql-admin-password", Place: declaration.Place{File: ".github/passwords.yml", Line: 12, Col: 3},
			Vaults: []string{"kv-app-prod"}, Policy: "azure-sql", Length: "24", Bits: "138.52",
			Expires: "after 90d", Rotates: "after 60d, 14d before it expires",
		},
		{
			Name: "signing", Place: declaration.Place{File: ".github/passwords.yml", Line: 20, Col: 3},
			Vaults: []string{"kv-app-eu", "kv-app-us"}, Policy: "passphrase + hex-256", Length: "20 to 70 + 64",
			Bits: ">= 77.54 + 256.00", Expires: "never", Rotates: "after 30d", Target: "pg-prod",
		},
		{Name: "a|b", Policy: "inline", Length: "1", Bits: "3.32", Expires: "never"},
	}
	var b strings.Builder
	report.Check(&b, declared)
	golden(t, "check.txt", b.String())
	warning := declaration.Problem{Place: declared[0].Place}
	warning.Cause, warning.Remedy = "it expires and nothing renews it", "declare rotate"
	golden(t, "check.md", report.CheckSummary(declared, declaration.Problems{warning}))
}

func TestProblems(t *testing.T) {
	plan, results := example()
	var got []string
	for _, p := range report.Problems(plan, results) {
		got = append(got, fmt.Sprint(p.Place(), " ", p.Text()))
	}
	golden(t, "problems.txt", strings.Join(got, "\n")+"\n")
	if planned := report.Problems(plan, nil); len(planned) != 2 || planned[0].Steps[0].Name != "theirs" {
		t.Errorf("of the plan: %v", planned)
	}
}

// One reason for many secrets is one problem, which names the first and counts the rest.
func TestOneProblemOfMany(t *testing.T) {
	plan := &provision.Plan{}
	for i := range 9 {
		refused := step(i, fmt.Sprintf("s%d", i), "kv", provision.Refuse, "")
		refused.Refusal = refusal.Refusal{
			Act: "looking it up", Cause: "there is no host", Trace: fmt.Sprintf("request ID %d", i),
		}
		plan.Steps = append(plan.Steps, refused)
	}
	problems := report.Problems(plan, nil)
	want := "9 secrets in kv (s0, s1, s2, s3, s4, and 4 more): looking it up: there is no host (request ID 0)"
	if len(problems) != 1 || problems[0].Text() != want || len(problems[0].Steps) != 9 {
		t.Errorf("got %v", problems)
	}
}

// However many vaults a problem is in, the sentence has one "and" for those that it does not name.
func TestOneProblemOfManyVaults(t *testing.T) {
	for n, want := range map[int]string{
		1: "db in kv1", 2: "db in kv1 and kv2", 3: "db in kv1, kv2, kv3",
		9: "db in kv1, kv2, kv3, kv4, kv5, and 4 more",
	} {
		plan := &provision.Plan{}
		for i := range n {
			s := step(1, "db", fmt.Sprint("kv", i+1), provision.Refuse, "")
			s.Refusal = refusal.Refusal{Cause: "it is blocked"}
			plan.Steps = append(plan.Steps, s)
		}
		if got := report.Problems(plan, nil); len(got) != 1 || got[0].Text() != want+": it is blocked" {
			t.Errorf("%d vaults: got %v; want %s", n, got, want)
		}
	}
}

// What many secrets meet is told once, with how many they are and the first names, in the plan and in the log.
func TestOneLineForManyRefusals(t *testing.T) {
	plan := &provision.Plan{}
	results := make([]provision.Result, 16)
	for i := range results {
		refused := step(i, fmt.Sprintf("s%02d", i), "kv", provision.Refuse, "")
		refused.Refusal = refusal.Refusal{Act: "looking it up", Cause: "there is no host",
			Trace: fmt.Sprint("request ", i)}
		plan.Steps = append(plan.Steps, refused)
	}
	for i := range results {
		results[i] = provision.Result{Step: &plan.Steps[i], Err: plan.Steps[i].Refusal}
	}
	var b strings.Builder
	report.Plan(&b, plan)
	const reason = "16 secrets in kv (s00, s01, s02, s03, s04, and 11 more): looking it up: there is no host " +
		"(request 0)\n"
	want := "refuse     " + reason + "refused    " + reason
	if diff := cmp.Diff(want, b.String()+logOf(plan, results)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	summary := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Results: results, Now: today})
	if cell := "| 16 secrets:<br>s00 (passwords.yml) in kv<br>s01 (passwords.yml:1) in " +
		"kv<br>"; !strings.Contains(summary, cell) {
		t.Errorf("the summary has no %q:\n%s", cell, summary)
	}
}

// A secret in two vaults is one line and one row with both, as long as it fares alike in both.
func TestTwoVaultsAreOneSecret(t *testing.T) {
	plan := &provision.Plan{Steps: []provision.Step{
		step(1, "key", "kv-eu", provision.Create, "did not exist"),
		step(1, "key", "kv-us", provision.Create, "did not exist"),
	}}
	results := []provision.Result{
		{Step: &plan.Steps[0], Changed: true, After: provision.State{Version: id(1)}},
		{Step: &plan.Steps[1], Changed: true, After: provision.State{Version: id(2)}},
	}
	ended := []provision.Result{results[1], results[0]} // vaults end in any order
	got := logOf(plan, ended) + report.Totals(plan, results)
	want := "created    key  kv-eu, kv-us  " + id(1) + ", " + id(2) + "  did not exist\n1 secret in 2 vaults: 1 created"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	summary := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Results: results, Now: today})
	row := "| key (passwords.yml:1) | created: did not exist | kv-eu<br>`" + id(1) + "`<br>kv-us<br>`" + id(2) + "` |"
	if !strings.Contains(summary, row) {
		t.Errorf("the summary has another row:\n%s", summary)
	}
}

// A secret that one of its vaults lacks is one line too, where both get the new version: what is done is the gravest,
// and what is done beside it is counted for both.
func TestTwoVaultsThatDifferAreOneSecret(t *testing.T) {
	const why = "vaults differ: not in kv-us"
	plan := &provision.Plan{Steps: []provision.Step{
		step(1, "key", "kv-us", provision.Create, why), step(1, "key", "kv-eu", provision.Rotate, why),
		step(1, "key", "kv-de", provision.Rotate, why),
	}}
	var results []provision.Result
	for i := range plan.Steps {
		s := &plan.Steps[i]
		s.Disable = []string{id(10), id(11), id(12)}[:i]
		results = append(results, provision.Result{
			Step: s, Changed: true, After: provision.State{Version: id(i)}, Disabled: s.Disable,
		})
	}
	var b strings.Builder
	report.Plan(&b, plan)
	got := b.String() + logOf(plan, results) + report.Totals(plan, results)
	want := "rotate     key  kv-us, kv-eu, kv-de  azure-sql@0123456789ab  209.54 bits  " + why +
		"; disable 3 superseded versions\n" +
		"rotated    key  kv-us, kv-eu, kv-de  " + id(0) + ", " + id(1) + ", " + id(2) + "  " + why +
		"; disabled 3 superseded versions\n" +
		"1 secret in 3 vaults: 1 rotated; 3 superseded versions disabled"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	summary := report.Summary(report.Run{Mode: provision.ModeRotate, Plan: plan, Results: results, Now: today})
	if row := "| rotated: " + why + "; disabled 3 superseded versions | kv-us<br>"; !strings.Contains(summary, row) {
		t.Errorf("the summary has no %q:\n%s", row, summary)
	}
}

// A secret whose vaults were written a second apart, or by two, is one line, one row and one bar: what differs is told
// by vault.
func TestTwoVaultsOfDifferentDatesAreOneSecret(t *testing.T) {
	plan := &provision.Plan{Steps: []provision.Step{
		step(1, "key", "kv-eu", provision.Keep, "exists, made 29s ago"),
		step(1, "key", "kv-us", provision.Keep, "exists, made 30s ago"),
		step(1, "key", "kv-de", provision.Keep, "exists, made 30s ago"),
	}}
	for i := range plan.Steps {
		plan.Steps[i].After.Expires = today.Add(time.Duration(30+min(i, 1)) * day)
	}
	results := make([]provision.Result, len(plan.Steps))
	for i := range plan.Steps {
		results[i] = provision.Result{Step: &plan.Steps[i], After: plan.Steps[i].After}
		results[i].After.Version = id(i)
	}
	var b strings.Builder
	report.Plan(&b, plan)
	const dates = "expires kv-eu: 2026-03-31, kv-us, kv-de: 2026-04-01  " +
		"kv-eu: exists, made 29s ago; kv-us, kv-de: exists, made 30s ago\n"
	want := "keep       key  kv-eu, kv-us, kv-de  azure-sql@0123456789ab  209.54 bits  " + dates +
		"kept       key  kv-eu, kv-us, kv-de  " + id(0) + ", " + id(1) + ", " + id(2) + "  " + dates
	if diff := cmp.Diff(want, b.String()+logOf(plan, results)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	summary := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Results: results, Now: today})
	for _, want := range []string{"| kv-eu: 2026-03-31<br>kv-us, kv-de: 2026-04-01 | - |",
		"\n    section 3 vaults\n    key (passwords.yml 1) :2026-03-01, 2026-04-01\n```"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary has no %q:\n%s", want, summary)
		}
	}
}

// A secret in two vaults has one bar in the chart, and the names of the vaults have room beside it.
func TestTimelineOfTwoVaults(t *testing.T) {
	plan := &provision.Plan{}
	for _, vault := range []string{"kv-orders-prod", "kv-orders-standby"} {
		s := step(1, "key", vault, provision.Keep, "exists")
		s.After.Expires = today.Add(40 * day)
		plan.Steps = append(plan.Steps, s)
	}
	got := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Now: today})
	section := "kv-orders-prod and kv-orders-standby"
	for _, want := range []string{"\n    section " + section + "\n    key (passwords.yml 1) :",
		fmt.Sprintf("\n    leftPadding: %d\n", 20+6*len(section))} {
		if strings.Count(got, want) != 1 {
			t.Errorf("the chart has not one %q:\n%s", want, got)
		}
	}
}

// Problems that are shared are told apart, each once and with all its secrets, in the plan's order whichever ended
// first.
func TestSharedProblemsAreToldApart(t *testing.T) {
	plan := &provision.Plan{}
	for i := range 6 {
		s := step(i+1, fmt.Sprint("s", i), "kv", provision.Refuse, "")
		s.Refusal = refusal.Refusal{Cause: []string{"it is blocked", "it is foreign"}[i%2]}
		plan.Steps = append(plan.Steps, s)
	}
	var results []provision.Result
	for _, i := range []int{4, 5, 0, 1, 2, 3} {
		results = append(results, provision.Result{Step: &plan.Steps[i], Err: plan.Steps[i].Refusal})
	}
	const want = "refused    3 secrets in kv (s0, s2, s4): it is blocked\n" +
		"refused    3 secrets in kv (s1, s3, s5): it is foreign\n"
	if diff := cmp.Diff(want, logOf(plan, results)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What many fail for is one line with what became of their targets; one that was only planned to be refused, or that
// was stopped, is told apart from those that failed.
func TestOneLineForManyFailures(t *testing.T) {
	forbidden := refusal.Refusal{Act: "setting it", Cause: "the identity has no role here", Kind: refusal.Forbidden}
	stopped := refusal.Refusal{Cause: "the run was stopped", Kind: refusal.Cancelled}
	plan, results := &provision.Plan{}, make([]provision.Result, 8)
	for i := range results {
		plan.Steps = append(plan.Steps, step(i+1, fmt.Sprint("s", i), "kv", provision.Rotate, "forced"))
	}
	for i := range results {
		results[i] = provision.Result{Step: &plan.Steps[i], Err: forbidden}
		switch i {
		case 0, 5:
			results[i].Outcome = provision.TargetUntouched
		case 1, 6:
			results[i].Err = stopped
		}
	}
	const want = "failed     2 secrets in kv (s0, s5): target untouched: setting it: the identity has no role here\n" +
		"stopped    2 secrets in kv (s1, s6): the run was stopped\n" +
		"failed     4 secrets in kv (s2, s3, s4, s7): setting it: the identity has no role here\n"
	if diff := cmp.Diff(want, logOf(plan, results)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A warning that many share is one line, and one row of the summary.
func TestOneLineForManyWarnings(t *testing.T) {
	plan := &provision.Plan{}
	for i := range 7 {
		s := step(i+1, fmt.Sprint("s", i), "kv-eu", provision.Keep, "exists")
		s.Warnings = []string{"expired 24h ago"}
		second := s
		second.Vault, second.Warnings = "kv-us", []string{"expired 24h ago", fmt.Sprint("of s", i)}[:1+i%2]
		plan.Steps = append(plan.Steps, s, second)
	}
	var b strings.Builder
	report.Plan(&b, plan)
	_, got, _ := strings.Cut(b.String(), "\nwarning")
	const want = "    7 secrets in kv-eu and kv-us (s0, s1, s2, s3, s4, and 2 more): expired 24h ago\n" +
		"warning    s1 in kv-us: of s1\nwarning    s3 in kv-us: of s3\nwarning    s5 in kv-us: of s5\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if lines := strings.Count(b.String(), "\nkeep ") + 1; lines != 7 {
		t.Errorf("%d lines for 7 secrets:\n%s", lines, b.String())
	}
	summary := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Now: today})
	if n := strings.Count(summary, "| expired 24h ago |"); n != 1 {
		t.Errorf("%d rows for one warning:\n%s", n, summary)
	}
}

// Progress is that of the secrets for which something is to be done, each once however many vaults it has.
func TestProgressCountsSecrets(t *testing.T) {
	plan := &provision.Plan{Steps: []provision.Step{
		step(1, "kept", "kv-eu", provision.Keep, "exists"),
		step(2, "key", "kv-eu", provision.Create, "did not exist"),
		step(2, "key", "kv-us", provision.Create, "did not exist"),
		step(3, "held", "kv-eu", provision.Keep, "exists"),
	}}
	plan.Steps[3].Disable = []string{id(1)}
	log := report.NewLog(plan)
	var got []string
	for i := range plan.Steps {
		log.Ended(provision.Result{Step: &plan.Steps[i]})
		done, total := log.Progress()
		got = append(got, fmt.Sprintf("%d of %d", done, total))
	}
	if diff := cmp.Diff([]string{"0 of 2", "0 of 2", "1 of 2", "2 of 2"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The axis of the chart has at most ten dates or so, whatever it reaches to: more would overlap.
func TestTimelineDates(t *testing.T) {
	for _, test := range []struct {
		days int
		want string
	}{
		{-1, "1day"}, {1, "1day"}, {9, "1day"}, {10, "1week"}, {69, "1week"}, {70, "1month"}, {299, "1month"},
		{300, "3month"}, {899, "3month"}, {900, "12month"}, {100000, "12month"},
	} {
		s := step(1, "db", "kv", provision.Keep, "exists")
		s.After.Expires = today.Add(time.Duration(test.days) * day)
		plan := &provision.Plan{Steps: []provision.Step{s}}
		got := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Now: today})
		if !strings.Contains(got, "\n    tickInterval "+test.want+"\n") {
			t.Errorf("%d days: expected an interval of %s:\n%s", test.days, test.want, got)
		}
	}
}

// The label of a bar begins with the name, and has its place, however long the name is.
func TestTimelineOfALongName(t *testing.T) {
	name := strings.Repeat("x", 127)
	s := step(7, name, "kv", provision.Keep, "exists")
	s.After.Expires = today.Add(40 * day)
	got := report.Summary(report.Run{
		Mode: provision.ModeEnsure, Plan: &provision.Plan{Steps: []provision.Step{s}}, Now: today,
	})
	if want := "\n    " + name[:47] + "… (passwords.yml 7) :"; !strings.Contains(got, want) {
		t.Errorf("the chart has no %q:\n%s", want, got)
	}
}

// A name that Mermaid would take for one of its words, or for a date, is no label by itself.
func TestTimelineOfOddNames(t *testing.T) {
	plan := &provision.Plan{}
	for i, name := range []string{"gantt-db", "2026-03-01-db", "Section-x", "db"} {
		s := step(i+1, name, "kv", provision.Keep, "exists")
		s.After.Expires = today.Add(40 * day)
		plan.Steps = append(plan.Steps, s)
	}
	got := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Now: today})
	for _, want := range []string{"\n    secret gantt-db (", "\n    secret 2026-03-01-db (", "\n    secret Section-x (",
		"\n    db (passwords.yml 4) :2026-"} {
		if !strings.Contains(got, want) {
			t.Errorf("the chart has no %q:\n%s", want, got)
		}
	}
}

// One long name does not push all other lines aside.
func TestAlignmentIsBounded(t *testing.T) {
	plan := &provision.Plan{Steps: []provision.Step{
		step(1, strings.Repeat("x", 127), "kv", provision.Create, "did not exist"),
		step(2, "db", "kv", provision.Create, "did not exist"),
	}}
	var b strings.Builder
	report.Plan(&b, plan)
	if _, got, _ := strings.Cut(b.String(), "\n"); len(got) > 120 {
		t.Errorf("%d characters: %s", len(got), got)
	}
}

// An error of any other type is told too.
func TestForeignError(t *testing.T) {
	s := step(1, "a", "kv", provision.Create, "did not exist")
	results := []provision.Result{{Step: &s, Err: errors.New("strange")}}
	if got := report.Problems(&provision.Plan{}, results); len(got) != 1 || got[0].Cause != "strange" {
		t.Errorf("got %v", got)
	}
}

func TestNothingToDo(t *testing.T) {
	if got, want := report.Totals(&provision.Plan{}, nil), "0 secrets: nothing to do"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: &provision.Plan{}}); !strings.HasPrefix(got,
		"## Passwords") {
		t.Errorf("got %q", got)
	}
}

// hostile is text as an answer could bring it.
const hostile = "\n::add-mask::x\r\n##[error]oops | `code` <img src=x> [link](https://example.com) " +
	"www.example.com\x1b[31m &amp; \u202e"

// hostileRun returns n results, all failed, whose every text is hostile and long.
func hostileRun(n int) (*provision.Plan, []provision.Result) {
	plan := &provision.Plan{Steps: make([]provision.Step, n)}
	results := make([]provision.Result, n)
	for i := range n {
		s := step(i, fmt.Sprintf("name%d%s", i, hostile), "kv"+hostile, provision.Create, strings.Repeat(hostile, 50))
		s.Warnings = []string{hostile}
		s.Place.File, s.Policy, s.Bits, s.Before.Version = hostile, hostile, hostile, hostile
		s.After.Expires = today.Add(day)
		plan.Steps[i] = s
		results[i] = provision.Result{
			Step: &plan.Steps[i], After: provision.State{Version: hostile, Expires: s.After.Expires},
			Duplicates: []string{hostile},
			Err:        refusal.Refusal{Cause: fmt.Sprint(i, hostile), Remedy: strings.Repeat(hostile, 50)},
		}
		switch i % 3 {
		case 0:
			results[i].Err = nil
		case 1:
			plan.Steps[i].Change, plan.Steps[i].Refusal.Remedy = provision.Refuse, hostile
		}
	}
	return plan, results
}

// The summary stays below the runner's limit, however many secrets there are and whatever they are called, and tells
// how many rows it leaves out.
func TestSummaryIsBounded(t *testing.T) {
	for _, test := range []struct {
		when string
		run  func() (*provision.Plan, []provision.Result)
	}{
		{"hostile", func() (*provision.Plan, []provision.Result) { return hostileRun(400) }},
		{"plain", func() (*provision.Plan, []provision.Result) {
			plan := &provision.Plan{Steps: make([]provision.Step, 20000)}
			for i := range plan.Steps {
				plan.Steps[i] = step(i, fmt.Sprintf("secret-%d", i), "kv", provision.Create, "did not exist")
				plan.Steps[i].After.Expires = today.Add(time.Duration(i) * day)
			}
			return plan, nil
		}},
	} {
		t.Run(test.when, func(t *testing.T) {
			plan, results := test.run()
			got := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Results: results, Now: today,
				Notes: []string{hostile}})
			if len(got) > 1<<20 || len(got) < 1<<19 {
				t.Errorf("%d bytes", len(got))
			}
			_, table, _ := strings.Cut(got, "### Secrets\n\n")
			shown := strings.Count(table[:strings.Index(table, "\n\n")], "\n") - 1
			if want := fmt.Sprintf("\n%d more rows not shown", len(plan.Steps)-shown); !strings.Contains(table, want) {
				t.Errorf("%d rows are shown, and it does not say %q", shown, want)
			}
			checkTables(t, got)
		})
	}
}

// checkTables checks that each row of each table has as many cells as its heading, so that nothing escaped its cell.
func checkTables(t *testing.T, markdown string) {
	t.Helper()
	columns := 0
	for line := range strings.Lines(markdown) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		if columns == 0 {
			columns = strings.Count(line, "|")
		}
		if strings.Count(line, "|") != columns || strings.ContainsAny(strings.ReplaceAll(line, "<br>", ""), "<>") {
			t.Fatalf("a row of %d columns: %.300s", columns-1, line)
		}
	}
}

// No line of the log is a workflow command, whatever is in it.
func TestLogOfHostileText(t *testing.T) {
	plan, results := hostileRun(9)
	var b strings.Builder
	report.Plan(&b, plan)
	b.WriteString(logOf(plan, results))
	// in the plan, the 3 that are refused alike are one line, and so is the warning of all
	if got, want := strings.Count(b.String(), "\n"), 7+1+9; got != want {
		t.Errorf("%d lines; want %d:\n%.3000s", got, want, b.String())
	}
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		if strings.Contains(line, "##[") || strings.HasPrefix(strings.TrimSpace(line), "::") ||
			strings.ContainsFunc(line, unicode.IsControl) {
			t.Errorf("a line that is not escaped: %.200q", line)
		}
	}
}

func TestProgress(t *testing.T) {
	p := report.Progress{Total: 2000}
	for _, test := range []struct {
		done int
		at   time.Duration
		want string
	}{
		{0, 0, "0 of 2000"},
		{0, time.Second, "0 of 2000"},
		{270, 2 * time.Second, "270 of 2000, 135/s, 13 s left"},
		{270, 6 * time.Second, "270 of 2000, 45/s, 38 s left"},
		{300, 10 * time.Second, "300 of 2000, 30/s, 57 s left"},
		{540, 12 * time.Second, "540 of 2000, 27/s, 54 s left"}, // since 2 s: the burst is past
		{542, 16 * time.Second, "542 of 2000, 27/s, 54 s left"},
		{560, 60 * time.Second, "560 of 2000, 0.4/s, 3520 s left"},
		{560, 90 * time.Second, "560 of 2000"},
	} {
		if got := p.Line(test.done, test.at); got != test.want {
			t.Errorf("%d at %s: got %q, want %q", test.done, test.at, got, test.want)
		}
	}
}

// Expiries that no clock reaches leave the chart readable: a bar is cut, and beside near ones far ones are counted.
func TestTimelineOfOddExpiries(t *testing.T) {
	far := []time.Time{
		time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(253402300799, 0), time.Unix(253402303861, 0),
		time.Unix(1797552000000, 0),
	}
	plan := &provision.Plan{}
	for i, expires := range far {
		s := step(i+1, fmt.Sprintf("far-%d", i), "kv", provision.Keep, "exists")
		s.After.Expires = expires
		plan.Steps = append(plan.Steps, s)
	}
	alone := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Now: today})
	if n := strings.Count(alone, " (later than ten years) :2026-03-01, 2036-02-28\n"); n != len(far) {
		t.Errorf("%d bars of %d are cut:\n%s", n, len(far), alone)
	}
	near := step(9, "near", "kv", provision.Keep, "exists")
	near.After.Expires = today.Add(40 * day)
	plan.Steps = append(plan.Steps, near)
	both := report.Summary(report.Run{Mode: provision.ModeEnsure, Plan: plan, Now: today})
	if strings.Count(both, " :2026-") != 1 || !strings.Contains(both, "After more than two years: 4 more secrets.") {
		t.Errorf("far ones are drawn beside a near one:\n%s", both)
	}
}

// The declaration's own warnings are told with their places, also where no step has one, and their text is no markup.
func TestSummaryTellsOfTheDeclaration(t *testing.T) {
	warning := declaration.Problem{
		Refusal: refusal.Refusal{Cause: "<b>${password}</b> | stands", Remedy: "write ${password|url}"},
		Place:   declaration.Place{File: ".github/passwords.yml", Line: 12, Col: 3},
	}
	got := report.Summary(report.Run{
		Mode: provision.ModeEnsure, Plan: &provision.Plan{}, Now: today, Warnings: declaration.Problems{warning},
	})
	if !strings.Contains(got, "### Warnings about the declaration") || !strings.Contains(got, "| passwords.yml:12 |") ||
		strings.Contains(got, "<b>") {
		t.Errorf("the summary does not tell of the warning as text:\n%s", got)
	}
}
