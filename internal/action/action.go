// Package action is one run of the action, from inputs to outputs: it reads and checks everything, looks at what the
// vaults hold, says what it will do, does it, and reports what came of it, whatever happened.
//
// It promises that nothing is contacted before every input and the whole declaration are sound, that nothing is written
// in a dry run, and that what was stored is in the outputs, or failing that in the log, however the run ends. It knows
// no wire format: the packages runner, identity and keyvault know those of GitHub, Entra and Key Vault.
//
// What all modes share is in action.go (the run), inputs.go and declare.go (what it was asked), and vaults.go (whom it
// talks to); provision.go is the modes that write: ensure, rotate and force; check.go is the one that contacts nothing.
package action

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/network"
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

// Main runs the action once and returns the process's exit status. When ctx ends, no further secret is started, those
// in flight are finished or looked up, and it returns within 7 s: the runner allows 7.5.
func (a *Action) Main(ctx context.Context) int {
	r := &run{start: time.Now()}
	var debug func(string)
	if a.Getenv("RUNNER_DEBUG") == "1" {
		debug = func(text string) { r.runner.Debug(text) }
	}
	r.client = network.NewClient(a.Network, debug)
	network.NameRoots(r.client, a.Getenv("SSL_CERT_FILE"))
	defer r.client.CloseIdleConnections()
	r.runner = runner.New(a.Getenv, a.Stdout, r.client)
	r.help = report.NewHelp(cmp.Or(a.Getenv("GITHUB_SERVER_URL"), "https://github.com"),
		a.Getenv("GITHUB_ACTION_REPOSITORY"), a.Getenv("GITHUB_ACTION_REF"))
	in, mistakes := readInputs(r.runner)
	r.inputs = in
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, errTimeout)
	defer cancel()
	r.runner.StopWith(ctx)
	r.access = access.New(ctx, r.waitForAccess, r.runner.Print)
	if err := r.carryOut(ctx, mistakes); err != nil {
		r.fail(err)
		return StatusFailed
	}
	if r.runner.Err() != nil {
		return StatusFailed
	}
	return StatusOK
}

// A run is the state of one Main.
type run struct {
	start  time.Time
	client *http.Client
	runner *runner.Runner
	access *access.Wait // nil: nothing is waited for
	inputs
	cloud   azure.Cloud          // of all vaults
	secrets []declaration.Secret // that are selected
	notes   []string             // for the summary

	declared *declaration.Declaration // empty: nothing is declared
	whole    *declaration.Vault       // the vault that is audited without a declaration; nil: there is one
	warnings declaration.Problems     // what is declared and probably not meant
	help     report.Help              // where messages are explained
}

// errReported is a failure of which everything has been said.
var errReported = errors.New("reported")

// errTimeout is why the context of a run ends that takes too long.
var errTimeout = errors.New("the run's timeout is over")

// carryOut is the run: it checks what was asked, with the mistakes in the inputs, and hands over to the mode.
func (r *run) carryOut(ctx context.Context, mistakes []error) error {
	r.warnOfBranch()
	if err := r.declare(ctx, mistakes); err != nil {
		return err
	}
	switch {
	case r.mode == modeCheck:
		return r.check()
	case r.only.isEmpty():
		return r.nothingSelected()
	case r.mode == modeAudit:
		return r.audit(ctx)
	}
	return r.provision(ctx)
}

// warnOfBranch warns if the action is used from a branch, which moves.
func (r *run) warnOfBranch() {
	if ref := r.runner.Getenv("GITHUB_ACTION_REF"); ref == "main" || ref == "master" {
		r.runner.Annotate(runner.Annotation{
			Level: runner.LevelWarning,
			Text: "keyvault-passwords is used from its branch " + ref +
				", which changes without notice; pin a release or a commit",
		})
	}
}

// note says something in the log and in the summary.
func (r *run) note(text string) {
	r.notes = append(r.notes, text)
	r.runner.Print(text)
}

// noteAccess tells in the summary how long access was waited for.
func (r *run) noteAccess() {
	if took := r.access.Took(); took > 0 {
		r.notes = append(r.notes, fmt.Sprintf("Access after %s.", took))
	}
}

// at returns an error annotation on the declaration's file, where there is one.
func (r *run) at(place declaration.Place, text string) runner.Annotation {
	a := runner.Annotation{Level: runner.LevelError, Text: text}
	if !r.source.Inline && place.Line > 0 {
		a.File, a.Line, a.Col = r.fileInWorkspace(), place.Line, place.Col // GitHub knows no ./ and no absolute path
	}
	return a
}

// annotate shows the first ten as annotations, and prints what is left.
func (r *run) annotate(all []runner.Annotation) {
	for i, a := range all {
		if link := r.help.Link(a.Text); link != "" && a.Level == runner.LevelError {
			a.Text += "\nMore: " + link
		}
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

// fail says why nothing was tried.
func (r *run) fail(err error) {
	if !errors.Is(err, errReported) {
		r.annotate([]runner.Annotation{{Level: runner.LevelError, Text: cmp.Or(err.Error(), "the run failed")}})
	}
}
