package lifecycle_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/lifecycle"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// made returns an enabled version that this action made so long ago, in the operation that is its ID's first letter.
func made(id string, age time.Duration) lifecycle.Version {
	return lifecycle.Version{
		ID: id, Created: now.Add(-age), Enabled: true, Tags: lifecycle.NewTags("default@1", nil, nil, id[:1], ""),
	}
}

func theirs(id string, age time.Duration) lifecycle.Version {
	v := made(id, age)
	v.Tags = map[string]string{"owner": "somebody"}
	return v
}

func disabled(v lifecycle.Version) lifecycle.Version {
	v.Enabled = false
	return v
}

func idsOf(versions []lifecycle.Version) (ids []string) {
	for _, v := range versions {
		ids = append(ids, v.ID)
	}
	return ids
}

func TestNewest(t *testing.T) {
	for _, tc := range []struct {
		name     string
		versions []lifecycle.Version
		want     []string
	}{
		{"none", nil, nil},
		{"one, disabled", []lifecycle.Version{disabled(made("a", day))}, []string{"a"}},
		{"the later of two", []lifecycle.Version{made("a", day), made("b", hour)}, []string{"b"}},
		{"the later is disabled", []lifecycle.Version{made("a", day), disabled(made("b", hour))}, []string{"b"}},
		{"two of one second, by ID", []lifecycle.Version{made("c", hour), made("a", day), made("b", hour)},
			[]string{"b", "c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, idsOf(lifecycle.Newest(tc.versions))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	a, b, again := made("a", hour), made("b", hour), made("b2", hour)
	for _, tc := range []struct {
		name     string
		versions []lifecycle.Version
		tags     map[string]string
		want     string // "": not settled
	}{
		{"the list shows the first", []lifecycle.Version{a, b}, a.Tags, "a"},
		{"the list shows the second", []lifecycle.Version{a, b}, b.Tags, "b"},
		{"two of one operation", []lifecycle.Version{a, b, again}, b.Tags, "b"},
		{"the list shows neither", []lifecycle.Version{a, b}, map[string]string{"x": "y"}, ""},
		{"one operation in two states", []lifecycle.Version{a, b, disabled(again)}, b.Tags, ""},
		{"the list shows one that is disabled", []lifecycle.Version{a, disabled(b)}, b.Tags, "b"},
		{"an older one with these tags does not count", []lifecycle.Version{a, b, made("a0", day)}, a.Tags, "a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			current, ok := lifecycle.Settle(lifecycle.Newest(tc.versions), tc.tags)
			if ok != (tc.want != "") || current.ID != tc.want {
				t.Errorf("Settle = %q, %t; want %q", current.ID, ok, tc.want)
			}
		})
	}
}

func TestDiverged(t *testing.T) {
	a, b, none := made("a", day), made("b", day), theirs("x", day)
	for _, tc := range []struct {
		name    string
		current []lifecycle.Version
		want    []int
	}{
		{"none", nil, nil},
		{"one vault", []lifecycle.Version{a}, nil},
		{"one operation", []lifecycle.Version{a, made("a2", hour)}, nil},
		{"two operations in three vaults", []lifecycle.Version{a, a, b}, []int{0, 2}},
		{"one that nobody knows", []lifecycle.Version{none, a}, []int{0, 1}},
		{"none has an operation", []lifecycle.Version{none, theirs("y", hour)}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, lifecycle.Diverged(tc.current)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestDue(t *testing.T) {
	expiring := func(v lifecycle.Version, in time.Duration) lifecycle.Version {
		v.Expires = now.Add(in)
		return v
	}
	after60d := lifecycle.Terms{Rotate: lifecycle.Rotate{After: 60 * day}}
	before14d := lifecycle.Terms{Expires: 90 * day, Rotate: lifecycle.Rotate{BeforeExpiry: 14 * day}}
	onChange := lifecycle.Terms{PolicyTag: "default@2", Rotate: lifecycle.Rotate{OnPolicyChange: true}}
	keeping, confirming := onChange, lifecycle.Terms{Confirm: true}
	keeping.KeepFor = day
	tagged := func(v lifecycle.Version, name, text string) lifecycle.Version {
		v.Tags[name] = text
		return v
	}
	for _, tc := range []struct {
		name    string
		terms   lifecycle.Terms
		current lifecycle.Version
		adopt   bool
		want    string // the trigger and the reason
		next    time.Time
	}{
		{"nothing is declared", lifecycle.Terms{}, made("a", 9000*day), false, "", time.Time{}},
		{"young", after60d, made("a", 59*day), false, "", now.Add(day)},
		{"old", after60d, made("a", 61*day), false, "age: made 61d ago, rotate after 60d", now.Add(-day)},
		{"exactly old", after60d, made("a", 60*day), false, "age: made 60d ago, rotate after 60d", now},
		{"expires later", before14d, expiring(made("a", day), 15*day), false, "", now.Add(day)},
		{"expires soon", before14d, expiring(made("a", day), 13*day), false,
			"expiry: expires in 13d, rotate 14d before", now.Add(-day)},
		{"expired", before14d, expiring(made("a", day), -2*day), false, "expiry: expired 2d ago, rotate 14d before",
			now.Add(-16 * day)},
		{
			"made before an expiry was declared", before14d, made("a", 77*day), false,
			"expiry: made 77d ago, declared to expire after 90d, rotate 14d before", now.Add(-day),
		},
		{
			"its expiry was put off by years", before14d, expiring(made("a", 77*day), 3000*day), false,
			"expiry: made 77d ago, declared to expire after 90d, rotate 14d before", now.Add(-day),
		},
		{"its expiry was put off, young", before14d, expiring(made("a", 10*day), 3000*day), false, "",
			now.Add(66 * day)},
		{
			"it expires before it should", before14d, expiring(made("a", 10*day), 5*day), false,
			"expiry: expires in 5d, rotate 14d before", now.Add(-9 * day),
		},
		{"it expires within the hour", before14d, expiring(made("a", 89*day), 20*time.Minute), false,
			"expiry: expires in 20m, rotate 14d before", now.Add(20*time.Minute - 14*day)},
		{"another policy", onChange, made("a", day), false, "policy: policy changed: default@1 -> default@2",
			time.Time{}},
		{"another policy, and readers may hold the version before", keeping, made("a", day-1), false, "", time.Time{}},
		{"another policy, and no reader holds the version before", keeping, made("a", day), false,
			"policy: policy changed: default@1 -> default@2", time.Time{}},
		{"not confirmed", confirming, made("a", day), false,
			"unapplied: the target does not hold this version", time.Time{}},
		{"confirmed", confirming, tagged(made("a", day), "applied", made("a", day).Operation()), false, "",
			time.Time{}},
		{"another operation is confirmed", confirming, tagged(made("a", day), "applied", "z"), false,
			"unapplied: the target does not hold this version", time.Time{}},
		{"theirs, which nothing confirms", confirming, theirs("a", day), false, "", time.Time{}},
		{"theirs", onChange, theirs("a", day), false, "", time.Time{}},
		{"theirs, adopted", onChange, theirs("a", day), true, "policy: adopted, its policy is unknown: -> default@2",
			time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			trigger, reason := tc.terms.Due(tc.current, now, tc.adopt)
			got := ""
			if trigger != "" {
				got = string(trigger) + ": " + reason
			}
			if got != tc.want {
				t.Errorf("Due = %q; want %q", got, tc.want)
			}
			if next := tc.terms.Next(tc.current); !next.Equal(tc.next) {
				t.Errorf("Next = %s; want %s", next, tc.next)
			}
		})
	}
}

// Expiries that no time.Duration reaches, or that came before the version did, are told as they are.
func TestExpiryDriftOfOddYears(t *testing.T) {
	for seconds, want := range map[int64]string{
		-1:            "declared to expire never, but it expires before it was made",
		253402300799:  "declared to expire never, but it expires 2921938d after it was made",
		1797552000000: "declared to expire never, but it expires 20794042d after it was made",
	} {
		v := made("a", day)
		v.Created, v.Expires = time.Unix(946684800, 0).Add(day), time.Unix(seconds, 0)
		if got := (lifecycle.Terms{}).ExpiryDrift(v); got != want {
			t.Errorf("ExpiryDrift = %q; want %q", got, want)
		}
	}
}

func TestExpiryDrift(t *testing.T) {
	terms := lifecycle.Terms{Expires: 90 * day}
	for _, tc := range []struct {
		name    string
		terms   lifecycle.Terms
		expires time.Duration // after its making; 0: never
		want    string
	}{
		{"as declared", terms, 90 * day, ""},
		{"a throttled vault was waited for", terms, 90*day - 10*time.Minute, ""},
		{"never, as declared", lifecycle.Terms{}, 0, ""},
		{"never", terms, 0, "declared to expire after 90d, but it never expires"},
		{"later", terms, 3010 * day, "declared to expire after 90d, but it expires 3010d after it was made"},
		{"earlier", terms, 5 * day, "declared to expire after 90d, but it expires 5d after it was made"},
		{"not declared", lifecycle.Terms{}, 5 * day, "declared to expire never, but it expires 5d after it was made"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := made("a", day)
			if tc.expires > 0 {
				v.Expires = v.Created.Add(tc.expires)
			}
			if got := tc.terms.ExpiryDrift(v); got != tc.want {
				t.Errorf("ExpiryDrift = %q; want %q", got, tc.want)
			}
		})
	}
	if drift := terms.ExpiryDrift(lifecycle.Version{}); drift != "" {
		t.Errorf("where there is no version: %q", drift)
	}
}

func TestSameRun(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"o/r/7/1", "o/r/7/2", true},
		{"o/r/7/1", "o/r/7/1", true},
		{"o/r/7/1", "o/r/8/1", false},
		{"o/r/7/1", "o/s/7/1", false},
		{"local", "local", false},
		{"", "", false},
	} {
		if got := lifecycle.SameRun(tc.a, tc.b); got != tc.want {
			t.Errorf("SameRun(%q, %q) = %t", tc.a, tc.b, got)
		}
	}
}

// A version is due by time exactly when its next rotation is not in the future: the two must never disagree.
func TestDueAgreesWithNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 100).Draw(t, name)) * hour
		}
		terms := lifecycle.Terms{
			Expires: span("expires"), Rotate: lifecycle.Rotate{After: span("after"), BeforeExpiry: span("before")},
		}
		current := made("a", span("age"))
		if rapid.Bool().Draw(t, "with an expiry of its own") {
			current.Expires = now.Add(span("left") - 50*hour)
		}
		trigger, _ := terms.Due(current, now, false)
		next := terms.Next(current)
		if due := !next.IsZero() && !next.After(now); due != (trigger != "") {
			t.Fatalf("due %q, next rotation %s", trigger, next)
		}
	})
}

func TestObsolete(t *testing.T) {
	versions := []lifecycle.Version{
		made("a1", 9*day), made("b1", 8*day), theirs("x1", 7*day), disabled(made("c1", 6*day)), made("d1", day),
		made("d2", day),
	}
	current := versions[4]
	later := lifecycle.Terms{Superseded: &lifecycle.Superseded{DisableAfter: 24 * hour}}
	muchLater := lifecycle.Terms{Superseded: &lifecycle.Superseded{DisableAfter: 48 * hour}}
	atOnce := lifecycle.Terms{Superseded: &lifecycle.Superseded{}}
	for _, tc := range []struct {
		name            string
		terms           lifecycle.Terms
		current         lifecycle.Version
		stays, replaced []string // what is disabled while current stays, and once it is replaced
	}{
		{"not declared", lifecycle.Terms{}, current, nil, nil},
		{"old enough", later, current, []string{"a1", "b1"}, []string{"a1", "b1"}},
		{"too young", muchLater, current, nil, nil},
		{"at once", atOnce, current, []string{"a1", "b1"}, []string{"a1", "b1", "d1", "d2"}},
		{"somebody else's is current", later, theirs("y1", 2*day), nil, nil},
		{"none is current", atOnce, lifecycle.Version{}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.stays, tc.terms.Obsolete(versions, tc.current, now)); diff != "" {
				t.Errorf("Obsolete: -want +got\n%s", diff)
			}
			if diff := cmp.Diff(tc.replaced, tc.terms.ObsoleteOnceReplaced(versions, tc.current, now)); diff != "" {
				t.Errorf("ObsoleteOnceReplaced: -want +got\n%s", diff)
			}
		})
	}
}

// What a new version takes over fits beside its own tags, and a declaration's share with the action's makes Key Vault's
// 15.
func TestTagsFit(t *testing.T) {
	if got := lifecycle.MaxUserTags + len(lifecycle.OwnTags()); got != lifecycle.MaxTags || lifecycle.MaxUserTags != 9 {
		t.Errorf("a declaration's %d tags and the action's make %d; want 9 and %d", lifecycle.MaxUserTags, got,
			lifecycle.MaxTags)
	}
	current := map[string]string{"Generated-By": "x", "owner": "a", "Owner2": "b", "file-encoding": "utf-8",
		"login": "z"}
	for i := range 15 {
		current[fmt.Sprintf("t%02d", i)] = "x"
	}
	next := lifecycle.NewTags("p@1", map[string]string{"OWNER": "declared"}, nil, "op", "run")
	carried, left := lifecycle.Carry(current, next)
	if len(carried)+len(next) != lifecycle.MaxTags || carried["Owner2"] != "b" {
		t.Errorf("%d tags carried beside %d: %v", len(carried), len(next), carried)
	}
	for _, name := range []string{"Generated-By", "owner", "file-encoding", "login"} {
		if _, ok := carried[name]; ok || slices.Contains(left, name) {
			t.Errorf("tag %s is carried, or said to be left", name)
		}
	}
	all := slices.Concat(slices.Collect(maps.Keys(carried)), left)
	if len(all) != 16 {
		t.Errorf("%d of 16 tags are carried or left", len(all))
	}
}

func TestPolicyTag(t *testing.T) {
	tag := lifecycle.NewPolicyTag("azure-sql", "0123456789ab")
	if tag != "azure-sql@0123456789ab" || tag.Name() != "azure-sql" || lifecycle.PolicyTag("").Name() != "" {
		t.Errorf("tag %s of policy %s", tag, tag.Name())
	}
}

// A declared duration is said in the largest unit of which it is a whole number, in days from two on.
func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		90 * day: "90d", 2 * day: "2d", day: "24h", 36 * time.Hour: "36h", 49 * time.Hour: "49h", time.Hour: "1h",
		90 * time.Minute: "90m", 60 * time.Second: "1m", 90 * time.Second: "90s", time.Second: "1s",
	} {
		if got := lifecycle.Words(d); got != want {
			t.Errorf("Words(%s) = %s; want %s", d, got, want)
		}
	}
}

// A new version has what is carried over, what is declared, and the action's own tags, which win.
func TestNewTags(t *testing.T) {
	carried, declared := map[string]string{"a": "carried", "b": "carried"}, map[string]string{"b": "declared",
		"policy": "x"}
	got := lifecycle.NewTags("default@1", declared, carried, "0123", "o/r/1/1")
	want := map[string]string{
		"a": "carried", "b": "declared", "generated-by": "keyvault-passwords", "policy": "default@1",
		"operation": "0123", "run": "o/r/1/1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, ok := lifecycle.NewTags("default@1", nil, nil, "0123", "")["run"]; ok || len(carried) != 2 {
		t.Error("outside of a run there is a tag of one, or what is carried over was changed")
	}
}

func TestAge(t *testing.T) {
	for want, d := range map[string]time.Duration{"61d": 61*day + hour, "47h": 47 * hour, "119m": 119 * time.Minute,
		"90s": 90 * time.Second, "0s": -day, "2d": 2 * day, "2h": 2 * hour, "2m": 2 * time.Minute} {
		if got := lifecycle.Age(d); got != want {
			t.Errorf("Age(%s) = %s; want %s", d, got, want)
		}
	}
}

// Every duration has words, down to nothing.
func TestAgeOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64().Draw(t, "duration"))
		if got := lifecycle.Age(d); got == "" || got[0] == '-' {
			t.Fatalf("Age(%d) = %q", d, got)
		}
	})
	if got := lifecycle.Age(time.Second / 2); got != "0s" {
		t.Errorf("Age of half a second = %q", got)
	}
}
