package provision_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A rig is one secret, the vault that holds it, and its target, which agree.
type rig struct {
	arrangement
	t      *testing.T
	secret declaration.Secret
	kv     *vault
	target *target
	now    time.Time
	old    string
}

func newRig(t *testing.T, a arrangement) *rig {
	r := &rig{arrangement: a, t: t, secret: applied(t, a, "db"), target: newTarget(a), now: today}
	r.kv = newVault("kv", func() time.Time { return r.now })
	r.kv.broken, r.target.broken = t.Errorf, t.Errorf
	r.secret.Rotate.After = 7 * day
	r.old = "old"
	tags := own("a")
	switch a {
	case twoLogins:
		tags["login"], r.old = "app_a", "app_a:old"
		r.target.plant("app_b", "z", "older")
	case azureServer:
		tags["applied"] = "a"
	}
	r.kv.add("db", lifecycle.Version{Created: today.Add(-9 * day), Enabled: true, Tags: tags}, r.old)
	login, password := a.credentials(r.old)
	r.target.plant(login, "a", password)
	return r
}

// options are those of a run in a mode.
func (r *rig) options(mode provision.Mode) provision.Options {
	return provision.Options{Mode: mode, Targets: map[string]provision.Target{"db": r.target}}
}

// run is one run in mode rotate, until ctx ends.
func (r *rig) run(ctx context.Context) provision.Result {
	r.t.Helper()
	vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(rotate)
	plan, err := provision.MakePlan(ctx, []declaration.Secret{r.secret}, vaults, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return plan.Apply(ctx, vaults, o, provision.Observer{})[0]
}

// due reports whether the run told that the secret is due after it.
func (r *rig) due(result provision.Result) bool {
	plan := provision.Plan{Steps: []provision.Step{*result.Step}}
	return plan.Due([]provision.Result{result}, r.options(rotate))[0]
}

// kill ends the run that is under way.
func (r *rig) kill() error {
	r.target.kill()
	return errDead
}

// at makes the nth of some calls end in another way: event is called in its place before it is carried out, or with
// what it did.
func (r *rig) at(service, call string, nth int, after bool, event func() error) {
	hook := func(of, name string, late bool) error {
		switch {
		case r.target.dead:
			return errDead
		case of != service || name != call || late != after:
			return nil
		}
		if nth--; nth != 0 {
			return nil
		}
		return event()
	}
	r.target.before = func(_ context.Context, name string) error { return hook("target", name, false) }
	r.target.after = func(_ context.Context, name string) error { return hook("target", name, true) }
	r.kv.before = func(_ context.Context, name, _ string) error { return hook("vault", name, false) }
	r.kv.after = func(_ context.Context, name, _ string) error { return hook("vault", name, true) }
}

// revive makes all calls end well again.
func (r *rig) revive() {
	nothing := func(context.Context, string) error { return nil }
	r.target.dead, r.target.before, r.target.after = false, nothing, nothing
	r.kv.before = func(context.Context, string, string) error { return nil }
	r.kv.after = r.kv.before
	r.now = r.now.Add(time.Minute)
}

// opens reports whether a reader with a value can log in.
func (r *rig) opens(value string) bool { return r.target.opens(r.credentials(value)) }

// latest is the value that a reader gets who asks now.
func (r *rig) latest() string { return current(r.kv.holds("db")).value }

// A stop is where a run ends otherwise than it should.
type stop struct {
	service, call string
	nth           int
}

// stops returns every call of a run of an arrangement after the plan, in their order.
func (a arrangement) stops() []stop {
	calls := []stop{
		{"target", "look", 1}, {"target", "lock", 1}, {"vault", "versions", 2}, {"target", "prepare", 1},
		{"target", "held", 1}, {"vault", "set", 1}, {"target", "finish", 1},
	}
	if a == azureServer {
		return append(calls, stop{"vault", "versions", 3}, stop{"vault", "tag", 1})
	}
	return calls
}

// how are the ways in which a call ends otherwise than it should.
var how = []string{"is refused", "gets no answer, not done", "gets no answer, done", "killed before", "killed after"}

// event returns what the rig does at a stop.
func (r *rig) event(how string) (after bool, event func() error) {
	switch how {
	case "is refused":
		return false, func() error { return refuses("a call", refusal.Forbidden) }
	case "gets no answer, not done":
		return false, func() error { return refuses("a call", refusal.Unreachable) }
	case "gets no answer, done":
		return true, func() error { return refuses("a call", refusal.Ambiguous) }
	case "killed before":
		return false, r.kill
	}
	return true, r.kill
}

// TestStops stops a run at every call in every way, and holds who can log in then, what the run says, and what one
// further run makes of it. testdata/stops.txt has the table.
func TestStops(t *testing.T) {
	var table strings.Builder
	for _, a := range arrangements {
		fmt.Fprintf(&table, "%s\n", a)
		for _, stop := range a.stops() {
			for _, how := range how {
				title := fmt.Sprintf("%s %s %d %s", stop.service, stop.call, stop.nth, how)
				t.Run(string(a)+" "+title, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						fmt.Fprintf(&table, "  %-47s %s\n", title, stopped(t, a, stop, how))
					})
				})
			}
		}
	}
	golden(t, "stops.txt", table.String())
}

func stopped(t *testing.T, a arrangement, at stop, how string) string {
	r := newRig(t, a)
	after, event := r.event(how)
	r.at(at.service, at.call, at.nth, after, event)
	result := r.run(t.Context())
	old, latest := r.opens(r.old), r.opens(r.latest())
	said := cmp.Or(string(result.Outcome), "refused") + ", exit 0"
	switch {
	case r.target.dead:
		said = "-"
	case result.Err != nil:
		said = strings.TrimSuffix(said, "0") + "1"
	}
	if a == twoLogins && !(old && latest) {
		t.Errorf("a reader is locked out: old %t, latest %t", old, latest)
	}
	if result.Err == nil && !r.target.dead && !latest {
		t.Error("the run says that all is well, and the target does not hold what the vault holds")
	}
	due := r.due(result)
	told := !r.target.dead && result.Step.Change != provision.Refuse // of what could not be looked at nothing is said
	r.revive()
	next := r.run(t.Context())
	if told && !due && next.Step.Change.Writes() {
		t.Errorf("not told to be due after the run; the next run: %s", says(*next.Step))
	}
	if next.Err != nil || !r.opens(r.latest()) {
		t.Errorf("the next run does not put it right: %v", next.Err)
	}
	return fmt.Sprintf("old reader %-3s  latest reader %-3s  says %-24s  next run: %s", yes(old), yes(latest), said,
		next.Step.Change)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got; go test -update writes it anew\n%s", path, diff)
	}
}

// A run without trouble goes through its calls in the one order, and leaves vault and target agreed.
func TestOrders(t *testing.T) {
	for a, want := range map[arrangement]string{
		twoLogins:   "look lock prepare held finish unlock",
		oneLogin:    "look lock prepare held finish unlock",
		azureServer: "look lock prepare held finish unlock",
	} {
		r := newRig(t, a)
		before := maps.Clone(r.target.passwords)
		result := r.run(t.Context())
		if result.Err != nil || result.Outcome != provision.Applied || !result.Changed {
			t.Errorf("%s: %+v", a, result)
		}
		if got := strings.Join(r.target.calls, " "); got != want {
			t.Errorf("%s: calls %q; want %q", a, got, want)
		}
		made := current(r.kv.holds("db"))
		if !r.opens(made.value) {
			t.Errorf("%s: the new value does not open", a)
		}
		if a == twoLogins && (made.Tags["login"] != "app_b" || r.target.passwords["app_a"] != before["app_a"]) {
			t.Errorf("tags %v; the login in use changed: %t", made.Tags, r.target.passwords["app_a"] != before["app_a"])
		}
		if a == azureServer && made.Tags["applied"] != made.Tags["operation"] {
			t.Errorf("tags %v; want applied", made.Tags)
		}
		if result.Step.Target == "" || result.Step.Login != login(a, made.value) {
			t.Errorf("%s: the step is of %q at %q", a, result.Step.Login, result.Step.Target)
		}
		// the next day nothing is due, and the day after a week the other login is
		r.now = r.now.Add(day)
		if kept := r.run(t.Context()); kept.Err != nil || kept.Step.Change != provision.Keep {
			t.Errorf("%s: planned again: %s", a, says(*kept.Step))
		}
		r.now = r.now.Add(7 * day)
		if again := r.run(t.Context()); again.Err != nil || !r.opens(r.latest()) || !again.Changed {
			t.Errorf("%s: a week later: %v", a, again.Err)
		}
		if a == twoLogins && (current(r.kv.holds("db")).Tags["login"] != "app_a" || !r.opens(made.value)) {
			t.Error("a week later: the logins do not take turns")
		}
	}
}

func login(a arrangement, value string) string {
	login, _ := a.credentials(value)
	return login
}

// A run that waited for the lock while another one did its work writes nothing: what the other made is kept.
func TestOvertaken(t *testing.T) {
	for _, a := range arrangements {
		r := newRig(t, a)
		vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(force)
		plan := mustPlan(t, []declaration.Secret{r.secret}, vaults, o)
		first := r.run(t.Context())
		late := plan.Apply(t.Context(), vaults, o, provision.Observer{})[0]
		if late.Err != nil || late.Changed || !late.Overtaken || late.After.Version != first.After.Version {
			t.Errorf("%s: %+v", a, late)
		}
		if n := len(r.kv.holds("db")); n != 2 || !r.opens(r.latest()) {
			t.Errorf("%s: %d versions, the latest opens: %t", a, n, r.opens(r.latest()))
		}
	}
}

// A run that plans while another one is between the vault and the target waits for its lock, and then finds that the
// target holds what the vault does.
func TestOvertakenBetweenVaultAndTarget(t *testing.T) {
	for _, a := range []arrangement{oneLogin, azureServer} {
		r := newRig(t, a)
		vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(rotate)
		var plan *provision.Plan
		r.at("target", "finish", 1, false, func() error {
			other := r.target.client() // it sees what is committed
			plan = mustPlan(t, []declaration.Secret{r.secret}, vaults,
				provision.Options{Mode: rotate, Targets: map[string]provision.Target{"db": other}})
			return nil
		})
		if first := r.run(t.Context()); first.Err != nil {
			t.Fatal(first.Err)
		}
		if plan.Steps[0].Trigger != lifecycle.TriggerUnapplied {
			t.Errorf("%s: planned meanwhile: %s", a, says(plan.Steps[0]))
		}
		r.revive()
		late := plan.Apply(t.Context(), vaults, o, provision.Observer{})[0]
		if late.Err != nil || !late.Overtaken || len(r.kv.holds("db")) != 2 || !r.opens(r.latest()) {
			t.Errorf("%s: %+v", a, late)
		}
	}
}

// An Azure server keeps nobody out: another run may set its own password between this run's two changes. The vault then
// names that run's version, and the server holds this run's password. The next rotation finds that.
func TestTwoRunsAtOneAzureServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, azureServer)
		vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(force)
		plan := mustPlan(t, []declaration.Secret{r.secret}, vaults, o)
		r.at("target", "finish", 1, false, func() error {
			r.now = r.now.Add(time.Second)
			o := provision.Options{Mode: force, Targets: map[string]provision.Target{"db": r.target.client()}}
			other := mustPlan(t, []declaration.Secret{r.secret}, vaults, o).
				Apply(t.Context(), vaults, o, provision.Observer{})[0]
			if other.Err != nil || other.Outcome != provision.Applied || !r.opens(r.latest()) {
				t.Errorf("the other run: %+v", other)
			}
			return nil
		})
		first := plan.Apply(t.Context(), vaults, o, provision.Observer{})[0]
		if first.Outcome != provision.VaultAhead || first.Err == nil || r.opens(r.latest()) || !r.due(first) {
			t.Errorf("this run: %+v, due %t", first, r.due(first))
		}
		r.revive()
		next := r.run(t.Context())
		if next.Step.Trigger != lifecycle.TriggerUnapplied || next.Outcome != provision.Applied ||
			!r.opens(r.latest()) {
			t.Errorf("the next rotation: %s: %+v", says(*next.Step), next)
		}
	})
}

// If the other run was killed before the target took its password, the one that waited does not say that all is well.
func TestOvertakenByAKilledRun(t *testing.T) {
	for _, a := range arrangements {
		r := newRig(t, a)
		vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(force)
		plan := mustPlan(t, []declaration.Secret{r.secret}, vaults, o)
		r.at("vault", "set", 1, true, r.kill)
		r.run(t.Context())
		r.revive()
		late := plan.Apply(t.Context(), vaults, o, provision.Observer{})[0]
		want := ": another run stored a version meanwhile, which the target does not hold"
		if a == twoLogins {
			if late.Err != nil || !late.Overtaken {
				t.Errorf("%s: %+v", a, late)
			}
			continue
		}
		if late.Outcome != provision.VaultAhead || late.Err == nil || !strings.HasPrefix(": "+late.Err.Error(), want) {
			t.Errorf("%s: %+v", a, late)
		}
	}
}

// Somebody who stored a version by hand meanwhile is not overwritten.
func TestOvertakenBySomebody(t *testing.T) {
	r := newRig(t, twoLogins)
	vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(force)
	plan := mustPlan(t, []declaration.Secret{r.secret}, vaults, o)
	r.kv.put("db", theirs(time.Minute))
	result := plan.Apply(t.Context(), vaults, o, provision.Observer{})[0]
	if result.Err == nil || result.Outcome != provision.TargetUntouched || len(r.kv.holds("db")) != 2 {
		t.Errorf("%+v", result)
	}
}

// After a stop in any call the order is over within 7 s, with vault and target as close to each other as they can be:
// what the vault has is finished, and what it has not is undone.
func TestStopDuringACall(t *testing.T) {
	for _, a := range arrangements {
		for _, at := range a.stops() {
			t.Run(fmt.Sprint(a, at), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { stopDuring(t, a, at) })
			})
		}
	}
}

func stopDuring(t *testing.T, a arrangement, at stop) {
	r := newRig(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var since time.Time
	// The call goes on for as long as it may: a set that is under way is answered or looked up, which takes 5.5 s; the
	// others end with their context, which after a set is one that outlives the stop.
	r.at(at.service, at.call, at.nth, at.call == "set", func() error {
		since = time.Now()
		cancel()
		if at.call == "set" {
			time.Sleep(5500 * time.Millisecond)
			return nil
		}
		return nil
	})
	result := r.run(ctx)
	if took := time.Since(since); took > 7*time.Second {
		t.Errorf("over after %s", took)
	}
	old, latest := r.opens(r.old), r.opens(r.latest())
	if a == azureServer && at.call == "set" { // too late to ask the server for anything
		latest = result.Outcome == provision.VaultAhead && result.Err != nil
	}
	if !latest || a == twoLogins && !old {
		t.Errorf("a reader is locked out: old %t, latest %t; %s, %v", old, latest, result.Outcome, result.Err)
	}
}

// A target that cannot finish is tried again with the password in memory, and given up in the end; after a stop at
// once.
func TestFinishIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		kind  refusal.Kind
		fails int // the first calls
		stop  time.Duration
		calls int
		most  time.Duration
		want  provision.Outcome
	}{
		{refusal.Unreachable, 4, 0, 5, 16 * time.Second, provision.Applied},
		{refusal.Unreachable, 99, 0, 18, 2 * time.Minute, provision.VaultAhead},
		{refusal.Other, 99, 0, 5, 16 * time.Second, provision.VaultAhead},
		{refusal.Forbidden, 99, 0, 1, 0, provision.VaultAhead},
		{refusal.Unreachable, 99, 3500 * time.Millisecond, 3, 5 * time.Second, provision.VaultAhead},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, oneLogin)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls, start := 0, time.Now()
			r.target.before = func(ctx context.Context, name string) error {
				if name != "finish" {
					return nil
				}
				if calls == 0 && test.stop > 0 {
					time.AfterFunc(test.stop, cancel)
				}
				if calls++; calls <= test.fails {
					return refuses(name, test.kind)
				}
				return nil
			}
			result := r.run(ctx)
			if result.Outcome != test.want || calls != test.calls || time.Since(start) > test.most {
				t.Errorf("%+v: %s after %d calls and %s", test, result.Outcome, calls, time.Since(start))
			}
			if (result.Err != nil) != (test.want == provision.VaultAhead) || len(r.kv.holds("db")) != 2 {
				t.Errorf("%+v: %v", test, result.Err)
			}
		})
	}
}

// A throttled vault does not keep the target locked for ever.
func TestThrottledVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, oneLogin)
		r.kv.before = func(ctx context.Context, name, _ string) error {
			if name == "set" {
				<-ctx.Done()
				return r.kv.refusal(name, "db", refusal.Cancelled)
			}
			return nil
		}
		start := time.Now()
		result := r.run(t.Context())
		want := "setting it: the vault did not take it within 45s, the longest that app at pg-prod is kept locked; " +
			"run the job again when the vault is less busy"
		if result.Err == nil || result.Err.Error() != want || result.Outcome != provision.TargetUntouched {
			t.Errorf("%+v", result)
		}
		if took := time.Since(start); took > time.Minute || !r.opens(r.old) {
			t.Errorf("after %s; the login opens as before: %t", took, r.opens(r.old))
		}
	})
}

// Where one of several vaults does not take the value, the target holds what the others have, and the run fails.
func TestTargetOfSeveralVaults(t *testing.T) {
	for _, a := range arrangements {
		eu, us, target := newVault("eu", atToday), newVault("us", atToday), newTarget(a)
		vaults := map[string]provision.Vault{"eu": eu, "us": us}
		o := provision.Options{Mode: ensure, Targets: map[string]provision.Target{"db": target}}
		s := applied(t, a, "db", "eu", "us")
		for _, result := range apply(t, []declaration.Secret{s}, vaults, o) {
			if result.Err != nil || result.Outcome != provision.Applied {
				t.Errorf("%s: %+v", a, result)
			}
		}
		if got := strings.Count(strings.Join(target.calls, " "), "finish"); got != 1 {
			t.Errorf("%s: the target was set %d times", a, got)
		}
		refusing(us, "set", refusal.Forbidden)
		o.Mode = force
		results := apply(t, []declaration.Secret{s}, vaults, o)
		if results[0].Err != nil || results[0].Outcome != provision.Applied || results[1].Err == nil {
			t.Errorf("%s: %+v", a, results)
		}
		if !target.opens(a.credentials(current(eu.holds("db")).value)) {
			t.Errorf("%s: the vault that took it holds what does not open", a)
		}
	}
}

// What is soft-deleted is recovered under the lock, and the other login than the recovered one's gets the password.
func TestTargetAfterARecovery(t *testing.T) {
	for _, a := range arrangements {
		r := newRig(t, a)
		r.kv.softDelete("db")
		vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(ensure)
		o.RecoverDeleted = true
		result := apply(t, []declaration.Secret{r.secret}, vaults, o)[0]
		if result.Err != nil || result.Outcome != provision.Applied || !r.opens(r.latest()) {
			t.Errorf("%s: %+v", a, result)
		}
		if a == twoLogins && (!r.opens(r.old) || result.Step.Login != "app_b") {
			t.Errorf("sets %s; the old value opens: %t", result.Step.Login, r.opens(r.old))
		}
	}
}

// After a recovery the superseded versions are disabled that were recovered with the secret.
func TestSupersededAfterARecovery(t *testing.T) {
	for _, a := range arrangements {
		r := newRig(t, a)
		r.secret.Superseded = &lifecycle.Superseded{}
		r.kv.softDelete("db")
		vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(rotate)
		o.RecoverDeleted = true
		result := apply(t, []declaration.Secret{r.secret}, vaults, o)[0]
		if result.Err != nil || len(result.Disabled) != 1 || r.kv.holds("db")[0].Enabled {
			t.Errorf("%s: %+v; want the recovered version disabled", a, result)
		}
	}
}

// Where the vault is ahead, the reason and the remedy say so besides what the target says.
func TestVaultAheadIsTold(t *testing.T) {
	r := newRig(t, oneLogin)
	r.at("target", "finish", 1, false, func() error { return refuses("finish", refusal.Forbidden) })
	failure := refusal.Of(r.run(t.Context()).Err)
	want := refusal.Refusal{
		Act:    "setting app at pg-prod",
		Cause:  "seen by the target; the vault holds a password that is not known to be set there",
		Remedy: "what to do; then run with mode: rotate, which sets a new password in both",
		Kind:   refusal.Forbidden,
	}
	if failure != want {
		t.Errorf("%+v; want %+v", failure, want)
	}
}

// A secret that is kept is not due where mode rotate would refuse it, since no tag says which login is in use.
func TestNotDueWhileTheLoginInUseIsNotKnown(t *testing.T) {
	r := newRig(t, twoLogins)
	for _, tag := range []string{lifecycle.TagLogin, lifecycle.TagGeneratedBy} {
		delete(r.kv.holds("db")[0].Tags, tag)
	}
	vaults, o := map[string]provision.Vault{"kv": r.kv}, r.options(ensure)
	plan := mustPlan(t, []declaration.Secret{r.secret}, vaults, o)
	results := plan.Apply(t.Context(), vaults, o, provision.Observer{})
	o.Adopt = true
	if results[0].Err != nil || results[0].Changed || plan.Due(results, o)[0] {
		t.Errorf("%+v, due: %t", results[0], plan.Due(results, o)[0])
	}
}

// Superseded versions stay enabled while the target does not hold the new one: readers need them.
func TestSupersededWithATarget(t *testing.T) {
	for _, fails := range []bool{false, true} {
		r := newRig(t, oneLogin)
		r.secret.Superseded = &lifecycle.Superseded{}
		if fails {
			r.at("target", "finish", 1, false, func() error { return refuses("finish", refusal.Forbidden) })
		}
		result := r.run(t.Context())
		if old := r.kv.holds("db")[0]; old.Enabled != fails || (len(result.Disabled) == 0) != fails {
			t.Errorf("the target fails: %t; the old version is enabled: %t", fails, old.Enabled)
		}
	}
}

// Where it is not known whether the vault took the password, the target is as it was before, and the run says that the
// vault may be ahead; with two logins it does not matter.
func TestSetInDoubt(t *testing.T) {
	for a, want := range map[arrangement]provision.Outcome{
		twoLogins: provision.TargetUntouched, oneLogin: provision.VaultAhead, azureServer: provision.VaultAhead,
	} {
		r := newRig(t, a)
		r.at("vault", "set", 1, false, func() error { return r.kv.refusal("setting", "db", refusal.Ambiguous) })
		result := r.run(t.Context())
		if result.Err == nil || result.Outcome != want || !r.opens(r.old) {
			t.Errorf("%s: %s, %v; the value that the vault holds opens: %t", a, result.Outcome, result.Err,
				r.opens(r.old))
		}
	}
}
