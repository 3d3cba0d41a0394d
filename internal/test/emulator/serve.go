package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxBody is the longest request body that is read, far beyond the largest secret with all its tags escaped.
const maxBody = 1 << 20

// A call is one request on its way to an answer.
type call struct {
	e         *Emulator
	operation string
	host      string // in lower case, without port
	path      []string
	query     url.Values
	request   *http.Request
	body      []byte
	now       time.Time

	// What a Key Vault request has besides.
	vault  *vault
	name   string // the secret's name, as the client spelt it
	parsed setRequest
	bad    bool   // the body of a set is not one
	role   string // the assignment that allowed the operation

	// What a request to Resource Manager has besides.
	target  *databaseServer
	change  *change       // that is asked for
	updated serverRequest // the body of an update

	// What a fault changes in how the service works.
	late    time.Duration // commit so much later
	unseen  time.Duration // show the change so much later; 0 as the service does
	failing *refusal      // the change is accepted and ends so
	paging  paging
}

// An answer is what goes back. A body that is not a []byte is sent as JSON.
type answer struct {
	status int
	header http.Header
	body   any

	truncated bool // the connection ends in the middle of the body
	foreign   bool // it is not the service's, and has none of its headers
}

// A handler is the service's part: from call to answer.
type handler func(*call) answer

func (e *Emulator) serve(w http.ResponseWriter, r *http.Request) {
	if host := hostOf(r.Host); e.options.Hosts[host] != nil {
		e.count("", host)
		e.options.Hosts[host].ServeHTTP(w, r)
		return
	}
	c := &call{e: e, request: r, host: hostOf(r.Host), query: r.URL.Query(), now: e.Now()}
	c.path = splitPath(r.URL)
	handle := e.route(c)
	c.body, _ = io.ReadAll(io.LimitReader(r.Body, maxBody)) // a body cut short is refused as what it then is
	c.note()
	e.count(c.operation, c.host)
	if !e.goesOn(c.operation, false) {
		panic(http.ErrAbortHandler)
	}
	a := e.faults.apply(c, handle)
	if !e.goesOn(c.operation, true) || r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	a.write(w, c)
}

// route finds the operation and the service that does it.
func (e *Emulator) route(c *call) handler {
	if cloud := cloudOfAuthority(c.host); cloud != nil {
		return e.directory.route(c, cloud)
	}
	if strings.HasSuffix(c.host, githubDomain) {
		return routeGitHub(c)
	}
	if cloudOfManager(c.host) != nil {
		return routeManager(c)
	}
	if c.vault = e.vault(c.host); c.vault != nil {
		return routeVault(c)
	}
	c.operation = "unknown-host"
	return func(*call) answer { return answer{status: http.StatusBadGateway} }
}

// Knows tells whether a host (with or without port) is one of the services', of Options.Hosts or of Tunnel: others do
// not resolve.
func (e *Emulator) Knows(host string) bool {
	host = hostOf(host)
	return e.options.Hosts[host] != nil || cloudOfAuthority(host) != nil || cloudOfManager(host) != nil ||
		strings.HasSuffix(host, githubDomain) || e.vault(host) != nil || e.isTunnelled(host)
}

// note remembers what must not leak, before anything can go wrong with the request: a value is one whether or not it
// came to the right place, with a token, in a request that will be done.
func (c *call) note() {
	if c.operation == "update-server" {
		c.updated = readServerRequest(c.body)
		if c.updated.password != nil {
			c.e.addValue(*c.updated.password)
		}
	}
	if c.request.Method != http.MethodPut {
		return
	}
	c.bad = json.Unmarshal(c.body, &c.parsed) != nil
	if c.parsed.Value != nil {
		c.e.addValue(*c.parsed.Value)
	}
}

// serviceHeaders are on every answer of the service that a host belongs to.
func (c *call) serviceHeaders(h http.Header) {
	h.Set("Date", c.now.UTC().Format(http.TimeFormat))
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("x-ms-request-id", c.e.ids.guid())
	switch {
	case c.vault != nil:
		c.vaultHeaders(h)
	case c.isManager():
		c.managerHeaders(h)
	case strings.HasSuffix(c.host, githubDomain):
		h.Set("Strict-Transport-Security", "max-age=2592000")
	default:
		h.Set("Cache-Control", "no-store, no-cache")
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

func (a answer) write(w http.ResponseWriter, c *call) {
	h := w.Header()
	if !a.foreign {
		c.serviceHeaders(h)
	}
	for key, values := range a.header {
		h[key] = values
	}
	body := a.bytes()
	if a.body != nil && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if hasBody(a.status) {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(a.status)
	if a.truncated {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush() // where the client is gone already, so much the better
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// bytes is the body as sent. JSON is compact and leaves <, > and & as they are, as the services do.
func (a answer) bytes() []byte {
	switch body := a.body.(type) {
	case nil:
		return nil
	case []byte:
		return body
	default:
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(body); err != nil {
			panic(err) // unreachable: wire types hold strings, numbers, lists and maps of them
		}
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
}

// splitPath returns the unescaped segments of a path. A final slash leaves an empty last one.
func splitPath(u *url.URL) []string {
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil {
			segments[i] = plain
		}
	}
	return segments
}

// bearer returns the token of the Authorization header, "" if there is none.
func (c *call) bearer() string {
	scheme, token, _ := strings.Cut(c.request.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.ToLower(hostport)
}

// wait sleeps, or returns early when the client has gone.
func (c *call) wait(d time.Duration) { sleep(c.request.Context(), d) }

// sleep waits, and tells whether the context lived so long.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
