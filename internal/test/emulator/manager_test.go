package emulator_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/test/emulator"
)

// Who asks Resource Manager.
const (
	owner    = "owner"    // the default application: it looks at servers, changes them and follows operations
	watcher  = "watcher"  // may only look
	starter  = "starter"  // may look and change, but not follow what it starts
	outsider = "outsider" // may do nothing
	vaulted  = "vaulted"  // a token for vaults
)

const (
	group  = "/subscriptions/6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90/resourceGroups/rg-example"
	sql    = group + "/providers/Microsoft.Sql/servers/"
	flexPg = group + "/providers/Microsoft.DBforPostgreSQL/flexibleServers/"
	flexMy = group + "/providers/Microsoft.DBforMySQL/flexibleServers/"
	sound  = `{"properties":{"administratorLoginPassword":"Aa1!Aa1!Aa1!"}}`
	sqlAPI = "?api-version=2023-08-01"
	// permissionsOf is where a caller\'s own permissions at a server are.
	permissionsOf = "/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
	locksOf       = "/providers/Microsoft.Authorization/locks?api-version=2016-09-01"
	pgAPI         = "?api-version=2024-08-01"
	myAPI         = "?api-version=2023-12-30"
	no2nd         = "" +
		`{"error":{"code":"UpsertLogicalServerRequestAlreadyInProgress","message":"An ongoing logical server request is already in progress, please try your request again later."}}`
	sqlBody = "" +
		`{"kind":"v12.0","properties":{"administratorLogin":"sqladmin","version":"12.0","state":"Ready","fullyQualifiedDomainName":"sql.database.windows.net"},"location":"westeurope","id":"` + sql + `sql","name":"sql","type":"Microsoft.Sql/servers"}`
	started = `"startTime":"2000-01-01T00:00:00Z"`
)

// managed is Resource Manager on a page, as far as it is about the passwords of servers. Time stands still but for the
// rows that let it pass. "(operation)" and "(result)" are where the latest 202 said to ask. Sources are said in
// manager.go and manager_routes.go, at each text.
var managed = []struct {
	name    string
	who     string
	request string
	body    string
	status  int
	want    string
	pass    time.Duration
}{
	{name: "no token", who: nobody, request: "GET " + sql + "sql" + sqlAPI,
		status: 401,
		want:   `{"error":{"code":"AuthenticationFailed","message":"Authentication failed. The 'Authorization' header is missing."}}`},
	{name: "a token that nobody issued", who: forged, request: "GET " + sql + "sql" + sqlAPI,
		status: 401, want: `{"error":{"code":"InvalidAuthenticationToken","message":"The access token is invalid."}}`},
	{name: "a token for vaults", who: vaulted, request: "GET " + sql + "sql" + sqlAPI,
		status: 401,
		want:   `{"error":{"code":"InvalidAuthenticationTokenAudience","message":"The access token has been obtained for wrong audience or resource 'https://vault.azure.net'. It should exactly match with one of the allowed audiences 'https://management.core.windows.net/','https://management.core.windows.net','https://management.azure.com/','https://management.azure.com'."}}`},
	{name: "a token of another tenant", who: foreign, request: "GET " + sql + "sql" + sqlAPI,
		status: 401,
		want:   `{"error":{"code":"InvalidAuthenticationTokenTenant","message":"The access token is from the wrong issuer 'https://sts.windows.net/` + another + `/'. It must match the tenant 'https://sts.windows.net/TENANT/' associated with this subscription."}}`},
	{name: "without an api-version", who: owner, request: "GET " + sql + "sql",
		status: 400,
		want:   `{"error":{"code":"MissingApiVersionParameter","message":"The api-version query parameter (?api-version=) is required for all requests."}}`},
	{name: "another kind's api-version", who: owner, request: "GET " + sql + "sql" + myAPI,
		status: 400,
		want:   `{"error":{"code":"NoRegisteredProviderFound","message":"No registered resource provider found for location 'West Europe' and API version '2023-12-30' for type 'Microsoft.Sql/servers'."}}`},
	{name: "a subscription that is not there", who: owner,
		request: "GET " + strings.Replace(sql, emulator.DefaultSubscription, another, 1) + "sql" + sqlAPI,
		status:  404,
		want: `{"error":{"code":"SubscriptionNotFound","message":"The subscription '` + another +
			`' could not be found."}}`},
	{name: "a server that is not there", who: owner, request: "GET " + sql + "nosuch" + sqlAPI,
		status: 404,
		want:   `{"error":{"code":"ResourceNotFound","message":"The Resource 'Microsoft.Sql/servers/nosuch' under resource group 'rg-example' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"}}`},
	{name: "whoever may see nothing is told nothing", who: outsider, request: "GET " + sql + "nosuch" + sqlAPI,
		status: 403, want: denied("read", sql+"nosuch")},
	{name: "no role", who: outsider, request: "GET " + sql + "sql" + sqlAPI,
		status: 403, want: denied("read", sql+"sql")},
	{name: "a role that only looks", who: watcher, request: "PATCH " + sql + "sql" + sqlAPI, body: sound,
		status: 403, want: denied("write", sql+"sql")},
	{name: "a server, in any letter case", who: watcher, request: "GET " + strings.ToUpper(sql) + "SQL" + sqlAPI,
		status: 200, want: sqlBody},
	{name: "what one may do", who: owner, request: "GET " + sql + "sql" + permissionsOf,
		status: 200,
		want:   `{"value":[{"actions":["Microsoft.Sql/servers/read","Microsoft.Sql/servers/write","Microsoft.Authorization/permissions/read"],"notActions":[],"dataActions":[],"notDataActions":[]}]}`},
	{name: "what one may do, who may not see it", who: watcher, request: "GET " + sql + "sql" + permissionsOf,
		status: 403,
		want: strings.Replace(denied("read", sql+"sql"), "Microsoft.Sql/servers/read",
			"Microsoft.Authorization/permissions/read", 1)},
	{name: "what is locked", who: owner, request: "GET " + sql + "locked" + locksOf, status: 200,
		want: `{"value":[{"properties":{"level":"CanNotDelete"},"id":"` + sql +
			`locked/databases/orders/providers/Microsoft.Authorization/locks/keep","type":"Microsoft.Authorization/locks","name":"keep"},` +
			`{"properties":{"level":"ReadOnly"},"id":"` + group +
			`/providers/Microsoft.Authorization/locks/freeze","type":"Microsoft.Authorization/locks","name":"freeze"}]}`},
	{name: "what is locked, who may not see it", who: watcher, request: "GET " + sql + "sql" + locksOf, status: 403,
		want: strings.Replace(denied("read", sql+"sql"), "Microsoft.Sql/servers/read",
			"Microsoft.Authorization/locks/read", 1)},
	{name: "a password that is too short", who: owner, request: "PATCH " + sql + "sql" + sqlAPI,
		body: `{"properties":{"administratorLoginPassword":"Aa1!"}}`, status: 400,
		want: `{"error":{"code":"PasswordTooShort","message":"Password validation failed. The password does not meet policy requirements because it is too short."}}`},
	{name: "one that is too long", who: owner, request: "PATCH " + sql + "sql" + sqlAPI,
		body:   `{"properties":{"administratorLoginPassword":"` + strings.Repeat("Aa1!", 33) + `"}}`,
		status: 400,
		want:   `{"error":{"code":"PasswordTooLong","message":"Password validation failed. The password does not meet policy requirements because it is too long."}}`},
	{name: "one of two classes", who: owner, request: "PATCH " + sql + "sql" + sqlAPI,
		body: `{"properties":{"administratorLoginPassword":"P2SSWORD"}}`, status: 400,
		want: `{"error":{"code":"PasswordNotComplex","message":"Password validation failed. The password does not meet policy requirements because it is not complex enough."}}`},
	{name: "one with the login in it", who: owner, request: "PATCH " + sql + "sql" + sqlAPI,
		body: `{"properties":{"administratorLoginPassword":"Aa1!SqlAdmin"}}`, status: 400,
		want: `{"error":{"code":"PasswordNotComplex","message":"Password validation failed. The password does not meet policy requirements because it is not complex enough."}}`},
	{name: "no JSON", who: owner, request: "PATCH " + sql + "sql" + sqlAPI, body: "[]", status: 400,
		want: `{"error":{"code":"InvalidRequestContent","message":"The request content was invalid and could not be deserialized."}}`},
	{name: "a change that takes a while", who: owner, request: "PATCH " + sql + "sql" + sqlAPI, body: sound,
		status: 202, want: `{"operation":"UpsertLogicalServer",` + started + `}`},
	{name: "a second one meanwhile", who: owner, request: "PATCH " + sql + "sql" + sqlAPI, body: sound,
		status: 409, want: no2nd},
	{name: "how it ends is not known yet", who: owner, request: "GET (operation)",
		status: 200, want: `{"name":"GUID","status":"InProgress",` + started + `}`},
	{name: "its result neither", who: owner, request: "GET (result)",
		status: 202, want: `{"operation":"UpsertLogicalServer",` + started + `}`},
	{name: "another caller is told nothing", who: watcher, request: "GET (operation)",
		status: 403,
		want:   `{"error":{"code":"AuthorizationFailed","message":"The client 'CLIENT' with object id 'OBJECT' does not have authorization to perform action 'Microsoft.Sql/locations/serverAzureAsyncOperation/read' over scope '` + group + `/providers/Microsoft.Sql/locations/westeurope' or the scope is invalid. If access was recently granted, please refresh your credentials."}}`},
	{name: "now it has ended", who: owner, request: "GET (operation)", pass: time.Second,
		status: 200, want: `{"name":"GUID","status":"Succeeded",` + started + `}`},
	{name: "with the server as its result", who: owner, request: "GET (result)", status: 200, want: sqlBody},
	{name: "an operation that is not there", who: owner,
		request: "GET " + group + "/providers/Microsoft.Sql/locations/westeurope/serverAzureAsyncOperation/nosuch" +
			sqlAPI,
		status: 404,
		want:   `{"error":{"code":"OperationIdNotFound","message":"The operation with Id does not exist."}}`},
	{name: "a server that is deferred accepts any password", who: owner, request: "PATCH " + sql + "deferred" + sqlAPI,
		body:   `{"properties":{"administratorLoginPassword":"P2SSWORD"}}`,
		status: 202, want: `{"operation":"UpsertLogicalServer","startTime":"2000-01-01T00:00:01Z"}`},
	{name: "and then fails", who: owner, request: "GET (operation)", pass: time.Second,
		status: 200,
		want:   `{"name":"GUID","status":"Failed","startTime":"2000-01-01T00:00:01Z","error":{"code":"PasswordNotComplex","message":"Password validation failed. The password does not meet policy requirements because it is not complex enough."}}`},
	{name: "by its result too", who: owner, request: "GET (result)",
		status: 400,
		want:   `{"error":{"code":"PasswordNotComplex","message":"Password validation failed. The password does not meet policy requirements because it is not complex enough."}}`},
	{name: "a change that takes no time", who: owner, request: "PATCH " + sql + "instant" + sqlAPI, body: sound,
		status: 200,
		want:   strings.NewReplacer(`sql"`, `instant"`, "sql.data", "instant.data").Replace(sqlBody)},
	{name: "Entra alone, not asked for", who: owner, request: "GET " + sql + "entra" + sqlAPI, status: 200,
		want: `{"kind":"v12.0","properties":{"administratorLogin":"sqladmin","version":"12.0","state":"Ready","fullyQualifiedDomainName":"entra.database.windows.net"},"location":"westeurope","id":"` +
			sql + `entra","name":"entra","type":"Microsoft.Sql/servers"}`},
	{name: "Entra alone, asked for", who: owner, status: 200,
		request: "GET " + sql + "entra" + sqlAPI + "&$expand=administrators/activedirectory",
		want: `{"kind":"v12.0","properties":{"administratorLogin":"sqladmin","version":"12.0","state":"Ready","fullyQualifiedDomainName":"entra.database.windows.net","administrators":{"administratorType":"ActiveDirectory","azureADOnlyAuthentication":true}},"location":"westeurope","id":"` +
			sql + `entra","name":"entra","type":"Microsoft.Sql/servers"}`},
	{name: "without passwords", who: owner, request: "PATCH " + sql + "entra" + sqlAPI, body: sound,
		status: 400,
		want:   `{"error":{"code":"AadOnlyAuthenticationIsEnabled","message":"Azure Active Directory Only Authentication is enabled. Please contact your system administrator."}}`},
	{name: "a lock", who: owner, request: "PATCH " + sql + "locked" + sqlAPI, body: sound,
		status: 409,
		want: `{"error":{"code":"ScopeLocked","message":"The scope '` + sql +
			`locked' cannot perform write operation because following scope(s) are locked: '` + group +
			`'. Please remove the lock and try again."}}`},
	{name: "an Azure Policy", who: owner, request: "PATCH " + sql + "policy" + sqlAPI, body: sound,
		status: 403,
		want:   `{"error":{"code":"RequestDisallowedByPolicy","message":"Resource 'policy' was disallowed by policy. Policy identifiers: '[{\"policyAssignment\":{\"name\":\"No changes\",\"id\":\"/subscriptions/6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90/providers/Microsoft.Authorization/policyAssignments/deny\"}}]'."}}`},
	{name: "a disabled server", who: owner, request: "PATCH " + sql + "disabled" + sqlAPI, body: sound,
		status: 409, want: `{"error":{"code":"ServerDisabled","message":"Server is disabled."}}`},
	{name: "PostgreSQL", who: owner, request: "GET " + flexPg + "pg" + pgAPI,
		status: 200,
		want:   `{"properties":{"administratorLogin":"pgadmin","version":"16","state":"Ready","fullyQualifiedDomainName":"pg.postgres.database.azure.com","authConfig":{"activeDirectoryAuth":"Enabled","passwordAuth":"Enabled"},"replicationRole":"Primary"},"location":"West Europe","id":"` + flexPg + `pg","name":"pg","type":"Microsoft.DBforPostgreSQL/flexibleServers"}`},
	{name: "PostgreSQL without passwords", who: owner, request: "GET " + flexPg + "pg-entra" + pgAPI,
		status: 200,
		want:   `{"properties":{"version":"16","state":"Ready","fullyQualifiedDomainName":"pg-entra.postgres.database.azure.com","authConfig":{"activeDirectoryAuth":"Enabled","passwordAuth":"Disabled"},"replicationRole":"Primary"},"location":"West Europe","id":"` + flexPg + `pg-entra","name":"pg-entra","type":"Microsoft.DBforPostgreSQL/flexibleServers"}`},
	{name: "PostgreSQL that is stopped", who: owner, request: "PATCH " + flexPg + "pg-stopped" + pgAPI, body: sound,
		status: 409,
		want:   `{"error":{"code":"ServerIsNotReady","message":"The server is not ready for this operation. Server Name = pg-stopped, Current Server State = Stopped"}}`},
	{name: "a replica", who: owner, request: "PATCH " + flexPg + "pg-replica" + pgAPI, body: sound,
		status: 500,
		want:   `{"error":{"code":"InternalServerError","message":"An unexpected error occured while processing the request. Tracking ID: 'GUID'"}}`},
	{name: "PostgreSQL changes", who: starter, request: "PATCH " + flexPg + "pg" + pgAPI, body: sound,
		status: 202,
		want:   `{"operation":"UpsertServerManagementOperationV2","startTime":"2000-01-01T00:00:02Z"}`},
	{name: "which its starter may not follow", who: starter, request: "GET (operation)",
		status: 403,
		want:   `{"error":{"code":"AuthorizationFailed","message":"The client 'CLIENT' with object id 'OBJECT' does not have authorization to perform action 'Microsoft.DBforPostgreSQL/locations/azureAsyncOperation/read' over scope '` + group + `/providers/Microsoft.DBforPostgreSQL/locations/West Europe' or the scope is invalid. If access was recently granted, please refresh your credentials."}}`},
	{name: "nor anybody else", who: owner, request: "GET (operation)",
		status: 403,
		want:   `{"error":{"code":"Unauthorized","message":"Only the original caller of an asynchronous operation is allowed to retrieve the results."}}`},
	{name: "MySQL", who: owner, request: "GET " + flexMy + "my-replica" + myAPI,
		status: 200,
		want:   `{"properties":{"administratorLogin":"sqladmin","version":"8.0.21","state":"Stopped","fullyQualifiedDomainName":"my-replica.mysql.database.azure.com","replicationRole":"Replica"},"location":"West Europe","id":"` + flexMy + `my-replica","name":"my-replica","type":"Microsoft.DBforMySQL/flexibleServers"}`},
	{name: "MySQL that is stopped", who: owner, request: "PATCH " + flexMy + "my-stopped" + myAPI, body: sound,
		status: 409,
		want:   `{"error":{"code":"ServerUnavailableForOperation","message":"Operation 'UpdateServer' cannot be performed as server 'my-stopped' is currently in state 'Stopped'."}}`},
	{name: "a method that is none", who: owner, request: "DELETE " + sql + "sql" + sqlAPI,
		status: 404,
		want:   `{"error":{"code":"InvalidResourceType","message":"The resource type could not be found in the namespace for the api version."}}`},
}

// denied is what a caller without a role is told.
func denied(action, scope string) string {
	return "" +
		`{"error":{"code":"AuthorizationFailed","message":"The client 'CLIENT' with object id 'OBJECT' does not have authorization to perform action 'Microsoft.Sql/servers/` + action +
		`' over scope '` + scope +
		`' or the scope is invalid. If access was recently granted, please refresh your credentials."}}`
}

// newManaged is a world of servers, and the tokens of those who ask.
func newManaged(t *testing.T) (direct, map[string]string) {
	t.Helper()
	d := direct{emulator.New(emulator.Options{}), t}
	for _, o := range []emulator.ServerOptions{
		{Name: "sql"}, {Name: "deferred", Deferred: true}, {Name: "instant", Takes: -1},
		{Name: "entra", EntraOnly: true},
		{Name: "locked", Locked: true}, {Name: "policy", Policy: "No changes"}, {Name: "disabled", State: "Disabled"},
		{Name: "pg", Kind: emulator.PostgreSQLServer, Login: "pgadmin"},
		{Name: "pg-entra", Kind: emulator.PostgreSQLServer, EntraOnly: true},
		{Name: "pg-stopped", Kind: emulator.PostgreSQLServer, State: "Stopped"},
		{Name: "pg-replica", Kind: emulator.PostgreSQLServer, Replica: true},
		{Name: "my-replica", Kind: emulator.MySQLServer, Replica: true, State: "Stopped"},
		{Name: "my-stopped", Kind: emulator.MySQLServer, State: "Stopped"},
	} {
		d.AddServer(o)
	}
	const watcherID, starterID = "11111111-2222-4333-8444-555555555555", "11111111-2222-4333-8444-666666666666"
	for _, client := range []string{visitorID, watcherID, starterID} {
		d.Trust(emulator.Credential{Client: client})
	}
	d.Trust(emulator.Credential{Tenant: another, Client: visitorID})
	d.Grant(watcherID, "", emulator.ReadServer)
	d.Grant(starterID, "pg", emulator.ReadServer, emulator.WriteServer)
	manager := func(tenant, client string) string {
		form := tokenForm(client, d.ask("api://AzureADTokenExchange"),
			map[string]string{"scope": "https://management.azure.com/.default"})
		return d.do(http.MethodPost, "https://login.microsoftonline.com/"+tenant+"/oauth2/v2.0/token", "", form).
			member(t, "access_token")
	}
	return d, map[string]string{
		nobody: "", forged: "e30.e30.e30",
		vaulted:  d.token(emulator.DefaultTenant, emulator.DefaultClient),
		owner:    manager(emulator.DefaultTenant, emulator.DefaultClient),
		watcher:  manager(emulator.DefaultTenant, watcherID),
		starter:  manager(emulator.DefaultTenant, starterID),
		outsider: manager(emulator.DefaultTenant, visitorID),
		foreign:  manager(another, visitorID),
	}
}

var (
	aGUID   = regexp.MustCompile(`("name":"|Tracking ID: ')[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	aCaller = regexp.MustCompile(`The client '[^']+' with object id '[^']+'`)
)

// TestManager asks as the table says.
func TestManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, tokens := newManaged(t)
		places := map[string]string{}
		for _, x := range managed {
			time.Sleep(x.pass)
			method, url, _ := strings.Cut(x.request, " ")
			if strings.HasPrefix(url, "/") {
				url = "https://management.azure.com" + url
			} else {
				url = places[url]
			}
			v := d.do(method, url, tokens[x.who], x.body)
			if v.status == http.StatusAccepted && method == http.MethodPatch {
				places["(operation)"] = v.header.Get("Azure-AsyncOperation")
				places["(result)"] = v.header.Get("Location")
			}
			if v.status != x.status {
				t.Errorf("%s: %s answers %d, want %d", x.name, x.request, v.status, x.status)
			}
			got := aGUID.ReplaceAllString(aCaller.ReplaceAllString(shape(v.body),
				"The client 'CLIENT' with object id 'OBJECT'"), "${1}GUID")
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("%s: %s answers otherwise (-want +got):\n%s", x.name, x.request, diff)
			}
			if v.header.Get("x-ms-request-id") == "" || v.header.Get("x-ms-correlation-request-id") == "" {
				t.Errorf("%s: the answer has no request ID", x.name)
			}
		}
	})
}

// TestServersTellWhoGetsIn holds what a test can see of a server's password against what was sent.
func TestServersTellWhoGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, tokens := newManaged(t)
		id := d.AddServer(emulator.ServerOptions{Name: "own", Password: "Before1!", Login: "boss"})
		getsIn := func(password string) bool { return d.LogsIn(id, "Boss", password) }
		if !getsIn("Before1!") || d.LogsIn(id, "other", "Before1!") || d.LogsIn(sql+"nosuch", "boss", "Before1!") {
			t.Error("the password of before does not open the server, or another login or server")
		}
		closed := d.AddServer(emulator.ServerOptions{Name: "entra", EntraOnly: true, Password: "Before1!",
			Login: "boss"})
		if d.LogsIn(closed, "boss", "Before1!") {
			t.Error("a password opens a server that takes none")
		}
		d.do(http.MethodPatch, "https://management.azure.com"+id+sqlAPI, tokens[owner],
			`{"properties":{"administratorLoginPassword":"After12!"},"tags":{}}`)
		if !getsIn("Before1!") || getsIn("After12!") {
			t.Error("a change that is under way has changed the password")
		}
		time.Sleep(time.Second)
		if getsIn("Before1!") || !getsIn("After12!") {
			t.Error("a change that is done has not changed the password")
		}
		for _, s := range d.Servers() {
			want := emulator.HeldServer{ID: id, Login: "boss", Password: emulator.Digest("After12!"), Changes: 1,
				Sent: []string{"tags", "properties.administratorLoginPassword"}}
			if diff := cmp.Diff(want, s); s.ID == id && diff != "" {
				t.Errorf("the server is another (-want +got):\n%s", diff)
			}
		}
		for _, value := range []string{"Before1!", "After12!"} {
			if !strings.Contains(strings.Join(d.Values(), "\n"), value) {
				t.Error("a password is not among the values that must not leak")
			}
		}
	})
}
