package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/report"
)

// audited returns a report with one secret of each kind.
func audited() *audit.Report {
	at := func(line int) declaration.Place {
		return declaration.Place{File: ".github/passwords.yml", Line: line, Col: 3}
	}
	found := func(rule string, level audit.Level, vault, secret string, place declaration.Place,
		message string) audit.Finding {
		return audit.Finding{Rule: rule, Level: level, Vault: vault, Secret: secret, Place: place, Message: message,
			Remedy: "do something about it"}
	}
	r := &audit.Report{
		Taken: today, File: ".github/passwords.yml", Due: []string{"db"}, Ignored: 2,
		Vaults: []audit.Vault{
			{Name: "kv-app", Complete: true, Secrets: 4, Deleted: 1},
			{Name: "kv-us", Why: "the vault's firewall does not let this runner in; allow it"},
		},
		Secrets: []audit.Secret{
			{Vault: "kv-app", Name: "db", Declared: true, Place: at(3), Exists: true, Ours: true, Enabled: true,
				Version: id(1), Made: "azure-sql@1", Policy: "azure-sql@1", Created: today.Add(-100 * day),
				Expires: today.Add(20 * day), Next: today.Add(-10 * day), Due: lifecycle.TriggerAge,
				DueReason: "made 100d ago, rotate after 90d", Versions: 3, Whole: true, Worst: audit.LevelError,
				Findings: []string{audit.ExpiresSoon, audit.OverdueRotation}},
			{Vault: "kv-app", Name: "web", Declared: true, Place: at(4), Exists: true, Ours: true, Enabled: true,
				Created: today.Add(-day), Expires: today.Add(80 * day), Next: today.Add(60 * day), Versions: 1,
				Whole: true, Made: "default@2", Policy: "default@2"},
			{Vault: "kv-app", Name: "gone", Declared: true, Place: at(5), Deleted: today.Add(-day),
				Purge: today.Add(89 * day), Worst: audit.LevelError, Findings: []string{audit.Missing}},
			{Vault: "kv-app", Name: "old-one", Place: at(1), Exists: true, Enabled: true,
				Created: today.Add(-4000 * day), Expires: time.Unix(1797552000000, 0), Versions: 1,
				Worst: audit.LevelWarning, Findings: []string{audit.Undeclared}},
			{Vault: "kv-app", Name: "off", Place: at(1), Exists: true, Managed: true, Created: today.Add(-200 * day),
				Versions: 1, Whole: true, Worst: audit.LevelInfo, Findings: []string{audit.Managed}},
		},
		Findings: []audit.Finding{
			found(audit.OverdueRotation, audit.LevelError, "kv-app", "db", at(3), "due for 10d"),
			found(audit.Missing, audit.LevelError, "kv-app", "gone", at(5), "it is declared and not in the vault"),
			found(audit.ExpiresSoon, audit.LevelWarning, "kv-app", "db", at(3), "expires in 20d"),
			found(audit.Undeclared, audit.LevelWarning, "kv-app", "old-one", at(1), "it is not declared"),
			found(audit.Managed, audit.LevelInfo, "kv-app", "off", at(1), "managed"),
		},
		Notes: []string{".github/passwords.yml:9:5: ignore of x matches no finding; remove it"},
	}
	for i := range 12 {
		first := time.Date(2025, time.April+time.Month(i), 1, 0, 0, 0, 0, time.UTC)
		r.Months = append(r.Months, audit.Month{First: first, Versions: i * i})
	}
	return r
}

func TestAuditSummary(t *testing.T) {
	run := report.AuditRun{Report: audited(), Hidden: true, Reports: true, Notes: []string{"identity: 0.31 s"},
		Elapsed: time.Second}
	golden(t, "audit.md", report.AuditSummary(run))
	run.Hidden = false
	if got := report.AuditSummary(run); !strings.Contains(got, "| old-one | kv-app | undeclared |") ||
		strings.Contains(got, "left out here") {
		t.Errorf("where names are not hidden:\n%s", got)
	}
	if got := report.AuditSummary(report.AuditRun{Report: &audit.Report{Taken: today}}); !strings.Contains(got,
		"Nothing was found.") {
		t.Errorf("where there is nothing:\n%s", got)
	}
	nothing := &audit.Report{Taken: today, Vaults: []audit.Vault{{Name: "kv-us", Why: "it is closed"}}}
	if got := report.AuditSummary(report.AuditRun{Report: nothing}); !strings.Contains(got,
		"Nothing was found in what could be listed.") {
		t.Errorf("where nothing could be listed:\n%s", got)
	}
}

// Hidden names stand nowhere in the summary, and each undeclared secret has a row that can be told from the others.
func TestAuditSummaryHidesNames(t *testing.T) {
	got := report.AuditSummary(report.AuditRun{Report: audited(), Hidden: true})
	for _, name := range []string{"old-one", "| off"} {
		if strings.Contains(got, name) {
			t.Errorf("%s is in it", name)
		}
	}
	for _, label := range []string{"undeclared 1, made 2015-03-19", "undeclared 2, made 2025-08-13"} {
		if strings.Count(got, label) < 2 {
			t.Errorf("%q is not in both the table of findings and of secrets", label)
		}
	}
}

func TestAuditLog(t *testing.T) {
	r := audited()
	for i := range 7 {
		f := r.Findings[3]
		f.Secret = fmt.Sprintf("old-%d", i)
		r.Findings = append(r.Findings, f)
	}
	var b strings.Builder
	report.Audit(&b, r)
	golden(t, "audit.txt", b.String()+report.AuditTotals(r)+"\n")
}

// A secret that is declared for two vaults is one secret in two vaults, wherever secrets are counted. Together stand
// findings that the same is to be done about.
func TestAuditLogCountsSecrets(t *testing.T) {
	r := &audit.Report{Taken: today, Vaults: []audit.Vault{
		{Name: "kv-a", Complete: true}, {Name: "kv-b", Complete: true},
	}}
	for _, of := range []struct {
		name, remedy string
		declared     bool
	}{
		{name: "both", remedy: "rotate it", declared: true}, {name: "other", remedy: "rotate it", declared: true},
		{name: "wild", remedy: "rotate it"}, {name: "mine", remedy: "keep it", declared: true},
	} {
		for _, vault := range []string{"kv-a", "kv-b"} {
			r.Secrets = append(r.Secrets, audit.Secret{Vault: vault, Name: of.name, Declared: of.declared,
				Exists: true, Due: "age"})
			r.Findings = append(r.Findings, audit.Finding{Rule: audit.TooOld, Level: audit.LevelWarning, Vault: vault,
				Secret: of.name, Declared: of.declared, Message: "it is old", Remedy: of.remedy})
		}
	}
	var b strings.Builder
	report.Audit(&b, r)
	const want = `warning  The current version is too old (too-old), 4 secrets: both in kv-a and kv-b, ` +
		`other in kv-a and kv-b, wild in kv-a, wild in kv-b; rotate it
warning  mine in kv-a and kv-b: it is old; keep it (too-old)
5 secrets in 2 vaults, 3 of them declared: 0 errors, 8 warnings, 0 notes; 5 due
`
	if got := b.String() + report.AuditTotals(r) + "\n"; got != want {
		t.Errorf("got\n%s; want\n%s", got, want)
	}
}

// The summary stays below the runner's limit, however many secrets there are and whatever they are called, and tells
// how many rows it leaves out.
func TestAuditSummaryIsBounded(t *testing.T) {
	for _, n := range []int{300, 20000} {
		for _, name := range []string{"secret", hostile} {
			r := audited()
			for i := range n {
				s := r.Secrets[i%2]
				s.Name, s.DueReason, s.Declared = fmt.Sprint(name, i), hostile, i%3 > 0
				r.Secrets = append(r.Secrets, s)
				for _, f := range r.Findings[:2] {
					f.Secret, f.Message, f.Remedy = s.Name, strings.Repeat(name, 20), hostile
					r.Findings = append(r.Findings, f)
				}
				r.Notes = append(r.Notes, hostile)
			}
			got := report.AuditSummary(report.AuditRun{Report: r, Notes: []string{hostile}})
			if len(got) >= 1<<20 {
				t.Errorf("%d secrets: %d bytes", n, len(got))
			}
			if n == 20000 && (len(got) < 1<<19 || strings.Count(got, "more rows not shown") != 3) {
				t.Errorf("%d secrets: %d bytes, %d tables say what they leave out", n, len(got),
					strings.Count(got, "more rows not shown"))
			}
			checkTables(t, got)
		}
	}
}

// One date to come is a table too, and none is no table.
func TestAuditSummaryOfOneDate(t *testing.T) {
	secret := audit.Secret{
		Vault: "kv-app", Name: "db", Declared: true, Exists: true, Enabled: true, Created: today,
		Expires: today.Add(20 * day),
	}
	for expires, told := range map[time.Time]bool{today.Add(20 * day): true, today.Add(200 * day): false} {
		secret.Expires = expires
		summary := report.AuditSummary(report.AuditRun{Report: &audit.Report{
			Taken: today, Vaults: []audit.Vault{{Name: "kv-app", Complete: true}}, Secrets: []audit.Secret{secret},
		}})
		if strings.Contains(summary, "Due, or due or expiring in the next 90 days") != told {
			t.Errorf("expires %s: the table is there: %t; want %t", expires, !told, told)
		}
	}
}
