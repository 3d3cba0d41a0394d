// Package arm sets the password of a database server's administrator through Azure Resource Manager: that of an Azure
// SQL logical server, or of an Azure Database for PostgreSQL or MySQL flexible server.
//
// A [Target] looks at its server before a password is drawn, and refuses what could not be set: a server that is not
// there, takes no passwords, is a replica, is stopped, or has another administrator. After the vault has the password,
// [Target.Finish] sets it and follows the change to its end. It sends the same value again where an answer is lost,
// which does no harm, and waits where the server is busy. If the run is stopped it says what is known: not sent,
// accepted, or set.
//
// The token and the password go to the cloud's Resource Manager and to no other host, whatever an answer says. Errors
// hold neither, and no body of an answer. Resource Manager never tells a password, and has no place for a marker that
// would not replace what is there: which version a server holds is for the vault's tags to say.
package arm

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	azarm "github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sdk"
	"keyvault-passwords/internal/sensitive"
)

// Config says which server, and as whom. Server, Cloud, Credential and HTTP are required.
type Config struct {
	Server     azure.Server
	Cloud      azure.Cloud
	Credential sdk.Credential
	HTTP       *http.Client
	Note       func(text string) // is called with what the log should say, such as why the target waits
	ClientID   string            // of the identity, for the commands of remedies
	Access     *access.Wait      // for a role that was assigned minutes ago; nil: for nothing
}

// A Target is the administrator's password of one server. Calls come from one goroutine at a time. It has no lock that
// keeps other runs out: Resource Manager has none.
type Target struct {
	config   Config
	kind     kind
	pipeline runtime.Pipeline
	password *sensitive.Value // nil: there is none to set
}

// A kind is what differs between the kinds of servers.
type kind struct {
	version   string // of the API
	expand    string // what else a look must ask for: it is not in the answer otherwise
	namespace string // of the resource provider
	command   string // of the az command line
	preset    string // the policy with the service's rules
	ready     string // the state in which the password can be set
	enable    string // the command that lets the server take passwords: see expand
}

// kinds are those of https://github.com/Azure/azure-rest-api-specs, under sql, postgresql and mysql: stable versions.
var kinds = map[string]kind{
	azure.SQLServer: {
		version:   "2023-08-01",
		expand:    "administrators/activedirectory", // has azureADOnlyAuthentication
		namespace: "Microsoft.Sql",
		command:   "az sql server",
		preset:    "azure-sql",
		ready:     "Ready",
		enable:    "az sql server ad-only-auth disable --name {server} --resource-group {group}",
	},
	azure.PostgreSQLServer: {
		version:   "2024-08-01",
		namespace: "Microsoft.DBforPostgreSQL",
		command:   "az postgres flexible-server",
		preset:    "azure-postgresql",
		ready:     "Ready",
		enable: "az postgres flexible-server update --name {server} --resource-group {group} " +
			"--password-auth Enabled",
	},
	azure.MySQLServer: {
		version:   "2023-12-30",
		namespace: "Microsoft.DBforMySQL",
		command:   "az mysql flexible-server",
		preset:    "azure-mysql",
		ready:     "Ready",
	},
}

// New returns a target. It contacts nothing.
func New(c Config) (*Target, error) {
	if c.Note == nil {
		c.Note = func(string) {}
	}
	endpoint := "https://" + c.Cloud.Manager
	client, err := azarm.NewClient("arm", "v1.0.0", sdk.Marked(c.Credential), &azarm.ClientOptions{
		// Else a refusal would make the SDK register resource providers in the subscription.
		DisableRPRegistration: true,
		ClientOptions: policy.ClientOptions{
			Cloud: azcloud.Configuration{
				ActiveDirectoryAuthorityHost: c.Cloud.Authority,
				Services: map[azcloud.ServiceName]azcloud.ServiceConfiguration{
					azcloud.ResourceManager: {Audience: endpoint, Endpoint: endpoint},
				},
			},
			Transport: transport{host: c.Cloud.Manager, client: c.HTTP},
			Telemetry: policy.TelemetryOptions{ApplicationID: "keyvault-passwords"},
			Retry:     policy.RetryOptions{MaxRetries: -1}, // see waits
		},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the client of server %s: %w", c.Server.Name, err)
	}
	return &Target{config: c, kind: kinds[c.Server.Kind], pipeline: client.Pipeline()}, nil
}

// Look looks at the server and checks that its administrator's password can be set. If login is not "", it is the login
// that the administrator must have. The operation is always "": the server does not tell which password it holds. It
// changes nothing.
//
// It needs the action TYPE/read, such as Microsoft.Sql/servers/read. With Microsoft.Authorization/permissions/read it
// finds out whether the identity may change the server, and with Microsoft.Authorization/locks/read whether a lock
// forbids it; without, only the change does. Its error is an [*Error].
func (t *Target) Look(ctx context.Context, login string) (operation string, err error) {
	s, err := t.get(ctx)
	if err == nil {
		err = t.check(s, login)
	}
	if err == nil {
		err = t.checkObstacles(ctx)
	}
	return "", err
}

// busyTimeout bounds the wait for a server that is busy with another change, such as a new size.
const busyTimeout = 5 * time.Minute

// Lock checks as Look does, and waits until no other change of the server is under way. It keeps nobody out.
func (t *Target) Lock(ctx context.Context, login string) error {
	end := time.Now().Add(busyTimeout)
	for pause := 2 * time.Second; ; pause = min(2*pause, 15*time.Second) {
		s, err := t.get(ctx)
		if err != nil {
			return err
		}
		if err := t.check(s, login); err != nil {
			return err
		}
		if !t.isBusy(s) {
			return t.checkObstacles(ctx)
		}
		if pause == 2*time.Second {
			t.config.Note(fmt.Sprintf("server %s is busy: waiting up to %s", t.config.Server.Name, busyTimeout))
		}
		if time.Now().Add(pause).After(end) {
			e := t.newError(actLook)
			e.Cause = fmt.Sprintf("after %s another change of the server was still under way", busyTimeout)
			e.Remedy = "run the job again when it is done; the server's Activity log in the portal shows it"
			return e
		}
		if !network.Sleep(ctx.Done(), pause) {
			return t.cancelled(actLook)
		}
	}
}

// Prepare keeps the password for Finish. Nothing is sent: Resource Manager has no way back from a change.
func (t *Target) Prepare(_ context.Context, _, _ string, password sensitive.Value) error {
	t.password = &password
	return nil
}

// Held returns nil: there is no lock that could be lost.
func (*Target) Held(context.Context) error { return nil }

// Undo forgets the password, which the server has not been sent.
func (t *Target) Undo(context.Context) error {
	t.password = nil
	return nil
}

// Unlock forgets the password.
func (t *Target) Unlock() { t.password = nil }

// request returns a request for the server.
func (t *Target) request(ctx context.Context, method string) (*policy.Request, error) {
	return t.requestAt(ctx, method, "", t.kind.version)
}

// requestAt returns a request for the server, or for what is below it.
func (t *Target) requestAt(ctx context.Context, method, below, version string) (*policy.Request, error) {
	s := t.config.Server
	place := "https://" + t.config.Cloud.Manager + "/subscriptions/" + s.Subscription + "/resourceGroups/" +
		url.PathEscape(s.ResourceGroup) + "/providers/" + s.Kind + "/" + s.Name + below
	request, err := runtime.NewRequest(ctx, method, place)
	if err != nil {
		return nil, err
	}
	request.Raw().URL.RawQuery = "api-version=" + version
	request.Raw().Header.Set("Accept", "application/json")
	return request, nil
}

// get looks at the server, again after failures that end by themselves.
func (t *Target) get(ctx context.Context) (s server, err error) {
	w := waits{Target: t, act: actLook, limit: lookTimeout}
	for {
		err = sdk.CatchPanic(func() error {
			request, err := t.request(ctx, http.MethodGet)
			if err != nil {
				return err
			}
			if t.kind.expand != "" {
				request.Raw().URL.RawQuery += "&$expand=" + url.QueryEscape(t.kind.expand)
			}
			response, err := t.pipeline.Do(request)
			if err != nil {
				return err
			}
			defer func() { _ = response.Body.Close() }() // it was read
			if !runtime.HasStatusCode(response, http.StatusOK) {
				return runtime.NewResponseError(response)
			}
			s, err = t.read(response)
			return err
		})
		switch {
		case err == nil:
			t.config.Access.Passed(t.door(actLook))
			return s, nil
		case ctx.Err() != nil:
			return s, t.cancelled(actLook)
		case !w.again(ctx, err):
			if ctx.Err() != nil {
				return s, t.cancelled(actLook)
			}
			return s, t.explain(actLook, err)
		}
	}
}

// newError returns the refusal of an act on the server.
func (t *Target) newError(a act) *Error {
	return &Error{Refusal: refusal.Refusal{Act: a.text + " " + t.config.Server.Name}}
}
