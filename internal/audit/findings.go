package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/lifecycle"
)

// mode is how a run gives a declared secret a new version now.
func (s *subject) mode() string {
	switch {
	case s.Due != "":
		return "mode: rotate"
	case !s.Ours:
		return "mode: force and adopt: true"
	}
	return "mode: force"
}

// renew is what to do about a version that is to be replaced.
func (s *subject) renew() string {
	switch {
	case s.Managed:
		return "renew the certificate of that name"
	case s.declared == nil:
		return "give it a new version, or declare it, so that this action does"
	}
	remedy := "run with " + s.mode() + ", which gives it a new version"
	switch {
	case s.Due != "" || !s.Ours:
	case s.Next.After(s.now) && (s.Expires.IsZero() || s.Next.Before(s.Expires)):
		remedy += " now; mode: rotate does from " + date(s.Next) + " on"
	case s.Next.IsZero():
		remedy += ", and declare rotate so that the next one is made in time"
	}
	return remedy
}

// redraw is what to do about a version that was made to another policy.
func (s *subject) redraw() string {
	switch {
	case s.Due != "" || !s.Ours:
		return s.renew()
	case s.declared.Rotate.OnPolicyChange:
		return "run with mode: rotate, which says what it waits for, or with mode: force for a new version now"
	}
	return "run with mode: force for a new version, and declare rotate: {on-policy-change: true} so that the next " +
		"change makes one"
}

// create is what to do about a declared secret that its vault does not hold.
func (s *subject) create() string {
	switch {
	case s.Due == TriggerMissing:
		return "run with mode: ensure, which creates it, or remove it from the declaration"
	case s.Due != "":
		return "run with mode: rotate, which gives all its vaults one new value"
	case s.deleted != nil:
		return "run with mode: ensure and recover-deleted: true, which recovers it and gives it a new version, or " +
			"remove it from the declaration"
	}
	return "run with mode: rotate, which says why it cannot be made, or remove it from the declaration"
}

// unblock is what to do about a current version that is disabled.
func (s *subject) unblock() string {
	switch {
	case s.Managed:
		return "enable the certificate of that name"
	case s.declared == nil:
		return "enable that version, or delete the secret"
	}
	return "enable that version, or run with " + s.mode() + ", which gives it a new one"
}

// judgeTerms judges a declared secret by what is declared of it.
func (j *judge) judgeTerms(s *subject) {
	if s.deleted != nil {
		message := "it is soft-deleted, so its name is taken"
		if !s.Purge.IsZero() {
			message += ", and will be purged on " + date(s.Purge)
		}
		s.find(SoftDeleted, message, "set the input recover-deleted: true, or have it recovered or purged").Since =
			s.Deleted
	}
	if s.holding == nil {
		s.find(Missing, "it is declared and not in the vault", s.create()).Since = s.Deleted
		return
	}
	if s.Managed {
		return // nothing that is declared can hold for it
	}
	if !s.Ours {
		s.find(Foreign, "this action did not make its current version",
			"to replace it, run with "+s.mode()+"; otherwise declare another name").Since = s.Created
	}
	j.judgeRotation(s)
	if s.declared.Drifts(s.current) {
		f := s.find(PolicyDrift, fmt.Sprintf("made to the policy %s, and %s is declared", orNone(s.Made), s.Policy),
			s.redraw())
		if s.declared.Rotate.OnPolicyChange {
			f.Level = LevelError
		}
	}
	if s.Superseded > 0 {
		since := s.Created.Add(s.declared.Superseded.DisableAfter)
		s.find(SupersededEnabled, fmt.Sprintf("%s disabled on %s",
			count(s.Superseded, "superseded version is still enabled, and was to be",
				"superseded versions are still enabled, and were to be"), date(since)),
			"run with mode: rotate, which disables them",
		).Since = since
	}
}

// judgeRotation judges whether the declared rotation by time is late. A disabled version has a finding of its own.
func (j *judge) judgeRotation(s *subject) {
	if !s.Enabled || s.Next.IsZero() || s.now.Sub(s.Next) <= j.Rules.Grace {
		return
	}
	remedy := "run with mode: rotate, and see why the scheduled runs did not"
	switch {
	case s.Due != "":
	case !s.Ours:
		remedy = "run with mode: rotate and adopt: true, which gives it a new version"
	default:
		remedy = "run with mode: rotate, which says why it cannot be rotated"
	}
	s.find(OverdueRotation, fmt.Sprintf("its rotation has been due for %s, since %s", lifecycle.Between(s.Next, s.now),
		date(s.Next)), remedy).Since = s.Next
}

// judgeState judges what is in a vault, whoever declared it.
func (j *judge) judgeState(s *subject) {
	if s.holding == nil {
		return
	}
	if s.Managed {
		s.find(Managed, "it is managed by a Key Vault certificate", "leave it; Key Vault renews the certificate itself")
	}
	if s.Enabled {
		j.judgeDates(s)
	} else {
		s.find(CurrentDisabled, "its newest version is disabled, so whoever reads it by name fails", s.unblock())
	}
	if s.ContentType == "" {
		s.find(ContentTypeMissing, "its current version has no content type", "set one with the next version")
	}
	j.judgeVersions(s)
}

// judgeDates judges the dates of a current version that is enabled.
func (j *judge) judgeDates(s *subject) {
	rules, left := j.Rules, s.Expires.Sub(s.now)
	switch {
	case s.Expires.IsZero():
		s.find(NeverExpires, "its current version never expires", s.expiry(rules.MaxValidity)).Since = s.Created
	case left <= 0:
		s.find(Expired, fmt.Sprintf("its current version expired %s ago, on %s", lifecycle.Between(s.Expires, s.now),
			date(s.Expires)), s.renew()).Since = s.Expires
	case left < rules.ExpiresWithin:
		s.find(ExpiresSoon, fmt.Sprintf("its current version expires in %s, on %s", lifecycle.Between(s.now, s.Expires),
			date(s.Expires)), s.renew()).Since = s.Expires.Add(-rules.ExpiresWithin)
	}
	switch {
	case rules.MaxValidity == 0:
	case s.Expires.IsZero():
		s.find(ValidityTooLong, fmt.Sprintf("its current version is valid for ever; at most %s are allowed",
			lifecycle.Age(rules.MaxValidity)), s.expiry(rules.MaxValidity)).Since = s.Created
	case s.Expires.Sub(s.Created) > rules.MaxValidity:
		s.find(ValidityTooLong, fmt.Sprintf("its current version is valid for %s; at most %s are allowed",
			lifecycle.Between(s.Created, s.Expires), lifecycle.Age(rules.MaxValidity)),
			s.expiry(rules.MaxValidity)).Since = s.Created
	}
	from := s.Created
	if !s.NotBefore.IsZero() {
		from = s.NotBefore
	}
	if age := s.now.Sub(from); rules.MaxAge > 0 && age > rules.MaxAge {
		s.find(TooOld, fmt.Sprintf("its current version is %s old; at most %s are allowed",
			lifecycle.Between(from, s.now),
			lifecycle.Age(rules.MaxAge)), s.renew()).Since = from.Add(rules.MaxAge)
	}
	if s.NotBefore.After(s.now) {
		s.find(NotYetActive, "its current version is not valid before "+date(s.NotBefore),
			"wait until then; readers that check the date refuse it")
	}
}

// expiry is what to do about a version that expires too late or never. A new one may be valid for that long at most; 0:
// for any time.
func (s *subject) expiry(longest time.Duration) string {
	switch {
	case s.Managed:
		return "set the validity of the certificate of that name"
	case s.declared == nil:
		return "set an expiry, or declare it with expires"
	case s.declared.Expires == 0:
		return "declare expires and rotate with before-expiry, and run with " + s.mode() + " for a new version"
	case longest > 0 && s.declared.Expires > longest:
		return "declare expires of at most " + lifecycle.Words(longest) + ", and run with " + s.mode() +
			" for a new version"
	}
	return "run with " + s.mode() + " for a new version, which has the declared expiry"
}

// judgeVersions judges how many versions there are, and of which operations.
func (j *judge) judgeVersions(s *subject) {
	const remedy = "declare another name for it: Key Vault backs up no more than 500 versions, and deletes none"
	switch excess := s.holding.Excess; {
	case excess > 0:
		s.find(ManyVersions, fmt.Sprintf("it has more than %d versions, which is more than this action reads", excess),
			remedy)
	case len(s.holding.Versions) >= j.Rules.MaxVersions:
		s.find(ManyVersions, fmt.Sprintf("it has %d versions; expected fewer than %d", len(s.holding.Versions),
			j.Rules.MaxVersions), remedy)
	}
	operations := map[string]int{}
	duplicates := 0
	for _, v := range s.holding.Versions {
		if operation := v.Operation(); v.Ours() && operation != "" {
			if operations[operation]++; operations[operation] == 2 {
				duplicates++
			}
		}
	}
	if duplicates > 0 {
		s.find(DuplicateOperation,
			count(duplicates, "operation", "operations")+" made several versions, which hold the "+
				"same value", "leave them: a request was repeated after its answer was lost")
	}
}

// diverged finds that the vaults of one declared secret hold versions of different operations: they were set
// separately.
func diverged(subjects []*subject) {
	var holding []*subject
	var current []lifecycle.Version
	for _, s := range subjects {
		if s.holding != nil {
			holding, current = append(holding, s), append(current, s.current)
		}
	}
	var differ []string
	for _, i := range lifecycle.Diverged(current) {
		differ = append(differ, holding[i].Vault)
	}
	if differ == nil {
		return
	}
	slices.Sort(differ)
	for _, s := range holding {
		s.find(Diverged, "its vaults were set separately, so they do not hold one value: "+strings.Join(differ, ", "),
			"run with mode: rotate, which gives all its vaults one new value")
	}
}

// date returns the day of a time.
func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func orNone(tag lifecycle.PolicyTag) lifecycle.PolicyTag {
	if tag == "" {
		return "none"
	}
	return tag
}

// count returns "1 version is", "2 versions are".
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
