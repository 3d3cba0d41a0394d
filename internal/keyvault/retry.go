package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
)

const (
	// triesMax and triesTimeout bound a request that may be repeated without harm, such as one page of a list; waits
	// for 429 are not counted. A refusal is to be explained within 30 s.
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
	act             act
	impatient       bool // access is not waited for
	throttled, busy int
	renewed         bool
}

// again reports whether a request that was certainly not applied may be sent again. It waits first, as long as needed.
func (r *retries) again(ctx context.Context, c *Client, err error) bool {
	if isFresh(err) && !r.impatient && c.config.Access.Out(ctx.Done(), access.Refusal{
		Door: c.door(r.act), Seen: c.explain(r.act, "", err).Cause, Every: accessPause,
	}) {
		// On a connection that is kept, the vault's name would not be looked up again, which leads elsewhere once a
		// private endpoint is known, and the same front end would be asked as before.
		c.config.HTTP.CloseIdleConnections()
		return true
	}
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		return false
	}
	switch {
	case answer.StatusCode == http.StatusTooManyRequests && r.throttled < throttledMax:
		advice := time.Second << min(r.throttled, 4) // 1, 2, 4, 8, 16 s, as Microsoft advises
		d := network.RetryAfter(answer.RawResponse, advice, throttledPauseMax)
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

// accessPause is the least time between two requests for the same permission, while access is waited for.
const accessPause = 5 * time.Second

// door is what an act waits before: the vault, for what its permission allows.
func (c *Client) door(a act) string { return "vault " + c.config.Name + " (" + a.dataAction + ")" }

// isFresh reports whether a request was refused as by a vault that was made, or opened to this identity or this
// machine, minutes ago: by its own codes, or because its name does not resolve. A proxy says that with 502, 503 or 504.
// Such a request was certainly not applied.
func isFresh(err error) bool {
	if lost, ok := errors.AsType[*network.LostError](err); ok {
		return lost.NoHost || lost.Refused >= http.StatusBadGateway && lost.Refused <= http.StatusGatewayTimeout
	}
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok || answer.StatusCode != http.StatusForbidden || !isOwnAnswer(answer) {
		return false
	}
	switch innerCode(answer) {
	case "ForbiddenByRbac", "AccessDenied", "ForbiddenByFirewall", "ForbiddenByConnection":
		return true
	}
	return false
}

// isBusy reports whether a secret of the name is being deleted or recovered, which ends by itself.
func isBusy(answer *azcore.ResponseError) bool {
	m, _ := meaningOf(innerCode(answer))
	return m.kind == refusal.BeingDeleted
}

// retrying makes a request that may be repeated without harm, and repeats it after failures that end by themselves.
func (c *Client) retrying(ctx context.Context, r retries, name string, request func(context.Context) error) error {
	return c.ended(ctx, r.act, name, c.repeat(ctx, r, func() error { return request(ctx) }))
}

// reading reads a list. The pages are requested again one by one, see pageRetry: a failure is the list's.
func (c *Client) reading(ctx context.Context, act act, name string, read func() error) error {
	return c.ended(ctx, act, name, sdk.CatchPanic(read))
}

// ended explains how a call ended.
func (c *Client) ended(ctx context.Context, act act, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return c.cancelled(act, name)
	}
	return c.explain(act, name, err)
}

// repeat makes a request until it succeeds, or fails in a way that lasts or for too long, and returns how it ended.
func (c *Client) repeat(ctx context.Context, r retries, request func() error) error {
	start, waited := time.Now(), c.config.Access.Waited()
	took := func() time.Duration { return time.Since(start) - (c.config.Access.Waited() - waited) }
	for try := 1; ; {
		err := sdk.CatchPanic(request)
		switch {
		case err == nil:
			c.config.Access.Passed(c.door(r.act))
			return nil
		case ctx.Err() != nil:
			return err
		case r.again(ctx, c, err):
		case worthATry(err, try) && try < triesMax && took() < triesTimeout &&
			network.Sleep(ctx.Done(), network.Backoff(try)):
			try++
		default:
			return err
		}
	}
}

// A pageRetry repeats the request for one page of a list: a failure at page 17 costs that page, and each page may have
// as many tries as a list of one. All lists need the same permission. It is a policy of the SDK because the SDK's
// pagers cannot be resumed.
type pageRetry struct{ *Client }

// Do implements [policy.Policy].
func (p pageRetry) Do(request *policy.Request) (response *http.Response, err error) {
	if request.Raw().Method != http.MethodGet {
		return request.Next()
	}
	// Key Vault writes the port into the URL of a next page. The SDK then takes the challenge that follows a token that
	// is not accepted any more for another host's.
	raw := request.Raw()
	raw.URL.Host = strings.TrimSuffix(raw.URL.Host, ":443")
	raw.Host = raw.URL.Host
	err = p.repeat(request.Raw().Context(), retries{act: actVersions}, func() error {
		response, err = request.Next() //nolint:bodyclose // the caller is the SDK, which reads and closes it
		switch {
		case err != nil:
			return err
		case response.StatusCode != http.StatusOK:
			return runtime.NewResponseError(response)
		}
		return checkPage(response)
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// checkPage reports whether an answer is a page of a list. For "none" Key Vault sends an empty list, and nothing else
// may be taken for "does not exist".
func checkPage(response *http.Response) error {
	var page struct {
		Value    []json.RawMessage `json:"value"`
		NextLink *string           `json:"nextLink"`
	}
	body, err := runtime.Payload(response)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, &page) != nil || page.Value == nil {
		return errMalformed
	}
	return nil
}

// isTransient reports whether the next try may end in another way: no answer, an answer that cannot be read, 408, 5xx.
func isTransient(err error) bool {
	if answer, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return network.IsTransientStatus(answer.StatusCode) && answer.StatusCode != http.StatusTooManyRequests &&
			!isReadOnly(answer)
	}
	if strange, ok := errors.AsType[*sdk.StrangeError](err); ok {
		return strange.Status < 300 || network.IsTransientStatus(strange.Status)
	}
	if _, ok := errors.AsType[*sdk.TokenError](err); ok {
		return false
	}
	if errors.Is(err, sdk.ErrStopped) || errors.Is(err, sdk.ErrOtherHost) || errors.Is(err, errTooMany) {
		return false
	}
	if lost, ok := errors.AsType[*network.LostError](err); ok && lost.IsPermanent() {
		return false
	}
	return true
}

// worthATry reports whether a request that has failed so many times may end in another way the next time. A name that
// does not resolve is looked up twice: that of a new vault may be minutes old.
func worthATry(err error, tries int) bool {
	if lost, ok := errors.AsType[*network.LostError](err); ok && lost.NoHost {
		return tries < 2
	}
	return isTransient(err)
}

// neverSent reports whether a request that ended with err cannot have reached the vault.
func neverSent(err error) bool {
	lost, ok := errors.AsType[*network.LostError](err)
	return ok && !lost.Sent
}

// mayBeApplied reports whether the vault may have done what a request asked for, though the request ended with err. It
// did not if it refused in its own form. It may have if the answer has another form, whatever its status.
func mayBeApplied(err error) bool {
	if _, ok := errors.AsType[*sdk.StrangeError](err); ok {
		return true
	}
	return isTransient(err) && !neverSent(err)
}

// How long work in flight may go on after the run was stopped. The runner sends SIGTERM 7.5 seconds after SIGINT, and
// kills 2.5 seconds later (ProcessInvoker.cs of actions/runner); the outputs must be written by then.
const (
	sendGrace   = 3500 * time.Millisecond // for the answer to a request that was sent
	searchGrace = 5500 * time.Millisecond // for a search, if there was no answer
)
