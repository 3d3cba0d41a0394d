package runner

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"time"

	"github.com/sethvargo/go-githubactions"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

const (
	// tokenTries is how often the ID token is requested at most. GitHub's endpoint has been seen to fail for minutes,
	// and to fail once and answer the next request. https://github.com/actions/toolkit/issues/1441
	tokenTries = 4
	// tokenTimeout bounds one try. Looking up names does not count.
	tokenTimeout = 5 * time.Second
	// tokenPause is the first pause between two tries. The next ones double it. Each is multiplied by a random factor
	// in [0.5, 1.5).
	tokenPause = 500 * time.Millisecond
)

// IDToken returns a new ID token of the job for that audience. It tries again after a status of 408, 425, 429 or 5xx,
// after a transport error, and after an answer without a token. Its error never holds the answer's body.
//
// The job needs the permission id-token: write. Without it, the error shows the YAML to add.
func (r *Runner) IDToken(ctx context.Context, audience string) (sensitive.Value, error) {
	var err error
	for try := range tokenTries {
		if try > 0 {
			pause := tokenPause << (try - 1)
			if !network.Sleep(ctx.Done(), pause/2+rand.N(pause)) {
				break
			}
		}
		var token string
		token, err = r.requestIDToken(ctx, audience)
		if err == nil {
			return sensitive.New([]byte(token)), nil
		}
		if !isTransient(err) || ctx.Err() != nil {
			break
		}
	}
	if cause := context.Cause(ctx); cause != nil && !isLost(cause) {
		return sensitive.Value{}, fmt.Errorf("requesting the ID token: %w", cause)
	}
	return sensitive.Value{}, explain(err)
}

// CheckIDToken returns why the job may not request an ID token, as IDToken would; nil if it may. It contacts nothing.
func (r *Runner) CheckIDToken() error {
	for _, name := range [...]string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
		if r.getenv(name) == "" {
			return explain(&githubactions.EnvMissingError{Name: name})
		}
	}
	return nil
}

// errEmptyToken is an answer of 200 that holds no token.
var errEmptyToken = errors.New("the answer holds no token")

func (r *Runner) requestIDToken(ctx context.Context, audience string) (string, error) {
	ctx, cancel := network.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	token, err := r.action.GetIDToken(ctx, audience)
	if err == nil && token == "" {
		err = errEmptyToken
	}
	return token, err
}

// isTransient reports whether the next try may succeed.
func isTransient(err error) bool {
	if refused, ok := errors.AsType[*githubactions.RequestFailedError](err); ok {
		return network.IsTransientStatus(refused.StatusCode)
	}
	_, missing := errors.AsType[*githubactions.EnvMissingError](err)
	return !missing && network.IsTransient(err) && !network.IsWaitedOut(err)
}

// isLost reports whether a request got no answer.
func isLost(err error) bool {
	_, lost := errors.AsType[*url.Error](err)
	_, lookup := errors.AsType[*net.DNSError](err)
	return lost || lookup || errors.Is(err, context.DeadlineExceeded)
}

// explain turns an error of the library into a refusal. The error holds the answer's body or the request's URL; the
// refusal may be printed.
func explain(err error) error {
	r := refusal.Refusal{Act: "requesting the ID token", Kind: refusal.Identity}
	missing, isMissing := errors.AsType[*githubactions.EnvMissingError](err)
	refused, isRefused := errors.AsType[*githubactions.RequestFailedError](err)
	const again = "run the job again; if it fails again, see https://www.githubstatus.com"
	switch {
	case isMissing:
		r.Cause = missing.Name + " is not set: the job may not request an ID token"
		r.Remedy = "add to the job:\npermissions:\n  id-token: write\n  contents: read\n" +
			"(the caller of a reusable workflow must grant it too; runs for forks and Dependabot never have it: " +
			"give them mode: check)"
	case isRefused:
		r.Cause, r.Remedy = fmt.Sprintf("GitHub answered with status %d", refused.StatusCode), again
		if !json.Valid([]byte(refused.Body)) {
			r.Cause += ", not in its own form, so it may be a proxy's answer"
			r.Remedy = "run the job again; if it fails again, check the runner's proxy, and see " +
				"https://www.githubstatus.com"
		}
	case isLost(err):
		r.Cause = "GitHub's token service cannot be reached: " + network.Describe(err)
		r.Remedy = cmp.Or(network.Remedy(err), "check the runner's network and proxy")
	case errors.Is(err, errEmptyToken):
		r.Cause, r.Remedy = "GitHub answered without a token", again
	default:
		r.Cause, r.Remedy = "GitHub's answer is not what its documentation says", again
	}
	return r
}
