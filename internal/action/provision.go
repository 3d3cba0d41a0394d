package action

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// provision is the modes ensure, rotate and force: plan, show the plan, apply it unless the run is dry, report.
func (r *run) provision(ctx context.Context) error {
	outputs, err := r.runner.OpenOutputs()
	if err != nil {
		return err
	}
	clients, err := r.clients()
	if err != nil {
		return errors.Join(err, outputs.Close())
	}
	options := r.options()
	if options.Targets, err = r.targets(clients); err != nil {
		return errors.Join(err, outputs.Close())
	}
	plan, err := provision.MakePlan(ctx, r.secrets, clients.vaults, options)
	if err != nil {
		return errors.Join(err, outputs.Close())
	}
	r.access.Settle()
	r.showPlan(plan)
	r.note(clients.timing("The plan was ready", time.Since(r.start)))
	ledger := newLedger(plan, outputs, options)
	var results []provision.Result
	if !r.dryRun {
		results = r.apply(ctx, plan, clients.vaults, options, ledger)
	}
	return r.finish(ctx, plan, results, ledger)
}

func (r *run) options() provision.Options {
	return provision.Options{
		Mode: r.mode, Adopt: r.adopt, RecoverDeleted: r.recover, Concurrency: r.concurrency, Run: r.runner.Run(),
		WaitForAccess: r.waitForAccess,
	}
}

// showPlan prints the plan before anything is written.
func (r *run) showPlan(plan *provision.Plan) {
	r.runner.Group("Plan: " + report.Totals(plan, nil))
	var text strings.Builder
	report.Plan(&text, plan)
	r.runner.PrintLines(text.String())
	r.runner.EndGroup()
	var warnings []runner.Annotation
	for _, warning := range report.Warnings(plan) {
		a := r.at(warning.Steps[0].Place, warning.Text())
		a.Level = runner.LevelWarning
		warnings = append(warnings, a)
	}
	r.annotateFirst(warnings)
}

// progressEvery is how often a long run says how far it is.
const progressEvery = 5 * time.Second

// apply carries the plan out, a line for each secret as it ends, and at the end one for each reason why others did not.
func (r *run) apply(ctx context.Context, plan *provision.Plan, vaults map[string]provision.Vault,
	o provision.Options, l *ledger) []provision.Result {
	log := report.NewLog(plan)
	start, waited := time.Now(), r.access.Waited()
	next := start.Add(progressEvery)
	var progress report.Progress
	ended := func(result provision.Result) {
		l.record(result)
		r.runner.PrintLines(log.Ended(result))
		var done int
		done, progress.Total = log.Progress()
		if now := time.Now(); now.After(next) && done < progress.Total {
			elapsed := now.Sub(start) - (r.access.Waited() - waited)
			r.runner.Print("secrets done: " + progress.Line(done, elapsed))
			next = now.Add(progressEvery)
		}
	}
	results := plan.Apply(ctx, vaults, o, provision.Observer{Stored: l.record, Ended: ended})
	r.access.Settle()
	r.runner.PrintLines(log.Rest())
	return results
}

// finish reports: log, outputs, summary, and masks last, so that the log above stays readable.
func (r *run) finish(ctx context.Context, plan *provision.Plan, results []provision.Result, l *ledger) error {
	problems := report.Problems(plan, results)
	var errs []runner.Annotation
	for _, p := range problems {
		errs = append(errs, r.at(p.Place(), p.Text()))
	}
	r.annotate(errs)
	if cause := context.Cause(ctx); cause != nil {
		r.runner.Print(stopped(cause))
	}
	r.runner.Print(report.Totals(plan, results) + fmt.Sprintf(" (%.2f s)", time.Since(r.start).Seconds()))
	failed := r.deliver(plan, results, l)
	if r.masking != maskNone {
		r.mask(l.masks(plan, r.masking))
	}
	if len(problems) > 0 || failed || context.Cause(ctx) != nil {
		return errReported
	}
	return nil
}

func stopped(cause error) string {
	if errors.Is(cause, errTimeout) {
		return "The run's timeout is over, and no further secret was started. " +
			"Run the job again to go on; set the input timeout if it needs longer."
	}
	return "The run was stopped, and no further secret was started. Run the job again to go on."
}

// deliver writes outputs and summary. Where outputs cannot be written, the log gets them: no version ID is lost.
func (r *run) deliver(plan *provision.Plan, results []provision.Result, l *ledger) (failed bool) {
	if err := l.close(); err != nil {
		r.showOutputs(err, l)
		failed = true
	}
	r.noteAccess()
	summary := report.Summary(report.Run{
		Mode: r.mode, Plan: plan, Results: results, Now: time.Now(), Elapsed: time.Since(r.start), Notes: r.notes,
		Warnings: r.warnings, Help: r.help,
	})
	if err := r.runner.Summarize(summary); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	return failed
}

// showOutputs says that the outputs could not be written, and what they would have been.
func (r *run) showOutputs(err error, l *ledger) {
	r.runner.Annotate(runner.Annotation{Level: runner.LevelError, Text: err.Error() +
		"; the log has what it should hold"})
	r.runner.Print("These outputs could not be written:")
	for _, line := range l.lines() {
		r.runner.Print(line)
	}
}

// mask registers the masks. What it has to say comes before them: nothing that the run prints is masked.
func (r *run) mask(texts []string) {
	masks, short := runner.Maskable(texts)
	if short > 0 {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelNotice, Text: fmt.Sprintf(
			"names of three characters or fewer are not masked, since that would make the log unreadable: %d "+
				"here", short)})
	}
	r.runner.Mask(masks...)
}
