// Package identity proves to Entra who the job is: GitHub's ID token in, an access token out, no stored credential.
//
// A [Credential] asks GitHub for a new ID token at each token request, since the token is good for five minutes only
// and a run may last for hours. It asks again where Entra is known to refuse what is right, and explains a refusal that
// stays in one sentence with what to do, naming the issuer, subject and audience that were presented.
//
// The package refuses to take anything from the environment: not the authority, not a stored credential, not another
// identity. It never prints a token.
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

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/sensitive"
)

// Config says who the job is to be, and where. Every field is required.
type Config struct {
	Cloud    azure.Cloud
	TenantID string // a GUID: see azure.CheckID
	ClientID string // likewise: of an app registration or a user-assigned managed identity
	Audience string // of GitHub's token: usually Cloud.Audience
	IDToken  func(ctx context.Context, audience string) (sensitive.Value, error)
	HTTP     *http.Client
}

// A Credential is an [azcore.TokenCredential] that is safe for concurrent use. Callers that ask at once share one
// request to Entra.
type Credential struct {
	config    Config
	turn      chan struct{} // holds one; taken while a token is asked for, so that N first requests make one
	inner     *azidentity.ClientAssertionCredential
	renewed   time.Time // by Renew; zero: never
	refusal   *Error    // what lasted at the latest try
	refusedAt time.Time // when that was
	last      attempt
}

// An attempt is what became of the latest token request.
type attempt struct {
	claims    claims // what was presented
	assertion error  // why there was nothing to present
	status    int    // of the last answer of the authority; 0: none
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

// Renew forgets every token obtained so far. A token that MSAL thinks good but the vault refuses is otherwise handed
// out again until it expires: only a new credential object gets a new one.
// Requests in flight are refused together, so a renewal within the last few seconds counts as this one.
func (c *Credential) Renew() error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if time.Since(c.renewed) < renewalsApart {
		return nil
	}
	c.renewed = time.Now()
	return c.renew()
}

// renewalsApart is how long a renewal counts: longer than one request may take.
const renewalsApart = 10 * time.Second

func (c *Credential) renew() error {
	inner, err := azidentity.NewClientAssertionCredential(c.config.TenantID, c.config.ClientID, c.assertion,
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: azcore.ClientOptions{
			// Explicit, since AZURE_AUTHORITY_HOST of the job would otherwise choose who gets the assertion.
			Cloud:     azcloud.Configuration{ActiveDirectoryAuthorityHost: c.config.Cloud.Authority},
			Transport: authority{c},
			Telemetry: policy.TelemetryOptions{ApplicationID: "keyvault-passwords"},
			// A longer Retry-After is no longer waited for: the SDK gives up then, and the job is run again.
			Retry: policy.RetryOptions{MaxRetryDelay: 5 * time.Second},
		}})
	if err != nil {
		return fmt.Errorf("preparing the identity: %w; check tenant-id and client-id", err)
	}
	c.inner, c.refusal = inner, nil
	return nil
}

// authority sends azidentity's requests, and notes how the last one ended: azidentity's error does not tell a lost
// connection from an empty answer. It runs within GetToken, in its turn.
type authority struct{ *Credential }

// Do implements [policy.Transporter].
func (a authority) Do(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(request.Context(), patience)
	defer cancel()
	response, err := a.config.HTTP.Do(request.WithContext(ctx))
	if err == nil {
		err = a.readAll(response)
	}
	a.last.status, a.last.transport = 0, err
	if err != nil {
		return nil, err
	}
	a.last.status = response.StatusCode
	return response, nil
}

const (
	// patience bounds one request, from its start to the last byte of its answer, and overall all of a token's: a refusal
	// is to be explained within 30 s.
	patience = 8 * time.Second
	overall  = 24 * time.Second
	// answerMax bounds an answer. A token has a few kilobytes, and a discovery document too.
	answerMax = 1 << 20
)

// readAll reads the whole answer, so that the bound on time holds for the body too.
func (authority) readAll(response *http.Response) error {
	defer func() { _ = response.Body.Close() }() // read to its end, or given up: closing can lose nothing
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMax+1))
	if err == nil && len(body) > answerMax {
		err = errors.New("the answer is too large to be Entra's")
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return err
}

// assertion is azidentity's callback: a new ID token at each call. It runs within GetToken, in its turn.
func (c *Credential) assertion(ctx context.Context) (string, error) {
	token, err := c.config.IDToken(ctx, c.config.Audience)
	if err != nil {
		c.last.assertion = err
		return "", err
	}
	c.last.claims = readClaims(token)
	return token.Reveal(), nil // goes to Entra's token endpoint as client_assertion
}

// tokenPauses are the waits before Entra is asked again, each time with a new ID token. Of right requests on stable
// credentials 2.2 % have been seen refused (https://github.com/kedacore/keda/issues/8152).
var tokenPauses = [...]time.Duration{time.Second, 2 * time.Second, 4 * time.Second}

// GetToken returns an access token for the vault that challenged. Its error is an [*Error]. A refusal that stayed is the
// answer to all who ask within half a minute, or until Renew: several vaults would otherwise wait for the same, one after
// the other.
func (c *Credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return azcore.AccessToken{}, stopped(ctx)
	}
	if options.TenantID != "" && !sameID(options.TenantID, c.config.TenantID) {
		return azcore.AccessToken{}, c.wrongTenant(options.TenantID)
	}
	if c.refusal != nil && time.Since(c.refusedAt) < refusalCounts {
		return azcore.AccessToken{}, c.refusal
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, overall)
	defer cancel()
	for try := 0; ; try++ {
		c.last = attempt{}
		token, err := c.ask(ctx, options)
		if err == nil {
			return token, nil
		}
		failure := c.refused(outer, err)
		if !failure.Transient || try == len(tokenPauses) || !sleep(ctx, tokenPauses[try]) {
			if outer.Err() == nil {
				c.refusal, c.refusedAt = failure, time.Now()
			}
			return azcore.AccessToken{}, failure
		}
	}
}

// refusalCounts is how long a refusal is told to others without another request: those who waited for the same get it at
// once, and a long run outlives an hour in which Entra is out of order.
const refusalCounts = 30 * time.Second

// ask makes one token request. A panic in a dependency becomes an error.
func (c *Credential) ask(ctx context.Context, options policy.TokenRequestOptions) (token azcore.AccessToken, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errPanic
		}
	}()
	return c.inner.GetToken(ctx, options)
}

var errPanic = errors.New("Entra's answer could not be understood")

// payload returns the body of Entra's answer, if there was one. It is read for its codes, never printed.
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

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
