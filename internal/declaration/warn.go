package declaration

import (
	"slices"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/grammar"
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

// warnOfSurroundings warns of each part that can break the text around it in the value. The parts must be compiled.
func (r *resolver) warnOfSurroundings(s *grammar.Secret, secret Secret) {
	if !s.Value.Given() {
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
	for i, place := range r.PlacesIn(s.Template, offsets) {
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
