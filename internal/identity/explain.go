package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// An Error is why there is no access token. It holds neither a token nor Entra's answer.
type Error struct {
	refusal.Refusal
	Code      int   // the AADSTS code; 0 where Entra gave none
	Status    int   // Entra's HTTP status; 0 where it did not answer
	Transient bool  // it may be gone at the next try
	Err       error // the cause, where it is an error of ours; may be nil
}

// newError returns the refusal of a sign-in.
func newError(cause, remedy string) *Error {
	return &Error{Refusal: refusal.Refusal{
		Act: "signing in to Entra", Cause: cause, Remedy: remedy, Kind: refusal.Identity,
	}}
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// A cause is one row of the table of refusals.
type cause struct {
	transient bool
	text      string
	remedy    func(c Config, presented claims) string
}

// The codes and what they mean: https://learn.microsoft.com/entra/identity-platform/reference-error-codes and
// https://github.com/Azure/azure-sdk-for-go/blob/main/sdk/azidentity/TROUBLESHOOTING.md. Those of the 70021 family are
// transient because a federated credential takes minutes to propagate and, once there, is missed now and then.
var causes = map[int]cause{
	70021:   {true, "no federated credential matches the job's ID token", createCredential},
	70025:   {true, "the application has no federated credential at all", createCredential},
	700211:  {true, "no federated credential is for the issuer of the job's ID token", createCredential},
	700212:  {true, "no federated credential is for the audience of the job's ID token", createCredential},
	700213:  {true, "no federated credential is for the subject of the job's ID token", createCredential},
	7002137: {true, "no federated credential is for the subject of the job's ID token", createCredential},
	7002138: {false, "a federated credential matches the subject of the job's ID token except for letter case, which counts", createCredential},
	7002381: {true, "the tenant wants the enterprise claim, which the job's ID token lacked", fixed(
		"run the job again; if it stays, have the enterprise's include_enterprise_slug setting checked")},
	700024: {true, "the job's ID token was outside its validity", fixed("check the clock of the runner")},
	700016: {false, "the tenant has no such application", checkIDs},
	700027: {false, "the job's ID token carries a signature that Entra cannot verify", fixed("check that Entra can reach the issuer's keys")},
	90002:  {false, "there is no such tenant", checkIDs},
	900023: {false, "there is no such tenant", checkIDs},
	90033:  {true, "Entra is out of order for the moment", later},
}

func fixed(text string) func(Config, claims) string {
	return func(Config, claims) string { return text }
}

func later(Config, claims) string { return "run the job again; nothing was written" }

func checkIDs(c Config, _ claims) string {
	return fmt.Sprintf("check the inputs tenant-id (%s) and client-id (%s), and that cloud is %s: "+
		"client-id is the app registration's or the user-assigned identity's client ID, not an object ID", c.TenantID, c.ClientID, c.Cloud.Name)
}

// createCredential shows what was presented and the two commands that create what matches it.
func createCredential(c Config, presented claims) string {
	parameters, err := json.Marshal(map[string]any{"name": "github", "issuer": presented.Issuer,
		"subject": presented.Subject, "audiences": []string{presented.Audience}})
	if err != nil {
		parameters = nil // unreachable: strings always marshal
	}
	return fmt.Sprintf(`the job presented
  issuer   %s
  subject  %s
  audience %s
to client ID %s. If the job is right, create for a user-assigned identity:
  az identity federated-credential create --identity-name NAME --resource-group GROUP --name github --issuer %s --subject %s --audiences %s
or for an app registration:
  az ad app federated-credential create --id %s --parameters %s
The subject is matched exactly, letter case included. An environment on the job, a branch, a tag and a pull request each give another one, and %s. A credential made just now takes minutes to count`,
		presented.Issuer, presented.Subject, presented.Audience, c.ClientID,
		quote(presented.Issuer), quote(presented.Subject), quote(presented.Audience),
		c.ClientID, quote(string(parameters)), otherForm(presented.Subject))
}

// immutable matches the form of subject that names owner and repository with their IDs:
// https://github.blog/changelog/ (2026-04-23), for repositories made, renamed or transferred after 2026-07-15.
var immutable = regexp.MustCompile(`^repo:[^:/@]+@\d+/[^:/@]+@\d+:`)

func otherForm(subject string) string {
	if immutable.MatchString(subject) {
		return "this one is the immutable form with IDs (repo:OWNER@ID/REPO@ID:...), which a credential made for the plain form (repo:OWNER/REPO:...) does not match"
	}
	return "this one is the plain form (repo:OWNER/REPO:...), which a credential made for the immutable form with IDs (repo:OWNER@ID/REPO@ID:...) does not match"
}

// quote returns text as one word of a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'" }

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
	case errors.Is(err, errPanic):
		return newError(err.Error(),
			"run the job again; if it stays, check what stands between the runner and "+c.config.Cloud.Authority)
	}
	status, body := payload(err)
	if status == 0 {
		return c.unanswered()
	}
	var answer struct {
		Codes       []int  `json:"error_codes"`
		Correlation string `json:"correlation_id"`
	}
	e := newError("", "")
	e.Status = status
	if json.Unmarshal(body, &answer) == nil && len(answer.Codes) > 0 {
		e.Code = answer.Codes[0]
		if azure.IsID(answer.Correlation) {
			e.Trace = "correlation ID " + answer.Correlation
		}
	}
	known, ok := causes[e.Code]
	switch {
	case ok:
		e.Cause, e.Remedy = known.text, known.remedy(c.config, c.last.claims)
		e.Transient = known.transient && status < http.StatusInternalServerError // the SDK has tried those four times
	case e.Code == 0:
		e.Cause = fmt.Sprintf("Entra refused with status %d", status)
		e.Remedy = "run the job again; see https://azure.status.microsoft if it stays"
	default:
		e.Cause = fmt.Sprintf("Entra refused with status %d", status)
		e.Remedy = "look the code up at https://login.microsoftonline.com/error"
	}
	if e.Code != 0 {
		e.Cause += fmt.Sprintf(": AADSTS%d", e.Code)
	}
	return e
}

func stopped(ctx context.Context) *Error {
	e := newError("the run was stopped while waiting for a token", "")
	e.Err = context.Cause(ctx)
	return e
}

// unanswered is a failure that azidentity has no answer for: the authority was not reached, or it answered 200 without
// a token (12 times in 9 runs of 6 months: https://github.com/Altinn/dialogporten/pull/4356), or its discovery
// documents were not what they should be.
func (c *Credential) unanswered() *Error {
	if transport := c.last.transport; transport != nil {
		return newError("Entra at "+c.config.Cloud.Authority+" cannot be reached: "+network.Describe(transport),
			"check the runner's network and proxy")
	}
	var e *Error
	if c.last.claims != (claims{}) && c.last.status == http.StatusOK {
		e = newError("Entra answered without a token", later(c.config, claims{}))
		e.Transient = true
	} else {
		e = newError("what answers at "+c.config.Cloud.Authority+" is not Entra, or does not know the tenant "+c.config.TenantID,
			"check tenant-id, the input cloud, and the runner's proxy")
	}
	e.Status = c.last.status
	return e
}

// wrongTenant is the refusal that needs no request: the vault's challenge names its tenant.
func (c *Credential) wrongTenant(vaults string) *Error {
	if !azure.IsID(vaults) {
		return newError("the vault asks for a token of a tenant that is not well-formed",
			"check what stands between the runner and the vault")
	}
	return newError(fmt.Sprintf("the vault belongs to tenant %s, and tenant-id is %s", vaults, c.config.TenantID),
		"give the vault's tenant, and an identity in it, as tenant-id and client-id (a vault under `vaults` may have its own)")
}

func sameID(a, b string) bool { return strings.EqualFold(a, b) }
