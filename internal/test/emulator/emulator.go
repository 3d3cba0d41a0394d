// Package emulator is a double of the services that the action talks to: GitHub's OIDC endpoint, Microsoft Entra's
// token service, Azure Key Vault's secrets data plane, and Azure Resource Manager, as far as it sets the passwords of
// database servers' administrators. It answers as they do: status, headers, bodies, limits and refusals. A client
// cannot tell it from them, needs no setting for it, and cannot be kinder to it than to them.
//
// [Start] listens on loopback as a CONNECT proxy that ends TLS for the true host names, so the program under test is
// the one that users run, with the two variables that any user behind a corporate proxy has ([Emulator.Environ]):
//
//	e, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
//	cmd.Env = append(os.Environ(), e.Environ()...)
//
// [New] has no listener: [Emulator.Handler] routes by Host and serves any net.Conn, inside a testing/synctest bubble
// too. It reads the time through time.Now alone, starts no goroutine, and waits only while the request's context lives.
//
// What it promises:
//   - nothing is accepted that the service refuses, as far as that is known: tokens, names, sizes, permissions, pace;
//   - what a client could notice is there: whole seconds, versions in the order of their IDs, pages of 25, names
//     without case, deletions and recoveries that take a while to be seen;
//   - every fault that the services or the network between could show can be scheduled ([Emulator.Fault]);
//   - what was set up is seen by one server after the other, where a test says so ([Delays]);
//   - it never tells a value except to the two calls that read one, and keeps nothing on disk but the CA's certificate.
//
// What the service's own words and numbers are is said where they stand, with the source. Not known, and so made up in
// its likeness, are: the texts about a value, content type, tag or time that is refused, about a managed secret, an
// unknown path, a wrong list parameter or a name under recovery; the inner code of an Azure Policy's denial; GitHub's
// error bodies; what counts against the limits besides what was done; what flexible servers say of a password that they
// refuse. A client must not depend on them.
//
// What it is not: keys, certificates, several regions, Entra's other grants, or those operations on secrets that this
// project's client never asks for: backup, restore, purge, and reading one deleted secret. Other services stand beside
// it ([Options.Hosts], [Emulator.Tunnel]).
//
// Files: emulator.go has the world and what it remembers, serve.go the way from a request to an answer, proxy.go the
// listener, tunnel.go what it passes on, authority.go its CA, fault.go what goes wrong, fault_between.go what goes
// wrong on the way, and visible.go what is seen only later; github.go and entra.go are these services, with jwt.go for
// the tokens of both and clouds.go for their hosts. Key Vault is in vault.go (state), vault_routes.go (paths, tokens,
// lists), vault_operations.go (what changes the state), vault_access.go (permissions), vault_throttle.go (limits),
// vault_wire.go (JSON and errors) and vault_plant.go (what tests put in and look at). Azure Resource Manager is in
// manager.go (servers), manager_routes.go (paths, tokens, permissions) and manager_wire.go.
package emulator

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What an Emulator knows without being told.
const (
	DefaultTenant     = "3f2c8f5e-6a4d-4b1e-9c0a-7d5e2b8f1a60" // the Entra tenant
	DefaultClient     = "8b0d5c1f-2e7a-4c93-8f46-1a9e3d7c5b24" // the application in it that trusts the workflow
	DefaultVault      = "kv-example"                           // a vault in AzureCloud
	DefaultRepository = "octo-org/octo-repo"
	DefaultRef        = "refs/heads/main"
	DefaultIssuer     = "https://token.actions.githubusercontent.com"
)

// defaultSettle is how long a deletion or a recovery takes to be seen. The service's own time is known to be above zero
// and below ten seconds.
const defaultSettle = 500 * time.Millisecond

// Options say what world an Emulator stands for. The zero value is one tenant, one application that trusts the branch
// main of one repository, and one vault in which it may set secrets and see their metadata.
type Options struct {
	Dir    string   // where Start writes ca.pem; New ignores it
	Tenant string   // "" is DefaultTenant
	Client string   // "" is DefaultClient
	Vaults []string // names of vaults in AzureCloud; nil is DefaultVault alone. AddVault makes others

	Issuer      string // of GitHub's tokens; "" is DefaultIssuer
	Repository  string // OWNER/NAME; "" is DefaultRepository
	Ref         string // "" is DefaultRef
	Event       string // "" is push; pull_request changes the subject
	Environment string // the job's environment; "" is none
	// ImmutableSubject puts the numbers of owner and repository into the subject, as for repositories since 2026-07-15.
	ImmutableSubject bool

	Creates      int           // secret creates that a vault takes in any 10 s; 0 is 300, negative no limit
	Transactions int           // other requests that a vault takes in any 10 s; 0 is 4000, negative no limit
	Settle       time.Duration // until a deletion or recovery is seen; 0 is half a second, negative at once
	Seed         uint64        // of version IDs and request IDs; 0 draws another one each time

	// Hosts are further services, by their host in lower case, that stand beside those of this package and before them
	// where a host is of both. They have the listener, the certificate and the network of this Emulator, its Hosts
	// counts their requests, and no fault happens to them.
	Hosts map[string]http.Handler
}

// An Emulator is the services. Its methods may be called at any time, from any goroutine.
type Emulator struct {
	options   Options
	offset    atomic.Int64 // of its clock, in nanoseconds
	ids       *identifiers
	directory *directory
	faults    faults
	server    *server // nil without listener

	jobMu sync.Mutex
	job   requestToken

	mu      sync.Mutex // guards what follows
	vaults  map[string]*vault
	servers map[string]*databaseServer // by resource ID in lower case
	changes map[string]*change         // by the ID of the operation
	granted map[string]actions         // client to what it may do in vaults and servers that are still to be added
	counts  map[string]int             // by operation
	hosts   map[string]int
	values  []string
	tokens  []string
	watch   func(operation string, done bool) bool // nil: nobody watches
}

// New returns an Emulator without listener. Its Handler serves it.
func New(o Options) *Emulator {
	o.Tenant = cmp.Or(o.Tenant, DefaultTenant)
	o.Client = cmp.Or(o.Client, DefaultClient)
	o.Issuer = cmp.Or(o.Issuer, DefaultIssuer)
	o.Repository = cmp.Or(o.Repository, DefaultRepository)
	o.Ref = cmp.Or(o.Ref, DefaultRef)
	o.Event = cmp.Or(o.Event, "push")
	o.Creates = cmp.Or(o.Creates, 300)
	o.Transactions = cmp.Or(o.Transactions, 4000)
	o.Settle = max(cmp.Or(o.Settle, defaultSettle), 0)
	e := &Emulator{
		options: o,
		ids:     newIdentifiers(o.Seed),
		vaults:  map[string]*vault{},
		granted: map[string]actions{strings.ToLower(o.Client): newActions(
			SetSecret, ReadMetadata, ReadServer, WriteServer, ReadOperations, ReadPermissions, ReadLocks,
		)},
		servers: map[string]*databaseServer{},
		changes: map[string]*change{},
		counts:  map[string]int{},
		hosts:   map[string]int{},
	}
	e.directory = newDirectory(e)
	e.job = e.newRequestToken()
	if o.Vaults == nil {
		o.Vaults = []string{DefaultVault}
	}
	for _, name := range o.Vaults {
		e.AddVault(VaultOptions{Name: name})
	}
	return e
}

// Handler returns the services, told apart by the request's Host. Where a fault cuts the connection it panics with
// http.ErrAbortHandler, which http.Server turns into that.
func (e *Emulator) Handler() http.Handler { return http.HandlerFunc(e.serve) }

// Now is the services' time.
func (e *Emulator) Now() time.Time { return time.Now().Add(time.Duration(e.offset.Load())) }

// Advance moves the services' time: what they print, when tokens expire, and what is due by then happens.
func (e *Emulator) Advance(d time.Duration) { e.offset.Add(int64(d)) }

// Requests returns how many requests of each operation arrived, refused ones included. The operations are: oidc,
// github-discovery, github-keys; instance-discovery, tenant-discovery, entra-keys, token; challenge (any request to a
// vault without token), set, get, versions, list, update, delete, list-deleted, recover; get-server, update-server,
// operation, permissions; other (a path that no service knows) and unknown-host. Each connection that a client asked
// for counts as connect.
func (e *Emulator) Requests() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.counts)
}

// Watch has look called when a request has come that is not done yet, and again when it is done and not answered; where
// look returns false, the connection is cut there. While look waits, the client does.
func (e *Emulator) Watch(look func(operation string, done bool) bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watch = look
}

// goesOn asks who watches whether a request goes on.
func (e *Emulator) goesOn(operation string, done bool) bool {
	e.mu.Lock()
	look := e.watch
	e.mu.Unlock()
	return look == nil || look(operation, done)
}

// Hosts returns how many requests arrived for each host, those that a proxy would not let through included.
func (e *Emulator) Hosts() map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.hosts)
}

// Values returns every value that arrived or was planted, accepted or not, in that order. It is for leak checks.
func (e *Emulator) Values() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.values)
}

// Tokens returns the request tokens, every token issued, and every assertion presented. It is for leak checks.
func (e *Emulator) Tokens() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.tokens)
}

// count counts a request. One of Options.Hosts is no operation, and a connection none of a host.
func (e *Emulator) count(operation, host string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if operation != "" {
		e.counts[operation]++
	}
	if host != "" {
		e.hosts[host]++
	}
}

func (e *Emulator) addValue(value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.values = append(e.values, value)
}

func (e *Emulator) addToken(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tokens = append(e.tokens, token)
}
