// Package identity proves to Entra who the job is: it exchanges the job's ID token for an access token, without a
// stored credential.
//
// A [Credential] requests a new ID token for each token request, because an ID token lasts for minutes and a run may
// last for hours. It tries again where Entra is known to refuse what is right. A refusal that stays says what was seen
// and what to do, with the issuer, subject and audience that were presented. What to do about these is the advice of
// whoever issued the ID token: see [Config].
//
// The package takes nothing from the environment: no authority, no stored credential, no other identity. It never
// prints a token.
package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/sdk"
	"keyvault-passwords/internal/sensitive"
)

// Config says who the job is to be, and where. Every field but Advice and Access is required.
type Config struct {
	Cloud    azure.Cloud
	TenantID string // a GUID: see azure.CheckID
	ClientID string // likewise, of an app registration or a user-assigned managed identity
	Audience string // of the ID token: usually Cloud.Audience
	IDToken  func(ctx context.Context, audience string) (sensitive.Value, error)
	Advice   func(presented Claims) string // how to make Entra trust these claims; may have several lines
	HTTP     *http.Client
	Access   *access.Wait // for what was set up minutes ago; nil: for nothing
}

// A Credential is an [azcore.TokenCredential] that is safe for concurrent use. Concurrent callers share one request to
// Entra.
type Credential struct {
	config    Config
	turn      chan struct{} // a lock that a context can give up waiting for; it guards what follows
	inner     *azidentity.ClientAssertionCredential
	renewed   time.Time // when Renew last did something; zero: never
	refusal   *Error    // the latest refusal that stayed after all tries
	refusedAt time.Time // when that was
	last      attempt
}

// An attempt is what became of the latest token request.
type attempt struct {
	claims    Claims // what was presented
	assertion error  // why there was nothing to present
	status    int    // of the authority's last answer; 0: none
	transport error  // why there was none
}

// New returns a credential. It contacts nothing.
func New(c Config) (*Credential, error) {
	credential := &Credential{config: c, turn: make(chan struct{}, 1)}
	if err := credential.renew(); err != nil {
		return nil, err
	}
	return credential, nil
}

// Renew forgets every token obtained so far, because the vault does not accept it. MSAL would otherwise return the
// same token until it expires; only a new credential object gets a new one. The vault refuses all requests in flight
// at once, so a second renewal within 10 seconds does nothing.
func (c *Credential) Renew() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if time.Since(c.renewed) < renewalInterval {
		return nil
	}
	c.renewed = time.Now()
	return c.renew()
}

// renewalInterval is the least time between two renewals. It is longer than one request may take.
const renewalInterval = 10 * time.Second

func (c *Credential) renew() error {
	inner, err := azidentity.NewClientAssertionCredential(c.config.TenantID, c.config.ClientID, c.assertion,
		&azidentity.ClientAssertionCredentialOptions{
			ClientOptions: azcore.ClientOptions{
				// Explicit, because the job's AZURE_AUTHORITY_HOST would otherwise choose who gets the assertion.
				Cloud:     azcloud.Configuration{ActiveDirectoryAuthorityHost: c.config.Cloud.Authority},
				Transport: authority{c},
				Telemetry: policy.TelemetryOptions{ApplicationID: "keyvault-passwords"},
				// If Entra asks for a longer wait, the SDK gives up.
				Retry: policy.RetryOptions{MaxRetryDelay: 5 * time.Second},
			},
			// One request less: it asks whether the authority is Azure's, and those of azure.Cloud are.
			DisableInstanceDiscovery: true,
		})
	if err != nil {
		return fmt.Errorf("preparing the identity: %w; check tenant-id and client-id", err)
	}
	c.inner, c.refusal = inner, nil
	return nil
}

// authority sends azidentity's requests, and notes how the last one ended, because azidentity's error does not tell a
// lost connection from an empty answer. It runs while GetToken holds the lock.
type authority struct{ *Credential }

// Do implements [policy.Transporter].
func (a authority) Do(request *http.Request) (*http.Response, error) {
	ctx, cancel := network.WithTimeout(request.Context(), requestTimeout)
	defer cancel()
	response, err := a.config.HTTP.Do(request.WithContext(ctx))
	var body []byte
	if err == nil {
		body, err = sdk.ReadAll(response.Body, answerMax) // whole, so that the timeout covers it too
	}
	a.last.status, a.last.transport = 0, err
	if err != nil {
		if !network.IsTransient(err) || network.IsWaitedOut(err) {
			err = lasting{err}
		}
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	a.last.status = response.StatusCode
	return response, nil
}

// lasting marks a failure that the SDK is not to try again.
type lasting struct{ error }

// NonRetriable is the mark: https://pkg.go.dev/github.com/Azure/azure-sdk-for-go/sdk/internal/errorinfo
func (lasting) NonRetriable() {}

// Unwrap returns the failure.
func (l lasting) Unwrap() error { return l.error }

const (
	// requestTimeout bounds one request, from its start to the last byte of its answer. tokenTimeout bounds all
	// requests for one token: a refusal is to be explained within 30 s. Looking up names does not count.
	requestTimeout = 8 * time.Second
	tokenTimeout   = 24 * time.Second
	// answerMax bounds an answer, in bytes. Tokens and discovery documents have a few thousand.
	answerMax = 1 << 20
)

// assertion is azidentity's callback. It returns a new ID token each time. It runs while GetToken holds the lock.
func (c *Credential) assertion(ctx context.Context) (string, error) {
	token, err := c.config.IDToken(ctx, c.config.Audience)
	if err != nil {
		c.last.assertion = err
		return "", err
	}
	c.last.claims = readClaims(token)
	return token.Reveal(), nil // to Entra's token endpoint, as client_assertion
}

// tokenPauses are the waits before further tries, each with a new ID token. Entra has been seen to refuse 2.2 % of
// right requests, with credentials that had not changed for long (https://github.com/kedacore/keda/issues/8152).
var tokenPauses = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// GetToken returns an access token for the vault that sent the challenge. Its error is an [*Error]. After a refusal
// that stayed, all callers get the same refusal for 30 seconds, or until Renew: several vaults would otherwise wait
// for it one after the other.
func (c *Credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if options.TenantID != "" && !sameID(options.TenantID, c.config.TenantID) {
		return azcore.AccessToken{}, c.wrongTenant(options.TenantID)
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return azcore.AccessToken{}, stopped(ctx)
	}
	if c.refusal != nil && time.Since(c.refusedAt) < refusalLifetime {
		return azcore.AccessToken{}, c.refusal
	}
	for waiting := false; ; waiting = true {
		token, failure := c.tryForToken(ctx, options, waiting)
		if failure == nil {
			c.config.Access.Passed(c.door())
			return token, nil
		}
		expected := failure.fresh || waiting && failure.Transient
		if expected && c.config.Access.Out(ctx.Done(), access.Refusal{
			Door: c.door(), Seen: failure.Cause, Every: accessPause, Pace: "Entra",
		}) {
			continue
		}
		if ctx.Err() != nil {
			return azcore.AccessToken{}, stopped(ctx)
		}
		if failure.fresh {
			c.config.Access.Conclude(&failure.Cause, &failure.Remedy)
		}
		c.refusal, c.refusedAt = failure, time.Now()
		return azcore.AccessToken{}, failure
	}
}

// accessPause is the least time between two token requests while access is waited for, whoever is to sign in.
const accessPause = 10 * time.Second

// door is what a sign-in waits before.
func (c *Credential) door() string { return "Entra, as client ID " + c.config.ClientID }

// tryForToken makes token requests until one succeeds, or fails in a way that lasts or for too long. Where access is
// waited for, it makes one: the waits between the next ones are longer.
func (c *Credential) tryForToken(
	outer context.Context, options policy.TokenRequestOptions, waiting bool,
) (azcore.AccessToken, *Error) {
	ctx, cancel := network.WithTimeout(outer, tokenTimeout)
	defer cancel()
	for try := 0; ; try++ {
		c.last = attempt{}
		token, err := c.requestToken(ctx, options)
		if err == nil {
			return token, nil
		}
		failure := c.refused(outer, err)
		waitedOut := waiting || failure.fresh && c.config.Access.Patient()
		if !failure.Transient || waitedOut || try == len(tokenPauses) || !network.Sleep(ctx.Done(), tokenPauses[try]) {
			return azcore.AccessToken{}, failure
		}
	}
}

// refusalLifetime is how long a refusal is returned without another request. It is short, so that a long run survives
// a time in which Entra is unavailable.
const refusalLifetime = 30 * time.Second

// requestToken makes one token request. A panic in a dependency becomes an error.
func (c *Credential) requestToken(
	ctx context.Context, options policy.TokenRequestOptions,
) (token azcore.AccessToken, err error) {
	err = sdk.CatchPanic(func() (err error) {
		token, err = c.inner.GetToken(ctx, options)
		return err
	})
	return token, err
}

// payload returns status and body of Entra's answer; 0 if there was none. The body is for its codes, never for
// printing.
func payload(err error) (status int, body []byte) {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		return 0, nil
	}
	body, readErr := runtime.Payload(failed.RawResponse)
	if readErr != nil {
		return failed.RawResponse.StatusCode, nil
	}
	return failed.RawResponse.StatusCode, body
}
