package provision_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

// apply plans and applies, and returns the results in order.
func apply(t testing.TB, secrets []declaration.Secret, vaults map[string]provision.Vault,
	o provision.Options) []provision.Result {
	t.Helper()
	return mustPlan(t, secrets, vaults, o).Apply(t.Context(), vaults, o, provision.Observer{})
}

func TestCreate(t *testing.T) {
	s := secret("db")
	s.ContentType, s.Expires, s.NotBefore = "password", 90*day, time.Hour
	s.Tags = map[string]string{"owner": "data"}
	kv := newVault("kv", func() time.Time { return today.Add(time.Second / 3) }) // Key Vault keeps whole seconds
	result := apply(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: ensure, Run: "o/r/7/1"})[0]
	if result.Err != nil || !result.Changed {
		t.Fatalf("got %+v", result)
	}
	got := kv.holds("db")[0]
	if result.After.Version != got.ID || !result.After.Expires.Equal(today.Add(90*day)) {
		t.Errorf("the result says version %s, expiry %s; the vault holds %s", result.After.Version,
			result.After.Expires, got.ID)
	}
	operation := got.Tags["operation"]
	if len(operation) != 32 {
		t.Errorf("operation %q is not 16 bytes in hexadecimal", operation)
	}
	want := lifecycle.Version{
		ID: got.ID, Created: today, Enabled: true, Expires: today.Add(90 * day), NotBefore: today.Add(time.Hour),
		ContentType: "password",
		Tags: map[string]string{"generated-by": "keyvault-passwords", "policy": policy, "operation": operation,
			"run": "o/r/7/1", "owner": "data"},
	}
	if diff := cmp.Diff(want, got.Version); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(got.value) != 32 {
		t.Errorf("the value has %d characters", len(got.value))
	}
}

func TestTagsOfANewVersion(t *testing.T) {
	many := func(n int) map[string]string {
		tags := own("a")
		for i := range n {
			tags[fmt.Sprintf("x%02d", i)] = "kept"
		}
		return tags
	}
	for _, test := range []struct {
		when     string
		current  map[string]string
		declared map[string]string
		want     []string // beside the action's own
		warning  string
	}{
		{"none", own("a"), nil, nil, ""},
		{"kept", many(2), nil, []string{"x00=kept", "x01=kept"}, ""},
		{"declared anew", many(2), map[string]string{"x01": "new"}, []string{"x00=kept", "x01=new"}, ""},
		{"declared anew in another letter case", many(2), map[string]string{"X01": "new"},
			[]string{"X01=new", "x00=kept"}, ""},
		{"the action's own in another letter case", map[string]string{"Operation": "b", "Generated-By": "x",
			"generated-by": "keyvault-passwords"}, nil, nil, ""},
		{"how az encoded the old value",
			map[string]string{"file-encoding": "base64", "generated-by": "keyvault-passwords"}, nil, nil, ""},
		{"as many as fit", many(11), nil, []string{"x00=kept", "x01=kept", "x02=kept", "x03=kept", "x04=kept",
			"x05=kept", "x06=kept", "x07=kept", "x08=kept", "x09=kept", "x10=kept"}, ""},
		{"more than fit", many(11), map[string]string{"a": "1", "b": "2"},
			[]string{"a=1", "b=2", "x00=kept", "x01=kept", "x02=kept", "x03=kept", "x04=kept", "x05=kept", "x06=kept",
				"x07=kept", "x08=kept"},
			"Key Vault takes 15 tags: these of the current version are not carried over: x09, x10"},
	} {
		t.Run(test.when, func(t *testing.T) {
			s := secret("db")
			s.Tags = test.declared
			kv := newVault("kv", atToday)
			kv.put("db", lifecycle.Version{Created: today.Add(-day), Enabled: true, Tags: test.current})
			result := apply(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv},
				provision.Options{Mode: force, Run: "o/r/7/1"})[0]
			if result.Err != nil {
				t.Fatal(result.Err)
			}
			tags := kv.holds("db")[1].Tags
			for _, name := range []string{"generated-by", "policy", "operation", "run"} {
				if tags[name] == "" || name == "operation" && tags[name] == test.current[name] {
					t.Errorf("tag %s is %q", name, tags[name])
				}
				delete(tags, name)
			}
			var got []string
			for _, name := range slices.Sorted(maps.Keys(tags)) {
				got = append(got, name+"="+tags[name])
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if got := strings.Join(result.Step.Warnings, "\n"); got != test.warning {
				t.Errorf("warnings %q, want %q", got, test.warning)
			}
		})
	}
}

// A set that creates carries nothing over, and one after a recovery what the deleted secret had.
func TestTagsAfterARecovery(t *testing.T) {
	kv := newVault("kv", atToday)
	kv.put("db", tagged(made(9*day, "a"), "owner", "data"))
	kv.softDelete("db")
	result := apply(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: ensure, RecoverDeleted: true})[0]
	versions := kv.holds("db")
	if result.Err != nil || len(versions) != 2 || versions[1].ID != result.After.Version ||
		versions[1].Tags["owner"] != "data" {
		t.Errorf("got %+v; the vault holds %+v", result.Err, versions)
	}
}

func TestOneValueInAllVaults(t *testing.T) {
	eu, us := newVault("eu", atToday), newVault("us", atToday)
	eu.put("db", made(9*day, "a"))
	vaults := map[string]provision.Vault{"eu": eu, "us": us}
	for _, result := range apply(t, []declaration.Secret{secret("db", "eu", "us")}, vaults,
		provision.Options{Mode: rotate}) {
		if result.Err != nil || !result.Changed {
			t.Errorf("%s: %+v", result.Step.Vault, result)
		}
	}
	inEU, inUS := current(eu.holds("db")), current(us.holds("db"))
	if inEU.value != inUS.value || inEU.Tags["operation"] != inUS.Tags["operation"] {
		t.Error("the vaults do not hold the same value under the same operation")
	}
	if plan := mustPlan(t, []declaration.Secret{secret("db", "eu", "us")}, vaults,
		provision.Options{Mode: rotate}); plan.Steps[0].Change != provision.Keep {
		t.Errorf("planned again: %s", says(plan.Steps[0]))
	}
}

func TestComposite(t *testing.T) {
	template, problems := composite.Parse("${login}:${key}/${salt}")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := secret("db")
	s.Parts = []declaration.Part{{Name: "key", Space: compiled}, {Name: "salt", Space: compiled}}
	s.Value, s.Login = template, "app"
	kv := newVault("kv", atToday)
	result := apply(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: ensure})[0]
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	key, salt, _ := strings.Cut(strings.TrimPrefix(kv.holds("db")[0].value, "app:"), "/")
	if len(key) != 32 || len(salt) != 32 || key == salt {
		t.Errorf("the parts have %d and %d characters", len(key), len(salt))
	}
	if !strings.Contains(result.Step.Bits, " + ") {
		t.Errorf("entropy %q is not told part by part", result.Step.Bits)
	}
}

// refusing makes one operation of a vault fail.
func refusing(kv *vault, operation string, kind refusal.Kind) {
	kv.before = func(_ context.Context, called, name string) error {
		if called == operation {
			return kv.refusal(operation, name, kind)
		}
		return nil
	}
}

func TestWhatFailsIsTold(t *testing.T) {
	type outcome struct {
		Version  string // "old", "new" or ""
		Changed  bool
		Disabled int
		Err      string
	}
	supersede := func(s *declaration.Secret) { s.Superseded = &lifecycle.Superseded{} }
	for _, test := range []struct {
		when    string
		declare func(*declaration.Secret)
		deleted bool
		fails   string
		kind    refusal.Kind
		want    outcome
	}{
		{"nothing", nil, false, "", 0, outcome{"new", true, 0, ""}},
		{"the set", nil, false, "set", refusal.Forbidden,
			outcome{"old", false, 0, "setting it: seen by the vault; what to do"}},
		{"the set, superseded ones stay", supersede, false, "set", refusal.Forbidden,
			outcome{"old", false, 0, "setting it: seen by the vault; what to do"}},
		{"the set, it is not known how", nil, false, "set", refusal.Ambiguous,
			outcome{"", false, 0, "setting it: seen by the vault; what to do"}},
		{"the recovery", nil, true, "recover", refusal.Forbidden,
			outcome{"", false, 0, "recovering it: seen by the vault; what to do"}},
		{"the recovery, otherwise", nil, true, "recover", refusal.BeingDeleted,
			outcome{"", false, 0, "recovering it: seen by the vault; what to do"}},
		{"the set after the recovery", nil, true, "set", refusal.Forbidden,
			outcome{"old", false, 0, "setting it: seen by the vault; what to do"}},
		{"disabling", supersede, false, "disable", refusal.Forbidden,
			outcome{"new", true, 0, "disabling superseded version ID: seen by the vault; what to do"}},
		{"nothing, superseded ones go", supersede, false, "", 0, outcome{"new", true, 2, ""}},
	} {
		t.Run(test.when, func(t *testing.T) {
			s := secret("db")
			if test.declare != nil {
				test.declare(&s)
			}
			kv := newVault("kv", atToday)
			older := kv.put("db", made(10*day, "x"))
			old := kv.put("db", made(9*day, "a"))
			if test.deleted {
				kv.softDelete("db")
			}
			refusing(kv, test.fails, test.kind)
			result := apply(t, []declaration.Secret{s}, map[string]provision.Vault{"kv": kv},
				provision.Options{Mode: force, RecoverDeleted: true})[0]
			got := outcome{Changed: result.Changed, Disabled: len(result.Disabled)}
			switch versions := kv.holds("db"); {
			case result.After.Version == "":
			case result.After.Version == old.ID:
				got.Version = "old"
			case result.After.Version == current(versions).ID && len(versions) == 3:
				got.Version = "new"
			default:
				got.Version = result.After.Version
			}
			if result.Err != nil {
				got.Err = strings.NewReplacer(old.ID, "ID", older.ID, "ID").Replace(result.Err.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// After an end that is not known, a version of the operation that is there after all is found.
func TestStoredAfterAll(t *testing.T) {
	kv := newVault("kv", atToday)
	late := lateVault{kv}
	result := apply(t, []declaration.Secret{secret("db")}, map[string]provision.Vault{"kv": late},
		provision.Options{Mode: ensure})[0]
	if versions := kv.holds("db"); result.Err == nil || !result.Changed || len(versions) != 1 ||
		result.After.Version != versions[0].ID {
		t.Errorf("got %+v; the vault holds %d versions", result, len(versions))
	}
}

// A lateVault stores and does not know it.
type lateVault struct{ *vault }

func (v lateVault) Set(ctx context.Context, name string, n keyvault.NewVersion) (keyvault.Stored, error) {
	if _, err := v.vault.Set(ctx, name, n); err != nil {
		return keyvault.Stored{}, err
	}
	return keyvault.Stored{}, v.refusal("setting", name, refusal.Ambiguous)
}

func TestOneVaultFailsTheOthersGoOn(t *testing.T) {
	eu, us := newVault("eu", atToday), newVault("us", atToday)
	refusing(eu, "set", refusal.Forbidden)
	vaults := map[string]provision.Vault{"eu": eu, "us": us}
	results := apply(t, []declaration.Secret{secret("db", "eu", "us"), secret("web", "us")}, vaults,
		provision.Options{Mode: ensure})
	if results[0].Err == nil || results[0].After.Version != "" || results[1].Err != nil ||
		results[1].After.Version == "" || results[2].Err != nil {
		t.Errorf("got %v", results)
	}
}

func TestKeptAndRefused(t *testing.T) {
	kv := newVault("kv", atToday)
	kept, foreign := kv.put("kept", expiring(made(9*day, "a"), day)), kv.put("foreign", theirs(9*day))
	s, f := secret("kept"), secret("foreign")
	f.Rotate.After = day
	var ended []string
	plan := mustPlan(t, []declaration.Secret{secret("new"), s, f}, map[string]provision.Vault{"kv": kv},
		provision.Options{Mode: rotate})
	calls := kv.calls["versions"]
	results := plan.Apply(t.Context(), map[string]provision.Vault{"kv": kv}, provision.Options{Mode: rotate},
		provision.Observer{Ended: func(r provision.Result) {
			ended = append(ended, r.Step.Name)
		}})
	if results[1].After.Version != kept.ID || results[1].Changed || results[1].Err != nil ||
		!results[1].After.Expires.Equal(today.Add(day)) {
		t.Errorf("kept: %+v", results[1])
	}
	if results[2].After.Version != foreign.ID || refusal.Of(results[2].Err) != results[2].Step.Refusal ||
		results[2].Err == nil {
		t.Errorf("refused: %+v", results[2])
	}
	if want := []string{"kept", "foreign", "new"}; !slices.Equal(ended, want) {
		t.Errorf("ended in the order %v, want %v", ended, want)
	}
	if kv.calls["set"] != 1 || kv.calls["versions"] != calls {
		t.Errorf("requests %v", kv.calls)
	}
}

func TestApplyAfterAStop(t *testing.T) {
	kv := newVault("kv", atToday)
	old := kv.put("old", made(9*day, "a"))
	kept := kv.put("kept", made(9*day, "k"))
	s := secret("old")
	s.Rotate.After = day
	vaults := map[string]provision.Vault{"kv": kv}
	plan := mustPlan(t, []declaration.Secret{s, secret("new"), secret("kept")}, vaults, provision.Options{Mode: rotate})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	results := plan.Apply(ctx, vaults, provision.Options{Mode: rotate}, provision.Observer{})
	for i, want := range []string{old.ID, "", kept.ID} {
		stopped := results[i].Err != nil &&
			results[i].Err.Error() == "the run was stopped before this was started; run the job again"
		if results[i].After.Version != want || results[i].Changed || stopped != (i < 2) {
			t.Errorf("%s: %+v", results[i].Step.Name, results[i])
		}
	}
	if kv.calls["set"] != 0 {
		t.Error("set after the stop")
	}
}

// A stop while secrets are in flight: those end and are reported, the rest is not started, nothing superseded is
// disabled.
func TestStopInFlight(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	kv := newVault("kv", atToday)
	finishing := finishingVault{kv, cancel}
	vaults := map[string]provision.Vault{"kv": finishing}
	var secrets []declaration.Secret
	for i := range 10 {
		s := secret(fmt.Sprintf("s%d", i))
		s.Superseded = &lifecycle.Superseded{}
		kv.put(s.Name, made(9*day, s.Name))
		secrets = append(secrets, s)
	}
	o := provision.Options{Mode: force, Concurrency: 1}
	results := mustPlan(t, secrets, vaults, o).Apply(ctx, vaults, o, provision.Observer{})
	if !results[0].Changed || results[0].After.Version != current(kv.holds("s0")).ID || len(results[0].Disabled) > 0 ||
		results[0].Err == nil {
		t.Errorf("in flight: %+v", results[0])
	}
	for _, result := range results[1:] {
		if result.Changed || result.Err == nil || result.After.Version != kv.holds(result.Step.Name)[0].ID {
			t.Errorf("%s: %+v", result.Step.Name, result)
		}
	}
}

// A finishingVault is stopped during a set, and ends it, as the real one does within its grace.
type finishingVault struct {
	*vault
	stop func()
}

func (v finishingVault) Set(ctx context.Context, name string, n keyvault.NewVersion) (keyvault.Stored, error) {
	v.stop()
	return v.vault.Set(context.WithoutCancel(ctx), name, n)
}

// No more secrets are in flight than asked for, no fewer where there is work, and results come one at a time.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv := newVault("kv", time.Now)
		var flying, most, telling atomic.Int32
		kv.before = func(_ context.Context, operation, _ string) error {
			if operation == "set" {
				now := flying.Add(1)
				for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
				}
				time.Sleep(time.Second)
				flying.Add(-1)
			}
			return nil
		}
		var secrets []declaration.Secret
		for i := range 50 {
			secrets = append(secrets, secret(fmt.Sprintf("s%d", i)))
		}
		vaults := map[string]provision.Vault{"kv": kv}
		o := provision.Options{Mode: ensure, Concurrency: 5}
		told := 0
		mustPlan(t, secrets, vaults, o).Apply(t.Context(), vaults, o,
			provision.Observer{Ended: func(r provision.Result) {
				if telling.Add(1) != 1 {
					t.Error("two results at once")
				}
				runtime.Gosched()
				telling.Add(-1)
				told++
				if r.Elapsed < time.Second {
					t.Errorf("%s took %s", r.Step.Name, r.Elapsed)
				}
			}})
		if most.Load() != 5 || told != 50 {
			t.Errorf("%d in flight, %d told; want 5, 50", most.Load(), told)
		}
	})
}

// A slow vault holds up its own secrets only: those of the other vault, declared after all of its own, are done as fast
// as half of the places in flight allow.
func TestASlowVaultHoldsUpItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := newVault("slow", time.Now), newVault("quick", time.Now)
		slow.before = func(_ context.Context, operation, _ string) error {
			if operation == "set" {
				time.Sleep(time.Hour)
			}
			return nil
		}
		quick.before = func(_ context.Context, operation, _ string) error {
			if operation == "set" {
				time.Sleep(time.Second)
			}
			return nil
		}
		var secrets []declaration.Secret
		for _, name := range []string{"slow", "quick"} {
			for i := range 40 {
				secrets = append(secrets, secret(fmt.Sprintf("%s%d", name, i), name))
			}
		}
		vaults := map[string]provision.Vault{"slow": slow, "quick": quick}
		o := provision.Options{Mode: ensure, Concurrency: 8}
		start, last := time.Now(), time.Duration(0)
		mustPlan(t, secrets, vaults, o).Apply(t.Context(), vaults, o,
			provision.Observer{Ended: func(r provision.Result) {
				if r.Step.Vault == "quick" {
					last = time.Since(start)
				}
			}})
		if last > 11*time.Second { // the first of them goes alone for half a second
			t.Errorf("the quick vault's 40 secrets of 1 s each were done after %s, want 11 s", last)
		}
	})
}

// The old versions of a secret stay enabled in all of its vaults until all of them have the new one: before, they may
// be the only value that all vaults hold.
func TestAGroupDisablesTogether(t *testing.T) {
	for _, fails := range []bool{false, true} {
		eu, us := newVault("eu", atToday), newVault("us", atToday)
		s := secret("db", "eu", "us")
		s.Superseded = &lifecycle.Superseded{}
		for _, kv := range []*vault{eu, us} {
			kv.put("db", made(9*day, "a"))
		}
		us.before = func(_ context.Context, operation, name string) error {
			if operation == "set" && fails {
				return us.refusal(operation, name, refusal.Other)
			}
			return nil
		}
		vaults := map[string]provision.Vault{"eu": eu, "us": us}
		got := apply(t, []declaration.Secret{s}, vaults, provision.Options{Mode: force})
		want, lacking := 1, ""
		if fails {
			want, lacking = 0, "us"
		}
		if len(got[0].Disabled) != want || !got[0].Changed || got[0].Lacking != lacking || got[1].Changed == fails {
			t.Errorf("us fails: %t: %+v", fails, got)
		}
	}
}

// What an earlier attempt of the same run made is of the run, also where this attempt fails or stops early.
func TestOfTheRun(t *testing.T) {
	kv := newVault("kv", atToday)
	for _, name := range []string{"kept", "failing"} {
		kv.put(name, tagged(made(time.Hour, name), "run", "o/r/7/1"))
	}
	kv.put("old", made(day, "x"))
	secrets := []declaration.Secret{secret("kept"), secret("failing"), secret("old"), secret("new")}
	secrets[1].Rotate.After = time.Hour
	kv.before = func(_ context.Context, operation, name string) error {
		if operation == "set" && name == "failing" {
			return kv.refusal(operation, name, refusal.Other)
		}
		return nil
	}
	results := apply(t, secrets, map[string]provision.Vault{"kv": kv}, provision.Options{Mode: rotate, Run: "o/r/7/2"})
	for i, want := range []struct{ changed, ofRun bool }{{false, true}, {false, true}, {false, false}, {true, true}} {
		if results[i].Changed != want.changed || results[i].OfRun != want.ofRun {
			t.Errorf("%s: %+v; want %+v", results[i].Step.Name, results[i], want)
		}
	}
}

// A version is told as soon as it is stored, before what follows it has ended.
func TestStoredIsToldAtOnce(t *testing.T) {
	kv := newVault("kv", atToday)
	s := secret("db")
	s.Superseded = &lifecycle.Superseded{}
	kv.put("db", made(9*day, "a"))
	var order []string
	kv.before = func(_ context.Context, operation, _ string) error {
		order = append(order, operation)
		return nil
	}
	vaults := map[string]provision.Vault{"kv": kv}
	o := provision.Options{Mode: force}
	mustPlan(t, []declaration.Secret{s}, vaults, o).Apply(t.Context(), vaults, o, provision.Observer{
		Stored: func(r provision.Result) { order = append(order, "stored "+r.After.Version[:4]) },
		Ended:  func(provision.Result) { order = append(order, "ended") },
	})
	want := []string{"versions", "set", "stored " + current(kv.holds("db")).ID[:4], "disable", "ended"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
