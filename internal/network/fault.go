// Package network is the way to GitHub, Entra and the vaults: the one HTTP client, the wait before another try, and
// why a request got no answer.
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

// Describe returns why a request failed. It uses no part of err's text.
func Describe(err error) string {
	if refused, ok := errors.AsType[*ProxyError](err); ok {
		return refused.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "there is no such host"
		}
		return "the name could not be resolved"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted"
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
	return "the answer was not HTTP"
}
