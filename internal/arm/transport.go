package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/network"
)

const (
	// requestTimeout bounds one request, from when it may be sent to the last byte of its answer. Looking up the host's
	// name does not count.
	requestTimeout = 20 * time.Second
	// bodyMax bounds an answer, in bytes. A server with its private endpoints has a few thousand.
	bodyMax = 1 << 20
)

// Why a request was not sent, or its answer was not taken.
var (
	errStopped   = errors.New("the run was stopped before the request was sent")
	errOtherHost = errors.New("an answer pointed to another host")
	errTooLarge  = errors.New("the answer is too large to be Resource Manager's")
	errMalformed = errors.New("the answer is not what Resource Manager documents")
	errPanic     = errors.New("the answer could not be understood")
)

// A strangeError is an answer that is not in Resource Manager's own form: most likely something on the way gave it, and
// may have done so after Resource Manager had done what was asked.
type strangeError struct{ status int }

func (e *strangeError) Error() string {
	return fmt.Sprintf("an answer of %d that is not Resource Manager's own", e.status)
}

// sendStop is the key of the channel that withSendStop puts into a context.
type sendStop struct{}

// withSendStop returns a context for one call of the SDK. After stop is closed the call sends no password; a request
// that was sent before can still be answered, until ctx ends.
func withSendStop(ctx context.Context, stop <-chan struct{}) context.Context {
	return context.WithValue(ctx, sendStop{}, stop)
}

// isStopped reports whether a request must not be sent any more. Getting its token may have taken a while.
func isStopped(ctx context.Context) bool {
	stop, _ := ctx.Value(sendStop{}).(<-chan struct{})
	select {
	case <-stop: // nil blocks
		return true
	default:
		return false
	}
}

// A transport sends the SDK's requests to one cloud's Resource Manager and to no other host, and bounds each in time
// and size. It implements the SDK's policy.Transporter.
type transport struct {
	host   string
	client *http.Client
}

// Do sends one request and reads its whole answer, so that the timeout covers the body too.
func (t transport) Do(request *http.Request) (*http.Response, error) {
	if !t.isManager(request.URL) {
		// The URL by which a change is followed comes from an answer, and the SDK would send the access token there.
		return nil, errOtherHost
	}
	if isStopped(request.Context()) {
		return nil, errStopped
	}
	ctx, cancel := network.WithTimeout(request.Context(), requestTimeout)
	defer cancel()
	response, err := t.client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, network.Lost(err)
	}
	body, err := readAll(response.Body)
	if err != nil {
		return nil, err
	}
	if !isOwn(response, body) {
		return nil, &strangeError{status: response.StatusCode}
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	for _, header := range followHeaders {
		if link, err := request.URL.Parse(response.Header.Get(header)); err == nil &&
			response.Header.Get(header) != "" {
			response.Header.Set(header, link.String()) // the SDK does not take a relative one
		}
	}
	return response, nil
}

// isManager reports whether u is at the cloud's Resource Manager.
func (t transport) isManager(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && strings.EqualFold(u.Hostname(), t.host) &&
		(u.Port() == "" || u.Port() == "443")
}

func readAll(body io.ReadCloser) ([]byte, error) {
	defer func() { _ = body.Close() }() // its error would say nothing about the content, which was read
	content, err := io.ReadAll(io.LimitReader(body, bodyMax+1))
	if err != nil {
		return nil, network.Lost(err)
	}
	if len(content) > bodyMax {
		return nil, errTooLarge
	}
	return content, nil
}

// isOwn reports whether an answer is in Resource Manager's own form: it has a request ID and is no redirect, and a
// refusal is JSON with a code. What is between the runner and Resource Manager may answer with any status, but not so.
// https://github.com/Azure/azure-resource-manager-rpc/blob/master/v1.0/common-api-details.md
func isOwn(response *http.Response, body []byte) bool {
	if requestID(response.Header) == "" || response.StatusCode >= 300 && response.StatusCode < 400 {
		return false
	}
	return response.StatusCode < http.StatusBadRequest || readError(body).code != ""
}

// requestID returns what Microsoft's support asks for; "" if the answer has none.
func requestID(header http.Header) string {
	if id := code(header.Get("x-ms-correlation-request-id")); id != "" {
		return id
	}
	return code(header.Get("x-ms-request-id"))
}

// A said is what an answer says of a failure.
type said struct{ code, message string }

// readError reads the code and the message of an answer. A resource provider may leave out the frame.
func readError(body []byte) said {
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	var framed struct {
		Error detail `json:"error"`
		detail
	}
	if json.Unmarshal(body, &framed) != nil {
		return said{}
	}
	if c := code(framed.Error.Code); c != "" {
		return said{code: c, message: framed.Error.Message}
	}
	return said{code: code(framed.Code), message: framed.Message}
}

// code returns a code, a request ID or a name as it may be printed. What does not look like one is foreign text, and
// left out.
func code(text string) string {
	foreign := func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-", r)
	}
	if len(text) > 64 || strings.ContainsFunc(text, foreign) {
		return ""
	}
	return text
}

// catchPanic calls f, and turns a panic in a dependency into errPanic. The panic's own text may quote the answer, so it
// is dropped.
func catchPanic(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errPanic
		}
	}()
	return f()
}

// credential marks the errors of getting a token, to tell them from Resource Manager's.
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
