package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
)

// How long a change may go on after the run was stopped. The whole run is over 7 s after that.
const (
	sendGrace   = 3500 * time.Millisecond // for the answer to a request that was sent
	followGrace = 5500 * time.Millisecond // for the end of a change that was accepted
)

// Finish sets the password that Prepare was given, and returns when it is set. The same value is sent again where an
// answer is lost or the change fails at the service, and after a wait where the server is busy (409) or Resource
// Manager throttles (429). When ctx ends nothing more is sent; a change that was accepted is followed for 5.5 seconds
// more.
//
// It needs the action TYPE/write at the server, and NAMESPACE/locations/*/read at its resource group, by which the
// change is followed, such as Microsoft.Sql/servers/write and Microsoft.Sql/locations/*/read. Its error is an [*Error];
// kind Ambiguous means that the password may be set. Without the second action its kind is Forbidden, although the
// server has accepted the password.
func (t *Target) Finish(ctx context.Context) error {
	if t.password == nil {
		e := t.newError(actSet)
		e.Cause = "there is no password to set" // a mistake of the caller
		return e
	}
	following, cancel := network.Outlive(ctx, followGrace)
	defer cancel()
	c := change{waits: waits{Target: t, act: actSet, limit: changeTimeout}}
	for {
		err := c.once(ctx, following)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !c.again(ctx, err) {
			return c.failed(ctx, err)
		}
	}
}

// A change is one call of Finish.
type change struct {
	waits
	inDoubt  bool // a request may have been done, or may be yet
	accepted bool // a change was accepted, and its end is not known
}

// once asks for the change and follows it.
func (c *change) once(ctx, following context.Context) error {
	if ctx.Err() != nil {
		return sdk.ErrStopped
	}
	response, err := c.send(ctx) //nolint:bodyclose // the transport has read and closed it
	if err != nil {
		c.inDoubt = c.inDoubt || mayBeApplied(err)
		return err
	}
	c.accepted = true
	c.config.Access.Passed(c.door(actSet))
	err = c.follow(ctx, following, response)
	if err == nil {
		return nil
	}
	if _, ended := errors.AsType[*failedError](err); ended {
		c.accepted = false // Resource Manager says that it is not done
	}
	return err
}

// An update is the body of the change: the password and nothing else.
type update struct {
	Properties struct {
		Password string `json:"administratorLoginPassword"`
	} `json:"properties"`
}

// send sends the password, and returns an answer that accepts it. After ctx has ended it sends nothing; an answer to
// what was sent by then may still take sendGrace.
func (c *change) send(ctx context.Context) (response *http.Response, err error) {
	answering, cancel := network.Outlive(ctx, sendGrace)
	defer cancel()
	answering = sdk.WithSendStop(answering, ctx.Done())
	err = sdk.CatchPanic(func() error {
		request, err := c.request(answering, http.MethodPatch)
		if err != nil {
			return err
		}
		var body update
		body.Properties.Password = c.password.Reveal() // the body of the PATCH to Resource Manager
		if err := runtime.MarshalAsJSON(request, body); err != nil {
			return sdk.ErrPanic // its text may quote what it could not encode
		}
		response, err = c.pipeline.Do(request) //nolint:bodyclose // the transport has read and closed it
		switch {
		case err != nil:
			return err
		case response.StatusCode >= http.StatusMultipleChoices:
			return runtime.NewResponseError(response)
		case response.StatusCode == http.StatusAccepted && !isFollowed(response):
			return errMalformed
		case !isFollowed(response):
			_, err := c.read(response)
			return err
		}
		return nil
	})
	return response, err
}

// followHeaders say where to ask how a change ends.
var followHeaders = []string{"Azure-AsyncOperation", "Location"}

// isFollowed reports whether an answer says where to ask how the change ends.
func isFollowed(response *http.Response) bool {
	return slices.ContainsFunc(followHeaders, func(name string) bool { return response.Header.Get(name) != "" })
}

// follow returns when a change that was accepted has ended.
// https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
func (c *change) follow(ctx, following context.Context, response *http.Response) error {
	if !isFollowed(response) {
		return nil // a 200 with the changed server
	}
	accepted := response
	poller, err := runtime.NewPoller[struct{}](accepted, c.pipeline, nil)
	if err != nil {
		return errMalformed // its text may quote the answer
	}
	c.config.Note(fmt.Sprintf("server %s has accepted the new password: waiting until it is set",
		c.config.Server.Name))
	w := waits{Target: c.Target, act: actFollow, limit: changeTimeout}
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		if !c.pause(ctx, following, network.RetryAfter(response, pause, pollPauseMax)) {
			return sdk.ErrStopped
		}
		var latest *http.Response
		err := sdk.CatchPanic(func() (err error) {
			latest, err = poller.Poll(following) //nolint:bodyclose // the transport has read and closed it
			if err == nil && latest.StatusCode >= http.StatusBadRequest {
				return runtime.NewResponseError(latest) // what is asked by Location ends so, or is asked again
			}
			return err
		})
		if err == nil {
			c.config.Access.Passed(c.door(actFollow))
		}
		switch {
		case err == nil && poller.Done() && !isUnderWay(latest):
			return c.outcome(ctx, following, latest)
		case err == nil:
			response, w.since = latest, time.Time{}
		case endedBadly(err, poller.Done()):
			return &failedError{err: err}
		case following.Err() != nil:
			return sdk.ErrStopped
		case !w.again(following, err):
			return &followError{err: err}
		}
		if poller.Done() { // the SDK takes any 200 and any refusal by a Location for the end, and asks no more
			if poller, err = runtime.NewPoller[struct{}](accepted, c.pipeline, nil); err != nil {
				return errMalformed
			}
		}
	}
}

// pollPauseMax is the longest wait between two looks at a change.
const pollPauseMax = time.Minute

// pause waits until the change is looked at again: for d, and half a second after the run was stopped.
func (*change) pause(ctx, following context.Context, d time.Duration) bool {
	return network.Sleep(ctx.Done(), d) || network.Sleep(following.Done(), 500*time.Millisecond)
}

// statusOf returns what an operation says of itself; "" if an answer is about no operation.
func statusOf(response *http.Response) string {
	var operation struct {
		Status string `json:"status"`
	}
	body, err := runtime.Payload(response)
	if err != nil || json.Unmarshal(body, &operation) != nil {
		return ""
	}
	return operation.Status
}

// isUnderWay reports whether an answer is about an operation that has not ended.
func isUnderWay(response *http.Response) bool {
	status := statusOf(response)
	return status != "" && !slices.ContainsFunc([]string{"Succeeded", "Failed", "Canceled", "Cancelled"},
		func(end string) bool { return strings.EqualFold(status, end) })
}

// outcome returns how a change has ended, by the last answer: the operation with its status, or what its Location ends
// with, which is the changed server or nothing (204). The SDK's own Result would take any 200 for success.
func (c *change) outcome(ctx, following context.Context, latest *http.Response) error {
	switch status := statusOf(latest); {
	case strings.EqualFold(status, "Succeeded"), latest.StatusCode == http.StatusNoContent:
		return nil
	case status != "":
		return &failedError{err: runtime.NewResponseError(latest)}
	}
	if _, err := c.read(latest); err == nil {
		return nil
	}
	if c.config.Server.Kind == azure.SQLServer { // its state does not tell of changes
		return &followError{err: errMalformed}
	}
	return c.untilReady(ctx, following)
}

// untilReady returns when the server itself says that no change is under way.
func (c *change) untilReady(ctx, following context.Context) error {
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		s, err := c.get(following)
		switch {
		case err != nil:
			return &followError{err: err}
		case !c.isBusy(s):
			return nil
		case !c.pause(ctx, following, pause):
			return sdk.ErrStopped
		}
	}
}

// endedBadly reports whether an error is what a change has ended with. A Location answers so with the status of the
// failure; some are about who asks, and for what.
func endedBadly(err error, done bool) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return done && ok && answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden &&
		!isUnknown(answer.StatusCode)
}

// isUnknown reports whether a status says that there is no such thing, or none any more.
func isUnknown(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// A failedError is a change that was accepted and has failed: the server has the password that it had before.
type failedError struct{ err error }

func (e *failedError) Error() string { return "the change has failed" }
func (e *failedError) Unwrap() error { return e.err }

// A followError is a change that was accepted, of which no end is known.
type followError struct{ err error }

func (e *followError) Error() string { return "how the change ended is not known" }
func (e *followError) Unwrap() error { return e.err }

// failed says why the password is not set, or is not known to be.
func (c *change) failed(ctx context.Context, err error) error {
	a := actSet
	if c.accepted {
		a = actFollow
	}
	e := c.explain(a, err)
	if ctx.Err() != nil && !isFinal(err) {
		e = c.cancelled(a)
	}
	switch {
	case c.accepted:
		if e.Kind != refusal.Forbidden { // which lasts
			e.Kind = refusal.Ambiguous
		}
		e.Cause = "the server has accepted the new password, and it is not known whether it is set: " + e.Cause
	case c.inDoubt:
		e.Kind = refusal.Ambiguous
		e.Cause += "; the password may have been set"
	}
	return e
}
