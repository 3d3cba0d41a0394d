package provision

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// Apply does what the plan says, o.Concurrency secrets at once, and returns one Result for each step, in their order. As a
// step ends, on is called with its Result, by one goroutine at a time; steps that need nothing done end first.
//
// Once ctx is done no secret is started. Those in flight go on with ctx, and it is for the vaults to end or to look up what
// was sent; what was stored is in the results either way.
func (p *Plan) Apply(ctx context.Context, vaults map[string]Vault, o Options, on func(Result)) []Result {
	r := &results{of: make([]Result, len(p.Steps)), at: map[*Step]int{}, on: on}
	var jobs []job
	for _, group := range p.groups(r.at) {
		var work []*Step
		for _, step := range group {
			if step.Action.writes() || len(step.Disable) > 0 {
				work = append(work, step)
				continue
			}
			r.end(step.untouched())
		}
		if len(work) > 0 {
			jobs = append(jobs, job{vaultsOf(work), func() { carryOut(ctx, work, vaults, o, r.end) }})
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
		if i > 0 && p.Steps[i-1].Secret == step.Secret {
			groups[len(groups)-1] = append(groups[len(groups)-1], step)
			continue
		}
		groups = append(groups, []*Step{step})
	}
	return groups
}

// results collects how steps end.
type results struct {
	mu sync.Mutex
	of []Result
	at map[*Step]int
	on func(Result)
}

func (r *results) end(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[r.at[result.Step]] = result
	if r.on != nil {
		r.on(result)
	}
}

// untouched returns the result of a step for which nothing is done.
func (s *Step) untouched() Result {
	r := Result{Step: s}
	r.now(s.Current)
	if s.Action == Refuse {
		r.Err = &Error{Reason: s.Reason, Remedy: s.Remedy, Kind: s.kind}
	}
	return r
}

// carryOut does the steps of one secret, its vaults in parallel. The value exists from here to the end of the last set.
func carryOut(ctx context.Context, steps []*Step, vaults map[string]Vault, o Options, end func(Result)) {
	start := time.Now()
	op, err := newOperation(ctx, steps, o.Run)
	var wg sync.WaitGroup
	for _, step := range steps {
		result := step.untouched()
		if err != nil {
			result.Err = err
			end(result)
			continue
		}
		wg.Go(func() {
			op.carryOut(ctx, vaults[step.Vault], o, &result)
			result.Elapsed = time.Since(start)
			end(result)
		})
	}
	wg.Wait()
}

// An operation is the one value of a secret, on its way to the secret's vaults. The zero operation has none.
type operation struct {
	id    string
	run   string
	value sensitive.Value
}

// newOperation generates what the steps of one secret set, if any of them sets something.
func newOperation(ctx context.Context, steps []*Step, run string) (op operation, err error) {
	if ctx.Err() != nil {
		return op, notStarted()
	}
	if !slices.ContainsFunc(steps, func(s *Step) bool { return s.Action.writes() }) {
		return op, nil
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return op, explain("drawing an operation ID", err)
	}
	value, err := generate(steps[0].Secret)
	if err != nil {
		return op, explain("generating", err)
	}
	return operation{id: hex.EncodeToString(id[:]), run: run, value: value}, nil
}

// generate draws every part of a secret and makes its value of them.
func generate(s *declaration.Secret) (sensitive.Value, error) {
	parts := make(map[string]sensitive.Value, len(s.Parts))
	for _, part := range s.Parts {
		value, err := part.Space.Draw()
		if err != nil {
			return sensitive.Value{}, fmt.Errorf("part %s: %w", part.Name, err)
		}
		parts[part.Name] = value
	}
	if s.Value == nil {
		return parts[s.Parts[0].Name], nil
	}
	return s.Value.Render(parts, s.Login), nil
}

// carryOut does one step: recover, set, disable. It leaves in r what the vault holds, as far as that is known, whatever
// fails.
func (op operation) carryOut(ctx context.Context, v Vault, o Options, r *Result) {
	if v == nil {
		r.Err = explain("starting", errNoVault(r.Step.Vault))
		return
	}
	step, carried, superseded := r.Step, r.Step.carried, r.Step.Disable
	if step.Action == Recover {
		f, err := recoverDeleted(ctx, v, o, r)
		if err != nil {
			r.Err = err
			return
		}
		carried, superseded = f.carried(o), f.superseded(o, true)
	}
	if step.Action.writes() {
		if err := op.set(ctx, v, carried, r); err != nil {
			r.Err = err
			return
		}
	}
	disable(ctx, v, superseded, r)
}

// recoverDeleted brings a secret back and looks at it: what the list of deleted secrets told was of its latest version,
// and what is current now may be another. If this action did not make that, nothing more is done without o.Adopt.
func recoverDeleted(ctx context.Context, v Vault, o Options, r *Result) (*finding, error) {
	f := &finding{secret: r.Step.Secret, vault: r.Step.Vault}
	if err := v.Recover(ctx, f.secret.Name); err != nil {
		return f, explainPermission("recovering it", recoverAction, err)
	}
	if f.look(ctx, v); f.err != nil {
		return f, f.err
	}
	f.now = v.Now()
	r.now(f.current)
	switch {
	case f.managed():
		return f, errManaged()
	case f.foreign() && !o.Adopt:
		return f, &Error{Reason: "recovered, but this action did not make the current version", Remedy: adoptRemedy}
	}
	return f, nil
}

// now notes that a version is current, none if it is the zero Version.
func (r *Result) now(current keyvault.Version) {
	r.Version, r.Expires, r.Next = current.ID, current.Expires, nextRotation(r.Step.Secret, current)
}

// set makes the new version.
func (op operation) set(ctx context.Context, v Vault, carried map[string]string, r *Result) error {
	s := r.Step.Secret
	now := v.Now()
	next := keyvault.NewVersion{
		Value:       op.value,
		Operation:   op.id,
		ContentType: s.ContentType,
		Tags:        newTags(s.Policy, s.Tags, carried, op.id, op.run),
		Expires:     after(now, s.Expires),
		NotBefore:   after(now, s.NotBefore),
	}
	stored, err := v.Set(ctx, s.Name, next)
	if err != nil {
		failure := explain("setting it", err)
		if failure.Kind == refusal.Ambiguous {
			op.lookAgain(ctx, v, r)
		}
		return failure
	}
	r.now(keyvault.Version{ID: stored.Version, Created: now, Expires: next.Expires})
	r.Changed, r.Duplicates = true, stored.Duplicates
	return nil
}

// lookAgain corrects what r says the vault holds after a set whose end is not known. If it cannot be looked up, it is not
// known either.
func (op operation) lookAgain(ctx context.Context, v Vault, r *Result) {
	f := finding{secret: r.Step.Secret, vault: r.Step.Vault}
	f.look(ctx, v)
	r.now(f.current)
	r.Changed = f.live() && f.current.Tags[keyvault.OperationTag] == op.id
}

// disable disables the superseded versions, up to the first that cannot be.
func disable(ctx context.Context, v Vault, superseded []string, r *Result) {
	for _, id := range superseded {
		if err := v.Disable(ctx, r.Step.Secret.Name, id); err != nil {
			r.Err = explainPermission("disabling superseded version "+id, updateAction, err)
			return
		}
		r.Disabled = append(r.Disabled, id)
	}
}
