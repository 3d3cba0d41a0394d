package arm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/sdk"
)

const (
	// lookTimeout bounds the tries after the first failure to look at a server: a refusal is to be told within 30 s.
	// changeTimeout bounds those to set a password, which the vault has already.
	lookTimeout   = 14 * time.Second
	changeTimeout = 2 * time.Minute
	// throttledMax is how many answers of 429 are waited out, and throttledPauseMax the longest such wait.
	throttledMax      = 10
	throttledPauseMax = 2 * time.Minute
	// failuresMax is how many changes may be accepted and fail at the service.
	failuresMax = 3
)

// A waits counts what one call has waited for.
type waits struct {
	*Target
	act   act
	limit time.Duration // of the tries after a failure

	throttled, tries, failures int
	renewed                    bool
	since                      time.Time // when the tries began; zero: the latest request had its answer
	busySince                  time.Time
}

// again reports whether a request is to be sent again. It waits first, as long as needed.
func (w *waits) again(ctx context.Context, err error) bool {
	if isFresh(err) && w.outlast(ctx, w.act, w.explain(w.act, err)) {
		w.since = time.Time{} // Resource Manager has answered
		return true
	}
	answer, answered := errors.AsType[*azcore.ResponseError](err)
	_, failed := errors.AsType[*failedError](err)
	switch {
	case answered && isBusy(answer):
		return w.waitForServer(ctx, answer)
	case failed:
		w.failures++
		return w.failures < failuresMax && isPassing(answer) && network.Sleep(ctx.Done(), network.Backoff(w.failures))
	case answered && answer.StatusCode == http.StatusTooManyRequests:
		return w.waitForTurn(ctx, answer)
	case answered && answer.StatusCode == http.StatusUnauthorized && !w.renewed && !isOtherToken(answer):
		w.renewed = true
		return w.config.Credential.Renew() == nil
	case !isTransient(err):
		return false
	}
	if w.since.IsZero() {
		w.since, w.tries = time.Now(), 0
	}
	w.tries++
	return time.Since(w.since) < w.limit && network.Sleep(ctx.Done(), network.Backoff(min(w.tries, 4)))
}

// waitForTurn waits as long as a 429 asks.
func (w *waits) waitForTurn(ctx context.Context, answer *azcore.ResponseError) bool {
	if w.throttled == throttledMax {
		return false
	}
	d := network.RetryAfter(answer.RawResponse, time.Second<<min(w.throttled, 4), throttledPauseMax)
	w.throttled++
	w.config.Note(fmt.Sprintf("Resource Manager is throttled (429): waiting %s", d.Round(time.Millisecond)))
	return network.Sleep(ctx.Done(), d)
}

// waitForServer waits until the server may have ended another change.
func (w *waits) waitForServer(ctx context.Context, answer *azcore.ResponseError) bool {
	if w.busySince.IsZero() {
		w.busySince = time.Now()
		w.config.Note(fmt.Sprintf("server %s is busy (%d %s): waiting up to %s", w.config.Server.Name,
			answer.StatusCode, saidBy(answer).code, busyTimeout))
	}
	passed := time.Since(w.busySince)
	if passed >= busyTimeout {
		return false
	}
	return network.Sleep(ctx.Done(), min(max(passed, 2*time.Second), 15*time.Second))
}

// busyCodes are what services say of a server that another change keeps busy. A stopped server has the last two as
// well: it was ready when it was looked at. PostgreSQL's ServerIsBusy is of Azure/azure-postgresql#134 (2026).
var busyCodes = []string{
	"ConflictingServerOperation", "UpsertLogicalServerRequestAlreadyInProgress", "ConflictingSubscriptionOperation",
	"OperationInterrupted", "ServerBusy", "ServerIsBusy", "ServiceBusy", "Conflict", "AnotherOperationInProgress",
	"ServerIsNotReady", "ServerUnavailableForOperation",
}

// isBusy reports whether another change keeps the server busy. A conflict that is not known by its code is taken for
// one.
func isBusy(answer *azcore.ResponseError) bool {
	code := saidBy(answer).code
	_, known := meanings[code]
	return slices.Contains(busyCodes, code) ||
		answer.StatusCode == http.StatusConflict && !known && !isPassing(answer)
}

// isPassing reports whether a change that has failed so may succeed the next time. What a service says of a password is
// the same each time, but flexible servers say InternalServerError of one that they do not accept, too:
// https://github.com/Azure/reliable-web-app-pattern-java/issues/98
func isPassing(answer *azcore.ResponseError) bool {
	return slices.Contains([]string{
		"InternalServerError", "OperationTimedOut", "OperationFailed", "OperationCancelled", "TooManyRequests", "",
	}, saidBy(answer).code)
}

// isOtherToken reports whether a 401 says that no other token of this identity would do.
func isOtherToken(answer *azcore.ResponseError) bool {
	c := saidBy(answer).code
	return c == "InvalidAuthenticationTokenTenant" || c == "InvalidAuthenticationTokenAudience"
}

// isTransient reports whether the next try may end in another way: no answer, an answer that cannot be read, 408, 5xx.
func isTransient(err error) bool {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return network.IsTransientStatus(answer.StatusCode)
	}
	if strange, ok := errors.AsType[*sdk.StrangeError](err); ok {
		return strange.Status < 300 || network.IsTransientStatus(strange.Status)
	}
	if _, ok := errors.AsType[*sdk.TokenError](err); ok {
		return false
	}
	if lost, ok := errors.AsType[*network.LostError](err); ok {
		return !lost.IsPermanent()
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return false // it was tried again already
	}
	return !errors.Is(err, sdk.ErrStopped) && !errors.Is(err, sdk.ErrOtherHost)
}

// isFinal reports whether Resource Manager has refused a request for good.
func isFinal(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && !isBusy(answer) && !isTransient(err)
}

// mayBeApplied reports whether Resource Manager may have done what a request asked for, though the request ended with
// err. It did not if it refused in its own form, or if nothing reached it.
func mayBeApplied(err error) bool {
	if lost, ok := errors.AsType[*network.LostError](err); ok {
		return lost.Sent
	}
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return answer.StatusCode >= http.StatusInternalServerError || answer.StatusCode == http.StatusRequestTimeout
	}
	if _, ok := errors.AsType[*sdk.TokenError](err); ok {
		return false
	}
	return !errors.Is(err, sdk.ErrStopped)
}

// saidBy returns what an answer says of a failure.
func saidBy(answer *azcore.ResponseError) said {
	if answer == nil || answer.RawResponse == nil {
		return said{}
	}
	body, err := runtime.Payload(answer.RawResponse)
	if err != nil {
		return said{}
	}
	return readError(body)
}
