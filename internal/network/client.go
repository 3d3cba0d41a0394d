package network

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// idlePerHost is how many idle connections to one host are kept: as many as secrets may be in flight.
const idlePerHost = 64

// NewClient returns the HTTP client for GitHub, Entra and the vaults. It follows no redirect: after a 307, net/http
// would send a password or an assertion again, to whatever host the answer names. If debug is not nil, it is called
// with a line for each request.
//
// If transport is nil, the client uses the machine's network, with the proxies and root certificates that the
// environment names (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).
func NewClient(transport http.RoundTripper, debug func(line string)) *http.Client {
	if transport == nil {
		transport = proxied{newTransport()}
	}
	if debug != nil {
		transport = traced{transport, debug}
	}
	return &http.Client{Transport: apart{transport}}
}

// apart keeps net/http and the SDKs from sharing a request's body. An answer may come while the body is still being
// sent, and the SDKs then rewind theirs to try again, as net/http does for a redirect that it is about to decline. So
// what is sent is a copy, and a redirect has no address that could be followed.
type apart struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t apart) RoundTrip(request *http.Request) (*http.Response, error) {
	request, err := withOwnBody(request)
	if err != nil {
		return nil, err
	}
	response, err := t.RoundTripper.RoundTrip(request)
	switch {
	case err != nil:
	case response.StatusCode == http.StatusSwitchingProtocols:
		// Its body is the connection: to read it would wait for as long as the peer likes, whatever the request's
		// bound.
		_ = response.Body.Close()
		response.Body = http.NoBody
	case response.StatusCode/100 == 3:
		response.Header.Del("Location")
	}
	return response, err
}

// CloseIdleConnections closes the connections of the transport that is wrapped.
func (t apart) CloseIdleConnections() { closeIdle(t.RoundTripper) }

// withOwnBody returns the request with a copy of its body, which it reads to the end and closes.
func withOwnBody(request *http.Request) (*http.Request, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return request, nil
	}
	body, err := io.ReadAll(request.Body)
	if err = errors.Join(err, request.Body.Close()); err != nil {
		return nil, err
	}
	request = request.WithContext(request.Context())
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	request.Body, err = request.GetBody()
	return request, err
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  chooseProxy,
		DialContext:            dial,
		OnProxyConnectResponse: checkProxy,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12}, // what Key Vault requires
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// traced calls debug with a line for each request: method, host, path, status and duration. It leaves out headers,
// queries and bodies, because they hold tokens and values.
type traced struct {
	http.RoundTripper
	debug func(string)
}

// RoundTrip implements [http.RoundTripper].
func (t traced) RoundTrip(request *http.Request) (*http.Response, error) {
	start := time.Now()
	response, err := t.RoundTripper.RoundTrip(request)
	end := "no answer"
	if err == nil {
		end = fmt.Sprint(response.StatusCode)
	}
	t.debug(fmt.Sprintf("%s %s%s: %s in %d ms",
		request.Method, request.URL.Host, request.URL.Path, end, time.Since(start).Milliseconds()))
	return response, err
}

// CloseIdleConnections closes the connections of the transport that is traced.
func (t traced) CloseIdleConnections() { closeIdle(t.RoundTripper) }

// closeIdle closes the idle connections of a transport that has a method for it, as [http.Client] does.
func closeIdle(transport http.RoundTripper) {
	if closer, ok := transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
