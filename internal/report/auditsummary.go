package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/escape"
)

// An AuditRun is what the summary of an audit is about.
type AuditRun struct {
	Report   *audit.Report
	Hidden   bool                 // names are masked: those of undeclared secrets, which no output has, are left out
	Reports  bool                 // reports are written, which have all names
	Notes    []string             // further lines, such as what identity and vaults took
	Warnings declaration.Problems // what is declared and probably not meant
	Elapsed  time.Duration        // of the whole run; 0: not told
	Help     Help                 // where problems are explained
}

// The parts of an audit's summary that grow with the number of secrets.
const (
	maxFindings = maxSummary * 3 / 8
	maxUpcoming = maxSummary / 8
)

// ahead is how far the forecast of an audit reaches.
const ahead = 90 * 24 * time.Hour

// AuditSummary returns the job summary of an audit in GitHub's Markdown, less than 1 MiB for any number of secrets:
// what does not fit is counted. Each chart stands beside a table that says the same, since GitHub fails to draw one now
// and then.
func AuditSummary(run AuditRun) string {
	s := newAuditSummary(run)
	var b strings.Builder
	fmt.Fprintf(&b, "## Audit of passwords in Key Vault\n\n%s.\n\n", escape.Cell(AuditTotals(run.Report)))
	b.WriteString(s.caveats())
	b.WriteString(s.ruleTable())
	b.WriteString(s.vaultTable())
	b.WriteString(s.upcomingTable())
	b.WriteString(s.ageTable())
	b.WriteString(s.monthTable())
	b.WriteString(declaredTable(run.Warnings))
	b.WriteString(s.findingTable())
	tail := s.remarks() + notes(Run{Notes: run.Notes, Elapsed: run.Elapsed})
	b.WriteString(s.secretTable(maxSummary - b.Len() - len(tail)))
	b.WriteString(tail)
	return b.String()
}

// An auditSummary knows what each secret is called in the summary.
type auditSummary struct {
	AuditRun
	labels map[[2]string]string // of undeclared secrets, by vault and name
}

func newAuditSummary(run AuditRun) *auditSummary {
	s := &auditSummary{AuditRun: run, labels: map[[2]string]string{}}
	for i := range run.Report.Secrets {
		secret := &run.Report.Secrets[i]
		if secret.Declared {
			continue
		}
		label := secret.Name
		if run.Hidden {
			label = fmt.Sprintf("undeclared %d, made %s", len(s.labels)+1, day(secret.Created))
		}
		s.labels[[2]string{secret.Vault, secret.Name}] = label
	}
	return s
}

// label returns what a secret is called: its name, with the place of one that is declared; where names are hidden, the
// number of an undeclared one and its date. The runner writes *** for the names that are outputs.
func (s *auditSummary) label(vault, name string, at declaration.Place) string {
	if label, undeclared := s.labels[[2]string{vault, name}]; undeclared {
		return label
	}
	if at == (declaration.Place{}) {
		return name
	}
	return name + " (" + place(at) + ")"
}

// caveats tells what the audit does not know, and what of the declaration's audit is of no use.
func (s *auditSummary) caveats() string {
	var b strings.Builder
	for _, v := range s.Report.Vaults {
		if !v.Complete {
			b.WriteString("- **Incomplete:** " + escape.Cell(Incomplete(v)))
			if link := s.Help.Link(v.Why); link != "" {
				b.WriteString(" ([more](" + link + "))")
			}
			b.WriteString("\n")
		}
	}
	for _, note := range s.Report.Notes {
		b.WriteString("- " + escape.Cell(note) + "\n")
		if b.Len() > maxWarnings {
			b.WriteString("- There are more: the log has them all.\n")
			break
		}
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// ruleTable counts the findings of each rule, with a pie beside it.
func (s *auditSummary) ruleTable() string {
	type kind struct {
		rule  string
		level audit.Level
	}
	counts := map[kind]int{}
	var kinds []kind // in the order of the findings, which is by level
	for _, f := range s.Report.Findings {
		k := kind{f.Rule, f.Level}
		if counts[k]++; counts[k] == 1 {
			kinds = append(kinds, k)
		}
	}
	switch {
	case kinds == nil && !s.Report.Complete():
		return "Nothing was found in what could be listed.\n\n"
	case kinds == nil:
		return "Nothing was found.\n\n"
	}
	t := newTable("Findings by rule", maxWarnings, "level", "rule", "findings", "what it is")
	var pie strings.Builder
	pie.WriteString("```mermaid\npie showData title Findings by rule\n")
	for _, k := range kinds {
		t.add(func() []string {
			return []string{string(k.level), "`" + k.rule + "`", fmt.Sprint(counts[k]),
				escape.Cell(audit.RuleOf(k.rule).Title)}
		})
		fmt.Fprintf(&pie, "    \"%s %s\" : %d\n", k.level, k.rule, counts[k])
	}
	return t.end() + pie.String() + "```\n\n"
}

// vaultTable tells how many secrets of each vault are as they should be.
func (s *auditSummary) vaultTable() string {
	type tally struct{ rows, declared, errors, warnings int }
	of := map[string]*tally{}
	for i := range s.Report.Secrets {
		secret := &s.Report.Secrets[i]
		if of[secret.Vault] == nil {
			of[secret.Vault] = &tally{}
		}
		t := of[secret.Vault]
		t.rows++
		if secret.Declared {
			t.declared++
		}
		switch secret.Worst {
		case audit.LevelError:
			t.errors++
		case audit.LevelWarning:
			t.warnings++
		}
	}
	t := newTable("Vaults", maxWarnings, "vault", "listed whole", "secrets", "soft-deleted", "judged", "declared",
		"with errors", "with warnings", "compliant")
	for _, v := range s.Report.Vaults {
		t.add(func() []string {
			n, whole, share := of[v.Name], "yes", "-"
			if n == nil {
				n = &tally{}
			}
			if n.rows > 0 {
				share = fmt.Sprintf("%d %%", 100*(n.rows-n.errors-n.warnings)/n.rows)
			}
			if !v.Complete {
				whole = "**no**"
			}
			return []string{escape.Cell(v.Name), whole, fmt.Sprint(v.Secrets), fmt.Sprint(v.Deleted),
				fmt.Sprint(n.rows), fmt.Sprint(n.declared), fmt.Sprint(n.errors), fmt.Sprint(n.warnings), share}
		})
	}
	return t.end()
}

// longTable begins a table that may have more rows than there is room for.
func longTable(heading string, limit int, columns ...string) *table {
	t := newTable(heading, limit, columns...)
	t.all = "A file that the input report names has them all."
	return t
}

// An event is what becomes of a secret soon.
type event struct {
	secret *audit.Secret
	at     time.Time
	what   string
	crit   bool
}

// upcoming returns what is due, and what falls due or expires within the forecast, the first first. A disabled version
// does neither.
func (s *auditSummary) upcoming() (events []event) {
	now := s.Report.Taken
	until := now.Add(ahead)
	for i := range s.Report.Secrets {
		secret := &s.Report.Secrets[i]
		switch next := secret.Next; {
		case secret.Due != "":
			events = append(events, event{secret: secret, at: now, what: "due: " + secret.DueReason, crit: true})
		case secret.Enabled && next.After(now) && !next.After(until):
			events = append(events, event{secret: secret, at: next, what: "falls due"})
		}
		if expires := secret.Expires; secret.Enabled && expires.After(now) && !expires.After(until) {
			events = append(events, event{
				secret: secret, at: expires, what: "expires", crit: expires.Sub(now) < soon,
			})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
	return events
}

func (s *auditSummary) upcomingTable() string {
	events := s.upcoming()
	if len(events) == 0 {
		return ""
	}
	t := longTable("Due, or due or expiring in the next 90 days", maxUpcoming, "date&nbsp;(in&nbsp;UTC)", "secret",
		"vault", "what")
	for _, e := range events {
		t.add(func() []string {
			return []string{day(e.at), escape.Cell(s.labelOf(e.secret)), escape.Cell(e.secret.Vault),
				escape.Cell(e.what)}
		})
	}
	return t.end() + s.gantt(events)
}

func (s *auditSummary) labelOf(secret *audit.Secret) string {
	return s.label(secret.Vault, secret.Name, secret.Place)
}

// gantt returns a chart of the first events, each from today to its date.
func (s *auditSummary) gantt(events []event) string {
	later := max(0, len(events)-maxChart)
	events = events[:len(events)-later]
	var c chart
	for _, e := range events {
		name, more := s.labelOf(e.secret), ""
		if rest, own := strings.CutPrefix(name, e.secret.Name); own {
			name, more = e.secret.Name, rest
		}
		if e.at.Equal(e.secret.Expires) {
			more += " expires"
		} else {
			more += " due"
		}
		c = append(c, bar{
			section: chartText(e.secret.Vault), label: barLabel(name, more), crit: e.crit, from: s.Report.Taken,
			to: e.at,
		})
	}
	text := c.String()
	if later > 0 {
		text += fmt.Sprintf("\nLater: %s.\n", Counted(later, "more date"))
	}
	return text + "\n"
}

// ages are the rows of the table of ages, in days.
var ages = [...]struct {
	label string
	below int64
}{
	{"less than 30 days", 30}, {"30 to 89 days", 90}, {"90 to 179 days", 180}, {"180 to 364 days", 365},
	{"a year or more", 1 << 62},
}

func (s *auditSummary) ageTable() string {
	counts := make([]int, len(ages))
	for i := range s.Report.Secrets {
		if secret := &s.Report.Secrets[i]; secret.Exists {
			old := (s.Report.Taken.Unix() - secret.Created.Unix()) / (24 * 60 * 60)
			for k := range ages {
				if old < ages[k].below {
					counts[k]++
					break
				}
			}
		}
	}
	t := newTable("Ages of the current versions", maxWarnings, "age", "versions", "")
	for k := range ages {
		t.add(func() []string {
			return []string{ages[k].label, fmt.Sprint(counts[k]), bars(counts[k], slices.Max(counts))}
		})
	}
	return t.end()
}

// bars returns a bar of at most thirty characters, for a share of the most.
func bars(n, most int) string {
	const width = 30
	if n == 0 || most == 0 {
		return ""
	}
	return "`" + strings.Repeat("#", max(1, n*width/most)) + "`"
}

func (s *auditSummary) monthTable() string {
	most := 0
	for _, m := range s.Report.Months {
		most = max(most, m.Versions)
	}
	t := newTable("Versions made in each month", maxWarnings, "month", "versions", "")
	for _, m := range s.Report.Months {
		t.add(func() []string {
			return []string{m.First.Format("2006-01"), fmt.Sprint(m.Versions), bars(m.Versions, most)}
		})
	}
	return t.end()
}

func (s *auditSummary) findingTable() string {
	if len(s.Report.Findings) == 0 {
		return ""
	}
	t := longTable("Findings", maxFindings, "level", "rule", "secret", "vault", "what was seen", "what to do")
	for _, f := range s.Report.Findings {
		t.add(func() []string {
			return []string{
				string(f.Level), "`" + f.Rule + "`",
				escape.Cell(s.label(f.Vault, f.Secret, f.Place)),
				escape.Cell(f.Vault), escape.Cell(f.Message), escape.Cell(f.Remedy),
			}
		})
	}
	return t.end()
}

func (s *auditSummary) secretTable(limit int) string {
	t := longTable("Secrets", limit, "secret", "vault", "state", "made&nbsp;(UTC)", "expires&nbsp;(UTC)",
		"next&nbsp;rotation", "versions", "policy", "findings")
	for i := range s.Report.Secrets {
		secret := &s.Report.Secrets[i]
		t.add(func() []string {
			versions, found := "-", "-"
			if secret.Exists {
				versions = fmt.Sprint(secret.Versions)
			}
			if secret.Exists && !secret.Whole {
				versions += " or more"
			}
			if len(secret.Findings) > 0 {
				found = "`" + strings.Join(secret.Findings, "` `") + "`"
			}
			return []string{
				escape.Cell(s.labelOf(secret)), escape.Cell(secret.Vault), stateOf(secret), day(secret.Created),
				day(secret.Expires), day(secret.Next), versions, escape.Cell(orDash(secret.Made.Name())), found,
			}
		})
	}
	return t.end()
}

// stateOf says what a secret is, in a few words.
func stateOf(s *audit.Secret) string {
	var words []string
	if !s.Declared {
		words = append(words, "undeclared")
	}
	switch {
	case !s.Deleted.IsZero():
		words = append(words, "soft-deleted")
	case !s.Exists:
		words = append(words, "missing")
	case !s.Enabled:
		words = append(words, "disabled")
	}
	if s.Declared && s.Exists && !s.Ours && !s.Managed {
		words = append(words, "not made by this action")
	}
	if s.Managed {
		words = append(words, "managed by a certificate")
	}
	if s.Due != "" {
		words = append(words, "due")
	}
	return cmp.Or(strings.Join(words, ", "), "enabled")
}

// remarks says where the names are that the summary does not have.
func (s *auditSummary) remarks() string {
	switch {
	case len(s.labels) == 0 || !s.Hidden:
		return ""
	case s.Reports:
		return "- Names of undeclared secrets are left out here, as mask-outputs is all; the reports have them.\n"
	}
	return "- Names of undeclared secrets are left out here, as mask-outputs is all; the log has them, and so has a " +
		"file that the input report names.\n"
}
