package keyvault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// sendsMax bounds how often one operation sends its value. Each further send follows a look that did not find the
// operation's tag.
const sendsMax = 4

// The looks for the operation's tag after a send whose end is not known: Key Vault documents no read-after-write
// guarantee, and a commit may come after the answer 503.
var lookPauses = [...]time.Duration{500 * time.Millisecond, 2 * time.Second}

// Set stores a new version of the secret, once: a send whose end is not known (connection lost, time-out, 408, 5xx) is
// looked for by the operation's tag before the same value is sent again. A 429 was certainly not applied, and is waited
// out. Should the service commit a send after it was looked for, the further version holds the same value; it is
// returned among the duplicates, and disabled where the identity may.
//
// When ctx ends, a set that was not sent is not sent any more, and one that was is answered or looked for within 5.5
// seconds.
//
// It needs the data actions Microsoft.KeyVault/vaults/secrets/setSecret/action and .../readMetadata/action. Its error is
// an [*Error]; one of kind Ambiguous means that the version may have been stored.
func (c *Client) Set(ctx context.Context, name string, v NewVersion) (Stored, error) {
	if ctx.Err() != nil {
		return Stored{}, c.cancelled(actSet, name)
	}
	if v.Tags[lifecycle.TagOperation] == "" {
		e := c.newError(actSet, name)
		e.Cause = "the version has no tag " + lifecycle.TagOperation // a mistake of the caller
		return Stored{}, e
	}
	looking, cancel := outlive(ctx, lookGrace)
	defer cancel()
	s := set{Client: c, name: name, version: v}
	return s.run(ctx, looking)
}

// A set is one operation of Set.
type set struct {
	*Client
	name    string
	version NewVersion
	doubt   bool // a send may have been committed, or may be yet
	retry   retry
}

// operation identifies this set's version among all others.
func (s *set) operation() string { return s.version.Tags[lifecycle.TagOperation] }

// run sends until the value is stored or cannot be. The context looking, which outlives ctx, is for the looks alone.
func (s *set) run(ctx, looking context.Context) (Stored, error) {
	for sends := 1; ; {
		id, err := s.send(ctx)
		switch {
		case err == nil:
			return s.stored(ctx, looking, id)
		case s.retry.again(ctx, s.Client, err):
			continue
		case unknown(err) && !unsent(err):
			s.doubt = true
		}
		found, lookErr := s.look(looking)
		if len(found) > 0 {
			return s.settle(ctx, found)
		}
		sends++
		if lookErr != nil || ctx.Err() != nil || sends > sendsMax || !unknown(err) || !s.pause(ctx, err, sends) {
			return Stored{}, s.failed(ctx, err, lookErr)
		}
	}
}

// pause waits before a value is sent again that was never out. A value that was is sent again right after the looks.
func (s *set) pause(ctx context.Context, err error, sends int) bool {
	return !unsent(err) || network.Sleep(ctx.Done(), backoff(sends-1))
}

// send sends the value, and returns the version that Key Vault says it made. Once ctx is done nothing is sent; what is
// out by then is answered within sendGrace.
func (s *set) send(ctx context.Context) (id string, err error) {
	answered, cancel := outlive(ctx, sendGrace)
	defer cancel()
	answered = withSendStop(answered, ctx.Done())
	err = guard(func() error {
		response, err := s.secrets.SetSecret(answered, s.name, s.parameters(), nil)
		if err != nil {
			return err
		}
		if response.ID == nil || !isVersionID(response.ID.Version()) {
			return errMalformed
		}
		id = response.ID.Version()
		return nil
	})
	return id, err
}

func (s *set) parameters() azsecrets.SetSecretParameters {
	v := s.version
	parameters := azsecrets.SetSecretParameters{
		Value:            to.Ptr(v.Value.Reveal()), // the body of the PUT to the vault
		Tags:             make(map[string]*string, len(v.Tags)),
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(true)},
	}
	for name, value := range v.Tags {
		parameters.Tags[name] = to.Ptr(value)
	}
	if v.ContentType != "" {
		parameters.ContentType = &v.ContentType
	}
	if !v.Expires.IsZero() { // a zero time would be sent as the year 1
		parameters.SecretAttributes.Expires = &v.Expires
	}
	if !v.NotBefore.IsZero() {
		parameters.SecretAttributes.NotBefore = &v.NotBefore
	}
	return parameters
}

// look returns the versions that carry the operation's tag, newest first, after a send whose end is not known. It looks
// more than once if it finds none.
func (s *set) look(ctx context.Context) (found []lifecycle.Version, err error) {
	if !s.doubt {
		return nil, nil
	}
	for i, pause := range lookPauses {
		if !network.Sleep(ctx.Done(), pause) {
			if i > 0 {
				return nil, nil // looked, though not as long as one would
			}
			return nil, context.Cause(ctx)
		}
		if found, err = s.find(ctx); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// find lists the versions that carry the operation's tag, newest first.
func (s *set) find(ctx context.Context) ([]lifecycle.Version, error) {
	versions, err := s.Versions(ctx, s.name)
	if err != nil {
		return nil, err
	}
	versions = slices.DeleteFunc(versions, func(v lifecycle.Version) bool { return v.Tags[lifecycle.TagOperation] != s.operation() })
	slices.SortStableFunc(versions, func(a, b lifecycle.Version) int { return b.Created.Compare(a.Created) })
	return versions, nil
}

// stored ends a set that Key Vault confirmed. After a doubt the earlier send may have made a version too, before or
// after this one. Where they share a second the confirmed one counts as the newer.
func (s *set) stored(ctx, looking context.Context, id string) (Stored, error) {
	if !s.doubt {
		return Stored{Version: id}, nil
	}
	found, _ := s.find(looking) // it is confirmed: that the list cannot be had takes nothing from it
	confirmed := slices.IndexFunc(found, func(v lifecycle.Version) bool { return v.ID == id })
	if confirmed < 0 { // not listed yet, so that it cannot be told which is newer
		stored := Stored{Version: id}
		for _, duplicate := range found {
			stored.Duplicates = append(stored.Duplicates, duplicate.ID)
		}
		return stored, nil
	}
	if found[confirmed].Created.Equal(found[0].Created) {
		found[0], found[confirmed] = found[confirmed], found[0]
	}
	return s.settle(ctx, found)
}

// settle reports the newest of the operation's versions, and disables those that are certainly older, where it may: of
// two that share a second either may be the one that the name alone stands for, and that one must stay. All hold the same
// value, so a refusal to disable them does no harm and is left to the report.
func (s *set) settle(ctx context.Context, found []lifecycle.Version) (Stored, error) {
	stored := Stored{Version: found[0].ID}
	for _, duplicate := range found[1:] {
		stored.Duplicates = append(stored.Duplicates, duplicate.ID)
		if duplicate.Created.Equal(found[0].Created) {
			continue
		}
		if err := s.Disable(ctx, s.name, duplicate.ID); err != nil {
			s.config.Note(fmt.Sprintf("vault %s: secret %s has a duplicate version %s with the same value, which could not be disabled",
				s.config.Name, s.name, duplicate.ID))
		}
	}
	return stored, nil
}

// failed says why the set ended without a version.
func (s *set) failed(ctx context.Context, err, lookErr error) error {
	e := s.explain(actSet, s.name, err)
	switch {
	case s.doubt: // whatever ended the last send: an earlier one may yet be committed
		return s.ambiguous(e, lookErr)
	case ctx.Err() != nil && passes(err):
		return s.cancelled(actSet, s.name)
	}
	return e
}

// passes reports whether more patience might have stored it, so that it failed because the run was stopped.
func passes(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return unsent(err) || errors.Is(err, errStopped) || ok && answer.StatusCode == http.StatusTooManyRequests
}

func (s *set) ambiguous(e *Error, lookErr error) error {
	e.Kind = refusal.Ambiguous
	e.Cause += "; the version may have been stored, but none tagged " + lifecycle.TagOperation + "=" + s.operation() + " is listed"
	if lookErr != nil {
		e.Cause += ", because the list could not be read"
		e.Err = errors.Join(e.Err, lookErr)
	}
	e.Remedy = "run the job again; if a second version would do harm, check the secret's versions first"
	return e
}
