package emulator

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Credential is a federated identity credential: the tokens in which an application trusts. All three are compared
// exactly, letter case included.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
type Credential struct {
	Tenant, Client string // "" is the Emulator's own
	Issuer         string // "" is the Emulator's own
	Subject        string // "" is the subject of the Emulator's own job
	Audience       string // "" is the one of the cloud that is asked
	// each of Entra's servers knows of it only so long after Trust, and of an application made with it
	Seen Delays
}

// directory is Entra: which tenants there are, which applications in them, whom these trust, and what was issued.
type directory struct {
	e *Emulator

	mu      sync.Mutex
	tenants map[string]map[string]*application // tenant, client, both in lower case
	turn    int                                // of Entra's servers
	issued  map[string]accessToken
}

// An application is what the servers of Entra know of one, each since its own time.
type application struct {
	seen    sight
	trusted []trusted
}

type trusted struct {
	Credential
	seen sight
}

// An accessToken is what the directory remembers of a token; the token itself is opaque to who shows it.
type accessToken struct {
	tenant, client, audience string
	issuer                   string
	expires                  time.Time
}

// Lifetimes of access tokens. Entra draws 60 to 90 minutes, 75 in the mean, and 20 to 28 hours where the client says it
// can handle a revocation: https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes and
// https://learn.microsoft.com/entra/identity/conditional-access/concept-continuous-access-evaluation
const (
	tokenLifetime    = 75 * time.Minute
	caeTokenLifetime = 24 * time.Hour
)

func newDirectory(e *Emulator) *directory {
	d := &directory{e: e, tenants: map[string]map[string]*application{}, issued: map[string]accessToken{}}
	d.trust(Credential{})
	return d
}

// Trust makes an application trust the tokens that a credential describes, the application and its tenant being made
// where they are not there yet.
func (e *Emulator) Trust(c Credential) { e.directory.trust(c) }

// Distrust takes all federated credentials from an application of the Emulator's own tenant; "" is its own application.
func (e *Emulator) Distrust(client string) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	client = strings.ToLower(cmp.Or(client, e.options.Client))
	if known := d.tenants[strings.ToLower(e.options.Tenant)][client]; known != nil {
		known.trusted = nil
	}
}

// addTenant makes a tenant in which there is no application.
func (e *Emulator) addTenant(tenant string) {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tenant(tenant)
}

// revokeTokens makes every access token issued so far one that the vaults refuse as expired.
func (e *Emulator) revokeTokens() {
	d := e.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	for token, t := range d.issued {
		t.expires = time.Time{}
		d.issued[token] = t
	}
}

func (d *directory) trust(c Credential) {
	o := d.e.options
	c.Tenant = strings.ToLower(cmp.Or(c.Tenant, o.Tenant))
	c.Client = strings.ToLower(cmp.Or(c.Client, o.Client))
	c.Issuer = cmp.Or(c.Issuer, o.Issuer)
	c.Subject = cmp.Or(c.Subject, d.e.Subject())
	d.mu.Lock()
	defer d.mu.Unlock()
	tenant, seen := d.tenant(c.Tenant), d.e.seenAfter(c.Seen)
	if tenant[c.Client] == nil {
		tenant[c.Client] = &application{seen: seen}
	}
	tenant[c.Client].trusted = append(tenant[c.Client].trusted, trusted{c, seen})
}

// tenant returns a tenant's applications, made if need be; the caller holds the lock.
func (d *directory) tenant(id string) map[string]*application {
	id = strings.ToLower(id)
	if d.tenants[id] == nil {
		d.tenants[id] = map[string]*application{}
	}
	return d.tenants[id]
}

func (d *directory) route(c *call, in *cloud) handler {
	switch {
	case len(c.path) == 3 && slices.Equal(c.path[1:], []string{"discovery", "instance"}):
		c.operation = "instance-discovery"
		return serveInstanceDiscovery
	case len(c.path) >= 3 && slices.Equal(c.path[len(c.path)-2:], []string{".well-known", "openid-configuration"}):
		c.operation = "tenant-discovery"
		return func(c *call) answer { return d.serveTenantDiscovery(c, in) }
	case len(c.path) == 4 && slices.Equal(c.path[1:], []string{"discovery", "v2.0", "keys"}):
		c.operation = "entra-keys"
		return func(*call) answer { return answer{status: http.StatusOK, body: keySet(entraKeyID)} }
	case len(c.path) == 4 && slices.Equal(c.path[1:], []string{"oauth2", "v2.0", "token"}):
		c.operation = "token"
		return func(c *call) answer { return d.serveToken(c, in) }
	}
	c.operation = "other"
	return func(*call) answer { return answer{status: http.StatusNotFound} }
}

// serveInstanceDiscovery is GET /common/discovery/instance: which hosts are one authority. Without the entry of the
// host that asks, the client's token cache never hits.
func serveInstanceDiscovery(c *call) answer {
	endpoint, err := url.Parse(c.query.Get("authorization_endpoint"))
	if err != nil || cloudOfAuthority(hostOf(endpoint.Host)) == nil {
		return c.entraRefusal(http.StatusBadRequest, "invalid_instance", 50049, "Unknown or invalid instance.")
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(endpoint.Path, "/"), "/")
	var metadata []map[string]any
	for _, known := range clouds {
		metadata = append(metadata, map[string]any{
			"preferred_network": known.authority, "preferred_cache": known.cache, "aliases": known.aliases,
		})
	}
	return answer{status: http.StatusOK, body: map[string]any{
		"tenant_discovery_endpoint": "https://" + endpoint.Host + "/" + tenant +
			"/v2.0/.well-known/openid-configuration",
		"api-version": "1.1",
		"metadata":    metadata,
	}}
}

// serveTenantDiscovery is GET /{tenant}/v2.0/.well-known/openid-configuration.
// https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
func (d *directory) serveTenantDiscovery(c *call, in *cloud) answer {
	tenant := c.path[0]
	if _, refused := d.application(c, tenant, ""); refused != nil {
		return *refused
	}
	base := "https://" + in.authority + "/" + tenant
	return answer{status: http.StatusOK, body: map[string]any{
		"token_endpoint": base + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt",
			"client_secret_basic"},
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"issuer":                                base + "/v2.0",
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   in.authority,
	}}
}

// application returns the credentials of an application, or why there is none; with client "" of the tenant alone.
func (d *directory) application(c *call, tenant, client string) ([]Credential, *answer) {
	refuse := func(code string, number int, message string) ([]Credential, *answer) {
		a := c.entraRefusal(http.StatusBadRequest, code, number, message)
		return nil, &a
	}
	if !guidPattern.MatchString(tenant) && !domainPattern.MatchString(tenant) {
		return refuse("invalid_request", 900023,
			fmt.Sprintf("Specified tenant identifier '%s' is neither a valid DNS name, nor a valid external domain.",
				tenant))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	applications, found := d.tenants[strings.ToLower(tenant)]
	if !found {
		return refuse("invalid_request", 90002,
			fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct "+
				"tenant ID and are signing into the correct cloud. Check with your subscription administrator, this "+
				"may happen "+
				"if there are no active subscriptions for the tenant.", tenant))
	}
	if client == "" {
		return nil, nil
	}
	d.turn++ // each request is the next server's
	known := applications[strings.ToLower(client)]
	if known == nil || !known.seen.by(d.turn, c.now) {
		return refuse("unauthorized_client", 700016,
			fmt.Sprintf("Application with identifier '%s' was not found in the "+
				"directory '%s'. This can happen if the application has not been installed by the administrator of "+
				"the tenant or "+
				"consented to by any user in the tenant. You may have sent your authentication request to the wrong "+
				"tenant.", client, tenant))
	}
	var credentials []Credential
	for _, t := range known.trusted {
		if t.seen.by(d.turn, c.now) {
			credentials = append(credentials, t.Credential)
		}
	}
	return credentials, nil
}

// serveToken is POST /{tenant}/oauth2/v2.0/token with a federated client assertion.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#third-case-access-token-request-with-a-federated-credential
func (d *directory) serveToken(c *call, in *cloud) answer {
	form, err := url.ParseQuery(string(c.body))
	if c.request.Method != http.MethodPost || err != nil {
		return c.entraRefusal(http.StatusBadRequest, "invalid_request", 900144,
			"The request body must contain the following parameter: 'grant_type'.")
	}
	d.e.noteAssertion(form.Get("client_assertion"))
	credentials, refused := d.application(c, c.path[0], form.Get("client_id"))
	if refused != nil {
		return *refused
	}
	if refused := c.checkForm(form); refused != nil {
		return *refused
	}
	if refused := c.checkAssertion(form.Get("client_assertion"), credentials, in); refused != nil {
		return *refused
	}
	resource, refused := c.checkScope(form.Get("scope"), in)
	if refused != nil {
		return *refused
	}
	return d.issue(c, form, resource)
}

// checkForm refuses what is no client-credentials request with a JWT assertion.
func (c *call) checkForm(form url.Values) *answer {
	const kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	var a answer
	switch {
	case form.Get("client_id") == "":
		a = c.entraRefusal(http.StatusBadRequest, "invalid_request", 900144,
			"The request body must contain the following parameter: 'client_id'.")
	case form.Get("grant_type") != "client_credentials":
		a = c.entraRefusal(http.StatusBadRequest, "unsupported_grant_type", 70003,
			"The app requested an unsupported grant type '"+form.Get("grant_type")+"'.")
	case form.Get("client_assertion") == "":
		a = c.entraRefusal(http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case form.Get("client_assertion_type") != kind:
		a = c.entraRefusal(http.StatusUnauthorized, "invalid_client", 50027,
			"The client assertion type is not supported.")
	default:
		return nil
	}
	return &a
}

// checkAssertion verifies GitHub's token: the credential it matches, its signature by GitHub's key, its lifetime.
func (c *call) checkAssertion(assertion string, credentials []Credential, in *cloud) *answer {
	refuse := func(number int, message string) *answer {
		a := c.entraRefusal(http.StatusUnauthorized, "invalid_client", number, message)
		return &a
	}
	claims := c.presented()
	if claims.Issuer == "" {
		return refuse(50027, "JWT token is invalid or malformed.")
	}
	if number := mismatch(claims, credentials, in.audience); number != 0 {
		return refuse(number, federationMessage(number, claims))
	}
	if verifyJWT(assertion, githubKeyID, &claims) != nil {
		return refuse(5000811,
			"Unable to verify token signature. The signing key identifier does not match any valid registered keys.")
	}
	from, until := time.Unix(claims.NotBefore, 0).UTC(), time.Unix(claims.Expires, 0).UTC()
	if c.now.Before(from) || !c.now.Before(until) {
		const layout = "2006-01-02T15:04:05.0000000Z"
		return refuse(700024,
			fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s, assertion "+
				"valid from %s, expiry time of assertion %s. Review the documentation at "+
				"https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
				c.now.UTC().Format(layout), from.Format(layout), until.Format(layout)))
	}
	return nil
}

// presented returns what the request's assertion says, unverified.
func (c *call) presented() githubClaims {
	var claims githubClaims
	form, err := url.ParseQuery(string(c.body))
	if parts := strings.Split(form.Get("client_assertion"), "."); err == nil && len(parts) == 3 {
		_ = decodeSegment(parts[1], &claims) // what cannot be read says nothing
	}
	return claims
}

// mismatch tells, in Entra's numbers, what of a token no credential has; 0 if one matches.
func mismatch(claims githubClaims, credentials []Credential, audience string) int {
	if len(credentials) == 0 {
		return 70025
	}
	var issuer, subject, folded bool
	for _, known := range credentials {
		if known.Issuer != claims.Issuer {
			continue
		}
		issuer = true
		folded = folded || strings.EqualFold(known.Subject, claims.Subject)
		if known.Subject != claims.Subject {
			continue
		}
		subject = true
		if cmp.Or(known.Audience, audience) == claims.Audience {
			return 0
		}
	}
	switch {
	case !issuer:
		return 700211
	case !subject && folded:
		return 7002138
	case !subject:
		return 700213
	}
	return 700212
}

// federationMessage is Entra's text for a number of mismatch, as of Azure/login#617 (2026) and #515 (2025); others are
// numbers of which no text is known, or need none.
func federationMessage(number int, claims githubClaims) string {
	const (
		none   = "No matching federated identity record found for presented assertion "
		advice = " Check your federated identity credential Subject, Audience and Issuer against the presented " +
			"assertion." +
			" https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	)
	switch number {
	case 70021:
		return fmt.Sprintf(
			"No matching federated identity record found for presented assertion. Assertion Issuer: '%s'. "+
				"Assertion Subject: '%s'. Assertion Audience: '%s'.", claims.Issuer, claims.Subject, claims.Audience)
	case 700211:
		return none + "issuer '" + claims.Issuer + "'." + advice
	case 700212:
		return none + "audience '" + claims.Audience + "'." + advice
	case 700213:
		return none + "subject '" + claims.Subject + "'." + advice
	case 7002138:
		return none + "subject '" + claims.Subject +
			"'. The subject matches with case-insensitive comparison, but not with " +
			"case-sensitive comparison." + advice
	case 70025:
		return "The client has no configured federated identity credentials."
	case 90033:
		return "A transient error has occurred. Please try again."
	}
	return "The request was refused."
}

// checkScope returns the resource of a scope such as "https://vault.azure.net/.default openid profile".
func (c *call) checkScope(scope string, in *cloud) (string, *answer) {
	for _, s := range strings.Fields(scope) {
		if resource, found := strings.CutSuffix(s, "/.default"); found {
			if !in.issuesFor(resource) {
				a := c.entraRefusal(http.StatusBadRequest, "invalid_resource", 500011, fmt.Sprintf(
					"The resource principal named %s was not found in the tenant named %s.", resource, c.path[0]))
				return "", &a
			}
			return resource, nil
		}
	}
	a := c.entraRefusal(http.StatusBadRequest, "invalid_scope", 1002012, fmt.Sprintf(
		"The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default "+
			"suffixed to the resource identifier (application ID URI).", scope))
	return "", &a
}

// issue makes an access token and remembers it.
func (d *directory) issue(c *call, form url.Values, resource string) answer {
	lifetime := tokenLifetime
	body := map[string]any{"token_type": "Bearer"}
	if strings.Contains(form.Get("claims"), `"CP1"`) {
		lifetime = caeTokenLifetime
		body["refresh_in"] = int(lifetime.Seconds()) / 2
	}
	body["expires_in"] = int(lifetime.Seconds()) - 1
	body["ext_expires_in"] = int(lifetime.Seconds()) - 1
	body["access_token"] = d.mint(accessToken{
		tenant: strings.ToLower(c.path[0]), client: strings.ToLower(form.Get("client_id")), audience: resource,
	}, c.now, lifetime)
	return answer{status: http.StatusOK, body: body}
}

// mint makes an access token of tenant, client and audience, and remembers it.
func (d *directory) mint(t accessToken, now time.Time, lifetime time.Duration) string {
	t.issuer = "https://sts.windows.net/" + t.tenant + "/"
	t.expires = now.Add(lifetime)
	token := signJWT(entraKeyID, map[string]any{
		"aud": t.audience, "iss": t.issuer, "iat": now.Unix(), "nbf": now.Unix(), "exp": t.expires.Unix(),
		"appid":    t.client,
		"appidacr": "2",
		"idp":      t.issuer,
		"oid":      objectID(t.client),
		"sub":      objectID(t.client),
		"tid":      t.tenant,
		"uti":      d.e.ids.guid(), "ver": "1.0",
	})
	d.mu.Lock()
	d.issued[token] = t
	d.mu.Unlock()
	d.e.addToken(token)
	return token
}

// Issue returns an access token for a resource, as Entra would issue it to an application; "" is the Options' client.
func (e *Emulator) Issue(resource, client string) string {
	return e.directory.mint(accessToken{
		tenant: strings.ToLower(e.options.Tenant), client: strings.ToLower(cmp.Or(client, e.options.Client)),
		audience: resource,
	}, e.Now(), tokenLifetime)
}

// lookUp returns what was issued as a token.
func (d *directory) lookUp(token string) (accessToken, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, found := d.issued[token]
	return t, found
}

// Bearer returns the application and the resource that an access token was issued for; ok is false where it was not
// issued here, or has expired. It is for services that stand beside this package's ([Emulator.Tunnel], Options.Hosts).
func (e *Emulator) Bearer(token string) (client, resource string, ok bool) {
	t, found := e.directory.lookUp(token)
	return t.client, t.audience, found && e.Now().Before(t.expires)
}

// objectID is the object ID of an application's service principal: another GUID, made of the application's.
func objectID(client string) string {
	reversed := []byte(strings.ReplaceAll(client, "-", ""))
	slices.Reverse(reversed)
	if len(reversed) != 32 {
		return client
	}
	return fmt.Sprintf("%s-%s-%s-%s-%s", reversed[:8], reversed[8:12], reversed[12:16], reversed[16:20], reversed[20:])
}

// noteAssertion remembers an assertion that this Emulator did not issue.
func (e *Emulator) noteAssertion(assertion string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if assertion != "" && !slices.Contains(e.tokens, assertion) {
		e.tokens = append(e.tokens, assertion)
	}
}

// entraRefusal is an error as Entra words it.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes#handling-error-codes-in-your-application
func (c *call) entraRefusal(status int, code string, number int, message string) answer {
	trace := c.e.ids.guid()
	correlation := cmp.Or(c.request.Header.Get("client-request-id"), c.e.ids.guid())
	timestamp := c.now.UTC().Format("2006-01-02 15:04:05Z")
	return answer{status: status, body: entraError{
		Error: code,
		Description: fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			number, message, trace, correlation, timestamp),
		Codes: []int{number}, Timestamp: timestamp, Trace: trace, Correlation: correlation,
		URI: fmt.Sprintf("https://%s/error?code=%d", c.host, number),
	}}
}

type entraError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Codes       []int  `json:"error_codes"`
	Timestamp   string `json:"timestamp"`
	Trace       string `json:"trace_id"`
	Correlation string `json:"correlation_id"`
	URI         string `json:"error_uri"`
}
