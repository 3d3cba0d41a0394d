package network

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
)

// A LostError is a request without a whole answer. Its text never holds the URL.
type LostError struct {
	Err       error
	Sent      bool // the request may have reached the service
	NoHost    bool // the name does not resolve, most often because of a typo
	Proxied   bool // it is the proxy that could not be reached
	Untrusted bool // the machine does not trust the certificate of what answered
	Refused   int  // the status with which a proxy refused to connect; 0: it did not
}

// Lost takes the URL off an error of net/http, and notes whether the request may have been sent.
func Lost(err error) *LostError {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	lost := &LostError{Err: err, Sent: true}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		lost.Sent, lost.NoHost = false, dns.IsNotFound
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && (dial.Op == "dial" || dial.Op == "proxyconnect") {
		lost.Sent = false
		lost.Proxied = dial.Op == "proxyconnect"
		lost.NoHost = lost.NoHost && !lost.Proxied
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		lost.Sent, lost.Untrusted = false, true
	}
	if proxy, ok := errors.AsType[*ProxyError](err); ok {
		lost.Sent, lost.Refused = false, proxy.Status
	}
	return lost
}

// IsPermanent reports whether the next try would end in the same way.
func (e *LostError) IsPermanent() bool {
	return e.NoHost || e.Untrusted || e.Refused != 0 && !IsTransientStatus(e.Refused)
}

// Error returns why there was no answer, in words of this package.
func (e *LostError) Error() string { return Describe(e.Err) }

// Unwrap returns e.Err.
func (e *LostError) Unwrap() error { return e.Err }
