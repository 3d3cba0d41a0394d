// Package network is the way to GitHub, Entra and the vaults: the one HTTP client, and why a request got no answer.
//
// [Describe] has words of its own for that. The texts of net/http's errors quote the URL, and what the peer sent, which
// may be a token or a value that it echoes: none of them is printed.
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

// A known error is one of the operating system's or of a library's, with the words for it.
var known = []struct {
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

// Describe returns why a request failed, without a word of err's own.
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
	return "what came was no HTTP answer"
}
