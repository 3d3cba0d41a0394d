package provision

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// An Observer follows a plan that is carried out. Its functions are called by one goroutine at a time; either may be
// nil. Stored comes as soon as a vault holds a new version, which is before the step has ended where more is to be
// done; Ended comes once for each step.
type Observer struct{ Stored, Ended func(Result) }

// Apply does what the plan says, o.Concurrency secrets at once, and returns one Result for each step, in their order.
// Steps that need nothing done end first.
//
// After ctx is done no secret is started. Those in flight go on with ctx, and the vaults end or look up what was sent;
// what was stored is in the results either way.
func (p *Plan) Apply(ctx context.Context, vaults map[string]Vault, o Options, observer Observer) []Result {
	vaults = gated(vaults)
	r := &results{of: make([]Result, len(p.Steps)), at: map[*Step]int{}, observer: observer}
	var jobs []job
	for _, group := range p.groups(r.at) {
		var work []*Step
		for _, step := range group {
			if step.Change.Writes() || len(step.Disable) > 0 {
				work = append(work, step)
				continue
			}
			r.end(step.untouched())
		}
		if len(work) > 0 {
			jobs = append(jobs, job{vaultsOf(work), func() { carryOut(ctx, work, vaults, o, r) }})
		}
	}
	runAll(o.workers(), jobs)
	return r.of
}

// groups returns the steps by secret, and notes the place of each.
func (p *Plan) groups(at map[*Step]int) (groups [][]*Step) {
	for i := range p.Steps {
		step := &p.Steps[i]
		at[step] = i
		if i > 0 && p.Steps[i-1].secret == step.secret {
			groups[len(groups)-1] = append(groups[len(groups)-1], step)
			continue
		}
		groups = append(groups, []*Step{step})
	}
	return groups
}

// results collects how steps end.
type results struct {
	mu       sync.Mutex
	of       []Result
	at       map[*Step]int
	observer Observer
}

func (r *results) stored(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.observer.Stored != nil {
		r.observer.Stored(result)
	}
}

func (r *results) end(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[r.at[result.Step]] = result
	if r.observer.Ended != nil {
		r.observer.Ended(result)
	}
}

// untouched returns the result of a step for which nothing is done.
func (s *Step) untouched() Result {
	r := Result{Step: s, After: s.Before, OfRun: s.OfRun, holds: s.holds}
	if s.Change == Refuse {
		r.Err = s.Refusal
	}
	return r
}

// carryOut does the steps of one secret: its vaults get the value in parallel, and once all of them have it, superseded
// versions are disabled. Before that they may be the only value that all vaults hold.
func carryOut(ctx context.Context, steps []*Step, vaults map[string]Vault, o Options, all *results) {
	start := time.Now()
	work := make([]*delivery, len(steps))
	for i, step := range steps {
		work[i] = &delivery{Result: step.untouched(), carried: step.carried, obsolete: step.Disable}
	}
	started := false
	if step := steps[0]; step.Change.Writes() && step.Target != "" {
		r := &order{target: o.Targets[step.Name], work: work, vaults: vaults, o: o, stored: all.stored}
		started = r.run(ctx)
	} else {
		started = deliverAll(ctx, work, vaults, o, all.stored)
	}
	lacking := slices.IndexFunc(work, func(d *delivery) bool { return d.Err != nil })
	each(work, func(d *delivery) {
		switch {
		case lacking < 0:
			d.Err = disable(ctx, vaults[d.Step.Vault], d.obsolete, &d.Result)
		case d.Err == nil && len(d.obsolete) > 0:
			d.Lacking = work[lacking].Step.Vault
		}
		if started {
			d.Elapsed = time.Since(start)
		}
		all.end(d.Result)
	})
}

// deliverAll brings a new value to each vault where one is set. It reports whether anything was started.
func deliverAll(
	ctx context.Context, work []*delivery, vaults map[string]Vault, o Options, stored func(Result),
) (started bool) {
	var steps []*Step
	for _, d := range work {
		steps = append(steps, d.Step)
	}
	op, err := newOperation(ctx, steps, o.Run)
	each(work, func(d *delivery) {
		if d.Err = err; err == nil {
			d.Err = op.deliver(ctx, vaults[d.Step.Vault], o, d)
		}
		if d.Changed {
			stored(d.Result)
		}
	})
	return err == nil
}

// A delivery is a step that is carried out.
type delivery struct {
	Result
	carried  map[string]string // the tags that the new version keeps
	obsolete []string          // the versions to disable then
}

// each calls f with each of work at once, and waits.
func each(work []*delivery, f func(*delivery)) {
	var wg sync.WaitGroup
	for _, d := range work {
		wg.Go(func() { f(d) })
	}
	wg.Wait()
}

// An operation is the one value of a secret, on its way to the secret's vaults. The zero operation has none.
type operation struct {
	id       string
	run      string
	login    string // which of two logins the value is for; "" if the secret has not two
	value    sensitive.Value
	password sensitive.Value // the part of the value that is set at the secret's target
}

// newOperation generates what the steps of one secret set, if any of them sets something.
func newOperation(ctx context.Context, steps []*Step, run string) (op operation, err error) {
	if ctx.Err() != nil {
		return op, stopped("this was started")
	}
	if !slices.ContainsFunc(steps, func(s *Step) bool { return s.Change.Writes() }) {
		return op, nil
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return op, explain("drawing an operation ID", err)
	}
	op = operation{id: hex.EncodeToString(id[:]), run: run}
	if steps[0].secret.Logins != nil {
		op.login = steps[0].Login
	}
	if op.value, op.password, err = generate(steps[0].secret, op.login); err != nil {
		return operation{}, explain("generating", err)
	}
	return op, nil
}

// generate draws every part of a secret and makes its value of them. login is which of two logins it is for. With a
// target, password is the part that is set there.
func generate(s *declaration.Secret, login string) (value, password sensitive.Value, err error) {
	parts := make(map[string]sensitive.Value, len(s.Parts))
	for _, part := range s.Parts {
		value, err := part.Space.Draw()
		if err != nil {
			return sensitive.Value{}, sensitive.Value{}, fmt.Errorf("part %s: %w", part.Name, err)
		}
		parts[part.Name] = value
	}
	if s.Apply != nil {
		password = parts[s.Apply.Part]
	}
	if s.Value == nil {
		return parts[s.Parts[0].Name], password, nil
	}
	return s.Value.Render(parts, cmp.Or(login, s.Login)), password, nil
}

// deliver brings the value to one vault: it recovers the secret first where that is planned. It leaves in d what the
// vault holds, as far as that is known, whatever fails.
func (op operation) deliver(ctx context.Context, v Vault, o Options, d *delivery) error {
	if v == nil {
		return refusal.Refusal{Act: "starting", Cause: "no vault is given for " + d.Step.Vault}
	}
	if d.Step.Change == Recover {
		h, err := recoverDeleted(ctx, v, o, &d.Result)
		if err != nil {
			return err
		}
		d.carried, _ = h.carried(o)
		d.obsolete = h.obsolete(Recover, o)
	}
	if d.Step.Change.Writes() {
		return op.set(ctx, v, d.carried, &d.Result)
	}
	return nil
}

// recoverDeleted recovers a secret and looks at it. The list of deleted secrets showed its latest version; what is
// current now may be another. Nothing more is done if that one is disabled, or, without o.Adopt, not of this action.
func recoverDeleted(ctx context.Context, v Vault, o Options, r *Result) (*holding, error) {
	h := &holding{secret: r.Step.secret, vault: r.Step.Vault}
	if err := v.Recover(ctx, h.secret.Name); err != nil {
		return h, explain("recovering it", err)
	}
	h.look(ctx, v)
	h.now, r.holds = v.Now(), h
	if h.failure != nil {
		return h, *h.failure
	}
	r.After = stateOf(h.secret.Terms, h.current)
	obstacle := h.obstacle(o)
	if obstacle == nil && h.foreign() && !o.Adopt {
		obstacle = &refusal.Refusal{Cause: "this action did not make the current version", Remedy: adoptRemedy}
	}
	if obstacle != nil {
		return h, obstacle.During("recovered, but not set")
	}
	return h, nil
}

// set makes the new version.
func (op operation) set(ctx context.Context, v Vault, carried map[string]string, r *Result) error {
	s := r.Step.secret
	made := s.Made(v.Now())
	made.Tags = op.tags(s, carried)
	stored, err := v.Set(ctx, s.Name, keyvault.NewVersion{
		Value:       op.value,
		ContentType: s.ContentType,
		Tags:        made.Tags,
		Expires:     made.Expires,
		NotBefore:   made.NotBefore,
	})
	if err != nil {
		failure := explain("setting it", err)
		if failure.Kind == refusal.Ambiguous {
			op.lookAgain(ctx, v, r)
		}
		return failure
	}
	made.ID = stored.Version
	r.After, r.holds = stateOf(s.Terms, made), r.holds.with(made)
	r.Changed, r.OfRun, r.Duplicates = true, true, stored.Duplicates
	return nil
}

// tags returns the tags of the new version, with those that it carries over.
func (op operation) tags(s *declaration.Secret, carried map[string]string) map[string]string {
	tags := lifecycle.NewTags(s.PolicyTag, s.Tags, carried, op.id, op.run)
	if op.login != "" {
		tags[lifecycle.TagLogin] = op.login
	}
	return tags
}

// lookAgain corrects what r says that the vault holds after a set whose end is not known. If the set's version is not
// found, what is current is not known either: the vault may store it yet, and whatever is listed is then superseded.
func (op operation) lookAgain(ctx context.Context, v Vault, r *Result) {
	h := holding{secret: r.Step.secret, vault: r.Step.Vault}
	h.look(ctx, v)
	h.now = v.Now()
	r.After, r.holds, r.Changed, r.OfRun = State{}, &h, false, false
	if h.current.Exists() && h.current.Operation() == op.id {
		r.After, r.Changed, r.OfRun = stateOf(h.secret.Terms, h.current), true, true
	}
}

// disable disables the superseded versions, up to the first that cannot be.
func disable(ctx context.Context, v Vault, superseded []string, r *Result) error {
	for _, id := range superseded {
		if err := v.Disable(ctx, r.Step.Name, id); err != nil {
			return explain("disabling superseded version "+id, err)
		}
		r.Disabled = append(r.Disabled, id)
	}
	return nil
}
