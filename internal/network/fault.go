// Package network is the way to GitHub, Entra and the vaults: the one HTTP client, the wait before another try, and
// why a request got no answer. It is the way to databases too: a [Dialer].
//
// [Describe] says that in words of its own. The errors of net/http quote the URL and what the peer sent, which may be
// a token or a value that the peer echoes: their texts are never printed.
package network

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// known are errors of the operating system and of libraries, with what to say of each.
var known = [...]struct {
	err  error
	text string
}{
	{syscall.ECONNREFUSED, "the connection was refused"},
	{syscall.ECONNRESET, "the connection was reset"},
	{syscall.EPIPE, "the connection was closed"},
	{syscall.ENETUNREACH, "there is no route to the network"},
	{syscall.EHOSTUNREACH, "there is no route to the host"},
	{io.ErrUnexpectedEOF, "the answer was cut off"},
	{io.EOF, "the connection was closed without an answer"},
	{net.ErrClosed, "the connection was closed"},
	{context.DeadlineExceeded, "there was no answer in time"},
	{os.ErrDeadlineExceeded, "there was no answer in time"},
	{context.Canceled, "the run was stopped"},
}

// Describe returns why a request failed. It uses no part of err's text. Of a certificate it shows dates, and names of
// a safe form.
func Describe(err error) string {
	if text := describe(err); text != "" {
		return text
	}
	return "the answer was not HTTP"
}

// DescribeConnection returns why a connection failed, as [Describe] does for a request.
func DescribeConnection(err error) string {
	if text := describe(err); text != "" {
		return text
	}
	return "the connection failed"
}

func describe(err error) string {
	if proxy, ok := errors.AsType[*ProxyError](err); ok {
		return proxy.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return describeDNS(dns)
	}
	if roots, ok := errors.AsType[*rootsError](err); ok {
		return "its certificate is not trusted here: " + roots.Error()
	}
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return describeCertificate(untrusted)
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.text
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "there was no answer in time"
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return "TLS failed (" + alert.Error() + ")"
	}
	if refused, ok := errors.AsType[socksError](err); ok {
		return refused.Error()
	}
	if errors.Is(err, errProxyURL) {
		return errProxyURL.Error()
	}
	return ""
}

// describeDNS tells a name that does not exist from one that cannot be resolved for the moment.
func describeDNS(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "there is no such host"
	case err.IsTimeout:
		return "the name could not be resolved: no name server answered in time"
	case err.IsTemporary:
		return "the name could not be resolved: the name servers failed"
	}
	return "the name could not be resolved"
}

// IsTransient reports whether a request that got no answer, with that error, may get one the next time. What lasts is a
// name that does not exist, a proxy that refuses, a certificate that is not trusted, and a run that was stopped.
func IsTransient(err error) bool {
	if proxy, ok := errors.AsType[*ProxyError](err); ok && proxy.Status != 0 {
		return IsTransientStatus(proxy.Status)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return false // what answers does not speak TLS
	}
	return !errors.Is(err, context.Canceled)
}

// IsNoHost reports whether a name was looked up, here and not by a proxy, and does not exist.
func IsNoHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	_, proxied := errors.AsType[*ProxyError](err)
	return ok && !proxied && dns.IsNotFound
}

// IsWaitedOut reports whether a request failed because no name server answered: each was asked twice, for 5 s. Where a
// refusal is to be told soon, another try would only double the wait.
func IsWaitedOut(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsTimeout
}

// IsTransientStatus reports whether a server or a proxy that answered with that status may answer otherwise the next
// time: 408, 425, 429 and 5xx.
func IsTransientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError
}
