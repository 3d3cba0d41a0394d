// Package sdk is what every call through Microsoft's SDK keeps to, whichever service is called:
//
//   - A request goes to one host and to no other: [IsAt].
//   - An answer is read whole, and is of bounded size: [ReadAll].
//   - A panic in a dependency ends that call alone: [CatchPanic].
//   - After the run was stopped, no password is sent: [WithSendStop].
//   - The SDK's errors quote answers, so nothing of them is printed but what has passed [Code] or [PolicyName].
package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/network"
)

// Why a request was not sent, or its answer was not taken.
var (
	ErrStopped   = errors.New("the run was stopped before the request was sent")
	ErrOtherHost = errors.New("an answer pointed to another host")
	ErrTooLarge  = errors.New("the answer is too large to be the service's")
	ErrPanic     = errors.New("the answer could not be understood")
)

// A StrangeError is an answer that is not in the service's own form: most likely something on the way gave it, and may
// have done so after the service had done what was asked.
type StrangeError struct{ Status int }

// Error returns what was seen, without anything of the answer but its status.
func (e *StrangeError) Error() string {
	return fmt.Sprintf("an answer of %d that is not the service's own", e.Status)
}

// sendStop is the key of the channel that WithSendStop puts into a context.
type sendStop struct{}

// WithSendStop returns a context for one call of the SDK. After stop is closed the call sends no password; a request
// that was sent before can still be answered, until ctx ends. The two travel in the context because the SDK passes
// nothing else of a call to its transport, which is to heed [SendStopOf].
func WithSendStop(ctx context.Context, stop <-chan struct{}) context.Context {
	return context.WithValue(ctx, sendStop{}, stop)
}

// SendStopOf returns the channel that was given to [WithSendStop]; nil if there was none.
func SendStopOf(ctx context.Context) <-chan struct{} {
	stop, _ := ctx.Value(sendStop{}).(<-chan struct{})
	return stop
}

// IsAt reports whether u is at a host. Azure writes some of its links with the port.
func IsAt(u *url.URL, host string) bool {
	return u.Scheme == "https" && u.User == nil && strings.EqualFold(u.Hostname(), host) &&
		(u.Port() == "" || u.Port() == "443")
}

// ReadAll reads an answer of at most that many bytes, and closes it.
func ReadAll(body io.ReadCloser, most int64) ([]byte, error) {
	defer func() { _ = body.Close() }() // its error would say nothing about the content, which was read
	content, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, network.Lost(err)
	}
	if int64(len(content)) > most {
		return nil, ErrTooLarge
	}
	return content, nil
}

// CatchPanic calls f, and turns a panic into [ErrPanic]. The panic's own text may quote the answer, so it is dropped.
// The SDK's challenge policy panics if the authorization of a WWW-Authenticate is no URL.
func CatchPanic(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = ErrPanic
		}
	}()
	return f()
}

// A Credential gets access tokens. Renew makes it forget those that it has, because a service does not accept them.
type Credential interface {
	azcore.TokenCredential
	Renew() error
}

// A TokenError is why there is no access token, to tell it from what the service answers.
type TokenError struct{ Err error }

// Error returns the text of the cause.
func (e *TokenError) Error() string { return e.Err.Error() }

// Unwrap returns e.Err.
func (e *TokenError) Unwrap() error { return e.Err }

// Marked returns a credential whose errors are each a [TokenError].
func Marked(c azcore.TokenCredential) azcore.TokenCredential { return marked{c} }

type marked struct{ azcore.TokenCredential }

// GetToken implements [azcore.TokenCredential].
func (m marked) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := m.TokenCredential.GetToken(ctx, options)
	if err != nil {
		return token, &TokenError{Err: err}
	}
	return token, nil
}

// Code returns a code, a request ID or a name of a service as it may be printed: at most 64 letters, digits and
// characters of -_. of ASCII. It returns "" for any other text.
func Code(text string) string {
	foreign := func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("_.-", r)
	}
	if len(text) > 64 || strings.ContainsFunc(text, foreign) {
		return ""
	}
	return text
}

// longestWord is how many characters a word of a policy's name has at most. A longer one could be a value that whoever
// answered has echoed: every preset for a password draws 24 characters or more, without a space.
const longestWord = 23

// PolicyName returns the name of an Azure Policy, as a caller's pattern has found it in a message, if it may be
// printed; "" if it may not.
func PolicyName(found string) string {
	for word := range strings.FieldsSeq(found) {
		if len(word) > longestWord {
			return ""
		}
	}
	return strings.TrimRight(found, " .")
}
