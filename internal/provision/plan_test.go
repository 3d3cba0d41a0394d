package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

const day = 24 * time.Hour

// today is when the tests of a plan take place.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func atToday() time.Time { return today }

// policy is the policy tag of what secret declares.
const policy = "default@0123456789ab"

var compiled = func() *password.Space {
	set, err := password.Compile(password.Policy{Length: password.Length{Min: 32, Max: 32}})
	if err != nil {
		panic(err)
	}
	return set
}()

// secret returns a declared secret of some vaults, "kv" if none is named.
func secret(name string, vaults ...string) declaration.Secret {
	s := declaration.Secret{
		Name:  name,
		Place: declaration.Place{File: "passwords.yml", Line: 3, Col: 3},
		Parts: []declaration.Part{{Name: "password", Policy: "default", Space: compiled}},
		Terms: lifecycle.Terms{PolicyTag: policy},
	}
	if len(vaults) == 0 {
		vaults = []string{"kv"}
	}
	for _, vault := range vaults {
		s.Vaults = append(s.Vaults, declaration.Vault{Name: vault})
	}
	return s
}

// own returns the tags of a version that this action made.
func own(operation string) map[string]string {
	return map[string]string{"generated-by": "keyvault-passwords", "policy": policy, "operation": operation,
		"run": "o/r/1/1"}
}

// made returns an enabled version that this action made so long ago.
func made(age time.Duration, operation string) lifecycle.Version {
	return lifecycle.Version{Created: today.Add(-age), Enabled: true, Tags: own(operation)}
}

// theirs returns one that it did not make.
func theirs(age time.Duration) lifecycle.Version {
	return lifecycle.Version{Created: today.Add(-age), Enabled: true, Tags: map[string]string{"owner": "somebody"}}
}

func expiring(v lifecycle.Version, in time.Duration) lifecycle.Version {
	v.Expires = today.Add(in)
	return v
}

func disabled(v lifecycle.Version) lifecycle.Version {
	v.Enabled = false
	return v
}

func managed(v lifecycle.Version) lifecycle.Version {
	v.Managed = true
	return v
}

// tagged returns v with one tag more, or less where text is "".
func tagged(v lifecycle.Version, name, text string) lifecycle.Version {
	if v.Tags[name] = text; text == "" {
		delete(v.Tags, name)
	}
	return v
}

func mustPlan(t testing.TB, secrets []declaration.Secret, vaults map[string]provision.Vault,
	o provision.Options) *provision.Plan {
	t.Helper()
	plan, err := provision.MakePlan(t.Context(), secrets, vaults, o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// says returns a step as a line: "rotate (age): made 61d ago, rotate after 60d -> remedy".
func says(s provision.Step) string {
	text := string(s.Change)
	if s.Trigger != "" {
		text += " (" + string(s.Trigger) + ")"
	}
	if s.Change != provision.Refuse {
		return text + ": " + s.Reason
	}
	text += ": " + s.Refusal.Seen()
	if s.Refusal.Remedy != "" {
		text += " -> " + s.Refusal.Remedy
	}
	return text
}

const (
	ensure  = provision.ModeEnsure
	rotate  = provision.ModeRotate
	force   = provision.ModeForce
	blocked = "refuse: its newest version is disabled, so somebody has blocked it -> " +
		"enable that version, or run with mode: force for a new one"
	adopt = " -> to replace it, set the input adopt: true; otherwise declare another name"
)

func TestOneSecretInOneVault(t *testing.T) {
	rotating := func(r lifecycle.Rotate) func(*declaration.Secret) {
		return func(s *declaration.Secret) { s.Rotate = r }
	}
	after60d := rotating(lifecycle.Rotate{After: 60 * day})
	before14d := func(s *declaration.Secret) {
		s.Expires = 90 * day
		s.Rotate.BeforeExpiry = 14 * day
	}
	onChange := rotating(lifecycle.Rotate{OnPolicyChange: true})
	past := func(versions ...lifecycle.Version) []lifecycle.Version { return versions }
	for _, test := range []struct {
		when    string
		declare func(*declaration.Secret)
		past    []lifecycle.Version
		deleted bool
		options provision.Options
		want    string
	}{
		{"it is not there", nil, nil, false, provision.Options{Mode: ensure}, "create: did not exist"},
		{"it is not there", nil, nil, false, provision.Options{Mode: rotate}, "create: did not exist"},
		{"it is not there", nil, nil, false, provision.Options{Mode: force}, "create: did not exist"},
		{"it is there", nil, past(made(61*day, "a")), false, provision.Options{Mode: ensure},
			"keep: exists, made 61d ago"},
		{"it is there, overdue", after60d, past(made(61*day, "a")), false, provision.Options{Mode: ensure},
			"keep: exists; due in mode rotate: made 61d ago, rotate after 60d"},
		{"it is there", nil, past(made(61*day, "a")), false, provision.Options{Mode: force}, "rotate (forced): forced"},
		{"no rotation is declared", nil, past(made(2000*day, "a")), false, provision.Options{Mode: rotate},
			"keep: made 2000d ago, no rotation by time is declared"},
		{"it is young", after60d, past(made(59*day+23*time.Hour, "a")), false, provision.Options{Mode: rotate},
			"keep: made 59d ago, not due before 2026-03-01 13:00Z"},
		{"it is just old enough", after60d, past(made(60*day, "a")), false, provision.Options{Mode: rotate},
			"rotate (age): made 60d ago, rotate after 60d"},
		{"ages in hours", rotating(lifecycle.Rotate{After: 36 * time.Hour}), past(made(37*time.Hour, "a")), false,
			provision.Options{Mode: rotate},
			"rotate (age): made 37h ago, rotate after 36h"},
		{"it expires later", before14d, past(expiring(made(1*day, "a"), 14*day+time.Second)), false,
			provision.Options{Mode: rotate},
			"keep: made 24h ago, not due before 2026-03-01 12:00Z; " +
				"declared to expire after 90d, but it expires 15d after it was made"},
		{"it expires soon", before14d, past(expiring(made(1*day, "a"), 13*day+time.Hour)), false,
			provision.Options{Mode: rotate},
			"rotate (expiry): expires in 13d, rotate 14d before"},
		{"it expires just soon enough", before14d, past(expiring(made(1*day, "a"), 14*day)), false,
			provision.Options{Mode: rotate},
			"rotate (expiry): expires in 14d, rotate 14d before"},
		{"it has expired", before14d, past(expiring(made(92*day, "a"), -2*day)), false, provision.Options{Mode: rotate},
			"rotate (expiry): expired 2d ago, rotate 14d before"},
		{"it was made before an expiry was declared", before14d, past(made(75*day, "a")), false,
			provision.Options{Mode: rotate},
			"keep: made 75d ago, not due before 2026-03-02 12:00Z; declared to expire after 90d, but it never expires"},
		{"it was made long before an expiry was declared", before14d, past(made(77*day, "a")), false,
			provision.Options{Mode: rotate},
			"rotate (expiry): made 77d ago, declared to expire after 90d, rotate 14d before"},
		{"the policy is the same", onChange, past(made(9*day, "a")), false, provision.Options{Mode: rotate},
			"keep: made 9d ago, no rotation by time is declared"},
		{"the policy changed", onChange, past(tagged(made(9*day, "a"), "policy", "pin@ff")), false,
			provision.Options{Mode: rotate},
			"rotate (policy): policy changed: pin@ff -> default@0123456789ab"},
		{"the policy is not told", onChange, past(tagged(made(9*day, "a"), "policy", "")), false,
			provision.Options{Mode: rotate},
			"rotate (policy): policy changed: none -> default@0123456789ab"},
		{"the policy changed and nobody asked", nil, past(tagged(made(9*day, "a"), "policy", "pin@ff")), false,
			provision.Options{Mode: rotate},
			"keep: made 9d ago, no rotation by time is declared; the declared policy is now default@0123456789ab"},

		{"it is foreign", after60d, past(theirs(9 * day)), false, provision.Options{Mode: ensure},
			"keep: exists, made 9d ago, not by this action"},
		{"it is foreign, overdue", after60d, past(theirs(61 * day)), false, provision.Options{Mode: ensure},
			"keep: exists, not by this action; due in mode rotate: made 61d ago, rotate after 60d"},
		{"it is foreign, not due", after60d, past(theirs(9 * day)), false, provision.Options{Mode: rotate},
			"keep: made 9d ago, not by this action, not due before 2026-04-21 12:00Z"},
		{"it is foreign, due", after60d, past(theirs(61 * day)), false, provision.Options{Mode: rotate},
			"refuse: made 61d ago, rotate after 60d, but this action did not make the current version" + adopt},
		{"it is foreign, due, adopted", after60d, past(theirs(61 * day)), false,
			provision.Options{Mode: rotate, Adopt: true},
			"rotate (age): made 61d ago, rotate after 60d"},
		{"it is foreign, of an unknown policy", onChange, past(theirs(9 * day)), false, provision.Options{Mode: rotate},
			"keep: made 9d ago, not by this action, no rotation by time is declared"},
		{"it is foreign, of an unknown policy, adopted", onChange, past(theirs(9 * day)), false,
			provision.Options{Mode: rotate, Adopt: true},
			"rotate (policy): adopted, its policy is unknown: -> default@0123456789ab"},
		{"it is foreign and claims our policy, adopted", onChange, past(tagged(theirs(9*day), "policy", policy)), false,
			provision.Options{Mode: rotate, Adopt: true},
			"rotate (policy): adopted, its policy is unknown: -> default@0123456789ab"},
		{"it is foreign", nil, past(theirs(9 * day)), false, provision.Options{Mode: force},
			"refuse: forced, but this action did not make the current version" + adopt},
		{"it is foreign, adopted", nil, past(theirs(9 * day)), false, provision.Options{Mode: force, Adopt: true},
			"rotate (forced): forced"},
		{"somebody set it after us", nil, past(made(9*day, "a"), theirs(8*day)), false, provision.Options{Mode: force},
			"refuse: forced, but this action did not make the current version" + adopt},
		{"we set it after somebody", nil, past(theirs(9*day), made(8*day, "a")), false, provision.Options{Mode: force},
			"rotate (forced): forced"},

		{"a certificate's", nil, past(managed(theirs(9 * day))), false, provision.Options{Mode: ensure},
			"refuse: it is managed by a Key Vault certificate -> declare another name; Key Vault renews the " +
				"certificate itself"},
		{"a certificate's", nil, past(managed(made(9*day, "a"))), false, provision.Options{Mode: force, Adopt: true},
			"refuse: it is managed by a Key Vault certificate -> declare another name; Key Vault renews the " +
				"certificate itself"},
		{"a deleted certificate's", nil, past(managed(theirs(9 * day))), true,
			provision.Options{Mode: force, Adopt: true, RecoverDeleted: true},
			"refuse: it is managed by a Key Vault certificate -> declare another name; Key Vault renews the " +
				"certificate itself"},

		{"the newest is disabled", nil, past(made(9*day, "a"), disabled(made(8*day, "b"))), false,
			provision.Options{Mode: ensure}, blocked},
		{"the newest is disabled, overdue", after60d, past(made(90*day, "a"), disabled(made(80*day, "b"))), false,
			provision.Options{Mode: rotate}, blocked},
		{"the newest is disabled", nil, past(made(9*day, "a"), disabled(made(8*day, "b"))), false,
			provision.Options{Mode: force}, "rotate (forced): forced"},
		{"the newest is disabled and foreign", nil, past(made(9*day, "a"), disabled(theirs(8*day))), false,
			provision.Options{Mode: force}, "refuse: forced, but this action did not make the current version" + adopt},
		{"the newest is disabled and foreign, adopted", nil, past(made(9*day, "a"), disabled(theirs(8*day))), false,
			provision.Options{Mode: force, Adopt: true}, "rotate (forced): forced"},
		{"an older one is disabled", nil, past(disabled(made(9*day, "a")), made(8*day, "b")), false,
			provision.Options{Mode: ensure}, "keep: exists, made 8d ago"},
		{"an earlier attempt made it", nil, past(tagged(made(time.Hour, "a"), "run", "o/r/7/1")), false,
			provision.Options{Mode: ensure, Run: "o/r/7/2"}, "keep: exists, made 60m ago by this run"},
		{"another run made it", nil, past(tagged(made(time.Hour, "a"), "run", "o/r/6/1")), false,
			provision.Options{Mode: ensure, Run: "o/r/7/2"}, "keep: exists, made 60m ago"},

		{"it is deleted", nil, past(made(9*day, "a")), true, provision.Options{Mode: ensure},
			"refuse: it is soft-deleted, so its name is taken -> set the input recover-deleted: true, or have it " +
				"recovered or purged"},
		{"it is deleted, recovered", nil, past(made(9*day, "a")), true,
			provision.Options{Mode: ensure, RecoverDeleted: true},
			"recover: soft-deleted: it is recovered first"},
		{"it is deleted, foreign", nil, past(theirs(9 * day)), true,
			provision.Options{Mode: ensure, RecoverDeleted: true},
			"refuse: it is soft-deleted, and this action did not make it" + adopt},
		{"it is deleted, foreign, adopted", nil, past(theirs(9 * day)), true,
			provision.Options{Mode: force, RecoverDeleted: true, Adopt: true},
			"recover (forced): soft-deleted: it is recovered first"},
	} {
		t.Run(string(test.options.Mode)+": "+test.when, func(t *testing.T) {
			s := secret("Db")
			if test.declare != nil {
				test.declare(&s)
			}
			kv := newVault("kv", atToday)
			for _, v := range test.past {
				kv.put("dB", v)
			}
			if test.deleted {
				kv.softDelete("dB")
			}
			plan := mustPlan(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv}, test.options)
			if got := says(plan.Steps[0]); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if kv.calls["set"]+kv.calls["disable"]+kv.calls["recover"] > 0 {
				t.Errorf("planning wrote: %v", kv.calls)
			}
		})
	}
}

func TestOneSecretInTwoVaults(t *testing.T) {
	const diverged = " -> run with mode: rotate, which gives all its vaults one new value"
	type past = []lifecycle.Version
	for _, test := range []struct {
		when    string
		eu, us  past
		options provision.Options
		eus     string // what becomes of it in eu
		uss     string // and in us
	}{
		{"in neither", nil, nil, provision.Options{Mode: ensure}, "create: did not exist", "create: did not exist"},
		{"in both", past{made(9*day, "a")}, past{made(9*day, "a")}, provision.Options{Mode: ensure},
			"keep: exists, made 9d ago", "keep: exists, made 9d ago"},
		{"in one", past{made(9*day, "a")}, nil, provision.Options{Mode: ensure}, "refuse: vaults differ: not in us" +
			diverged, "refuse: vaults differ: not in us" + diverged},
		{"in one", past{made(9*day, "a")}, nil, provision.Options{Mode: rotate},
			"rotate (diverged): vaults differ: not in us", "create (diverged): vaults differ: not in us"},
		{"in one", past{made(9*day, "a")}, nil, provision.Options{Mode: force}, "rotate (forced): forced",
			"create: did not exist"},
		{"of two operations", past{made(9*day, "a")}, past{made(8*day, "b")}, provision.Options{Mode: ensure},
			"refuse: vaults differ: set separately in eu, us" + diverged,
			"refuse: vaults differ: set separately in eu, us" + diverged},
		{"of two operations", past{made(9*day, "a")}, past{made(8*day, "b")}, provision.Options{Mode: rotate},
			"rotate (diverged): vaults differ: set separately in eu, us",
			"rotate (diverged): vaults differ: set separately in eu, us"},
		{"due in one", past{made(61*day, "a")}, past{made(59*day, "a")}, provision.Options{Mode: rotate},
			"rotate (age): made 61d ago, rotate after 60d", "rotate (age): made 61d ago, rotate after 60d"},
		{"foreign in both", past{theirs(9 * day)}, past{theirs(9 * day)}, provision.Options{Mode: ensure},
			"keep: exists, made 9d ago, not by this action", "keep: exists, made 9d ago, not by this action"},
		{"foreign in one", past{made(9*day, "a")}, past{theirs(9 * day)}, provision.Options{Mode: rotate},
			"refuse: vaults differ: set separately in eu, us, but held back: its vaults share one " +
				"value, and it is refused in us -> resolve the refusal in us",
			"refuse: vaults differ: set separately in eu, us, but this action did not make the current " +
				"version" + adopt},
		{"foreign in one, adopted", past{made(9*day, "a")}, past{theirs(9 * day)},
			provision.Options{Mode: rotate, Adopt: true},
			"rotate (diverged): vaults differ: set separately in eu, us",
			"rotate (diverged): vaults differ: set separately in eu, us"},
		{"a certificate's in one", nil, past{managed(theirs(9 * day))}, provision.Options{Mode: ensure},
			"refuse: did not exist, but held back: its vaults share one value, and it is refused in us -> resolve " +
				"the refusal in us",
			"refuse: it is managed by a Key Vault certificate -> declare another name; Key Vault renews the " +
				"certificate itself"},
		{"there in one, a certificate's in the other", past{made(9*day, "a")}, past{managed(theirs(9 * day))},
			provision.Options{Mode: ensure},
			"keep: exists, made 9d ago",
			"refuse: it is managed by a Key Vault certificate -> declare another name; Key Vault renews the " +
				"certificate itself"},
	} {
		t.Run(string(test.options.Mode)+": "+test.when, func(t *testing.T) {
			s := secret("db", "eu", "us")
			s.Rotate.After = 60 * day
			if test.options.Mode == ensure {
				s.Rotate.After = 0
			}
			eu, us := newVault("eu", atToday), newVault("us", atToday)
			for _, v := range test.eu {
				eu.put("db", v)
			}
			for _, v := range test.us {
				us.put("db", v)
			}
			plan := mustPlan(t, []declaration.Secret{s}, map[string]provision.Vault{"eu": eu, "us": us}, test.options)
			got := []string{says(plan.Steps[0]), says(plan.Steps[1])}
			if diff := cmp.Diff([]string{test.eus, test.uss}, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A deleted secret in one vault and none in the other: neither has a live one, so ensure sets both.
func TestRecoveredInOneOfTwoVaults(t *testing.T) {
	eu, us := newVault("eu", atToday), newVault("us", atToday)
	eu.put("db", made(9*day, "a"))
	eu.softDelete("db")
	plan := mustPlan(t, []declaration.Secret{secret("db", "eu", "us")}, map[string]provision.Vault{"eu": eu, "us": us},
		provision.Options{Mode: ensure, RecoverDeleted: true})
	got := []string{says(plan.Steps[0]), says(plan.Steps[1])}
	want := []string{"recover: soft-deleted: it is recovered first", "create: did not exist"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTieOfOneSecond(t *testing.T) {
	for _, test := range []struct {
		when  string
		past  []lifecycle.Version // in the order of their making
		want  int                 // index in past of the current one; -1: refused
		asked bool                // whether the vault's list is asked
	}{
		{"two operations", []lifecycle.Version{made(day, "a"), made(day, "b")}, 1, true},
		{"two operations, the other way round", []lifecycle.Version{made(day, "b"), made(day, "a")}, 1, true},
		{"ours and theirs", []lifecycle.Version{made(day, "a"), theirs(day)}, 1, true},
		{"theirs and ours", []lifecycle.Version{theirs(day), made(day, "a")}, 1, true},
		{"ours and theirs, and an older one tagged alike",
			[]lifecycle.Version{theirs(2 * day), made(day, "a"), theirs(day)}, 2, true},
		{"theirs twice, alike", []lifecycle.Version{theirs(day), theirs(day)}, -1, true},
		{"the first is disabled", []lifecycle.Version{disabled(made(day, "a")), made(day, "b")}, 1, true},
		{"one operation, the first disabled", []lifecycle.Version{disabled(made(day, "a")), made(day, "a")}, -1, true},
		{"an older second", []lifecycle.Version{made(day+time.Second, "a"), made(day, "b")}, 1, false},
		{"the vault's current is disabled and tagged like one",
			[]lifecycle.Version{made(day, "a"), theirs(day), disabled(made(day, "a"))}, -1, true},
	} {
		t.Run(test.when, func(t *testing.T) {
			kv := newVault("kv", atToday)
			var ids []string
			for _, v := range test.past {
				ids = append(ids, kv.put("db", v).ID)
			}
			plan := mustPlan(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv},
				provision.Options{Mode: ensure})
			step := plan.Steps[0]
			if test.want < 0 {
				if step.Change != provision.Refuse ||
					!strings.Contains(step.Refusal.Cause, "made in the same second") || step.Before.Version != "" {
					t.Errorf("got %s, current %q", says(step), step.Before.Version)
				}
			} else if step.Change != provision.Keep || step.Before.Version != ids[test.want] {
				t.Errorf("got %s, current %s; want %s of %s", says(step), step.Before.Version, ids[test.want], ids)
			}
			if got := kv.calls["current"] > 0; got != test.asked {
				t.Errorf("the vault's list was asked: %t, want %t", got, test.asked)
			}
		})
	}
}

// A secret that is not in the vault's list has no tags there; a version without tags is not told from it.
func TestTieThatIsNotListed(t *testing.T) {
	kv := newVault("kv", atToday)
	kv.put("db", made(day, "a"))
	kv.put("db", lifecycle.Version{Created: today.Add(-day), Enabled: true})
	plan := mustPlan(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": unlisting{kv}},
		provision.Options{Mode: ensure})
	if plan.Steps[0].Change != provision.Refuse {
		t.Errorf("got %s", says(plan.Steps[0]))
	}
}

// An unlisting vault does not list what it has.
type unlisting struct{ *vault }

func (unlisting) Current(context.Context, string) (map[string]string, bool, error) {
	return nil, false, nil
}

// Two versions of one operation hold one value: either may stand for both, and nothing is asked.
func TestTieOfOneOperation(t *testing.T) {
	kv := newVault("kv", atToday)
	a, b := kv.put("db", made(day, "a")), kv.put("db", made(day, "a"))
	plan := mustPlan(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: ensure})
	if id := plan.Steps[0].Before.Version; plan.Steps[0].Change != provision.Keep || id != a.ID && id != b.ID ||
		kv.calls["current"] != 0 {
		t.Errorf("got %s, current %s, calls %v", says(plan.Steps[0]), id, kv.calls)
	}
}

func TestLookUpThatFails(t *testing.T) {
	refused := func(kind refusal.Kind, status int) error {
		seen := refusal.Refusal{Kind: kind, Cause: "what was seen", Remedy: "what to do", Trace: "request ID r1"}
		return fmt.Errorf("wrapped: %w", &keyvault.Error{Refusal: seen, Status: status})
	}
	const first, second = "a", "b"
	for _, test := range []struct {
		when   string
		at     string // the operation that fails
		name   string
		err    error
		want   string // of the first secret
		others string // of the second
	}{
		{"forbidden", "versions", first, refused(refusal.Forbidden, 403),
			"refuse: looking it up: what was seen (request ID r1) -> what to do", "create: did not exist"},
		{"not found, but not cleanly", "versions", first, refused(refusal.NotFound, 404),
			"refuse: looking it up: what was seen (request ID r1) -> what to do", "create: did not exist"},
		{"out of order", "versions", first, refused(refusal.Other, 503),
			"refuse: looking it up: what was seen (request ID r1) -> what to do", "create: did not exist"},
		{"another error", "versions", first, errors.New("strange"), "refuse: looking it up: strange",
			"create: did not exist"},
		{"unreachable", "versions", first, refused(refusal.Unreachable, 0),
			"refuse: looking it up: what was seen (request ID r1) -> what to do",
			"refuse: looking it up: what was seen (request ID r1) -> what to do"},
		{"no access token", "versions", first, refused(refusal.Identity, 0),
			"refuse: looking it up: what was seen (request ID r1) -> what to do",
			"refuse: looking it up: what was seen (request ID r1) -> what to do"},
		{"access token refused", "versions", first, refused(refusal.Other, http.StatusUnauthorized),
			"refuse: looking it up: what was seen (request ID r1) -> what to do",
			"refuse: looking it up: what was seen (request ID r1) -> what to do"},
		{"unreachable for the second only", "versions", second, refused(refusal.Unreachable, 0),
			"create: did not exist", "refuse: looking it up: what was seen (request ID r1) -> what to do"},
		{"deleted ones not told", "deleted", "", refused(refusal.Forbidden, 403),
			"refuse: looking for it among the soft-deleted secrets: what was seen (request ID r1) -> what to do",
			"refuse: looking for it among the soft-deleted secrets: what was seen (request ID r1) -> what to do"},
		{"the run is over", "versions", first, context.Canceled,
			"refuse: looking it up: the run was stopped -> run the job again", "create: did not exist"},
	} {
		t.Run(test.when, func(t *testing.T) {
			kv := newVault("kv", atToday)
			kv.before = func(_ context.Context, operation, name string) error {
				if operation == test.at && name == test.name {
					return test.err
				}
				return nil
			}
			secrets := []declaration.Secret{secret(first), secret(second), secret("c")}
			for _, mode := range []provision.Mode{ensure, rotate, force} {
				plan := mustPlan(t, secrets, map[string]provision.Vault{"kv": kv},
					provision.Options{Mode: mode, Adopt: true, RecoverDeleted: true})
				got := []string{says(plan.Steps[0]), says(plan.Steps[1])}
				if diff := cmp.Diff([]string{test.want, test.others}, got); diff != "" {
					t.Errorf("%s: -want +got\n%s", mode, diff)
				}
			}
		})
	}
}

func TestTieThatCannotBeLookedUp(t *testing.T) {
	kv := newVault("kv", atToday)
	kv.put("db", made(day, "a"))
	kv.put("db", made(day, "b"))
	kv.before = func(_ context.Context, operation, name string) error {
		if operation == "current" {
			return kv.refusal("listing", name, refusal.Forbidden)
		}
		return nil
	}
	plan := mustPlan(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: force, Adopt: true})
	if got, want := says(plan.Steps[0]), "refuse: finding its current version: seen by the vault -> what to "+
		"do"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPlanAfterAStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kv := newVault("kv", atToday)
	plan, err := provision.MakePlan(ctx, []declaration.Secret{secret("a"), secret("b")},
		map[string]provision.Vault{"kv": kv}, provision.Options{Mode: force})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range plan.Steps {
		if got, want := says(step), "refuse: the run was stopped before this was looked up -> run the job "+
			"again"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if len(kv.calls) > 0 {
		t.Errorf("requests after the stop: %v", kv.calls)
	}
}

func TestMistakesOfTheCaller(t *testing.T) {
	kv := newVault("kv", atToday)
	if _, err := provision.MakePlan(t.Context(), nil, map[string]provision.Vault{}, provision.Options{}); err == nil {
		t.Error("no mode: no error")
	}
	_, err := provision.MakePlan(t.Context(), []declaration.Secret{secret("a", "other")},
		map[string]provision.Vault{"kv": kv}, provision.Options{Mode: ensure})
	if err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a vault that is not given: %v", err)
	}
}

// Two hundred secrets with nothing to do: one list each, the first of each vault alone, and nothing else.
func TestRequestsOfAPlan(t *testing.T) {
	vaults := map[string]provision.Vault{}
	all := []*vault{newVault("eu", atToday), newVault("us", atToday)}
	for _, kv := range all {
		vaults[kv.name] = kv
		begun, ended := 0, false
		kv.before = func(_ context.Context, operation, _ string) error {
			kv.mu.Lock()
			begun++
			if begun > 1 && !ended {
				t.Errorf("%s: a second request before the first had ended", kv.name)
			}
			first := begun == 1
			kv.mu.Unlock()
			if first {
				time.Sleep(time.Millisecond) // long enough for others to come, were they let
				kv.mu.Lock()
				ended = true
				kv.mu.Unlock()
			}
			return nil
		}
	}
	var secrets []declaration.Secret
	for i := range 200 {
		s := secret(fmt.Sprintf("s%d", i), "eu", "us")
		for _, kv := range all {
			kv.put(s.Name, made(9*day, s.Name))
		}
		secrets = append(secrets, s)
	}
	mustPlan(t, secrets, vaults, provision.Options{Mode: rotate, Concurrency: 16})
	for _, kv := range all {
		if kv.calls["versions"] != 200 || kv.calls["deleted"]+kv.calls["current"] != 0 {
			t.Errorf("%s: %d version lists, %d of deleted secrets, %d of all", kv.name, kv.calls["versions"],
				kv.calls["deleted"], kv.calls["current"])
		}
	}
}

func TestDeletedAreListedOnce(t *testing.T) {
	eu, us := newVault("eu", atToday), newVault("us", atToday)
	us.put("c", made(9*day, "c"))
	secrets := []declaration.Secret{secret("a", "eu"), secret("b", "eu"), secret("c", "us")}
	mustPlan(t, secrets, map[string]provision.Vault{"eu": eu, "us": us}, provision.Options{Mode: ensure})
	if eu.calls["deleted"] != 1 || us.calls["deleted"] != 0 {
		t.Errorf("listed %d times where two are missing, %d times where none is", eu.calls["deleted"],
			us.calls["deleted"])
	}
}

func TestStepsAreInOrder(t *testing.T) {
	vaults := map[string]provision.Vault{"eu": newVault("eu", atToday), "us": newVault("us", atToday)}
	plan := mustPlan(t, []declaration.Secret{secret("b", "us", "eu"), secret("a", "eu")}, vaults,
		provision.Options{Mode: ensure})
	var got []string
	for _, s := range plan.Steps {
		got = append(got, s.Name+" "+s.Vault)
	}
	if want := []string{"b us", "b eu", "a eu"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSuperseded(t *testing.T) {
	now, later := time.Duration(0), 24*time.Hour
	for _, test := range []struct {
		when  string
		mode  provision.Mode
		after time.Duration
		past  []lifecycle.Version
		want  []int // of past
	}{
		{"the current one is old enough", rotate, later, []lifecycle.Version{made(9*day, "a"), made(day, "b")},
			[]int{0}},
		{"the current one is young", rotate, later, []lifecycle.Version{made(9*day, "a"), made(day-time.Second, "b")},
			nil},
		{"ensure disables nothing", ensure, later, []lifecycle.Version{made(9*day, "a"), made(day, "b")}, nil},
		{"a foreign one stays", rotate, later, []lifecycle.Version{theirs(9 * day), made(8*day, "a"), made(day, "b")},
			[]int{1}},
		{"one that is disabled stays", rotate, later, []lifecycle.Version{disabled(made(9*day, "a")), made(day, "b")},
			nil},
		{"under a foreign one all stay", rotate, later, []lifecycle.Version{made(9*day, "a"), theirs(day)}, nil},
		{"a duplicate of the current one stays", rotate, later,
			[]lifecycle.Version{made(9*day, "a"), made(day+time.Second, "b"), made(day, "b")}, []int{0}},
		{"the loser of a tie goes", rotate, later, []lifecycle.Version{made(day, "a"), made(day, "b")}, []int{0}},
		{"all go when a new one comes, at once", force, now,
			[]lifecycle.Version{theirs(9 * day), made(8*day, "a"), made(day, "b")}, []int{1, 2}},
		{"at once, nothing due", rotate, now, []lifecycle.Version{made(8*day, "a"), made(day, "b")}, []int{0}},
		{"older ones go when a new one comes, later", force, later,
			[]lifecycle.Version{made(9*day, "a"), made(day, "b")}, []int{0}},
		{"none is old enough when a new one comes", force, later,
			[]lifecycle.Version{made(9*day, "a"), made(time.Hour, "b")}, nil},
	} {
		t.Run(string(test.mode)+": "+test.when, func(t *testing.T) {
			s := secret("db")
			s.Superseded = &lifecycle.Superseded{DisableAfter: test.after}
			kv := newVault("kv", atToday)
			var want []string
			for i, v := range test.past {
				id := kv.put("db", v).ID
				if slices.Contains(test.want, i) {
					want = append(want, id)
				}
			}
			slices.Sort(want)
			plan := mustPlan(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv},
				provision.Options{Mode: test.mode})
			if got := plan.Steps[0].Disable; !slices.Equal(got, want) {
				t.Errorf("disables %v, want %v; of %v", got, want, kv.holds("db"))
			}
		})
	}
}

func TestDatesAndWarnings(t *testing.T) {
	s := secret("db")
	s.Expires, s.Rotate = 90*day, lifecycle.Rotate{After: 60 * day, BeforeExpiry: 14 * day}
	kv := newVault("kv", atToday)
	for i := range 450 {
		kv.put("db", expiring(made(500*day-time.Duration(i)*day, fmt.Sprint(i)), -400*day+time.Duration(i)*day))
	}
	vaults := map[string]provision.Vault{"kv": kv}

	kept := mustPlan(t, []declaration.Secret{s}, vaults, provision.Options{Mode: ensure}).Steps[0]
	if kept.Versions != 450 || !kept.After.Next.Equal(today.Add(9*day)) ||
		!kept.After.Expires.Equal(today.Add(49*day)) {
		t.Errorf("kept: %d versions, next %s, expires %s", kept.Versions, kept.After.Next, kept.After.Expires)
	}
	if len(kept.Warnings) != 1 || !strings.HasPrefix(kept.Warnings[0], "450 of 500 versions") {
		t.Errorf("kept: warnings %q", kept.Warnings)
	}
	forced := mustPlan(t, []declaration.Secret{s}, vaults, provision.Options{Mode: force}).Steps[0]
	if !forced.After.Expires.Equal(today.Add(90*day)) || !forced.After.Next.Equal(today.Add(60*day)) {
		t.Errorf("forced: expires %s, next %s", forced.After.Expires, forced.After.Next)
	}
	if len(forced.Warnings) != 1 || !strings.HasPrefix(forced.Warnings[0], "451 of 500 versions") {
		t.Errorf("forced: warnings %q", forced.Warnings)
	}

	s.Rotate.BeforeExpiry = 45 * day
	early := mustPlan(t, []declaration.Secret{s}, vaults, provision.Options{Mode: ensure}).Steps[0]
	if !early.After.Next.Equal(today.Add(-6 * day)) { // 45 days before the declared expiry, which is the earlier one
		t.Errorf("expiry before age: next %s", early.After.Next)
	}

	old, soon, later := secret("old"), secret("soon"), secret("later")
	kv.put("soon", expiring(made(100*day, "x"), 5*day))
	kv.put("later", expiring(made(100*day, "x"), 31*day))
	kv.put("old", expiring(made(100*day, "x"), -10*day))
	far := secret("far")
	far.Expires = 13 * 365 * day
	plan := mustPlan(t, []declaration.Secret{old, soon, later, far}, vaults, provision.Options{Mode: rotate})
	var got []string
	for _, step := range plan.Steps {
		got = append(got, step.Warnings...)
	}
	want := []string{"expired 10d ago; declare rotate and run with mode: rotate, or run with mode: force for a new " +
		"version", "expires in 5d, before any declared rotation; declare rotate.before-expiry, or run with mode: " +
		"force for a new version", "expires after 2038-01-19, the last date that Key Vault's interface is declared for"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The vault's clock counts, and each vault's own.
func TestTheVaultsClock(t *testing.T) {
	s := secret("db", "eu", "us")
	s.Rotate.After = 60 * day
	eu := newVault("eu", atToday)
	us := newVault("us", func() time.Time { return today.Add(2 * day) })
	eu.put("db", made(59*day, "a"))
	us.put("db", made(59*day, "a"))
	plan := mustPlan(t, []declaration.Secret{s}, map[string]provision.Vault{"eu": eu, "us": us},
		provision.Options{Mode: rotate})
	if got, want := says(plan.Steps[0]), "rotate (age): made 61d ago, rotate after 60d"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A plan tells the policy and entropy of the value that is there, which the declaration's are only where it was made to
// it.
func TestPolicyOfWhatIsKept(t *testing.T) {
	for name, test := range map[string]struct {
		past            lifecycle.Version
		policy, entropy string
	}{
		"made to the declared policy": {made(day, "a"), policy, "192.84"},
		"made to another":             {tagged(made(day, "a"), "policy", "pin@ff"), "pin@ff", ""},
		"made by somebody":            {theirs(day), "", ""},
	} {
		kv := newVault("kv", atToday)
		kv.put("db", test.past)
		step := mustPlan(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv},
			provision.Options{Mode: ensure}).Steps[0]
		if string(step.Policy) != test.policy || step.Bits != test.entropy {
			t.Errorf("%s: policy %q of %q; want %q of %q", name, step.Policy, step.Bits, test.policy, test.entropy)
		}
	}
	kv := newVault("kv", atToday)
	step := mustPlan(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: ensure}).Steps[0]
	if step.Policy != policy || step.Bits != "192.84" {
		t.Errorf("created: policy %q of %q", step.Policy, step.Bits)
	}
}
