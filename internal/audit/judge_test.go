package audit_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
)

func ignoring(entries ...declaration.Ignore) declaration.Audit {
	rules := declaration.DefaultAudit()
	rules.Ignore = entries
	return rules
}

// An entry of ignore leaves findings out until its last day is over, and is told when it has ended or is of no use.
func TestIgnore(t *testing.T) {
	until := func(days int) time.Time { return now.Truncate(day).AddDate(0, 0, days) }
	entry := func(name string, days int, rules ...string) declaration.Ignore {
		return declaration.Ignore{Name: name, Rules: rules, Reason: "r", Until: until(days), Place: place}
	}
	for _, tc := range []struct {
		name    string
		entry   declaration.Ignore
		ignored int
		note    string
	}{
		{"all rules", entry("D?", 1), 2, ""},
		{"one rule", entry("*", 1, audit.NeverExpires), 1, ""},
		{"its last day", entry("db", 0), 2, ""},
		{"the day after", entry("db", -1), 0, "passwords.yml:3:3: ignore of db ended on 2026-02-28 and counts no more"},
		{"another secret", entry("dbx", 1), 0, "ignore of dbx matches no finding; remove it"},
		{"another rule", entry("db", 1, audit.Managed), 0, "ignore of db matches no finding; remove it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := clean()
			s.current().Expires, s.current().ContentType = time.Time{}, ""
			s.rules = ignoring(tc.entry)
			r := s.judge()
			if r.Ignored != tc.ignored || len(r.Findings) != 2-tc.ignored ||
				len(r.Secrets[0].Findings) != 2-tc.ignored {
				t.Errorf("%d ignored, %d findings, row %q; want %d ignored", r.Ignored, len(r.Findings),
					r.Secrets[0].Findings, tc.ignored)
			}
			if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, tc.note) || tc.note == "" && notes != "" {
				t.Errorf("notes %q; want %q", notes, tc.note)
			}
		})
	}
}

// That an entry of ignore is of no use is said only where everything was judged.
func TestIgnoreOfWhatWasNotSeen(t *testing.T) {
	in := audit.Input{
		Rules: ignoring(declaration.Ignore{Name: "x", Reason: "r", Until: now}), Taken: now,
		Listings: []audit.Listing{{Vault: "kv", Now: now, Listed: true}},
	}
	if notes := audit.Judge(in).Notes; len(notes) != 1 {
		t.Errorf("notes %q; want one", notes)
	}
	part, cut := in, in
	part.Part = true
	cut.Listings = []audit.Listing{{Vault: "kv", Now: now, Why: "the firewall"}}
	for name, in := range map[string]audit.Input{"a part": part, "a vault that was not listed": cut} {
		if notes := audit.Judge(in).Notes; len(notes) != 0 {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}

// declared returns a declared secret in the vaults.
func declared(name string, vaults ...string) declaration.Secret {
	s := declaration.Secret{Name: name, Place: place, Terms: lifecycle.Terms{PolicyTag: "default@1"}}
	for _, v := range vaults {
		s.Vaults = append(s.Vaults, declaration.Vault{Name: v})
	}
	return s
}

func listed(names ...string) (holdings []audit.Holding) {
	for _, name := range names {
		holdings = append(holdings, audit.Holding{Name: name, Listed: made(10*day, "a")})
	}
	return holdings
}

// rowsOf says for each row of a report: vault, name, and whether it is declared and there.
func rowsOf(r audit.Report) (rows []string) {
	for _, s := range r.Secrets {
		row := s.Vault + "/" + s.Name
		if s.Declared {
			row += " declared"
		}
		if !s.Exists {
			row += " missing"
		}
		rows = append(rows, row)
	}
	return rows
}

// Declared secrets come first, in their order, then the others by vault and name. Of a vault that could not be listed
// nothing is said but that; of one whose list ended early, nothing of what the list may yet have held.
func TestRows(t *testing.T) {
	in := audit.Input{
		Rules: declaration.DefaultAudit(), Taken: now,
		Secrets: []declaration.Secret{declared("zz", "kv-2", "kv-1"), declared("aa", "kv-closed", "kv-1", "kv-cut")},
		Rotations: []audit.Rotation{
			{Key: "kv-2/zz"}, {Key: "kv-1/zz", Writes: true, Reason: "did not exist"},
			{Key: "kv-closed/aa", Writes: true}, {Key: "kv-1/aa"}, {Key: "kv-cut/aa"},
		},
		Listings: []audit.Listing{
			{Vault: "kv-2", Now: now, Listed: true, Secrets: listed("u2", "ZZ", "aa")},
			{Vault: "kv-1", Now: now, Listed: true, Secrets: listed("aa", "u1")},
			{Vault: "kv-closed", Now: now, Why: "the vault's firewall"},
			{Vault: "kv-cut", Now: now, Why: "the list ended early", Secrets: listed("u3")},
		},
	}
	r := audit.Judge(in)
	want := []string{
		"kv-2/zz declared", "kv-1/zz declared missing", "kv-1/aa declared", "kv-2/aa", "kv-2/u2", "kv-1/u1",
		"kv-cut/u3",
	}
	if diff := cmp.Diff(want, rowsOf(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"kv-1/zz"}, r.Due); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	var vaults []string
	for _, v := range r.Vaults {
		vaults = append(vaults, fmt.Sprintf("%s %t %d %s", v.Name, v.Complete, v.Secrets, v.Why))
	}
	if diff := cmp.Diff([]string{"kv-2 true 3 ", "kv-1 true 2 ", "kv-closed false 0 the vault's firewall",
		"kv-cut false 1 the list ended early"}, vaults); diff != "" {
		t.Errorf("vaults (-want +got):\n%s", diff)
	}
	in.Part = true
	if diff := cmp.Diff(want[:3], rowsOf(audit.Judge(in))); diff != "" {
		t.Errorf("rows of a part (-want +got):\n%s", diff)
	}
	if s := r.Secrets[1]; s.Due != audit.TriggerMissing || s.DueReason != "did not exist" {
		t.Errorf("due %q, %q", s.Due, s.DueReason)
	}
}

// The gravest findings come first, and in one level those of the first secret.
func TestFindingsAreSorted(t *testing.T) {
	in := audit.Input{
		Rules: declaration.DefaultAudit(), Taken: now,
		Secrets:   []declaration.Secret{declared("b", "kv"), declared("a", "kv")},
		Rotations: make([]audit.Rotation, 2),
		Listings:  []audit.Listing{{Vault: "kv", Now: now, Listed: true, Secrets: listed("a", "b")}},
	}
	in.Listings[0].Secrets[0].Listed.Enabled = false
	in.Listings[0].Secrets[1].Listed.Expires = now.Add(day)
	in.Listings[0].Secrets[1].Listed.ContentType = ""
	in.Listings[0].Secrets[0].Listed.Tags = nil
	var got []string
	for _, f := range audit.Judge(in).Findings {
		got = append(got, string(f.Level)+" "+f.Secret+" "+f.Rule)
	}
	want := []string{"error a current-disabled", "warning b expires-soon", "warning a foreign",
		"info b content-type-missing"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Versions are counted in the calendar month in which they were made, for the last twelve months.
func TestMonths(t *testing.T) {
	s := clean()
	s.versions = []lifecycle.Version{
		made(400*day, "a"), made(59*day, "b"), made(29*day, "c"), made(28*day, "d"), made(time.Minute, "e"),
	}
	months := s.judge().Months
	if len(months) != 12 || months[0].First.Format(time.DateOnly) != "2025-04-01" {
		t.Fatalf("months: %v", months)
	}
	var got []int
	for _, m := range months {
		got = append(got, m.Versions)
	}
	if diff := cmp.Diff([]int{0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 1}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The months are those of UTC, wherever the clock of the audit stands.
func TestMonthsAreOfUTC(t *testing.T) {
	east := time.FixedZone("east", 2*60*60)
	r := audit.Judge(audit.Input{Rules: declaration.DefaultAudit(), Taken: time.Date(2026, 4, 1, 0, 30, 0, 0, east)})
	if last := r.Months[len(r.Months)-1].First; last.Format(time.DateOnly) != "2026-03-01" {
		t.Errorf("the last month begins on %s; want March, which it is in UTC", last)
	}
}

// Of several versions of one second, the one that the vault's list shows is the current one.
func TestCurrentOfATie(t *testing.T) {
	a, b := made(day, "a"), made(day, "b")
	a.ID, b.ID = "a", "b"
	shown := b
	shown.ID = ""
	h := audit.Holding{Listed: shown, Versions: []lifecycle.Version{a, b}}
	if got := h.Current(); got.ID != "b" {
		t.Errorf("current is %q", got.ID)
	}
	h.Listed.Tags = map[string]string{"x": "y"}
	if got := h.Current(); got.ID != "" || got.Tags["x"] != "y" {
		t.Errorf("where nothing settles it: %+v", got)
	}
}
