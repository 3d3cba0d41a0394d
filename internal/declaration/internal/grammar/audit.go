package grammar

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration/internal/strict"
)

// An Audit is what a declaration says of audits. What is absent is zero.
type Audit struct {
	ExpiresWithin, MaxAge, MaxValidity time.Duration
	Grace                              Located[time.Duration] // which may be 0
	MaxVersions                        int
	Undeclared                         string
	Ignore                             []Ignore
}

// An Ignore is one entry of ignore.
type Ignore struct {
	Name   string   // a name or a glob
	Rules  []string // none: all
	Reason string
	Until  time.Time // at 00:00 UTC
	Place  strict.Place
}

// The values of undeclared.
const (
	UndeclaredOff     = "off"
	UndeclaredWarning = "warning"
	UndeclaredError   = "error"
)

func undeclaredWords() []string { return []string{UndeclaredOff, UndeclaredWarning, UndeclaredError} }

// AuditRules returns the IDs of the rules of an audit, which ignore may name. A test of the package audit holds them
// against the rules there.
func AuditRules() []string {
	return []string{
		"missing", "expired", "expires-soon", "never-expires", "validity-too-long", "too-old", "overdue-rotation",
		"policy-drift", "foreign", "undeclared", "current-disabled", "not-yet-active", "superseded-enabled",
		"many-versions", "diverged", "duplicate-operation", "soft-deleted", "content-type-missing", "managed",
	}
}

// read reads the mapping under audit.
func (a *Audit) read(r *reader, n *strict.Node) {
	readFields(r, n, "audit", "expected a mapping, such as {max-age: 365d}", auditFields, a)
}

func (a *Audit) readUndeclared(r *reader, n *strict.Node) {
	text := strict.Value(n) // whatever YAML takes an off for
	if strict.KindOf(n) >= strict.Tagged {
		r.Refuse(r.Place(n), fmt.Sprintf("undeclared is %s", strict.KindOf(n)), "expected off, warning or error")
		return
	}
	if !slices.Contains(undeclaredWords(), text) {
		r.Unknown(r.Place(n), "value", text, " of undeclared", undeclaredWords())
		return
	}
	a.Undeclared = text
}

func (a *Audit) readIgnores(r *reader, n *strict.Node) {
	const remedy = "expected a list, such as [{name: 'legacy-*', reason: moves in Q1, until: 2027-03-31}]"
	for _, item := range r.readItems(n, "ignore", remedy, remedy) {
		ignore := Ignore{Place: r.Place(item)}
		const remedy = "expected a mapping with name, reason and until"
		if readFields(r, item, "an entry of ignore", remedy, ignoreFields, &ignore) {
			ignore.checkRequired(r, item)
		}
		a.Ignore = append(a.Ignore, ignore)
	}
}

// checkRequired notes the keys that an entry must have and has not.
func (i *Ignore) checkRequired(r *reader, n *strict.Node) {
	for _, key := range []struct {
		absent       bool
		name, remedy string
	}{
		{absent: i.Name == "", name: "name", remedy: "add the secrets that it is about; \"*\" is all"},
		{absent: i.Reason == "", name: "reason", remedy: "add why the findings are left out"},
		{absent: i.Until.IsZero(), name: "until", remedy: "add the last day on which it counts, such as 2027-03-31"},
	} {
		if key.absent {
			r.Refuse(r.Place(n), "an entry of ignore has no "+key.name, key.remedy)
		}
	}
}

// namesPattern is what a name of a secret, or a glob of some, is made of.
const namesPattern = `^[0-9a-zA-Z*?^\[\]-]+$`

func (i *Ignore) readName(r *reader, n *strict.Node) {
	text, ok := r.Line(n, "name", maxText)
	if !ok {
		return
	}
	const allowed = "0123456789-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ*?^[]"
	if _, err := path.Match(text, ""); err != nil || strings.Trim(text, allowed) != "" {
		r.Refuse(r.Place(n), fmt.Sprintf("name: %q is neither a name nor a glob", strict.Clip(text)),
			"expected letters, digits and hyphens, with *, ? or [a-z]")
		return
	}
	i.Name = text
}

func (i *Ignore) readRules(r *reader, n *strict.Node) {
	const remedy = "expected a list of rules, such as [never-expires]; otherwise remove the key"
	for _, item := range r.readItems(n, "rules", remedy, remedy) {
		rule, ok := r.Line(item, "a rule", maxText)
		switch {
		case !ok:
		case !slices.Contains(AuditRules(), rule):
			r.Unknown(r.Place(item), "rule", rule, "", AuditRules())
		default:
			i.Rules = append(i.Rules, rule)
		}
	}
}

func (i *Ignore) readUntil(r *reader, n *strict.Node) {
	text, ok := r.Line(n, "until", maxText)
	if !ok {
		return
	}
	until, err := time.Parse(time.DateOnly, text)
	if err != nil {
		r.Refuse(r.Place(n), fmt.Sprintf("until: %q is not a date", strict.Clip(text)),
			"expected a day of the calendar, such as 2027-03-31")
		return
	}
	i.Until = until
}
