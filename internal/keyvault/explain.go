package keyvault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
)

// An act is one thing that is asked of the vault, and the permission that it needs.
// https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
type act struct {
	text       string // as a gerund; the secret's name follows
	dataAction string // of Azure roles, below Microsoft.KeyVault/vaults/secrets/
	permission string // of access policies, the older model
}

var (
	actSet = act{
		text:       "setting secret",
		dataAction: "setSecret/action",
		permission: "set",
	}
	actVersions = act{
		text:       "listing the versions of secret",
		dataAction: "readMetadata/action",
		permission: "list",
	}
	actSecrets = act{
		text:       "listing the secrets",
		dataAction: "readMetadata/action",
		permission: "list",
	}
	actCurrent = act{
		text:       "looking up the current version of secret",
		dataAction: "readMetadata/action",
		permission: "list",
	}
	actDeleted = act{
		text:       "listing the soft-deleted secrets",
		dataAction: "readMetadata/action",
		permission: "list",
	}
	actDisable = act{
		text:       "disabling a superseded version of secret",
		dataAction: "update/action",
		permission: "set",
	}
	actTag = act{
		text:       "tagging the new version of secret",
		dataAction: "update/action",
		permission: "set",
	}
	actRecover = act{
		text:       "recovering secret",
		dataAction: "recover/action",
		permission: "recover",
	}
)

// isList reports whether the act reads a list.
func (a act) isList() bool { return a.permission == actVersions.permission }

// newError returns the refusal of an act on a secret. If secret is "", the act is on the vault.
func (c *Client) newError(a act, secret string) *Error {
	text := a.text
	if secret != "" {
		text += " " + secret
	}
	return &Error{Refusal: refusal.Refusal{Act: text + " in vault " + c.config.Name}, Secret: secret}
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// WholeVault reports whether the same act on every other secret of the vault will be refused alike, so that no other
// need be tried: the vault cannot be reached or takes no writes, its network rules do not admit this machine, there is
// no access token, or the vault does not accept it.
func (e *Error) WholeVault() bool {
	switch e.Kind {
	case refusal.Unreachable, refusal.Identity, refusal.ReadOnly:
		return true
	case refusal.Ambiguous:
		return false
	}
	return e.Inner == "ForbiddenByFirewall" || e.Inner == "ForbiddenByConnection" ||
		e.Status == http.StatusUnauthorized
}

// MostLikelyWholeVault reports whether the same act on every other secret of the vault will be refused alike, unless
// this answer is an exception: a server error, or a permission that is given for whole vaults, which one of the vault's
// servers may not know of yet. A role to set secrets may have a condition on their names, and an Azure Policy is about
// what is set, so their refusals are of one secret.
func (e *Error) MostLikelyWholeVault() bool {
	return e.Kind != refusal.Ambiguous &&
		(e.ofAllSecrets || e.Inner == "AccessDenied" || e.Status >= http.StatusInternalServerError)
}

func (c *Client) cancelled(a act, name string) *Error {
	e := c.newError(a, name)
	e.Kind = refusal.Cancelled
	e.Cause, e.Remedy = "the run was stopped before this was done", "run the job again"
	if !a.isList() {
		e.Remedy += "; what was stored is kept"
	}
	return e
}

// explain turns the error of a call into one that may be printed: it holds none of the SDK's text.
func (c *Client) explain(a act, name string, err error) *Error {
	e := c.newError(a, name)
	var already *Error
	var identity *sdk.TokenError
	var answer *azcore.ResponseError
	var lost *network.LostError
	var strange *sdk.StrangeError
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &identity):
		e.Refusal, e.Err = refusal.Of(identity.Err).Within(e.Act), identity.Err
		e.Kind = refusal.Identity
	case errors.As(err, &answer):
		c.explainAnswer(e, a, answer)
	case errors.As(err, &strange):
		c.explainStrange(e, strange.Status)
	case errors.Is(err, sdk.ErrOtherHost):
		e.Cause, e.Remedy = "the answer pointed to another host, which was not contacted", c.checkPath()
	case errors.As(err, &lost):
		c.explainLost(e, lost)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sdk.ErrStopped):
		return c.cancelled(a, name)
	case errors.Is(err, errTooMany):
		e.Kind = refusal.TooMany
		e.Cause, e.Remedy = err.Error(), "purge soft-deleted secrets that are not needed"
		switch a {
		case actSecrets:
			e.Remedy = "spread the secrets over several vaults"
		case actVersions:
			e.Remedy = "declare another name: Key Vault has no call that deletes one version"
		}
	case errors.Is(err, sdk.ErrTooLarge):
		e.Cause, e.Remedy = "the answer is too large to be Key Vault's", c.checkPath()
	default: // malformed answers: the SDK's errors quote them
		e.Cause, e.Remedy = "the answer is not what Key Vault documents", c.checkPath()
	}
	if isFresh(err) {
		c.config.Access.Conclude(&e.Cause, &e.Remedy)
	}
	return e
}

// checkPath is the remedy where an answer is probably not Key Vault's.
func (c *Client) checkPath() string {
	return "check the proxy and the DNS between the runner and " + c.transport.host
}

func (c *Client) explainLost(e *Error, lost *network.LostError) {
	e.Kind = refusal.Unreachable
	switch {
	case lost.NoHost:
		e.Cause = fmt.Sprintf("there is no host %s", c.transport.host)
		e.Remedy = "check the vault's name and cloud; " +
			"a vault behind a private endpoint resolves only inside its network"
	case lost.Proxied:
		e.Cause = fmt.Sprintf("the proxy to %s cannot be reached: %s", c.transport.host, lost)
		e.Remedy = "check HTTPS_PROXY, and NO_PROXY if the vault needs no proxy"
	case lost.Refused != 0:
		e.Cause = fmt.Sprintf("the proxy refused to connect to %s (%s)", c.transport.host, lost)
		e.Remedy = "check the vault's name and cloud, and the proxy's rules"
		switch {
		case lost.Refused == http.StatusProxyAuthRequired:
			e.Remedy = network.Remedy(lost.Err)
		case network.IsTransientStatus(lost.Refused):
			e.Remedy = "run the job again; if it fails again, " + e.Remedy
		}
	case lost.Untrusted:
		e.Cause = fmt.Sprintf("what answers at %s is not trusted: %s", c.transport.host, lost)
		e.Remedy = network.Remedy(lost.Err)
	default:
		e.Cause = fmt.Sprintf("no answer from %s: %s", c.transport.host, lost)
		e.Remedy = "run the job again; " +
			"if it fails again, check the runner's network, the proxy and the vault's firewall"
	}
}

// A meaning is what the codes of an answer mean, and what to do. The placeholders in its texts are those of expand.
type meaning struct {
	kind   refusal.Kind
	cause  string
	remedy string
}

// What the identity lacks: a role, in a vault that uses roles, or a permission of the vault's access policies. Neither
// command works in a vault of the other kind. A role is added to what is there; set-policy replaces.
// https://learn.microsoft.com/cli/azure/keyvault#az-keyvault-set-policy
const (
	needsRole = "assign the identity a role with the data action Microsoft.KeyVault/vaults/secrets/{action} " +
		"at the vault: az role assignment create --assignee {client} --role ROLE --scope {scope}, " +
		"where ROLE is such a role (examples/setup makes one); a new assignment takes effect within 10 minutes"
	needsPermission = "give it the permissions: " +
		"az keyvault set-policy --name {vault} --spn {client} --secret-permissions {permissions}; " +
		"this replaces the list of secret permissions that the identity has now, " +
		"so add to the command what else it needs"
)

// meaningOf returns what an inner code means. It tells one 403 or 409 from another: their outer code is always
// Forbidden or Conflict. https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
func meaningOf(inner string) (m meaning, known bool) {
	switch inner {
	case "ForbiddenByRbac":
		return meaning{
			kind:   refusal.Forbidden,
			cause:  "the identity has no role here that allows it",
			remedy: needsRole,
		}, true
	case "AccessDenied":
		return meaning{
			kind:   refusal.Forbidden,
			cause:  "the vault's access policies do not give the identity the secret permission {permission}",
			remedy: needsPermission,
		}, true
	case "ForbiddenByFirewall":
		return meaning{
			kind:  refusal.Forbidden,
			cause: "the vault's firewall does not admit the runner's address{address}",
			remedy: "run the job on a runner inside the vault's network, " +
				"or allow the runner's address while the job runs; " +
				"GitHub's runners are not among the firewall's trusted services",
		}, true
	case "ForbiddenByConnection":
		return meaning{
			kind:   refusal.Forbidden,
			cause:  "the vault accepts private endpoint connections only",
			remedy: "run the job on a runner inside the vault's network",
		}, true
	case "ObjectIsDeletedButRecoverable":
		return meaning{
			kind:  refusal.SoftDeleted,
			cause: "the name is taken by a soft-deleted secret until that is recovered or purged",
			remedy: "set recover-deleted to true, or purge the secret if the vault allows it: " +
				"az keyvault secret purge --vault-name {vault} --name {secret}",
		}, true
	case "ObjectIsBeingDeleted":
		return meaning{
			kind:   refusal.BeingDeleted,
			cause:  "a secret of this name is being deleted",
			remedy: "run the job again in a minute",
		}, true
	case "ObjectIsBeingRecovered":
		return meaning{
			kind:   refusal.BeingDeleted,
			cause:  "a secret of this name is being recovered",
			remedy: "run the job again in a minute",
		}, true
	}
	return meaning{}, false
}

func (c *Client) explainAnswer(e *Error, a act, answer *azcore.ResponseError) {
	if !isOwnAnswer(answer) {
		c.explainStrange(e, answer.StatusCode)
		e.ofAllSecrets = a.isList()
		return
	}
	e.Status, e.Code, e.Inner = answer.StatusCode, sdk.Code(answer.ErrorCode), innerCode(answer)
	e.Trace = trace(answer.RawResponse.Header)
	e.ofAllSecrets = a.isList() && e.Status == http.StatusForbidden
	_, message := readError(answer)
	m, known := meaningOf(e.Inner)
	switch {
	case isReadOnly(answer):
		m = meaning{
			kind:   refusal.ReadOnly,
			cause:  "the vault is read-only because its region has failed over",
			remedy: "run the job again later; see https://azure.status.microsoft",
		}
		if a == actSet {
			m.cause = "not stored: " + m.cause
		}
	case known && e.Inner == "ForbiddenByRbac" && a == actSet:
		m.remedy += "; a role that is assigned with a condition on names allows no others"
	case known:
	case e.Inner == "ForbiddenByPolicy", e.Status == http.StatusForbidden && policyName(message) != "":
		m = c.meaningOfPolicy(a, policyName(message))
	default:
		m = c.meaningOfStatus(e.Status, a, isOtherTenant(answer))
	}
	e.Kind = m.kind
	e.Cause = c.expand(m.cause, a, e.Secret, message) + ": " + codes(e)
	e.Remedy = c.expand(m.remedy, a, e.Secret, message)
}

// meaningOfPolicy returns what it means that a policy forbids an act. The code is used for Azure Policy and for access
// policies, and only the message may tell which.
func (c *Client) meaningOfPolicy(a act, name string) meaning {
	m := meaning{kind: refusal.Forbidden}
	switch {
	case name != "":
		m.cause = "an Azure Policy forbids it (" + name + ")"
	case c.transport.roles.Load():
		m.cause = "a policy forbids it, and the vault does not say which: " +
			"it uses roles, so it is not one of its access policies"
	case a == actSet:
		m.cause = "a policy forbids it: the vault's access policies lack the secret permission {permission}, " +
			"or an Azure Policy requires an expiry or a content type"
	default:
		m.cause = "a policy forbids it, and the vault does not say which: " +
			"it may be that its access policies lack the secret permission {permission}"
	}
	m.remedy = "see the vault's Policy compliance in the portal"
	if a == actSet {
		m.remedy = "declare expires and content-type as the Azure Policy requires; " +
			"the vault's Policy compliance in the portal shows it"
	}
	if name == "" && !c.transport.roles.Load() {
		m.remedy += "; in a vault with access policies, check that the identity has the secret permission {permission}"
	}
	return m
}

// explainStrange tells of an answer that is not in Key Vault's own form. Nothing in it is evidence of what the vault
// did or would do.
func (c *Client) explainStrange(e *Error, status int) {
	e.Status = status
	e.Remedy = c.checkPath()
	if status >= 300 && status < 400 && status != http.StatusNotModified {
		e.Cause = fmt.Sprintf("the answer is a redirect, which is not followed: "+
			"it would carry the request to another host: %d", status)
		return
	}
	e.Cause = fmt.Sprintf("the answer is not in Key Vault's own form, so it may be a proxy's: %d", status)
	if network.IsTransientStatus(status) {
		e.Remedy = "run the job again; if it fails again, " + e.Remedy
	}
}

func codes(e *Error) string {
	text := fmt.Sprint(e.Status)
	for _, code := range []string{e.Code, e.Inner} {
		if code != "" {
			text += " " + code
		}
	}
	return text
}

// lookUpCode is the remedy of a refusal of which nothing but its code is known.
const lookUpCode = "look up the code in Key Vault's documentation"

// meaningOfStatus returns what a status means where the inner code is unknown or missing.
func (c *Client) meaningOfStatus(status int, a act, otherTenant bool) meaning {
	switch {
	case otherTenant:
		return meaning{
			cause:  "the access token belongs to another tenant than the vault (AKV10032)",
			remedy: "set tenant-id to the vault's tenant, and client-id to an identity in that tenant",
		}
	case status == http.StatusUnauthorized:
		return meaning{
			cause:  "the vault accepts neither the access token nor a new one",
			remedy: "run the job again; if it fails again, check tenant-id and client-id",
		}
	case status == http.StatusForbidden && a == actSet:
		return meaning{
			kind:  refusal.Forbidden,
			cause: "the vault refuses the secret for a reason that this action does not know",
			remedy: "if an Azure Policy requires it, declare expires and content-type; " +
				"the vault's Policy compliance in the portal shows it. " +
				"Setting a secret also needs the data action Microsoft.KeyVault/vaults/secrets/{action}",
		}
	case status == http.StatusForbidden:
		return meaning{kind: refusal.Forbidden, cause: "the vault refuses it", remedy: needsRole}
	case status == http.StatusNotFound:
		m := meaning{kind: refusal.NotFound, cause: "it does not exist", remedy: "check the vault's name"}
		if a == actDisable || a == actTag || a == actRecover {
			m.remedy = "run the job again: it was there a moment ago, so someone deleted it meanwhile"
		}
		return m
	case status == http.StatusConflict:
		return meaning{cause: "another operation on this name is in progress", remedy: "run the job again in a minute"}
	case status == http.StatusTooManyRequests:
		most := "300 new versions"
		if a != actSet {
			most = "4,000 requests"
		}
		return meaning{
			cause:  "the vault is still throttled after all retries",
			remedy: "run the job again later; a vault accepts " + most + " in 10 seconds from all its clients together",
		}
	case status >= 500:
		return meaning{
			cause:  "Key Vault is temporarily unavailable",
			remedy: "run the job again later; see https://azure.status.microsoft",
		}
	case status == http.StatusBadRequest:
		m := meaning{cause: "Key Vault does not accept the request", remedy: lookUpCode}
		if a == actSet {
			m.remedy = "check the size of the value (at most 25 KB), the tags, the content type and the expiry"
		}
		return m
	}
	return meaning{cause: "Key Vault refused the request", remedy: lookUpCode}
}

// expand fills in the placeholders of a meaning's text. Of message, it takes facts of a known shape only.
func (c *Client) expand(text string, a act, secret, message string) string {
	permissions := "set list"
	if a == actRecover || c.config.Recovers {
		permissions += " recover"
	}
	address := clientAddress(message)
	if address != "" {
		address = " (" + address + ", as the vault saw it)"
	}
	scope := scopeOf(message, c.config.Name)
	if scope == "" {
		scope = "$(az keyvault show --name " + c.config.Name + " --query id --output tsv)"
	}
	return strings.NewReplacer(
		"{address}", address,
		"{client}", cmp.Or(c.config.ClientID, "CLIENT_ID"),
		"{scope}", `"`+scope+`"`,
		"{action}", a.dataAction,
		"{permission}", a.permission,
		"{permissions}", permissions,
		"{vault}", c.config.Name,
		"{secret}", secret,
	).Replace(text)
}

// trace returns what Microsoft's support asks for.
func trace(header http.Header) string {
	if id := sdk.Code(header.Get("x-ms-request-id")); id != "" {
		return "request ID " + id
	}
	return ""
}

// innerCode reads error.innererror.code of the answer. The SDK's ErrorCode is the outer one. Where access policies lack
// a permission the code is AccessDenied, or the older ForbiddenByPolicy: both are AccessDenied here.
func innerCode(answer *azcore.ResponseError) string {
	inner, message := readError(answer)
	if inner == "ForbiddenByPolicy" && lacksPermission(message) {
		return "AccessDenied"
	}
	return sdk.Code(inner)
}

// isOtherTenant reports whether a 401 says that no other token of this identity would do: its message then begins with
// AKV10032.
func isOtherTenant(answer *azcore.ResponseError) bool {
	_, message := readError(answer)
	return strings.HasPrefix(message, "AKV10032")
}

// isReadOnly reports whether the vault says that it takes no writes: its region has failed over. The texts are of
// MSEndpointMgr/CloudLAPS#70 and Azure/azure-cli#25693; they are matched and never printed.
func isReadOnly(answer *azcore.ResponseError) bool {
	_, message := readError(answer)
	message = strings.ToLower(message)
	return isOwnAnswer(answer) &&
		(strings.Contains(message, "read-only state") || strings.Contains(message, "read-only mode") ||
			strings.Contains(message, "read only state") || strings.Contains(message, "read only mode"))
}

// isClosed reports whether the vault refuses every write alike, of whatever secret: it is read-only, or its network
// rules do not admit this machine.
func isClosed(answer *azcore.ResponseError) bool {
	inner := innerCode(answer)
	return isReadOnly(answer) || inner == "ForbiddenByFirewall" || inner == "ForbiddenByConnection"
}

// An errorBody is the body of Key Vault's refusals.
type errorBody struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Inner   struct {
			Code string `json:"code"`
		} `json:"innererror"`
	} `json:"error"`
}

func readError(answer *azcore.ResponseError) (inner, message string) {
	var content errorBody
	if json.Unmarshal(payload(answer), &content) != nil {
		return "", ""
	}
	return content.Error.Inner.Code, content.Error.Message
}

// isOwnAnswer reports whether an answer other than 200 is in Key Vault's own form.
func isOwnAnswer(answer *azcore.ResponseError) bool {
	return answer.RawResponse != nil && isOwn(answer.StatusCode, answer.RawResponse.Header, payload(answer))
}

// payload returns the body of an answer; nil if there is none.
func payload(answer *azcore.ResponseError) []byte {
	if answer.RawResponse == nil {
		return nil
	}
	body, err := runtime.Payload(answer.RawResponse)
	if err != nil {
		return nil
	}
	return body
}
