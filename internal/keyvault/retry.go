package keyvault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

const (
	// readTries and readTime bound a request that may be repeated without harm, waits for 429 apart: a refusal is to be
	// explained within 30 s.
	readTries = 4
	readTime  = 14 * time.Second
	// throttleMax bounds how often one call waits out a 429, and throttlePause one such wait.
	throttleMax   = 10
	throttlePause = 2 * time.Minute
	// busyMax bounds how often a set waits while the name is being deleted or recovered.
	busyMax = 4
)

// A retry is the patience of one call: how often it has waited for what.
type retry struct {
	throttled, busy int
	renewed         bool
}

// again reports whether a request that was certainly not applied may be sent again, after the wait it takes.
func (r *retry) again(ctx context.Context, c *Client, err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return false
	}
	switch {
	case answer.StatusCode == http.StatusTooManyRequests && r.throttled < throttleMax:
		d := retryAfter(answer.RawResponse, time.Second<<min(r.throttled, 4)) // 1, 2, 4, 8, 16 s: Microsoft's advice
		r.throttled++
		c.config.Note(fmt.Sprintf("vault %s is throttled (429): waiting %s", c.config.Name, d.Round(time.Millisecond)))
		c.transport.pause.extend(d)
		return c.transport.pause.wait(ctx.Done())
	case answer.StatusCode == http.StatusUnauthorized && !r.renewed && !isOtherTenant(answer):
		r.renewed = true
		return c.config.Credential.Renew() == nil
	case isBusy(answer) && r.busy < busyMax:
		r.busy++
		return network.Sleep(ctx.Done(), time.Second<<(r.busy-1))
	}
	return false
}

// isBusy reports whether a secret of the name is being deleted or recovered, which ends by itself.
func isBusy(answer *azcore.ResponseError) bool {
	m, _ := meaningOf(innerCode(answer))
	return m.kind == refusal.BeingDeleted
}

// retryAfter reads how long a 429 asks to wait, in each spelling that Azure uses, and returns otherwise where it does
// not say. It never waits longer than throttlePause.
// https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azcore/internal/shared/shared.go
func retryAfter(response *http.Response, otherwise time.Duration) time.Duration {
	if response == nil {
		return otherwise
	}
	d := time.Duration(-1)
	for _, spelling := range []struct {
		header string
		unit   time.Duration
	}{{"retry-after-ms", time.Millisecond}, {"x-ms-retry-after-ms", time.Millisecond}, {"Retry-After", time.Second}} {
		text := response.Header.Get(spelling.header)
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
			d = time.Duration(n) * spelling.unit
			break
		}
		if date, err := http.ParseTime(text); err == nil {
			d = max(0, time.Until(date))
			break
		}
	}
	if d < 0 {
		return otherwise
	}
	// A hint below the advice, such as 0 or a date of a clock that is behind, would use up the patience at once.
	return min(max(d, otherwise), throttlePause)
}

// retrying makes a call that may be repeated without harm: it is tried again after what passes by itself.
func (c *Client) retrying(ctx context.Context, act act, name string, call func(context.Context) error) error {
	var r retry
	start := time.Now()
	for try := 1; ; {
		err := guard(func() error { return call(ctx) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return c.cancelled(act, name)
		}
		switch {
		case r.again(ctx, c, err):
		case unknown(err) && try < readTries && time.Since(start) < readTime:
			if !network.Sleep(ctx.Done(), backoff(try)) {
				return c.cancelled(act, name)
			}
			try++
		default:
			return c.explain(act, name, err)
		}
	}
}

// backoff is the wait after that many tries: 0.8, 2.4, 5.6 s, each times a random factor in [0.8, 1.3).
func backoff(tries int) time.Duration {
	base := time.Duration(1<<tries-1) * 800 * time.Millisecond
	return base*8/10 + rand.N(base/2)
}

// unknown reports whether the request may have been applied, or may be answered otherwise the next time: a transport
// error after it was sent, an answer that cannot be read, 408, 5xx.
func unknown(err error) bool {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode == http.StatusRequestTimeout || answer.StatusCode >= 500
	}
	if _, ok := errors.AsType[*identityError](err); ok {
		return false
	}
	if errors.Is(err, errStopped) || errors.Is(err, errOtherHost) || errors.Is(err, errTooMany) {
		return false
	}
	if lost, ok := errors.AsType[*lostError](err); ok && lost.lasts() {
		return false
	}
	return true
}

// unsent reports whether a request that ended with err cannot have reached the vault.
func unsent(err error) bool {
	lost, ok := errors.AsType[*lostError](err)
	return ok && !lost.sent
}

// errPanic is a dependency that did not stand an answer. The SDK's challenge policy panics on a WWW-Authenticate whose
// authorization is no URL.
var errPanic = errors.New("the answer could not be understood")

// guard calls f, and makes an error of a panic. The panic's text is left out: it may quote the answer.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errPanic
		}
	}()
	return f()
}

// credential marks the errors of getting a token, to tell them from the vault's.
type credential struct{ Credential }

// GetToken implements [azcore.TokenCredential].
func (c credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.Credential.GetToken(ctx, options)
	if err != nil {
		return token, &identityError{err}
	}
	return token, nil
}

type identityError struct{ err error }

func (e *identityError) Error() string { return e.err.Error() }
func (e *identityError) Unwrap() error { return e.err }

// Grace is how long what is in flight may go on after the run was stopped. The runner sends SIGTERM 7.5 seconds after
// SIGINT, and kills 2.5 seconds later (ProcessInvoker.cs of actions/runner); the outputs must be written by then.
const (
	sendGrace = 3500 * time.Millisecond // a request that is out may still be answered
	lookGrace = 5500 * time.Millisecond // one that was not is looked for
)

// outlive returns a context that outlives ctx by grace.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}
