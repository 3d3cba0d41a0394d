package provision

import (
	"context"
	"errors"
	"sync"
	"time"

	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// A gate is a vault that is not asked again and again for what it refuses to every secret alike: one closed vault is a
// request or two, and one problem. What it refuses to one secret says nothing of the others.
type gate struct {
	Vault
	lookUps, sets, disables, recoveries door
}

// gated returns the vaults, each behind a gate of its own.
func gated(vaults map[string]Vault) map[string]Vault {
	all := make(map[string]Vault, len(vaults))
	for name, v := range vaults {
		if v != nil {
			all[name] = &gate{Vault: v}
		}
	}
	return all
}

// Versions implements [Vault].
func (g *gate) Versions(ctx context.Context, name string) ([]lifecycle.Version, error) {
	return g.lookUps.versions(ctx, g.Vault, name)
}

// A listsGate is a gate for who reads metadata alone.
type listsGate struct {
	Lists
	lookUps door
}

// gatedLists returns the vaults' lists, each behind a gate of its own.
func gatedLists[L Lists](vaults map[string]L) map[string]Lists {
	all := make(map[string]Lists, len(vaults))
	for name, v := range vaults {
		all[name] = &listsGate{Lists: v}
	}
	return all
}

// Versions implements [Lists].
func (g *listsGate) Versions(ctx context.Context, name string) ([]lifecycle.Version, error) {
	return g.lookUps.versions(ctx, g.Lists, name)
}

func (d *door) versions(ctx context.Context, of Lists, name string) (versions []lifecycle.Version, err error) {
	err = d.pass(ctx, func() error {
		versions, err = of.Versions(ctx, name)
		return err
	})
	return versions, err
}

// Set implements [Vault].
func (g *gate) Set(ctx context.Context, name string, v keyvault.NewVersion) (stored keyvault.Stored, err error) {
	err = g.sets.pass(ctx, func() error {
		stored, err = g.Vault.Set(ctx, name, v)
		return err
	})
	return stored, err
}

// Disable implements [Vault].
func (g *gate) Disable(ctx context.Context, name, version string) error {
	return g.disables.pass(ctx, func() error { return g.Vault.Disable(ctx, name, version) })
}

// Recover implements [Vault].
func (g *gate) Recover(ctx context.Context, name string) error {
	return g.recoveries.pass(ctx, func() error { return g.Vault.Recover(ctx, name) })
}

// A door is where the calls of one kind to one vault go through.
type door struct {
	mu       sync.Mutex
	closed   error         // what all calls get from now on; nil: the door is open
	answered bool          // the vault has done it for one secret, or refused it to that one alone
	suspects int           // how many calls in a row have failed in a way that is most likely every secret's
	first    chan struct{} // is closed when the call that goes alone has ended; nil: none is under way
}

const (
	// headStart is how long the others wait for the call that goes alone. A slow answer is about that call.
	headStart = 500 * time.Millisecond
	// suspectsMax is after how many failures in a row that may be every secret's they are taken to be.
	suspectsMax = 2
)

// pass makes a call, or returns the failure that it would meet. Until the vault has answered one call, they go one by
// one, as long as that takes no time.
func (d *door) pass(ctx context.Context, call func() error) error {
	end, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer end()
	err = call()
	d.note(err)
	return err
}

// enter waits for the call's turn. The caller calls end after its call.
func (d *door) enter(ctx context.Context) (end func(), err error) {
	patience := time.NewTimer(headStart)
	defer patience.Stop()
	for waiting := true; ; {
		d.mu.Lock()
		first := d.first
		switch {
		case d.closed != nil:
			defer d.mu.Unlock()
			return nil, d.closed
		case d.answered || !waiting:
			d.mu.Unlock()
			return func() {}, nil
		case first == nil:
			d.first = make(chan struct{})
			d.mu.Unlock()
			return d.leave, nil
		}
		d.mu.Unlock()
		select {
		case <-first:
		case <-patience.C:
			waiting = false
		case <-ctx.Done():
			waiting = false // the vault itself says that the run was stopped
		}
	}
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.first)
	d.first = nil
}

// note learns from how a call ended.
func (d *door) note(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, _ := errors.AsType[*keyvault.Error](err)
	switch {
	case e == nil, e.Kind == refusal.Ambiguous, !e.WholeVault() && !e.MostLikelyWholeVault():
		d.answered, d.suspects = true, 0
		return
	case e.WholeVault() && !(e.Kind == refusal.Unreachable && d.answered):
		d.suspects = suspectsMax
	default:
		d.suspects++
	}
	if d.suspects >= suspectsMax {
		d.closed = err
	}
}
