package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
)

// A ProxyError is a failure of the proxy in front. Nothing was sent beyond the proxy.
type ProxyError struct {
	Proxy    string // HOST:PORT; "" if the variable is so odd that a part of it may be a credential
	Variable string // that names it; "" is HTTPS_PROXY
	Status   int    // what it answered CONNECT with; 0: it did not answer
	Err      error  // why it did not; nil if it did
}

// variable returns the name of the environment variable that names the proxy.
func (e *ProxyError) variable() string { return cmp.Or(e.Variable, "HTTPS_PROXY") }

// Error returns what the proxy did. It uses no part of another error's text.
func (e *ProxyError) Error() string {
	proxy := "the proxy at " + e.Proxy
	if e.Proxy == "" {
		proxy = "the proxy that " + e.variable() + " names"
	}
	if e.Status != 0 {
		return fmt.Sprintf("%s answered %d %s", proxy, e.Status, http.StatusText(e.Status))
	}
	return proxy + ": " + Describe(e.Err)
}

// Unwrap returns e.Err.
func (e *ProxyError) Unwrap() error { return e.Err }

// A path is how far a request came on its way.
type path struct {
	mu     sync.Mutex
	proxy  *url.URL // nil: none
	passed bool     // beyond the proxy, or connected without one
}

// pathKey is the key of a request's path in its context: net/http passes nothing else to its callbacks.
type pathKey struct{}

func pathOf(ctx context.Context) *path {
	if p, ok := ctx.Value(pathKey{}).(*path); ok {
		return p
	}
	return &path{}
}

func (p *path) pass() {
	p.mu.Lock()
	p.passed = true
	p.mu.Unlock()
}

// chooseProxy is [http.ProxyFromEnvironment], and notes the proxy.
func chooseProxy(request *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(request)
	p := pathOf(request.Context())
	p.mu.Lock()
	p.proxy = proxy
	p.mu.Unlock()
	return proxy, err
}

// checkProxy notes that the proxy has connected, or refuses what it answered.
func checkProxy(ctx context.Context, proxy *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return &ProxyError{Proxy: hostPort(proxy), Status: response.StatusCode}
	}
	pathOf(ctx).pass()
	return nil
}

// proxied makes a [ProxyError] of each failure before the proxy has connected. net/http marks some of them only: not a
// proxy that takes the connection and says nothing.
type proxied struct{ *http.Transport }

// RoundTrip implements [http.RoundTripper].
func (t proxied) RoundTrip(request *http.Request) (*http.Response, error) {
	p := &path{}
	ctx := context.WithValue(request.Context(), pathKey{}, p)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { p.pass() }})
	response, err := t.Transport.RoundTrip(request.WithContext(ctx))
	if err == nil {
		return response, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, told := errors.AsType[*ProxyError](err)
	if told || p.proxy == nil || errors.Is(err, context.Canceled) {
		return nil, err
	}
	if !p.passed || isProxyConnect(err) {
		return nil, &ProxyError{Proxy: hostPort(p.proxy), Err: err}
	}
	return nil, err
}

// isProxyConnect reports whether net/http says of an error that it is the proxy's.
func isProxyConnect(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "proxyconnect" || op.Op == "socks connect")
}

// hostPort returns HOST:PORT of a proxy, without its credentials. A password that has a slash, a question mark or a
// number sign in it, unescaped, ends the host for package url: of such a URL nothing is shown.
func hostPort(proxy *url.URL) string {
	if strings.Trim(proxy.Path, "/") != "" || proxy.RawQuery != "" || proxy.ForceQuery || proxy.Fragment != "" {
		return ""
	}
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[proxy.Scheme]
	}
	if port == "" {
		port = "1080" // SOCKS: https://www.rfc-editor.org/rfc/rfc1928#section-3
	}
	return net.JoinHostPort(proxy.Hostname(), port)
}
