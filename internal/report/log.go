package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"keyvault-passwords/internal/escape"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

// maxColumn bounds how far lines are padded for alignment, so that one long name does not push all others aside.
const maxColumn = 48

// A Log writes one line for a secret, aligned over all of a plan, and one line for a problem that many share. It is for
// one goroutine.
type Log struct {
	name, vault, policy, entropy, target int // the widths of columns; 0: there is none

	at       map[*provision.Step]int // the places of steps in the plan
	expected map[secretKey]int       // how many results of a secret are to come
	ended    map[secretKey][]row     // those that came
	failed   []entry                 // those of which Rest tells
	work     map[secretKey]bool      // the secrets for which something is to be done
	done     int                     // of them
}

// NewLog returns the log of a plan.
func NewLog(plan *provision.Plan) *Log {
	l := &Log{
		at: map[*provision.Step]int{}, expected: map[secretKey]int{}, ended: map[secretKey][]row{},
		work: map[secretKey]bool{},
	}
	vaults := map[string]bool{}
	for _, e := range entries(rows(plan, nil)) {
		s := e[0].step
		l.name = widen(l.name, s.Name)
		l.policy = widen(l.policy, orDash(string(s.Policy)))
		l.entropy = widen(l.entropy, entropy(s))
		l.vault = widen(l.vault, e.vaults(", "))
		l.target = widen(l.target, e[0].target)
		for _, r := range e {
			l.at[r.step] = len(l.at)
			l.expected[secretOf(s)]++
			vaults[r.step.Vault] = true
			if r.step.Change.Writes() || len(r.step.Disable) > 0 {
				l.work[secretOf(s)] = true
			}
		}
	}
	if len(vaults) <= 1 {
		l.vault = 0 // the line about signing in names it
	}
	return l
}

// Progress returns how many of the secrets for which something is to be done have ended, and how many they are.
func (l *Log) Progress() (done, total int) { return l.done, len(l.work) }

// entropy returns the entropy of a step's value, or "-" where it is not known.
func entropy(s *provision.Step) string {
	if s.Bits == "" {
		return "-"
	}
	return s.Bits + " bits"
}

// orDash returns text, or "-" for none.
func orDash(text string) string { return cmp.Or(text, "-") }

func widen(width int, text string) int {
	return min(max(width, utf8.RuneCountInString(text)), maxColumn)
}

// Plan writes the plan, one line a secret, each with what it needs to be read alone. What many are refused or warned
// for is one line.
func Plan(w io.Writer, plan *provision.Plan) {
	l := NewLog(plan)
	all := entries(rows(plan, nil))
	refused := map[*provision.Step][]entry{} // by the first of those that share a reason
	for _, alike := range shared(all) {
		refused[alike[0][0].step] = alike
	}
	for _, e := range all {
		switch alike := refused[e[0].step]; {
		case e[0].problem == nil:
			_, _ = fmt.Fprintln(w, l.planned(e))
		case len(alike) == 1:
			_, _ = fmt.Fprintln(w, l.planned(e))
		case len(alike) > 1:
			_, _ = fmt.Fprintln(w, together(alike))
		}
	}
	for _, warning := range Warnings(plan) {
		_, _ = fmt.Fprintln(w, escape.Line(pad("warning", actWidth)+warning.Text()))
	}
}

// shared returns the entries with a problem: those together that ended alike, in the order of their first.
func shared(all []entry) (groups [][]entry) {
	type ending struct {
		what    string
		outcome provision.Outcome
		problem refusal.Refusal
	}
	at := map[ending]int{}
	for _, e := range all {
		if e[0].problem == nil {
			continue
		}
		key := ending{what: e[0].what, outcome: e[0].outcome, problem: problemOf(e[0])}
		i, known := at[key]
		if !known {
			i = len(groups)
			at[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], e)
	}
	return groups
}

// together returns one line for entries that ended alike.
func together(alike []entry) string {
	var steps []*provision.Step
	for _, e := range alike {
		for _, r := range e {
			steps = append(steps, r.step)
		}
	}
	r := alike[0][0]
	text := pad(r.what, actWidth) + whose(steps) + ": "
	if r.outcome != "" {
		text += string(r.outcome) + ": "
	}
	return escape.Line(text + r.problem.Seen())
}

// planned returns the line of the plan for one secret. What to do about a refusal is said with the problem, once for
// all that share it: see [Problem]. A line reads "create  db  azure-sql@...  209.54 bits  expires 2027-02-20  not there
// yet".
func (l *Log) planned(e entry) string {
	r := e[0]
	text := l.start(e)
	if r.problem != nil {
		return escape.Line(text + r.problem.Seen())
	}
	text += pad(orDash(string(r.step.Policy)), l.policy) + pad(entropy(r.step), l.entropy) + pad(r.target, l.target)
	return escape.Line(text + e.lives() + e.why())
}

// Ended returns the lines of a secret whose last result this is: "created  db  0123...  expires 2027-02-20  0.12 s". It
// is empty while others of its vaults are to come, and where the vault does not hold what it should: see Rest.
func (l *Log) Ended(result provision.Result) string {
	key := secretOf(result.Step)
	l.ended[key] = append(l.ended[key], ended(result))
	if l.expected[key]--; l.expected[key] > 0 {
		return ""
	}
	if l.work[key] {
		l.done++
	}
	// Vaults end in any order.
	slices.SortFunc(l.ended[key], func(a, b row) int { return l.at[a.step] - l.at[b.step] })
	var lines []string
	for _, e := range entries(l.ended[key]) {
		if e[0].problem != nil && !e[0].partly {
			l.failed = append(l.failed, e)
			continue
		}
		lines = append(lines, l.line(e))
	}
	delete(l.ended, key)
	return strings.Join(lines, "\n")
}

// Rest returns the lines of the secrets that were refused, failed or were stopped, those together that were so for one
// reason. It is for the end: only then is it known how many share it.
func (l *Log) Rest() string {
	slices.SortFunc(l.failed, func(a, b entry) int { return l.at[a[0].step] - l.at[b[0].step] })
	var lines []string
	for _, alike := range shared(l.failed) {
		// each of those has an operation to look for
		if len(alike) > 1 && alike[0][0].problem.Kind != refusal.Ambiguous {
			lines = append(lines, together(alike))
			continue
		}
		for _, e := range alike {
			lines = append(lines, l.line(e))
		}
	}
	return strings.Join(lines, "\n")
}

// line returns the line of one entry that has ended.
func (l *Log) line(e entry) string {
	r := e[0]
	text := l.start(e)
	if versions := e.versions(); versions != "" && (r.problem == nil || r.partly) {
		text += versions + "  " + pad(r.target, l.target)
	}
	switch {
	case r.partly:
		text += "but " + r.problem.Seen()
	case r.problem != nil && r.outcome != "":
		text += r.target + "  " + r.problem.Seen()
	case r.problem != nil:
		text += r.problem.Seen()
	default:
		text += e.lives() + e.why()
	}
	var longest time.Duration
	for _, r := range e {
		longest = max(longest, r.elapsed)
	}
	if longest >= 10*time.Millisecond {
		text += fmt.Sprintf("  (%.2f s)", longest.Seconds())
	}
	return escape.Line(text)
}

// lives says when an entry's versions expire, as a column; "" if none does.
func (e entry) lives() string {
	if e.expires().IsZero() {
		return ""
	}
	return "expires " + strings.Join(e.distinct(expiryDay), ", ") + "  "
}

// versions returns the IDs of an entry's versions, in the order of its vaults.
func (e entry) versions() string {
	var ids []string
	for _, r := range e {
		if r.state.Version != "" {
			ids = append(ids, r.state.Version)
		}
	}
	return strings.Join(ids, ", ")
}

// actWidth is the width of the column of what is done.
const actWidth = len("recovered")

// start returns the columns that each line begins with.
func (l *Log) start(e entry) string {
	text := pad(e.what(), actWidth) + pad(e[0].step.Name, l.name)
	if l.vault > 0 {
		text += pad(e.vaults(", "), l.vault)
	}
	return text
}

// pad returns text as a column of the width, and the space between columns. An empty column of no width is nothing.
func pad(text string, width int) string {
	if width == 0 && text == "" {
		return ""
	}
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))) + "  "
}

// rateWindow is what the rate of progress is taken over. Key Vault's limit is per 10 s too, so a run that is paced by
// it shows the pace, and not the burst it began with.
const rateWindow = 10 * time.Second

// Progress says how far a long run is. The zero Progress is of nothing; Total must be set.
type Progress struct {
	Total   int
	samples []sample
}

// A sample is how much was done at a time since the start.
type sample struct {
	done int
	at   time.Duration
}

// Line returns "340 of 2000, 25/s, 66 s left" for the number done at a time since the start. The rate is that of the
// last 10 s or so. While nothing has moved, the line has neither a rate nor the time left.
func (p *Progress) Line(done int, at time.Duration) string {
	for len(p.samples) > 1 && at-p.samples[1].at >= rateWindow {
		p.samples = p.samples[1:]
	}
	from := sample{}
	if len(p.samples) > 0 && at-p.samples[0].at >= rateWindow {
		from = p.samples[0]
	}
	p.samples = append(p.samples, sample{done, at})
	text := fmt.Sprintf("%d of %d", done, p.Total)
	if done <= from.done || at <= from.at {
		return text
	}
	rate := float64(done-from.done) / (at - from.at).Seconds()
	format := "%s, %.0f/s, %.0f s left"
	if rate < 10 {
		format = "%s, %.1f/s, %.0f s left"
	}
	return fmt.Sprintf(format, text, rate, float64(p.Total-done)/rate)
}
