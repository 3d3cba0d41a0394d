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
	"keyvault-passwords/internal/sdk"
)

// sendsMax is how often one operation sends its value at most. Before each further send, the versions were searched
// for the operation's tag.
const sendsMax = 4

// searchPauses are the waits before the versions are searched for the operation's tag. There are two searches: Key
// Vault documents no read-after-write guarantee, and may commit a send after it answered 503.
var searchPauses = [...]time.Duration{500 * time.Millisecond, 2 * time.Second}

// checkTimeout bounds the search after a clear refusal, which has most likely nothing to find. A throttled vault may
// throttle the search too.
const checkTimeout = 5 * time.Second

// Set stores a new version of the secret, once. A clear answer is 200 with the ID of a version of this secret, or a
// refusal in Key Vault's own form. If a send ends without one (connection lost, timeout, 408, 5xx, any status of
// something on the way), Set searches the versions for the operation's tag before it sends the same value again, or
// gives up. After a refusal of the vault it looks once, since something on the way may imitate one; after a 429 it
// waits first, and then sends again. If the service commits a send after the search, there is a second version with the
// same value: Set returns it among the duplicates, and disables it if the identity may.
//
// When ctx ends, nothing more is sent. A send in flight is answered or searched for within 5.5 seconds.
//
// It needs the data actions Microsoft.KeyVault/vaults/secrets/setSecret/action and .../readMetadata/action. Its error
// is an [*Error]; kind Ambiguous means that the version may have been stored.
func (c *Client) Set(ctx context.Context, name string, v NewVersion) (Stored, error) {
	if ctx.Err() != nil {
		return Stored{}, c.cancelled(actSet, name)
	}
	if v.Tags[lifecycle.TagOperation] == "" {
		e := c.newError(actSet, name)
		e.Cause = "the version has no tag " + lifecycle.TagOperation // a mistake of the caller
		return Stored{}, e
	}
	searching, cancel := network.Outlive(ctx, searchGrace)
	defer cancel()
	o := setOperation{Client: c, name: name, version: v, retries: retries{act: actSet}}
	return o.run(ctx, searching)
}

// A setOperation is one call of Set.
type setOperation struct {
	*Client
	name    string
	version NewVersion
	inDoubt bool // an earlier send may have been applied, or may be yet
	retries retries
}

// id identifies the operation, and so its version among all others.
func (o *setOperation) id() string { return o.version.Tags[lifecycle.TagOperation] }

// run sends the value until it is stored or cannot be. The context searching outlives ctx; it is for searches only.
func (o *setOperation) run(ctx, searching context.Context) (Stored, error) {
	for sends := 1; ; {
		id, err := o.send(ctx)
		if err == nil {
			o.config.Access.Passed(o.door(actSet))
			return o.confirmed(ctx, searching, id)
		}
		again := o.retries.again(ctx, o.Client, err)
		o.inDoubt = o.inDoubt || mayBeApplied(err)
		found, searchErr := o.search(ctx, searching, err)
		if len(found) > 0 {
			return o.found(ctx, found)
		}
		if again && searchErr == nil {
			continue
		}
		sends++
		if searchErr != nil || ctx.Err() != nil || sends > sendsMax || !worthATry(err, sends-1) ||
			!o.pause(ctx, err, sends) {
			return Stored{}, o.failed(ctx, err, searchErr)
		}
	}
}

// pause waits before the next send, unless the searches after the last one have taken enough time.
func (o *setOperation) pause(ctx context.Context, err error, sends int) bool {
	return !neverSent(err) || network.Sleep(ctx.Done(), network.Backoff(sends-1))
}

// send sends the value and returns the ID of the version that Key Vault made. After ctx has ended it sends nothing; an
// answer to what was sent by then may still take sendGrace.
func (o *setOperation) send(ctx context.Context) (id string, err error) {
	answering, cancel := network.Outlive(ctx, sendGrace)
	defer cancel()
	answering = sdk.WithSendStop(answering, ctx.Done())
	err = sdk.CatchPanic(func() error {
		response, err := o.secrets.SetSecret(answering, o.name, o.parameters(), nil)
		if err != nil {
			return err
		}
		var ok bool
		if id, ok = o.transport.versionOf(response.ID, o.name); !ok ||
			deref(response.Tags[lifecycle.TagOperation]) != o.id() {
			return errMalformed // an answer to something else, which a cache may have kept
		}
		return nil
	})
	return id, err
}

func (o *setOperation) parameters() azsecrets.SetSecretParameters {
	v := o.version
	parameters := azsecrets.SetSecretParameters{
		Value:            to.Ptr(v.Value.Reveal()), // the body of the PUT to the vault
		Tags:             writeTags(v.Tags),
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(true)},
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

// search returns the versions with the operation's tag, newest first, if the operation is in doubt after a send that
// ended with failure. If the first search finds none it searches again.
func (o *setOperation) search(ctx, searching context.Context, failure error) (found []lifecycle.Version, err error) {
	if !o.inDoubt {
		return o.checkRefusal(ctx, searching, failure), nil
	}
	for i, pause := range searchPauses {
		if !network.Sleep(searching.Done(), pause) {
			if i > 0 {
				return nil, nil // one search must do
			}
			return nil, context.Cause(searching)
		}
		if found, err = o.searchOnce(searching); err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// checkRefusal returns the versions with the operation's tag after a refusal in Key Vault's own form. There are none,
// unless something on the way has imitated that form. It asks once, unless the vault is closed to this identity. A
// throttled vault is not asked once the run is stopped: it would be waited for.
func (o *setOperation) checkRefusal(ctx, searching context.Context, failure error) []lifecycle.Version {
	answer, ok := errors.AsType[*azcore.ResponseError](failure)
	if !ok || isClosed(answer) {
		return nil
	}
	if answer.StatusCode == http.StatusTooManyRequests {
		searching = ctx
	}
	searching, cancel := network.WithTimeout(searching, checkTimeout)
	defer cancel()
	found, _ := o.searchOnce(searching) // the refusal stands, whether or not the list can be read
	return found
}

func (o *setOperation) searchOnce(ctx context.Context) ([]lifecycle.Version, error) {
	versions, err := o.Versions(ctx, o.name)
	if err != nil {
		return nil, err
	}
	versions = slices.DeleteFunc(versions, func(v lifecycle.Version) bool {
		return v.Tags[lifecycle.TagOperation] != o.id()
	})
	slices.SortStableFunc(versions, func(a, b lifecycle.Version) int { return b.Created.Compare(a.Created) })
	return versions, nil
}

// confirmed ends an operation whose version id Key Vault confirmed. An earlier send in doubt may have made a version
// too, before or after this one. If both were made in the same second, the confirmed one counts as the newer.
func (o *setOperation) confirmed(ctx, searching context.Context, id string) (Stored, error) {
	if !o.inDoubt {
		return Stored{Version: id}, nil
	}
	found, _ := o.searchOnce(searching) // the version is confirmed, whether or not the list can be read
	confirmed := slices.IndexFunc(found, func(v lifecycle.Version) bool { return v.ID == id })
	if confirmed < 0 { // not listed yet: which one is newer is unknown
		stored := Stored{Version: id}
		for _, duplicate := range found {
			stored.Duplicates = append(stored.Duplicates, duplicate.ID)
		}
		return stored, nil
	}
	if found[confirmed].Created.Equal(found[0].Created) {
		found[0], found[confirmed] = found[confirmed], found[0]
	}
	return o.found(ctx, found)
}

// found ends an operation whose versions are known, newest first. It returns the newest, and disables those that are
// certainly older. Of two versions of one second either may be the current one, so both stay enabled. All hold the
// same value: if a duplicate cannot be disabled, no harm is done and the log says so.
func (o *setOperation) found(ctx context.Context, versions []lifecycle.Version) (Stored, error) {
	stored := Stored{Version: versions[0].ID}
	for _, duplicate := range versions[1:] {
		stored.Duplicates = append(stored.Duplicates, duplicate.ID)
		if duplicate.Created.Equal(versions[0].Created) {
			continue
		}
		// An identity may lack the permission for good, and nothing depends on it.
		if err := o.disable(ctx, o.name, duplicate.ID, retries{act: actDisable, impatient: true}); err != nil {
			o.config.Note(fmt.Sprintf("vault %s: secret %s has a duplicate version %s with the same value; "+
				"it could not be disabled", o.config.Name, o.name, duplicate.ID))
		}
	}
	return stored, nil
}

// failed says why the operation ended without a version.
func (o *setOperation) failed(ctx context.Context, err, searchErr error) error {
	e := o.explain(actSet, o.name, err)
	switch {
	case o.inDoubt: // whatever ended the last send: an earlier one may yet be applied
		return o.ambiguous(e, searchErr)
	case ctx.Err() != nil && waitedInVain(err):
		return o.cancelled(actSet, o.name)
	}
	return e
}

// waitedInVain reports whether err ended a send that was waiting, for its turn, a connection or the end of a 429. If
// the run was stopped then, that is why the operation failed.
func waitedInVain(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return neverSent(err) || isFresh(err) || errors.Is(err, sdk.ErrStopped) || ok &&
		answer.StatusCode == http.StatusTooManyRequests
}

func (o *setOperation) ambiguous(e *Error, searchErr error) error {
	e.Kind = refusal.Ambiguous
	e.Cause += "; the version may have been stored, but none with the tag of its operation is listed"
	if searchErr != nil {
		e.Cause += ", because the list could not be read"
		e.Err = errors.Join(e.Err, searchErr)
	}
	e.Remedy = "run the job again; if a second version would do harm, check the secret's versions first"
	// Not in the cause, which many secrets may have in common.
	if operation := lifecycle.TagOperation + "=" + o.id(); e.Trace == "" {
		e.Trace = operation
	} else {
		e.Trace = operation + ", " + e.Trace
	}
	return e
}
