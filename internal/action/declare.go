package action

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// declare reads the inputs and the declaration, until ctx ends: a declaration may take seconds to compile, or be a file
// without an end. It contacts nothing.
func (r *run) declare(ctx context.Context) error {
	declared := make(chan error, 1)
	go func() { declared <- r.readAll() }()
	select {
	case err := <-declared:
		return err
	case <-ctx.Done():
		return errors.New("the run was stopped while inputs and declaration were read; nothing was contacted")
	}
}

// readAll reads the inputs and the declaration, and reports every mistake in them at once.
func (r *run) readAll() error {
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

// selected returns the secrets that one of patterns matches, letter case aside, and an error for each that matches
// none.
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
			mistakes = append(mistakes,
				fmt.Errorf("input %s: %q matches none of the %d declared secrets; expected one of their names, or a "+
					"glob",
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
