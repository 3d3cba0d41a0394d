package provision_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

var seeds = flag.Uint64("seeds", 2000, "how many worlds with targets to run through")

// TestPromisesHoldInEveryWorldWithATarget runs secrets with targets through worlds that a seed draws: some runs, one
// after the other or two at once, of which each may be stopped or killed at any time, and any call of vault and target
// be refused or lost. Whatever happens:
//
//   - a run that says that all is well leaves a target that takes what the vault holds;
//   - with two logins, the value that the vault held when a run began and the one that it holds now open, at all times;
//   - a run that was stopped is over within 7 s;
//   - one further run without trouble ends well, and the one after it has nothing to do.
func TestPromisesHoldInEveryWorldWithATarget(t *testing.T) {
	for seed := range *seeds {
		if t.Failed() {
			return
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newTargetWorld(t, seed).run() })
		})
	}
}

// A targetWorld is one secret in one vault, its target, and what happens to its runs.
type targetWorld struct {
	*rig
	rng *rand.Rand
	mu  sync.Mutex // guards rng and log
	log strings.Builder

	trouble int // of 20 calls, so many go wrong
}

func newTargetWorld(t *testing.T, seed uint64) *targetWorld {
	w := &targetWorld{rng: rand.New(rand.NewPCG(seed, 15))}
	w.rig = newRig(t, arrangements[w.rng.IntN(len(arrangements))])
	start := time.Now()
	w.kv.clock = func() time.Time { return today.Add(time.Since(start)) }
	if w.rng.IntN(6) == 0 { // there is nothing yet
		w.kv.secrets = map[string][]held{}
	}
	if w.rng.IntN(6) == 0 {
		w.secret.Superseded = &lifecycle.Superseded{DisableAfter: day}
	}
	return w
}

func (w *targetWorld) run() {
	for range 1 + w.rng.IntN(3) {
		if w.arrangement != azureServer && w.secret.Superseded == nil && w.rng.IntN(4) == 0 {
			var both sync.WaitGroup
			both.Go(func() { w.one(true) })
			both.Go(func() { w.one(true) })
			both.Wait()
		} else {
			w.one(false)
		}
		time.Sleep(time.Duration(w.rng.IntN(9)) * 30 * time.Hour)
	}
	w.fault(0)
	clean := w.drawn(rotate, false)
	if clean.err() != nil || !w.opens(w.latest()) {
		w.t.Errorf("a run without trouble: %v; what the vault holds opens: %t", clean.err(), w.opens(w.latest()))
	}
	again := w.drawn(rotate, false)
	if again.err() != nil || again.result.Step.Change != provision.Keep {
		w.t.Errorf("nothing is left to do, and yet: %s, %v", says(*again.result.Step), again.err())
	}
	if w.t.Failed() {
		w.t.Logf("%s\n%s", w.arrangement, w.log.String())
	}
}

// one is a run with trouble.
func (w *targetWorld) one(beside bool) {
	w.fault(w.intN(3))
	mode := []provision.Mode{ensure, rotate, rotate, force}[w.intN(4)]
	before := w.latest()
	r := w.drawn(mode, true)
	w.note("%s ends: %v, %v; killed %t", mode, r.result.Outcome, r.err(), r.dead)
	switch {
	case r.dead:
	case r.err() == nil && !beside && r.result.Step.Change != provision.Refuse && !w.opens(w.latest()):
		w.t.Errorf("%s says that all is well, and what the vault holds does not open", mode)
	case r.took > 7*time.Second:
		w.t.Errorf("%s was over %s after the stop", mode, r.took)
	}
	if w.arrangement == twoLogins && !beside && before != "" && !w.opens(before) {
		w.t.Errorf("after %s the value that the vault held before does not open", mode)
	}
}

func (w *targetWorld) intN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

func (w *targetWorld) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(&w.log, format+"\n", args...)
}

// draws reports whether the next call goes wrong.
func (w *targetWorld) draws() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(20) < w.trouble
}

// fault sets how often, of 20 calls, one goes wrong.
func (w *targetWorld) fault(often int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble = often
}

// A client is one run's view of vault and target.
type client struct {
	*vault
	w        *targetWorld
	target   *target
	troubled bool
	dead     bool
	killAt   int // the call at which the run is killed
	calls    int
	result   provision.Result
	took     time.Duration // from the stop to the end
}

func (c *client) err() error { return c.result.Err }

// drawn is one run. With trouble it may be stopped or killed.
func (w *targetWorld) drawn(mode provision.Mode, troubled bool) *client {
	c := &client{vault: w.kv, w: w, target: w.target.client(), troubled: troubled, killAt: -1}
	c.target.broken = w.t.Errorf
	c.target.before = func(ctx context.Context, call string) error { return c.trouble(ctx, "target "+call, false) }
	c.target.after = func(ctx context.Context, call string) error { return c.trouble(ctx, "target "+call, true) }
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var stopped time.Time
	if troubled {
		switch w.intN(4) {
		case 0:
			c.killAt = w.intN(30)
		case 1:
			stop := time.AfterFunc(time.Duration(w.intN(4000))*time.Millisecond,
				func() {
					w.mu.Lock()
					stopped = time.Now()
					w.mu.Unlock()
					cancel()
				})
			defer stop.Stop()
		}
	}
	vaults := map[string]provision.Vault{"kv": c}
	o := provision.Options{Mode: mode, Targets: map[string]provision.Target{"db": c.target}}
	plan, err := provision.MakePlan(ctx, []declaration.Secret{w.secret}, vaults, o)
	if err != nil {
		w.t.Fatal(err)
	}
	c.result = plan.Apply(ctx, vaults, o, provision.Observer{})[0]
	w.mu.Lock()
	defer w.mu.Unlock()
	if !stopped.IsZero() {
		c.took = time.Since(stopped)
	}
	return c
}

// trouble is what happens to a call before it is carried out, or with what it did.
func (c *client) trouble(ctx context.Context, call string, done bool) error {
	if c.dead {
		return errDead
	}
	if !done && c.troubled {
		wait := time.Duration(c.w.intN(400)) * time.Millisecond
		if c.w.intN(20) == 0 {
			wait = 3 * time.Second
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done(): // what is sent is answered or looked up; the rest ends with its context
			if strings.HasSuffix(call, " set") {
				time.Sleep(min(wait, 3*time.Second))
			}
		}
	}
	if c.calls++; c.calls == c.killAt {
		c.w.note("killed at %s, done %t", call, done)
		c.dead = true
		c.target.kill()
		return errDead
	}
	c.w.checkReaders(call, done)
	if !c.troubled || !c.w.draws() {
		return nil
	}
	kind := []refusal.Kind{refusal.Forbidden, refusal.Unreachable, refusal.Other}[c.w.intN(3)]
	if done {
		kind = refusal.Ambiguous
	}
	c.w.note("%s goes wrong, done %t, kind %d", call, done, kind)
	return refuses(call, kind)
}

// checkReaders: with two logins, what the vault holds opens at all times.
func (w *targetWorld) checkReaders(call string, done bool) {
	if latest := w.latest(); w.arrangement == twoLogins && latest != "" && !w.opens(latest) {
		w.t.Errorf("at %s, done %t: what the vault holds does not open", call, done)
	}
}

// wrap carries out a call of the vault, with what happens to it.
func (c *client) wrap(ctx context.Context, call string, do func() error) error {
	if err := c.trouble(ctx, "vault "+call, false); err != nil {
		return asVaults(call, err)
	}
	if err := do(); err != nil {
		return err
	}
	return asVaults(call, c.trouble(ctx, "vault "+call, true))
}

// asVaults returns an error as a vault has it.
func asVaults(call string, err error) error {
	if r, ok := errors.AsType[refusal.Refusal](err); ok {
		return &keyvault.Error{Refusal: r, Secret: "db"}
	}
	return err
}

func (c *client) Versions(ctx context.Context, name string) (versions []lifecycle.Version, err error) {
	wrapped := c.wrap(ctx, "versions", func() error {
		versions, err = c.vault.Versions(ctx, name)
		return err
	})
	if wrapped != nil {
		return nil, wrapped
	}
	return versions, nil
}

func (c *client) Set(ctx context.Context, name string, v keyvault.NewVersion) (stored keyvault.Stored, err error) {
	err = c.wrap(ctx, "set", func() error {
		stored, err = c.vault.Set(context.WithoutCancel(ctx), name, v)
		return err
	})
	return stored, err
}

func (c *client) Disable(ctx context.Context, name, version string) error {
	return c.wrap(ctx, "disable", func() error { return c.vault.Disable(ctx, name, version) })
}

func (c *client) Tag(ctx context.Context, name, version string, tags map[string]string) error {
	return c.wrap(ctx, "tag", func() error { return c.vault.Tag(ctx, name, version, tags) })
}
