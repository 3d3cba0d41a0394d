package declaration

import (
	"fmt"
	"time"

	"keyvault-passwords/internal/declaration/internal/grammar"
)

// readersKeep is how long App Service and Functions keep a secret that they refer to without a version:
// https://learn.microsoft.com/azure/app-service/app-service-key-vault-references#understand-rotation
const readersKeep = 24 * time.Hour

// warnOfLifecycle warns of durations that are valid and leave a reader without a valid value.
func (r *resolver) warnOfLifecycle(s *grammar.Secret) {
	expires, after, before := s.Expires, s.Rotate.Value.After, s.Rotate.Value.BeforeExpiry
	disable := s.Superseded.Value.DisableAfter
	if disable.Given() && disable.Value < readersKeep && len(s.Login.Value) < 2 {
		r.warn(disable.Place, fmt.Sprintf("disable-after %s: App Service and Functions keep a value for up to 24h, "+
			"and fail with one that is disabled before", disable.Text()),
			"expected 24h or more, unless no such app reads it")
	}
	switch {
	case !expires.Given() || before.Given():
	case after.Given() && after.Value == expires.Value:
		r.warn(after.Place, fmt.Sprintf("after %s is no shorter than expires %s: a version has expired when the next "+
			"one is due", after.Text(), expires.Text()), "expected a shorter after, or before-expiry")
	case !after.Given() && s.Rotate.Given() && s.Rotate.Value.OnPolicyChange:
		r.warn(expires.Place, fmt.Sprintf("expires %s: rotate makes no new version before that, unless the policy "+
			"changes", expires.Text()), "add before-expiry or after to rotate")
	}
}

// checkLifecycle notes durations that contradict each other.
func (r *resolver) checkLifecycle(s *grammar.Secret) {
	after, before := s.Rotate.Value.After, s.Rotate.Value.BeforeExpiry
	disable := s.Superseded.Value.DisableAfter
	if before.Given() && !s.Expires.Given() && s.Sound {
		r.Refuse(before.Place, "before-expiry requires expires", "add expires to the secret")
	}
	expires := span{Located: s.Expires, key: "expires"}
	wait := span{Located: s.NotBefore, key: "not-before"}
	age := span{Located: after, key: "rotate.after"}
	grace := span{Located: disable, key: "disable-after"}
	r.shorter(span{Located: before, key: "before-expiry"}, expires, "otherwise each new version is due at once")
	r.shorter(wait, expires, "otherwise no version can ever be used")
	r.within(span{Located: after, key: "after"}, expires, "otherwise a version expires before the next one is made")
	r.within(grace, age, "otherwise the next version is made first")
	r.within(wait, age, "otherwise the next version is made first")
	r.within(wait, grace, "otherwise no version can be used in between")
	if before.Given() && s.Expires.Given() && before.Value < s.Expires.Value {
		r.checkBeforeExpiry(s, wait, grace)
	}
}

// checkBeforeExpiry notes durations that are too long for a secret whose versions are due some time before they expire.
func (r *resolver) checkBeforeExpiry(s *grammar.Secret, spans ...span) {
	after, before := s.Rotate.Value.After, s.Rotate.Value.BeforeExpiry
	due := s.Expires.Value - before.Value
	for _, a := range spans {
		if a.Given() && a.Value > due {
			cause := fmt.Sprintf("%s %s is longer than a version is current: expires %s minus before-expiry %s",
				a.key, a.Text(), s.Expires.Text(), before.Text())
			r.Refuse(a.Place, cause, "expected at most that: otherwise the next version is made first")
		}
	}
	if after.Given() && after.Value >= due && after.Value <= s.Expires.Value {
		cause := fmt.Sprintf("after %s has no effect: expires %s minus before-expiry %s is no later",
			after.Text(), s.Expires.Text(), before.Text())
		r.Refuse(after.Place, cause, "expected a shorter after, a shorter before-expiry, or only one of them")
	}
}

// A span is a duration and its key, for messages.
type span struct {
	grammar.Located[time.Duration]
	key string
}

// shorter notes a duration that is not shorter than another. It accepts durations of which one is absent.
func (r *resolver) shorter(a, b span, otherwise string) {
	if a.Given() && b.Given() && a.Value >= b.Value {
		cause := fmt.Sprintf("%s %s is not shorter than %s %s", a.key, a.Text(), b.key, b.Text())
		r.Refuse(a.Place, cause, "expected less than "+b.Text()+": "+otherwise)
	}
}

// within notes a duration that is longer than another. It accepts durations of which one is absent.
func (r *resolver) within(a, b span, otherwise string) {
	if a.Given() && b.Given() && a.Value > b.Value {
		cause := fmt.Sprintf("%s %s is longer than %s %s", a.key, a.Text(), b.key, b.Text())
		r.Refuse(a.Place, cause, "expected at most "+b.Text()+": "+otherwise)
	}
}
