package action

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/runner"
)

// flushEvery is how often the output file is rewritten at most while secrets are being stored.
const flushEvery = time.Second

// A ledger is what the vaults hold of the selected secrets, as far as the run knows, and the step's outputs made of it.
// The output file is rewritten as it changes: a run that is killed half-way has reported what it stored until a second
// ago.
type ledger struct {
	mu      sync.Mutex
	keys    []string // of the steps, in their order: NAME, or VAULT/NAME where the steps are in several vaults
	steps   map[*provision.Step]int
	version []string           // the current version of each; "" if none or not known
	exists  []bool             // the vault holds the secret, whichever version is current
	changed []bool             // that version was made by this workflow run, whichever attempt
	open    []bool             // a new version may be stored at any moment, and has not been recorded
	due     func() []bool      // mode rotate would give it a new version now
	results []provision.Result // as far as steps have ended; the others are as planned
	file    *runner.Outputs
	timer   *time.Timer // of the next rewrite; nil if nothing has changed since the last one
	next    time.Time   // when the file may be rewritten again
}

// newLedger returns the ledger of a plan: what is there before anything is written. What is due is told by the options.
func newLedger(plan *provision.Plan, file *runner.Outputs, o provision.Options) *ledger {
	n := len(plan.Steps)
	l := &ledger{
		keys: keysOf(plan), steps: make(map[*provision.Step]int, n),
		version: make([]string, n), exists: make([]bool, n), changed: make([]bool, n), open: make([]bool, n),
		file:    file,
		results: plan.Untouched(),
	}
	l.due = func() []bool { return plan.Due(l.results, o) }
	for i := range plan.Steps {
		l.steps[&plan.Steps[i]] = i
		l.version[i], l.changed[i] = plan.Steps[i].Before.Version, plan.Steps[i].OfRun
		l.exists[i], l.open[i] = l.version[i] != "", plan.Steps[i].Change.Writes()
	}
	return l
}

func keysOf(plan *provision.Plan) []string {
	vaults := map[string]bool{}
	for _, step := range plan.Steps {
		vaults[step.Vault] = true
	}
	keys := make([]string, len(plan.Steps))
	for i, step := range plan.Steps {
		keys[i] = step.Name
		if len(vaults) > 1 {
			keys[i] = step.Vault + "/" + step.Name
		}
	}
	return keys
}

// record notes how a step ended. The file is rewritten at once, or a second after it was last rewritten.
func (l *ledger) record(result provision.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.steps[result.Step]
	l.version[i], l.changed[i], l.results[i] = result.After.Version, result.OfRun, result
	l.exists[i], l.open[i] = l.exists[i] || l.version[i] != "", false
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(l.next), l.flush)
	}
}

// flush rewrites the file. An error is left for close, which writes it again and reports.
func (l *ledger) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil {
		return // closed meanwhile
	}
	l.timer, l.next = nil, time.Now().Add(flushEvery)
	_ = l.file.Write(l.outputs())
}

// close writes the file for the last time.
func (l *ledger) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	clear(l.open)
	if err := l.file.Write(l.outputs()); err != nil {
		return err
	}
	return l.file.Close()
}

// outputs returns the outputs of the step. Names and version IDs are of patterns that need no escaping. A secret whose
// current version is not known, after a set that may have been stored, is among the names and not among the versions;
// so is, until the run ends, one whose set is still to come: should the process be killed, it may have been stored.
func (l *ledger) outputs() []runner.Output {
	names, changed := []string{}, []string{}
	var versions []string // in declaration order, which a map would not keep
	for i, key := range l.keys {
		if l.exists[i] {
			names = append(names, key)
		}
		if l.version[i] == "" || l.open[i] {
			continue
		}
		versions = append(versions, fmt.Sprintf("%q:%q", key, l.version[i]))
		if l.changed[i] {
			changed = append(changed, key)
		}
	}
	outputs := []runner.Output{
		{Name: outputNames, Value: encode(names)},
		{Name: outputVersions, Value: "{" + strings.Join(versions, ",") + "}"},
		{Name: outputChanged, Value: encode(changed)},
	}
	if len(l.keys) == 1 && len(names) == 1 {
		outputs = append(outputs, runner.Output{Name: outputName, Value: l.keys[0]})
	}
	if len(l.keys) == 1 && len(versions) == 1 {
		outputs = append(outputs, runner.Output{Name: outputVersion, Value: l.version[0]})
	}
	due := []string{}
	for i, is := range l.due() {
		if is {
			due = append(due, l.keys[i])
		}
	}
	return append(outputs, runner.Output{Name: outputDue, Value: encode(due)})
}

func encode(list []string) string {
	text, err := json.Marshal(list)
	if err != nil {
		return "[]" // unreachable: strings always marshal
	}
	return string(text)
}

// masks returns what later logs are not to show: the names as declared and the version IDs.
func (l *ledger) masks(plan *provision.Plan, m masking) (texts []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.keys {
		if m == maskAll {
			texts = append(texts, plan.Steps[i].Name)
		}
		if m != maskNone && l.version[i] != "" {
			texts = append(texts, l.version[i])
		}
	}
	return texts
}

// lines returns what the outputs say, a line for each secret, for the log to say it in their place.
func (l *ledger) lines() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, key := range l.keys {
		switch {
		case l.version[i] == "":
		case l.changed[i]:
			lines = append(lines, key+" "+l.version[i]+" (changed)")
		default:
			lines = append(lines, key+" "+l.version[i])
		}
	}
	return lines
}
