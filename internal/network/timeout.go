package network

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
	"time"
)

// WithTimeout returns a context that ends after d, for one request or several. Looking up names does not count, up to
// 25 s in all: this machine's name service may be slow where the peers are not. The cause of the end is
// [context.DeadlineExceeded], or, if it came while a name was looked up, a [net.DNSError].
func WithTimeout(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	b := &bound{left: d, allowance: lookupTimeout, since: time.Now(), cancel: cancel}
	b.timer = time.AfterFunc(d, b.end)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(info httptrace.DNSStartInfo) { b.lookUp(+1, info.Host) },
		DNSDone:  func(httptrace.DNSDoneInfo) { b.lookUp(-1, "") },
	})
	return ctx, func() {
		b.timer.Stop()
		cancel(context.Canceled)
	}
}

// A bound is a timer that stands still while names are looked up.
type bound struct {
	mu        sync.Mutex
	timer     *time.Timer
	left      time.Duration // of the bound
	allowance time.Duration // for look-ups
	since     time.Time     // since when left and allowance have not been counted down
	lookups   int           // under way
	host      string        // that is looked up
	cancel    context.CancelCauseFunc
}

// lookUp notes that a look-up begins or ends.
func (b *bound) lookUp(change int, host string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	passed := time.Since(b.since)
	if b.lookups > 0 {
		free := min(passed, b.allowance)
		b.allowance -= free
		passed -= free
	}
	b.left -= passed
	b.since = time.Now()
	b.lookups += change
	if change > 0 {
		b.host = host
	}
	after := b.left
	if b.lookups > 0 {
		after += b.allowance
	}
	if b.timer.Stop() { // else it has ended already
		b.timer.Reset(max(after, 0))
	}
}

func (b *bound) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lookups > 0 {
		b.cancel(&net.DNSError{Err: "no answer in time", Name: b.host, IsTimeout: true, IsTemporary: true})
		return
	}
	b.cancel(context.DeadlineExceeded)
}

// Sleep waits for d, before a request is tried again or may be sent at all. It reports false if done is closed first:
// then nothing more is to be sent. Callers that have a context pass ctx.Done().
func Sleep(done <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}
