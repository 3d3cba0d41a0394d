package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
)

// An Error is why there is no access token. It holds no token, and nothing of Entra's answer but its codes.
type Error struct {
	refusal.Refusal
	Code      int   // the AADSTS code; 0 if Entra gave none
	Status    int   // Entra's HTTP status; 0 if it did not answer
	Transient bool  // the next try may succeed
	Err       error // the cause, if it is an error of ours; may be nil

	fresh bool // a credential or an application that was made minutes ago is refused so
}

// newError returns the refusal of a sign-in.
func newError(cause, remedy string) *Error {
	return &Error{Refusal: refusal.Refusal{
		Act: "signing in to Entra", Cause: cause, Remedy: remedy, Kind: refusal.Identity,
	}}
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// A cause is what an AADSTS code means, and what to do.
type cause struct {
	text      string
	remedy    string
	transient bool
	fresh     bool
}

// causeOf returns what a code means: see https://learn.microsoft.com/entra/identity-platform/reference-error-codes and
// https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azidentity/TROUBLESHOOTING.md. Codes of the 70021 family are
// transient: a new federated credential takes minutes to propagate, and Entra overlooks even an old one now and then.
// Those that are fresh are waited out where the run waits for access.
func (c *Credential) causeOf(code int) (found cause, known bool) {
	switch code {
	case 70021:
		return cause{
			text:      "no federated credential matches the job's ID token",
			remedy:    c.doubted(),
			transient: true,
			fresh:     true,
		}, true
	case 70025:
		return cause{
			text:      "the application has no federated credential",
			remedy:    c.doubted(),
			transient: true,
			fresh:     true,
		}, true
	case 700211:
		return cause{
			text:      "no federated credential matches the issuer of the job's ID token",
			remedy:    c.doubted(),
			transient: true,
			fresh:     true,
		}, true
	case 700212:
		return cause{
			text:      "no federated credential matches the audience of the job's ID token",
			remedy:    c.doubted(),
			transient: true,
		}, true
	case 700213, 7002137:
		return cause{
			text:      "no federated credential matches the subject of the job's ID token",
			remedy:    c.doubted(),
			transient: true,
			fresh:     true,
		}, true
	case 7002138:
		return cause{
			text:   "a federated credential matches the subject of the job's ID token except for letter case",
			remedy: c.presented(),
		}, true
	case 7002381:
		return cause{
			text: "the tenant requires the enterprise claim, which the job's ID token lacked",
			remedy: "run the job again; " +
				"if it fails again, check the enterprise's include_enterprise_slug setting",
			transient: true,
		}, true
	case 700024, 500133:
		return cause{
			text:      "the job's ID token was outside its validity period",
			remedy:    "check the runner's clock",
			transient: true,
		}, true
	case 700027, 50013, 50027, 5000811:
		return cause{
			text:   "Entra cannot verify the signature of the job's ID token",
			remedy: "check that Entra can reach the issuer's keys",
		}, true
	case 90006, 90012, 90033, 50196:
		return cause{text: "Entra is temporarily unavailable", remedy: runAgain, transient: true}, true
	}
	return c.denied(code)
}

// denied returns what a code means that is about the tenant, the application or a policy, and not about the ID token.
// None of them passes by itself.
func (c *Credential) denied(code int) (found cause, known bool) {
	const (
		signIns = "the sign-in log of the service principal (Entra admin center, Sign-in logs) "
		policy  = signIns + "names the policy"
	)
	switch code {
	case 700016:
		return cause{text: "the tenant has no such application", remedy: c.checkIDs(), fresh: true}, true
	case 7000229:
		return cause{
			text: "the application has no service principal in the tenant",
			remedy: fmt.Sprintf("make it: az ad sp create --id %s; an application that was not made in the portal has "+
				"none. Otherwise, ", c.config.ClientID) + c.checkIDs(),
			fresh: true,
		}, true
	case 90002, 900023, 50059, 50128:
		return cause{text: "there is no such tenant", remedy: c.checkIDs()}, true
	case 900382, 900439, 900432:
		return cause{text: "the tenant is in another cloud", remedy: c.checkIDs()}, true
	case 5000224:
		return cause{
			text:   "the tenant or the application is not available any more",
			remedy: "ask the tenant's administrators whether it was deleted or blocked, and " + c.checkIDs(),
		}, true
	case 53003:
		return cause{
			text: "a Conditional Access policy blocks the identity, most likely for the runner's address",
			remedy: "ask the tenant's administrators to admit the addresses of these runners, or use runners whose " +
				"addresses are admitted; " + policy,
		}, true
	case 530032:
		return cause{
			text:   "a security policy of the tenant blocks the identity",
			remedy: "ask the tenant's administrators to admit it; " + policy,
		}, true
	case 530034:
		return cause{
			text: "Entra blocks the identity because of a risk that it sees",
			remedy: "ask the tenant's administrators to look at it (Entra admin center, Identity Protection, " +
				"Risky workload identities)",
		}, true
	case 50053:
		return cause{
			text: "Entra blocks the identity or the runner's address for a time, after suspicious sign-ins",
			remedy: "run the job again later, or on a runner with another address; if it fails again, " + signIns +
				"says why",
		}, true
	case 7000112:
		return cause{
			text: "the application is disabled",
			remedy: fmt.Sprintf("ask the tenant's administrators to enable it (Entra admin center, Enterprise "+
				"applications, Properties), or check that client-id (%s) is the application that you mean",
				c.config.ClientID),
		}, true
	case 500011, 50001, 650052:
		return cause{
			text: "the tenant has no service principal of Key Vault, which a token is for",
			remedy: fmt.Sprintf("check that tenant-id (%s) is the vault's tenant and that cloud is %s; a tenant "+
				"without Azure subscriptions has none until its administrators add it", c.config.TenantID,
				c.config.Cloud.Name),
		}, true
	case 500014:
		return cause{
			text: "the service principal of Key Vault, which a token is for, is disabled in the tenant",
			remedy: "ask the tenant's administrators to enable it (Entra admin center, Enterprise applications, " +
				"Azure Key Vault, Properties); a lapsed subscription disables it too",
		}, true
	case 50105, 501051:
		return cause{
			text: "the tenant requires that an identity is assigned to Key Vault's application, and this one is not",
			remedy: "ask the tenant's administrators to assign it, or to end that requirement (Entra admin center, " +
				"Enterprise applications, Azure Key Vault, Properties)",
		}, true
	case 50002, 500021, 500022:
		return cause{
			text: "the network between the runner and Entra allows only certain tenants (tenant restrictions)",
			remedy: fmt.Sprintf("check tenant-id (%s), or ask whoever runs the proxy to admit the tenant",
				c.config.TenantID),
		}, true
	}
	return cause{}, false
}

const runAgain = "run the job again; if it fails again, see https://azure.status.microsoft"

func (c *Credential) checkIDs() string {
	return fmt.Sprintf("check the inputs tenant-id (%s) and client-id (%s), and that cloud is %s; "+
		"client-id is the client ID, not the object ID, of the app registration or user-assigned identity",
		c.config.TenantID, c.config.ClientID, c.config.Cloud.Name)
}

// doubted asks first whether the application is the right one: another one has no such credential either.
func (c *Credential) doubted() string {
	return fmt.Sprintf("check first that client-id (%s) is the application or identity that you mean. Otherwise, ",
		c.config.ClientID) + c.presented()
}

// presented shows the claims that Entra saw, and what to do about them.
func (c *Credential) presented() string {
	claims := c.last.claims
	text := fmt.Sprintf("the job presented\n  issuer   %s\n  subject  %s\n  audience %s\nto client ID %s. ",
		claims.Issuer, claims.Subject, claims.Audience, c.config.ClientID)
	if c.config.Advice == nil {
		return text + "Create a federated credential with these values"
	}
	return text + c.config.Advice(claims)
}

// refused turns a failed token request into the error that says why.
func (c *Credential) refused(ctx context.Context, err error) *Error {
	switch {
	case ctx.Err() != nil:
		return stopped(ctx)
	case c.last.assertion != nil:
		e := newError("", "")
		e.Refusal, e.Err = refusal.Of(c.last.assertion).Within(e.Act), c.last.assertion
		e.Kind = refusal.Identity
		return e
	case errors.Is(err, sdk.ErrPanic):
		return newError("Entra's answer could not be understood", "run the job again; "+
			"if it fails again, check the proxy and the DNS between the runner and "+c.config.Cloud.Authority)
	}
	status, body := payload(err)
	if status == 0 {
		return c.unanswered()
	}
	return c.explain(status, body)
}

// explain returns what an answer of Entra says.
func (c *Credential) explain(status int, body []byte) *Error {
	var answer struct {
		Error       string `json:"error"`
		Codes       []int  `json:"error_codes"`
		Correlation string `json:"correlation_id"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		return c.strange(status)
	}
	e := newError(fmt.Sprintf("Entra refused with status %d", status), runAgain)
	e.Status = status
	if len(answer.Codes) == 0 {
		return e
	}
	e.Code = answer.Codes[0]
	e.Remedy = "look up the code at https://login.microsoftonline.com/error"
	if known, ok := c.causeOf(e.Code); ok {
		e.Cause, e.Remedy = known.text, known.remedy
		e.Transient = known.transient && status < http.StatusInternalServerError // the SDK has retried those
		e.fresh = known.fresh
	}
	e.Cause += fmt.Sprintf(": AADSTS%d", e.Code)
	if azure.IsID(answer.Correlation) {
		e.Trace = "correlation ID " + answer.Correlation
	}
	return e
}

// strange tells of an answer that is not in Entra's own form.
func (c *Credential) strange(status int) *Error {
	e := newError(fmt.Sprintf("the answer is not in Entra's own form, so it may be a proxy's: %d", status),
		"check the proxy and the DNS between the runner and "+c.config.Cloud.Authority)
	e.Status = status
	if network.IsTransientStatus(status) {
		e.Remedy = "run the job again; if it fails again, " + e.Remedy
		e.Transient = !slices.Contains(retriedBySDK, status)
	}
	return e
}

// retriedBySDK are the statuses after which the SDK has tried again:
// https://pkg.go.dev/github.com/Azure/azure-sdk-for-go/sdk/azcore/policy#RetryOptions
var retriedBySDK = []int{408, 429, 500, 502, 503, 504}

func stopped(ctx context.Context) *Error {
	e := newError("the run was stopped while it waited for a token", "run the job again")
	e.Err = context.Cause(ctx)
	return e
}

// unanswered explains a failure for which azidentity has no answer of Entra. Either the authority was not reached, or
// its discovery documents were not what they should be, or it answered 200 without a token (seen 12 times in 9 runs in
// 6 months: https://github.com/Altinn/dialogporten/pull/4356).
func (c *Credential) unanswered() *Error {
	if transport := c.last.transport; transport != nil {
		return newError("Entra at "+c.config.Cloud.Authority+" cannot be reached: "+network.Describe(transport),
			cmp.Or(network.Remedy(transport), "check the runner's network and proxy"))
	}
	e := newError("the server at "+c.config.Cloud.Authority+" is not Entra, or does not know tenant "+c.config.TenantID,
		"check the inputs tenant-id and cloud, and the runner's proxy")
	if c.last.claims != (Claims{}) && c.last.status == http.StatusOK {
		e = newError("Entra answered without a token", runAgain)
		e.Transient = true
	}
	e.Status = c.last.status
	return e
}

// wrongTenant is the refusal that needs no request: the vault's challenge names its tenant.
func (c *Credential) wrongTenant(ofVault string) *Error {
	if !azure.IsID(ofVault) {
		return newError("the vault names a tenant that is not a GUID",
			"check the proxy and the DNS between the runner and the vault")
	}
	return newError(fmt.Sprintf("the vault belongs to tenant %s, but tenant-id is %s", ofVault, c.config.TenantID),
		"set tenant-id to the vault's tenant, and client-id to an identity in that tenant "+
			"(a vault under `vaults` may have its own)")
}

func sameID(a, b string) bool { return strings.EqualFold(a, b) }
