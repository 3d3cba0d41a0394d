package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/sdk"
)

const (
	// requestTimeout bounds one request, from when it may be sent to the last byte of its answer. Looking up the host's
	// name does not count.
	requestTimeout = 20 * time.Second
	// bodyMax bounds an answer, in bytes. A server with its private endpoints has a few thousand.
	bodyMax = 1 << 20
)

// errMalformed is an answer that cannot be Resource Manager's, whatever its status.
var errMalformed = errors.New("the answer is not what Resource Manager documents")

// isStopped reports whether a request must not be sent any more. Getting its token may have taken a while.
func isStopped(ctx context.Context) bool {
	select {
	case <-sdk.SendStopOf(ctx): // nil blocks
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
	if !sdk.IsAt(request.URL, t.host) {
		// The URL by which a change is followed comes from an answer, and the SDK would send the access token there.
		return nil, sdk.ErrOtherHost
	}
	if isStopped(request.Context()) {
		return nil, sdk.ErrStopped
	}
	ctx, cancel := network.WithTimeout(request.Context(), requestTimeout)
	defer cancel()
	response, err := t.client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, network.Lost(err)
	}
	body, err := sdk.ReadAll(response.Body, bodyMax)
	if err != nil {
		return nil, err
	}
	if !isOwn(response, body) {
		return nil, &sdk.StrangeError{Status: response.StatusCode}
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
	if id := sdk.Code(header.Get("x-ms-correlation-request-id")); id != "" {
		return id
	}
	return sdk.Code(header.Get("x-ms-request-id"))
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
	if c := sdk.Code(framed.Error.Code); c != "" {
		return said{code: c, message: framed.Error.Message}
	}
	return said{code: sdk.Code(framed.Code), message: framed.Message}
}
