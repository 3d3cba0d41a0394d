package network_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"keyvault-passwords/internal/network"
)

func TestDescribe(t *testing.T) {
	for want, err := range map[string]error{
		"the connection was refused":                  &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"the connection was reset":                    &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		"there is no such host":                       &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}},
		"the name could not be resolved":              &net.DNSError{},
		"the answer was cut off":                      fmt.Errorf("reading: %w", io.ErrUnexpectedEOF),
		"the connection was closed without an answer": io.EOF,
		"there was no answer in time":                 context.DeadlineExceeded,
		"the run was stopped":                         context.Canceled,
		"the answer was not HTTP":                     errors.New("malformed HTTP response"),
	} {
		if got := network.Describe(&url.Error{Op: "Put", URL: "https://x/?canary", Err: err}); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

// Nothing of an error's own text is repeated, whatever wraps it.
func TestDescribeQuotesNothing(t *testing.T) {
	canary := errors.New(`malformed HTTP response "canary"`)
	for _, err := range []error{
		canary,
		fmt.Errorf("%w", canary),
		errors.Join(canary, io.EOF),
		&url.Error{Op: "Get", URL: "https://canary/", Err: canary},
		&net.OpError{Op: "read", Err: canary},
		&net.DNSError{Err: "canary", Name: "canary"},
	} {
		if text := network.Describe(err); strings.Contains(text, "canary") {
			t.Errorf("%q quotes the error", text)
		}
	}
}
