package declaration

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration/internal/strict"
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
	UndeclaredOff     Undeclared = "off"     // no finding
	UndeclaredWarning Undeclared = "warning" // a finding of that level
	UndeclaredError   Undeclared = "error"   // likewise
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
func AuditRules() []string {
	return []string{
		"missing", "expired", "expires-soon", "never-expires", "validity-too-long", "too-old", "overdue-rotation",
		"policy-drift", "foreign", "undeclared", "current-disabled", "not-yet-active", "superseded-enabled",
		"many-versions", "diverged", "duplicate-operation", "soft-deleted", "content-type-missing", "managed",
	}
}

var auditFields = []field[Audit]{
	{
		name: "expires-within", takes: "duration", schema: "duration",
		doc: "A version that expires within this time has the finding `expires-soon`. Default: `30d`.",
		read: func(r *reader, n *strict.Node, a *Audit) {
			a.ExpiresWithin = r.locateDuration(n, "expires-within").value
		},
	},
	{
		name: "grace", takes: "duration", schema: "duration-or-none",
		doc: "How long a due rotation may wait before it is `overdue-rotation`: the period of the schedule and a " +
			"day. " +
			"Default: `8d`.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.Grace = r.locateGrace(n, "grace").value },
	},
	{
		name: "max-age", takes: "duration", schema: "duration",
		doc:  "A version that is older is `too-old`. Default: age is not judged.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.MaxAge = r.locateDuration(n, "max-age").value },
	},
	{
		name: "max-validity", takes: "duration", schema: "duration",
		doc: "A version that is valid for longer, from its creation to its expiry, or for ever, is " +
			"`validity-too-long`. Default: validity is not judged.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.MaxValidity = r.locateDuration(n, "max-validity").value },
	},
	{
		name: "max-versions", takes: "number", schema: "count",
		doc: "A secret with this many versions has the finding `many-versions`. Default: 400. Key Vault backs up no " +
			"more than 500.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.MaxVersions, _ = r.readCount(n, "max-versions") },
	},
	{
		name: "undeclared", takes: "`off`, `warning` or `error`", schema: "undeclared",
		doc: "The level of the finding `undeclared`: a secret that is in a vault and not declared. " +
			"Default: `warning`.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.readUndeclared(r, n) },
	},
	{
		name: "ignore", takes: "list of mappings", schema: "ignores",
		doc:  "Findings that are left out, each entry with a reason and a last day.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.readIgnores(r, n) },
	},
}

var ignoreFields = []field[Ignore]{
	{
		name: "name", takes: "text", schema: "secret-pattern",
		doc:  "The secrets: a name, or a glob (`*`, `?`, `[a-z]`), letter case ignored.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.readName(r, n) },
	},
	{
		name: "rules", takes: "list of rules", schema: "rules-ignored",
		doc:  "The rules whose findings are left out, by their IDs. Default: all rules.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.readRules(r, n) },
	},
	{
		name: "reason", takes: "text", schema: "text",
		doc:  "Why. It is required.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.Reason, _ = r.Line(n, "reason", maxText) },
	},
	{
		name: "until", takes: "date", schema: "date",
		doc:  "The last day on which the entry counts, such as `2027-03-31`, in UTC. It is required.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.readUntil(r, n) },
	},
}

// readAudit reads the mapping under audit. What it does not have stays as by default.
func (r *reader) readAudit(n *strict.Node) *Audit {
	audit := DefaultAudit()
	readFields(r, n, "audit", "expected a mapping, such as {max-age: 365d}", auditFields, &audit)
	return &audit
}

func (a *Audit) readUndeclared(r *reader, n *strict.Node) {
	text := strict.Value(n) // whatever YAML takes an off for
	if strict.KindOf(n) >= strict.Tagged {
		r.Refuse(r.Place(n), fmt.Sprintf("undeclared is %s", strict.KindOf(n)), "expected off, warning or error")
		return
	}
	if !slices.Contains(UndeclaredWords(), text) {
		r.Unknown(r.Place(n), "value", text, " of undeclared", UndeclaredWords())
		return
	}
	a.Undeclared = Undeclared(text)
}

func (a *Audit) readIgnores(r *reader, n *strict.Node) {
	const remedy = "expected a list, such as [{name: 'legacy-*', reason: moves in Q1, until: 2027-03-31}]"
	items, ok := r.Items(n, "ignore", remedy)
	if ok && len(items) == 0 {
		r.Refuse(r.Place(n), "ignore is empty", remedy)
	}
	for _, item := range items {
		ignore := Ignore{Place: r.Place(item)}
		before := r.Found()
		ok := readFields(r, item, "an entry of ignore", "expected a mapping with name, reason and until", ignoreFields,
			&ignore)
		if ok && r.Found() == before {
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
	items, ok := r.Items(n, "rules", remedy)
	if ok && len(items) == 0 {
		r.Refuse(r.Place(n), "rules is empty", remedy)
	}
	for _, item := range items {
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
