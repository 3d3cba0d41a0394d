// Package access waits for access that was set up minutes ago. Azure's servers learn one by one of a new federated
// credential, role, firewall rule or vault. Until then they refuse as if nothing had been set up.
//
// A [Wait] is how long one run waits such refusals out. Which ones they are is for its callers to say, by the codes
// that they know: package identity those of Entra, package keyvault those of a vault, package arm those of Resource
// Manager. Callers that are refused by the same thing share its tries: one of them tries again, the others wait for
// what comes of it. Once one was let through, all try again, and whoever meets a server that has not heard of the
// set-up yet waits on.
package access

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// tellEvery is how often the log says at most what is waited for.
const tellEvery = 15 * time.Second

// reserve is what is kept of a run's timeout for the last try, so that the run ends with the refusal and its remedy.
const reserve = 10 * time.Second

// A Wait is the patience of one run, which begins with the first refusal. It is safe for concurrent use. A nil Wait
// waits for nothing.
type Wait struct {
	stop  <-chan struct{} // the run's
	end   time.Time       // of the run, less the reserve. Zero: it has none
	total time.Duration
	note  func(line string)

	mu       sync.Mutex
	doors    map[string]*door
	slots    map[string]time.Time // from when the next try of a pace may be
	first    time.Time            // of the refusals. Zero: there was none
	last     time.Time            // when somebody was let through who had been refused. Zero: nobody was
	lastDoor string               // where that was
	toldLast time.Time            // the latest such time that the log was told
	told     time.Time            // when the log last said what is waited for. Zero: it did not
	waiting  int                  // how many callers wait
	since    time.Time            // when the first of those began
	finished time.Duration        // how long callers waited before that, those at the same time counted once
}

// A door is what callers wait before: a vault, for what one permission allows; a sign-in.
type door struct {
	refused bool          // nobody was let through after the latest refusal
	told    bool          // the log has told of it
	every   time.Duration // the least time between two tries
	next    time.Time     // when the next caller in turn may try
	waiting int
	opened  time.Time     // when somebody was last let through
	wake    chan struct{} // is closed when somebody is let through
}

// New returns the patience of a run that ends with ctx: so long, and less where the run's timeout comes first. The
// function note gets lines for the log. It returns nil if total is 0.
func New(ctx context.Context, total time.Duration, note func(line string)) *Wait {
	if total <= 0 {
		return nil
	}
	w := &Wait{stop: ctx.Done(), total: total, note: note, doors: map[string]*door{}, slots: map[string]time.Time{}}
	if end, ok := ctx.Deadline(); ok {
		w.end = end.Add(-min(reserve, time.Until(end)/10))
	}
	return w
}

// A Refusal is one that a new set-up shows.
type Refusal struct {
	Door  string        // what refuses, for the log: "vault kv-app-prod (setSecret/action)"
	Seen  string        // what was seen, for the log
	Every time.Duration // the least time between two tries at that door
	Pace  string        // doors of one pace are tried in turn, Every apart; "": each for itself
}

// Out waits until what was refused may be tried again. It reports false if it is not to be: patience is over, the run
// was stopped, or done was closed.
func (w *Wait) Out(done <-chan struct{}, r Refusal) bool {
	if w == nil {
		return false
	}
	refused := time.Now()
	d, slot, line := w.enter(r, refused)
	if d == nil {
		return false
	}
	defer w.leave(d)
	if line != "" {
		w.note(line)
	}
	for {
		pause, wake := w.turn(d, refused, slot)
		if pause <= 0 {
			return true
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-wake:
		case <-done:
			timer.Stop()
			return false
		case <-w.stop:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}

// enter notes a refusal, and returns the door to wait before, when its pace allows the next try (zero: it has none),
// and what to tell of it. The door is nil if patience is over.
func (w *Wait) enter(r Refusal, now time.Time) (d *door, slot time.Time, line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first.IsZero() {
		w.first = now
	}
	if !now.Before(w.until()) {
		return nil, time.Time{}, ""
	}
	d = w.doors[r.Door]
	if d == nil {
		d = &door{wake: make(chan struct{})}
		w.doors[r.Door] = d
	}
	d.refused, d.every = true, r.Every
	if next := now.Add(d.every); d.waiting == 0 && d.next.Before(next) {
		d.next = next
	}
	if d.waiting++; w.waiting == 0 {
		w.since = now
	}
	w.waiting++
	if r.Pace != "" {
		slot = w.slot(r, now)
	}
	return d, slot, w.tell(now, d, r)
}

// slot takes the next turn of a refusal's pace. The last turn is when patience ends, and none is shortly before that.
func (w *Wait) slot(r Refusal, now time.Time) time.Time {
	slot := now.Add(r.Every)
	if next := w.slots[r.Pace]; slot.Before(next) {
		slot = next
	}
	if until := w.until(); until.Sub(slot) < r.Every {
		slot = until
	}
	w.slots[r.Pace] = slot.Add(r.Every)
	return slot
}

// tell returns the line of the log about a refusal; "" if the log was told a moment ago.
func (w *Wait) tell(now time.Time, d *door, r Refusal) string {
	if !w.told.IsZero() && now.Sub(w.told) < tellEvery {
		return ""
	}
	text := fmt.Sprintf("waiting for access, up to %s: ", rounded(w.until().Sub(now)))
	if !w.told.IsZero() {
		text = fmt.Sprintf("waiting for access, %s of %s: ", rounded(now.Sub(w.first)), rounded(w.until().Sub(w.first)))
	}
	others := -1
	for _, other := range w.doors {
		if other.waiting > 0 {
			others++
		}
	}
	text += r.Door + ": " + r.Seen
	if others > 0 {
		text += fmt.Sprintf("; and %d more", others)
	}
	w.told, d.told = now, true
	return text
}

// leave ends a caller's wait.
func (w *Wait) leave(d *door) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d.waiting--
	if w.waiting--; w.waiting == 0 {
		w.finished += time.Since(w.since)
	}
}

// turn returns how long a caller who was refused at a time has to wait yet; 0 if it may try. It may in its turn, or if
// somebody was let through meanwhile, though never sooner than one alone would: what lets one through may refuse
// another for good. When patience ends, all have one more try. One with a slot has no other turn.
func (w *Wait) turn(d *door, refused, slot time.Time) (pause time.Duration, wake <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, at := time.Now(), d.next
	if !slot.IsZero() {
		return slot.Sub(now), nil
	}
	if own := refused.Add(d.every); d.opened.After(refused) && own.Before(at) {
		at = own
	} else if !now.Before(d.next) {
		d.next = now.Add(d.every)
	}
	if until := w.until(); until.Before(at) {
		at = until
	}
	return at.Sub(now), d.wake
}

// Passed notes that somebody was let through a door. Those who wait before it try again.
func (w *Wait) Passed(name string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	line := w.pass(name, time.Now())
	w.mu.Unlock()
	if line != "" {
		w.note(line)
	}
}

// pass returns what the log is to tell.
func (w *Wait) pass(name string, now time.Time) (line string) {
	d := w.doors[name]
	if d == nil {
		return ""
	}
	d.opened = now
	if d.waiting > 0 {
		close(d.wake)
		d.wake = make(chan struct{})
	}
	if d.refused {
		w.last, w.lastDoor = now, name
	}
	if d.refused && d.told {
		line = w.passed()
	}
	d.refused, d.told = false, false
	return line
}

// passed returns the line of the log about who was let through last.
func (w *Wait) passed() string {
	w.toldLast = w.last
	return fmt.Sprintf("access after %s: %s", rounded(w.last.Sub(w.first)), w.lastDoor)
}

// Settle tells the log who was let through last, if it was not told: the latest wait was too short to be told of. It is
// for when nobody waits.
func (w *Wait) Settle() {
	if w == nil {
		return
	}
	w.mu.Lock()
	line := ""
	if w.last.After(w.toldLast) {
		line = w.passed()
	}
	w.mu.Unlock()
	if line != "" {
		w.note(line)
	}
}

// until is when patience ends. There must have been a refusal.
func (w *Wait) until() time.Time {
	until := w.first.Add(w.total)
	if !w.end.IsZero() && w.end.Before(until) {
		return w.end
	}
	return until
}

// Patient reports whether a refusal would be waited out now.
func (w *Wait) Patient() bool {
	if w == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.first.IsZero() || time.Now().Before(w.until())
}

// Ended returns what a refusal that was not outlasted adds to its cause: ", after waiting 10m0s for access". It returns
// "" while patience lasts.
func (w *Wait) Ended() string {
	if w == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first.IsZero() || time.Now().Before(w.until()) {
		return ""
	}
	return fmt.Sprintf(", after waiting %s for access", rounded(max(w.until().Sub(w.first), 0)))
}

// Conclude completes a refusal that a new set-up shows: its cause with how long access was waited for or, where it was
// not, its remedy with the inputs that have a run wait.
func (w *Wait) Conclude(cause, remedy *string) {
	if w == nil {
		*remedy += "; set wait-for-access: 10m, and timeout to more, to wait for what was made minutes ago"
	}
	*cause += w.Ended()
}

// Took returns how long after the first refusal the last one had passed; 0 if there was none.
func (w *Wait) Took() time.Duration {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last.IsZero() {
		return 0
	}
	return rounded(w.last.Sub(w.first))
}

// Waited returns how long somebody has waited so far. What bounds a call by time leaves that out.
func (w *Wait) Waited() time.Duration {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting > 0 {
		return w.finished + time.Since(w.since)
	}
	return w.finished
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Second) }
