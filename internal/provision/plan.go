package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/refusal"
)

// Key Vault backs up a secret of no more than 500 versions and has no call that deletes one of them:
// https://learn.microsoft.com/azure/key-vault/general/backup#limitations
const (
	maxVersions  = 500
	manyVersions = 450
)

// latestExpiry is the last second of a 32-bit time, which is what Key Vault's interface declares an expiry to be.
var latestExpiry = time.Unix(1<<31-1, 0)

// MakePlan looks every secret up in its vaults, o.Concurrency at once, and decides what is to be done. It reads metadata
// and writes nothing.
//
// What cannot be looked up, also because ctx is done, is a step that refuses. The error is of the call itself: an unknown
// mode, or a vault of a secret that is not in vaults, which are by their real names.
func MakePlan(ctx context.Context, secrets []declaration.Secret, vaults map[string]Vault, o Options) (*Plan, error) {
	if !slices.Contains([]Mode{ModeEnsure, ModeRotate, ModeForce}, o.Mode) {
		return nil, fmt.Errorf("planning: mode %q is none of %s, %s and %s", o.Mode, ModeEnsure, ModeRotate, ModeForce)
	}
	for _, s := range secrets {
		for _, v := range s.Vaults {
			if vaults[v.Name] == nil {
				return nil, errNoVault(v.Name)
			}
		}
	}
	plan := &Plan{}
	findings := lookUp(ctx, secrets, vaults, o.workers())
	for i := range secrets {
		group := findings[:len(secrets[i].Vaults)]
		findings = findings[len(group):]
		plan.Steps = append(plan.Steps, decide(&secrets[i], group, o)...)
	}
	return plan, nil
}

// decide returns the steps of one secret, one for each of its vaults.
func decide(s *declaration.Secret, group []finding, o Options) []Step {
	steps := make([]Step, len(group))
	var open []*finding // those that nothing stands against, whatever the mode
	for i := range group {
		f := &group[i]
		steps[i] = Step{Secret: s, Vault: f.vault, Current: f.current, Versions: len(f.versions)}
		steps[i].Foreign = f.live() && f.foreign()
		if err := blocked(f, o); err != nil {
			steps[i].refuse(err)
			continue
		}
		open = append(open, f)
	}
	why := reasonToWrite(s, open, o)
	if why.write {
		writeAll(steps, group, why, o)
	}
	for i := range steps {
		step := &steps[i]
		if step.Action == "" {
			step.settle(why, &group[i], o)
		}
		step.finish(&group[i], o)
	}
	return steps
}

// blocked returns why nothing can be written to a secret in a vault, whatever is due; nil if it can.
func blocked(f *finding, o Options) *Error {
	switch {
	case f.err != nil:
		return f.err
	case f.managed():
		return errManaged()
	case f.deleted != nil && !o.RecoverDeleted:
		return &Error{Reason: "it is soft-deleted, which keeps its name taken",
			Remedy: "set the input recover-deleted to true, or have it recovered or purged", Kind: refusal.SoftDeleted}
	case f.deleted != nil && f.foreign() && !o.Adopt:
		return &Error{Reason: "it is soft-deleted, and this action did not make it", Remedy: adoptRemedy, Kind: refusal.SoftDeleted}
	case !f.live() && len(f.versions) > 0 && o.Mode != ModeForce:
		return &Error{Reason: fmt.Sprintf("it exists, but none of its versions (%d) is enabled", len(f.versions)),
			Remedy: "enable one of them, or run with mode force for a new one"}
	}
	return nil
}

func errManaged() *Error {
	return &Error{Reason: "it is the shadow of a certificate", Remedy: "declare another name; the certificate has its own renewal"}
}

const adoptRemedy = "if it shall be replaced, set the input adopt to true; else declare another name"

// A cause is whether a secret is to be written, to all of its vaults, and why.
type cause struct {
	write    bool
	due      Due
	reason   string
	diverged bool // the vaults differ and the mode does not write: refused
}

// reasonToWrite judges a secret as a whole, by the vaults that nothing stands against.
func reasonToWrite(s *declaration.Secret, open []*finding, o Options) cause {
	switch difference := differ(open); {
	case len(open) == 0:
		return cause{}
	case o.Mode == ModeForce:
		return cause{write: true, due: DueForced, reason: "forced"}
	case !slices.ContainsFunc(open, (*finding).live):
		return cause{write: true, reason: "not there yet"}
	case difference != "" && o.Mode == ModeEnsure:
		return cause{diverged: true, reason: difference}
	case difference != "":
		return cause{write: true, due: DueDiverged, reason: difference}
	case o.Mode == ModeEnsure:
		return cause{}
	}
	for _, f := range open {
		if why, reason := due(s, f.current, f.now, o.Adopt); why != "" {
			return cause{write: true, due: why, reason: reason}
		}
	}
	return cause{}
}

// differ returns how the vaults of one secret differ, "" if they do not.
func differ(open []*finding) string {
	var lack []string
	operations := map[string][]string{}
	for _, f := range open {
		if !f.live() {
			lack = append(lack, f.vault)
			continue
		}
		operation := f.current.Tags[keyvault.OperationTag]
		operations[operation] = append(operations[operation], f.vault)
	}
	switch {
	case len(lack) > 0 && len(operations) > 0:
		return "vaults differ: not in " + strings.Join(lack, ", ")
	case len(operations) > 1:
		var vaults []string
		for _, of := range operations {
			vaults = append(vaults, of[0])
		}
		slices.Sort(vaults)
		return "vaults differ: set by different operations in " + strings.Join(vaults, ", ")
	}
	return ""
}

// writeAll makes each step one that writes, or, if one of them cannot, none: the value is generated once, so what one vault
// misses it can never be given later.
func writeAll(steps []Step, group []finding, why cause, o Options) {
	for i := range steps {
		if steps[i].Action == "" && group[i].foreign() && !o.Adopt {
			steps[i].refuse(&Error{Reason: why.reason + ", but this action did not make the current version", Remedy: adoptRemedy})
		}
	}
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Action == Refuse })
	for i := range steps {
		step := &steps[i]
		switch {
		case step.Action == Refuse:
		case at >= 0:
			step.refuse(&Error{Reason: why.reason + ", but held back: its vaults get one value, and " + steps[at].Vault + " is refused",
				Remedy: "see " + steps[at].Vault})
		default:
			step.write(why, &group[i])
		}
	}
}

// write makes the step one that sets a new version.
func (s *Step) write(why cause, f *finding) {
	s.Due, s.Reason = why.due, why.reason
	switch {
	case f.deleted != nil:
		s.Action, s.Reason = Recover, "soft-deleted: it is recovered first"
	case len(f.versions) > 0:
		s.Action = Rotate
	default:
		s.Action = Create
		if why.due == DueForced {
			s.Due, s.Reason = "", "not there yet"
		}
	}
}

// refuse makes the step one that does nothing.
func (s *Step) refuse(err *Error) {
	s.Action, s.Due, s.Reason, s.Remedy, s.kind = Refuse, "", err.Reason, err.Remedy, err.Kind
}

// settle makes the step of a secret that is not to be written one that keeps it, or refuses it where its vaults differ.
func (s *Step) settle(why cause, f *finding, o Options) {
	if why.diverged {
		s.refuse(&Error{Reason: why.reason, Remedy: "run with mode rotate: it gives all of them one new value"})
		return
	}
	s.Action = Keep
	age := "made " + ago(f.now.Sub(f.current.Created)) + " ago"
	if s.Foreign {
		age += ", not by this action"
	}
	next := nextRotation(s.Secret, f.current)
	switch isDue, reason := due(s.Secret, f.current, f.now, o.Adopt); {
	case o.Mode == ModeEnsure && isDue != "" && s.Foreign:
		s.Reason = "exists, not by this action; due in mode rotate: " + reason
	case o.Mode == ModeEnsure && isDue != "":
		s.Reason = "exists; due in mode rotate: " + reason
	case o.Mode == ModeEnsure:
		s.Reason = "exists, " + age
	case next.IsZero():
		s.Reason = age + ", no rotation by time is declared"
	default:
		s.Reason = age + ", not due before " + next.UTC().Format("2006-01-02 15:04Z")
	}
}

// finish fills in what follows from the action: dates, superseded versions, tags that stay, warnings.
func (s *Step) finish(f *finding, o Options) {
	count := s.Versions
	s.Expires, s.Next = s.Current.Expires, nextRotation(s.Secret, s.Current)
	if s.Action.writes() {
		s.Expires = after(f.now, s.Secret.Expires)
		s.Next = nextRotation(s.Secret, keyvault.Version{Created: f.now, Expires: s.Expires})
		s.carried = f.carried(o)
		s.warn(warnOfTags(f.tags(), s.carried, s.Secret.Tags))
		count++
	}
	s.describe()
	if s.Action != Refuse {
		s.Disable = f.superseded(o, s.Action.writes())
		s.warnOfDates(f.now)
	}
	if s.Action == Keep && f.newerDisabled() {
		s.warn("a newer version is disabled, and a reader who names no version is refused: enable it, or force a new one")
	}
	if count >= manyVersions {
		s.warn(fmt.Sprintf("%d of %d versions: Key Vault backs up no more, and deletes none of them singly; plan for a new name", count, maxVersions))
	}
}

// describe fills in the policy and the entropy of the value that the step ends with. Those of the declaration are a kept
// value's own only where it was made to them.
func (s *Step) describe() {
	switch {
	case s.Action.writes():
		s.Policy = s.Secret.Policy
	case s.Current.ID != "" && !s.Foreign:
		s.Policy = s.Current.Tags[policyTag]
	}
	if s.Policy == s.Secret.Policy {
		s.Entropy = entropyOf(s.Secret)
	} else if s.Action == Keep && s.Policy != "" && !strings.Contains(s.Reason, "policy changed") {
		s.Reason += "; the declared policy is now " + s.Secret.Policy
	}
}

func (s *Step) warnOfDates(now time.Time) {
	switch {
	case s.Expires.After(latestExpiry):
		s.warn("expires after 2038-01-19, the last date that Key Vault's interface is declared for")
	case s.Action == Keep && !s.Expires.IsZero() && s.Expires.Before(now):
		s.warn("expired " + ago(now.Sub(s.Expires)) + " ago; declare rotate and run with mode rotate, or force a new version")
	}
}

func (s *Step) warn(text string) {
	if text != "" {
		s.Warnings = append(s.Warnings, text)
	}
}

// superseded returns the versions that are to be disabled, after the set if there is one: enabled ones of this action that
// are older than the current version, once that is old enough, and the current one itself if it is replaced and no grace
// is declared. A further version of the current one's own operation holds the same value, and stays with it.
func (f *finding) superseded(o Options, replaced bool) (ids []string) {
	rule := f.secret.Superseded
	if rule == nil || o.Mode == ModeEnsure || !f.live() {
		return nil
	}
	replaced = replaced && rule.DisableAfter == 0
	if !replaced && (f.foreign() || f.now.Sub(f.current.Created) < rule.DisableAfter) {
		return nil
	}
	operation := f.current.Tags[keyvault.OperationTag]
	for _, v := range f.versions {
		older := v.ID != f.current.ID && v.Tags[keyvault.OperationTag] != operation
		if v.Enabled && ours(v.Tags) && (older || replaced) {
			ids = append(ids, v.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// entropyOf returns the entropy of each generated part of a secret, in the order of the declaration.
func entropyOf(s *declaration.Secret) string {
	var parts []string
	for _, part := range s.Parts {
		if part.Space != nil {
			parts = append(parts, part.Space.Entropy())
		}
	}
	return strings.Join(parts, " + ")
}
