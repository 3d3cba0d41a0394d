package provision_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

// plan plans one run, and returns the step.
func (r *rig) plan(mode provision.Mode) provision.Step {
	r.t.Helper()
	return mustPlan(r.t, []declaration.Secret{r.secret}, map[string]provision.Vault{"kv": r.kv},
		r.options(mode)).Steps[0]
}

// holds makes what a declaration began with, in place of what the rig holds.
func (r *rig) holds(versions ...lifecycle.Version) {
	r.kv.secrets = map[string][]held{}
	for _, v := range versions {
		r.kv.put("db", v)
	}
}

func TestPlanOfATarget(t *testing.T) {
	const (
		unclear = "refuse: no tag says which of its two logins the current version is for -> add current-login to " +
			"its apply, with the login that readers use: app_a or app_b"
		stale = "rotate (unapplied): the target does not hold this version"
		ahead = "refuse: the target does not hold this version -> run with mode: rotate, which sets a new password " +
			"in both"
		down    = "refuse: looking at pg-prod: seen by the target -> what to do"
		foreign = "this action did not make the current version, so it is not known whether pg-prod holds it"
	)
	young := func(tags ...string) lifecycle.Version {
		v := made(2*day, "a")
		for i := 0; i < len(tags); i += 2 {
			v.Tags[tags[i]] = tags[i+1]
		}
		return v
	}
	for _, test := range []struct {
		when string
		arrangement
		mode    provision.Mode
		change  func(r *rig)
		want    string
		login   string // of the step
		looks   int
		warning string
	}{
		{"nothing there", twoLogins, ensure, func(r *rig) { r.holds() }, "create: did not exist", "app_a", 1, ""},
		{"nothing there, and a login is in use", twoLogins, ensure, func(r *rig) {
			r.holds()
			r.secret.Apply.CurrentLogin = "app_a"
		}, "create: did not exist", "app_b", 1, ""},
		{"nothing there", oneLogin, ensure, func(r *rig) { r.holds() }, "create: did not exist", "app", 1, ""},
		{"due", twoLogins, rotate, nil, "rotate (age): made 9d ago, rotate after 7d", "app_b", 1, ""},
		{"due, exists", twoLogins, ensure, nil,
			"keep: exists; due in mode rotate: made 9d ago, rotate after 7d", "app_a", 1, ""},
		{"the other login is in use", twoLogins, force, func(r *rig) {
			r.holds(young("login", "app_b"))
			r.target.plant("app_b", "a", "x")
		}, "rotate (forced): forced", "app_a", 1, ""},
		{"other logins were in use", twoLogins, force, func(r *rig) { r.holds(young("login", "web")) },
			"rotate (forced): forced", "app_a", 1, ""},

		{"no tag of the login", twoLogins, force, func(r *rig) { r.holds(young()) }, unclear, "", 0, ""},
		{"no tag of the login, kept", twoLogins, ensure, func(r *rig) { r.holds(young()) }, unclear, "", 0, ""},
		{"no tag, and the login is declared", twoLogins, force, func(r *rig) {
			r.holds(young())
			r.target.plant("app_b", "", "x")
			r.secret.Apply.CurrentLogin = "app_b"
		}, "rotate (forced): forced", "app_a", 1, ""},
		{"the tag wins over what is declared", twoLogins, force, func(r *rig) {
			r.secret.Apply.CurrentLogin = "app_b"
		}, "rotate (forced): forced", "app_b", 1, ""},
		{"somebody's, kept", twoLogins, rotate, func(r *rig) { r.holds(theirs(2 * day)) },
			"keep: made 2d ago, not by this action, not due before 2026-03-06 12:00Z", "", 0, foreign},
		{"somebody's, adopted", twoLogins, rotate, func(r *rig) { r.holds(theirs(9 * day)) },
			"refuse: made 9d ago, rotate after 7d, but this action did not make the current version" + adopt, "", 0,
			""},
		{"somebody's, one login", oneLogin, rotate, func(r *rig) { r.holds(theirs(2 * day)) },
			"keep: made 2d ago, not by this action, not due before 2026-03-06 12:00Z", "app", 1, foreign},

		{"another marker", oneLogin, rotate, func(r *rig) { r.holds(young()); r.target.plant("app", "x", "y") }, stale,
			"app", 1, ""},
		{"another marker", oneLogin, ensure, func(r *rig) { r.holds(young()); r.target.plant("app", "x", "y") }, ahead,
			"app", 1, ""},
		{"no marker", oneLogin, rotate, func(r *rig) { r.holds(young()); r.target.plant("app", "", "y") }, stale,
			"app", 1, ""},
		{"its marker", oneLogin, rotate, func(r *rig) { r.holds(young()) },
			"keep: made 2d ago, not due before 2026-03-06 12:00Z", "app", 1, ""},
		// The login in use opens nothing, and the other one may be in use yet: the former is set again.
		{"another marker", twoLogins, rotate, func(r *rig) {
			r.holds(young("login", "app_a"))
			r.target.plant("app_a", "x", "y")
		}, stale, "app_a", 1, ""},
		// A marker may be removed by anybody who comments on a role. A login in use must not be changed for that.
		{"no marker", twoLogins, rotate, func(r *rig) {
			r.holds(young("login", "app_a"))
			r.target.plant("app_a", "", "y")
		}, "keep: made 2d ago, not due before 2026-03-06 12:00Z", "app_a", 1, ""},
		{"not confirmed", azureServer, rotate, func(r *rig) { r.holds(young()) }, stale, "sqladmin", 1, ""},
		{"not confirmed", azureServer, ensure, func(r *rig) { r.holds(young()) }, ahead, "sqladmin", 1, ""},
		{"confirmed", azureServer, rotate, func(r *rig) { r.holds(young("applied", "a")) },
			"keep: made 2d ago, not due before 2026-03-06 12:00Z", "sqladmin", 1, ""},

		{"the server is down", oneLogin, ensure, func(r *rig) {
			r.target.before = func(context.Context, string) error { return refuses("", refusal.Unreachable) }
		}, down, "app", 1, ""},
		{"the vault is down", oneLogin, ensure, func(r *rig) { refusing(r.kv, "versions", refusal.Unreachable) },
			"refuse: looking it up: seen by the vault -> what to do", "app", 0, ""},
		{"a new policy, within a day", twoLogins, rotate, func(r *rig) {
			r.holds(young("login", "app_a", "policy", "older@1"))
			r.kv.secrets["db"][0].Created = today.Add(-day + time.Minute)
			r.secret.Rotate.OnPolicyChange = true
		}, "keep: made 23h ago, not due before 2026-03-07 12:01Z; the declared policy is now " + policy, "app_a", 1,
			""},
		{"a new policy, after a day", twoLogins, rotate, func(r *rig) {
			r.holds(young("login", "app_a", "policy", "older@1"))
			r.secret.Rotate.OnPolicyChange = true
		}, "rotate (policy): policy changed: older@1 -> " + policy, "app_b", 1, ""},
	} {
		t.Run(fmt.Sprintf("%s, %s, %s", test.arrangement, test.mode, test.when), func(t *testing.T) {
			r := newRig(t, test.arrangement)
			if test.change != nil {
				test.change(r)
			}
			step := r.plan(test.mode)
			if got := says(step); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if step.Login != test.login || step.Target == "" {
				t.Errorf("login %q at %q; want %q", step.Login, step.Target, test.login)
			}
			if got := strings.Join(r.target.calls, " "); got != strings.TrimSpace(strings.Repeat("look ", test.looks)) {
				t.Errorf("calls %q; want %d looks", got, test.looks)
			}
			if got := strings.Join(step.Warnings, "; "); got != test.warning {
				t.Errorf("warnings %q; want %q", got, test.warning)
			}
		})
	}
}

// Where a secret's vaults differ, the login of the newest version is set again: the readers of the other vaults keep
// theirs.
func TestLoginWhereVaultsDiffer(t *testing.T) {
	for _, test := range []struct {
		eu, us string // the login in each; "": it lacks the secret
		want   string
	}{{"app_b", "app_a", "app_b"}, {"app_a", "app_b", "app_a"}, {"app_a", "app_a", "app_b"}, {"app_b", "", "app_a"}} {
		vaults, target := map[string]provision.Vault{}, newTarget(twoLogins)
		for _, past := range []struct {
			vault, login, operation string
			age                     time.Duration
		}{{"us", test.us, "old", 2 * day}, {"eu", test.eu, "new", day}} {
			v := newVault(past.vault, atToday)
			if past.login != "" {
				v.put("db", tagged(made(past.age, past.operation), "login", past.login))
				target.plant(past.login, past.operation, "x")
			}
			vaults[past.vault] = v
		}
		o := provision.Options{Mode: rotate, Targets: map[string]provision.Target{"db": target}}
		s := applied(t, twoLogins, "db", "eu", "us")
		for _, step := range mustPlan(t, []declaration.Secret{s}, vaults, o).Steps {
			if step.Login != test.want || step.Trigger != lifecycle.TriggerDiverged {
				t.Errorf("%+v in %s: %s, sets %s", test, step.Vault, says(step), step.Login)
			}
		}
		for _, result := range apply(t, []declaration.Secret{s}, vaults, o) {
			if result.Err != nil || result.Outcome != provision.Applied {
				t.Errorf("%+v: %+v", test, result)
			}
		}
	}
}

// A plan without targets judges by the vaults alone, and one cannot be carried out without them.
func TestPlanWithoutTargets(t *testing.T) {
	for _, a := range arrangements {
		r := newRig(t, a)
		vaults, o := map[string]provision.Vault{"kv": r.kv}, provision.Options{Mode: rotate}
		plan := mustPlan(t, []declaration.Secret{r.secret}, vaults, o)
		if plan.Steps[0].Change != provision.Rotate || len(r.target.calls) > 0 {
			t.Errorf("%s: %s; calls %v", a, says(plan.Steps[0]), r.target.calls)
		}
		result := plan.Apply(t.Context(), vaults, o, provision.Observer{})[0]
		if result.Err == nil || len(r.kv.holds("db")) != 1 {
			t.Errorf("%s: carried out without a target: %+v", a, result)
		}
	}
}

// No more targets are looked at than secrets may be in flight, and a failure is of its secret alone.
func TestLooksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newVault("kv", atToday)
		var secrets []declaration.Secret
		targets := map[string]provision.Target{}
		var under, most atomic.Int64
		for i := range 12 {
			name := fmt.Sprint("s", i)
			secrets = append(secrets, applied(t, oneLogin, name))
			target := newTarget(oneLogin)
			target.before = func(context.Context, string) error {
				most.Store(max(most.Load(), under.Add(1)))
				time.Sleep(time.Second)
				under.Add(-1)
				if i == 5 {
					return refuses("", refusal.Unreachable)
				}
				return nil
			}
			targets[name] = target
		}
		plan := mustPlan(t, secrets, map[string]provision.Vault{"kv": kv},
			provision.Options{Mode: ensure, Concurrency: 3, Targets: targets})
		for i, step := range plan.Steps {
			if (step.Change == provision.Refuse) != (i == 5) {
				t.Errorf("%s: %s", step.Name, says(step))
			}
		}
		if most.Load() != 3 {
			t.Errorf("%d looks at once; want 3", most.Load())
		}
	})
}
