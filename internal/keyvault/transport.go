package keyvault

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"keyvault-passwords/internal/network"
)

const (
	// patience bounds one request, from the moment it may be sent to the last byte of its answer.
	patience = 8 * time.Second
	// bodyMax bounds an answer. The largest page is 25 versions of 15 tags of 512 characters twice: 400 KB.
	bodyMax = 2 << 20
)

// The requests that the transport does not send, and an answer over bodyMax.
var (
	errStopped   = errors.New("the run was stopped before the request was sent")
	errOtherHost = errors.New("an answer pointed to another host")
	errTooLarge  = errors.New("the answer is too large to be Key Vault's")
)

// sendStop is the key of a request's send stop: see withSendStop.
type sendStop struct{}

// withSendStop returns a context for a call of the SDK whose requests are not sent any more once stop is closed. One that
// was sent before is still answered, as long as ctx lasts. A call needs both where its request must not be cut off
// halfway: see Set. They travel in the context because the SDK gives its transport nothing else of a call.
func withSendStop(ctx context.Context, stop <-chan struct{}) context.Context {
	return context.WithValue(ctx, sendStop{}, stop)
}

// sendStopOf returns the send stop of a request with that context. Without one of its own it is the end of the context.
func sendStopOf(ctx context.Context) <-chan struct{} {
	if stop, ok := ctx.Value(sendStop{}).(<-chan struct{}); ok {
		return stop
	}
	return ctx.Done()
}

// A transport sends the SDK's requests to one vault, and to nothing else: in the vault's pace, each bounded in time and
// size. It implements the SDK's policy.Transporter.
type transport struct {
	host     string
	client   *http.Client
	sets     *window
	requests *window
	pause    pause
	offset   atomic.Int64 // of the vault's clock against ours, in nanoseconds
}

// Do sends one request. It reads the whole answer, so that the bound on time holds for the body too.
func (t *transport) Do(request *http.Request) (*http.Response, error) {
	if !t.isVault(request.URL) {
		// A nextLink of the answer chooses the URL of the next page, and the SDK would send the access token there.
		return nil, errOtherHost
	}
	release, ok := t.admit(request.Method, sendStopOf(request.Context()))
	if !ok {
		return nil, errStopped
	}
	defer release()
	ctx, cancel := context.WithTimeout(request.Context(), patience)
	defer cancel()
	response, err := t.client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, transportError(err)
	}
	if response.Header.Get("x-ms-request-id") != "" { // what stands between may answer too, by a clock of its own
		t.readClock(response.Header)
	}
	body, err := readAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// isVault reports whether u is at the vault. Key Vault writes its nextLinks with the port.
func (t *transport) isVault(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && strings.EqualFold(u.Hostname(), t.host) && (u.Port() == "" || u.Port() == "443")
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
			w.give()
		}
	}
	for _, w := range windows {
		if !w.take(stop) {
			release()
			return nil, false
		}
		taken = append(taken, w)
	}
	if !t.pause.wait(stop) { // last: a 429 may have come while others were waited for
		release()
		return nil, false
	}
	return release, true
}

func readAll(body io.ReadCloser) ([]byte, error) {
	defer func() { _ = body.Close() }() // read to its end, or given up: closing can lose nothing
	content, err := io.ReadAll(io.LimitReader(body, bodyMax+1))
	if err != nil {
		return nil, transportError(err)
	}
	if len(content) > bodyMax {
		return nil, errTooLarge
	}
	return content, nil
}

// readClock notes the vault's clock. What the vault says of ages and expiries is by it, so plans are made by it too:
// a runner's clock may be wrong. Whole seconds that agree are left alone.
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

// now is the vault's clock.
func (t *transport) now() time.Time { return time.Now().Add(time.Duration(t.offset.Load())) }

// A lost error is a request without a whole answer. Its text never holds the URL.
type lostError struct {
	err       error
	sent      bool // it may have reached the vault
	noHost    bool // the name does not resolve: a typo, most often
	refused   bool // a proxy would not connect
	untrusted bool // what answered has no certificate that the runner trusts
}

// lasts reports whether the next try would end alike.
func (e *lostError) lasts() bool { return e.noHost || e.refused || e.untrusted }

func (e *lostError) Error() string { return network.Describe(e.err) }
func (e *lostError) Unwrap() error { return e.err }

// transportError strips the URL off an error of net/http and notes whether the request can have been sent.
func transportError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	lost := &lostError{err: err, sent: true}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		lost.sent, lost.noHost = false, dns.IsNotFound
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && (dial.Op == "dial" || dial.Op == "proxyconnect") {
		lost.sent = false
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		lost.sent, lost.untrusted = false, true
	}
	if _, ok := errors.AsType[*network.ProxyError](err); ok {
		lost.sent, lost.refused = false, true
	}
	return lost
}
