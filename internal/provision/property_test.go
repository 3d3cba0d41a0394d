package provision_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

// A scene is a declaration and the vaults' past.
type scene struct {
	secrets []declaration.Secret
	vaults  map[string]provision.Vault
	held    map[string]*vault
	now     time.Time
}

var vaultNames = []string{"eu", "us", "cn"}

func drawScene(t *rapid.T) *scene {
	s := &scene{vaults: map[string]provision.Vault{}, held: map[string]*vault{}, now: today}
	for _, name := range vaultNames {
		v := newVault(name, func() time.Time { return s.now })
		v.broken = t.Errorf
		s.held[name], s.vaults[name] = v, v
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "secrets") {
		name := fmt.Sprintf("s%d", i)
		vaults := rapid.SampledFrom([][]string{{"eu"}, {"us"}, {"eu", "us"}, {"cn", "us", "eu"}}).Draw(t, "vaults")
		s.secrets = append(s.secrets, drawSecret(t, name, vaults))
		for _, vault := range vaults {
			drawPast(t, s.held[vault], name)
		}
	}
	return s
}

func drawSecret(t *rapid.T, name string, vaults []string) declaration.Secret {
	s := secret(name, vaults...)
	s.Expires = rapid.SampledFrom([]time.Duration{0, 90 * day}).Draw(t, "expires")
	s.Rotate.After = rapid.SampledFrom([]time.Duration{0, 60 * day}).Draw(t, "after")
	if s.Expires > 0 {
		s.Rotate.BeforeExpiry = rapid.SampledFrom([]time.Duration{0, 14 * day}).Draw(t, "before-expiry")
	}
	s.Rotate.OnPolicyChange = rapid.Bool().Draw(t, "on-policy-change")
	switch rapid.IntRange(0, 2).Draw(t, "superseded") {
	case 1:
		s.Superseded = &lifecycle.Superseded{}
	case 2:
		s.Superseded = &lifecycle.Superseded{DisableAfter: day}
	}
	return s
}

func drawPast(t *rapid.T, v *vault, name string) {
	ages := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{100 * day, 61 * day, 9 * day, day, time.Hour}), 0,
		4).Draw(t, "ages")
	slices.SortFunc(ages, func(a, b time.Duration) int { return int(b - a) })
	certificate := rapid.IntRange(0, 40).Draw(t, "managed") == 0
	for _, age := range ages {
		version := made(age, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "operation"))
		if rapid.IntRange(0, 4).Draw(t, "kind") == 0 {
			version = theirs(age)
		} else if version.Tags["operation"] == "c" { // one operation, one policy
			version.Tags["policy"] = "other@ff"
		}
		version.Enabled = rapid.IntRange(0, 4).Draw(t, "enabled") > 0
		version.Managed = certificate
		if rapid.Bool().Draw(t, "expiry") {
			version.Expires = version.Created.Add(90 * day)
		}
		v.put(name, version)
	}
	if len(ages) > 0 && rapid.IntRange(0, 9).Draw(t, "deleted") == 0 {
		v.softDelete(name)
	}
}

func drawOptions(t *rapid.T) provision.Options {
	return provision.Options{
		Mode:           rapid.SampledFrom([]provision.Mode{ensure, rotate, force}).Draw(t, "mode"),
		Adopt:          rapid.Bool().Draw(t, "adopt"),
		RecoverDeleted: rapid.Bool().Draw(t, "recover-deleted"),
		Concurrency:    rapid.IntRange(1, 4).Draw(t, "concurrency"),
	}
}

// troubles are errors that a vault answers with.
var troubles = []refusal.Kind{refusal.Other, refusal.Forbidden, refusal.SoftDeleted, refusal.Ambiguous,
	refusal.Cancelled, refusal.Unreachable}

// plantFaults makes some operations fail, before they are carried out.
func (s *scene) plantFaults(t *rapid.T) {
	faults := map[string]refusal.Kind{}
	for range rapid.IntRange(0, 4).Draw(t, "faults") {
		at := rapid.SampledFrom([]string{"versions", "current", "deleted", "set", "disable", "recover"}).Draw(t,
			"operation")
		name := rapid.SampledFrom([]string{"", "s0", "s1"}).Draw(t, "name")
		faults[rapid.SampledFrom(vaultNames).Draw(t, "vault")+at+name] = rapid.SampledFrom(troubles).Draw(t, "kind")
	}
	for _, v := range s.held {
		v.before = func(_ context.Context, operation, name string) error {
			if kind, planted := faults[v.name+operation+name]; planted {
				return v.refusal(operation, name, kind)
			}
			return nil
		}
	}
}

// past returns what the vaults held.
func (s *scene) past() map[string][]held {
	past := map[string][]held{}
	for _, v := range s.held {
		for _, secret := range s.secrets {
			past[v.name+secret.Name] = v.holds(secret.Name)
			if past[v.name+secret.Name] == nil {
				past[v.name+secret.Name] = slices.Clone(v.deleted[secret.Name])
			}
		}
	}
	return past
}

// checkWrites holds the promises about what is written, whatever went wrong. The vault itself watches that no current
// and no foreign version is disabled, no operation set twice, and no certificate's shadow set.
func (s *scene) checkWrites(t *rapid.T, past map[string][]held, results []provision.Result, o provision.Options) {
	for _, r := range results {
		v, name := s.held[r.Step.Vault], r.Step.Name
		before, now := past[v.name+name], v.holds(name)
		wrote := len(now) > len(before)
		switch {
		case len(now) > len(before)+1:
			t.Fatalf("%s in %s: %d versions were made", name, v.name, len(now)-len(before))
		case wrote != r.Changed:
			t.Fatalf("%s in %s: written: %t, told: %t", name, v.name, wrote, r.Changed)
		case wrote && r.After.Version != current(now).ID:
			t.Fatalf("%s in %s: told version %s, made %s", name, v.name, r.After.Version, current(now).ID)
		case wrote && o.Mode == ensure && len(before) > 0 && r.Step.Change != provision.Recover:
			t.Fatalf("%s in %s: ensure wrote to what is there", name, v.name)
		case wrote && len(before) > 0 && !o.Adopt && foreign(before):
			t.Fatalf("%s in %s: written without adopt", name, v.name)
		case wrote && len(before) > 0 && o.Mode != force && !current(before).Enabled:
			t.Fatalf("%s in %s: written though its newest version is disabled", name, v.name)
		case r.Step.Change == provision.Refuse && (wrote || r.Err == nil):
			t.Fatalf("%s in %s: refused, and yet %+v", name, v.name, r)
		case len(r.Disabled) > 0 && o.Mode == ensure:
			t.Fatalf("%s in %s: ensure disabled", name, v.name)
		}
		if r.Err != nil && reflect.TypeOf(r.Err) != reflect.TypeFor[refusal.Refusal]() {
			t.Fatalf("%s in %s: the error is a %T", name, v.name, r.Err)
		}
	}
}

// foreign reports whether the current version is not this action's.
func foreign(versions []held) bool { return current(versions).Tags["generated-by"] == "" }

// checkEnd holds the promises about how a run without faults ends.
func (s *scene) checkEnd(t *rapid.T, results []provision.Result) {
	values := map[string]string{}
	for _, r := range results {
		v, name := s.held[r.Step.Vault], r.Step.Name
		versions := v.holds(name)
		now := current(versions)
		if r.Err == nil && !holdsValue(versions, r.After.Version, now) {
			t.Fatalf("%s in %s: told version %s, current is %s", name, v.name, r.After.Version, now.ID)
		}
		if r.Changed && values[name] != "" && values[name] != now.value {
			t.Fatalf("%s: its vaults got two values", name)
		}
		if r.Changed {
			values[name] = now.value
		}
	}
}

// holdsValue reports whether a version is the current one, or of its operation and so of its value.
func holdsValue(versions []held, id string, now held) bool {
	at := slices.IndexFunc(versions, func(h held) bool { return h.ID == id })
	return id == now.ID || at >= 0 && now.Tags["operation"] != "" &&
		versions[at].Tags["operation"] == now.Tags["operation"]
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		o := drawOptions(t)
		if rapid.Bool().Draw(t, "faulty") {
			s.plantFaults(t)
			past := s.past()
			s.checkWrites(t, past, s.run(t, o), o)
			for _, v := range s.held {
				v.before = func(context.Context, string, string) error { return nil }
			}
			s.now = s.now.Add(time.Minute)
		}
		past := s.past()
		before := s.plan(t, o)
		s.checkDue(t, before, before.Untouched(), o)
		results := s.run(t, o)
		s.checkDue(t, before, results, o)
		s.checkWrites(t, past, results, o)
		s.checkEnd(t, results)
		if o.Mode == force {
			o.Mode = rotate
		}
		s.checkSettled(t, results, o)
	})
}

// checkDue holds what is told to be due against a plan of mode rotate: it is what that plan writes, before a run and
// after it.
func (s *scene) checkDue(t *rapid.T, plan *provision.Plan, results []provision.Result, o provision.Options) {
	due := plan.Due(results, o)
	o.Mode = rotate
	for i, step := range s.plan(t, o).Steps {
		if due[i] != step.Change.Writes() {
			t.Fatalf("%s in %s: told to be due: %t; planned: %s", step.Name, step.Vault, due[i], says(step))
		}
	}
}

// checkSettled plans once more, right after a run without faults: for each secret that ended as declared in all of its
// vaults nothing is left to write or to disable, and no other is written either.
func (s *scene) checkSettled(t *rapid.T, results []provision.Result, o provision.Options) {
	failed := map[string]bool{}
	for _, r := range results {
		failed[r.Step.Name] = failed[r.Step.Name] || r.Err != nil
	}
	for i, step := range s.plan(t, o).Steps {
		settled := step.Change == provision.Keep && len(step.Disable) == 0
		if failed[step.Name] {
			settled = step.Change == provision.Keep || step.Change == provision.Refuse ||
				results[i].Step.Change == provision.Recover
		}
		if !settled {
			t.Fatalf("%s in %s: planned again: %s, disable %v; the run's step was: %s",
				step.Name, step.Vault, says(step), step.Disable, says(*results[i].Step))
		}
	}
}

func (s *scene) plan(t *rapid.T, o provision.Options) *provision.Plan {
	plan, err := provision.MakePlan(context.Background(), s.secrets, s.vaults, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// run plans and applies, and checks that each step is told once, as it is returned.
func (s *scene) run(t *rapid.T, o provision.Options) []provision.Result {
	plan := s.plan(t, o)
	told := map[*provision.Step]provision.Result{}
	results := plan.Apply(context.Background(), s.vaults, o, provision.Observer{Ended: func(r provision.Result) {
		if _, again := told[r.Step]; again {
			t.Fatalf("%s in %s is told twice", r.Step.Name, r.Step.Vault)
		}
		told[r.Step] = r
	}})
	for i := range results {
		if results[i].Step != &plan.Steps[i] || !reflect.DeepEqual(told[results[i].Step], results[i]) {
			t.Fatalf("result %d is not of step %d, or was told otherwise", i, i)
		}
	}
	return results
}
