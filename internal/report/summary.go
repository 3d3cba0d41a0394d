package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/escape"
	"keyvault-passwords/internal/provision"
)

// A step's summary is dropped as a whole above 1 MiB:
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits
const (
	maxSummary  = 1<<20 - 1<<10
	maxProblems = maxSummary / 4 // of it, for problems
	maxWarnings = maxSummary / 16
	maxChart    = 40 // bars of the timeline: more cannot be read, and Mermaid takes 50,000 characters
)

// A Run is what a summary is about.
type Run struct {
	Mode    provision.Mode
	Plan    *provision.Plan
	Results []provision.Result // nil: a dry run
	Now     time.Time          // the date that the timeline begins at
	Elapsed time.Duration      // of the whole run; 0: not told
	Notes   []string           // further lines, such as what identity and vaults took

	Warnings declaration.Problems // what is declared and probably not meant
	Help     Help                 // where problems are explained
}

// Summary returns the job summary in GitHub's Markdown, less than 1 MiB for any number of secrets: what does not fit is
// counted. Problems come first. Each row has the secret's place in the declaration, since the runner masks the names.
func Summary(run Run) string {
	all := rows(run.Plan, run.Results)
	var b strings.Builder
	b.WriteString(headline(run, all))
	b.WriteString(problemTable(problems(all), run.Help))
	b.WriteString(declaredTable(run.Warnings))
	secrets := entries(all)
	b.WriteString(warningTable(Warnings(run.Plan)))
	tail := timeline(secrets, run.Now) + notes(run)
	done := "what was done, and why"
	if run.Results == nil {
		done = "what would be done, and why"
	}
	b.WriteString(secretTable(secrets, done, maxSummary-b.Len()-len(tail)))
	b.WriteString(tail)
	return b.String()
}

// Mistakes returns the summary of a run that did nothing, since its inputs or its declaration have mistakes.
func Mistakes(lines []string, help Help) string {
	t := newTable("Mistakes", maxSummary/2, "what to correct; nothing was contacted")
	for _, line := range lines {
		t.add(func() []string {
			cell := escape.Cell(line)
			if link := help.Link(line); link != "" {
				cell += " ([more](" + link + "))"
			}
			return []string{cell}
		})
	}
	return "## Passwords in Key Vault\n\n" + t.end()
}

func headline(run Run, all []row) string {
	title := "Passwords in Key Vault"
	if run.Results == nil {
		title += ": the plan of a dry run"
	}
	return fmt.Sprintf("## %s\n\nMode `%s`, %s.\n\n", title, escape.Cell(string(run.Mode)), totals(all))
}

// A table is a Markdown table under a heading, of limited size.
type table struct {
	strings.Builder
	limit int
	left  int    // rows that did not fit
	all   string // where all rows are
}

// newTable begins a table that has no more than limit bytes, beside a few for the count of what does not fit.
func newTable(heading string, limit int, columns ...string) *table {
	t := &table{limit: limit - 200, all: "The log has them all."}
	fmt.Fprintf(t, "### %s\n\n| %s |\n|%s\n", heading, strings.Join(columns, " | "),
		strings.Repeat(" --- |", len(columns)))
	return t
}

// add adds a row of the cells that it is given, which must be escaped. Once a row did not fit, no other is asked for.
func (t *table) add(cells func() []string) {
	if t.left == 0 {
		line := "| " + strings.Join(cells(), " | ") + " |\n"
		if t.Len()+len(line) <= t.limit {
			t.WriteString(line)
			return
		}
	}
	t.left++
}

// end returns the table, and how many rows did not fit.
func (t *table) end() string {
	if t.left > 0 {
		fmt.Fprintf(t, "\n%s not shown: a summary has room for 1 MiB. %s\n", Counted(t.left, "more row"), t.all)
	}
	return t.String() + "\n"
}

func problemTable(list []Problem, help Help) string {
	if len(list) == 0 {
		return ""
	}
	t := newTable("Problems", maxProblems, "secret", "what was seen", "what to do")
	for _, p := range list {
		t.add(func() []string {
			todo := paragraph(p.Remedy)
			if link := help.Link(p.Error()); link != "" {
				todo += " ([more](" + link + "))"
			}
			return []string{concerned(p.Steps), escape.Cell(p.Seen()), todo}
		})
	}
	return t.end()
}

// concerned returns the secrets of some steps for a cell: the first few, and how many they are.
func concerned(steps []*provision.Step) string {
	names := namedIn(steps)
	if len(names) == 1 {
		return names[0]
	}
	return Counted(len(names), "secret") + ":<br>" + few(names, "<br>")
}

// namedIn returns the secrets of some steps, each with its place and its vaults.
func namedIn(steps []*provision.Step) (names []string) {
	for i := 0; i < len(steps); {
		first := steps[i]
		var vaults []string
		for ; i < len(steps) && secretOf(steps[i]) == secretOf(first); i++ {
			vaults = append(vaults, escape.Cell(steps[i].Vault))
		}
		names = append(names, named(first)+" in "+strings.Join(vaults, " and "))
	}
	return names
}

// paragraph returns a text of several lines for one cell.
func paragraph(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, escape.Cell(line))
	}
	return strings.Join(lines, "<br>")
}

// declaredTable tells of the declaration's own warnings.
func declaredTable(list declaration.Problems) string {
	if len(list) == 0 {
		return ""
	}
	t := newTable("Warnings about the declaration", maxWarnings, "place", "what is declared", "what to do")
	for _, p := range list {
		t.add(func() []string {
			return []string{escape.Cell(place(p.Place)), escape.Cell(p.Seen()), escape.Cell(p.Remedy)}
		})
	}
	return t.end()
}

func warningTable(list []Warning) string {
	if len(list) == 0 {
		return ""
	}
	t := newTable("Warnings", maxWarnings, "secret", "warning")
	for _, w := range list {
		t.add(func() []string { return []string{concerned(w.Steps), escape.Cell(w.warning)} })
	}
	return t.end()
}

// named returns a secret's name and place. The runner writes *** for the name; the place stays.
func named(s *provision.Step) string {
	return escape.Cell(s.Name) + " (" + escape.Cell(place(s.Place)) + ")"
}

func secretTable(all []entry, done string, limit int) string {
	columns := []string{"secret", done, "vault and version", "policy", "bits", "expires&nbsp;(UTC)",
		"next&nbsp;rotation"} // no narrower than a date, which would break at its hyphens
	targets := slices.ContainsFunc(all, func(e entry) bool { return e[0].target != "" })
	if targets {
		columns = append(columns, "target")
	}
	t := newTable("Secrets", limit, columns...)
	for _, e := range all {
		t.add(func() []string {
			cells := e.cells()
			if targets {
				cells = append(cells, escape.Cell(orDash(e[0].target)))
			}
			return cells
		})
	}
	return t.end()
}

// cells returns the row of the table of secrets.
func (e entry) cells() []string {
	var versions []string
	for _, r := range e {
		versions = append(versions, escape.Cell(r.step.Vault))
		if r.state.Version != "" {
			versions = append(versions, "`"+escape.Cell(r.state.Version)+"`")
		}
	}
	r := e[0]
	return []string{
		named(r.step), e.story(), strings.Join(versions, "<br>"),
		escape.Cell(orDash(r.step.Policy.Name())), // the fingerprint is in the log
		escape.Cell(orDash(r.step.Bits)), e.days(expiryDay), e.days(nextDay),
	}
}

// days returns a date of an entry's rows for a cell.
func (e entry) days(of func(row) string) string {
	var cells []string
	for _, text := range e.distinct(of) {
		cells = append(cells, escape.Cell(text))
	}
	return strings.Join(cells, "<br>")
}

// story is what was done and why, or where to read why not.
func (e entry) story() string {
	switch r := e[0]; {
	case r.partly:
		return r.what + ", but see Problems"
	case r.problem != nil:
		return r.what + ": see Problems"
	}
	return e.what() + ": " + escape.Cell(e.why())
}

// timeline returns a chart of when the versions expire, the first first; "" if none does.
func timeline(all []entry, now time.Time) string {
	expiring := slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.expires().IsZero() })
	if len(expiring) == 0 {
		return ""
	}
	slices.SortStableFunc(expiring, func(a, b entry) int { return a.expires().Compare(b.expires()) })
	beyond := 0 // far ones, which would squeeze the near ones: the axis is common to all
	if far := slices.IndexFunc(expiring, func(e entry) bool {
		return e.expires().Sub(now) > farthest
	}); far > 0 && expiring[0].expires().Sub(now) < nearest {
		beyond = len(expiring) - far
		expiring = expiring[:far]
	}
	later := max(0, len(expiring)-maxChart)
	expiring = expiring[:len(expiring)-later]
	var c chart
	for _, e := range expiring {
		c = append(c, e.bar(now))
	}
	text := "### What expires when\n\n" + c.String()
	if later > 0 {
		text += fmt.Sprintf("\nLater: %s.\n", Counted(later, "more secret"))
	}
	if beyond > 0 {
		text += fmt.Sprintf("\nAfter more than two years: %s.\n", Counted(beyond, "more secret"))
	}
	return text + "\n"
}

// A bar is one line of a chart.
type bar struct {
	section, label string
	crit           bool // what it is about is near
	from, to       time.Time
}

// A chart is a Gantt chart of one bar or more.
type chart []bar

// String returns the chart in Mermaid's language. The sections have their names at the left, in a margin as wide as
// they need: Mermaid's own is narrower than most vaults' names. On a phone the chart is smaller, and not another one.
func (c chart) String() string {
	slices.SortStableFunc(c, func(a, b bar) int { return strings.Compare(a.section, b.section) })
	longest := 0
	for _, bar := range c {
		longest = max(longest, utf8.RuneCountInString(bar.section))
	}
	const border, letter, width = 20, 6, 1000 // in pixels
	var b strings.Builder
	fmt.Fprintf(&b, "```mermaid\n---\nconfig:\n  gantt:\n    leftPadding: %d\n    useWidth: %d\n---\n",
		border+letter*longest, width)
	fmt.Fprintf(&b, "gantt\n    dateFormat YYYY-MM-DD\n    axisFormat %%Y-%%m-%%d\n    tickInterval %s\n", c.tick())
	for i, bar := range c {
		if i == 0 || c[i-1].section != bar.section {
			fmt.Fprintf(&b, "    section %s\n", bar.section)
		}
		state := "" // "active" cannot be read on GitHub's dark page
		if bar.crit {
			state = "crit, "
		}
		fmt.Fprintf(&b, "    %s :%s%s, %s\n", bar.label, state, day(bar.from), day(bar.to.Add(24*time.Hour)))
	}
	return b.String() + "```\n"
}

// tick returns what is between two dates of the axis, on which ten have room. By itself, Mermaid lets them overlap, and
// writes one date several times.
func (c chart) tick() string {
	from := slices.MinFunc(c, func(a, b bar) int { return a.from.Compare(b.from) }).from
	to := slices.MaxFunc(c, func(a, b bar) int { return a.to.Compare(b.to) }).to
	switch days := int(to.Sub(from).Hours() / 24); {
	case days < 10:
		return "1day"
	case days < 10*7:
		return "1week"
	case days < 10*30:
		return "1month"
	case days < 10*90:
		return "3month"
	}
	return "12month"
}

const (
	year = 365 * 24 * time.Hour
	// soon is from when on a version is near its expiry. Key Vault's own event comes 30 days before:
	// https://learn.microsoft.com/azure/event-grid/event-schema-key-vault
	soon = 30 * 24 * time.Hour
	// nearest and farthest keep a chart readable: with a bar below the one, those above the other are only counted.
	nearest, farthest = year, 2 * year
	// longest is where a bar is cut: expiries of the years 9999 and 58932 exist, and Mermaid reads years of four
	// digits.
	longest = 10 * year
)

// bar returns the bar of an entry: from now, or from the expiry where that is past, to the expiry. Its section is the
// entry's vaults, or how many they are.
func (e entry) bar(now time.Time) bar {
	s := e[0].step
	b, cut := bar{from: now, to: e.expires(), crit: e.expires().Sub(now) < soon}, ""
	if b.to.Sub(now) > longest {
		b.to, cut = now.Add(longest), " (later than ten years)"
	}
	if b.from.After(b.to) {
		b.from = b.to
	}
	b.label = barLabel(s.Name, " ("+place(s.Place)+")"+cut)
	if b.section = chartText(e.vaults(" and ")); len(e) > 2 {
		b.section = Counted(len(e), "vault")
	}
	return b
}

// barLabel returns a name, and what is said of it, as the label of a bar. The end of a very long name is left out:
// Mermaid would cut off its beginning.
func barLabel(name, more string) string {
	if runes := []rune(name); len(runes) > maxColumn {
		name = string(runes[:maxColumn-1]) + "…"
	}
	if keyword().MatchString(name) {
		name = "secret " + name
	}
	return chartText(name + more)
}

// keyword matches names that Mermaid would not take for a label: its words are recognised wherever a line begins with
// them, in any letter case, and so is a date:
// https://github.com/mermaid-js/mermaid/blob/develop/packages/mermaid/src/diagrams/gantt/parser/gantt.jison
var keyword = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(gantt|topaxis|inclusiveenddates|title|section|acctitle|accdescr|dateformat|` +
		`axisformat|tickinterval|todaymarker|excludes|includes|weekday|weekend|click|call|href|\d{4}-\d\d-\d\d)`)
})

// chartText returns text that Mermaid takes for a name: what is its syntax becomes a space.
func chartText(text string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(":;#,%\"'`<>{}[]|\\", c) {
			return ' '
		}
		return c
	}, escape.Line(text))
}

func notes(run Run) string {
	var b strings.Builder
	for _, note := range run.Notes {
		b.WriteString("- " + escape.Cell(note) + "\n")
	}
	if run.Elapsed > 0 {
		fmt.Fprintf(&b, "- The whole run took %.2f s.\n", run.Elapsed.Seconds())
	}
	return b.String()
}
