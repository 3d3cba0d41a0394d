package emulator

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The data actions of secrets, as roles grant them.
// https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
const (
	SetSecret    = "setSecret/action"    // a new version
	ReadMetadata = "readMetadata/action" // lists
	Update       = "update/action"       // a version's attributes
	GetSecret    = "getSecret/action"    // a value
	Recover      = "recover/action"
	Delete       = "delete"
)

// actions is since when a principal may do what in a vault.
type actions map[string]sight

func newActions(list ...string) actions {
	a := actions{}
	for _, action := range list {
		a[action] = sight{time.Time{}}
	}
	return a
}

// requirement is what an operation needs: the data action, and its name in a vault with access policies.
var requirement = map[string]struct{ action, permission string }{
	"set":          {SetSecret, "set"},
	"get":          {GetSecret, "get"},
	"versions":     {ReadMetadata, "list"},
	"list":         {ReadMetadata, "list"},
	"list-deleted": {ReadMetadata, "list"},
	"update":       {Update, "set"},
	"delete":       {Delete, "delete"},
	"recover":      {Recover, "recover"},
}

// Grant lets an application do more in a vault or a server of that name. Client "" is the Emulator's own, name "" is
// all, also those to come.
func (e *Emulator) Grant(client, name string, list ...string) {
	e.access(client, name, e.seenAfter(nil), list)
}

// Revoke takes from an application what it may do in a vault or a server, with the same meaning of "" as Grant; no list
// is everything.
func (e *Emulator) Revoke(client, name string, list ...string) {
	if len(list) == 0 {
		list = []string{
			SetSecret, ReadMetadata, Update, GetSecret, Recover, Delete,
			ReadServer, WriteServer, ReadOperations, ReadPermissions, ReadLocks,
		}
	}
	e.access(client, name, nil, list)
}

func (e *Emulator) access(client, name string, seen sight, list []string) {
	client = strings.ToLower(cmp.Or(client, e.options.Client))
	e.mu.Lock()
	defer e.mu.Unlock()
	if name == "" {
		e.granted[client] = e.granted[client].with(list, seen)
	}
	for _, s := range e.servers {
		if name == "" || strings.EqualFold(s.options.Name, name) {
			s.mu.Lock()
			s.access[client] = s.access[client].with(list, seen)
			s.mu.Unlock()
		}
	}
	for _, v := range e.vaults {
		if name == "" || strings.EqualFold(v.options.Name, name) {
			v.mu.Lock()
			v.access[client] = v.access[client].with(list, seen)
			v.mu.Unlock()
		}
	}
}

func (a actions) with(list []string, seen sight) actions {
	if a == nil {
		a = actions{}
	}
	for _, action := range list {
		a[action] = seen
	}
	return a
}

// authorize refuses a caller whom network or permissions keep from an operation; the caller of it holds the vault's
// lock.
func (c *call) authorize(t accessToken) *refusal {
	v := c.vault
	v.turn++ // each request is the next front end's
	admitted := v.admitted.by(v.turn, c.now)
	switch {
	case v.options.PublicAccessDisabled && !admitted:
		return c.denial("ForbiddenByConnection", t)
	case v.options.Firewall && !admitted:
		return c.denial("ForbiddenByFirewall", t)
	}
	need, known := requirement[c.operation]
	switch {
	case !known || v.access[t.client][need.action].by(v.turn, c.now):
		return nil
	case v.options.AccessPolicy:
		return c.denial("AccessDenied", t)
	}
	return c.denial("ForbiddenByRbac", t)
}

// denial is the refusal with an inner code, in the words of the vault.
func (c *call) denial(inner string, t accessToken) *refusal {
	v, need := c.vault, requirement[c.operation]
	caller := fmt.Sprintf("appid=%s;oid=%s;iss=%s", t.client, objectID(t.client), t.issuer)
	place := v.options.Name + ";location=" + v.options.Region
	switch inner {
	case "ForbiddenByConnection":
		return forbidden(inner,
			"Public network access is disabled and request is not from a trusted service "+
				"nor via an approved private link.\r\nCaller: "+caller+"\r\nVault: "+place)
	case "ForbiddenByFirewall":
		return forbidden(inner,
			"Client address is not authorized and caller is not a trusted service.\r\n"+
				"Client address: "+clientAddress+"\r\nCaller: "+caller+"\r\nVault: "+place)
	case "AccessDenied":
		return forbidden(inner,
			fmt.Sprintf("The user, group or application '%s' does not have secrets %s permission "+
				"on key vault '%s'. For help resolving this issue, please see "+
				"https://go.microsoft.com/fwlink/?linkid=2125287",
				caller, need.permission, place))
	}
	return forbidden(inner, "Caller is not authorized to perform action on resource.\r\n"+
		"If role assignments, deny assignments or role definitions were changed recently, please observe propagation "+
		"time.\r\n"+
		"Caller: "+caller+"\r\nAction: 'Microsoft.KeyVault/vaults/secrets/"+need.action+"'\r\n"+
		"Resource: '"+v.resource(c.name)+"'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n"+
		"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: "+place+"\r\n")
}

func forbidden(inner, message string) *refusal {
	return &refusal{status: http.StatusForbidden, code: "Forbidden", inner: inner, message: message}
}
