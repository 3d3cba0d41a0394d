package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/refusal"
)

// An act is one thing asked of the vault, with the permission it needs in the words of Azure RBAC and of the older
// access policies. https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
type act struct{ text, dataAction, permission string }

var (
	actSet      = act{"setting secret", "setSecret/action", "set"}
	actVersions = act{"listing the versions of secret", "readMetadata/action", "list"}
	actList     = act{"looking up the current version of secret", "readMetadata/action", "list"}
	actDeleted  = act{"listing the soft-deleted secrets", "readMetadata/action", "list"}
	actDisable  = act{"disabling a superseded version of secret", "update/action", "set"}
	actRecover  = act{"recovering secret", "recover/action", "recover"}
)

// newError returns the refusal of an act on a secret, or where that is "" on the vault.
func (c *Client) newError(a act, secret string) *Error {
	act := a.text
	if secret != "" {
		act += " " + secret
	}
	return &Error{Refusal: refusal.Refusal{Act: act + " in vault " + c.config.Name}, Secret: secret}
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

func (c *Client) cancelled(a act, name string) *Error {
	e := c.newError(a, name)
	e.Kind = refusal.Cancelled
	e.Cause, e.Remedy = "the run was stopped before it was done", "run the job again: what is done is kept"
	return e
}

// explain turns the error of a call into one that may be printed: none of the SDK's text stands in it.
func (c *Client) explain(a act, name string, err error) *Error {
	e := c.newError(a, name)
	var already *Error
	var identity *identityError
	var answer *azcore.ResponseError
	var lost *lostError
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &identity):
		e.Refusal, e.Err = refusal.Of(identity.err).Within(e.Act), identity.err
		e.Kind = refusal.Identity
	case errors.As(err, &answer):
		c.explainAnswer(e, a, answer)
	case errors.Is(err, errOtherHost):
		e.Cause, e.Remedy = "its answer pointed to another host, which was not followed", c.between()
	case errors.As(err, &lost):
		c.explainLost(e, lost)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStopped):
		return c.cancelled(a, name)
	case errors.Is(err, errTooMany), errors.Is(err, errTooLarge):
		e.Cause, e.Remedy = err.Error(), "purge what is not needed, or use another name; "+c.between()
	default: // malformed answers: the SDK's errors on them quote them
		e.Cause, e.Remedy = "the answer is not what Key Vault documents", c.between()
	}
	return e
}

func (c *Client) between() string {
	return "check what stands between the runner and " + c.transport.host + " (proxy, DNS)"
}

func (c *Client) explainLost(e *Error, lost *lostError) {
	e.Kind = refusal.Unreachable
	switch {
	case lost.noHost:
		e.Cause = fmt.Sprintf("there is no host %s", c.transport.host)
		e.Remedy = "check the vault's name and cloud; a vault behind a private endpoint resolves only inside its network"
	case lost.refused:
		e.Cause = fmt.Sprintf("the proxy would not connect to %s (%s)", c.transport.host, lost)
		e.Remedy = "check the vault's name and cloud, and the proxy's rules"
	case lost.untrusted:
		e.Cause = fmt.Sprintf("what answers at %s has no certificate that is trusted here", c.transport.host)
		e.Remedy = "where a proxy ends TLS, name its root certificate in SSL_CERT_FILE"
	default:
		e.Cause = fmt.Sprintf("no answer from %s: %s", c.transport.host, lost)
		e.Remedy = "run the job again; if it stays, check the runner's network, proxy, and the vault's firewall"
	}
}

// A refusal's row: what its codes mean and what to do. The verbs are filled in by name: see fill.
type meaning struct {
	kind          refusal.Kind
	cause, remedy string
}

// The inner codes, which tell one 403 or 409 from another: the outer code is refusal.Forbidden or Conflict for all of them.
// https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
var meanings = map[string]meaning{
	"ForbiddenByRbac": {refusal.Forbidden, "the identity has no role here that allows it",
		"assign a role with the data action Microsoft.KeyVault/vaults/secrets/{action} at the vault; a new assignment takes up to 10 minutes to count"},
	"ForbiddenByPolicy": {refusal.Forbidden, "a policy forbids it: the vault's access policies lack the secret permission {permission}, or an Azure Policy wants an expiry or a content type",
		"add the permission (az keyvault set-policy --name {vault} --spn CLIENT_ID --secret-permissions set list), or declare expires and content-type as the Azure Policy wants"},
	"AccessDenied": {refusal.Forbidden, "the vault's access policies do not give the identity the secret permission {permission}",
		"add it: az keyvault set-policy --name {vault} --spn CLIENT_ID --secret-permissions set list"},
	"ForbiddenByFirewall": {refusal.Forbidden, "the vault's firewall does not admit the runner's address",
		"run the job on a runner inside the vault's network, or admit the address for the time of the job; GitHub's runners are no trusted service"},
	"ForbiddenByConnection": {refusal.Forbidden, "the vault admits private endpoints only",
		"run the job on a runner inside the vault's network"},
	"ObjectIsDeletedButRecoverable": {refusal.SoftDeleted, "the name is soft-deleted, and not free until it is recovered or purged",
		"set recover-deleted: true, or purge it where the vault allows: az keyvault secret purge --vault-name {vault} --name {secret}"},
	"ObjectIsBeingDeleted":   {refusal.BeingDeleted, "the name is just being deleted", "run the job again in a minute"},
	"ObjectIsBeingRecovered": {refusal.BeingDeleted, "the name is just being recovered", "run the job again in a minute"},
	"SecretDisabled":         {refusal.Forbidden, "the version is disabled", "enable it, or set a new version with mode: force"},
}

func (c *Client) explainAnswer(e *Error, a act, answer *azcore.ResponseError) {
	e.Status, e.Code, e.Inner = answer.StatusCode, code(answer.ErrorCode), innerCode(answer)
	if answer.RawResponse != nil {
		e.Trace = trace(answer.RawResponse.Header)
	}
	m, ok := meanings[e.Inner]
	if !ok {
		m = byStatus(e, a, codeAKV(answer))
	}
	e.Kind = m.kind
	e.Cause = c.fill(m.cause, a, e.Secret) + ": " + codes(e)
	e.Remedy = c.fill(m.remedy, a, e.Secret)
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

// byStatus is what is known of a refusal without an inner code that is known.
func byStatus(e *Error, a act, akv string) meaning {
	switch {
	case akv == "AKV10032":
		return meaning{refusal.Other, "the access token is of another tenant than the vault's (AKV10032)",
			"give the vault's tenant, and an identity in it, as tenant-id and client-id"}
	case e.Status == http.StatusUnauthorized:
		return meaning{refusal.Other, "the vault does not accept the access token, nor a new one", "run the job again; check tenant-id and client-id if it stays"}
	case e.Status == http.StatusForbidden && a == actSet:
		return meaning{refusal.Forbidden, "the vault refuses the secret, as an Azure Policy on expiry, content type or validity would",
			"declare expires and content-type as the policy wants, and see the vault's Policy compliance in the portal"}
	case e.Status == http.StatusForbidden:
		return meaning{refusal.Forbidden, "the vault refuses it", "look the inner code up in Key Vault's documentation"}
	case e.Status == http.StatusNotFound:
		return meaning{refusal.NotFound, "it is not there", "check the vault's name"}
	case e.Status == http.StatusConflict:
		return meaning{refusal.Other, "the vault is busy with the name", "run the job again in a minute"}
	case e.Status == http.StatusTooManyRequests:
		return meaning{refusal.Other, "the vault is throttled and stayed so", "run the job again later; the vault takes 300 new versions in 10 seconds from all its clients together"}
	case e.Status >= 300 && e.Status < 400:
		return meaning{refusal.Other, "the answer is a redirect, which is not followed: it would carry the value to another host",
			"check what stands between the runner and the vault"}
	case e.Status >= 500:
		return meaning{refusal.Other, "Key Vault is out of order, or read-only during a failover", "run the job again later; see https://azure.status.microsoft"}
	case e.Status == http.StatusBadRequest:
		return meaning{refusal.Other, "Key Vault does not accept the request", "check the value's size (25 KB), the tags, content type and expiry"}
	}
	return meaning{refusal.Other, "Key Vault refused", "look the code up in Key Vault's documentation"}
}

func (c *Client) fill(text string, a act, secret string) string {
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		switch name {
		case "{action}":
			return a.dataAction
		case "{permission}":
			return a.permission
		case "{vault}":
			return c.config.Name
		default:
			return secret
		}
	})
}

var placeholder = regexp.MustCompile(`\{(action|permission|vault|secret)\}`)

// codeText is what a code or request ID looks like. What does not is not printed: it is foreign text.
var codeText = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func code(text string) string {
	if !codeText.MatchString(text) {
		return ""
	}
	return text
}

// trace returns what Microsoft's support asks for.
func trace(header http.Header) string {
	if id := code(header.Get("x-ms-request-id")); id != "" {
		return "request ID " + id
	}
	return ""
}

// innerCode reads error.innererror.code of the answer. The SDK's ErrorCode is the outer one.
func innerCode(answer *azcore.ResponseError) string {
	inner, _ := readError(answer)
	return code(inner)
}

// akv matches the code that Key Vault puts before the message of a 401.
var akv = regexp.MustCompile(`^AKV\d{5}`)

// codeAKV returns that code where it says that no other token of ours would do: AKV10032, the wrong tenant.
func codeAKV(answer *azcore.ResponseError) string {
	_, message := readError(answer)
	if found := akv.FindString(message); found == "AKV10032" {
		return found
	}
	return ""
}

func readError(answer *azcore.ResponseError) (inner, message string) {
	if answer.RawResponse == nil {
		return "", ""
	}
	body, err := runtime.Payload(answer.RawResponse)
	if err != nil {
		return "", ""
	}
	var content struct {
		Error struct {
			Message string `json:"message"`
			Inner   struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &content) != nil {
		return "", ""
	}
	return content.Error.Inner.Code, content.Error.Message
}
