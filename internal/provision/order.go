package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// An order is one secret that gets a new password in its vaults and at its target: see [Target] for what comes when.
//
// With two logins the login in use opens with what the vaults hold, whatever stops the order. With one login, and with
// an Azure server, so it is but for the time from the vault's set to the end of Finish: a run that is killed then
// leaves the vault ahead, and the next plan finds it.
type order struct {
	target Target
	work   []*delivery // one for each of the secret's vaults
	vaults map[string]Vault
	o      Options
	stored func(Result) // is told of each new version at once
	op     operation
}

const (
	// setTimeout bounds the vaults' sets, because a lock and a transaction wait for them. This run keeps to the pace of
	// its vaults: one that is throttled for longer is busy with others. Where access is waited for, that is added:
	// should the transaction be ended meanwhile, Finish begins another.
	setTimeout = 45 * time.Second
	// stopGrace is how long after a stop Finish and Undo may still begin, to bring vault and target together or to
	// undo. Each may take 5.5 s from then on. noteGrace is the same for what is noted in the vault at the end. The
	// runner leaves 7 s, in which the outputs are written too.
	stopGrace = 1200 * time.Millisecond
	noteGrace = 6500 * time.Millisecond
)

// run carries the order out, and leaves in each delivery how it ended. It reports whether anything was started.
func (r *order) run(ctx context.Context) (started bool) {
	if ctx.Err() != nil {
		r.fail(stopped("this was started"), "")
		return false
	}
	if err := r.incomplete(); err != nil {
		r.fail(err, "")
		return false
	}
	if overtakers := r.underLock(ctx); overtakers != nil {
		r.giveWay(ctx, overtakers)
	}
	return true
}

// incomplete returns what the caller did not give.
func (r *order) incomplete() error {
	if r.target == nil {
		return refusal.Refusal{Act: "starting", Cause: "no target is given for " + r.step().Name}
	}
	for _, d := range r.work {
		if r.vaults[d.Step.Vault] == nil {
			return refusal.Refusal{Act: "starting", Cause: "no vault is given for " + d.Step.Vault}
		}
	}
	return nil
}

// step returns one of the steps, which have the secret, its target and its login in common.
func (r *order) step() *Step { return r.work[0].Step }

// at returns the login and the target as messages name them: "orders_b at pg-prod".
func (r *order) at() string { return r.step().Login + " at " + r.step().Target }

// fail ends every delivery that has not failed already.
func (r *order) fail(err error, outcome Outcome) {
	for _, d := range r.work {
		if d.Err == nil {
			d.Err = err
		}
		d.Outcome = outcome
	}
}

// underLock does what is done while the target is locked. If another run has made new versions meanwhile, it returns
// what the vaults hold now, and has done nothing.
func (r *order) underLock(ctx context.Context) (overtakers []*holding) {
	defer r.target.Unlock()
	if err := r.target.Lock(ctx, r.step().Login); err != nil {
		r.fail(explain("locking "+r.at(), err), TargetUntouched)
		return nil
	}
	overtakers, err := r.lookAgain(ctx)
	if err == nil && overtakers == nil {
		err = r.recoverDeleted(ctx)
	}
	if err == nil && overtakers == nil {
		r.op, err = newOperation(ctx, []*Step{r.step()}, r.o.Run)
	}
	switch {
	case err != nil:
		r.fail(err, TargetUntouched)
	case overtakers == nil:
		r.exchange(ctx)
	}
	return overtakers
}

// lookAgain looks at the versions under the lock. If any of them is another than the plan saw, or if the target has
// come to hold what it did not, it returns what each vault holds.
func (r *order) lookAgain(ctx context.Context) ([]*holding, error) {
	var now []*holding
	overtaken := false
	for _, d := range r.work {
		h := &holding{secret: d.Step.secret, vault: d.Step.Vault}
		if h.look(ctx, r.vaults[h.vault]); h.failure != nil {
			return nil, *h.failure
		}
		h.now = r.vaults[h.vault].Now()
		overtaken = overtaken || h.current.ID != d.Step.current.ID
		now = append(now, h)
	}
	if step := r.step(); !overtaken && step.Trigger == lifecycle.TriggerUnapplied {
		holds, err := r.holds(ctx, now[0].current)
		if err != nil {
			return nil, err
		}
		overtaken = holds
	}
	if !overtaken {
		return nil, nil
	}
	return now, nil
}

// holds reports whether the target holds a version, as far as it says.
func (r *order) holds(ctx context.Context, current lifecycle.Version) (bool, error) {
	s := r.step().secret
	if s.Confirm {
		return !s.Unconfirmed(current), nil
	}
	login := s.Login
	if s.Logins != nil {
		login = current.Login()
	}
	operation, err := r.target.Look(ctx, login)
	if err != nil {
		return false, explain("looking at "+r.step().Target, err)
	}
	return !isStale(s, current, operation), nil
}

// recoverDeleted recovers what is soft-deleted. What is then current must be for the login that the plan took it for.
func (r *order) recoverDeleted(ctx context.Context) error {
	for _, d := range r.work {
		if d.Step.Change != Recover {
			continue
		}
		h, err := recoverDeleted(ctx, r.vaults[d.Step.Vault], r.o, &d.Result)
		if err != nil {
			return err
		}
		if login, known := h.login(); h.secret.Logins != nil && (!known || login == d.Step.Login) {
			return refusal.Refusal{
				Act:    "recovered, but not set",
				Cause:  "its current version is for another login than the deleted list shows",
				Remedy: "run the job again",
			}
		}
		d.carried, _ = h.carried(r.o)
		d.obsolete = h.obsolete(Recover, r.o)
	}
	return nil
}

// exchange gives target and vaults the new password, in that order or the other: see [Target].
func (r *order) exchange(ctx context.Context) {
	ending, cancel := outlive(ctx, stopGrace)
	defer cancel()
	if err := r.target.Prepare(ctx, r.step().Login, r.op.id, r.op.password); err != nil {
		r.undo(ending, explain("setting "+r.at(), err), TargetUntouched)
		return
	}
	if err := r.target.Held(ctx); err != nil {
		r.undo(ending, explain("holding the lock on "+r.at(), err), TargetUntouched)
		return
	}
	stored, inDoubt := r.set(ctx)
	switch {
	case stored:
		r.finish(ctx, ending)
	case inDoubt && r.step().secret.Logins == nil:
		r.undo(ending, nil, VaultAhead)
	default:
		r.undo(ending, nil, TargetUntouched)
	}
}

// set stores the new version in each vault. It reports whether one of them has it, and whether one may have it.
func (r *order) set(ctx context.Context) (stored, inDoubt bool) {
	most := setTimeout + r.o.WaitForAccess
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	each(r.work, func(d *delivery) {
		d.Err = r.op.set(bounded, r.vaults[d.Step.Vault], d.carried, &d.Result)
		if refusal.Of(d.Err).Kind == refusal.Cancelled && ctx.Err() == nil {
			d.Err = refusal.Refusal{
				Act: "setting it",
				Cause: fmt.Sprintf("the vault did not take it within %s, the longest that %s is kept locked", most,
					r.at()),
				Remedy: "run the job again when the vault is less busy",
			}
		}
		if d.Changed {
			r.stored(d.Result)
		}
	})
	for _, d := range r.work {
		stored = stored || d.Changed
		inDoubt = inDoubt || !d.Changed && refusal.Of(d.Err).Kind == refusal.Ambiguous
	}
	return stored, inDoubt
}

// undo takes back what was prepared. It ends the deliveries that have not failed already with err.
func (r *order) undo(ending context.Context, err error, outcome Outcome) {
	undoErr := r.target.Undo(ending)
	r.fail(err, outcome)
	if undoErr == nil {
		return
	}
	for _, d := range r.work {
		failure := refusal.Of(d.Err)
		failure.Cause += "; undoing " + r.at() + ": " + refusal.Of(undoErr).Cause
		d.Err = failure
	}
}

// finish brings the target to what the vaults hold, and proves it.
func (r *order) finish(ctx, ending context.Context) {
	err := r.persist(ending)
	for _, d := range r.work {
		switch {
		case err == nil && d.Changed:
			d.Outcome = Applied
		case d.Changed:
			d.Outcome = VaultAhead
			if d.Err == nil {
				d.Err = r.ahead(err)
			}
		}
	}
	if err != nil || !r.step().secret.Confirm {
		return
	}
	noting, cancel := outlive(ctx, noteGrace)
	defer cancel()
	each(r.work, func(d *delivery) {
		if d.Changed {
			r.confirm(noting, d)
		}
	})
}

// ahead explains that the vault has a password that the target did not take, or is not known to have taken.
func (r *order) ahead(err error) error {
	failure := explain("setting "+r.at(), err)
	failure.Cause += "; the vault holds a password that is not known to be set there"
	if failure.Remedy != "" {
		failure.Remedy += "; then "
	}
	failure.Remedy += staleRemedy
	return failure
}

// persist calls Finish until it succeeds, fails in a way that lasts, or has failed for too long. The password is in
// memory, so that what a lost connection or a restart of the target leaves is put right at once.
func (r *order) persist(ending context.Context) error {
	start := time.Now()
	for pause := time.Second; ; pause = min(2*pause, 8*time.Second) {
		err := r.target.Finish(ending)
		if err == nil || ending.Err() != nil || time.Since(start)+pause > patience(refusal.Of(err).Kind) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ending.Done():
			return err
		}
	}
}

// patience returns how long a failure of Finish is met with another try: one that a restart or a failover shows until
// it is over, one that is an answer for some tries, and a refusal not at all.
func patience(kind refusal.Kind) time.Duration {
	switch kind {
	case refusal.Forbidden, refusal.NotFound:
		return 0
	case refusal.Unreachable, refusal.Ambiguous, refusal.ReadOnly:
		return 2 * time.Minute
	}
	return 15 * time.Second
}

// confirm notes on the new version that the server holds it. Another run may have stored a version meanwhile: an Azure
// server cannot be locked, and may then hold either password. So that version is not taken to be held any more.
func (r *order) confirm(ctx context.Context, d *delivery) {
	v, h := r.vaults[d.Step.Vault], &holding{secret: d.Step.secret, vault: d.Step.Vault}
	if h.look(ctx, v); h.failure != nil {
		d.Err = h.failure.Within("noting that the server holds it")
		return
	}
	h.now = v.Now()
	tags, id := r.op.tags(h.secret, d.carried), d.After.Version
	listed := slices.ContainsFunc(h.versions, func(v lifecycle.Version) bool { return v.Operation() == r.op.id })
	switch {
	case h.current.Operation() == r.op.id:
		tags, id = maps.Clone(h.current.Tags), h.current.ID
	case listed:
		d.After, d.Changed, d.OfRun = stateOf(h.secret.Terms, h.current), false, h.madeByRun(r.o)
		d.Outcome, d.holds = VaultAhead, h
		d.Err = refusal.Refusal{
			Act: "noting that the server holds it",
			Cause: "another run stored a version meanwhile, and " + d.Step.Target +
				" holds the password of one of the two",
			Remedy: "run with mode: force, and keep runs apart with concurrency in the workflow",
		}
		if h.current.Confirmed() { // the next rotation must not take it for held
			tags := maps.Clone(h.current.Tags)
			delete(tags, lifecycle.TagApplied)
			if err := v.Tag(ctx, h.secret.Name, h.current.ID, tags); err == nil {
				now := h.current
				now.Tags = tags
				d.holds = h.with(now)
			}
		}
		return
	}
	tags[lifecycle.TagApplied] = r.op.id
	if err := v.Tag(ctx, h.secret.Name, id, tags); err != nil {
		d.Err = explain("noting that the server holds it", err)
		return
	}
	now := d.holds.current
	now.Tags = tags
	d.holds = d.holds.with(now)
}

// giveWay ends an order that another run has overtaken: nothing was written, and what that run made is kept, unless the
// target does not hold it.
func (r *order) giveWay(ctx context.Context, now []*holding) {
	current := now[0].current
	for i, d := range r.work {
		h := now[i]
		d.obsolete = nil
		d.After, d.OfRun, d.Overtaken, d.holds = stateOf(h.secret.Terms, h.current), h.madeByRun(r.o), true, h
		if !h.current.Ours() || h.current.Operation() != current.Operation() {
			r.fail(refusal.Refusal{
				Cause: "somebody else stored a version while this run waited for the lock", Remedy: "run the job again",
			}, TargetUntouched)
		}
	}
	switch holds, err := r.holds(ctx, current); {
	case err != nil:
		r.fail(err, TargetUntouched)
	case !holds:
		r.fail(refusal.Refusal{
			Cause: "another run stored a version meanwhile, which the target does not hold", Remedy: staleRemedy,
		}, VaultAhead)
	}
}

// outlive returns a context that ends a grace after ctx.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}
