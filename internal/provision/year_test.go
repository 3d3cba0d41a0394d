package provision_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/provision"
)

// One year of a weekly rotate run: every secret is rotated at the first run when it is due and at no other, superseded
// versions are disabled at the first run when their successor is old enough, and no version is made twice.
func TestAYearOfWeeklyRuns(t *testing.T) {
	now := today
	clock := func() time.Time { return now }
	eu, us := newVault("eu", clock), newVault("us", clock)
	eu.broken, us.broken = t.Errorf, t.Errorf
	vaults := map[string]provision.Vault{"eu": eu, "us": us}

	monthly := secret("monthly", "eu") // due at 30 days: every fifth week
	monthly.Rotate.After, monthly.Superseded = 30*day, &declaration.Superseded{DisableAfter: day}
	expiring := secret("expiring", "eu", "us") // due at 90-14 = 76 days: every eleventh week
	expiring.Expires, expiring.Rotate.BeforeExpiry, expiring.Superseded = 90*day, 14*day, &declaration.Superseded{}
	changing := secret("changing", "us") // its policy changes in week 20
	changing.Rotate.OnPolicyChange, changing.Superseded = true, &declaration.Superseded{DisableAfter: 10 * day}
	fixed := secret("fixed", "us")
	secrets := []declaration.Secret{monthly, expiring, changing, fixed}

	wrote, disabled := map[string][]int{}, map[string][]int{}
	for week := range 52 {
		if week == 20 {
			secrets[2].Policy = "default@changed"
		}
		for _, r := range apply(t, secrets, vaults, provision.Options{Mode: rotate}) {
			name := r.Step.Secret.Name + " " + r.Step.Vault
			if r.Err != nil {
				t.Fatalf("week %d: %s: %s", week, name, r.Err)
			}
			if r.Changed {
				wrote[name] = append(wrote[name], week)
			}
			for range r.Disabled {
				disabled[name] = append(disabled[name], week)
			}
		}
		now = now.Add(7 * day)
	}
	every := func(first, step int) (weeks []int) {
		for week := first; week < 52; week += step {
			weeks = append(weeks, week)
		}
		return weeks
	}
	if diff := cmp.Diff(map[string][]int{
		"monthly eu": every(0, 5), "expiring eu": every(0, 11), "expiring us": every(0, 11), "changing us": {0, 20}, "fixed us": {0},
	}, wrote); diff != "" {
		t.Errorf("written in weeks: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]int{
		"monthly eu":  every(6, 5), // a week after its successor came
		"expiring eu": every(11, 11), "expiring us": every(11, 11),
		"changing us": {22}, // two weeks after
	}, disabled); diff != "" {
		t.Errorf("disabled in weeks: -want +got\n%s", diff)
	}
	for _, kv := range []*vault{eu, us} {
		if kv.calls["current"] != 0 {
			t.Errorf("%s: %d lists of all secrets, and no tie", kv.name, kv.calls["current"])
		}
	}
}

// A recovery that brings back another's version as current is not followed by a set.
func TestRecoveredAndForeign(t *testing.T) {
	for _, adopting := range []bool{false, true} {
		kv := newVault("kv", atToday)
		foreign := kv.put("db", theirs(9*day))
		kv.put("db", disabled(made(8*day, "a"))) // the latest, so that the list of deleted secrets shows it
		kv.softDelete("db")
		o := provision.Options{Mode: ensure, RecoverDeleted: true, Adopt: adopting}
		r := apply(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv}, o)[0]
		if adopting {
			if r.Err != nil || !r.Changed {
				t.Errorf("adopting: %+v", r)
			}
			continue
		}
		if r.Err == nil || r.Changed || r.Version != foreign.ID || !strings.Contains(r.Err.Error(), "set the input adopt") {
			t.Errorf("not adopting: %+v", r)
		}
	}
}

// That it is a certificate's may show only then.
func TestRecoveredAndManaged(t *testing.T) {
	kv := newVault("kv", atToday)
	kv.put("db", managed(made(9*day, "a")))
	kv.put("db", made(8*day, "b"))
	kv.softDelete("db")
	r := apply(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv}, provision.Options{Mode: force, RecoverDeleted: true, Adopt: true})[0]
	if r.Err == nil || r.Changed {
		t.Errorf("got %+v", r)
	}
}

// What a recovery brings back is disabled as superseded in the same run, where no grace is declared.
func TestRecoveredAndSuperseded(t *testing.T) {
	kv := newVault("kv", atToday)
	kv.put("db", made(9*day, "a"))
	kv.put("db", theirs(8*day))
	kv.put("db", made(7*day, "b"))
	kv.softDelete("db")
	s := secret("db")
	s.Superseded = &declaration.Superseded{}
	r := apply(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv}, provision.Options{Mode: rotate, RecoverDeleted: true})[0]
	var enabled []bool
	for _, h := range kv.holds("db") {
		enabled = append(enabled, h.Enabled)
	}
	if want := []bool{false, true, false, true}; r.Err != nil || !cmp.Equal(want, enabled) {
		t.Errorf("enabled %v, want %v; %+v", enabled, want, r)
	}
}

// fleet returns n secrets over some vaults, which answer at once.
func fleet(n, vaults int) ([]declaration.Secret, map[string]provision.Vault, []*vault) {
	byName := map[string]provision.Vault{}
	var all []*vault
	for i := range vaults {
		kv := newVault(fmt.Sprintf("kv%d", i), atToday)
		byName[kv.name] = kv
		all = append(all, kv)
	}
	var secrets []declaration.Secret
	for i := range n {
		secrets = append(secrets, secret(fmt.Sprintf("s%d", i), all[i%vaults].name))
	}
	return secrets, byName, all
}

// What this package adds to the requests of 200 secrets with nothing to do.
func BenchmarkPlanNothingToDo200(b *testing.B) {
	secrets, vaults, all := fleet(200, 1)
	for _, s := range secrets {
		all[0].put(s.Name, made(day, s.Name))
	}
	b.ReportAllocs()
	for b.Loop() {
		mustPlan(b, secrets, vaults, provision.Options{Mode: rotate})
	}
}

// What this package adds to the requests of 2,000 creates over eight vaults.
func BenchmarkCreate2000InEightVaults(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		secrets, vaults, _ := fleet(2000, 8)
		for _, r := range apply(b, secrets, vaults, provision.Options{Mode: ensure}) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
}
