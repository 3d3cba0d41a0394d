package emulator

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// What the service called itself in May 2026, and its words about tokens: the first are of that time too, the others of
// azure-sdk-for-python#27266 (2022), MicrosoftDocs/azure-docs#109562 (2023) and #75410 (2021), azuresandbox#188 (2025).
const (
	serviceVersion = "1.9.3347.1"
	noToken        = "AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token."
	tokenExpired   = "[TokenExpired] Error validating token: 'S2S12086'."
)

func (c *call) vaultHeaders(h http.Header) {
	h.Set("Strict-Transport-Security", "max-age=31536000;includeSubDomains")
	h.Set("x-ms-keyvault-region", c.vault.options.Region)
	h.Set("x-ms-keyvault-service-version", serviceVersion)
	h.Set("x-ms-keyvault-network-info", "conn_type=Ipv4;addr="+clientAddress+";act_addr_fam=InterNetwork;")
	if c.role != "" && !c.vault.options.AccessPolicy {
		h.Set("x-ms-keyvault-rbac-assignment-id", c.role)
	}
	if id := c.request.Header.Get("x-ms-client-request-id"); id != "" {
		h.Set("x-ms-client-request-id", id)
	}
}

// routeVault names the operation that method and path ask for; without a token it is the challenge, whatever they ask.
func routeVault(c *call) handler {
	c.operation = vaultOperation(c.request.Method, c.path)
	if len(c.path) > 1 {
		c.name = c.path[1]
	}
	if c.bearer() == "" {
		c.operation = "challenge"
		return serveChallenge
	}
	return serveVault
}

// vaultOperation is the table of paths: https://learn.microsoft.com/rest/api/keyvault/secrets/operation-groups
func vaultOperation(method string, path []string) string {
	pattern := path[0]
	for i, segment := range path[1:] {
		switch {
		case segment == "":
			pattern += "/"
		case i == 1 && slices.Contains([]string{"versions", "recover"}, segment):
			pattern += "/" + segment
		default:
			pattern += "/*"
		}
	}
	switch method + " " + pattern {
	case "PUT secrets/*":
		return "set"
	case "GET secrets/*", "GET secrets/*/", "GET secrets/*/*":
		return "get"
	case "PATCH secrets/*", "PATCH secrets/*/", "PATCH secrets/*/*":
		return "update"
	case "DELETE secrets/*":
		return "delete"
	case "GET secrets", "GET secrets/":
		return "list"
	case "GET secrets/*/versions":
		return "versions"
	case "GET deletedsecrets", "GET deletedsecrets/":
		return "list-deleted"
	case "POST deletedsecrets/*/recover":
		return "recover"
	}
	return "other"
}

// serveChallenge answers a request without token: who issues one, and for what.
func serveChallenge(c *call) answer {
	return c.refuseToken(noToken)
}

func (c *call) refuseToken(message string) answer {
	r := &refusal{status: http.StatusUnauthorized, code: http.StatusText(http.StatusUnauthorized), message: message,
		header: http.Header{
			"Www-Authenticate": {fmt.Sprintf(`Bearer authorization="https://%s/%s", resource="https://%s"`,
				c.vault.cloud.aliases[0], c.vault.options.Tenant, c.vault.options.Domain)},
		}}
	return r.answer()
}

// serveVault does what a request with a token asks, in the service's order: who, how often, what, whether it may.
func serveVault(c *call) answer {
	token, refused := c.authenticate()
	if refused != nil {
		return *refused
	}
	v := c.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settle(c.now)
	if refused := c.admit(token); refused != nil {
		return refused.answer()
	}
	body, failure := c.perform()
	if failure != nil {
		return failure.answer()
	}
	if body == nil {
		return answer{status: http.StatusNoContent} // to be replaced: see Late
	}
	return answer{status: http.StatusOK, body: body}
}

// authenticate finds out whose token it is.
func (c *call) authenticate() (accessToken, *answer) {
	refuse := func(message string) (accessToken, *answer) {
		a := c.refuseToken(message)
		return accessToken{}, &a
	}
	text := c.bearer()
	token, found := c.e.directory.lookUp(text)
	expected := "https://" + c.vault.options.Domain
	own := "https://sts.windows.net/" + c.vault.options.Tenant + "/"
	switch {
	case text == "":
		return refuse(noToken)
	case !found:
		header, _, _ := strings.Cut(text, ".")
		return refuse("AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '" +
			header + "'.")
	case !c.now.Before(token.expires):
		return refuse(tokenExpired)
	case token.audience != expected:
		return refuse("AKV10022: Invalid audience. Expected " + expected + ", found: " + token.audience + ".")
	case token.issuer != own:
		return refuse("AKV10032: Invalid issuer. Expected one of " + own + ", found " + token.issuer + ".")
	}
	return token, nil
}

// admit refuses what comes too often, is no request, or is not allowed; the caller holds the vault's lock.
func (c *call) admit(token accessToken) *refusal {
	limited := &c.vault.requests
	if c.operation == "set" {
		limited = &c.vault.creates
	}
	if !limited.take(c.now) {
		return &refusal{status: http.StatusTooManyRequests, code: "Throttled",
			message: "Request was not processed because too many requests were received. Reason: " +
				"VaultRequestTypeLimitReached"}
	}
	switch {
	case c.operation == "other":
		return c.unknownPath()
	case c.query.Get("api-version") == "":
		return badParameter("api-version must be specified")
	case c.name != "" && !secretName.MatchString(c.name):
		return badParameter("The request URI contains an invalid name: " + c.name)
	}
	if refused := c.authorize(token); refused != nil {
		return refused
	}
	c.role = roleAssignment
	if writes[c.operation] != "" && c.vault.options.ReadOnly {
		return readOnly(c.operation)
	}
	return nil
}

// readOnly refuses a write in a region that has failed over.
func readOnly(operation string) *refusal {
	return &refusal{status: http.StatusServiceUnavailable, code: "ServiceUnavailable",
		message: "Operation \"" + writes[operation] +
			"\" is unavailable: the service is currently in a read-only state."}
}

// writes are the operations that a failed-over region does not do, as the service calls them: the first in
// MSEndpointMgr/ CloudLAPS#70 (2023), the others by its likeness.
var writes = map[string]string{
	"set": "SecretSet", "update": "SecretUpdate", "delete": "SecretDelete", "recover": "SecretRecover",
}

// roleAssignment is the ID under which a vault with roles tells why it let a request through.
const roleAssignment = "5d0c6f3a9e8b47d1a2c4e6f80b1d3f57"

// unknownPath is what a path or method gets that is no operation's.
func (c *call) unknownPath() *refusal {
	if c.path[0] == "secrets" || c.path[0] == "deletedsecrets" {
		return &refusal{
			status:  http.StatusMethodNotAllowed,
			code:    "MethodNotAllowed",
			message: "HTTP " + c.request.Method + " not allowed",
		}
	}
	return &refusal{status: http.StatusNotFound, code: "NotFound", message: "The requested path is not known."}
}

// perform does an operation and returns the body of its answer, or why it is refused; neither for a set that is
// committed later.
func (c *call) perform() (any, *refusal) {
	v := c.vault
	switch c.operation {
	case "set":
		return v.set(c)
	case "get":
		return v.get(c)
	case "update":
		return v.update(c)
	case "delete":
		return v.remove(c)
	case "recover":
		return v.recover(c)
	}
	return v.list(c)
}

// An entry is one item of a list, under the key by which the list is ordered.
type entry struct {
	key  string
	item func() bundle
}

// list answers one page of versions, secrets or deleted secrets.
func (v *vault) list(c *call) (any, *refusal) {
	size := pageSize
	if asked := c.query.Get("maxresults"); asked != "" {
		n, err := strconv.Atoi(asked)
		if err != nil || n < 1 || n > pageSize {
			return nil, badParameter("Invalid maxresults: it must be between 1 and 25.")
		}
		size = n
	}
	after, err := base64.RawURLEncoding.DecodeString(c.query.Get("$skiptoken"))
	if err != nil {
		return nil, badParameter("Invalid $skiptoken.")
	}
	var entries []entry
	switch c.operation {
	case "versions":
		entries = v.versions(c)
	default:
		entries = v.names(c, string(after))
	}
	start, found := slices.BinarySearchFunc(entries, string(after),
		func(e entry, key string) int { return strings.Compare(e.key, key) })
	if found {
		start++
	}
	if c.paging.short {
		size = 1
	}
	return c.page(entries[start:], size), nil
}

// page cuts a page off the front of what is left.
func (c *call) page(left []entry, size int) page {
	p := page{Value: []bundle{}}
	for _, e := range left[:min(size, len(left))] {
		p.Value = append(p.Value, e.item())
	}
	host := c.host + ":443"
	marker := c.query.Get("$skiptoken")
	switch {
	case c.paging.endless:
	case len(left) > size:
		marker = base64.RawURLEncoding.EncodeToString([]byte(left[size-1].key))
	case c.paging.host != "":
		host = c.paging.host
	default:
		return p
	}
	if c.paging.host != "" {
		host = c.paging.host
	}
	next := "https://" + host + "/" + strings.Join(c.path, "/") + "?api-version=" +
		url.QueryEscape(c.query.Get("api-version")) + "&$skiptoken=" + marker
	if asked := c.query.Get("maxresults"); asked != "" {
		next += "&maxresults=" + asked
	}
	p.NextLink = &next
	return p
}

// versions are a secret's, by ID; of a name that is not there, none.
func (v *vault) versions(c *call) []entry {
	s := v.live(c.name, c.now)
	if s == nil {
		return nil
	}
	var entries []entry
	for _, ver := range s.committed {
		if !c.now.Before(ver.seen) {
			entries = append(entries, entry{ver.id, func() bundle { return v.bundle(s, ver) }})
		}
	}
	return entries
}

// names are the secrets after a name, or the deleted ones, by name: one more than a page, since a vault may hold many.
func (v *vault) names(c *call, after string) (entries []entry) {
	if v.order == nil {
		v.order = slices.Sorted(maps.Keys(v.secrets))
	}
	start, _ := slices.BinarySearch(v.order, after)
	for _, key := range v.order[start:] {
		if len(entries) > pageSize+1 { // the first may be the one that the page comes after
			break
		}
		if c.operation == "list-deleted" {
			if s := v.deletedSecret(key, c.now); s != nil {
				entries = append(entries, entry{key, func() bundle { return v.deletedBundle(s).withoutVersion() }})
			}
		} else if s := v.live(key, c.now); s != nil {
			entries = append(entries, entry{key, func() bundle { return v.bundle(s, s.newest).withoutVersion() }})
		}
	}
	return entries
}
