package arm

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
)

// An Error is a refusal of Resource Manager. It holds no value, no token, no body of an answer, and no query of a URL.
type Error struct {
	refusal.Refusal
	Status int    // the HTTP status; 0 if there was no answer
	Code   string // Resource Manager's code, or the resource provider's: "AuthorizationFailed"
	Err    error  // the cause, if it is another error of ours; may be nil
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// An act is one thing that is asked of Resource Manager, and the action of Azure roles that it needs.
type act struct {
	text   string // as a gerund; the server's name follows
	action string // with the placeholders of expand
}

var (
	actLook   = act{"looking at server", "{kind}/read"}
	actSet    = act{"setting the administrator's password at server", "{kind}/write"}
	actFollow = act{
		"checking whether the administrator's password is set at server", "{namespace}/locations/*/read",
	}
)

func (t *Target) cancelled(a act) *Error {
	e := t.newError(a)
	e.Kind = refusal.Cancelled
	e.Cause, e.Remedy = "the run was stopped before this was done", "run the job again"
	return e
}

// explain turns the error of a call into one that may be printed: it holds none of the SDK's text.
func (t *Target) explain(a act, err error) *Error {
	e := t.newError(a)
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
		t.explainAnswer(e, a, answer, errors.As(err, new(*failedError)))
	case errors.As(err, &strange):
		t.explainStrange(e, strange.Status)
	case errors.Is(err, sdk.ErrOtherHost):
		e.Cause, e.Remedy = "the answer pointed to another host, which was not contacted", t.checkPath()
	case errors.As(err, &lost):
		t.explainLost(e, lost)
	case errors.Is(err, sdk.ErrStopped):
		return t.cancelled(a)
	case errors.Is(err, sdk.ErrTooLarge):
		e.Cause, e.Remedy = "the answer is too large to be Resource Manager's", t.checkPath()
	default: // the SDK's errors quote what they could not read
		e.Cause, e.Remedy = errMalformed.Error(), t.checkPath()
	}
	if isFresh(err) {
		t.config.Access.Conclude(&e.Cause, &e.Remedy)
	}
	return e
}

// checkPath is the remedy where an answer is probably not Resource Manager's.
func (t *Target) checkPath() string {
	return "check the proxy and the DNS between the runner and " + t.config.Cloud.Manager
}

func (t *Target) explainLost(e *Error, lost *network.LostError) {
	e.Kind = refusal.Unreachable
	host := t.config.Cloud.Manager
	again := "run the job again; if it fails again, check the runner's network and the proxy"
	switch {
	case lost.NoHost:
		e.Cause, e.Remedy = "there is no host "+host, "check the runner's DNS"
	case lost.Proxied:
		e.Cause = fmt.Sprintf("the proxy to %s cannot be reached: %s", host, lost)
		e.Remedy = "check HTTPS_PROXY, and NO_PROXY if Resource Manager needs no proxy"
	case lost.Refused != 0:
		e.Cause = fmt.Sprintf("the proxy refused to connect to %s (%s)", host, lost)
		e.Remedy = "allow " + host + " in the proxy's rules"
		switch {
		case lost.Refused == http.StatusProxyAuthRequired:
			e.Remedy = network.Remedy(lost.Err)
		case network.IsTransientStatus(lost.Refused):
			e.Remedy = again
		}
	case lost.Untrusted:
		e.Cause, e.Remedy = fmt.Sprintf("what answers at %s is not trusted: %s", host, lost), network.Remedy(lost.Err)
	default:
		e.Cause, e.Remedy = fmt.Sprintf("no answer from %s: %s", host, lost), again
	}
}

// explainStrange tells of an answer that is not in Resource Manager's own form. Nothing in it is evidence of what was
// done.
func (t *Target) explainStrange(e *Error, status int) {
	e.Status = status
	e.Remedy = t.checkPath()
	if status >= 300 && status < 400 {
		e.Cause = fmt.Sprintf("the answer is a redirect, which is not followed: "+
			"it would carry the access token to another host: %d", status)
		return
	}
	e.Cause = fmt.Sprintf("the answer is not in Resource Manager's own form, so it may be a proxy's: %d", status)
	if network.IsTransientStatus(status) {
		e.Remedy = "run the job again; if it fails again, " + e.Remedy
	}
}

func (t *Target) explainAnswer(e *Error, a act, answer *azcore.ResponseError, failed bool) {
	s := saidBy(answer)
	e.Status, e.Code = answer.StatusCode, s.code
	if answer.RawResponse != nil {
		if id := requestID(answer.RawResponse.Header); id != "" {
			e.Trace = "request ID " + id
		}
	}
	m, known := meanings[s.code]
	switch {
	case s.code == "AuthorizationFailed" && a == actFollow:
		m = mayNotFollow
	case isUnknown(e.Status) && a == actFollow:
		m = meaning{cause: "Resource Manager does not know the change any more", remedy: seeLog}
	case known:
	case failed:
		m = meaning{cause: "the server did not make it", remedy: seeLog}
	default:
		m = meaningOfStatus(a, e.Status)
	}
	seen := fmt.Sprint(e.Status)
	if failed { // an answer of 200 tells of it
		m.cause, seen = "the change was accepted and has failed: "+m.cause, "Failed"
	}
	if s.code != "" {
		seen += " " + s.code
	}
	if name := policyName(s.message); s.code == "RequestDisallowedByPolicy" && name != "" {
		m.cause += " (" + name + ")"
	}
	e.Kind = m.kind
	e.Cause = t.expand(m.cause) + ": " + seen
	e.Remedy = t.expand(m.remedy)
}

// A meaning is what a code means, and what to do. The placeholders in its texts are those of expand.
type meaning struct {
	kind   refusal.Kind
	cause  string
	remedy string
}

const (
	entraAlone = "the server accepts no passwords, because it is set to Entra authentication only"
	assign     = "az role assignment create --assignee {client} --role ROLE --scope"
	madeBy     = "where ROLE is such a role (examples/setup makes one); " +
		"a new assignment takes effect within 10 minutes"
	badPassword = "declare the policy {preset}, which has the service's rules, and the administrator's login, " +
		"which the password must not hold"
	findServer = "check the resource ID; this prints those of that name: " +
		"az resource list --name {server} --resource-type {kind} --query \"[].id\" --output tsv"
	seeLog      = "see the server's Activity log in the portal, and run the job again"
	otherTenant = "set tenant-id to the tenant of the server's subscription, " +
		"and client-id to an identity in that tenant"
)

// mayNotFollow is a change whose end the identity may not see: its URL is not the server's, so that a role at the
// server does not do.
// https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations#permission-for-tracking-async-status
var mayNotFollow = meaning{
	kind:  refusal.Forbidden,
	cause: "the identity has no role at the resource group that lets it see how a change ends",
	remedy: "assign the identity a role with the action {namespace}/locations/*/read at the resource group: " +
		assign + ` "{scope}", ` + madeBy + "; then run the job again",
}

// meanings are the codes that are known, of Resource Manager itself
// (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors) and of the
// services (https://github.com/Azure/azure-rest-api-specs: Microsoft.Sql, Servers.json, and the threads that the
// emulator of the tests names).
var meanings = map[string]meaning{
	"AuthorizationFailed": {
		kind:  refusal.Forbidden,
		cause: "the identity has no role here that allows it",
		remedy: "assign the identity a role with the actions {kind}/read and {kind}/write at the server: " +
			assign + ` "{id}", ` + madeBy,
	},
	"Unauthorized": {
		kind:   refusal.Forbidden,
		cause:  "the identity may not see it",
		remedy: "run the job again",
	},
	"PasswordTooShort": {cause: "the server does not accept so short a password", remedy: badPassword},
	"PasswordTooLong":  {cause: "the server does not accept so long a password", remedy: badPassword},
	"PasswordNotComplex": {cause: "the password does not have the characters that the server requires",
		remedy: badPassword},
	"InvalidParameterValue": {
		cause: "the server does not accept the password", remedy: badPassword,
	},
	"AadOnlyAuthenticationIsEnabled": {cause: entraAlone, remedy: orWithout},
	"ResourceNotFound":               {kind: refusal.NotFound, cause: "there is no such server", remedy: findServer},
	"ServerNotFound":                 {kind: refusal.NotFound, cause: "there is no such server", remedy: findServer},
	"SubscriptionDoesNotHaveServer":  {kind: refusal.NotFound, cause: "there is no such server", remedy: findServer},
	"ServerNotInSubscriptionResourceGroup": {
		kind: refusal.NotFound, cause: "there is no such server in that resource group", remedy: findServer,
	},
	"ResourceGroupNotFound": {
		kind: refusal.NotFound, cause: "there is no such resource group in the subscription", remedy: findServer,
	},
	"SubscriptionNotFound": {
		kind:  refusal.NotFound,
		cause: "there is no such subscription in the identity's tenant",
		remedy: "check the subscription in the resource ID; az account list shows those that you may see; or " +
			otherTenant,
	},
	"InvalidAuthenticationTokenTenant": {
		cause: "the access token belongs to another tenant than the server's subscription", remedy: otherTenant,
	},
	"InvalidAuthenticationTokenAudience": {
		cause:  "this cloud's Resource Manager does not take the access token",
		remedy: "set cloud to the one that the server is in",
	},
	"CMKOperationNotAllowed": {
		cause:  "the server cannot use the key in Key Vault that its data is encrypted with",
		remedy: "see the server's Transparent data encryption in the portal: give the server access to the key",
	},
	"ServerDisabled": {
		cause: "the server is disabled", remedy: "see the server's page in the portal",
	},
	"ServerIsNotReady":              {cause: "the server is not ready", remedy: seeState},
	"ServerUnavailableForOperation": {cause: "the server is not ready", remedy: seeState},
	"ScopeLocked": {
		kind:  refusal.Forbidden,
		cause: "a read-only lock forbids every change of the server",
		remedy: "remove the lock, at least while the job runs: az lock list --resource-group {group} " +
			"--output table shows it, if it is not the subscription's",
	},
	"RequestDisallowedByPolicy": {
		kind:   refusal.Forbidden,
		cause:  "an Azure Policy forbids changes of the server",
		remedy: "see the server's Policy compliance in the portal; an exemption lets the change through",
	},
	"ReadOnlyDisabledSubscription": {
		kind:   refusal.ReadOnly,
		cause:  "the subscription is disabled, and therefore read-only",
		remedy: "reactivate the subscription",
	},
	"SubscriptionDisabled": {
		kind: refusal.ReadOnly, cause: "the subscription is disabled", remedy: "reactivate the subscription",
	},
	"NoRegisteredProviderFound":  notKnown,
	"InvalidResourceType":        notKnown,
	"InvalidApiVersionParameter": notKnown,
	"MissingSubscriptionRegistration": {
		cause:  "the subscription is not registered for such servers",
		remedy: "register it: az provider register --namespace {namespace}",
	},
	"InternalServerError": {
		cause: "the service has failed; it also says so of a password that it does not accept",
		remedy: "run the job again; if it fails again, " +
			"check that the declared policy is {preset}, and see the server's Activity log in the portal",
	},
}

// notKnown is what an answer says of a kind of server, or of the version of its interface, that a cloud does not have.
var notKnown = meaning{
	cause: "this cloud's Resource Manager does not know such a server, or not by the version {version} of its " +
		"interface",
	remedy: "check the resource ID, and that cloud is the one that the server is in; if both are right, remove " +
		"apply from the declaration, because this cloud does not have that version yet",
}

// orWithout is what to do about a server that takes no passwords, and seeState about one whose state has changed since
// it was looked at.
const (
	orWithout = "{enable}remove apply from the declaration, because the server accepts no password"
	seeState  = "see its state: {command} show --name {server} --resource-group {group} --query state"
)

// meaningOfStatus returns what a status means where the code is unknown.
func meaningOfStatus(a act, status int) meaning {
	switch {
	case status == http.StatusUnauthorized:
		return meaning{
			cause:  "Resource Manager accepts neither the access token nor a new one",
			remedy: "run the job again; if it fails again, check tenant-id and client-id",
		}
	case status == http.StatusForbidden:
		return meaning{
			kind: refusal.Forbidden, cause: "Resource Manager refuses it",
			remedy: meanings["AuthorizationFailed"].remedy,
		}
	case status == http.StatusNotFound:
		return meaning{kind: refusal.NotFound, cause: "it does not exist", remedy: findServer}
	case status == http.StatusConflict:
		return meaning{
			cause:  "another change of the server was still under way",
			remedy: "run the job again when it is done; the server's Activity log in the portal shows it",
		}
	case status == http.StatusTooManyRequests:
		return meaning{
			cause:  "Resource Manager is still throttled after all retries",
			remedy: "run the job again later",
		}
	case status >= http.StatusInternalServerError:
		return meaning{
			cause:  "Azure is temporarily unavailable",
			remedy: "run the job again later; see https://azure.status.microsoft",
		}
	case status == http.StatusBadRequest && a == actSet:
		return meaning{cause: "the server does not accept the request", remedy: badPassword}
	}
	return meaning{
		cause:  "Resource Manager refused the request",
		remedy: "look up the code in the service's documentation, and see the server's Activity log in the portal",
	}
}

// expand fills in the placeholders of a meaning's text.
func (t *Target) expand(text string) string {
	s := t.config.Server
	group := "/subscriptions/" + s.Subscription + "/resourceGroups/" + s.ResourceGroup
	enable := ""
	if t.kind.enable != "" {
		enable = "let it take passwords: " + t.kind.enable + "; or "
	}
	return strings.NewReplacer(
		"{client}", cmp.Or(t.config.ClientID, "CLIENT_ID"),
		"{command}", t.kind.command,
		"{group}", `"`+s.ResourceGroup+`"`,
		"{id}", s.ID(),
		"{kind}", s.Kind,
		"{namespace}", t.kind.namespace,
		"{preset}", t.kind.preset,
		"{scope}", group,
		"{server}", s.Name,
		"{version}", t.kind.version,
	).Replace(strings.ReplaceAll(text, "{enable}", enable))
}

// aPolicy finds the name of an Azure Policy's assignment in a refusal: letters, digits, spaces, hyphens and dots. The
// form is that of microsoft/vscode-apimanagement#348 (2024).
var aPolicy = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"policyAssignment":\{"name":"([A-Za-z][A-Za-z0-9 .-]{1,119})"`)
})

// policyName returns the name of the Azure Policy that a message says to forbid something; "" if it names none.
func policyName(message string) string {
	m := aPolicy().FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	return sdk.PolicyName(m[1])
}
