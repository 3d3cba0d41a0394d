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

// A window lets a fixed number of requests through in any [period]: its slots. A request takes a slot before it is
// sent and returns it when it has been answered; a period later the slot can be taken again. The service counts a
// request at some moment between the two. So it never counts more requests in a period than there are slots, however
// long requests take on their way.
type window struct {
	mu       sync.Mutex
	unused   int           // slots that were never taken
	reusable []time.Time   // when each returned slot may be taken again, earliest first
	returned chan struct{} // signals that reusable may hold a slot
}

func newWindow(slots int) *window {
	return &window{unused: slots, returned: make(chan struct{}, 1)}
}

// take waits for a slot. It reports false if stop is closed first.
func (w *window) take(stop <-chan struct{}) bool {
	for {
		ready, ok := w.pop()
		if !ok {
			select { // every slot is taken: one must be returned first
			case <-w.returned:
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

// giveBack returns a slot whose request was answered now, or never sent.
func (w *window) giveBack() {
	// The margin counts for the case that the service's period includes both of its ends.
	w.push(time.Now().Add(period + 20*time.Millisecond))
}

// pop takes the slot that is ready first, if there is one.
func (w *window) pop() (ready time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unused > 0 {
		w.unused--
		return time.Time{}, true
	}
	if len(w.reusable) == 0 {
		return time.Time{}, false
	}
	ready = w.reusable[0]
	w.reusable = w.reusable[1:]
	w.signal() // the signal that woke this caller may have been for several slots
	return ready, true
}

func (w *window) push(ready time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reusable = append(w.reusable, ready)
	w.signal()
}

func (w *window) signal() {
	if len(w.reusable) == 0 {
		return
	}
	select {
	case w.returned <- struct{}{}:
	default:
	}
}

// A pause is the wait that a 429 asks for. Until it is over, nothing is sent to the vault.
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
