package emulator

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The actions of servers, as roles grant them: the first two for the server, the last for the resource group, since
// operations are not the server's own.
// https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations#permission-for-tracking-async-status
const (
	ReadServer     = "servers/read"
	WriteServer    = "servers/write"
	ReadOperations = "locations/*/read"
	// ReadPermissions lets an application see what it may do at a server.
	ReadPermissions = "permissions/read"
	// ReadLocks lets it see the locks at a server, above it and below it.
	ReadLocks = "locks/read"
)

// apiVersions are those that are known here of each kind: the stable ones of Azure/azure-rest-api-specs.
var apiVersions = map[string][]string{
	SQLServer:        {"2021-11-01", "2023-08-01"},
	PostgreSQLServer: {"2022-12-01", "2024-08-01", "2025-08-01"},
	MySQLServer:      {"2023-12-30"},
}

// operationSegments are the last folders of where an operation is asked for, with its Azure-AsyncOperation and its
// Location: SQL's as the recording test_aadonly.yaml of Azure/azure-cli has them, the others' as
// test_mysql_flexible_server_gtid_reset.yaml (2024) and Azure/azure-cli#32011 (2025) do.
func (s *databaseServer) operationSegments() (async, result string) {
	if s.options.Kind == SQLServer {
		return "serverAzureAsyncOperation", "serverOperationResults"
	}
	return "azureAsyncOperation", "operationResults"
}

// isManager tells whether a call is to Resource Manager.
func (c *call) isManager() bool { return cloudOfManager(c.host) != nil }

// routeManager names the operation that method and path ask for.
func routeManager(c *call) handler {
	c.operation = "other"
	path := c.path
	last := len(path) - 1
	switch {
	case len(path) == 8 && strings.EqualFold(path[4], "providers"):
		c.target = c.e.serverOf("/" + strings.Join(path, "/"))
		c.name = path[last]
		switch c.request.Method {
		case http.MethodGet:
			c.operation = "get-server"
		case http.MethodPatch:
			c.operation = "update-server"
		}
	case c.request.Method == http.MethodGet && len(path) == 11 && isAuthorization(path[8:]):
		c.target = c.e.serverOf("/" + strings.Join(path[:8], "/"))
		c.operation, c.name = path[10], path[7]
	case c.request.Method == http.MethodGet && len(path) > 6 && strings.EqualFold(path[last-3], "locations"):
		c.operation = "operation"
		c.change = c.e.changeOf(path[last])
		if c.change != nil {
			c.target, c.name = c.change.server, c.change.server.options.Name
		}
	}
	return serveManager
}

// isAuthorization tells whether the end of a path asks what may be done with a resource.
func isAuthorization(end []string) bool {
	return strings.EqualFold(strings.Join(end[:2], "/"), "providers/Microsoft.Authorization") &&
		(end[2] == "permissions" || end[2] == "locks")
}

func (e *Emulator) changeOf(id string) *change {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.changes[id]
}

func (c *call) managerHeaders(h http.Header) {
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("x-ms-correlation-request-id", h.Get("x-ms-request-id"))
	h.Set("x-ms-routing-request-id", "WESTEUROPE:"+c.now.UTC().Format("20060102T150405Z")+":"+h.Get("x-ms-request-id"))
	h.Set("X-Cache", "CONFIG_NOCACHE")
}

// serveManager does what a request asks, in Resource Manager's order: who, whether there is such a subscription,
// whether the caller may, whether there is such a server, and what the resource provider then says.
func serveManager(c *call) answer {
	token, refused := c.authenticateManager()
	if refused != nil {
		return refused.answer()
	}
	if refused := c.admitManager(token); refused != nil {
		return refused.answer()
	}
	s := c.target
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(c.now)
	switch c.operation {
	case "get-server":
		return answer{status: http.StatusOK, body: s.resource(c.query.Get("$expand"))}
	case "update-server":
		return c.updateServer(token)
	case "permissions":
		return answer{status: http.StatusOK, body: s.permissions(token.client)}
	case "locks":
		return answer{status: http.StatusOK, body: s.locks()}
	}
	return c.tellOperation()
}

// audiences are what a token for a cloud's Resource Manager may be for:
// https://github.com/stephaneey/azure-apim-extension/issues/93
func (in *cloud) audiences() []string {
	core := strings.Replace(in.manager, "management.", "management.core.", 1)
	if in.manager == clouds[0].manager {
		core = "management.core.windows.net"
	}
	return []string{"https://" + core + "/", "https://" + core, "https://" + in.manager + "/", "https://" + in.manager}
}

// authenticateManager finds out whose token it is. The texts are of Azure-Samples/active-directory-dotnetcore-daemon-v2
// #145 (2022) for the audience and of many threads for the others.
func (c *call) authenticateManager() (accessToken, *refusal) {
	in := cloudOfManager(c.host)
	token, found := c.e.directory.lookUp(c.bearer())
	switch {
	case c.bearer() == "":
		return token, c.refuseManagerToken("AuthenticationFailed",
			"Authentication failed. The 'Authorization' header is missing.")
	case !found:
		return token, c.refuseManagerToken("InvalidAuthenticationToken", "The access token is invalid.")
	case !c.now.Before(token.expires):
		return token, c.refuseManagerToken("ExpiredAuthenticationToken", fmt.Sprintf(
			"The access token expiry UTC time '%s' is earlier than current UTC time '%s'.",
			token.expires.UTC().Format(time.DateTime), c.now.UTC().Format(time.DateTime)))
	case !slices.Contains(in.audiences(), token.audience):
		return token, c.refuseManagerToken("InvalidAuthenticationTokenAudience", fmt.Sprintf(
			"The access token has been obtained for wrong audience or resource '%s'. It should exactly match with "+
				"one of "+
				"the allowed audiences '%s'.", token.audience, strings.Join(in.audiences(), "','")))
	}
	return token, nil
}

func (c *call) refuseManagerToken(code, message string) *refusal {
	tenant := "common"
	if c.target != nil {
		tenant = c.target.options.Tenant
	}
	return &refusal{
		status: http.StatusUnauthorized, code: code, message: message,
		header: http.Header{"Www-Authenticate": {fmt.Sprintf(
			`Bearer authorization_uri="https://%s/%s", error="invalid_token", error_description="%s"`,
			cloudOfManager(c.host).aliases[0], tenant, "The authentication failed.")}},
	}
}

// admitManager refuses what Resource Manager itself does not let through to a resource provider.
func (c *call) admitManager(token accessToken) *refusal {
	s := c.target
	switch {
	case c.operation == "other":
		return &refusal{
			status: http.StatusNotFound, code: "InvalidResourceType",
			message: "The resource type could not be found in the namespace for the api version.",
		}
	case c.query.Get("api-version") == "":
		return armBad("MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.")
	case s == nil || s.cloud.manager != c.host:
		return c.noSuchServer(token)
	case token.tenant != s.options.Tenant:
		return c.refuseManagerToken("InvalidAuthenticationTokenTenant", fmt.Sprintf(
			"The access token is from the wrong issuer '%s'. It must match the tenant 'https://sts.windows.net/%s/' "+
				"associated with this subscription.", token.issuer, s.options.Tenant))
	}
	if refused := s.authorize(c.operation, token); refused != nil {
		return refused
	}
	if c.operation != "permissions" && c.operation != "locks" &&
		!slices.Contains(apiVersions[s.options.Kind], c.query.Get("api-version")) {
		return armBad("NoRegisteredProviderFound", fmt.Sprintf(
			"No registered resource provider found for location '%s' and API version '%s' for type '%s'.",
			s.options.Location, c.query.Get("api-version"), s.options.Kind))
	}
	if c.change != nil && c.change.by != token.client {
		return armForbidden("Unauthorized", // MicrosoftDocs/azure-docs#119301 (2024)
			"Only the original caller of an asynchronous operation is allowed to retrieve the results.")
	}
	if c.operation == "update-server" {
		return s.guarded()
	}
	return nil
}

// authorize refuses a caller whose roles do not allow an operation.
func (s *databaseServer) authorize(operation string, token accessToken) *refusal {
	namespace, kind, _ := strings.Cut(s.options.Kind, "/")
	need, action, scope := ReadServer, namespace+"/"+kind+"/read", s.id()
	async, _ := s.operationSegments()
	switch operation {
	case "update-server":
		need, action = WriteServer, namespace+"/"+kind+"/write"
	case "permissions":
		need, action = ReadPermissions, "Microsoft.Authorization/permissions/read"
	case "locks":
		need, action = ReadLocks, "Microsoft.Authorization/locks/read"
	case "operation":
		need, action = ReadOperations, namespace+"/locations/"+async+"/read"
		scope = s.group() + "/providers/" + namespace + "/locations/" + s.location()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++ // each request is the next front end's
	if s.access[token.client][need].by(s.turn, s.e.Now()) {
		return nil
	}
	return armForbidden("AuthorizationFailed", fmt.Sprintf( // Azure/ARO-RP#66 (2020)
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or "+
			"the "+
			"scope is invalid. If access was recently granted, please refresh your credentials.",
		token.client, objectID(token.client), action, scope))
}

// permissions is what a client may do at the server; the caller holds the server's lock.
// https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource
func (s *databaseServer) permissions(client string) permissionList {
	actions := []string{}
	for _, known := range []struct{ grant, action string }{
		{ReadServer, s.options.Kind + "/read"},
		{WriteServer, s.options.Kind + "/write"},
		{ReadPermissions, "Microsoft.Authorization/permissions/read"},
	} {
		if s.access[client][known.grant].by(s.turn, s.e.Now()) {
			actions = append(actions, known.action)
		}
	}
	return permissionList{Value: []permission{{
		Actions: actions, NotActions: []string{}, DataActions: []string{}, NotDataActions: []string{},
	}}}
}

// locks are those of the server, of what is above it and of what is below it: a database must not be deleted.
// https://learn.microsoft.com/rest/api/resources/management-locks/list-at-resource-level, and that it lists those
// above: com.azure.resourcemanager.resources.models.ManagementLocks.listForResource
func (s *databaseServer) locks() lockList {
	const provider, kind = "/providers/Microsoft.Authorization/locks/", "Microsoft.Authorization/locks"
	list := lockList{Value: []lock{{
		Properties: lockProperties{Level: "CanNotDelete"}, ID: s.id() + "/databases/orders" + provider + "keep",
		Type: kind, Name: "keep",
	}}}
	if s.options.Locked {
		list.Value = append(list.Value, lock{
			Properties: lockProperties{Level: "ReadOnly"}, ID: s.group() + provider + "freeze", Type: kind,
			Name: "freeze",
		})
	}
	return list
}

// guarded refuses a change that a lock or an Azure Policy forbids.
// https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources and, for the policy's form,
// https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-policy-requestdisallowedbypolicy
func (s *databaseServer) guarded() *refusal {
	if s.options.Locked {
		return armConflict("ScopeLocked", fmt.Sprintf(
			"The scope '%s' cannot perform write operation because following scope(s) are locked: '%s'. "+
				"Please remove the lock and try again.", s.id(), s.group()))
	}
	if s.options.Policy != "" {
		return armForbidden("RequestDisallowedByPolicy", fmt.Sprintf(
			`Resource '%s' was disallowed by policy. Policy identifiers: '[{"policyAssignment":{"name":"%s","id":`+
				`"/subscriptions/%s/providers/Microsoft.Authorization/policyAssignments/deny"}}]'.`,
			s.options.Name, s.options.Policy, s.options.Subscription))
	}
	return nil
}

// noSuchServer tells what is not there: the subscription, the operation, or the server. Whoever may see no server of it
// is not told that.
func (c *call) noSuchServer(token accessToken) *refusal {
	c.e.mu.Lock()
	defer c.e.mu.Unlock()
	subscription := c.path[1]
	known := slices.ContainsFunc(slices.Collect(maps.Values(c.e.servers)), func(s *databaseServer) bool {
		return strings.EqualFold(s.options.Subscription, subscription) && s.cloud.manager == c.host &&
			s.options.Tenant == token.tenant
	})
	switch {
	case !known:
		return armNotFound("SubscriptionNotFound",
			fmt.Sprintf("The subscription '%s' could not be found.", subscription))
	case c.operation == "operation":
		return armNotFound("OperationIdNotFound", "The operation with Id does not exist.")
	case !c.e.granted[token.client][ReadServer].by(0, c.now):
		return armForbidden("AuthorizationFailed", fmt.Sprintf(
			"The client '%s' with object id '%s' does not have authorization to perform action '%s/read' over scope "+
				"'/%s' "+
				"or the scope is invalid. If access was recently granted, please refresh your credentials.",
			token.client, objectID(token.client), c.path[5]+"/"+c.path[6], strings.Join(c.path, "/")))
	}
	return armNotFound("ResourceNotFound", fmt.Sprintf(
		"The Resource '%s/%s' under resource group '%s' was not found. For more details please go to "+
			"https://aka.ms/ARMResourceNotFoundFix", c.path[5]+"/"+c.path[6], c.name, c.path[3]))
}

// updateServer accepts a change of the password, or does it at once; the caller holds the server's lock.
func (c *call) updateServer(token accessToken) answer {
	s := c.target
	in := c.updated
	if !in.valid {
		return armBad("InvalidRequestContent",
			"The request content was invalid and could not be deserialized.").answer()
	}
	s.sent = append(s.sent, in.names...)
	if refused := s.refuseUpdate(); refused != nil {
		return refused.answer()
	}
	ending := c.failing
	if in.password != nil && ending == nil {
		ending = s.judge(*in.password)
		if ending != nil && !s.options.Deferred {
			return ending.answer()
		}
	}
	made := &change{
		id: c.e.ids.guid(), by: token.client, server: s, password: s.password, failure: ending,
		started: c.now, due: c.now.Add(s.options.Takes),
	}
	if in.password != nil {
		made.password = Digest(*in.password)
	}
	s.pending = made
	if s.options.Takes == 0 && ending == nil {
		s.settle(c.now)
		return answer{status: http.StatusOK, body: s.resource("")}
	}
	c.e.mu.Lock()
	c.e.changes[made.id] = made
	c.e.mu.Unlock()
	return c.accepted(made)
}

// refuseUpdate refuses what the resource provider does not do to the server as it is. A replica's answer is that of
// Azure/azure-rest-api-specs#16898 (2021), PostgreSQL's without passwords is not known.
func (s *databaseServer) refuseUpdate() *refusal {
	switch {
	case s.options.EntraOnly && s.options.Kind == SQLServer:
		return armBad("AadOnlyAuthenticationIsEnabled",
			"Azure Active Directory Only Authentication is enabled. Please contact your system administrator.")
	case s.options.EntraOnly:
		return armBad("PasswordAuthenticationDisabled", "Password authentication is disabled on the server.")
	case s.options.Replica:
		return &refusal{status: http.StatusInternalServerError, code: "InternalServerError",
			message: "An unexpected error occured while processing the request. Tracking ID: '" + s.e.ids.guid() + "'"}
	}
	return s.busy()
}

// accepted says where to ask how a change ends. The recorded answers have no Retry-After, and queries of 3 KB by which
// Resource Manager knows its own links.
func (c *call) accepted(made *change) answer {
	s := made.server
	place := "https://" + c.host + "/subscriptions/" + s.options.Subscription
	operation := map[string]string{
		PostgreSQLServer: "UpsertServerManagementOperationV2", MySQLServer: "UpdateServerManagementOperation",
	}[s.options.Kind]
	if s.options.Kind == SQLServer {
		place = "https://" + c.host + s.group()
		operation = "UpsertLogicalServer"
	}
	place += "/providers/" + s.namespace() + "/locations/" + url.PathEscape(s.location()) + "/"
	query := "/" + made.id + "?api-version=" + url.QueryEscape(c.query.Get("api-version")) +
		"&t=638683759129302999&c=" +
		strings.Repeat("MIIHhzCCBm-gAwIBAgITfAWQ", 100) + "&h=" + made.id
	if c.paging.host != "" {
		place = "https://" + c.paging.host + "/"
	}
	async, result := s.operationSegments()
	a := answer{status: http.StatusAccepted, body: accepted{operation, made.started.UTC().Format(timestamp)}}
	if s.options.Headers != LocationHeader {
		a.header = withHeader(a.header, "Azure-Asyncoperation", place+async+query)
	}
	if s.options.Headers != AsyncHeader {
		a.header = withHeader(a.header, "Location", place+result+query)
	}
	return a
}

// location is a region as the URLs of operations spell it: SQL's has no spaces.
func (s *databaseServer) location() string {
	if s.options.Kind == SQLServer {
		return strings.ToLower(strings.ReplaceAll(s.options.Location, " ", ""))
	}
	return s.options.Location
}

// tellOperation tells how a change ended, or that it has not; the caller holds the server's lock.
func (c *call) tellOperation() answer {
	made := c.change
	async, _ := made.server.operationSegments()
	if strings.EqualFold(c.path[len(c.path)-2], async) {
		status := operationStatus{Name: made.id, Status: "InProgress", Started: made.started.UTC().Format(timestamp)}
		switch {
		case !made.settled:
		case made.failure != nil:
			status.Status = "Failed"
			status.Error = &errorDetail{Code: made.failure.code, Message: made.failure.message}
		default:
			status.Status = "Succeeded"
		}
		return answer{status: http.StatusOK, body: status}
	}
	switch {
	case !made.settled:
		header := withHeader(nil, "Location", "https://"+c.host+c.request.URL.RequestURI())
		return answer{
			status: http.StatusAccepted, header: header,
			body: accepted{"UpsertLogicalServer", made.started.UTC().Format(timestamp)},
		}
	case made.failure != nil:
		return made.failure.answer()
	}
	return answer{status: http.StatusOK, body: made.server.resource("")}
}
