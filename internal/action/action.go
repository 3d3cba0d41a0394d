// Package action is one run of the action, from inputs to outputs: it reads and checks everything, looks at what the
// vaults hold, says what it will do, does it, and reports what came of it, whatever happened.
//
// It promises that nothing is contacted before every input and the whole declaration are sound, that nothing is written
// in a dry run, and that what was stored is in the outputs, or failing that in the log, however the run ends. It knows
// no wire format: the runner's, Entra's and Key Vault's are the affair of the packages of these names.
package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// The exit statuses of Main.
const (
	// StatusOK: every selected secret ended as declared; or, in a dry run, would.
	StatusOK = 0
	// StatusFailed: at least one did not, or nothing was tried. The log says which and why.
	StatusFailed = 1
)

// An Action is the action and what it runs in. Getenv and Stdout are required.
type Action struct {
	Getenv  func(string) string // the job's environment
	Stdout  io.Writer           // the job's log
	Network http.RoundTripper   // nil: the machine's network, through the proxy that the environment names
}

// Main runs the action once and returns the process's exit status. When ctx ends, no further secret is started, those in
// flight are ended or looked up, and it returns within 7 s: the runner allows 7.5.
func (a *Action) Main(ctx context.Context) int {
	r := &run{start: time.Now()}
	var debug func(string)
	if a.Getenv("RUNNER_DEBUG") == "1" {
		debug = func(text string) { r.runner.Debug(text) }
	}
	r.client = network.NewClient(a.Network, debug)
	defer r.client.CloseIdleConnections()
	r.runner = runner.New(a.Getenv, a.Stdout, r.client)
	err := r.do(ctx)
	if err != nil {
		r.fail(err)
	}
	if err != nil || r.runner.Err() != nil {
		return StatusFailed
	}
	return StatusOK
}

// A run is the state of one Main.
type run struct {
	start  time.Time
	client *http.Client
	runner *runner.Runner
	inputs
	cloud   azure.Cloud // of all vaults
	secrets []declaration.Secret
	notes   []string // for the summary
}

// errReported is a failure of which everything has been said.
var errReported = errors.New("reported")

// errTimeout is why the context of a run ends that takes too long.
var errTimeout = errors.New("the run's timeout is over")

func (r *run) do(ctx context.Context) error {
	r.warnOfBranch()
	if err := r.prepareUntil(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, errTimeout)
	defer cancel()
	outputs, err := r.runner.OpenOutputs()
	if err != nil {
		return err
	}
	vaults, err := r.vaults()
	if err != nil {
		return errors.Join(err, outputs.Close())
	}
	plan, err := provision.MakePlan(ctx, r.secrets, vaults.planned, r.options())
	if err != nil {
		return errors.Join(err, outputs.Close())
	}
	r.showPlan(plan)
	r.note(vaults.timing(time.Since(r.start)))
	ledger := newLedger(plan, outputs)
	var results []provision.Result
	if !r.dryRun {
		results = r.apply(ctx, plan, vaults.planned, ledger)
	}
	return r.finish(ctx, plan, results, ledger)
}

func (r *run) options() provision.Options {
	return provision.Options{Mode: r.mode, Adopt: r.adopt, RecoverDeleted: r.recover, Concurrency: r.concurrency, Run: r.runner.Run()}
}

// prepareUntil is prepare, given up when ctx ends: a declaration may take seconds to compile, or be no file that ends.
func (r *run) prepareUntil(ctx context.Context) error {
	prepared := make(chan error, 1)
	go func() { prepared <- r.prepare() }()
	select {
	case err := <-prepared:
		return err
	case <-ctx.Done():
		return errors.New("the run was stopped while inputs and declaration were read; nothing was contacted")
	}
}

// prepare reads the inputs and the declaration and reports every mistake in them at once. It contacts nothing.
func (r *run) prepare() error {
	in, mistakes := readInputs(r.runner)
	r.inputs = in
	var problems declaration.Problems
	if in.source.Text != nil {
		declared, err := declaration.Parse(in.source)
		switch {
		case errors.As(err, &problems):
		case err != nil:
			mistakes = append(mistakes, err)
		default:
			mistakes = append(mistakes, r.choose(declared)...)
		}
	}
	if len(mistakes)+len(problems) == 0 {
		return nil
	}
	r.showMistakes(mistakes, problems)
	return r.endEmpty(mistakes, problems)
}

// endEmpty ends a run that did nothing: the outputs say so, for steps that run always, and the summary tells why.
func (r *run) endEmpty(mistakes []error, problems declaration.Problems) error {
	var lines []string
	for _, mistake := range mistakes {
		lines = append(lines, mistake.Error())
	}
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	r.runner.Print(fmt.Sprintf("%d to mend; nothing was contacted", len(lines)))
	if err := r.runner.Summarize(report.Mistakes(lines)); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	outputs, err := r.runner.OpenOutputs()
	if err != nil {
		return err
	}
	if err := newLedger(&provision.Plan{}, outputs).close(); err != nil {
		return err
	}
	return errReported
}

// choose takes the secrets that the input `only` names, and checks that each has an identity.
func (r *run) choose(declared *declaration.Declaration) (mistakes []error) {
	r.cloud = declared.Cloud
	r.secrets = declared.Secrets
	if len(r.only) > 0 {
		r.secrets, mistakes = selected(declared.Secrets, r.only)
	}
	return append(mistakes, r.checkIdentities()...)
}

// selected returns the secrets that one of patterns matches, letter case aside, and an error for each that matches none.
func selected(secrets []declaration.Secret, patterns []string) (chosen []declaration.Secret, mistakes []error) {
	hit := make([]bool, len(secrets))
	for _, pattern := range patterns {
		matched := false
		for i, s := range secrets {
			// Patterns are checked with the inputs, so that an error cannot happen here.
			if ok, _ := path.Match(strings.ToLower(pattern), strings.ToLower(s.Name)); ok {
				hit[i], matched = true, true
			}
		}
		if !matched {
			mistakes = append(mistakes, fmt.Errorf("input %s: %q matches none of the %d declared secrets; expected one of their names, or a glob",
				inputOnly, pattern, len(secrets)))
		}
	}
	for i, s := range secrets {
		if hit[i] {
			chosen = append(chosen, s)
		}
	}
	return chosen, mistakes
}

// showMistakes prints every mistake. The first ten are annotations, which is all that the runner shows; the tenth says
// how many are left.
func (r *run) showMistakes(mistakes []error, problems declaration.Problems) {
	var all []runner.Annotation
	for _, mistake := range mistakes {
		all = append(all, runner.Annotation{Level: runner.LevelError, Text: mistake.Error()})
	}
	for _, p := range problems {
		all = append(all, r.at(p.Place, p.Error()))
	}
	r.annotate(all)
}

// at returns an error annotation on the declaration's file, where there is one.
func (r *run) at(place declaration.Place, text string) runner.Annotation {
	a := runner.Annotation{Level: runner.LevelError, Text: text}
	if !r.source.Inline && place.Line > 0 {
		a.File, a.Line, a.Col = place.File, place.Line, place.Col
	}
	return a
}

// annotate shows the first ten as annotations, and prints what is left.
func (r *run) annotate(all []runner.Annotation) {
	for i, a := range all {
		left := len(all) - runner.MaxAnnotations
		switch {
		case i < runner.MaxAnnotations-1 || left <= 0:
			r.runner.Annotate(a)
		case i == runner.MaxAnnotations-1:
			a.Text += fmt.Sprintf(" (and %d more: see the log)", left)
			r.runner.Annotate(a)
		default:
			r.runner.Print(a.Text)
		}
	}
}

// warnOfBranch says so where the action is used from a branch that moves.
func (r *run) warnOfBranch() {
	if ref := r.runner.Getenv("GITHUB_ACTION_REF"); ref == "main" || ref == "master" {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning,
			Text: "keyvault-passwords is used from its branch " + ref + ", which changes without notice; pin a release or a commit"})
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
	for _, step := range plan.Steps {
		for _, warning := range step.Warnings {
			a := r.at(step.Secret.Place, step.Secret.Name+" in "+step.Vault+": "+warning)
			a.Level = runner.LevelWarning
			warnings = append(warnings, a)
		}
	}
	r.annotate(warnings)
}

// note says something in the log and in the summary.
func (r *run) note(text string) {
	r.notes = append(r.notes, text)
	r.runner.Print(text)
}

// progressEvery is how often a long run says how far it is.
const progressEvery = 5 * time.Second

// apply carries the plan out, a line for each step that changed something or failed.
func (r *run) apply(ctx context.Context, plan *provision.Plan, vaults map[string]provision.Vault, l *ledger) []provision.Result {
	lines := report.NewLines(plan)
	start := time.Now()
	progress, next, done := report.Progress{Total: len(plan.Steps)}, start.Add(progressEvery), 0
	return plan.Apply(ctx, vaults, r.options(), func(result provision.Result) {
		done++
		l.note(result)
		r.runner.PrintLines(lines.Result(result))
		if now := time.Now(); now.After(next) && done < progress.Total {
			r.runner.Print(progress.Line(done, now.Sub(start)))
			next = now.Add(progressEvery)
		}
	})
}

// finish reports: log, outputs, summary, and masks last, so that the log above stays readable.
func (r *run) finish(ctx context.Context, plan *provision.Plan, results []provision.Result, l *ledger) error {
	problems := report.Problems(plan, results)
	var errs []runner.Annotation
	for _, p := range problems {
		place := p.Places()[0]
		if p.Kind == refusal.Identity || p.Kind == refusal.Unreachable {
			place = declaration.Place{} // it is no line of the declaration that is wrong
		}
		errs = append(errs, r.at(place, p.Text()))
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
		return "The run's timeout is over: no further secret was started; run the job again to go on, with a longer timeout if need be."
	}
	return "The run was stopped: no further secret was started; run the job again to go on."
}

// deliver writes outputs and summary. Where outputs cannot be written, the log gets them: no version ID is lost.
func (r *run) deliver(plan *provision.Plan, results []provision.Result, l *ledger) (failed bool) {
	if err := l.close(); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelError, Text: err.Error() + "; what it should hold stands in the log"})
		r.runner.Print("The outputs, which could not be written:")
		for _, line := range l.lines() {
			r.runner.Print(line)
		}
		failed = true
	}
	summary := report.Summary(report.Run{Mode: r.mode, Plan: plan, Results: results, Now: time.Now(), Elapsed: time.Since(r.start), Notes: r.notes})
	if err := r.runner.Summarize(summary); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	return failed
}

func (r *run) mask(texts []string) {
	if short := r.runner.Mask(texts...); short > 0 {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelNotice, Text: fmt.Sprintf(
			"names of three characters or fewer are not masked, which would shred the log: %d here", short)})
	}
}

// fail says why nothing was tried.
func (r *run) fail(err error) {
	if !errors.Is(err, errReported) {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelError, Text: cmp.Or(err.Error(), "the run failed")})
	}
}
