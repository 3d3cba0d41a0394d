package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"keyvault-passwords/internal/escape"
	"keyvault-passwords/internal/provision"
)

// maxColumn bounds how far lines are padded for alignment, so that one long name does not push all others aside.
const maxColumn = 48

// Lines writes one line for a secret, aligned over all of a plan. The zero Lines aligns nothing.
type Lines struct{ name, vault, policy, entropy int }

// NewLines returns the widths that the steps of a plan need.
func NewLines(plan *provision.Plan) Lines {
	var l Lines
	vaults := map[string]bool{}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		l.name = widen(l.name, s.Name)
		l.policy = widen(l.policy, orDash(string(s.Policy)))
		l.entropy = widen(l.entropy, entropy(s))
		vaults[s.Vault] = true
	}
	if len(vaults) > 1 {
		for name := range vaults {
			l.vault = widen(l.vault, name)
		}
	}
	return l
}

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

// Plan writes the plan, one line a step, and a line for each warning, each with what it needs to be read alone.
func Plan(w io.Writer, plan *provision.Plan) {
	l := NewLines(plan)
	for i := range plan.Steps {
		s := &plan.Steps[i]
		_, _ = fmt.Fprintln(w, l.Step(s))
		for _, warning := range s.Warnings {
			_, _ = fmt.Fprintln(w, escape.Line(l.start("warning", s)+warning))
		}
	}
}

// Step returns the line of the plan for one step. What to do about a refusal is said with the problem, once for all
// that share it: see [Problem]. A line reads "create  db  azure-sql@...  209.54 bits  expires 2027-02-20  not there
// yet".
func (l Lines) Step(s *provision.Step) string {
	r := planned(s)
	text := l.start(r.what, s)
	if r.problem != nil {
		return escape.Line(text + r.problem.Seen())
	}
	text += pad(orDash(string(s.Policy)), l.policy) + pad(entropy(s), l.entropy)
	if !r.state.Expires.IsZero() {
		text += "expires " + day(r.state.Expires) + "  "
	}
	return escape.Line(text + r.why)
}

// Result returns the line of the log for a step that ended: "created  db  0123...  expires 2027-02-20  0.12 s".
func (l Lines) Result(result provision.Result) string {
	r := ended(result)
	text := l.start(r.what, r.step)
	if r.state.Version != "" && (r.problem == nil || r.partly) {
		text += r.state.Version + "  "
	}
	switch {
	case r.partly:
		text += "but " + r.problem.Seen()
	case r.problem != nil:
		text += r.problem.Seen()
	default:
		if !r.state.Expires.IsZero() {
			text += "expires " + day(r.state.Expires) + "  "
		}
		text += r.why
	}
	if result.Elapsed >= 10*time.Millisecond {
		text += fmt.Sprintf("  (%.2f s)", result.Elapsed.Seconds())
	}
	return escape.Line(text)
}

// start returns the columns that each line begins with.
func (l Lines) start(what string, s *provision.Step) string {
	text := pad(what, len("recovered")) + pad(s.Name, l.name)
	if l.vault > 0 {
		text += pad(s.Vault, l.vault)
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
