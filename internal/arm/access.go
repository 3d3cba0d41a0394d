package arm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/sdk"
)

// A permission is what one role gives the identity. A pattern may have asterisks, which stand for any text.
type permission struct {
	Actions    []string `json:"actions"`
	NotActions []string `json:"notActions"`
}

const (
	permissionsVersion = "2022-04-01"
	locksVersion       = "2016-09-01"
	askTimeout         = 5 * time.Second
)

// checkObstacles returns what forbids to change the server, whatever its state.
func (t *Target) checkObstacles(ctx context.Context) error {
	if err := t.checkAccess(ctx); err != nil {
		return err
	}
	return t.checkLocks(ctx)
}

// checkAccess returns that the identity may not change the server, if Resource Manager says so. The vault has the new
// password before the server is asked, so that such a role, found out by the change alone, would leave the vault ahead
// in each run. Where the identity may not see its own permissions, or there is no answer, nothing is known.
// https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
func (t *Target) checkAccess(ctx context.Context) error {
	for {
		allowed, known := t.mayChange(ctx)
		if allowed {
			t.config.Access.Passed(t.door(actSet))
		}
		if allowed || !known {
			return nil
		}
		e := t.newError(actLook)
		m := meanings["AuthorizationFailed"]
		e.Kind, e.Cause = m.kind, "the identity has no role here that lets it change the server"
		e.Remedy = t.expand(m.remedy)
		switch {
		case t.outlast(ctx, actSet, e):
		case ctx.Err() != nil:
			return t.cancelled(actLook)
		default:
			t.config.Access.Conclude(&e.Cause, &e.Remedy)
			return e
		}
	}
}

// mayChange returns whether the identity may change the server, and whether that is known.
func (t *Target) mayChange(ctx context.Context) (allowed, known bool) {
	permissions, known := t.permissions(ctx)
	action := t.config.Server.Kind + "/write"
	for _, p := range permissions {
		if matchesAny(p.Actions, action) && !matchesAny(p.NotActions, action) {
			return true, true
		}
	}
	return false, known
}

// accessPause is the least time between two requests for the same permission, while access is waited for.
const accessPause = 5 * time.Second

// door is what an act waits before: the server, for what its action allows.
func (t *Target) door(a act) string {
	return "server " + t.config.Server.Name + " (" + t.expand(a.action) + ")"
}

// isFresh reports whether a request was refused as one is whose role was assigned minutes ago: Resource Manager's front
// ends learn of it one by one. Such a request was certainly not applied.
func isFresh(err error) bool {
	answer, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && answer.StatusCode == http.StatusForbidden && saidBy(answer).code == "AuthorizationFailed"
}

// outlast waits until an act that was refused so may be tried again. It reports false if it is not to be.
func (t *Target) outlast(ctx context.Context, a act, seen *Error) bool {
	if !t.config.Access.Out(ctx.Done(), access.Refusal{Door: t.door(a), Seen: seen.Cause, Every: accessPause}) {
		return false
	}
	t.config.HTTP.CloseIdleConnections() // else the same front end would be asked again
	return true
}

// permissions returns what the identity may do at the server, and whether that is known.
func (t *Target) permissions(ctx context.Context) (all []permission, known bool) {
	var list struct {
		Value    []permission `json:"value"`
		NextLink string       `json:"nextLink"`
	}
	known = t.ask(ctx, "permissions", permissionsVersion, &list)
	return list.Value, known && list.Value != nil && list.NextLink == ""
}

// A lock is what forbids changes of a resource and of what is below it.
type lock struct {
	ID         string `json:"id"`
	Properties struct {
		Level string `json:"level"`
	} `json:"properties"`
}

// checkLocks returns that a lock forbids to change the server, if Resource Manager says so: for the same reason as
// checkAccess, and with as little effect where it does not say.
// https://learn.microsoft.com/rest/api/resources/management-locks/list-at-resource-level
func (t *Target) checkLocks(ctx context.Context) error {
	var list struct {
		Value []lock `json:"value"`
	}
	if !t.ask(ctx, "locks", locksVersion, &list) || !slices.ContainsFunc(list.Value, t.forbids) {
		return nil
	}
	e := t.newError(actLook)
	m := meanings["ScopeLocked"]
	e.Kind, e.Cause, e.Remedy = m.kind, m.cause, t.expand(m.remedy)
	return e
}

// forbids reports whether a lock is read-only, and at the server or above it. The list has those below it, too.
func (t *Target) forbids(l lock) bool {
	scope, _, _ := strings.Cut(strings.ToLower(l.ID), "/providers/microsoft.authorization/")
	return scope != "" && strings.EqualFold(l.Properties.Level, "ReadOnly") &&
		strings.HasPrefix(strings.ToLower(t.config.Server.ID())+"/", scope+"/")
}

// ask gets what Microsoft.Authorization knows of the server. It reports false if there is no answer.
func (t *Target) ask(ctx context.Context, what, version string, into any) bool {
	ctx, cancel := network.WithTimeout(ctx, askTimeout)
	defer cancel()
	return nil == sdk.CatchPanic(func() error {
		request, err := t.requestAt(ctx, http.MethodGet, "/providers/Microsoft.Authorization/"+what, version)
		if err != nil {
			return err
		}
		response, err := t.pipeline.Do(request) //nolint:bodyclose // the transport has read and closed it
		if err != nil {
			return err
		}
		if !runtime.HasStatusCode(response, http.StatusOK) {
			return runtime.NewResponseError(response)
		}
		body, err := runtime.Payload(response)
		if err != nil {
			return err
		}
		return json.Unmarshal(body, into)
	})
}

// matchesAny reports whether an action is among patterns. Letter case means nothing in one.
func matchesAny(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		form := "(?is)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		matched, err := regexp.MatchString(form, action)
		return err == nil && matched // a pattern that is too long for regexp matches nothing
	})
}
