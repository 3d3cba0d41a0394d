package declaration

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration/internal/grammar"
)

// An Audit is what mode audit judges by, beside what is declared of each secret.
type Audit struct {
	ExpiresWithin time.Duration // from how long before its end on a version is told to expire soon
	Grace         time.Duration // how long a due rotation may wait for the schedule
	MaxAge        time.Duration // 0: age is not judged
	MaxValidity   time.Duration // 0: the time from creation to expiry is not judged
	MaxVersions   int           // from how many versions on a secret has many
	Undeclared    Undeclared    // what a secret is that a vault holds and nobody declared
	Ignore        []Ignore
}

// DefaultAudit is what holds where a declaration says nothing of audits, or there is none.
func DefaultAudit() Audit {
	return Audit{
		ExpiresWithin: 30 * day, Grace: 8 * day, MaxVersions: 400, Undeclared: UndeclaredWarning,
	}
}

const day = 24 * time.Hour

// Undeclared says what becomes of a secret that nobody declared.
type Undeclared string

// The values of the key undeclared.
const (
	UndeclaredOff     Undeclared = grammar.UndeclaredOff     // no finding
	UndeclaredWarning Undeclared = grammar.UndeclaredWarning // a finding of that level
	UndeclaredError   Undeclared = grammar.UndeclaredError   // likewise
)

// UndeclaredWords returns the values of the key undeclared.
func UndeclaredWords() []string {
	return []string{string(UndeclaredOff), string(UndeclaredWarning), string(UndeclaredError)}
}

// An Ignore leaves findings out until a day, for a reason.
type Ignore struct {
	Name   string   // of the secrets: a name or a glob, letter case ignored
	Rules  []string // whose findings. Empty: all
	Reason string
	Until  time.Time // the last day on which it counts, at 00:00 UTC
	Place  Place
}

// Covers reports whether the entry is about findings of a rule on a secret.
func (i Ignore) Covers(rule, secret string) bool {
	matched, err := path.Match(strings.ToLower(i.Name), strings.ToLower(secret))
	return err == nil && matched && (len(i.Rules) == 0 || slices.Contains(i.Rules, rule))
}

// Ended reports whether the entry counts no more: its last day is over, in UTC.
func (i Ignore) Ended(now time.Time) bool { return !now.Before(i.Until.Add(day)) }

// AuditRules returns the IDs of the rules of an audit, which ignore may name. A test of the package audit holds them
// against the rules there.
func AuditRules() []string { return grammar.AuditRules() }

// auditOf returns what a declaration says of audits. What it does not say is as by default.
func auditOf(a grammar.Audit) Audit {
	audit := DefaultAudit()
	audit.ExpiresWithin = cmp.Or(a.ExpiresWithin, audit.ExpiresWithin)
	if a.Grace.Given() {
		audit.Grace = a.Grace.Value
	}
	audit.MaxAge, audit.MaxValidity = a.MaxAge, a.MaxValidity
	audit.MaxVersions = cmp.Or(a.MaxVersions, audit.MaxVersions)
	audit.Undeclared = cmp.Or(Undeclared(a.Undeclared), audit.Undeclared)
	for _, entry := range a.Ignore {
		audit.Ignore = append(audit.Ignore, Ignore(entry))
	}
	return audit
}

// Places are where a declaration names what an audit finds and no secret of it stands for.
type Places struct {
	Secrets Place            // of the key secrets
	Vaults  map[string]Place // of what names a vault, by its real name
}

// Of returns the place for a finding on a vault, or on a secret of it that is not declared.
func (p Places) Of(vault string) Place {
	if place, ok := p.Vaults[vault]; ok {
		return place
	}
	return p.Secrets
}
