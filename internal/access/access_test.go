package access_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/access"
)

// A log takes what is told, each line with its time since the start.
type log struct {
	mu    sync.Mutex
	start time.Time
	lines []string
}

func (l *log) note(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%s %s", time.Since(l.start), line))
}

// in runs f in a bubble with a wait of that length.
func in(t *testing.T, total time.Duration, f func(t *testing.T, w *access.Wait, l *log)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &log{start: time.Now()}
		f(t, access.New(t.Context(), total, l.note), l)
	})
}

// at is a refusal at that door.
func at(door string) access.Refusal {
	return access.Refusal{Door: door, Seen: "no role", Every: 5 * time.Second}
}

// One who waits tries again every so often, and is told when access comes.
func TestOneWaits(t *testing.T) {
	in(t, time.Minute, func(t *testing.T, w *access.Wait, l *log) {
		for try := range 7 {
			if !w.Out(nil, at("vault kv")) {
				t.Fatalf("try %d is not waited for", try+1)
			}
			if got, want := time.Since(l.start), time.Duration(try+1)*5*time.Second; got != want {
				t.Errorf("try %d comes after %s; want %s", try+1, got, want)
			}
		}
		w.Passed("vault kv")
		w.Passed("vault kv")
		want := []string{
			"0s waiting for access, up to 1m0s: vault kv: no role",
			"15s waiting for access, 15s of 1m0s: vault kv: no role",
			"30s waiting for access, 30s of 1m0s: vault kv: no role",
			"35s access after 35s: vault kv",
		}
		if diff := cmp.Diff(want, l.lines); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		if w.Took() != 35*time.Second || w.Waited() != 35*time.Second || w.Ended() != "" || !w.Patient() {
			t.Errorf("took %s, waited %s, ended %q, patient %t", w.Took(), w.Waited(), w.Ended(), w.Patient())
		}
		go w.Out(nil, at("Entra"))
		time.Sleep(2 * time.Second)
		if w.Waited() != 37*time.Second {
			t.Errorf("waited %s, 2 s into another wait; want 37s", w.Waited())
		}
	})
}

// Patience ends with one more try, and is over then for all.
func TestPatienceEnds(t *testing.T) {
	in(t, 12*time.Second, func(t *testing.T, w *access.Wait, l *log) {
		tries := 0
		for w.Out(nil, at("vault kv")) {
			tries++
		}
		if tries != 3 || time.Since(l.start) != 12*time.Second {
			t.Errorf("%d tries in %s; want 3 in 12 s", tries, time.Since(l.start))
		}
		if want := ", after waiting 12s for access"; w.Ended() != want || w.Patient() {
			t.Errorf("ended %q, patient %t; want %q", w.Ended(), w.Patient(), want)
		}
		if w.Out(nil, at("Entra")) {
			t.Error("something else is waited for afterwards")
		}
	})
}

// Many who wait before one door make no more tries than one; once one of them is let through, all are, and they tell it
// in one line.
func TestManyWait(t *testing.T) {
	in(t, 10*time.Minute, func(t *testing.T, w *access.Wait, l *log) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		tries := 0
		for range 20 {
			wg.Go(func() {
				for w.Out(nil, at("vault kv")) {
					mu.Lock()
					tries++
					mu.Unlock()
					if time.Since(l.start) > time.Minute {
						w.Passed("vault kv")
						return
					}
				}
			})
		}
		wg.Wait()
		if most := 13 + 20; tries > most || time.Since(l.start) > 70*time.Second {
			t.Errorf("%d tries in %s; want at most %d, and all let through with the first", tries, time.Since(l.start),
				most)
		}
		if len(l.lines) != 6 || !strings.HasPrefix(l.lines[5], "1m5s access after 1m5s") {
			t.Errorf("the log:\n%s", strings.Join(l.lines, "\n"))
		}
	})
}

// A refusal after somebody was let through is waited out as well, and one that is let through again and again does not
// make the others try more often.
func TestRefusedAmongThoseLetThrough(t *testing.T) {
	in(t, time.Minute, func(t *testing.T, w *access.Wait, l *log) {
		go func() {
			for range 600 {
				time.Sleep(100 * time.Millisecond)
				w.Passed("vault kv")
			}
		}()
		tries := 0
		for w.Out(nil, at("vault kv")) {
			tries++
		}
		if tries != 12 || time.Since(l.start) != time.Minute {
			t.Errorf("%d tries in %s; want 12 in a minute", tries, time.Since(l.start))
		}
		if len(l.lines) > 8 {
			t.Errorf("the log tells it too often:\n%s", strings.Join(l.lines, "\n"))
		}
	})
}

// Several doors are one line, which names the latest and counts the others.
func TestSeveralDoors(t *testing.T) {
	in(t, time.Minute, func(t *testing.T, w *access.Wait, l *log) {
		go w.Out(nil, access.Refusal{Door: "Entra", Seen: "no credential", Every: time.Hour})
		synctest.Wait()
		for range 4 {
			w.Out(nil, at("vault kv"))
		}
		want := []string{
			"0s waiting for access, up to 1m0s: Entra: no credential",
			"15s waiting for access, 15s of 1m0s: vault kv: no role; and 1 more",
		}
		if diff := cmp.Diff(want, l.lines); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		w.Passed("vault kv") // which was told of
		w.Passed("Entra")    // likewise
		if len(l.lines) != 4 {
			t.Errorf("the log:\n%s", strings.Join(l.lines, "\n"))
		}
	})
}

// Doors of one pace are tried in turn, however many there are: each gets its turn, also beside one that stays shut. No
// try comes shortly after another but at the end of patience, when all have one.
func TestDoorsOfOnePace(t *testing.T) {
	in(t, 65*time.Second, func(t *testing.T, w *access.Wait, l *log) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		tries := map[string][]time.Duration{}
		for _, door := range []string{"a", "b", "c"} {
			wg.Go(func() {
				for w.Out(nil, access.Refusal{Door: door, Pace: "Entra", Every: 10 * time.Second}) {
					mu.Lock()
					tries[door] = append(tries[door], time.Since(l.start))
					mu.Unlock()
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		const s = time.Second
		want := map[string][]time.Duration{
			"a": {10 * s, 40 * s, 65 * s}, "b": {20 * s, 50 * s, 65 * s}, "c": {30 * s, 65 * s},
		}
		if diff := cmp.Diff(want, tries); diff != "" {
			t.Errorf("the tries (-want +got):\n%s", diff)
		}
	})
}

// The log tells of the end of a wait that was too short to be told of. It does so once.
func TestSettle(t *testing.T) {
	in(t, time.Minute, func(t *testing.T, w *access.Wait, l *log) {
		w.Settle()
		for _, door := range []string{"vault kv", "vault other", "vault kv"} {
			w.Out(nil, at(door))
			w.Passed(door)
		}
		w.Settle()
		w.Settle()
		want := []string{
			"0s waiting for access, up to 1m0s: vault kv: no role",
			"5s access after 5s: vault kv",
			"15s access after 15s: vault kv",
		}
		if diff := cmp.Diff(want, l.lines); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
	})
}

// The run's end, and the end of what is waited for, end the wait at once.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := access.New(ctx, time.Hour, func(string) {})
		start, done := time.Now(), make(chan struct{})
		time.AfterFunc(time.Second, func() { close(done) })
		if w.Out(done, at("vault kv")) || time.Since(start) != time.Second {
			t.Errorf("the wait for what is done ends after %s", time.Since(start))
		}
		time.AfterFunc(2*time.Second, cancel)
		if w.Out(nil, at("vault kv")) || time.Since(start) != 3*time.Second {
			t.Errorf("the wait of a run that was stopped ends after %s", time.Since(start))
		}
		if w.Ended() != "" {
			t.Errorf("a wait that was broken off %q", w.Ended())
		}
	})
}

// What is left of the run's timeout is enough to tell the refusal.
func TestTheTimeoutBoundsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w, start := access.New(ctx, time.Minute, func(string) {}), time.Now()
		time.Sleep(20 * time.Second)
		for w.Out(nil, at("vault kv")) {
		}
		if want := ", after waiting 34s for access"; time.Since(start) != 54*time.Second || w.Ended() != want {
			t.Errorf("it ends after %s, %q", time.Since(start), w.Ended())
		}
	})
}

// A run that waits for nothing has a nil Wait.
func TestNothingIsWaitedFor(t *testing.T) {
	w := access.New(t.Context(), 0, nil)
	if w != nil || w.Out(nil, at("vault kv")) || w.Patient() || w.Ended() != "" || w.Took() != 0 || w.Waited() != 0 {
		t.Error("a nil Wait waits")
	}
	w.Passed("vault kv")
	w.Settle()
}
