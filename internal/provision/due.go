package provision

import (
	"fmt"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
)

// due returns why the current version of a secret must be replaced at now, by the declaration, and in words. The zero Due:
// it need not.
//
// The policy of a version that this action did not make is unknown. It counts as another policy where the secret may be
// adopted, since then the declaration is what shall hold; and not otherwise.
func due(s *declaration.Secret, current keyvault.Version, now time.Time, adopt bool) (Due, string) {
	if reason := dueByExpiry(s, current, now); reason != "" {
		return DueExpiry, reason
	}
	if age := now.Sub(current.Created); s.Rotate.After > 0 && age >= s.Rotate.After {
		unit := unitOf(s.Rotate.After)
		return DueAge, fmt.Sprintf("made %s ago, rotate after %s", unit.count(age), unit.count(s.Rotate.After))
	}
	made := current.Tags[policyTag]
	switch {
	case !s.Rotate.OnPolicyChange || made == s.Policy && ours(current.Tags):
	case ours(current.Tags):
		return DuePolicy, fmt.Sprintf("policy changed: %s -> %s", orNone(made), s.Policy)
	case adopt:
		return DuePolicy, fmt.Sprintf("adopted, its policy is unknown: -> %s", s.Policy)
	}
	return "", ""
}

func dueByExpiry(s *declaration.Secret, current keyvault.Version, now time.Time) string {
	expires := expiryOf(s, current)
	if s.Rotate.BeforeExpiry == 0 || expires.IsZero() || expires.Sub(now) > s.Rotate.BeforeExpiry {
		return ""
	}
	unit := unitOf(s.Rotate.BeforeExpiry)
	before := unit.count(s.Rotate.BeforeExpiry)
	switch left := expires.Sub(now); {
	case current.Expires.IsZero():
		return fmt.Sprintf("has no expiry, made %s ago, declared to expire after %s, rotate %s before",
			unit.count(now.Sub(current.Created)), unit.count(s.Expires), before)
	case left < 0:
		return fmt.Sprintf("expired %s ago, rotate %s before", unit.count(-left), before)
	default:
		return fmt.Sprintf("expires in %s, rotate %s before", unit.count(left), before)
	}
}

// expiryOf returns when a version expires. One without an expiry, of a secret that is declared with one, was made before
// that was declared: for rotation it counts from its making, since it would otherwise never be due.
func expiryOf(s *declaration.Secret, v keyvault.Version) time.Time {
	if v.Expires.IsZero() && s.Expires > 0 {
		return v.Created.Add(s.Expires)
	}
	return v.Expires
}

// nextRotation returns when a version is due by age or expiry, whichever is first; zero if it never is, or is no version.
func nextRotation(s *declaration.Secret, v keyvault.Version) (next time.Time) {
	if v.Created.IsZero() {
		return next
	}
	if s.Rotate.After > 0 {
		next = v.Created.Add(s.Rotate.After)
	}
	if expires := expiryOf(s, v); s.Rotate.BeforeExpiry > 0 && !expires.IsZero() {
		if t := expires.Add(-s.Rotate.BeforeExpiry); next.IsZero() || t.Before(next) {
			next = t
		}
	}
	return next
}

// after returns the time d after now, in the whole seconds that Key Vault keeps; zero if d is 0.
func after(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return now.Add(d).Truncate(time.Second)
}

// A unit is what a duration is counted in.
type unit struct {
	name string
	size time.Duration
}

// unitOf returns the unit that a duration is read in: the largest of which it is a whole number, and days from two on.
func unitOf(d time.Duration) unit {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day && d%day == 0:
		return unit{"d", day}
	case d%time.Hour == 0:
		return unit{"h", time.Hour}
	case d%time.Minute == 0:
		return unit{"m", time.Minute}
	}
	return unit{"s", time.Second}
}

// count returns how many whole units d has: "61d".
func (u unit) count(d time.Duration) string { return fmt.Sprintf("%d%s", d/u.size, u.name) }

// ago returns an age as it is spoken of: "61d", "36h", "5m".
func ago(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return unit{"d", 24 * time.Hour}.count(d)
	case d >= 2*time.Hour:
		return unit{"h", time.Hour}.count(d)
	case d >= 2*time.Minute:
		return unit{"m", time.Minute}.count(d)
	}
	return unit{"s", time.Second}.count(max(d, 0))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
