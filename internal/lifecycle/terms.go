package lifecycle

import (
	"fmt"
	"slices"
	"time"
)

// Terms are what is declared of a secret's life.
type Terms struct {
	PolicyTag  PolicyTag     // the policy of each new version
	Expires    time.Duration // of each new version, from its making. 0: never
	NotBefore  time.Duration // likewise. 0: none
	Rotate     Rotate
	Superseded *Superseded // nil: older versions stay as they are

	// KeepFor is how long a version stays whatever becomes of its policy. With two logins a reader may hold the version
	// before it for so long, and a new one would change that reader's login. 0: no time.
	KeepFor time.Duration
	Confirm bool // a server must confirm that it holds the value of each new version, by the tag applied
}

// Rotate says when a secret is due, in mode rotate. The zero value: never by itself.
type Rotate struct {
	After          time.Duration // since the current version was made. 0: age does not matter
	BeforeExpiry   time.Duration // until the current version expires. 0: expiry does not matter
	OnPolicyChange bool          // when the declared policy is not the one that the current version was made to
}

// Superseded says what becomes of older versions that this action made.
type Superseded struct {
	DisableAfter time.Duration // they are disabled once the current version is so old. 0: at once
}

// A Trigger is why an existing secret gets a new version. The zero Trigger: it does not.
type Trigger string

// The triggers. Due returns the first four; a target that says what it holds is the other reason for the first.
const (
	TriggerUnapplied Trigger = "unapplied" // the target does not hold the current version

	TriggerAge      Trigger = "age"      // the current version is as old as rotate.after
	TriggerExpiry   Trigger = "expiry"   // it expires within rotate.before-expiry
	TriggerPolicy   Trigger = "policy"   // it was made to another policy, and rotate.on-policy-change is set
	TriggerDiverged Trigger = "diverged" // the secret's vaults hold different values, as far as operation tags tell
	TriggerForced   Trigger = "forced"   // mode force
)

// Due returns why the current version must be replaced at now, and the reason in words. The zero Trigger: it need not.
//
// The policy of a version that this action did not make is unknown. With adopt it counts as another policy, since the
// declaration is to hold from then on; without adopt it does not count.
func (t Terms) Due(current Version, now time.Time, adopt bool) (Trigger, string) {
	if t.Unconfirmed(current) {
		return TriggerUnapplied, Unapplied
	}
	if reason := t.dueByExpiry(current, now); reason != "" {
		return TriggerExpiry, reason
	}
	if age := now.Sub(current.Created); t.Rotate.After > 0 && age >= t.Rotate.After {
		unit := unitOf(t.Rotate.After)
		return TriggerAge, fmt.Sprintf("made %s ago, rotate after %s", unit.count(age), unit.count(t.Rotate.After))
	}
	switch made := current.Policy(); {
	case !t.Rotate.OnPolicyChange, now.Sub(current.Created) < t.KeepFor:
	case t.Drifts(current):
		if made == "" {
			made = "none"
		}
		return TriggerPolicy, fmt.Sprintf("policy changed: %s -> %s", made, t.PolicyTag)
	case adopt && !current.Ours():
		return TriggerPolicy, fmt.Sprintf("adopted, its policy is unknown: -> %s", t.PolicyTag)
	}
	return "", ""
}

// Unapplied is the reason in words of [TriggerUnapplied].
const Unapplied = "the target does not hold this version"

// Unconfirmed reports whether a server was to confirm a version that this action made, and did not.
func (t Terms) Unconfirmed(v Version) bool { return t.Confirm && v.Ours() && !v.Confirmed() }

// Drifts reports whether a version that this action made was made to another policy than the declared one. Of any other
// version nothing is known.
func (t Terms) Drifts(v Version) bool { return v.Ours() && v.Policy() != t.PolicyTag }

func (t Terms) dueByExpiry(current Version, now time.Time) string {
	expires := t.ExpiryOf(current)
	if t.Rotate.BeforeExpiry == 0 || expires.IsZero() || expires.Sub(now) > t.Rotate.BeforeExpiry {
		return ""
	}
	unit := unitOf(t.Rotate.BeforeExpiry)
	before := unit.count(t.Rotate.BeforeExpiry)
	switch left := expires.Sub(now); {
	case !expires.Equal(current.Expires):
		return fmt.Sprintf("made %s ago, declared to expire after %s, rotate %s before",
			unit.count(now.Sub(current.Created)), unit.count(t.Expires), before)
	case left < 0:
		return fmt.Sprintf("expired %s ago, rotate %s before", unit.count(-left), before)
	default:
		return fmt.Sprintf("expires in %s, rotate %s before", unit.count(left), before)
	}
}

// ExpiryOf returns when a version expires, for rotation: the earlier of its own expiry and of the declared one, which
// counts from its making. Zero: never. So nobody who may only update attributes can put a rotation off.
func (t Terms) ExpiryOf(v Version) time.Time {
	if t.Expires == 0 {
		return v.Expires
	}
	declared := v.Created.Add(t.Expires)
	if v.Expires.IsZero() || v.Expires.After(declared.Add(driftTolerance)) {
		return declared
	}
	return v.Expires
}

// driftTolerance is how far a version's expiry may be from the declared one, for the same declaration: the expiry is
// computed before the version is sent, and a throttled vault may be waited for in between.
const driftTolerance = time.Hour

// ExpiryDrift returns how the expiry of a version differs from the declared one; "" if it does not.
func (t Terms) ExpiryDrift(v Version) string {
	var actual time.Duration
	if !v.Expires.IsZero() {
		actual = v.Expires.Sub(v.Created)
	}
	switch {
	case !v.Exists() || (actual-t.Expires).Abs() < driftTolerance:
		return ""
	case v.Expires.IsZero():
		return "declared to expire after " + unitOf(t.Expires).count(t.Expires) + ", but it never expires"
	case t.Expires == 0:
		return "declared to expire never, but it expires " + v.lasts()
	}
	return fmt.Sprintf("declared to expire after %s, but it expires %s", unitOf(t.Expires).count(t.Expires), v.lasts())
}

// lasts returns how long after its making v expires.
func (v Version) lasts() string {
	if v.Expires.Before(v.Created) {
		return "before it was made"
	}
	return Between(v.Created, v.Expires) + " after it was made"
}

// Next returns when a version is due by age or expiry, whichever comes first. Zero: never, or there is no version.
func (t Terms) Next(v Version) (next time.Time) {
	if v.Created.IsZero() {
		return next
	}
	if t.Rotate.After > 0 {
		next = v.Created.Add(t.Rotate.After)
	}
	if expires := t.ExpiryOf(v); t.Rotate.BeforeExpiry > 0 && !expires.IsZero() {
		if at := expires.Add(-t.Rotate.BeforeExpiry); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// Made returns the version that is made at now by these terms, as far as it is known before it is made: its dates.
func (t Terms) Made(now time.Time) Version {
	return Version{Created: now, Expires: after(now, t.Expires), NotBefore: after(now, t.NotBefore), Enabled: true}
}

// after returns the time d after now, in the whole seconds that Key Vault keeps; zero if d is 0.
func after(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return now.Add(d).Truncate(time.Second)
}

// Obsolete returns the IDs of the versions to disable while current stays current, sorted: enabled ones that this
// action made before it, once it is as old as declared. A further version of current's own operation holds the same
// value, and stays with it.
func (t Terms) Obsolete(versions []Version, current Version, now time.Time) (ids []string) {
	if t.Superseded == nil || !current.Ours() || now.Sub(current.Created) < t.Superseded.DisableAfter {
		return nil
	}
	return idsOf(versions, func(v Version) bool { return v.ID != current.ID && v.Operation() != current.Operation() })
}

// ObsoleteOnceReplaced is Obsolete where a new version is about to replace current. If older versions are disabled at
// once, current is among them.
func (t Terms) ObsoleteOnceReplaced(versions []Version, current Version, now time.Time) (ids []string) {
	if t.Superseded == nil || !current.Exists() || t.Superseded.DisableAfter > 0 {
		return t.Obsolete(versions, current, now)
	}
	return idsOf(versions, func(Version) bool { return true })
}

// idsOf returns the IDs of the enabled versions of ours that is true of, sorted.
func idsOf(versions []Version, is func(Version) bool) (ids []string) {
	for _, v := range versions {
		if v.Enabled && v.Ours() && is(v) {
			ids = append(ids, v.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
