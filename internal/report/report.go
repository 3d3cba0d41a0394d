// Package report says what a run will do and what it did: the lines of the log and the job summary.
//
// It is given names, versions, dates and reasons. No type that it is given has an exported way to a value or to what
// draws one, and it does not import the package that values are made of; two tests hold that: the diagram of imports,
// and the list of every call that reveals or draws a value. It does no input or output of its own beyond the writer it
// is handed.
//
// Text from outside (an error's words, a tag's name) may be hostile. What goes to the log passes [escape.Line], so that
// no line of it can be a workflow command. What goes to the summary passes [escape.Cell], so that it stays in its cell
// of the table and is neither markup nor a link.
package report

import (
	"cmp"
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
	step    *provision.Step
	what    string // "create", "created"
	ending  string // for totals: "to create", "created"
	why     string
	target  string            // what is set where: "sets app_b at pg-prod", "app_b at pg-prod: applied". "": no target
	outcome provision.Outcome // of a step that ended: what became of the target
	state   provision.State   // before the step, with the dates it would have after; or as it ended
	problem *refusal.Refusal  // nil: none
	partly  bool              // there is a problem, and yet the vault holds what it should
	elapsed time.Duration     // of a step that ended

	obsolete, disabled int      // superseded versions: to be disabled, and that were
	lacking            string   // the vault for whose sake they stay enabled
	duplicates         []string // what the service made more
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
	r := row{step: s, what: string(s.Change), why: s.Reason, state: s.After}
	r.state.Version = s.Before.Version
	r.ending = "to " + r.what
	if r.target = targetOf(s); s.Change.Writes() && r.target != "" {
		r.target = "sets " + r.target
	}
	switch {
	case s.Change == provision.Refuse:
		r.ending = done[s.Change]
		r.problem = &s.Refusal
	default:
		r.obsolete = len(s.Disable)
	}
	return r
}

// targetOf returns a step's login and target: "app_b at pg-prod"; "" if it has none.
func targetOf(s *provision.Step) string {
	if s.Target == "" || s.Login == "" {
		return s.Target
	}
	return s.Login + " at " + s.Target
}

// done is what has become of a change that ended well.
var done = map[provision.Change]string{
	provision.Create: "created", provision.Rotate: "rotated", provision.Recover: "recovered",
	provision.Keep: "kept", provision.Refuse: "refused",
}

func ended(result provision.Result) row {
	s := result.Step
	r := row{
		step: s, why: s.Reason, state: result.After, elapsed: result.Elapsed, target: targetOf(s),
		outcome: result.Outcome, disabled: len(result.Disabled), lacking: result.Lacking,
		duplicates: result.Duplicates,
	}
	if r.what = done[s.Change]; result.Overtaken {
		r.what, r.why = done[provision.Keep], "another run has just made this version"
	}
	if r.outcome != "" {
		r.target += ": " + string(r.outcome)
	}
	if result.Err != nil {
		r.problem = new(refusal.Of(result.Err))
	}
	switch {
	case r.problem == nil:
	case result.Changed || s.Change == provision.Keep:
		r.partly = true
	case r.problem.Kind == refusal.Cancelled:
		r.what = "stopped"
	case s.Change != provision.Refuse:
		r.what = "failed"
	}
	r.ending = r.what
	return r
}

// An entry is one secret in the vaults where it fares alike: one line of the log, one row of the table. It has one or
// more rows.
type entry []row

// entries returns the rows by secret, in their order. Rows of a secret that fare alike, the version aside, are one
// entry.
func entries(rows []row) (all []entry) {
	for i := 0; i < len(rows); {
		first := len(all)
		for secret := secretOf(rows[i].step); i < len(rows) && secretOf(rows[i].step) == secret; i++ {
			at := slices.IndexFunc(all[first:], func(e entry) bool { return alike(e[0], rows[i]) })
			if at < 0 {
				all = append(all, entry{rows[i]})
				continue
			}
			all[first+at] = append(all[first+at], rows[i])
		}
	}
	return all
}

// A secretKey is what tells one declared secret from another: two vaults may each hold one of the same name.
type secretKey struct {
	name  string
	place declaration.Place
}

func secretOf(s *provision.Step) secretKey { return secretKey{s.Name, s.Place} }

// alike reports whether two rows of one secret are told together: the same is done, or is amiss. Whether a version that
// is made is the first one in its vault makes no difference, and no more do reasons and dates: see why and days.
func alike(a, b row) bool {
	made := a.makes() && b.makes()
	return (a.what == b.what || made) && a.target == b.target && a.partly == b.partly && problemOf(a) == problemOf(b) &&
		a.step.Policy == b.step.Policy && a.step.Bits == b.step.Bits
}

// makes reports whether a new version is or was made, and nothing is amiss.
func (r row) makes() bool {
	return r.problem == nil && r.step.Change.Writes() && r.what != done[provision.Keep]
}

// what is what is done, where it differs by vault the gravest.
func (e entry) what() string {
	gravestOf := func(a, b row) int { return slices.Index(gravest, a.ending) - slices.Index(gravest, b.ending) }
	return slices.MinFunc(e, gravestOf).what
}

// why is the reason for what is done, by vault where they differ, and what is done beside it in all of an entry's
// vaults.
func (e entry) why() string {
	text := strings.Join(e.distinct(func(r row) string { return r.why }), "; ")
	obsolete, disabled, lacking, duplicates := 0, 0, "", []string(nil)
	for _, r := range e {
		obsolete += r.obsolete
		disabled += r.disabled
		lacking = cmp.Or(lacking, r.lacking)
		duplicates = append(duplicates, r.duplicates...)
	}
	if obsolete > 0 {
		text += "; disable " + Counted(obsolete, "superseded version")
	}
	if disabled > 0 {
		text += "; disabled " + Counted(disabled, "superseded version")
	}
	if lacking != "" {
		text += fmt.Sprintf("; superseded versions stay enabled until %s has the new value too", lacking)
	}
	if duplicates != nil {
		text += fmt.Sprintf("; the service made %s with the same value: %s",
			Counted(len(duplicates), "further version"), strings.Join(duplicates, ", "))
	}
	return text
}

// distinct returns what a text of its rows is; where they differ, each with its vaults: "kv-eu, kv-us: exists".
func (e entry) distinct(textOf func(row) string) []string {
	var texts, all []string
	of := map[string]entry{}
	for _, r := range e {
		text := textOf(r)
		if of[text] == nil {
			texts = append(texts, text)
		}
		of[text] = append(of[text], r)
	}
	if len(texts) == 1 {
		return texts
	}
	for _, text := range texts {
		all = append(all, of[text].vaults(", ")+": "+text)
	}
	return all
}

// expires is when the first of an entry's versions does; the zero time if none does.
func (e entry) expires() (first time.Time) {
	for _, r := range e {
		if at := r.state.Expires; first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

func expiryDay(r row) string { return day(r.state.Expires) }
func nextDay(r row) string   { return day(r.state.Next) }

// problemOf returns what is wrong, without what is of one request alone; the zero Refusal if nothing is.
func problemOf(r row) (problem refusal.Refusal) {
	if r.problem != nil {
		problem = *r.problem
		problem.Trace = ""
	}
	return problem
}

// vaults returns the vaults of an entry: "kv-app-eu, kv-app-us".
func (e entry) vaults(separator string) string {
	names := make([]string, len(e))
	for i, r := range e {
		names[i] = r.step.Vault
	}
	return strings.Join(names, separator)
}

// A Problem is one reason why secrets did not end as declared, with all steps that it concerns: one unreachable vault
// is one problem, however many secrets it holds.
type Problem struct {
	refusal.Refusal
	Steps []*provision.Step
}

// Place returns where the problem is to be shown in the declaration. It is nowhere if no line of it is wrong.
func (p Problem) Place() declaration.Place {
	switch p.Kind {
	case refusal.Identity, refusal.Unreachable, refusal.ReadOnly:
		return declaration.Place{}
	}
	return p.Steps[0].Place
}

// Text returns the problem: the secrets concerned, the first few by name, what was seen and the remedy, which may have
// several lines. It is not escaped.
func (p Problem) Text() string { return whose(p.Steps) + ": " + p.Error() }

// whose returns the secrets of some steps and where they are: "db in kv-app", "db in kv-eu and kv-us", "16 secrets in
// kv-app (db, web, and 14 more)".
func whose(steps []*provision.Step) string {
	var names, vaults []string
	in := map[secretKey][]string{}
	for _, step := range steps {
		key := secretOf(step)
		if in[key] == nil {
			names = append(names, step.Name)
		}
		in[key] = append(in[key], step.Vault)
		if !slices.Contains(vaults, step.Vault) {
			vaults = append(vaults, step.Vault)
		}
	}
	where := " in " + strings.Join(vaults, " and ")
	if len(vaults) > 2 {
		where = " in " + few(vaults, ", ")
	}
	if len(names) == 1 {
		return names[0] + where
	}
	return fmt.Sprintf("%d secrets%s (%s)", len(names), where, few(names, ", "))
}

// Problems returns what went wrong, or, where results is nil, what the plan refuses: in the order of the declaration,
// equal ones together, with the first one's trace.
func Problems(plan *provision.Plan, results []provision.Result) []Problem {
	return problems(rows(plan, results))
}

func problems(rows []row) (list []Problem) {
	at := map[refusal.Refusal]int{}
	for _, r := range rows {
		if r.problem == nil {
			continue
		}
		key := problemOf(r) // the first request's trace stands for all
		i, known := at[key]
		if !known {
			i = len(list)
			at[key] = i
			list = append(list, Problem{Refusal: *r.problem})
		}
		list[i].Steps = append(list[i].Steps, r.step)
	}
	return list
}

// A Warning is what a plan warns of, and all steps that it concerns.
type Warning struct {
	warning string
	Steps   []*provision.Step
}

// Text returns the secrets concerned and the warning. It is not escaped.
func (w Warning) Text() string { return whose(w.Steps) + ": " + w.warning }

// Warnings returns what a plan warns of, equal ones together, in the order of the declaration.
func Warnings(plan *provision.Plan) (list []Warning) {
	at := map[string]int{}
	for i := range plan.Steps {
		for _, warning := range plan.Steps[i].Warnings {
			k, known := at[warning]
			if !known {
				k = len(list)
				at[warning] = k
				list = append(list, Warning{warning: warning})
			}
			list[k].Steps = append(list[k].Steps, &plan.Steps[i])
		}
	}
	return list
}

// Totals returns how many secrets ended how, or, where results is nil, what the plan would do: "4 secrets: 2 created, 1
// kept, 1 refused; 3 superseded versions disabled". A secret in two vaults counts once: as it ended in the vault where
// most is amiss, or else most was done.
func Totals(plan *provision.Plan, results []provision.Result) string {
	return totals(rows(plan, results))
}

// endings is the order of totals; gravest that in which one of them stands for a secret.
var (
	endings = []string{
		"to create", "created", "to rotate", "rotated", "to recover", "recovered", "to keep", "kept", "refused",
		"failed", "stopped",
	}
	gravest = []string{
		"failed", "stopped", "refused", "to recover", "recovered", "to rotate", "rotated", "to create", "created",
		"to keep", "kept",
	}
)

func totals(rows []row) string {
	counts, disabled, partly, secrets := map[string]int{}, 0, 0, 0
	outcomes := map[provision.Outcome]int{}
	vaults := map[string]bool{}
	for i := 0; i < len(rows); secrets++ {
		worst, incomplete := len(gravest), false
		outcomes[worstOutcome(rows[i:])]++
		for secret := secretOf(rows[i].step); i < len(rows) && secretOf(rows[i].step) == secret; i++ {
			worst = min(worst, slices.Index(gravest, rows[i].ending))
			incomplete = incomplete || rows[i].partly
			disabled += rows[i].disabled
			vaults[rows[i].step.Vault] = true
		}
		counts[gravest[worst]]++
		if incomplete {
			partly++
		}
	}
	var parts []string
	for _, ending := range endings {
		if counts[ending] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[ending], ending))
		}
	}
	text := Counted(secrets, "secret")
	if len(vaults) > 1 {
		text += fmt.Sprintf(" in %d vaults", len(vaults))
	}
	text += ": " + cmp.Or(strings.Join(parts, ", "), "nothing to do")
	if disabled > 0 {
		text += "; " + Counted(disabled, "superseded version") + " disabled"
	}
	parts = nil
	for _, outcome := range worstOutcomes {
		if outcomes[outcome] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", outcomes[outcome], outcome))
		}
	}
	if parts != nil {
		text += "; targets: " + strings.Join(parts, ", ")
	}
	if partly > 0 {
		text += fmt.Sprintf("; %d incomplete", partly)
	}
	return text
}

// worstOutcomes are the outcomes of targets, the gravest first.
var worstOutcomes = []provision.Outcome{provision.VaultAhead, provision.TargetUntouched, provision.Applied}

// worstOutcome returns what became of the target of the secret that some rows begin with; "" if it has none, or if
// nothing was to be set there.
func worstOutcome(rows []row) provision.Outcome {
	worst := len(worstOutcomes)
	for _, r := range rows {
		if secretOf(r.step) != secretOf(rows[0].step) {
			break
		}
		if at := slices.Index(worstOutcomes, r.outcome); at >= 0 {
			worst = min(worst, at)
		}
	}
	if worst == len(worstOutcomes) {
		return ""
	}
	return worstOutcomes[worst]
}

// Counted returns "1 secret", "2 secrets".
func Counted(n int, noun string) string {
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
