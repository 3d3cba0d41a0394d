package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// The kinds of database servers, as Azure Resource Manager spells their types.
const (
	SQLServer        = "Microsoft.Sql/servers"
	PostgreSQLServer = "Microsoft.DBforPostgreSQL/flexibleServers"
	MySQLServer      = "Microsoft.DBforMySQL/flexibleServers"
)

// The headers with which a change that takes a while says where to ask how it ended.
const (
	BothHeaders    = ""
	AsyncHeader    = "Azure-AsyncOperation"
	LocationHeader = "Location"
)

// DefaultSubscription is where servers are that name no other place.
const DefaultSubscription = "6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90"

// ServerOptions describe a database server, and how Azure Resource Manager changes it. Only Name is needed.
type ServerOptions struct {
	Name         string
	Kind         string // "" is SQLServer
	Group        string // the resource group; "" is rg-example
	Subscription string // "" is DefaultSubscription
	Cloud        string // the domain of the cloud's vaults; "" is vault.azure.net
	Tenant       string // whose tokens it takes; "" is the Emulator's own
	Location     string // "" is West Europe
	Login        string // of the administrator; "" is sqladmin
	Password     string // of the administrator; "" draws one
	State        string // "" is Ready; Stopped, Updating, Disabled, ...
	EntraOnly    bool   // passwords are disabled
	Replica      bool   // it is a read replica
	Locked       bool   // there is a read-only lock on the resource group
	Policy       string // the display name of an Azure Policy that denies each change
	// Takes is how long a change takes; 0 is half a second, and negative answers 200 with the changed server at once.
	Takes   time.Duration
	Headers string // of a change that takes a while: BothHeaders, AsyncHeader, LocationHeader
	// Deferred makes the change, once accepted, judge the password, instead of the request.
	Deferred bool
}

// A databaseServer is one server's state. Everything in it but the options is guarded by the lock.
type databaseServer struct {
	e       *Emulator
	options ServerOptions
	cloud   *cloud

	mu       sync.Mutex
	access   map[string]actions // by client
	turn     int                // of Resource Manager's front ends
	password string             // the SHA-256 of it, in hexadecimal digits
	changes  int                // that were done
	pending  *change            // under way
	sent     []string           // names of properties that any request wanted to change
}

// A change is an operation that was accepted.
type change struct {
	id       string
	by       string // the client
	server   *databaseServer
	password string // the SHA-256
	started  time.Time
	due      time.Time
	failure  *refusal // it ends so
	settled  bool
}

// AddServer makes a server, or replaces the one of that ID, and returns its resource ID. The Emulator's own application
// may look at it and change it, and so may whoever was granted to do so in all servers.
func (e *Emulator) AddServer(o ServerOptions) string {
	o.Kind = cmp.Or(o.Kind, SQLServer)
	o.Group = cmp.Or(o.Group, "rg-example")
	o.Subscription = cmp.Or(o.Subscription, DefaultSubscription)
	o.Cloud = cmp.Or(o.Cloud, clouds[0].domain)
	o.Tenant = strings.ToLower(cmp.Or(o.Tenant, e.options.Tenant))
	o.Location = cmp.Or(o.Location, "West Europe")
	o.Login = cmp.Or(o.Login, "sqladmin")
	o.State = cmp.Or(o.State, "Ready")
	o.Password = cmp.Or(o.Password, "planted-"+e.ids.version())
	o.Takes = max(cmp.Or(o.Takes, defaultSettle), 0)
	e.addTenant(o.Tenant)
	e.addValue(o.Password)
	s := &databaseServer{
		e: e, options: o, cloud: cmp.Or(cloudOfDomain(o.Cloud), &clouds[0]),
		access: map[string]actions{}, password: Digest(o.Password),
	}
	s.options.Password = ""
	e.mu.Lock()
	defer e.mu.Unlock()
	for client, granted := range e.granted {
		s.access[client] = maps.Clone(granted)
	}
	e.servers[strings.ToLower(s.id())] = s
	return s.id()
}

// Digest is how the Emulator tells a value without telling it: its SHA-256, in hexadecimal digits.
func Digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// LogsIn tells whether a login with a password opens the server of a resource ID.
func (e *Emulator) LogsIn(id, login, password string) bool {
	s := e.serverOf(id)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(e.Now())
	return strings.EqualFold(login, s.options.Login) && Digest(password) == s.password && !s.options.EntraOnly
}

// A HeldServer is a server that Azure Resource Manager knows: all but the password.
type HeldServer struct {
	ID       string
	Login    string
	Password string   // the Digest of it
	Changes  int      // how many changes of the password were done
	Busy     bool     // a change is under way
	Sent     []string // the names of all properties that were sent to change it, in order
}

// Servers returns every server, by its ID.
func (e *Emulator) Servers() []HeldServer {
	e.mu.Lock()
	servers := slices.Collect(maps.Values(e.servers))
	e.mu.Unlock()
	var held []HeldServer
	for _, s := range servers {
		s.mu.Lock()
		s.settle(e.Now())
		held = append(held, HeldServer{
			ID:       s.id(),
			Login:    s.options.Login,
			Password: s.password,
			Changes:  s.changes,
			Busy:     s.pending != nil,
			Sent:     slices.Clone(s.sent),
		})
		s.mu.Unlock()
	}
	slices.SortFunc(held, func(a, b HeldServer) int { return cmp.Compare(a.ID, b.ID) })
	return held
}

func (e *Emulator) serverOf(id string) *databaseServer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.servers[strings.ToLower(id)]
}

func (s *databaseServer) group() string {
	return "/subscriptions/" + s.options.Subscription + "/resourceGroups/" + s.options.Group
}

func (s *databaseServer) id() string {
	return s.group() + "/providers/" + s.options.Kind + "/" + s.options.Name
}

// namespace is of the resource provider: Microsoft.Sql.
func (s *databaseServer) namespace() string {
	namespace, _, _ := strings.Cut(s.options.Kind, "/")
	return namespace
}

// settle lets the change end that was due; the caller holds the server's lock.
func (s *databaseServer) settle(now time.Time) {
	c := s.pending
	if c == nil || now.Before(c.due) {
		return
	}
	s.pending = nil
	c.settled = true
	if c.failure == nil {
		s.password = c.password
		s.changes++
	}
}

// state is what the server says of itself: one that changes says so, but for SQL's.
func (s *databaseServer) state() string {
	if s.pending != nil && s.options.Kind != SQLServer {
		return "Updating"
	}
	return s.options.State
}

// judge refuses a password as the service does: 8 to 128 characters of three of four classes, without a part of the
// login. SQL's codes are those of https://github.com/Azure/azure-rest-api-specs, Microsoft.Sql 2023-08-01,
// Servers.json, with the text of microsoft/TailwindTraders#2 (2019); the others' are not known, and are made up in
// their likeness.
func (s *databaseServer) judge(password string) *refusal {
	code, why := "PasswordNotComplex", "not complex enough"
	switch {
	case len(password) < 8:
		code, why = "PasswordTooShort", "too short"
	case len(password) > 128:
		code, why = "PasswordTooLong", "too long"
	case classes(password) >= 3 && !strings.Contains(strings.ToLower(password), strings.ToLower(s.options.Login)):
		return nil
	}
	if s.options.Kind != SQLServer {
		return armBad("InvalidParameterValue", "Invalid value given for parameter AdministratorLoginPassword. "+
			"Specify a valid parameter value.")
	}
	return armBad(code, "Password validation failed. The password does not meet policy requirements because it is "+
		why+".")
}

func classes(text string) (n int) {
	for _, in := range []func(c rune) bool{
		func(c rune) bool { return c >= 'a' && c <= 'z' },
		func(c rune) bool { return c >= 'A' && c <= 'Z' },
		func(c rune) bool { return c >= '0' && c <= '9' },
		func(c rune) bool {
			return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
		},
	} {
		if strings.ContainsFunc(text, in) {
			n++
		}
	}
	return n
}

// busy refuses a change that the server's state does not allow: SQL's code is of Servers.json, MySQL's of
// turbot/steampipe-plugin-azure#859 (2024), PostgreSQL's of hashicorp/terraform-provider-azurerm#29219 (2025).
func (s *databaseServer) busy() *refusal {
	switch {
	case s.pending != nil && s.options.Kind == SQLServer:
		return armConflict("UpsertLogicalServerRequestAlreadyInProgress",
			"An ongoing logical server request is already in progress, please try your request again later.")
	case s.options.Kind == SQLServer && s.options.State == "Disabled":
		return armConflict("ServerDisabled", "Server is disabled.")
	case s.options.Kind == SQLServer || s.state() == "Ready":
		return nil
	case s.options.Kind == MySQLServer:
		return armConflict("ServerUnavailableForOperation", fmt.Sprintf(
			"Operation 'UpdateServer' cannot be performed as server '%s' is currently in state '%s'.", s.options.Name,
			s.state()))
	}
	return armConflict("ServerIsNotReady", fmt.Sprintf(
		"The server is not ready for this operation. Server Name = %s, Current Server State = %s", s.options.Name,
		s.state()))
}
