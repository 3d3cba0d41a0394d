package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// Key Vault backs up a secret of no more than 500 versions and has no call that deletes one of them:
// https://learn.microsoft.com/azure/key-vault/general/backup#limitations
const (
	maxVersions  = 500
	manyVersions = 450
)

// MakePlan looks every secret up in its vaults, o.Concurrency at once, and decides what is to be done. It reads
// metadata and writes nothing.
//
// A secret that cannot be looked up, also because ctx is done, becomes a step that refuses. The error is about the call
// itself: an unknown mode, or a vault of a secret that is not in vaults, which are by their real names.
func MakePlan[L Lists](
	ctx context.Context, secrets []declaration.Secret, vaults map[string]L, o Options,
) (*Plan, error) {
	if modes := []Mode{ModeEnsure, ModeRotate, ModeForce}; !slices.Contains(modes, o.Mode) {
		return nil, fmt.Errorf("planning: unknown mode %q; expected one of %q", o.Mode, modes)
	}
	for _, s := range secrets {
		for _, v := range s.Vaults {
			if any(vaults[v.Name]) == nil {
				return nil, fmt.Errorf("planning: no vault is given for %s", v.Name)
			}
		}
	}
	plan := &Plan{}
	holdings := lookUp(ctx, secrets, gatedLists(vaults), o.workers())
	aims := aimsOf(ctx, secrets, holdings, o)
	for i := range secrets {
		group := holdings[:len(secrets[i].Vaults)]
		holdings = holdings[len(group):]
		for j, d := range decide(&secrets[i], group, &aims[i], o) {
			plan.Steps = append(plan.Steps, newStep(&group[j], d, &aims[i], o))
		}
	}
	return plan, nil
}

// A decision is what becomes of one secret in one vault, and why.
type decision struct {
	change  Change
	trigger lifecycle.Trigger
	reason  string
	refusal refusal.Refusal // of Refuse
}

func refuse(r refusal.Refusal) decision { return decision{change: Refuse, refusal: r} }

// decide judges one secret as a whole: what becomes of it in each of its vaults, in their order.
func decide(s *declaration.Secret, group []holding, a *aim, o Options) []decision {
	obstacles := make([]*refusal.Refusal, len(group))
	var writable []*holding
	for i := range group {
		h := &group[i]
		if obstacles[i] = h.obstacle(o); obstacles[i] == nil {
			obstacles[i] = a.failure
		}
		if obstacles[i] == nil {
			writable = append(writable, h)
		}
	}
	need := needOf(s, writable, a, o)
	if need.write {
		holdBack(obstacles, group, need, o)
	}
	if a.unclear {
		a.refuseUnclear(obstacles, group, need)
	}
	decisions := make([]decision, len(group))
	for i := range group {
		h := &group[i]
		switch {
		case obstacles[i] != nil:
			decisions[i] = refuse(*obstacles[i])
		case need.write:
			decisions[i] = h.write(need)
		case need.remedy != "":
			decisions[i] = refuse(refusal.Refusal{Cause: need.reason, Remedy: need.remedy})
		default:
			decisions[i] = h.keep(o)
		}
	}
	return decisions
}

// obstacle returns why nothing can be written to a secret in a vault, whatever is due; nil if it can.
func (h *holding) obstacle(o Options) *refusal.Refusal {
	switch {
	case h.failure != nil:
		return h.failure
	case h.managed():
		return &errManaged
	case h.deleted != nil && !o.RecoverDeleted:
		return &refusal.Refusal{
			Cause: "it is soft-deleted, so its name is taken", Kind: refusal.SoftDeleted,
			Remedy: "set the input recover-deleted: true, or have it recovered or purged",
		}
	case h.deleted != nil && h.foreign() && !o.Adopt:
		return &refusal.Refusal{
			Cause: "it is soft-deleted, and this action did not make it", Kind: refusal.SoftDeleted,
			Remedy: adoptRemedy,
		}
	case h.current.Exists() && !h.current.Enabled && o.Mode != ModeForce:
		return &refusal.Refusal{
			Cause:  "its newest version is disabled, so somebody has blocked it",
			Remedy: "enable that version, or run with mode: force for a new one",
		}
	}
	return nil
}

var errManaged = refusal.Refusal{
	Cause:  "it is managed by a Key Vault certificate",
	Remedy: "declare another name; Key Vault renews the certificate itself",
}

const adoptRemedy = "to replace it, set the input adopt: true; otherwise declare another name"

// A need is whether a secret gets a new version, in all of its vaults, and why.
type need struct {
	write   bool
	trigger lifecycle.Trigger
	reason  string
	remedy  string // the mode does not write what needs it: what to do then. "": it does, or there is no need
}

// needOf judges a secret by the vaults in which it can be written.
func needOf(s *declaration.Secret, writable []*holding, a *aim, o Options) need {
	exists := func(h *holding) bool { return h.current.Exists() }
	stale := func(h *holding) bool { return a.stale || s.Unconfirmed(h.current) }
	switch difference := differ(writable); {
	case len(writable) == 0:
		return need{}
	case o.Mode == ModeForce:
		return need{write: true, trigger: lifecycle.TriggerForced, reason: "forced"}
	case !slices.ContainsFunc(writable, exists):
		return need{write: true, reason: "did not exist"}
	case difference != "" && o.Mode == ModeEnsure:
		return need{reason: difference, remedy: "run with mode: rotate, which gives all its vaults one new value"}
	case difference != "":
		return need{write: true, trigger: lifecycle.TriggerDiverged, reason: difference}
	case slices.ContainsFunc(writable, stale) && o.Mode == ModeEnsure:
		return need{reason: lifecycle.Unapplied, remedy: staleRemedy}
	case slices.ContainsFunc(writable, stale):
		return need{write: true, trigger: lifecycle.TriggerUnapplied, reason: lifecycle.Unapplied}
	case o.Mode == ModeEnsure:
		return need{}
	}
	for _, h := range writable {
		if trigger, reason := s.Due(h.current, h.now, o.Adopt); trigger != "" {
			return need{write: true, trigger: trigger, reason: reason}
		}
	}
	return need{}
}

const staleRemedy = "run with mode: rotate, which sets a new password in both"

// refuseUnclear refuses a secret of which it is not known which login is in use, if that matters: it is to be written,
// or this action made the current version, which would be told to be applied.
func (a *aim) refuseUnclear(obstacles []*refusal.Refusal, group []holding, n need) {
	ours := slices.ContainsFunc(group, func(h holding) bool { return h.current.Ours() })
	if !n.write && !ours {
		return
	}
	for i := range group {
		if obstacles[i] == nil {
			logins := group[i].secret.Logins
			obstacles[i] = &refusal.Refusal{
				Cause: "no tag says which of its two logins the current version is for",
				Remedy: fmt.Sprintf("add current-login to its apply, with the login that readers use: %s or %s",
					logins[0], logins[1]),
			}
		}
	}
}

// differ returns how the vaults of one secret differ, "" if they do not.
func differ(writable []*holding) string {
	var lack []string
	var holding []string
	var current []lifecycle.Version
	for _, h := range writable {
		if !h.current.Exists() {
			lack = append(lack, h.vault)
			continue
		}
		holding, current = append(holding, h.vault), append(current, h.current)
	}
	diverged := lifecycle.Diverged(current)
	switch {
	case len(lack) > 0 && len(current) > 0:
		return "vaults differ: not in " + strings.Join(lack, ", ")
	case diverged != nil:
		var vaults []string
		for _, i := range diverged {
			vaults = append(vaults, holding[i])
		}
		slices.Sort(vaults)
		return "vaults differ: set separately in " + strings.Join(vaults, ", ")
	}
	return ""
}

// holdBack refuses a secret in all of its vaults if it cannot be written to one of them: the value is generated once,
// and a vault that misses it could never get it later.
func holdBack(obstacles []*refusal.Refusal, group []holding, n need, o Options) {
	blocked := ""
	for i := range group {
		if obstacles[i] == nil && group[i].foreign() && !o.Adopt {
			obstacles[i] = &refusal.Refusal{
				Cause: n.reason + ", but this action did not make the current version", Remedy: adoptRemedy,
			}
		}
		if obstacles[i] != nil && blocked == "" {
			blocked = group[i].vault
		}
	}
	if blocked == "" {
		return
	}
	for i := range group {
		if obstacles[i] == nil {
			obstacles[i] = &refusal.Refusal{
				Cause:  n.reason + ", but held back: its vaults share one value, and it is refused in " + blocked,
				Remedy: "resolve the refusal in " + blocked,
			}
		}
	}
}

// write decides on a new version.
func (h *holding) write(n need) decision {
	switch {
	case h.deleted != nil:
		return decision{change: Recover, trigger: n.trigger, reason: "soft-deleted: it is recovered first"}
	case len(h.versions) > 0:
		return decision{change: Rotate, trigger: n.trigger, reason: n.reason}
	case n.trigger == lifecycle.TriggerForced:
		return decision{change: Create, reason: "did not exist"}
	}
	return decision{change: Create, trigger: n.trigger, reason: n.reason}
}

// keep decides that nothing is written, and says what there is and when it is due.
func (h *holding) keep(o Options) decision {
	age := "made " + lifecycle.Age(h.now.Sub(h.current.Created)) + " ago"
	switch {
	case h.foreign():
		age += ", not by this action"
	case h.madeByRun(o):
		age += " by this run"
	}
	var reason string
	trigger, why := h.secret.Due(h.current, h.now, o.Adopt)
	next := h.secret.Next(h.current)
	switch {
	case o.Mode == ModeEnsure && trigger != "" && h.foreign():
		reason = "exists, not by this action; due in mode rotate: " + why
	case o.Mode == ModeEnsure && trigger != "":
		reason = "exists; due in mode rotate: " + why
	case o.Mode == ModeEnsure:
		reason = "exists, " + age
	case next.IsZero():
		reason = age + ", no rotation by time is declared"
	default:
		reason = age + ", not due before " + next.UTC().Format("2006-01-02 15:04Z")
	}
	made := h.policy()
	if made != "" && made != h.secret.PolicyTag && trigger != lifecycle.TriggerPolicy {
		reason += "; the declared policy is now " + string(h.secret.PolicyTag)
	}
	if drift := h.secret.ExpiryDrift(h.current); drift != "" {
		reason += "; " + drift
	}
	return decision{change: Keep, reason: reason}
}

// newStep returns the step of a decision: what follows from it for dates, tags, superseded versions, and the warnings.
func newStep(h *holding, d decision, a *aim, o Options) Step {
	s := h.secret
	step := Step{
		Name: s.Name, Place: s.Place, Vault: h.vault,
		Change: d.change, Trigger: d.trigger, Reason: d.reason, Refusal: d.refusal,
		Before: stateOf(s.Terms, h.current), After: stateOf(s.Terms, h.current),
		Foreign: h.current.Exists() && h.foreign(), OfRun: h.madeByRun(o),
		Versions: len(h.versions), Policy: h.policy(), Target: a.target, Login: a.inUse,
		secret: s, current: h.current, holds: h, aim: *a,
	}
	versions := step.Versions
	if d.change.Writes() {
		versions++
		step.Login = a.login
		step.After = stateOf(s.Terms, s.Made(h.now))
		step.Policy = s.PolicyTag
		var left []string
		if step.carried, left = h.carried(o); len(left) > 0 {
			step.warn("Key Vault takes %d tags: these of the current version are not carried over: %s",
				lifecycle.MaxTags, strings.Join(left, ", "))
		}
	}
	if step.Policy == s.PolicyTag {
		step.Bits = s.Bits()
	}
	if d.change != Refuse {
		step.Disable = h.obsolete(d.change, o)
		step.warnOfDates(h.now)
	}
	if step.Target != "" && step.Change == Keep && step.Foreign {
		step.warn("this action did not make the current version, so it is not known whether %s holds it", step.Target)
	}
	if versions >= manyVersions {
		step.warn("%d of %d versions: Key Vault backs up no more and cannot delete single versions; plan for a new "+
			"name",
			versions, maxVersions)
	}
	return step
}

// latestExpiry is the last second of a 32-bit time, which is what Key Vault's interface declares an expiry to be.
var latestExpiry = time.Unix(1<<31-1, 0)

// soon is how long before an expiry that no rotation precedes a plan warns of it. Key Vault's own event comes 30 days
// before: https://learn.microsoft.com/azure/event-grid/event-schema-key-vault
const soon = 30 * 24 * time.Hour

func (s *Step) warnOfDates(now time.Time) {
	expires, next := s.After.Expires, s.After.Next
	unrotated := s.Change == Keep && !expires.IsZero() && (next.IsZero() || next.After(expires))
	switch {
	case expires.After(latestExpiry):
		s.warn("expires after 2038-01-19, the last date that Key Vault's interface is declared for")
	case s.Change == Keep && !expires.IsZero() && !expires.After(now):
		s.warn("expired %s ago; declare rotate and run with mode: rotate, or run with mode: force for a new version",
			lifecycle.Age(now.Sub(expires)))
	case unrotated && expires.Sub(now) < soon:
		s.warn("expires in %s, before any declared rotation; declare rotate.before-expiry, or run with mode: force "+
			"for a new version", lifecycle.Age(expires.Sub(now)))
	}
}

func (s *Step) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// obsolete returns the versions to disable, after the set if there is one. Mode ensure disables nothing.
func (h *holding) obsolete(c Change, o Options) []string {
	switch {
	case o.Mode == ModeEnsure:
		return nil
	case c.Writes():
		return h.secret.ObsoleteOnceReplaced(h.versions, h.current, h.now)
	}
	return h.secret.Obsolete(h.versions, h.current, h.now)
}
