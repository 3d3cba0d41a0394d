package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// declare reads the declaration and checks it, and reports every mistake in it and in the inputs at once. It contacts
// nothing. When ctx ends it gives up: a declaration may take seconds to compile, or be a file without an end.
func (r *run) declare(ctx context.Context, mistakes []error) error {
	done := make(chan reading, 1)
	go func() { done <- r.source.read(r.runner.Getenv("GITHUB_WORKSPACE")) }()
	var read reading
	select {
	case read = <-done:
	case <-ctx.Done():
		mistakes = append(mistakes, stoppedEarly(context.Cause(ctx)))
	}
	mistakes = append(mistakes, read.mistakes...)
	if r.mode != modeCheck {
		mistakes = append(mistakes, r.checkPermission()...)
	}
	switch {
	case read.declaration != nil:
		mistakes = append(mistakes, r.choose(read.declaration)...)
	case r.mode == modeAudit && r.source.isNone() && r.source.Vault != nil:
		mistakes = append(mistakes, r.chooseWhole(*r.source.Vault)...)
	}
	mistakes = append(mistakes, r.checkReports()...)
	if len(mistakes)+len(read.problems) == 0 {
		if r.declared != nil {
			r.warnings = r.declared.Warnings
		}
		r.showWarnings()
		return nil
	}
	r.showMistakes(mistakes, read.problems)
	return r.endEmpty(mistakes, read.problems)
}

func stoppedEarly(cause error) error {
	r := refusal.Refusal{
		Act: "reading the declaration", Cause: "the run was stopped", Remedy: "run the job again",
		Kind: refusal.Cancelled,
	}
	if errors.Is(cause, errTimeout) {
		r.Cause = "the run's timeout is over"
		r.Remedy = "check that the input file is a declaration, or set the input timeout to more"
	}
	return r
}

// A reading is what came of a declaration's text: a declaration, or what is wrong with it.
type reading struct {
	declaration *declaration.Declaration
	mistakes    []error // about the input that names it
	problems    declaration.Problems
}

// read reads a source's text, if it is in a file of the workspace, and parses it.
func (s source) read(workspace string) (r reading) {
	if s.file != "" {
		text, err := readFile(workspace, s.file)
		if err != nil {
			r.mistakes = append(r.mistakes, mistake(inputFile, "%w", err))
			return r
		}
		s.Text = text
	}
	if s.Text == nil {
		return r // neither input is given: that is said already
	}
	declared, err := declaration.Parse(s.Source)
	switch {
	case errors.As(err, &r.problems):
	case err != nil:
		r.mistakes = append(r.mistakes, err)
	default:
		r.declaration = declared
	}
	return r
}

// readFile returns the declaration at that path of the workspace. It leaves the workspace by no path and no link.
func readFile(workspace, file string) ([]byte, error) {
	if workspace == "" {
		workspace = "."
	}
	if filepath.IsAbs(file) {
		within, err := filepath.Rel(workspace, file)
		if err != nil || !filepath.IsLocal(within) {
			return nil, fmt.Errorf("%q is outside the workspace; expected a path in the repository", file)
		}
		file = within
	}
	f, err := os.OpenInRoot(workspace, filepath.Clean(file))
	if err != nil {
		return nil, explainOpen(file, err)
	}
	text, err := io.ReadAll(io.LimitReader(f, declaration.MaxBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, explainOpen(file, err)
	}
	return text, nil // a byte too many is refused by the declaration
}

func explainOpen(file string, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no %q in the workspace; check the path, and that a step before this one checks "+
			"the repository out", file)
	}
	if cause, ok := errors.AsType[*os.PathError](err); ok {
		err = cause.Err
	}
	return fmt.Errorf("reading %q: %w; expected a file in the workspace", file, err)
}

// endEmpty ends a run that did nothing: the outputs say so, for steps that run always, and the summary says why.
func (r *run) endEmpty(mistakes []error, problems declaration.Problems) error {
	var lines []string
	for _, mistake := range mistakes {
		lines = append(lines, mistake.Error())
	}
	for _, p := range problems {
		lines = append(lines, p.Error())
	}
	r.runner.Print(fmt.Sprintf("%s; nothing was contacted", report.Counted(len(lines), "error")))
	if err := r.runner.Summarize(report.Mistakes(lines, r.help)); err != nil {
		r.runner.Annotate(runner.Annotation{Level: runner.LevelWarning, Text: err.Error()})
	}
	if err := r.writeNoOutputs(); err != nil {
		return err
	}
	return errReported
}

// writeNoOutputs writes the outputs of a run that looked at no vault.
func (r *run) writeNoOutputs() error {
	outputs, err := r.runner.OpenOutputs()
	if err != nil {
		return err
	}
	return newLedger(&provision.Plan{}, outputs, r.options()).close()
}

// choose takes the secrets that the input only names, and checks that each has an identity.
func (r *run) choose(declared *declaration.Declaration) (mistakes []error) {
	r.declared = declared
	r.cloud = declared.Cloud
	r.secrets, mistakes = r.only.of(declared.Secrets)
	return append(mistakes, r.checkIdentities()...)
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

// showWarnings shows what is declared and probably not meant, in every mode. It fails no run.
func (r *run) showWarnings() {
	var all []runner.Annotation
	for _, p := range r.warnings {
		a := r.at(p.Place, p.Error())
		a.Level = runner.LevelWarning
		all = append(all, a)
	}
	r.annotate(all)
}
