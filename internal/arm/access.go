package arm

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

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
	permissionsTimeout = 5 * time.Second
)

// checkAccess returns that the identity may not change the server, if Resource Manager says so. The vault has the new
// password before the server is asked, so that such a role, found out by the change alone, would leave the vault ahead
// in each run. Where the identity may not see its own permissions, or there is no answer, nothing is known.
// https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
func (t *Target) checkAccess(ctx context.Context) error {
	permissions, known := t.permissions(ctx)
	action := t.config.Server.Kind + "/write"
	for _, p := range permissions {
		if matchesAny(p.Actions, action) && !matchesAny(p.NotActions, action) {
			return nil
		}
	}
	if !known {
		return nil
	}
	e := t.newError(actLook)
	m := meanings["AuthorizationFailed"]
	e.Kind, e.Cause, e.Remedy = m.kind, "the identity has no role here that lets it change the "+
		"server", t.expand(m.remedy)
	return e
}

// permissions returns what the identity may do at the server, and whether that is known.
func (t *Target) permissions(ctx context.Context) (all []permission, known bool) {
	ctx, cancel := network.WithTimeout(ctx, permissionsTimeout)
	defer cancel()
	var list struct {
		Value    []permission `json:"value"`
		NextLink string       `json:"nextLink"`
	}
	err := sdk.CatchPanic(func() error {
		request, err := t.requestAt(ctx, http.MethodGet, "/providers/Microsoft.Authorization/permissions",
			permissionsVersion)
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
		return json.Unmarshal(body, &list)
	})
	return list.Value, err == nil && list.Value != nil && list.NextLink == ""
}

// matchesAny reports whether an action is among patterns. Letter case means nothing in one.
func matchesAny(patterns []string, action string) bool {
	for _, pattern := range patterns {
		if matches(strings.ToLower(pattern), strings.ToLower(action)) {
			return true
		}
	}
	return false
}

func matches(pattern, text string) bool {
	start, rest, wild := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, start)
	if !ok || !wild {
		return ok && text == ""
	}
	for i := range len(text) + 1 {
		if matches(rest, text[i:]) {
			return true
		}
	}
	return false
}
