package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/sethvargo/go-githubactions"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

const (
	// tokenTries is how often the ID token is asked for at most: GitHub's endpoint has been seen to fail for minutes,
	// and to answer the next request. https://github.com/actions/toolkit/issues/1441
	tokenTries = 4
	// tokenPatience bounds one try.
	tokenPatience = 5 * time.Second
	// tokenPause is the first pause between two tries; it doubles. Each is multiplied by a random factor in [0.5, 1.5).
	tokenPause = 500 * time.Millisecond
)

// IDToken returns a new ID token of the job for that audience. It asks again after a status of 408, 425, 429 or 5xx, a
// transport error, and an answer without a token. Its error never holds the answer's body.
//
// The job needs the permission id-token: write; without it the error shows the YAML.
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
		if !transient(err) || ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return sensitive.Value{}, fmt.Errorf("requesting the ID token: %w", context.Cause(ctx))
	}
	return sensitive.Value{}, explain(err)
}

// errEmptyToken is an answer of 200 that holds no token.
var errEmptyToken = errors.New("the answer holds no token")

func (r *Runner) requestIDToken(ctx context.Context, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tokenPatience)
	defer cancel()
	token, err := r.action.GetIDToken(ctx, audience)
	if err == nil && token == "" {
		err = errEmptyToken
	}
	return token, err
}

// transient reports whether the failure may be gone at the next try.
func transient(err error) bool {
	if refused, ok := errors.AsType[*githubactions.RequestFailedError](err); ok {
		switch code := refused.StatusCode; code {
		case 408, 425, 429:
			return true
		default:
			return code >= 500
		}
	}
	_, missing := errors.AsType[*githubactions.EnvMissingError](err)
	return !missing
}

// explain turns an error of the library, which holds the answer's body or the request's URL, into a refusal, which may be
// printed.
func explain(err error) error {
	r := refusal.Refusal{Act: "requesting the ID token", Kind: refusal.Identity}
	missing, isMissing := errors.AsType[*githubactions.EnvMissingError](err)
	refused, isRefused := errors.AsType[*githubactions.RequestFailedError](err)
	_, isLost := errors.AsType[*url.Error](err)
	const again = "run the job again, and see https://www.githubstatus.com if it stays"
	switch {
	case isMissing:
		r.Cause = missing.Name + " is not set: the job may not request an ID token"
		r.Remedy = "add to the job:\npermissions:\n  id-token: write\n  contents: read\n" +
			"(the caller of a reusable workflow grants it too; runs for forks and Dependabot never have it)"
	case isRefused:
		r.Cause, r.Remedy = fmt.Sprintf("GitHub answered with status %d", refused.StatusCode), again
	case isLost:
		r.Cause = "GitHub's token service cannot be reached: " + network.Describe(err)
		r.Remedy = "check the runner's network and proxy"
	case errors.Is(err, errEmptyToken):
		r.Cause, r.Remedy = "GitHub answered without a token", again
	default:
		r.Cause, r.Remedy = "GitHub's answer is not what its documentation says", "run the job again"
	}
	return r
}
