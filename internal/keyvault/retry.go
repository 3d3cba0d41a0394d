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
	// triesMax and triesTimeout bound a request that may be repeated without harm; waits for 429 are not counted. A
	// refusal is to be explained within 30 s.
	triesMax     = 4
	triesTimeout = 14 * time.Second
	// throttledMax is how many answers of 429 one call waits out, and throttledPauseMax the longest such wait.
	throttledMax      = 10
	throttledPauseMax = 2 * time.Minute
	// busyMax is how many times a call waits while a secret of the name is being deleted or recovered.
	busyMax = 4
)

// retries counts what one call has waited for.
type retries struct {
	throttled, busy int
	renewed         bool
}

// again reports whether a request that was certainly not applied may be sent again. It waits first, as long as needed.
func (r *retries) again(ctx context.Context, c *Client, err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return false
	}
	switch {
	case answer.StatusCode == http.StatusTooManyRequests && r.throttled < throttledMax:
		advice := time.Second << min(r.throttled, 4) // 1, 2, 4, 8, 16 s, as Microsoft advises
		d := retryAfter(answer.RawResponse, advice)
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

// retryAfter returns how long a 429 asks to wait, in any of the three spellings that Azure uses, but at least as long
// as advice and at most throttledPauseMax. A shorter wait, such as 0 or a date by a slow clock, would use up all
// retries at once. https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azcore/internal/shared/shared.go
func retryAfter(response *http.Response, advice time.Duration) time.Duration {
	if response == nil {
		return advice
	}
	for _, spelling := range []struct {
		header string
		unit   time.Duration
	}{{"retry-after-ms", time.Millisecond}, {"x-ms-retry-after-ms", time.Millisecond}, {"Retry-After", time.Second}} {
		text := response.Header.Get(spelling.header)
		if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 {
			return min(max(time.Duration(n)*spelling.unit, advice), throttledPauseMax)
		}
		if date, err := http.ParseTime(text); err == nil {
			return min(max(time.Until(date), advice), throttledPauseMax)
		}
	}
	return advice
}

// retrying makes a call that may be repeated without harm, and repeats it after failures that end by themselves.
func (c *Client) retrying(ctx context.Context, act act, name string, call func(context.Context) error) error {
	var r retries
	start := time.Now()
	for try := 1; ; {
		err := catchPanic(func() error { return call(ctx) })
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return c.cancelled(act, name)
		}
		switch {
		case r.again(ctx, c, err):
		case isTransient(err) && try < triesMax && time.Since(start) < triesTimeout:
			if !network.Sleep(ctx.Done(), backoff(try)) {
				return c.cancelled(act, name)
			}
			try++
		default:
			return c.explain(act, name, err)
		}
	}
}

// backoff returns how long to wait after that many tries: 0.8, 2.4, 5.6 s, each times a random factor in [0.8, 1.3).
func backoff(tries int) time.Duration {
	base := time.Duration(1<<tries-1) * 800 * time.Millisecond
	return base*8/10 + rand.N(base/2)
}

// isTransient reports whether the next try may end in another way: no answer, an answer that cannot be read, 408, 5xx.
func isTransient(err error) bool {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode == http.StatusRequestTimeout || answer.StatusCode >= 500
	}
	if _, ok := errors.AsType[*identityError](err); ok {
		return false
	}
	if errors.Is(err, errStopped) || errors.Is(err, errOtherHost) || errors.Is(err, errTooMany) {
		return false
	}
	if lost, ok := errors.AsType[*lostError](err); ok && lost.isPermanent() {
		return false
	}
	return true
}

// neverSent reports whether a request that ended with err cannot have reached the vault.
func neverSent(err error) bool {
	lost, ok := errors.AsType[*lostError](err)
	return ok && !lost.sent
}

// mayBeApplied reports whether the vault may have done what a request asked for, though the request ended with err.
func mayBeApplied(err error) bool { return isTransient(err) && !neverSent(err) }

// errPanic is a panic in a dependency. The SDK's challenge policy panics if the authorization of a WWW-Authenticate is
// no URL.
var errPanic = errors.New("the answer could not be understood")

// catchPanic calls f, and turns a panic into errPanic. The panic's own text may quote the answer, so it is dropped.
func catchPanic(f func() error) (err error) {
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

// How long work in flight may go on after the run was stopped. The runner sends SIGTERM 7.5 seconds after SIGINT, and
// kills 2.5 seconds later (ProcessInvoker.cs of actions/runner); the outputs must be written by then.
const (
	sendGrace   = 3500 * time.Millisecond // for the answer to a request that was sent
	searchGrace = 5500 * time.Millisecond // for a search, if there was no answer
)

// outlive returns a context that ends a grace after ctx.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}
