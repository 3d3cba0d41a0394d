package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/export"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// modeAudit judges what the vaults hold, and writes nothing.
const modeAudit provision.Mode = "audit"

// A threshold is from which level of finding on an audit fails. It has no part in what is reported.
type threshold string

const (
	failOnError   threshold = "error"
	failOnWarning threshold = "warning"
	failOnNever   threshold = "never"
)

// isReached reports whether a finding of that level fails the run.
func (t threshold) isReached(level audit.Level) bool {
	switch t {
	case failOnNever:
		return false
	case failOnWarning:
		return level == audit.LevelError || level == audit.LevelWarning
	}
	return level == audit.LevelError
}

// reports reads the paths of the reports, one a line.
func (c *checker) reports(mode provision.Mode) (paths []string) {
	for line := range strings.Lines(c.runner.Input(inputReport)) {
		path := strings.TrimSpace(line)
		switch {
		case path == "":
			continue
		case export.FormOf(path) == nil:
			c.problem(inputReport, "%q has no ending that is a form; expected one of %s", path,
				strings.Join(export.Endings(), ", "))
		case isSeveral(path):
			c.problem(inputReport, "%q is more than one path; expected one a line", path)
		}
		paths = append(paths, path)
	}
	if len(paths) > 0 && mode != modeAudit {
		c.problem(inputReport,
			"reports are of an audit, and the input mode is %s; run with mode: audit, or remove report",
			mode)
	}
	return paths
}

// isSeveral reports whether a line has a path that ends where a form's name does, and more.
func isSeveral(line string) bool {
	for _, ending := range export.Endings() {
		if strings.Contains(line, ending+" ") || strings.Contains(line, ending+",") {
			return true
		}
	}
	return false
}

// checkReports returns what is wrong with the paths of the reports, as the workspace is now. It writes nothing.
func (r *run) checkReports() (mistakes []error) {
	if len(r.reports) == 0 || r.mode != modeAudit {
		return nil
	}
	for _, err := range r.runner.CheckReports(r.reports) {
		mistakes = append(mistakes, mistake(inputReport, "%w", err))
	}
	for _, path := range r.reports {
		if r.source.file != "" && r.runner.IsSameFile(path, r.source.file) {
			mistakes = append(mistakes,
				mistake(inputReport, "%q is the declaration; expected another path, such as audit/vault.json", path))
		}
	}
	return mistakes
}

// isNone reports whether no declaration is given.
func (s source) isNone() bool { return s.file == "" && !s.Inline }

// noDeclaration checks an audit without a declaration, which is of one vault.
func (c *checker) noDeclaration(s declaration.Source) {
	if s.Vault == nil && !s.VaultRefused {
		c.problem(inputVault, "neither it nor file nor secrets is given; expected the vault to audit, or a declaration")
	}
	if c.runner.Input(inputOnly) != "" {
		c.problem(inputOnly, "it selects declared secrets, and neither file nor secrets is given; expected one of them")
	}
}

// chooseWhole takes a vault that is audited without a declaration.
func (r *run) chooseWhole(vault azure.Vault) (mistakes []error) {
	r.cloud = azure.Public()
	for _, cloud := range []*azure.Cloud{vault.Cloud, r.source.Cloud} {
		if cloud != nil {
			r.cloud = *cloud
		}
	}
	r.whole = &declaration.Vault{Name: vault.Name}
	return r.checkIdentities()
}

// audit is the mode of that name: list, judge, report. It writes nothing to a vault. It fails if a vault could not be
// listed whole, if the threshold is reached, or if something could not be reported.
func (r *run) audit(ctx context.Context) error {
	outputs, err := r.runner.OpenOutputs()
	if err != nil {
		return err
	}
	clients, err := r.clients()
	if err != nil {
		return errors.Join(err, outputs.Close())
	}
	surveys := r.survey(ctx, clients.lists)
	r.access.Settle()
	r.note(clients.timing("The vaults were listed", time.Since(r.start)))
	plan, err := r.rotation(ctx, surveys)
	if err != nil {
		return errors.Join(err, outputs.Close())
	}
	ledger := newLedger(plan, outputs, r.options())
	found := audit.Judge(r.auditInput(surveys, plan, ledger.keys))
	r.showAudit(&found)
	failed := r.writeReports(&found)
	failed = r.deliverAudit(ctx, &found, ledger) || failed
	if r.masking != maskNone {
		r.mask(ledger.masks(plan, r.masking))
	}
	if failed || r.fails(&found) || context.Cause(ctx) != nil {
		return errReported
	}
	return nil
}

// rotation returns the plan that mode rotate would make of what the vaults list. It contacts nothing, so that it needs
// no time that a stopped run has not.
func (r *run) rotation(ctx context.Context, surveys []*survey) (*provision.Plan, error) {
	lists := map[string]*survey{}
	for _, s := range surveys {
		lists[s.vault.Name()] = s
	}
	o := r.options()
	o.Mode = provision.ModeRotate
	return provision.MakePlan(context.WithoutCancel(ctx), r.secrets, lists, o)
}

// auditInput returns what is judged, and by what.
func (r *run) auditInput(surveys []*survey, plan *provision.Plan, keys []string) audit.Input {
	in := audit.Input{
		File: r.source.file, Secrets: r.secrets, Part: r.only.given, Rules: declaration.DefaultAudit(),
		Taken: time.Now(),
	}
	if r.declared != nil {
		in.Rules, in.Places = r.declared.Audit, r.declared.Places
	}
	if r.source.file != "" {
		in.File = r.fileInWorkspace()
	}
	for i, step := range plan.Steps {
		in.Rotations = append(in.Rotations, audit.Rotation{
			Key: keys[i], Writes: step.Change.Writes(), Trigger: step.Trigger, Reason: step.Reason,
		})
	}
	for i, s := range surveys {
		in.Listings = append(in.Listings, s.listing())
		if i == 0 {
			in.Taken = s.vault.Now()
		}
	}
	return in
}

// fileInWorkspace returns the declaration's path as repositories have it.
func (r *run) fileInWorkspace() string {
	file := r.source.file
	if workspace := r.runner.Getenv("GITHUB_WORKSPACE"); filepath.IsAbs(file) {
		if within, err := filepath.Rel(workspace, file); err == nil {
			file = within
		}
	}
	return filepath.ToSlash(filepath.Clean(file))
}

// showAudit prints the findings in a fold, problems first, and problems as annotations on the declaration's lines, of
// which the runner shows ten.
func (r *run) showAudit(found *audit.Report) {
	var text strings.Builder
	report.Audit(&text, found)
	r.runner.Group("Findings: " + report.AuditTotals(found))
	r.runner.PrintLines(text.String())
	r.runner.EndGroup()
	var all []runner.Annotation
	for _, v := range found.Vaults {
		if !v.Complete {
			all = append(all, runner.Annotation{Level: runner.LevelError, Text: report.Incomplete(v)})
		}
	}
	for _, g := range report.Groups(found) {
		if g.Level == audit.LevelInfo {
			continue
		}
		a := r.at(g.Place, g.Text())
		if g.Level == audit.LevelWarning {
			a.Level = runner.LevelWarning
		}
		all = append(all, a)
	}
	for _, note := range found.Notes {
		all = append(all, runner.Annotation{Level: runner.LevelWarning, Text: note})
	}
	r.annotateFirst(all)
	r.runner.Print(report.AuditTotals(found) + fmt.Sprintf(" (%.2f s)", time.Since(r.start).Seconds()))
}

// annotateFirst shows the first ten as annotations. The fold above has them all.
func (r *run) annotateFirst(all []runner.Annotation) {
	if left := len(all) - runner.MaxAnnotations; left > 0 {
		all = all[:runner.MaxAnnotations]
		all[len(all)-1].Text += fmt.Sprintf(" (and %d more: see the log)", left)
	}
	r.annotate(all)
}

// writeReports writes each report that was asked for. One that cannot be written fails the run and stops no other.
func (r *run) writeReports(found *audit.Report) (failed bool) {
	run := r.exportRun()
	for _, path := range r.reports {
		form := export.FormOf(path)
		err := r.runner.WriteReport(path, func(w io.Writer) error { return form(w, found, run) })
		omitted, left := errors.AsType[export.Omitted](err)
		switch {
		case left:
			r.runner.Annotate(runner.Annotation{
				Level: runner.LevelWarning,
				Text:  fmt.Sprintf("the report %q is not written: %s", path, omitted.Error()),
			})
		case err != nil:
			failed = true
			r.runner.Annotate(runner.Annotation{Level: runner.LevelError, Text: err.Error()})
		default:
			note := "Report: " + path
			if n := export.LeftOut(path, found); n > 0 {
				note += fmt.Sprintf(", without the %s that matter least: GitHub keeps no more",
					report.Counted(n, "finding"))
			}
			r.note(note)
		}
	}
	return failed
}

// exportRun returns what the reports tell of the run.
func (r *run) exportRun() export.Run {
	env := r.runner.Getenv
	run := export.Run{
		Version: env("GITHUB_ACTION_REF"), Server: env("GITHUB_SERVER_URL"), Repository: env("GITHUB_REPOSITORY"),
		ID: env("GITHUB_RUN_ID"), Attempt: env("GITHUB_RUN_ATTEMPT"), SHA: env("GITHUB_SHA"),
		Part: r.only.given,
	}
	if r.source.Vault != nil {
		run.Vault = r.source.Vault.Name
	}
	return run
}

// deliverAudit writes the outputs and the summary.
func (r *run) deliverAudit(ctx context.Context, found *audit.Report, l *ledger) (failed bool) {
	if cause := context.Cause(ctx); cause != nil {
		r.runner.Print(stoppedAudit(cause, found))
	}
	if err := l.close(); err != nil {
		r.showOutputs(err, l)
		r.runner.Print("Due: " + encode(found.Due))
		failed = true
	}
	r.noteAccess()
	summary := report.AuditSummary(report.AuditRun{
		Report: found, Hidden: r.masking == maskAll, Reports: len(r.reports) > 0, Elapsed: time.Since(r.start),
		Notes: r.notes, Warnings: r.warnings, Help: r.help,
	})
	if err := r.runner.Summarize(summary); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	return failed
}

// stoppedAudit says how far an audit got that was stopped.
func stoppedAudit(cause error, found *audit.Report) string {
	text := "The run was stopped"
	if errors.Is(cause, errTimeout) {
		text = "The run's timeout is over"
	}
	if !found.Complete() {
		text += " before every vault was listed"
	}
	if errors.Is(cause, errTimeout) {
		return text + ". Set the input timeout to more, and run the job again."
	}
	return text + ". Run the job again."
}

// fails reports whether what was found fails the run. A vault that was not listed whole does, whatever the threshold:
// what was not seen must not pass for clean.
func (r *run) fails(found *audit.Report) bool {
	return !found.Complete() ||
		slices.ContainsFunc(found.Findings, func(f audit.Finding) bool { return r.failOn.isReached(f.Level) })
}
