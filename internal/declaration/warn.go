package declaration

import (
	"fmt"
	"slices"
	"time"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/refusal"
)

// warn notes what is valid and probably not meant. As of problems, the first thousand are kept.
func (r *resolver) warn(at Place, cause, remedy string) {
	if len(r.warnings) < strict.MaxProblems {
		r.warnings = append(r.warnings, Problem{
			Refusal: refusal.Refusal{Cause: cause, Remedy: remedy}, Place: at,
		})
	}
}

// readersKeep is how long App Service and Functions keep a secret that they refer to without a version:
// https://learn.microsoft.com/azure/app-service/app-service-key-vault-references#understand-rotation
const readersKeep = 24 * time.Hour

// warnOfLifecycle warns of durations that are valid and leave a reader without a valid value.
func (r *resolver) warnOfLifecycle(s *secretSpec) {
	expires, after, before := s.expires, s.rotate.value.after, s.rotate.value.beforeExpiry
	disable := s.superseded.value.disableAfter
	if disable.given() && disable.value < readersKeep && len(s.login.value) < 2 {
		r.warn(disable.place, fmt.Sprintf("disable-after %s: App Service and Functions keep a value for up to 24h, "+
			"and fail with one that is disabled before", disable.text()),
			"expected 24h or more, unless no such app reads it")
	}
	switch {
	case !expires.given() || before.given():
	case after.given() && after.value == expires.value:
		r.warn(after.place, fmt.Sprintf("after %s is no shorter than expires %s: a version has expired when the next "+
			"one is due", after.text(), expires.text()), "expected a shorter after, or before-expiry")
	case !after.given() && s.rotate.given() && s.rotate.value.onPolicyChange:
		r.warn(expires.place, fmt.Sprintf("expires %s: rotate makes no new version before that, unless the policy "+
			"changes", expires.text()), "add before-expiry or after to rotate")
	}
}

// warnOfSurroundings warns of each part that can break the text around it in the value. The parts must be compiled.
func (r *resolver) warnOfSurroundings(s *secretSpec, secret Secret) {
	if !s.value.given() {
		return
	}
	parts := map[string]Part{}
	for _, part := range secret.Parts {
		parts[part.Name] = part
	}
	characters := func(name string) (composite.Characters, bool) {
		part, ok := parts[name]
		return r.charactersOf(part), ok
	}
	misfits := secret.Value.Misfits(characters, secret.Login)
	if len(secret.Logins) == 2 {
		misfits = eitherMisfits(secret.Value.Misfits(characters, secret.Logins[0]),
			secret.Value.Misfits(characters, secret.Logins[1]))
	}
	var offsets []int
	for _, misfit := range misfits {
		offsets = append(offsets, misfit.Offset)
	}
	for i, place := range r.PlacesIn(s.template, offsets) {
		r.warn(place, misfits[i].Cause, misfits[i].Remedy)
	}
}

// eitherMisfits returns what does not fit with one of two logins, by offset, each reference once.
func eitherMisfits(first, second []composite.Problem) []composite.Problem {
	all := slices.Concat(first, second)
	slices.SortStableFunc(all, func(a, b composite.Problem) int { return a.Offset - b.Offset })
	return slices.CompactFunc(all, func(a, b composite.Problem) bool { return a.Offset == b.Offset })
}

// charactersOf returns the characters of a part. A policy has them once for all secrets.
func (r *resolver) charactersOf(part Part) composite.Characters {
	chars, ok := r.characters[part.Space]
	if !ok && part.Space != nil {
		chars.Any, chars.First, chars.Last = part.Space.Characters()
		r.characters[part.Space] = chars
	}
	return chars
}
