package export_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/export"
)

// drawn returns a page of those secrets.
func drawn(t *testing.T, secrets ...audit.Secret) *html.Node {
	t.Helper()
	r := &audit.Report{
		Taken: taken, File: "passwords.yml", Secrets: secrets,
		Vaults: []audit.Vault{{Name: "kv-a", Complete: true}, {Name: "kv-b", Complete: true}},
	}
	for i := range r.Secrets {
		s := &r.Secrets[i]
		s.Exists, s.Enabled = true, true
		if s.Vault == "" {
			s.Vault = "kv-a"
		}
		if s.Created.IsZero() {
			s.Created = taken.Add(-day)
		}
	}
	for i := range 12 {
		r.Months = append(r.Months,
			audit.Month{First: time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC).AddDate(0, i, 0), Versions: i})
	}
	return parsed(t, written(t, export.HTML, r))
}

// titles returns what the parts of the charts say.
func titles(root *html.Node) (list []string) {
	for _, title := range elements(root, "title")[1:] {
		list = append(list, textOf(title))
	}
	return list
}

func expect(t *testing.T, root *html.Node, wants ...string) {
	t.Helper()
	all := titles(root)
	for _, want := range wants {
		if !slices.Contains(all, want) {
			t.Errorf("no chart says %q; they say\n%s", want, strings.Join(all, "\n"))
		}
	}
}

// A version stands in the column of its age, of whole days. Those of this action are told apart.
func TestAgeChart(t *testing.T) {
	var secrets []audit.Secret
	for i, age := range []time.Duration{0, 29*day + 23*time.Hour, 30 * day, 89 * day, 90 * day, 365 * day, 730 * day,
		30000 * day} {
		secrets = append(secrets, audit.Secret{Created: taken.Add(-age), Ours: i%2 == 0})
	}
	expect(t, drawn(t, secrets...),
		"below 30 days: 1 made by this action, 1 by others", "30 to 90 days: 1 made by this action, 1 by others",
		"90 to 180 days: 1 made by this action, 0 by others", "180 to 365 days: 0 made by this action, 0 by others",
		"1 to 2 years: 0 made by this action, 1 by others", "2 years and more: 1 made by this action, 1 by others")
}

// What comes within 90 days stands in its week, and what is past or later does not.
func TestTimeline(t *testing.T) {
	in := func(d time.Duration) time.Time { return taken.Add(d) }
	root := drawn(t,
		audit.Secret{Name: "a", Next: in(time.Hour), Expires: in(7 * day)},
		audit.Secret{Name: "b", Next: in(7*day - time.Second)},
		audit.Secret{Name: "c", Expires: in(90*day - time.Second)},
		audit.Secret{Name: "d", Next: in(90 * day), Expires: in(200 * day)},
		audit.Secret{Name: "e", Next: in(-time.Second), Expires: in(-day), Due: "expiry"},
		audit.Secret{Name: "now", Next: in(0), Due: "age"},
		audit.Secret{Name: "f", Expires: time.Unix(253402303861, 0)},
	)
	expect(t, root, "7 days from 2026-11-24: 2 due, 0 expiring", "7 days from 2026-12-01: 0 due, 1 expiring",
		"7 days from 2027-02-16: 0 due, 1 expiring", "a: due 2026-11-24, expires 2026-12-01", "b: due 2026-12-01",
		"c: expires 2027-02-22")
	const words = "3 secrets due for rotation or expiring, by week. Before that: 2 due already, 1 expired."
	if text := textOf(root); !strings.Contains(text, words) {
		t.Errorf("the page does not say %q", words)
	}
}

// A secret complies with neither an error nor a warning. Hundred of a hundred means all.
func TestComplianceChart(t *testing.T) {
	var secrets []audit.Secret
	for i := range 400 {
		s := audit.Secret{Vault: "kv-a", Declared: true, Worst: audit.LevelInfo}
		if i == 0 {
			s.Worst = audit.LevelWarning
		}
		secrets = append(secrets, s)
	}
	secrets = append(secrets, audit.Secret{Vault: "kv-b", Worst: audit.LevelError}, audit.Secret{Vault: "kv-b"})
	root := drawn(t, secrets...)
	expect(t, root, "kv-a, 400 secrets: 399 comply, 1 with warnings, 0 with errors",
		"kv-b, 2 secrets: 1 comply, 0 with warnings, 1 with errors",
		"All that are declared, 400 secrets: 399 comply, 1 with warnings, 0 with errors",
		"99% of the secrets comply: 400 of 402 have neither an error nor a warning")
	text := textOf(elements(root, "body")[0])
	if strings.Contains(text, "100%") {
		t.Error("399 of 400 are 100%")
	}
	if worse, better := strings.Index(text, "kv-b 50%"), strings.Index(text, "kv-a 99%"); worse < 0 || better < worse {
		t.Errorf("kv-b stands at %d, kv-a at %d; expected the worse vault first", worse, better)
	}
}

// A secret that is declared for two vaults is one secret: it complies if both do, and is due once.
func TestASecretInTwoVaultsCountsOnce(t *testing.T) {
	root := drawn(t,
		audit.Secret{Vault: "kv-a", Name: "both", Declared: true, Due: "age", Expires: taken.Add(-day)},
		audit.Secret{Vault: "kv-b", Name: "both", Declared: true, Due: "age", Expires: taken.Add(-day),
			Worst: audit.LevelError},
		audit.Secret{Vault: "kv-a", Name: "calm", Declared: true, Expires: taken.Add(day)},
		audit.Secret{Vault: "kv-b", Name: "calm", Declared: true, Expires: taken.Add(day), Worst: audit.LevelInfo},
		audit.Secret{Vault: "kv-a", Name: "wild"}, audit.Secret{Vault: "kv-b", Name: "wild"})
	expect(t, root, "75% of the secrets comply: 3 of 4 have neither an error nor a warning",
		"kv-a, 3 secrets: 3 comply, 0 with warnings, 0 with errors",
		"All that are declared, 2 secrets: 1 comply, 0 with warnings, 1 with errors",
		"7 days from 2026-11-24: 0 due, 1 expiring")
	for _, want := range []string{"4 secrets in 2 vaults, 2 of them declared", "1 due for rotation now",
		"1 due or expiring in 90 days", "1 secret due for rotation or expiring, by week",
		"Before that: 1 due already, 1 expired"} {
		if !strings.Contains(textOf(root), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestMonthChart(t *testing.T) {
	expect(t, drawn(t), "December 2025: 0", "November 2026: 11")
	if text := textOf(drawn(t)); !strings.Contains(text, "66 versions in the last twelve months") {
		t.Error("the page does not say that 66 versions were made")
	}
}
