package keyvault

import (
	"sync"
	"time"

	"keyvault-passwords/internal/network"
)

// Key Vault's limits per vault in any 10 seconds are 300 creates and 4,000 other transactions:
// https://learn.microsoft.com/azure/key-vault/general/service-limits. The action stays a tenth below.
const (
	period      = 10 * time.Second
	setsMax     = 270
	requestsMax = 3600
)

// A window lets at most so many requests through in any [period]. A request takes a slot before it is sent and gives it
// back when it has been answered, and the slot is free again a period later. So the service, which counts a request
// somewhere between the two, never counts more than there are slots in any period, whatever the network does.
type window struct {
	mu     sync.Mutex
	unused int           // slots that no request has taken yet
	free   []time.Time   // when each of the others that are free may be used; they come back in the order of these times
	back   chan struct{} // a slot came back
}

func newWindow(slots int) *window {
	return &window{unused: slots, back: make(chan struct{}, 1)}
}

// take waits for a slot. It reports false if stop is closed first.
func (w *window) take(stop <-chan struct{}) bool {
	for {
		ready, ok := w.pop()
		if !ok {
			select { // all are in flight: one must come back first
			case <-w.back:
				continue
			case <-stop:
				return false
			}
		}
		if !network.Sleep(stop, time.Until(ready)) {
			w.push(ready)
			return false
		}
		return true
	}
}

// give brings back a slot whose request was answered, or never sent, now.
func (w *window) give() {
	// The margin keeps the slot's next request outside a period that is closed at both ends.
	w.push(time.Now().Add(period + 20*time.Millisecond))
}

func (w *window) pop() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unused > 0 {
		w.unused--
		return time.Time{}, true
	}
	if len(w.free) == 0 {
		return time.Time{}, false
	}
	ready := w.free[0]
	w.free = w.free[1:]
	w.signal() // for another that waits: one signal may stand for several slots
	return ready, true
}

func (w *window) push(ready time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.free = append(w.free, ready)
	w.signal()
}

func (w *window) signal() {
	if len(w.free) == 0 {
		return
	}
	select {
	case w.back <- struct{}{}:
	default:
	}
}

// A pause is what a 429 asks for: until then, nothing is sent to the vault.
type pause struct {
	mu    sync.Mutex
	until time.Time
}

func (p *pause) extend(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until = until
	}
}

// wait waits until the pause is over. It reports false if stop is closed first.
func (p *pause) wait(stop <-chan struct{}) bool {
	for {
		p.mu.Lock()
		left := time.Until(p.until)
		p.mu.Unlock()
		if left <= 0 {
			return true
		}
		if !network.Sleep(stop, left) {
			return false
		}
	}
}
