package action

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// newHTTPClient returns the one client for GitHub, Entra and the vaults, which tells debug of each request where that is not
// nil. It follows no redirect: net/http would send a
// password, or an assertion, again to wherever a 307 points. Proxies and roots are the environment's (HTTPS_PROXY,
// NO_PROXY, SSL_CERT_FILE), as companies need them.
func newHTTPClient(network http.RoundTripper, debug func(string)) *http.Client {
	if network == nil {
		network = newTransport()
	}
	if debug != nil {
		network = traced{network, debug}
	}
	return &http.Client{
		Transport:     network,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		OnProxyConnectResponse: checkProxy,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12}, // the least that Key Vault takes
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    concurrencyMax,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// A proxyError is a proxy that answered CONNECT with something else than 200.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("it answered %d %s", e.status, http.StatusText(e.status))
}

// ProxyRefused tells it from a lost connection: nothing was sent beyond the proxy.
func (e *proxyError) ProxyRefused() bool { return true }

func checkProxy(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return &proxyError{response.StatusCode}
	}
	return nil
}

// traced tells of each request: method, host, path and status. Headers, queries and bodies hold tokens and values and are
// never told.
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
	t.debug(fmt.Sprintf("%s %s%s: %s in %d ms", request.Method, request.URL.Host, request.URL.Path, end, time.Since(start).Milliseconds()))
	return response, err
}
