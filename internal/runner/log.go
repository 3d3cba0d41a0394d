package runner

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// errNotRead is why a log is given up that takes no more text.
var errNotRead = errors.New("nobody reads it")

// logGrace is how long a write waits for the reader of the log after the run was stopped: long for a reader that lives,
// and short beside the 7.5 s that the runner allows a run to end in.
const logGrace = 500 * time.Millisecond

// An output is standard output, one writer at a time. It keeps the first error and reports none to its writers: the
// library would panic, and a log that cannot be written must not stop what is being stored. While nobody reads the log,
// a write waits; after the run was stopped it waits for [logGrace], and then the log is given up.
type output struct {
	mu      sync.Mutex
	w       io.Writer
	err     error
	lost    bool            // given up: nothing is written any more
	stopped <-chan struct{} // of the run; nil: never
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost {
		return len(p), nil
	}
	written := make(chan error, 1)
	go func(p []byte) {
		_, err := o.w.Write(p)
		written <- err
	}(bytes.Clone(p)) // a write that is given up goes on, and its caller may use p again
	if err := o.wait(written); err != nil && o.err == nil {
		o.err = err
	}
	return len(p), nil
}

// wait waits for a write to end, or gives the log up.
func (o *output) wait(written <-chan error) error {
	select {
	case err := <-written:
		return err
	case <-o.stopped:
	}
	timer := time.NewTimer(logGrace)
	defer timer.Stop()
	select {
	case err := <-written:
		return err
	case <-timer.C:
		o.lost = true
		return errNotRead
	}
}

// StopWith makes the log end with ctx: from then on, no line waits longer than half a second for a reader of the log,
// and after the first that waited in vain no other is written. Until then a log that nobody reads makes the run wait.
// It must be called before anything is printed.
func (r *Runner) StopWith(ctx context.Context) { r.out.stopped = ctx.Done() }
