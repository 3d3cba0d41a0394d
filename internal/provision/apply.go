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
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// Apply does what the plan says, o.Concurrency secrets at once, and returns one Result for each step, in their order.
// As a step ends, on is called with its Result, by one goroutine at a time; steps that need nothing done end first.
//
// After ctx is done no secret is started. Those in flight go on with ctx, and the vaults end or look up what was sent;
// what was stored is in the results either way.
func (p *Plan) Apply(ctx context.Context, vaults map[string]Vault, o Options, on func(Result)) []Result {
	r := &results{of: make([]Result, len(p.Steps)), at: map[*Step]int{}, on: on}
	var jobs []job
	for _, group := range p.groups(r.at) {
		var work []*Step
		for _, step := range group {
			if step.Change.writes() || len(step.Disable) > 0 {
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
	r := Result{Step: s, After: s.Before}
	if s.Change == Refuse {
		r.Err = s.Refusal
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
			result.Err = op.carryOut(ctx, vaults[step.Vault], o, &result)
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
		return op, stopped("this secret was started")
	}
	if !slices.ContainsFunc(steps, func(s *Step) bool { return s.Change.writes() }) {
		return op, nil
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return op, explain("drawing an operation ID", err)
	}
	value, err := generate(steps[0].secret)
	if err != nil {
		return op, explain("generating", err)
	}
	return operation{id: hex.EncodeToString(id[:]), run: run, value: value}, nil
}

// generate draws every part of a secret and makes its value of them.
func generate(s *declaration.Secret) (sensitive.Value, error) {
	parts := make(map[string]sensitive.Value, len(s.Parts))
	for _, part := range s.Parts {
		value, err := part.Set.Draw()
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
func (op operation) carryOut(ctx context.Context, v Vault, o Options, r *Result) error {
	if v == nil {
		return refusal.Refusal{Act: "starting", Cause: "no vault is given for " + r.Step.Vault}
	}
	carried, obsolete := r.Step.carried, r.Step.Disable
	if r.Step.Change == Recover {
		h, err := recoverDeleted(ctx, v, o, r)
		if err != nil {
			return err
		}
		carried, _ = h.carried(o)
		obsolete = h.obsolete(Recover, o)
	}
	if r.Step.Change.writes() {
		if err := op.set(ctx, v, carried, r); err != nil {
			return err
		}
	}
	return disable(ctx, v, obsolete, r)
}

// recoverDeleted recovers a secret and looks at it. The list of deleted secrets told of its latest version; what is
// current now may be another. If this action did not make that one, nothing more is done without o.Adopt.
func recoverDeleted(ctx context.Context, v Vault, o Options, r *Result) (*holding, error) {
	h := &holding{secret: r.Step.secret, vault: r.Step.Vault}
	if err := v.Recover(ctx, h.secret.Name); err != nil {
		return h, explain("recovering it", err)
	}
	if h.look(ctx, v); h.failure != nil {
		return h, *h.failure
	}
	h.now = v.Now()
	r.After = stateOf(h.secret.Terms, h.current)
	switch {
	case h.managed():
		return h, errManaged
	case h.foreign() && !o.Adopt:
		return h, refusal.Refusal{
			Cause: "recovered, but this action did not make the current version", Remedy: adoptRemedy,
		}
	}
	return h, nil
}

// set makes the new version.
func (op operation) set(ctx context.Context, v Vault, carried map[string]string, r *Result) error {
	s := r.Step.secret
	made := s.Made(v.Now())
	stored, err := v.Set(ctx, s.Name, keyvault.NewVersion{
		Value:       op.value,
		ContentType: s.ContentType,
		Tags:        lifecycle.NewTags(s.PolicyTag, s.Tags, carried, op.id, op.run),
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
	r.After = stateOf(s.Terms, made)
	r.Changed, r.Duplicates = true, stored.Duplicates
	return nil
}

// lookAgain corrects what r says that the vault holds after a set whose end is not known. If it cannot be looked up,
// that is not known either.
func (op operation) lookAgain(ctx context.Context, v Vault, r *Result) {
	h := holding{secret: r.Step.secret, vault: r.Step.Vault}
	h.look(ctx, v)
	r.After = stateOf(h.secret.Terms, h.current)
	r.Changed = h.current.Exists() && h.current.Operation() == op.id
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
