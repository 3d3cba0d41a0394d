// Package simulation runs the action through worlds that a seed draws: a declaration, what the vaults hold of it, what
// the identity may do, from when on each server knows that, and which requests fail how, or when the run is stopped.
// Whatever happens, the promises hold:
//
//   - one operation makes one version, and one value; a further version only where the service committed late, and then
//     it is reported;
//   - the outputs name what the vaults hold, each secret's current version and no superseded one, and everything that
//     the run made is in them, or its error says that its end is not known;
//   - what they call changed is what this workflow run made, whichever of its attempts;
//   - exit status 0 only if every secret is as declared;
//   - nothing that was not there to be written is written: foreign, managed, disabled without force, whatever older
//     versions there are;
//   - no value and no token stands anywhere but at its service;
//   - a server has the password that the vault's current version holds, or that version does not say so; with exit
//     status 0 both are the same;
//   - a second run without faults ends as declared, and a third one has nothing to do.
//
// The action runs in process, in a bubble where waiting costs no time; a sample runs as the binary (package scenarios).
//
//	go test ./internal/test/simulation -seeds 100000          # more worlds
//	go test ./internal/test/simulation -seed 4711 -v          # one world, with its log
package simulation

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

var (
	seeds   = flag.Uint64("seeds", 2000, "how many worlds to run through")
	first   = flag.Uint64("first", 1, "the first seed")
	oneSeed = flag.Uint64("seed", 0, "one world alone, with its log")
	goOn    = flag.Bool("go-on", false, "do not stop at the first worlds that fail")
)

func TestPromisesHoldInEveryWorld(t *testing.T) {
	if *oneSeed != 0 {
		simulate(t, *oneSeed)
		return
	}
	const lanes = 4
	for lane := range uint64(lanes) {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			for seed := *first + lane; seed < *first+*seeds && (*goOn || !t.Failed()); seed += lanes {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed) })
			}
		})
	}
}

func simulate(t *testing.T, seed uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed)
		s := &simulation{t: t, w: w}
		defer func() {
			if t.Failed() {
				t.Logf("%s\nreplay: go test ./internal/test/simulation -run TestPromises -seed %d -v\n%s", w, seed,
					s.log.String())
			}
		}()
		s.run()
	})
}

// A simulation is one world on its way.
type simulation struct {
	t       *testing.T
	w       *world
	e       *emulator.Emulator
	network *job.Network
	job     *job.Job
	log     bytes.Buffer // of all runs
}

func (s *simulation) run() {
	var err error
	if s.e, err = s.w.emulator(); err != nil {
		s.t.Fatal(err)
	}
	s.network = job.NewNetwork(s.e)
	defer s.network.Close()

	s.job = job.New(s.e, s.t.TempDir())
	if err := s.job.Declare(s.w.declaration()); err != nil {
		s.t.Fatal(err)
	}
	s.job.Input("vault=kv-one", "mode="+s.w.mode, fmt.Sprint("adopt=", s.w.adopt),
		fmt.Sprint("recover-deleted=", s.w.recover),
		fmt.Sprint("concurrency=", s.w.concurrency), "mask-outputs="+s.w.mask, fmt.Sprint("wait-for-access=", s.w.wait))

	before := s.e.Holds()
	faulty := s.action("1", 1, s.w.cancelAfter)
	if s.w.killAfter > 0 {
		s.checkTargets("killed run", run{Result: &job.Result{Status: 1}}) // nobody is left to tell of it
	} else {
		s.check("faulty run", before, faulty)
	}
	for attempt := 2; attempt <= s.w.attempts; attempt++ {
		time.Sleep(time.Minute) // late commits, deletions and recoveries come to their end
		before = s.e.Holds()
		faulty = s.action("1", attempt, 0)
		s.check("faulty attempt", before, faulty)
	}

	s.e.ClearFaults()
	time.Sleep(time.Minute)
	before = s.e.Holds()
	clean := s.action("2", 1, 0)
	s.check("clean run", before, clean)
	if want := s.w.reaches(); (clean.Status == 0) != want && !s.w.open() && !s.leftOver(faulty) {
		s.t.Errorf("a run without faults ends with status %d; want success: %t", clean.Status, want)
	}
	if s.w.mode == "force" {
		return
	}
	sets := s.e.Requests()["set"]
	idle := s.action("3", 1, 0)
	if again := s.e.Requests()["set"] - sets; again != 0 && clean.Status == 0 {
		s.t.Errorf("a third run sets %d secrets; want none", again)
	}
	if clean.Status == 0 && idle.Status != 0 {
		s.t.Errorf("a third run ends with status %d", idle.Status)
	}
}

// leftOver reports whether the faulty run may have left something that a run in the same mode does not mend: ensure
// does not rewrite a secret whose vaults came to differ.
func (s *simulation) leftOver(faulty run) bool {
	return s.w.mode == "ensure" && faulty.Status != 0 && slices.ContainsFunc(s.w.secrets, func(s secret) bool {
		return len(s.vaults) > 1 || s.past == deleted || s.server != nil
	})
}

// A run is what one run left behind.
type run struct {
	*job.Result
	tag     string // of what it makes: OWNER/REPO/RUN_ID/ATTEMPT
	took    time.Duration
	stopped bool
}

func (s *simulation) action(id string, attempt int, cancelAfter time.Duration) run {
	s.job.Set("GITHUB_RUN_ID="+id, fmt.Sprint("GITHUB_RUN_ATTEMPT=", attempt))
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	if cancelAfter > 0 {
		defer time.AfterFunc(cancelAfter, cancel).Stop()
	}
	start := time.Now()
	var network http.RoundTripper = s.network
	if s.w.killAfter > 0 && id == "1" && attempt == 1 {
		network = &dying{RoundTripper: network, left: s.w.killAfter, done: s.w.killDone}
	}
	result, err := s.job.Run(ctx, network)
	if err != nil {
		s.t.Errorf("run %s: %v", id, err)
	}
	tag := fmt.Sprintf("%s/%s/%d", emulator.DefaultRepository, id, attempt)
	s.log.WriteString("--- run " + tag + "\n" + result.Log)
	return run{Result: result, tag: tag, took: time.Since(start), stopped: ctx.Err() != nil}
}

// A dying network carries so many requests and no more. What a killed run leaves is what a run leaves that reaches
// nothing any more.
type dying struct {
	http.RoundTripper
	done bool // the last one is done, and not answered

	mu   sync.Mutex
	left int
}

// RoundTrip implements [http.RoundTripper].
func (d *dying) RoundTrip(request *http.Request) (*http.Response, error) {
	d.mu.Lock()
	d.left--
	left := d.left
	d.mu.Unlock()
	switch {
	case left < 0:
		return nil, syscall.ECONNRESET
	case left == 0 && d.done:
		if response, err := d.RoundTripper.RoundTrip(request); err == nil {
			_ = response.Body.Close() // nobody reads it
		}
		return nil, syscall.ECONNRESET
	}
	return d.RoundTripper.RoundTrip(request)
}

// checkTargets: what is noted as applied is what the server has, and with success so is every current version. Where
// the vaults of a secret hold different operations, which makes it due, only one of them can be the server's.
func (s *simulation) checkTargets(title string, r run) {
	s.t.Helper()
	servers := map[string]emulator.HeldServer{}
	for _, server := range s.e.Servers() {
		servers[server.ID] = server
	}
	operations := map[string]string{} // of the current versions of a secret; "" where they differ
	for _, h := range s.e.Holds() {
		if first, seen := operations[h.Name]; h.Current && (!seen || first != h.Tags["operation"]) {
			operations[h.Name] = h.Tags["operation"]
			if seen {
				operations[h.Name] = ""
			}
		}
	}
	for _, h := range s.e.Holds() {
		declared := s.w.secrets[h.Name[len(h.Name)-1]-'0']
		if declared.server == nil || !h.Current || h.Deleted || h.Tags["generated-by"] != "keyvault-passwords" {
			continue
		}
		server := servers[declared.serverID()]
		noted := operations[h.Name] != "" && h.Tags["applied"] == operations[h.Name]
		if has := server.Password == h.Digest; !has && (noted || r.Status == 0) {
			s.t.Errorf("%s: exit status %d, %s in %s is noted as applied: %t, and %s has another password", title,
				r.Status, h.Name, h.Vault, noted, server.ID)
		}
		if r.Status == 0 && !noted {
			s.t.Errorf("%s: success, and %s in %s is not noted as applied", title, h.Name, h.Vault)
		}
		if slices.ContainsFunc(server.Sent,
			func(p string) bool { return p != "properties.administratorLoginPassword" }) {
			s.t.Errorf("%s: %s was sent %v", title, server.ID, server.Sent)
		}
	}
}

// check holds one run against the promises.
func (s *simulation) check(title string, before []emulator.Held, r run) {
	s.t.Helper()
	after := s.e.Holds()
	s.checkOnce(title, before, after, r)
	s.checkOutputs(title, before, after, r)
	s.checkUntouched(title, before, after)
	s.checkStatus(title, after, r)
	s.checkTargets(title, r)
	// there need be nothing to look for: every request may have failed
	if found, _ := s.job.Leaks(r.Result); found != nil {
		s.t.Errorf("%s: leaks: %v", title, found)
	}
	if n := s.e.Requests()["get"]; n != 0 {
		s.t.Errorf("%s: %d values were read", title, n)
	}
	for line := range strings.Lines(r.Log) {
		if command := strings.Trim(line, " \n"); strings.HasPrefix(command, "::") && !allowed.MatchString(command) ||
			strings.Contains(line, "##[") {
			s.t.Errorf("%s: the log issues a command that is not the action's: %q", title, line)
		}
	}
	if r.stopped && r.took > s.w.cancelAfter+7*time.Second {
		s.t.Errorf("%s: it ended %s after the stop; want at most 7 s", title, r.took-s.w.cancelAfter)
	}
}

// allowed are the commands that the action issues itself.
var allowed = regexp.MustCompile(
	`^::(error|warning|notice)( [a-z]+=[^:]*)?::[A-Za-z0-9]|^::(group|endgroup|debug)::|^::add-mask::([0-9a-f]{32}|Secret-\d)$`)

// made returns the versions that are in after and not in before, by vault, secret and operation.
func made(before, after []emulator.Held) map[string][]emulator.Held {
	known := map[string]bool{}
	for _, h := range before {
		known[h.Version] = true
	}
	operations := map[string][]emulator.Held{}
	for _, h := range after {
		if !known[h.Version] {
			key := h.Vault + "/" + h.Name + "/" + h.Tags["operation"]
			operations[key] = append(operations[key], h)
		}
	}
	return operations
}

// checkOnce: one version for each operation, unless the service committed late; one operation and one value a secret.
func (s *simulation) checkOnce(title string, before, after []emulator.Held, r run) {
	operations := map[string]map[string]bool{}
	for key, versions := range made(before, after) {
		h := versions[0]
		if operations[h.Name] == nil {
			operations[h.Name] = map[string]bool{}
		}
		operations[h.Name][h.Tags["operation"]] = true
		if len(versions) > 1 && !s.late() {
			s.t.Errorf("%s: %d versions of one operation: %s", title, len(versions), key)
		}
		if h.Tags["run"] != r.tag ||
			h.Tags["generated-by"] != "keyvault-passwords" || h.Tags["operation"] == "" {
			s.t.Errorf("%s: %s was made by another run: %v", title, key, h.Tags)
		}
		for tag := range h.Tags {
			if folded := strings.ToLower(tag); folded != tag && h.Tags[folded] != "" {
				s.t.Errorf("%s: %s has tags that differ in letter case only: %v", title, key, h.Tags)
			}
		}
	}
	for name, of := range operations {
		if len(of) != 1 {
			s.t.Errorf("%s: %d operations of %s; want one for all its vaults", title, len(of), name)
		}
	}
	values := slices.Clone(r.Values)
	slices.Sort(values)
	if n := len(slices.Compact(values)); n > len(s.w.secrets) {
		s.t.Errorf("%s: %d values were sent for %d secrets", title, n, len(s.w.secrets))
	}
}

// late reports whether the world has a commit that comes after its answer: one that is late, or a slow one that the
// client gave up on.
func (s *simulation) late() bool {
	return slices.ContainsFunc(s.w.faults, func(f emulator.Fault) bool {
		return f.Operation == "set" && (f.Kind == emulator.Late || f.Kind == emulator.Slow)
	})
}

// checkOutputs: what they name is current in its vault, and what the run made is in them.
func (s *simulation) checkOutputs(title string, before, after []emulator.Held, r run) {
	if r.Outputs.Get("versions") == "" {
		if len(made(before, after)) > 0 {
			s.t.Errorf("%s: something was made, and there are no outputs", title)
		}
		return
	}
	var versions map[string]string
	var names, changed []string
	for name, into := range map[string]any{"versions": &versions, "names": &names, "changed": &changed} {
		if err := r.Outputs.Decode(name, into); err != nil {
			s.t.Errorf("%s: %v", title, err)
		}
	}
	byID := map[string]emulator.Held{}
	current := map[string]emulator.Held{}
	for _, h := range after {
		byID[h.Version] = h
		if h.Current && !h.Deleted {
			current[h.Vault+"/"+h.Name] = h
		}
	}
	for key, id := range versions {
		h, ok := byID[id]
		if !ok || !strings.HasSuffix("/"+key, "/"+h.Name) {
			s.t.Errorf("%s: output %s names a version that is not there", title, key)
			continue
		}
		now := current[h.Vault+"/"+h.Name]
		if now.Version != id && (now.Tags["operation"] != h.Tags["operation"] || h.Tags["operation"] == "") {
			s.t.Errorf("%s: output %s is not the vault's current version", title, key)
		}
		ofRun := path.Dir(h.Tags["run"]) == path.Dir(r.tag)
		if slices.Contains(changed, key) != ofRun {
			s.t.Errorf("%s: changed names %s: %t; its version was made by %s", title, key, !ofRun, h.Tags["run"])
		}
	}
	for _, key := range changed {
		if versions[key] == "" {
			s.t.Errorf("%s: changed names %s, of which there is no version in the outputs", title, key)
		}
	}
	for _, key := range names {
		if versions[key] == "" && !told(r.Log, path.Base(key), "") {
			s.t.Errorf("%s: %s is among the names without a version, and nothing says why", title, key)
		}
	}
	for key := range versions {
		if !slices.Contains(names, key) {
			s.t.Errorf("%s: %s has a version and is not among the names", title, key)
		}
	}
	reported := fmt.Sprint(slices.Collect(maps.Values(versions)))
	for key, of := range made(before, after) {
		inOutputs := slices.ContainsFunc(of,
			func(h emulator.Held) bool { return strings.Contains(reported, h.Version) })
		if !inOutputs && !told(r.Log, of[0].Name, of[0].Tags["operation"]) {
			s.t.Errorf("%s: %s was made and is not in the outputs, and nothing says that it may have been", title, key)
		}
	}
}

// told reports whether a log says of a secret that the version of an operation may have been stored.
func told(log, name, operation string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "may have been stored") && strings.Contains(line, name) &&
			strings.Contains(line, operation) {
			return true
		}
	}
	return false
}

// checkUntouched: what was there is still there and enabled, unless it was ours, superseded, and declared to be
// disabled; and nothing was added to what is not ours to write.
func (s *simulation) checkUntouched(title string, before, after []emulator.Held) {
	now := map[string]emulator.Held{}
	for _, h := range after {
		now[h.Version] = h
	}
	newer := made(before, after)
	for _, h := range before {
		is, ok := now[h.Version]
		if !ok {
			s.t.Errorf("%s: a version of %s is gone", title, h.Name)
			continue
		}
		declared := s.w.secrets[h.Name[len(h.Name)-1]-'0']
		ownTag := h.Tags["generated-by"] == "keyvault-passwords"
		if h.Enabled && !is.Enabled && (!declared.disables || !ownTag || s.w.mode == "ensure" || is.Current) &&
			!duplicate(h, before) {
			s.t.Errorf("%s: a version of %s (%s, own %t) was disabled", title, h.Name, declared.past, ownTag)
		}
	}
	for _, versions := range newer {
		h := versions[0]
		switch declared := s.w.secrets[h.Name[len(h.Name)-1]-'0']; {
		case declared.past == managed, declared.past == foreign && !s.w.adopt,
			declared.past == deleted && !s.w.recover, declared.past == disabled && s.w.mode != "force",
			declared.past == blocked && s.w.mode != "force",
			declared.past == taken && !(s.w.mode == "force" && s.w.adopt):
			s.t.Errorf("%s: %s (%s) was written", title, h.Name, declared.past)
		case s.w.mode == "ensure" && declared.past != absent && declared.past != deleted &&
			!(declared.past == diverged):
			s.t.Errorf("%s: %s (%s) was written in mode ensure", title, h.Name, declared.past)
		}
	}
}

// duplicate reports whether h shares its operation with another version of its secret: a late commit.
func duplicate(h emulator.Held, all []emulator.Held) bool {
	return slices.ContainsFunc(all, func(o emulator.Held) bool {
		return o.Version != h.Version && o.Vault == h.Vault && o.Name == h.Name &&
			o.Tags["operation"] == h.Tags["operation"]
	})
}

// checkStatus: success means that every secret is in each of its vaults, enabled.
func (s *simulation) checkStatus(title string, after []emulator.Held, r run) {
	if r.Status != 0 {
		if !strings.Contains(r.Log, "::error") && !r.stopped {
			s.t.Errorf("%s: it failed without an error", title)
		}
		return
	}
	for _, declared := range s.w.secrets {
		for _, vault := range declared.vaults {
			there := slices.ContainsFunc(after, func(h emulator.Held) bool {
				return h.Vault == vault+".vault.azure.net" && h.Name == declared.name && h.Current && h.Enabled &&
					!h.Deleted
			})
			if !there {
				s.t.Errorf("%s: success, and %s is not in %s", title, declared.name, vault)
			}
		}
	}
}
