// Package report says in words what a run would do and what it did: the lines of the log and the job summary.
//
// It gets names, versions, dates and reasons, and it cannot get a value: no type that it is given has a place for one, and
// it may not import the package that values are made of. It does no input or output of its own beyond the writer it is
// handed.
//
// Text from outside (an error's words, a tag's name) may be hostile. What goes to the log passes [escape.Line], so that no line
// of it can be a workflow command; what goes to the summary passes [escape.Cell], so that it stays in its cell of the table and
// is neither markup nor a link.
package report

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

// A row is one step, planned or ended, in words.
type row struct {
	step     *provision.Step
	what     string // "create", "created"
	ending   string // for totals: "to create", "created"
	why      string
	version  string // "" before the step
	expires  time.Time
	next     time.Time
	disabled int
	problem  *provision.Error // nil: none
	partly   bool             // there is a problem, and yet the vault holds what it should
}

// rows returns a row for each result, or for each step of the plan where there are no results: a dry run.
func rows(plan *provision.Plan, results []provision.Result) []row {
	all := make([]row, 0, max(len(plan.Steps), len(results)))
	if results != nil {
		for _, r := range results {
			all = append(all, ended(r))
		}
		return all
	}
	for i := range plan.Steps {
		all = append(all, planned(&plan.Steps[i]))
	}
	return all
}

func planned(s *provision.Step) row {
	r := row{step: s, what: string(s.Action), why: s.Reason, version: s.Current.ID, expires: s.Expires, next: s.Next}
	r.ending = "to " + r.what
	switch {
	case s.Action == provision.Refuse:
		r.ending = done[s.Action]
		r.problem = &provision.Error{Reason: s.Reason, Remedy: s.Remedy}
	case len(s.Disable) > 0:
		r.why += fmt.Sprintf("; disable %s", counted(len(s.Disable), "superseded version"))
	}
	return r
}

// done is what has become of an action that ended well.
var done = map[provision.Action]string{
	provision.Create: "created", provision.Rotate: "rotated", provision.Recover: "recovered", provision.Keep: "kept", provision.Refuse: "refused",
}

func ended(result provision.Result) row {
	s := result.Step
	r := row{step: s, why: s.Reason, version: result.Version, expires: result.Expires, next: result.Next, disabled: len(result.Disabled)}
	r.what = done[s.Action]
	if result.Err != nil {
		r.problem = problemOf(result.Err)
	}
	switch {
	case r.problem == nil:
	case result.Changed || s.Action == provision.Keep:
		r.partly = true
	case r.problem.Kind == refusal.Cancelled:
		r.what = "stopped"
	case s.Action != provision.Refuse:
		r.what = "failed"
	}
	r.ending = r.what
	if len(result.Disabled) > 0 {
		r.why += fmt.Sprintf("; disabled %s", counted(len(result.Disabled), "superseded version"))
	}
	if len(result.Duplicates) > 0 {
		r.why += fmt.Sprintf("; the service made %s with the same value: %s",
			counted(len(result.Duplicates), "further version"), strings.Join(result.Duplicates, ", "))
	}
	return r
}

func problemOf(err error) *provision.Error {
	if e, ok := errors.AsType[*provision.Error](err); ok {
		return e
	}
	return &provision.Error{Reason: err.Error()}
}

// A Problem is one reason why secrets did not end as declared, and all steps that it stands for: one unreachable vault is
// one problem, however many secrets it holds.
type Problem struct {
	Reason string
	Remedy string       // "" if unknown
	Kind   refusal.Kind // of the vault's refusal
	Steps  []*provision.Step
}

// Places returns where the secrets concerned are declared, by file and line, each once.
func (p Problem) Places() (places []declaration.Place) {
	for _, step := range p.Steps {
		if !slices.Contains(places, step.Secret.Place) {
			places = append(places, step.Secret.Place)
		}
	}
	return places
}

// Text returns the problem: the secrets concerned, the first few by name, the reason and the remedy, which may have several
// lines. It is not escaped.
func (p Problem) Text() string {
	var names []string
	for _, step := range p.Steps {
		names = append(names, step.Secret.Name+" in "+step.Vault)
	}
	text := few(names, ", ") + ": " + p.Reason
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	return text
}

// Problems returns what went wrong, or, where results is nil, what the plan refuses: in the order of the declaration, equal
// ones together.
func Problems(plan *provision.Plan, results []provision.Result) []Problem {
	return problems(rows(plan, results))
}

func problems(rows []row) (list []Problem) {
	type text struct{ reason, remedy string }
	at := map[text]int{}
	for _, r := range rows {
		if r.problem == nil {
			continue
		}
		key := text{r.problem.Reason, r.problem.Remedy}
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, Problem{Reason: key.reason, Remedy: key.remedy, Kind: r.problem.Kind})
		}
		list[i].Steps = append(list[i].Steps, r.step)
	}
	return list
}

// Totals returns how many steps ended how, or, where results is nil, what the plan would do: "4 secrets: 2 created, 1 kept,
// 1 refused; 3 superseded versions disabled". A secret in two vaults counts as two.
func Totals(plan *provision.Plan, results []provision.Result) string {
	return totals(rows(plan, results))
}

// endings is the order in which totals are told.
var endings = []string{
	"to create", "created", "to rotate", "rotated", "to recover", "recovered", "to keep", "kept", "refused", "failed", "stopped",
}

func totals(rows []row) string {
	counts, disabled, partly := map[string]int{}, 0, 0
	for _, r := range rows {
		counts[r.ending]++
		disabled += r.disabled
		if r.partly {
			partly++
		}
	}
	var parts []string
	for _, ending := range endings {
		if counts[ending] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[ending], ending))
		}
	}
	text := counted(len(rows), "secret") + ": " + cmp.Or(strings.Join(parts, ", "), "nothing to do")
	if disabled > 0 {
		text += "; " + counted(disabled, "superseded version") + " disabled"
	}
	if partly > 0 {
		text += fmt.Sprintf("; %d of them incomplete", partly)
	}
	return text
}

// counted returns "1 secret", "2 secrets".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// few returns the first of some texts, and how many more there are.
func few(texts []string, separator string) string {
	const most = 5
	if len(texts) <= most+1 {
		return strings.Join(texts, separator)
	}
	return strings.Join(texts[:most], separator) + separator + fmt.Sprintf("and %d more", len(texts)-most)
}

// place returns where a secret is declared, short: passwords.yml:12.
func place(p declaration.Place) string {
	if p.Line == 0 {
		return path.Base(p.File)
	}
	return fmt.Sprintf("%s:%d", path.Base(p.File), p.Line)
}

// day returns the date, or "-" for the zero time.
func day(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}
