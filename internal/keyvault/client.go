// Package keyvault is one Azure Key Vault, for an identity that may write secrets but not read them.
//
// A [Client] sets a secret once: one operation makes one version, even if an answer is lost or a server error follows
// the commit. It lists versions and their metadata, disables superseded versions, and recovers soft-deleted secrets.
// It stays within the service's limits. Each refusal says in one sentence what was seen and in another what to do.
//
// The package has no method that reads a value, and makes no request that needs getSecret. Its errors hold neither a
// value nor the body of an answer.
package keyvault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
)

// Config says which vault, and as whom. Name, Domain, Credential and HTTP are required.
type Config struct {
	Name       string // of the vault: kv-app-prod
	Domain     string // of the cloud's vaults: vault.azure.net
	Credential sdk.Credential
	HTTP       *http.Client
	Note       func(text string) // is called with what the log should say, such as why the client waits
	ClientID   string            // of the identity, for the commands of remedies
	Recovers   bool              // Recover may be called: remedies add what it needs
	Access     *access.Wait      // for what was set up minutes ago; nil: for nothing
}

// A Client is one vault. It is safe for concurrent use. Its first request costs an extra round trip, and so does every
// request that starts before the first one has ended. So make one request before the others start.
type Client struct {
	config    Config
	transport *transport
	secrets   *azsecrets.Client

	listing chan struct{} // a lock that a context can give up waiting for; it guards deleted
	deleted map[string]Deleted
}

// New returns a client. It contacts nothing.
func New(c Config) (*Client, error) {
	if c.Note == nil {
		c.Note = func(string) {}
	}
	host := c.Name + "." + c.Domain
	client := &Client{
		config:    c,
		transport: &transport{host: host, client: c.HTTP, sets: newWindow(setsMax), requests: newWindow(requestsMax)},
		listing:   make(chan struct{}, 1),
	}
	secrets, err := azsecrets.NewClient("https://"+host+"/", sdk.Marked(c.Credential), &azsecrets.ClientOptions{
		ClientOptions: azcore.ClientOptions{
			Transport:       client.transport,
			PerCallPolicies: []policy.Policy{pageRetry{client}},
			Telemetry:       policy.TelemetryOptions{ApplicationID: "keyvault-passwords"},
			// The SDK's own retry would send a PUT again after a lost answer, and so store two versions.
			Retry: policy.RetryOptions{MaxRetries: -1},
		}})
	if err != nil {
		return nil, fmt.Errorf("preparing the client of vault %s: %w", c.Name, err)
	}
	client.secrets = secrets
	return client, nil
}

// Name returns the vault's name.
func (c *Client) Name() string { return c.config.Name }

// Now returns the time by the vault's clock, as its latest answer had it. Before the first answer, and if the clocks
// agree to within 2 seconds, it is the machine's.
func (c *Client) Now() time.Time { return c.transport.now() }

const (
	// versionPagesMax bounds the list of a secret's versions, in pages of 25: 10,000, which is a rotation an hour for a
	// year. Above 500 versions a secret cannot be backed up, and 20,000 take minutes to list in each run
	// (https://github.com/Azure/azure-sdk-for-python/issues/35923).
	versionPagesMax = 400
	// secretPagesMax bounds the lists of a vault's secrets and soft-deleted ones, in pages of 25: 25,000.
	secretPagesMax = 1000
)

// Versions returns every version of the secret, in the order of their IDs, which says nothing of their age. A secret
// that does not exist, or is soft-deleted, has none. With an error of kind [refusal.TooMany] it returns those that it
// has read.
//
// It needs the data action Microsoft.KeyVault/vaults/secrets/readMetadata/action. Its error is an [*Error].
func (c *Client) Versions(ctx context.Context, name string) ([]lifecycle.Version, error) {
	var versions []lifecycle.Version
	err := c.reading(ctx, actVersions, name, func() error {
		pager := c.secrets.NewListSecretPropertiesVersionsPager(name, nil)
		items := func(page azsecrets.ListSecretPropertiesVersionsResponse) []*azsecrets.SecretProperties {
			return page.Value
		}
		return each(ctx, pager, versionPagesMax, items, func(item *azsecrets.SecretProperties) (bool, error) {
			id, ok := c.transport.versionOf(item.ID, name)
			if !ok {
				return false, errMalformed // it is not of this secret: a cache may have kept it
			}
			version, err := readProperties(item)
			version.ID = id
			versions = append(versions, version)
			return true, err
		})
	})
	e, refused := errors.AsType[*Error](err)
	if refused && e.Kind == refusal.NotFound && e.Inner == "" && e.Code == "SecretNotFound" {
		return nil, nil // should the service ever say so, it clearly means that there are none
	}
	if err == nil { // a list that grows while it is read may show a version on two pages
		slices.SortStableFunc(versions, func(a, b lifecycle.Version) int { return strings.Compare(a.ID, b.ID) })
		versions = slices.CompactFunc(versions, func(a, b lifecycle.Version) bool { return a.ID == b.ID })
	}
	return versions, err
}

// Secrets returns every secret of the vault that is not soft-deleted, those that certificates manage too, in the order
// of the list. While it reads, it calls reached with how many there are so far. With an error it returns those that it
// has read.
//
// It needs the data action Microsoft.KeyVault/vaults/secrets/readMetadata/action. Its error is an [*Error].
func (c *Client) Secrets(ctx context.Context, reached func(int)) (listed []Listed, err error) {
	err = c.reading(ctx, actSecrets, "", func() error {
		pager := c.secrets.NewListSecretPropertiesPager(nil)
		items := func(page azsecrets.ListSecretPropertiesResponse) []*azsecrets.SecretProperties {
			reached(len(listed))
			return page.Value
		}
		return each(ctx, pager, secretPagesMax, items, func(item *azsecrets.SecretProperties) (bool, error) {
			version, err := readProperties(item)
			if err != nil {
				return false, err
			}
			version.ID = ""
			listed = append(listed, Listed{Name: item.ID.Name(), Version: version})
			return true, nil
		})
	})
	return listed, err
}

// Current returns the tags of the secret's current version as the vault's list of secrets shows them, and whether the
// secret is listed. It reads the list up to that secret, which may take many pages: it is meant for telling which of
// two versions of the same second is current.
//
// It needs the data action Microsoft.KeyVault/vaults/secrets/readMetadata/action. Its error is an [*Error].
func (c *Client) Current(ctx context.Context, name string) (map[string]string, bool, error) {
	var tags map[string]string
	var found bool
	err := c.reading(ctx, actCurrent, name, func() error {
		pager := c.secrets.NewListSecretPropertiesPager(nil)
		items := func(page azsecrets.ListSecretPropertiesResponse) []*azsecrets.SecretProperties { return page.Value }
		return each(ctx, pager, secretPagesMax, items, func(item *azsecrets.SecretProperties) (bool, error) {
			if item.ID == nil {
				return false, errMalformed
			}
			if strings.EqualFold(item.ID.Name(), name) {
				tags, found = readTags(item.Tags), true
			}
			return !found, nil
		})
	})
	return tags, found, err
}

// Deleted returns the vault's soft-deleted secrets, by their names in lower case. A client lists them once.
//
// It needs the data action Microsoft.KeyVault/vaults/secrets/readMetadata/action. Its error is an [*Error].
func (c *Client) Deleted(ctx context.Context) (map[string]Deleted, error) {
	select {
	case c.listing <- struct{}{}:
		defer func() { <-c.listing }()
	case <-ctx.Done():
		return nil, c.cancelled(actDeleted, "")
	}
	if c.deleted != nil {
		return c.deleted, nil
	}
	deleted, err := c.listDeleted(ctx)
	if err != nil {
		return nil, err
	}
	c.deleted = deleted
	return deleted, nil
}

func (c *Client) listDeleted(ctx context.Context) (map[string]Deleted, error) {
	deleted := map[string]Deleted{}
	err := c.reading(ctx, actDeleted, "", func() error {
		pager := c.secrets.NewListDeletedSecretPropertiesPager(nil)
		items := func(page azsecrets.ListDeletedSecretPropertiesResponse) []*azsecrets.DeletedSecretProperties {
			return page.Value
		}
		return each(ctx, pager, secretPagesMax, items, func(item *azsecrets.DeletedSecretProperties) (bool, error) {
			if item.ID == nil {
				return false, errMalformed
			}
			deleted[strings.ToLower(item.ID.Name())] = Deleted{
				Name: item.ID.Name(), Tags: readTags(item.Tags), Managed: deref(item.Managed),
				Deleted: readTime(item.DeletedDate), Purge: readTime(item.ScheduledPurgeDate),
			}
			return true, nil
		})
	})
	return deleted, err
}

// Disable disables one version of the secret. Doing so again is no error.
//
// It needs the data action Microsoft.KeyVault/vaults/secrets/update/action. Its error is an [*Error].
func (c *Client) Disable(ctx context.Context, name, version string) error {
	return c.disable(ctx, name, version, retries{act: actDisable})
}

func (c *Client) disable(ctx context.Context, name, version string, r retries) error {
	if ctx.Err() != nil {
		return c.cancelled(actDisable, name)
	}
	ctx, cancel := network.Outlive(ctx, sendGrace)
	defer cancel()
	return c.retrying(ctx, r, name, func(ctx context.Context) error {
		_, err := c.secrets.UpdateSecretProperties(ctx, name, version, azsecrets.UpdateSecretPropertiesParameters{
			SecretAttributes: &azsecrets.SecretAttributes{Enabled: to.Ptr(false)},
		}, nil)
		return err
	})
}

// Tag replaces the tags of one version of the secret. Doing so again is no error. It ends with ctx.
//
// It needs the data action Microsoft.KeyVault/vaults/secrets/update/action. Its error is an [*Error].
func (c *Client) Tag(ctx context.Context, name, version string, tags map[string]string) error {
	return c.retrying(ctx, retries{act: actTag}, name, func(ctx context.Context) error {
		_, err := c.secrets.UpdateSecretProperties(ctx, name, version, azsecrets.UpdateSecretPropertiesParameters{
			Tags: writeTags(tags),
		}, nil)
		return err
	})
}

// recoverTimeout bounds the wait for a recovery, which has been seen to take up to a minute; doubtTimeout the wait for
// one that the vault may not have been asked for.
const (
	recoverTimeout = 90 * time.Second
	doubtTimeout   = 15 * time.Second
)

// Recover recovers the soft-deleted secret with all its versions, and waits until they are listed again.
//
// It needs the data actions Microsoft.KeyVault/vaults/secrets/recover/action and .../readMetadata/action. Its error is
// an [*Error].
func (c *Client) Recover(ctx context.Context, name string) error {
	err := c.retrying(ctx, retries{act: actRecover}, name, func(ctx context.Context) error {
		_, err := c.secrets.RecoverDeletedSecret(ctx, name, nil)
		return err
	})
	end, doubt := time.Now().Add(recoverTimeout), error(nil)
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.Kind == refusal.NotFound: // recovered by an earlier request whose answer was lost, or purged: see below
			err = nil
		case e.Status != 0 && e.Code == "": // the answer is not the vault's: it may have recovered the secret
			end, doubt, err = time.Now().Add(doubtTimeout), err, nil
		}
	}
	if err != nil {
		return err
	}
	for pause := time.Second; ; pause = min(2*pause, 10*time.Second) {
		versions, err := c.Versions(ctx, name)
		if err != nil || len(versions) > 0 {
			return err
		}
		if time.Now().Add(pause).After(end) {
			if doubt != nil {
				return doubt
			}
			e := c.newError(actRecover, name)
			e.Cause = fmt.Sprintf("it was not listed again after %s", recoverTimeout)
			e.Remedy = "run the job again in a few minutes"
			return e
		}
		if !network.Sleep(ctx.Done(), pause) {
			return c.cancelled(actRecover, name)
		}
	}
}

// isVersionID reports whether id has the form of Key Vault's version IDs: 32 hexadecimal digits in lower case.
func isVersionID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// errMalformed is an answer that cannot be Key Vault's, whatever its status; errTooMany is a list that may never end.
var (
	errMalformed = errors.New("the answer is not what Key Vault documents")
	errTooMany   = errors.New("the list is longer than this action reads")
)

// each calls f with each item of a list, page by page, while f returns true. A page without a list is malformed: for
// "none" Key Vault sends an empty list, and nothing else may be taken for "does not exist".
func each[P, T any](
	ctx context.Context, pager *runtime.Pager[P], pagesMax int, items func(P) []*T, f func(*T) (more bool, err error),
) error {
	for pages := 0; pager.More(); pages++ {
		if pages == pagesMax {
			return fmt.Errorf("%w: %d pages", errTooMany, pagesMax)
		}
		page, err := pager.NextPage(ctx)
		if err != nil {
			return err
		}
		list := items(page)
		if list == nil {
			return errMalformed
		}
		for _, item := range list {
			if item == nil {
				return errMalformed
			}
			if more, err := f(item); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// readProperties reads an item of a list of versions or of secrets. The latter has no version ID.
func readProperties(item *azsecrets.SecretProperties) (lifecycle.Version, error) {
	if item.ID == nil || item.Attributes == nil || item.Attributes.Created == nil {
		return lifecycle.Version{}, errMalformed
	}
	attributes := item.Attributes
	return lifecycle.Version{
		ID:          item.ID.Version(),
		Created:     *attributes.Created,
		Expires:     readTime(attributes.Expires),
		NotBefore:   readTime(attributes.NotBefore),
		Enabled:     attributes.Enabled == nil || *attributes.Enabled,
		ContentType: deref(item.ContentType),
		Tags:        readTags(item.Tags),
		Managed:     deref(item.Managed),
	}, nil
}

// farthest is the last second that is read. What is later is as far as it: a time of more seconds is before all others
// when it is compared.
const farthest = 1 << 53

// readTime returns a time that is set for a version; zero if there is none. Other tools write 0 or -1 for none.
func readTime(t *time.Time) time.Time {
	switch {
	case t == nil || t.Unix() <= 0: // Unix does not overflow: a number of seconds may be any
		return time.Time{}
	case t.Unix() > farthest:
		return time.Unix(farthest, 0).UTC()
	}
	return *t
}

func readTags(tags map[string]*string) map[string]string {
	texts := make(map[string]string, len(tags))
	for name, value := range tags {
		texts[name] = deref(value)
	}
	return texts
}

func writeTags(tags map[string]string) map[string]*string {
	texts := make(map[string]*string, len(tags))
	for name, value := range tags {
		texts[name] = to.Ptr(value)
	}
	return texts
}

// deref returns what p points to, or the zero value if p is nil.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
