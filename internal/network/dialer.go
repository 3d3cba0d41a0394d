package network

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Dialer connects to databases: direct, or through the proxy that the environment's ALL_PROXY names, unless NO_PROXY
// names the host. It reads both as curl does: in small letters first, with 1080 as the usual port, http as the usual
// scheme. https://curl.se/docs/manpage.html#ENVIRONMENT
type Dialer struct {
	proxy   string // as ALL_PROXY says; "": none
	noProxy string
	roots   string // SSL_CERT_FILE
}

// NewDialer returns a dialer for an environment. It contacts nothing; a proxy that cannot be one fails each Dial.
func NewDialer(getenv func(name string) string) *Dialer {
	first := func(names ...string) string {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return value
			}
		}
		return ""
	}
	return &Dialer{
		proxy:   first("all_proxy", "ALL_PROXY"),
		noProxy: first("no_proxy", "NO_PROXY"),
		roots:   getenv("SSL_CERT_FILE"),
	}
}

// proxyTimeout bounds what a proxy needs to connect, once the connection to it is there.
const proxyTimeout = 10 * time.Second

// Dial connects to address, which is HOST:PORT. A failure of the proxy is a [*ProxyError].
func (d *Dialer) Dial(ctx context.Context, address string) (net.Conn, error) {
	if d.proxy == "" || d.isDirect(address) {
		return dial(ctx, "tcp", address)
	}
	proxy, err := parseProxy(d.proxy)
	if err != nil {
		return nil, &ProxyError{Variable: allProxy, Err: err}
	}
	conn, err := dialThrough(ctx, proxy, address)
	if err == nil || errors.Is(err, context.Canceled) {
		return conn, err
	}
	failure, ok := errors.AsType[*ProxyError](err)
	if !ok {
		failure = &ProxyError{Err: err}
	}
	failure.Proxy, failure.Variable = hostPort(proxy), allProxy
	return nil, failure
}

const allProxy = "ALL_PROXY"

// isDirect reports whether NO_PROXY names the host of an address, or a domain that it is in.
func (d *Dialer) isDirect(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for entry := range strings.FieldsSeq(strings.ReplaceAll(d.noProxy, ",", " ")) {
		entry = strings.ToLower(strings.Trim(entry, "."))
		if entry == "*" || entry != "" && (host == entry || strings.HasSuffix(host, "."+entry)) {
			return true
		}
	}
	return false
}

// errProxyURL is a proxy that is none. The text of the variable is not shown: it may hold a password.
var errProxyURL = errors.New("expected http://, https://, socks5:// or socks5h://, a host, and a port")

// parseProxy reads a proxy as curl does. The URL that it returns has a port.
func parseProxy(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	proxy, err := url.Parse(text)
	if err != nil || proxy.Hostname() == "" {
		return nil, errProxyURL
	}
	usual := "1080"
	switch proxy.Scheme {
	case "http", "socks5", "socks5h":
	case "https":
		usual = "443"
	default:
		return nil, errProxyURL
	}
	if proxy.Port() == "" {
		proxy.Host = net.JoinHostPort(proxy.Hostname(), usual)
	}
	return proxy, nil
}

// dialThrough connects to a proxy and has it connect to an address.
func dialThrough(ctx context.Context, proxy *url.URL, address string) (net.Conn, error) {
	conn, err := dial(ctx, "tcp", proxy.Host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // reading fails, and that is told
	through, err := pass(ctx, conn, proxy, address)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // nothing was sent beyond the proxy
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return through, nil
}

// pass has the proxy at the other end of conn connect to an address.
func pass(ctx context.Context, conn net.Conn, proxy *url.URL, address string) (net.Conn, error) {
	switch proxy.Scheme {
	case "socks5":
		return conn, passSOCKS(ctx, conn, proxy.User, address, lookUp)
	case "socks5h":
		return conn, passSOCKS(ctx, conn, proxy.User, address, nil)
	case "https":
		secure := tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), MinVersion: tls.VersionTLS12})
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secure
	}
	return passHTTP(conn, proxy.User, address)
}

// maxProxyAnswer bounds a proxy's answer to CONNECT, in bytes.
const maxProxyAnswer = 64 << 10

// passHTTP asks an HTTP proxy: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
func passHTTP(conn net.Conn, user *url.Userinfo, address string) (net.Conn, error) {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if user != nil {
		password, _ := user.Password()
		request += "Proxy-Authorization: Basic " +
			base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxProxyAnswer}
	reader := bufio.NewReader(limited)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // of a refusal; a connection is no body
	if response.StatusCode != http.StatusOK {
		return nil, &ProxyError{Status: response.StatusCode}
	}
	limited.N = int64(reader.Buffered()) // no more is read ahead
	return &ahead{Conn: conn, read: reader}, nil
}

// ahead is a connection of which some bytes were read already.
type ahead struct {
	net.Conn
	read *bufio.Reader
}

// Read returns what was read already, then what comes.
func (a *ahead) Read(b []byte) (int, error) {
	if a.read.Buffered() > 0 {
		return a.read.Read(b)
	}
	return a.Conn.Read(b)
}

// Explain returns an error of a connection, or, where it is that no root certificate was read, one that says why. See
// [NameRoots].
func (d *Dialer) Explain(err error) error { return explainRoots(err, d.roots) }
