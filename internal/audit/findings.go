package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/lifecycle"
)

// What is to be done about several findings alike.
const (
	renewOurs  = "run with mode: force for a new version, and declare rotate so that the next one is made in time"
	renewDrift = "run with mode: force for a new version, and declare rotate: {on-policy-change: true} so that the " +
		"next change makes one"
	renewOther = "give it a new version, or declare it, so that this action does"
)

// renew is what to do about a version that is to be replaced.
func (s *subject) renew() string {
	switch {
	case s.Managed:
		return "renew the certificate of that name"
	case s.declared == nil:
		return renewOther
	case s.Due != "":
		return "run with mode: rotate, which gives it a new version"
	case !s.Ours:
		return "run with mode: force and adopt: true, which gives it a new version"
	}
	return renewOurs
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
		s.find(Missing, "it is declared and not in the vault",
			"run with mode: ensure, which creates it, or remove it from the declaration").Since = s.Deleted
		return
	}
	if s.Managed {
		return // nothing that is declared can hold for it
	}
	if !s.Ours {
		s.find(Foreign, "this action did not make its current version",
			"to replace it, set the input adopt: true; otherwise declare another name").Since = s.Created
	}
	j.judgeRotation(s)
	if s.declared.Drifts(s.current) {
		remedy := s.renew()
		if remedy == renewOurs {
			remedy = renewDrift
		}
		f := s.find(PolicyDrift, fmt.Sprintf("made to the policy %s, and %s is declared", orNone(s.Made), s.Policy),
			remedy)
		if s.declared.Rotate.OnPolicyChange {
			f.Level = LevelError
		}
	}
	if s.Superseded > 0 {
		s.find(SupersededEnabled, count(s.Superseded, "superseded version is", "superseded versions are")+
			" still enabled, longer than disable-after of superseded allows",
			"run with mode: rotate, which disables them",
		).Since = s.Created.Add(s.declared.Superseded.DisableAfter)
	}
}

// judgeRotation judges whether the declared rotation by time is late. A disabled version has a finding of its own.
func (j *judge) judgeRotation(s *subject) {
	if !s.Enabled || s.Next.IsZero() || s.now.Sub(s.Next) <= j.Rules.Grace {
		return
	}
	remedy := "run with mode: rotate, and see why the scheduled runs did not"
	if s.Due == "" {
		remedy = "run with mode: rotate, which says why it cannot be rotated"
	}
	s.find(OverdueRotation, fmt.Sprintf("its rotation has been due for %s, since %s", lifecycle.Age(s.now.Sub(s.Next)),
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
		s.find(CurrentDisabled, "its newest version is disabled, so whoever reads it by name fails",
			"enable that version, or delete the secret; one that is declared gets a new version with mode: force")
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
		s.find(NeverExpires, "its current version never expires", s.expiry()).Since = s.Created
	case left <= 0:
		s.find(Expired, fmt.Sprintf("its current version expired %s ago, on %s", lifecycle.Age(-left),
			date(s.Expires)), s.renew()).Since = s.Expires
	case left < rules.ExpiresWithin:
		s.find(ExpiresSoon, fmt.Sprintf("its current version expires in %s, on %s", lifecycle.Age(left),
			date(s.Expires)), s.renew()).Since = s.Expires.Add(-rules.ExpiresWithin)
	}
	switch {
	case rules.MaxValidity == 0:
	case s.Expires.IsZero():
		s.find(ValidityTooLong, fmt.Sprintf("its current version is valid for ever; at most %s are allowed",
			lifecycle.Age(rules.MaxValidity)), s.expiry()).Since = s.Created
	case s.Expires.Sub(s.Created) > rules.MaxValidity:
		s.find(ValidityTooLong, fmt.Sprintf("its current version is valid for %s; at most %s are allowed",
			lifecycle.Age(s.Expires.Sub(s.Created)), lifecycle.Age(rules.MaxValidity)), s.expiry()).Since = s.Created
	}
	from := s.Created
	if !s.NotBefore.IsZero() {
		from = s.NotBefore
	}
	if age := s.now.Sub(from); rules.MaxAge > 0 && age > rules.MaxAge {
		s.find(TooOld, fmt.Sprintf("its current version is %s old; at most %s are allowed", lifecycle.Age(age),
			lifecycle.Age(rules.MaxAge)), s.renew()).Since = from.Add(rules.MaxAge)
	}
	if s.NotBefore.After(s.now) {
		s.find(NotYetActive, "its current version is not valid before "+date(s.NotBefore),
			"wait until then; readers that check the date refuse it")
	}
}

// expiry is what to do about a version that expires too late or never.
func (s *subject) expiry() string {
	switch {
	case s.Managed:
		return "set the validity of the certificate of that name"
	case s.declared == nil:
		return "set an expiry, or declare it with expires"
	case s.declared.Expires == 0:
		return "declare expires and rotate with before-expiry, and give it a new version"
	}
	return "give it a new version, which has the declared expiry"
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

// diverged finds that the vaults of one declared secret hold versions of different operations.
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
		s.find(Diverged, "its vaults hold versions of different operations: "+strings.Join(differ, ", "),
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
