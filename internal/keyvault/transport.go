package keyvault

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/sdk"
)

const (
	// requestTimeout bounds one request, from when it may be sent to the last byte of its answer. Looking up the
	// vault's name does not count.
	requestTimeout = 8 * time.Second
	// bodyMax bounds an answer, in bytes. The largest page has 25 versions with 15 tags each, of 512 characters for
	// the name and as many for the value: 400 KB.
	bodyMax = 2 << 20
)

// isOwn reports whether an answer other than 200 is in Key Vault's own form: it has a request ID, and its body is JSON
// with a code. What is between the runner and the vault may answer with any status, but not so.
// https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses#error-responses
func isOwn(status int, header http.Header, body []byte) bool {
	var content errorBody
	return status >= http.StatusBadRequest && sdk.Code(header.Get("x-ms-request-id")) != "" &&
		json.Unmarshal(body, &content) == nil && sdk.Code(content.Error.Code) != ""
}

// A transport sends the SDK's requests to one vault and to no other host. It keeps to the vault's limits and bounds
// each request in time and size. It implements the SDK's policy.Transporter.
type transport struct {
	host     string
	client   *http.Client
	sets     *window
	requests *window
	pause    pause
	offset   atomic.Int64 // what the vault's clock is ahead of this machine's, in nanoseconds
	roles    atomic.Bool  // the vault has said that a role let a request through, so it does not use access policies
}

// Do sends one request and reads its whole answer, so that the timeout covers the body too.
func (t *transport) Do(request *http.Request) (*http.Response, error) {
	if !sdk.IsAt(request.URL, t.host) {
		// The URL of a next page comes from an answer, and the SDK would send the access token there.
		return nil, sdk.ErrOtherHost
	}
	// A context without a stop of its own stops sending when it ends.
	stop := cmp.Or(sdk.SendStopOf(request.Context()), request.Context().Done())
	release, ok := t.admit(request.Method, stop)
	if !ok {
		return nil, sdk.ErrStopped
	}
	defer release()
	ctx, cancel := network.WithTimeout(request.Context(), requestTimeout)
	defer cancel()
	response, err := t.client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, network.Lost(err)
	}
	if response.Header.Get("x-ms-request-id") != "" { // else a proxy answered, and its clock is not the vault's
		t.readClock(response.Header)
	}
	if response.Header.Get("x-ms-keyvault-rbac-assignment-id") != "" {
		t.roles.Store(true)
	}
	body, err := sdk.ReadAll(response.Body, bodyMax)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case !carriesValue(request) || response.StatusCode == http.StatusOK:
	case !isOwn(response.StatusCode, response.Header, body):
		return nil, &sdk.StrangeError{Status: response.StatusCode}
	case response.StatusCode == http.StatusUnauthorized:
		// The SDK is told that this is the end: it would send the value once more at once.
		return nil, runtime.NewResponseError(response)
	}
	return response, nil
}

// carriesValue reports whether a request is a set with its body. The SDK sends its first request, which asks for the
// challenge, without one.
func carriesValue(request *http.Request) bool {
	return request.Method == http.MethodPut && request.ContentLength != 0
}

// versionOf returns the version that an ID names, and whether it is one of that secret in this vault.
func (t *transport) versionOf(id *azsecrets.ID, secret string) (version string, ok bool) {
	if id == nil {
		return "", false
	}
	u, err := url.Parse(string(*id))
	if err != nil || !sdk.IsAt(u, t.host) {
		return "", false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "secrets" || !strings.EqualFold(parts[1], secret) || !isVersionID(parts[2]) {
		return "", false
	}
	return parts[2], true
}

// admit waits until the vault's limits allow a request of that method. It reports false if stop is closed first.
func (t *transport) admit(method string, stop <-chan struct{}) (release func(), ok bool) {
	windows := []*window{t.requests}
	if method == http.MethodPut {
		windows = append(windows, t.sets)
	}
	var taken []*window
	release = func() {
		for _, w := range taken {
			w.giveBack()
		}
	}
	for _, w := range windows {
		if !w.take(stop) {
			release()
			return nil, false
		}
		taken = append(taken, w)
	}
	if !t.pause.wait(stop) { // last, because a 429 may have come during the waits above
		release()
		return nil, false
	}
	return release, true
}

// readClock notes the vault's clock. The vault's times of creation and expiry are by that clock, so plans use it too:
// a runner's clock may be wrong. The header has whole seconds; a difference of up to 2 seconds counts as none.
func (t *transport) readClock(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	offset := time.Until(date)
	if offset.Abs() <= 2*time.Second {
		offset = 0
	}
	t.offset.Store(int64(offset))
}

// now returns the time by the vault's clock.
func (t *transport) now() time.Time { return time.Now().Add(time.Duration(t.offset.Load())) }
