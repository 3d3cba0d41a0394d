package audit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
)

const (
	hour = time.Hour
	day  = 24 * hour
)

var (
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	place = declaration.Place{File: "passwords.yml", Line: 3, Col: 3}
	other = declaration.Place{File: "passwords.yml", Line: 1, Col: 8}
)

// A scene is one secret, declared and as one vault lists it: without anything to find.
type scene struct {
	secret    declaration.Secret
	rules     declaration.Audit
	versions  []lifecycle.Version
	excess    int
	deleted   []audit.Deleted
	writes    bool                // mode rotate would give it a new version
	trigger   lifecycle.Trigger   // for that reason
	second    []lifecycle.Version // in a second vault, which is declared too where there are some
	undeclare bool
}

// made returns an enabled version of this action that was made so long ago and expires after 90 days.
func made(age time.Duration, operation string) lifecycle.Version {
	return lifecycle.Version{
		ID: fmt.Sprintf("%032x", int64(age)), Created: now.Add(-age), Expires: now.Add(90*day - age), Enabled: true,
		ContentType: "password", Tags: lifecycle.NewTags("default@1", nil, nil, operation, ""),
	}
}

func clean() *scene {
	return &scene{
		secret: declaration.Secret{
			Name: "db", Place: place, Terms: lifecycle.Terms{PolicyTag: "default@1", Expires: 90 * day},
		},
		rules:    declaration.DefaultAudit(),
		versions: []lifecycle.Version{made(10*day, "a")},
	}
}

func (s *scene) judge() audit.Report {
	in := audit.Input{
		File: "passwords.yml", Rules: s.rules, Taken: now,
		Places: declaration.Places{Vaults: map[string]declaration.Place{"kv": other}},
	}
	for i, versions := range [][]lifecycle.Version{s.versions, s.second} {
		name := []string{"kv", "kv-2"}[i]
		if i > 0 && versions == nil {
			continue
		}
		l := audit.Listing{Vault: name, Now: now, Listed: true, Deleted: s.deleted}
		if len(versions) > 0 {
			newest := lifecycle.Newest(versions)[0]
			newest.ID = ""
			l.Secrets = []audit.Holding{{Name: "DB", Listed: newest, Versions: versions, Excess: s.excess}}
			if s.excess > 0 {
				l.Secrets[0].Versions = nil
			}
		}
		in.Listings = append(in.Listings, l)
		s.secret.Vaults = append(s.secret.Vaults, declaration.Vault{Name: name})
		in.Rotations = append(in.Rotations, audit.Rotation{Key: "db", Writes: s.writes, Trigger: s.trigger})
	}
	if s.undeclare {
		in.Rotations = nil
	} else {
		in.Secrets = []declaration.Secret{s.secret}
	}
	return audit.Judge(in)
}

// current is the newest version, to be changed.
func (s *scene) current() *lifecycle.Version { return &s.versions[len(s.versions)-1] }

// A ruleCase is what makes a rule find something, and what just does not.
type ruleCase struct {
	id    string
	level audit.Level
	at    declaration.Place
	says  string
	hit   func(*scene)
	miss  func(*scene)
}

var ruleCases = []ruleCase{
	{
		audit.Missing, audit.LevelError, place, "not in the vault",
		func(s *scene) { s.versions = nil },
		func(s *scene) {},
	},
	{
		audit.Expired, audit.LevelError, place, "expired 0s ago, on 2026-03-01",
		func(s *scene) { s.current().Expires = now },
		func(s *scene) { s.current().Expires = now.Add(time.Second) },
	},
	{
		audit.ExpiresSoon, audit.LevelWarning, place, "expires in 29d, on 2026-03-31",
		func(s *scene) { s.current().Expires = now.Add(30*day - time.Second) },
		func(s *scene) { s.current().Expires = now.Add(30 * day) },
	},
	{
		audit.NeverExpires, audit.LevelWarning, place, "never expires",
		func(s *scene) { s.current().Expires = time.Time{} },
		func(s *scene) { s.current().Expires = time.Unix(1<<50, 0) },
	},
	{
		audit.ValidityTooLong, audit.LevelWarning, place, "valid for 90d; at most 89d are allowed",
		func(s *scene) { s.rules.MaxValidity = 90*day - time.Second },
		func(s *scene) { s.rules.MaxValidity = 90 * day },
	},
	{
		audit.ValidityTooLong, audit.LevelWarning, place, "valid for ever",
		func(s *scene) { s.rules.MaxValidity, s.current().Expires = 90*day, time.Time{} },
		func(s *scene) { s.current().Expires = time.Time{} },
	},
	{
		audit.ValidityTooLong, audit.LevelWarning, place, "valid for 2912393d; at most 90d are allowed",
		func(s *scene) { s.rules.MaxValidity, s.current().Expires = 90*day, time.Unix(253402303861, 0) },
		func(s *scene) { s.rules.MaxValidity = 90 * day },
	},
	{
		audit.TooOld, audit.LevelWarning, place, "10d old; at most 9d are allowed",
		func(s *scene) { s.rules.MaxAge = 10*day - time.Second },
		func(s *scene) { s.rules.MaxAge = 10 * day },
	},
	{
		audit.TooOld, audit.LevelWarning, place, "10d old",
		func(s *scene) { s.rules.MaxAge = 9 * day },
		func(s *scene) { s.rules.MaxAge, s.current().NotBefore = 9*day, now.Add(-8*day) },
	},
	{
		audit.OverdueRotation, audit.LevelError, place, "due for 8d, since 2026-02-21",
		func(s *scene) { s.secret.Rotate.After = 2*day - time.Second },
		func(s *scene) { s.secret.Rotate.After = 2 * day },
	},
	{
		audit.PolicyDrift, audit.LevelWarning, place, "made to the policy default@1, and default@2 is declared",
		func(s *scene) { s.secret.PolicyTag = "default@2" },
		func(s *scene) { s.secret.PolicyTag, s.current().Tags = "default@2", nil },
	},
	{
		audit.PolicyDrift, audit.LevelError, place, "made to the policy none",
		func(s *scene) {
			s.secret.Rotate.OnPolicyChange = true
			delete(s.current().Tags, lifecycle.TagPolicy)
		},
		func(s *scene) { s.secret.Rotate.OnPolicyChange = true },
	},
	{
		audit.Foreign, audit.LevelWarning, place, "this action did not make",
		func(s *scene) { s.current().Tags = map[string]string{lifecycle.TagGeneratedBy: "somebody"} },
		func(s *scene) {
			s.versions = append([]lifecycle.Version{{ID: "x", Created: now.Add(-90 * day)}},
				s.versions...)
		},
	},
	{
		audit.Undeclared, audit.LevelWarning, other, "not declared",
		func(s *scene) { s.undeclare = true },
		func(s *scene) { s.undeclare, s.current().Managed = true, true },
	},
	{
		audit.Undeclared, audit.LevelError, other, "not declared",
		func(s *scene) { s.undeclare, s.rules.Undeclared = true, declaration.UndeclaredError },
		func(s *scene) { s.undeclare, s.rules.Undeclared = true, declaration.UndeclaredOff },
	},
	{
		audit.CurrentDisabled, audit.LevelError, place, "newest version is disabled",
		func(s *scene) { s.current().Enabled = false },
		func(s *scene) {
			old := made(20*day, "b")
			old.Enabled = false
			s.versions = append([]lifecycle.Version{old}, s.versions...)
		},
	},
	{
		audit.NotYetActive, audit.LevelInfo, place, "not valid before 2026-03-01",
		func(s *scene) { s.current().NotBefore = now.Add(time.Second) },
		func(s *scene) { s.current().NotBefore = now },
	},
	{
		audit.SupersededEnabled, audit.LevelWarning, place,
		"1 superseded version is still enabled, and was to be disabled on 2026-03-01",
		func(s *scene) {
			s.versions = append([]lifecycle.Version{made(20*day, "b")}, s.versions...)
			s.secret.Superseded = &lifecycle.Superseded{DisableAfter: 10 * day}
		},
		func(s *scene) {
			s.versions = append([]lifecycle.Version{made(20*day, "b")}, s.versions...)
			s.secret.Superseded = &lifecycle.Superseded{DisableAfter: 10*day + time.Second}
		},
	},
	{
		audit.ManyVersions, audit.LevelWarning, place, "it has 2 versions; expected fewer than 2",
		func(s *scene) {
			s.versions = append([]lifecycle.Version{made(20*day, "b")}, s.versions...)
			s.rules.MaxVersions = 2
		},
		func(s *scene) {
			s.versions = append([]lifecycle.Version{made(20*day, "b")}, s.versions...)
			s.rules.MaxVersions = 3
		},
	},
	{
		audit.ManyVersions, audit.LevelWarning, place, "more than 2500 versions",
		func(s *scene) { s.excess = 2500 },
		func(s *scene) {},
	},
	{
		audit.Diverged, audit.LevelError, place, "set separately, so they do not hold one value: kv, kv-2",
		func(s *scene) { s.second = []lifecycle.Version{made(10*day, "z")} },
		func(s *scene) { s.second = []lifecycle.Version{made(10*day-time.Minute, "a")} },
	},
	{
		audit.DuplicateOperation, audit.LevelInfo, place, "1 operation made several versions",
		func(s *scene) { s.versions = append([]lifecycle.Version{made(10*day+time.Minute, "a")}, s.versions...) },
		func(s *scene) {
			theirs := made(10*day+time.Minute, "a")
			theirs.Tags = map[string]string{lifecycle.TagOperation: "a"} // a tag that anybody may set
			s.versions = append([]lifecycle.Version{theirs}, s.versions...)
		},
	},
	{
		audit.SoftDeleted, audit.LevelWarning, place, "will be purged on 2026-05-30",
		func(s *scene) {
			s.versions = nil
			s.deleted = []audit.Deleted{{Name: "Db", Deleted: now, Purge: now.Add(90 * day)}}
		},
		func(s *scene) { s.deleted = []audit.Deleted{{Name: "db-2", Deleted: now, Purge: now.Add(90 * day)}} },
	},
	{
		audit.ContentTypeMissing, audit.LevelInfo, place, "no content type",
		func(s *scene) { s.current().ContentType = "" },
		func(s *scene) { s.current().ContentType = " " },
	},
	{
		audit.Managed, audit.LevelInfo, place, "managed by a Key Vault certificate",
		func(s *scene) { s.current().Managed = true },
		func(s *scene) { s.current().Tags["managed"] = "true" },
	},
}

// Each rule finds its case, at its level and place and in its words, and not what just misses it.
func TestRules(t *testing.T) {
	if found := clean().judge().Findings; found != nil {
		t.Fatalf("a secret as it should be has findings: %v", found)
	}
	tested := map[string]bool{}
	for _, c := range ruleCases {
		tested[c.id] = true
		t.Run(c.id, func(t *testing.T) {
			s := clean()
			c.hit(s)
			r := s.judge()
			i := slices.IndexFunc(r.Findings, func(f audit.Finding) bool { return f.Rule == c.id })
			if i < 0 {
				t.Fatalf("it finds nothing; all findings: %v", r.Findings)
			}
			f := r.Findings[i]
			if f.Level != c.level || f.Place != c.at || !strings.Contains(f.Message, c.says) || f.Remedy == "" ||
				f.Vault != "kv" || !strings.EqualFold(f.Secret, "db") {
				t.Errorf("got %+v; want level %s, place %s, words %q", f, c.level, c.at, c.says)
			}
			if !slices.Contains(r.Secrets[0].Findings, c.id) || r.Secrets[0].Worst.Rank() > c.level.Rank() {
				t.Errorf("the secret's row has findings %q and level %q", r.Secrets[0].Findings, r.Secrets[0].Worst)
			}
			miss := clean()
			c.miss(miss)
			for _, f := range miss.judge().Findings {
				if f.Rule == c.id {
					t.Errorf("the near miss is found: %+v", f)
				}
			}
		})
	}
	for _, rule := range audit.Rules() {
		if !tested[rule.ID] {
			t.Errorf("rule %s has no case", rule.ID)
		}
	}
}

// The rules are those that a declaration may ignore, each with words; none has a level that an exit status ignores.
func TestRulesAreDeclared(t *testing.T) {
	var ids []string
	for _, rule := range audit.Rules() {
		ids = append(ids, rule.ID)
		if rule.Title == "" || rule.Help == "" || rule.Level.Rank() < 0 || len(rule.Help) > 1024 {
			t.Errorf("rule %s is incomplete, or its help is longer than code scanning takes", rule.ID)
		}
	}
	if diff := cmp.Diff(declaration.AuditRules(), ids); diff != "" {
		t.Errorf("rules (-declaration +audit):\n%s", diff)
	}
	for _, id := range ids {
		if rule := audit.RuleOf(id); rule.ID != id {
			t.Errorf("the rule of %s is %q", id, rule.ID)
		}
	}
	if rule := audit.RuleOf("unheard-of"); rule.ID != "" {
		t.Errorf("the rule of an unknown ID is %q", rule.ID)
	}
}

// What is said about an overdue rotation is to rotate; where mode rotate would not, it is to see why.
func TestRemedyOfAnOverdueRotation(t *testing.T) {
	for _, tc := range []struct {
		rotation audit.Rotation
		want     string
	}{
		{audit.Rotation{Writes: true, Trigger: lifecycle.TriggerAge}, "see why the scheduled runs did not"},
		{audit.Rotation{}, "which says why it cannot be rotated"},
	} {
		s := declared("db", "kv")
		s.Rotate.After = day
		in := audit.Input{
			Rules: declaration.DefaultAudit(), Taken: now, Secrets: []declaration.Secret{s},
			Rotations: []audit.Rotation{tc.rotation},
			Listings:  []audit.Listing{{Vault: "kv", Now: now, Listed: true, Secrets: listed("db")}},
		}
		found := audit.Judge(in).Findings
		i := slices.IndexFunc(found, func(f audit.Finding) bool { return f.Rule == audit.OverdueRotation })
		if i < 0 || !strings.Contains(found[i].Remedy, tc.want) {
			t.Errorf("%+v: findings %v; want the remedy %q", tc.rotation, found, tc.want)
		}
	}
}

// A disabled secret has no finding about dates: it cannot be read.
func TestDisabledSecretsHaveNoFindingsOfDates(t *testing.T) {
	s := clean()
	s.rules.MaxAge, s.rules.MaxValidity, s.secret.Rotate.After = hour, hour, hour
	s.current().Expires = now.Add(-day)
	if found := s.judge().Findings; len(found) != 4 {
		t.Fatalf("enabled, it has %d findings: %v", len(found), found)
	}
	s = clean()
	s.rules.MaxAge, s.rules.MaxValidity, s.secret.Rotate.After = hour, hour, hour
	s.current().Expires, s.current().Enabled, s.current().NotBefore = now.Add(-day), false, now.Add(day)
	if r := s.judge(); len(r.Findings) != 1 || r.Findings[0].Rule != audit.CurrentDisabled {
		t.Errorf("findings: %v", r.Findings)
	}
}

// What is to be done can be done: by the mode that would write the secret, and where none would, by what lets it.
func TestRemedies(t *testing.T) {
	ours := func(*scene) {}
	theirs := func(s *scene) { s.current().Tags = nil }
	due := func(s *scene) { s.writes = true }
	for _, tc := range []struct {
		name, rule string
		change     []func(*scene)
		want       string
	}{
		{"missing", audit.Missing, []func(*scene){func(s *scene) { s.versions, s.writes = nil, true }},
			"run with mode: ensure, which creates it, or remove it from the declaration"},
		{"missing in one of two", audit.Missing, []func(*scene){func(s *scene) {
			s.versions, s.second, s.writes = nil, []lifecycle.Version{made(day, "a")}, true
			s.trigger = lifecycle.TriggerDiverged
		}}, "run with mode: rotate, which gives all its vaults one new value"},
		{"missing, held back", audit.Missing, []func(*scene){func(s *scene) { s.versions = nil }},
			"run with mode: rotate, which says why it cannot be made, or remove it from the declaration"},
		{"missing, soft-deleted", audit.Missing, []func(*scene){func(s *scene) {
			s.versions, s.deleted = nil, []audit.Deleted{{Name: "db"}}
		}}, "run with mode: ensure and recover-deleted: true, which recovers it and gives it a new version, or " +
			"remove it from the declaration"},
		{"foreign", audit.Foreign, []func(*scene){theirs},
			"to replace it, run with mode: force and adopt: true; otherwise declare another name"},
		{"disabled", audit.CurrentDisabled, []func(*scene){func(s *scene) { s.current().Enabled = false }},
			"enable that version, or run with mode: force, which gives it a new one"},
		{"foreign and disabled", audit.CurrentDisabled,
			[]func(*scene){theirs, func(s *scene) { s.current().Enabled = false }},
			"enable that version, or run with mode: force and adopt: true, which gives it a new one"},
		{"undeclared and disabled", audit.CurrentDisabled,
			[]func(*scene){func(s *scene) { s.undeclare, s.current().Enabled = true, false }},
			"enable that version, or delete the secret"},
		{"expires soon", audit.ExpiresSoon, []func(*scene){ours, expiring(20 * day)},
			"run with mode: force, which gives it a new version, and declare rotate so that the next one is made in " +
				"time"},
		{"expires soon, rotated in time", audit.ExpiresSoon, []func(*scene){expiring(20 * day),
			func(s *scene) { s.secret.Rotate.BeforeExpiry = 14 * day }},
			"run with mode: force, which gives it a new version now; mode: rotate does from 2026-03-07 on"},
		{"expires soon, rotated too late", audit.ExpiresSoon, []func(*scene){expiring(20 * day),
			func(s *scene) { s.secret.Rotate.After = 60 * day }}, "run with mode: force, which gives it a new version"},
		{"expires soon, due", audit.ExpiresSoon, []func(*scene){expiring(20 * day), due},
			"run with mode: rotate, which gives it a new version"},
		{"never expires", audit.NeverExpires, []func(*scene){expiring(0)},
			"run with mode: force for a new version, which has the declared expiry"},
		{"never expires, foreign", audit.NeverExpires, []func(*scene){expiring(0), theirs},
			"run with mode: force and adopt: true for a new version, which has the declared expiry"},
		{"never expires, as declared", audit.NeverExpires,
			[]func(*scene){expiring(0), func(s *scene) { s.secret.Expires = 0 }},
			"declare expires and rotate with before-expiry, and run with mode: force for a new version"},
		{"valid for too long, as declared", audit.ValidityTooLong,
			[]func(*scene){func(s *scene) { s.rules.MaxValidity = 30 * day }},
			"declare expires of at most 30d, and run with mode: force for a new version"},
		{"overdue, foreign", audit.OverdueRotation,
			[]func(*scene){theirs, func(s *scene) { s.secret.Rotate.After = day }},
			"run with mode: rotate and adopt: true, which gives it a new version"},
		{"another policy", audit.PolicyDrift, []func(*scene){func(s *scene) { s.secret.PolicyTag = "default@2" }},
			"run with mode: force for a new version, and declare rotate: {on-policy-change: true} so that the next " +
				"change makes one"},
		{"another policy, which waits", audit.PolicyDrift, []func(*scene){func(s *scene) {
			s.secret.PolicyTag, s.secret.Rotate.OnPolicyChange = "default@2", true
		}}, "run with mode: rotate, which says what it waits for, or with mode: force for a new version now"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := clean()
			for _, change := range tc.change {
				change(s)
			}
			var got []string
			for _, f := range s.judge().Findings {
				if f.Rule == tc.rule && f.Vault == "kv" {
					got = append(got, f.Remedy)
				}
			}
			if len(got) != 1 || got[0] != tc.want {
				t.Errorf("got %q; want %q", got, tc.want)
			}
		})
	}
}

// expiring makes the current version expire so far ahead; 0: never.
func expiring(in time.Duration) func(*scene) {
	return func(s *scene) {
		s.current().Created, s.current().Expires = now.Add(in-90*day), now.Add(in)
		if in == 0 {
			s.current().Created, s.current().Expires = now.Add(-10*day), time.Time{}
		}
	}
}

// Nothing that is declared holds for a certificate's secret: it is due at no time.
func TestManagedSecretsAreNeverDue(t *testing.T) {
	s := clean()
	s.secret.Rotate.After, s.current().Managed = hour, true
	if next := s.judge().Secrets[0].Next; !next.IsZero() {
		t.Errorf("a certificate's secret is due on %v", next)
	}
}

// What is said about a changed policy helps, also where a rotation by time is declared: that one may be months away.
func TestRemedyOfDrift(t *testing.T) {
	s := clean()
	s.secret.PolicyTag, s.secret.Rotate.After = "default@2", 80*day
	r := s.judge()
	i := slices.IndexFunc(r.Findings, func(f audit.Finding) bool { return f.Rule == audit.PolicyDrift })
	if i < 0 || !strings.Contains(r.Findings[i].Remedy, "declare rotate: {on-policy-change: true}") {
		t.Errorf("findings %v; want one of drift that names on-policy-change", r.Findings)
	}
}
