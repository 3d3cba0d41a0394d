package arm

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/sdk"
)

// A server is what Resource Manager tells of one, as far as it is looked at. A member that a kind does not have is
// empty.
type server struct {
	ID         string `json:"id"`
	Properties struct {
		Login          string `json:"administratorLogin"`
		State          string `json:"state"`
		Role           string `json:"replicationRole"`
		Administrators struct {
			EntraOnly bool `json:"azureADOnlyAuthentication"`
		} `json:"administrators"` // of SQL's
		AuthConfig struct {
			Password string `json:"passwordAuth"`
		} `json:"authConfig"` // of PostgreSQL's
	} `json:"properties"`
}

// read reads an answer that must be about the server.
func (t *Target) read(response *http.Response) (s server, err error) {
	body, err := runtime.Payload(response)
	if err != nil {
		return s, err
	}
	if json.Unmarshal(body, &s) != nil || !strings.EqualFold(s.ID, t.config.Server.ID()) {
		return s, errMalformed
	}
	return s, nil
}

// passing are the states of flexible servers that end by themselves.
var passing = []string{"Updating", "Starting", "Restarting", "Provisioning", "Stopping"}

// isBusy reports whether another change of the server is under way.
func (t *Target) isBusy(s server) bool { return slices.Contains(passing, s.Properties.State) }

// check returns why the administrator's password cannot be set; nil if it can, or can as soon as the server is not
// busy.
func (t *Target) check(s server, login string) error {
	p := s.Properties
	e := t.newError(actLook)
	switch {
	case p.Administrators.EntraOnly, strings.EqualFold(p.AuthConfig.Password, "Disabled"):
		e.Cause, e.Remedy = entraAlone, t.expand(orWithout)
	case strings.HasSuffix(p.Role, "Replica"): // Replica, AsyncReplica, GeoAsyncReplica
		e.Cause = "the server is a read replica, and has the passwords of the server that it copies"
		e.Remedy = "declare the resource ID of that server"
	case login != "" && p.Login != "" && !t.sameLogin(p.Login, login):
		e.Cause = "the server's administrator has another login than the declared " + login
		if known := sdk.Code(p.Login); known != "" {
			e.Cause += ": " + known
			e.Remedy = "declare login: " + known
			break
		}
		e.Remedy = "declare the login that the server's page in the portal shows"
	case p.State != "" && p.State != t.kind.ready && !t.isBusy(s):
		e.Cause = "the server is not ready"
		if state := sdk.Code(p.State); state != "" {
			e.Cause += ", its state is " + state
		}
		e.Remedy = "see the server's page in the portal"
		if p.State == "Stopped" {
			e.Remedy = t.expand("start it: {command} start --name {server} --resource-group {group}")
		}
	default:
		return nil
	}
	return e
}

// sameLogin compares logins as the service does: those of SQL Server have no letter case.
// https://learn.microsoft.com/sql/t-sql/statements/create-login-transact-sql
func (t *Target) sameLogin(a, b string) bool {
	if t.config.Server.Kind == azure.SQLServer {
		return strings.EqualFold(a, b)
	}
	return a == b
}
