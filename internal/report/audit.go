package report

import (
	"cmp"
	"fmt"
	"io"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/escape"
)

// oneByOne is how many secrets that the same is found of are told each for itself. More are one line with their number.
const oneByOne = 3

// A Group is findings of one rule and level that are told together: the same is to be done about each.
type Group struct {
	Rule     string
	Level    audit.Level
	Place    declaration.Place // of the first
	Findings []audit.Finding
}

// Groups returns the findings of a report, the gravest first. What is found of one secret in several vaults stands
// together, and so do those of many secrets that the same is to be done about.
func Groups(r *audit.Report) (groups []Group) {
	type kind struct {
		rule   string
		level  audit.Level
		remedy string
	}
	kindOf := func(g Group) kind { return kind{rule: g.Rule, level: g.Level, remedy: g.Findings[0].Remedy} }
	secrets := map[kind]int{}
	own := bySecret(r.Findings)
	for _, g := range own {
		secrets[kindOf(g)]++
	}
	at := map[kind]int{}
	for _, g := range own {
		k := kindOf(g)
		if i, known := at[k]; known && secrets[k] > oneByOne {
			groups[i].Findings = append(groups[i].Findings, g.Findings...)
			continue
		}
		at[k] = len(groups)
		groups = append(groups, g)
	}
	return groups
}

// bySecret returns the findings, those together that say the same of one declared secret.
func bySecret(findings []audit.Finding) (groups []Group) {
	type saying struct {
		rule                    string
		level                   audit.Level
		secret, message, remedy string
	}
	at := map[saying]int{}
	for _, f := range findings {
		s := saying{rule: f.Rule, level: f.Level, secret: f.Secret, message: f.Message, remedy: f.Remedy}
		if i, known := at[s]; known && f.Declared {
			groups[i].Findings = append(groups[i].Findings, f)
			continue
		}
		if f.Declared {
			at[s] = len(groups)
		}
		groups = append(groups, Group{Rule: f.Rule, Level: f.Level, Place: f.Place, Findings: []audit.Finding{f}})
	}
	return groups
}

// Text returns what was found and what to do, without the rule. It is not escaped.
func (g Group) Text() string {
	first := g.Findings[0]
	var names []string
	for i, f := range g.Findings {
		if i > 0 && f.Declared && g.Findings[i-1].Declared && f.Secret == g.Findings[i-1].Secret {
			names[len(names)-1] += " and " + f.Vault
			continue
		}
		names = append(names, f.Secret+" in "+f.Vault)
	}
	if len(names) == 1 {
		return fmt.Sprintf("%s: %s; %s (%s)", names[0], first.Message, first.Remedy, g.Rule)
	}
	return fmt.Sprintf("%s (%s), %s: %s; %s", audit.RuleOf(g.Rule).Title, g.Rule, Counted(len(names), "secret"),
		few(names, ", "), first.Remedy)
}

// Audit writes what was found, problems first, a line for each or for many that are alike: vaults that were not listed
// whole, the findings, and what is said of the audit itself.
func Audit(w io.Writer, r *audit.Report) {
	write := func(level audit.Level, text string) {
		_, _ = fmt.Fprintln(w, escape.Line(pad(string(level), len(audit.LevelWarning))+text))
	}
	for _, v := range r.Vaults {
		if !v.Complete {
			write(audit.LevelError, Incomplete(v))
		}
	}
	for _, g := range Groups(r) {
		write(g.Level, g.Text())
	}
	for _, note := range r.Notes {
		write(audit.LevelWarning, note)
	}
}

// Incomplete returns what is said of a vault that could not be listed whole. It is not escaped.
func Incomplete(v audit.Vault) string {
	return fmt.Sprintf("vault %s was not listed whole, so findings may be missing: %s", v.Name, v.Why)
}

// AuditTotals returns "42 secrets in 2 vaults, 12 of them declared: 1 error, 3 warnings, 2 notes; 2 due; 4 ignored". A
// secret that is declared for two vaults counts once, its findings in each.
func AuditTotals(r *audit.Report) string {
	totals, levels := r.Totals(), r.Counts()
	text := fmt.Sprintf("%s in %s, %d of them declared: %s, %s, %s", Counted(totals.Secrets, "secret"),
		Counted(len(r.Vaults), "vault"), totals.Declared, Counted(levels[audit.LevelError], "error"),
		Counted(levels[audit.LevelWarning], "warning"), Counted(levels[audit.LevelInfo], "note"))
	if totals.Due > 0 {
		text += fmt.Sprintf("; %d due", totals.Due)
	}
	if r.Ignored > 0 {
		text += fmt.Sprintf("; %d ignored", r.Ignored)
	}
	incomplete := 0
	for _, v := range r.Vaults {
		if !v.Complete {
			incomplete++
		}
	}
	if incomplete > 0 {
		text += fmt.Sprintf("; %s not listed whole", Counted(incomplete, "vault"))
	}
	return text
}

// Nothing returns the summary of a run that had nothing to do.
func Nothing(why string) string {
	return "## Passwords in Key Vault\n\n" + escape.Cell(cmp.Or(why, "Nothing to do.")) + "\n"
}
