package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// A secret is one declared secret of a simulated world, and its past.
type secret struct {
	name     string
	vaults   []string
	yaml     string // what stands after the name
	expires  bool
	rotates  bool
	disables bool
	past     past
	expiry   int64 // of what a vault held, in seconds since 1970; 0: none
	// what a vault held has tags whose names differ in letter case from those that are set
	tags    bool
	server  *emulator.ServerOptions // whose administrator's password it is; nil: none
	applied bool                    // the server has, and is known to have, what the newest version of ours holds
}

// A past is what a vault held of a secret before the run.
type past string

const (
	absent   past = "absent"
	ours     past = "ours"
	old      past = "ours, due"
	foreign  past = "foreign"
	managed  past = "managed"
	disabled past = "disabled"
	blocked  past = "ours, the newest disabled"
	taken    past = "ours, then a foreign one, disabled"
	deleted  past = "deleted"
	diverged past = "diverged"
	several  past = "several versions of ours"
)

// A world is everything that a seed decides.
type world struct {
	seed        uint64
	mode        string
	adopt       bool
	recover     bool
	mayUpdate   bool
	mayRecover  bool
	concurrency int
	mask        string
	secrets     []secret
	faults      []emulator.Fault
	attempts    int           // of the run with faults
	cancelAfter time.Duration // of its first attempt; 0: not cancelled
	killAfter   int           // so many requests of its first attempt; 0: not killed
	killDone    bool          // the last of them is done at its service, and not answered
	wait        time.Duration // for access; 0: none
	// when what was set up a moment ago is seen, by each server; nil: it is not new
	credential, role emulator.Delays
}

const day = 24 * time.Hour

// newWorld draws a world.
func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	w := &world{
		seed:        seed,
		mode:        pick(r, "ensure", "rotate", "rotate", "force"),
		adopt:       r.IntN(4) == 0,
		recover:     r.IntN(2) == 0,
		mayUpdate:   r.IntN(2) == 0,
		mayRecover:  r.IntN(3) > 0,
		concurrency: 1 + r.IntN(8),
		mask:        pick(r, "all", "versions", "none"),
	}
	vaults := []string{"kv-one", "kv-two", "kv-three"}[:1+r.IntN(3)]
	for i := range 1 + r.IntN(7) {
		w.secrets = append(w.secrets, newSecret(r, i, vaults))
	}
	for range r.IntN(5) {
		w.faults = append(w.faults, newFault(r))
	}
	for range r.IntN(4) {
		w.faults = append(w.faults, newBetween(r))
	}
	if r.IntN(8) == 0 {
		vault := pick(r, vaults...)
		w.faults = append(w.faults,
			emulator.Fault{Kind: emulator.ReadOnly, Vault: vault, Nth: 1 + r.IntN(4), Times: -1})
	}
	w.addServers(rand.New(rand.NewPCG(seed, 0x2545f4914f6cdd1d)))
	w.attempts = 1 + r.IntN(4)/3
	if r.IntN(4) == 0 {
		w.cancelAfter = time.Duration(r.IntN(3000)) * time.Millisecond
	}
	if r.IntN(4) == 0 {
		w.wait = 5 * time.Minute
		w.credential, w.role = newDelays(r), newDelays(r)
	}
	return w
}

// addServers gives some of the secrets a server, and what may go wrong there.
func (w *world) addServers(r *rand.Rand) {
	if r.IntN(3) > 0 {
		return
	}
	policies := map[string]string{
		emulator.SQLServer: "azure-sql", emulator.PostgreSQLServer: "azure-postgresql",
		emulator.MySQLServer: "azure-mysql",
	}
	for i := range w.secrets {
		s := &w.secrets[i]
		if r.IntN(2) == 0 {
			continue
		}
		s.server = &emulator.ServerOptions{
			Name:    fmt.Sprintf("server-%d", i),
			Kind:    pick(r, emulator.SQLServer, emulator.PostgreSQLServer, emulator.MySQLServer),
			Takes:   pick(r, -1, time.Duration(1+r.IntN(40))*time.Second),
			Headers: pick(r, emulator.BothHeaders, emulator.AsyncHeader, emulator.LocationHeader),
		}
		s.applied = r.IntN(2) == 0 && s.past != diverged
		s.yaml = fmt.Sprintf("{policy: %s, login: sqladmin, apply: {azure: %s}, vaults: [%s]",
			policies[s.server.Kind], s.serverID(), strings.Join(s.vaults, ", "))
		if s.rotates {
			s.yaml += ", rotate: {after: 30d}"
		}
		if s.disables {
			s.yaml += ", superseded: {disable-after: 24h}"
		}
		s.expires = false
		s.yaml += "}"
	}
	if !w.hasServers() {
		return
	}
	w.mayUpdate = true // else no version could be noted as applied
	for range r.IntN(5) {
		w.faults = append(w.faults, newServerFault(r))
	}
	if r.IntN(3) == 0 {
		w.killAfter, w.killDone = 1+r.IntN(40), r.IntN(2) == 0
	}
}

// serverFaults are what may go wrong at a server. What is left zero is drawn.
var serverFaults = []emulator.Fault{
	{Kind: emulator.Cut},
	{Kind: emulator.Cut, Phase: emulator.After},
	{Kind: emulator.Status, Status: 500, Phase: emulator.After},
	{Kind: emulator.Status, Status: 503},
	{Kind: emulator.Status, Status: 429, RetryAfter: "7"},
	{Kind: emulator.Status, Status: 403, Code: "AuthorizationFailed"},
	{Kind: emulator.Status, Status: 404, Code: "ResourceNotFound"},
	{Kind: emulator.Status, Status: 409, Code: "ConflictingServerOperation"},
	{Kind: emulator.Status, Status: 409, Code: "ScopeLocked"},
	{Kind: emulator.Status, Status: 400, Code: "PasswordNotComplex"},
	{Kind: emulator.StaleToken},
	{Kind: emulator.Truncated, Phase: emulator.After},
	{Kind: emulator.NoBody, Phase: emulator.After},
	{Kind: emulator.Empty, Phase: emulator.After},
	{Kind: emulator.Injection},
	{Kind: emulator.Slow, Delay: 30 * time.Second, Phase: emulator.After},
	{Kind: emulator.Between, Status: 200, Phase: emulator.After},
	{Kind: emulator.Between, Status: 502},
	{Operation: "update-server", Kind: emulator.Failed, Code: "InternalServerError"},
	{Operation: "update-server", Kind: emulator.Failed, Code: "PasswordNotComplex"},
	{Operation: "update-server", Kind: emulator.ForeignLink},
}

func newServerFault(r *rand.Rand) emulator.Fault {
	f := pick(r, serverFaults...)
	if f.Operation == "" {
		f.Operation = pick(r, "get-server", "update-server", "update-server", "operation")
	}
	f.Nth = 1 + r.IntN(4)
	f.Times = 1 + r.IntN(2)*r.IntN(5)
	return f
}

func (w *world) hasServers() bool {
	return slices.ContainsFunc(w.secrets, func(s secret) bool { return s.server != nil })
}

// serverID is the resource ID of the secret's server.
func (s secret) serverID() string {
	return "/subscriptions/" + emulator.DefaultSubscription + "/resourceGroups/rg-example/providers/" + s.server.Kind +
		"/" + s.server.Name
}

// newDelays draws when up to three servers learn of something, all within the wait; or that it is not new.
func newDelays(r *rand.Rand) (delays emulator.Delays) {
	for range r.IntN(4) {
		delays = append(delays, time.Duration(r.IntN(120))*time.Second)
	}
	return delays
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func newSecret(r *rand.Rand, i int, vaults []string) secret {
	s := secret{name: fmt.Sprintf("Secret-%d", i), vaults: []string{pick(r, vaults...)}}
	if len(vaults) > 1 && r.IntN(3) == 0 {
		s.vaults = vaults
	}
	s.past = pick(r, absent, absent, ours, ours, old, foreign, managed, disabled, blocked, taken, deleted, diverged,
		several)
	if s.past == diverged && len(s.vaults) == 1 {
		s.past = ours
	}
	parts := []string{"policy: " + pick(r, "default", "azure-sql", "url-safe", "hex-256", "passphrase", "{length: 20}")}
	if s.expires = r.IntN(2) == 0; s.expires {
		parts = append(parts, "expires: 90d")
	}
	switch s.rotates = r.IntN(2) == 0; {
	case s.rotates && s.expires && r.IntN(2) == 0:
		parts = append(parts, "rotate: {after: 30d, before-expiry: 14d}")
	case s.rotates:
		parts = append(parts, "rotate: {after: 30d}")
	}
	if r.IntN(3) == 0 {
		s.expiry = pick(r, expiries...)
	}
	s.tags = r.IntN(3) == 0
	if s.disables = r.IntN(3) == 0; s.disables {
		parts = append(parts, "superseded: {disable-after: "+pick(r, "1h", "24h")+"}")
	}
	if r.IntN(4) == 0 {
		parts = append(parts, `login: app`, `value: "${login}:${password|url}"`)
	}
	if r.IntN(2) == 0 {
		parts = append(parts, "content-type: password", "tags: {owner: a-team}")
	}
	parts = append(parts, "vaults: ["+strings.Join(s.vaults, ", ")+"]")
	s.yaml = "{" + strings.Join(parts, ", ") + "}"
	return s
}

// expiries are what vaults hold of expiries: one before 1970 and in its first second, tomorrow's, those around the end
// of 32 bits, of the years 2199, 9999 and 10000, and in milliseconds, which is the year 58932. The bubble's now is in
// 2000.
var expiries = []int64{-1, 1, 946771200, 1<<31 - 1, 1 << 31, 7258118399, 253402300799, 253402303861, 1797552000000}

// faultKinds are what may go wrong. What is left zero is drawn.
var faultKinds = []emulator.Fault{
	{Operation: "oidc", Kind: emulator.Status, Status: 503},
	{Operation: "oidc", Kind: emulator.EmptyValue},
	{Operation: "oidc", Kind: emulator.Cut},
	{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213"},
	{Operation: "token", Kind: emulator.Empty},
	{Operation: "token", Kind: emulator.Status, Status: 503},
	{Operation: "token", Kind: emulator.Injection},
	{Operation: "challenge", Kind: emulator.BadChallenge},
	{Operation: "challenge", Kind: emulator.Cut},
	{Operation: "versions", Kind: emulator.Cut},
	{Operation: "versions", Kind: emulator.Status, Status: 500},
	{Operation: "versions", Kind: emulator.Status, Status: 403, Code: "Forbidden", Inner: "ForbiddenByRbac"},
	{Operation: "versions", Kind: emulator.Status, Status: 404, Code: "NotFound"},
	{Operation: "versions", Kind: emulator.Truncated},
	{Operation: "versions", Kind: emulator.Empty},
	{Operation: "versions", Kind: emulator.StaleToken},
	{Operation: "versions", Kind: emulator.ForeignLink},
	{Operation: "versions", Kind: emulator.BigBody, Size: 3 << 20},
	{Operation: "versions", Kind: emulator.Injection},
	{Operation: "list", Kind: emulator.Cut},
	{Operation: "list-deleted", Kind: emulator.Status, Status: 503},
	{Operation: "list-deleted", Kind: emulator.Status, Status: 403, Code: "Forbidden", Inner: "ForbiddenByRbac"},
	{Operation: "set", Kind: emulator.Cut, Phase: emulator.Before},
	{Operation: "set", Kind: emulator.Cut, Phase: emulator.After},
	{Operation: "set", Kind: emulator.Status, Status: 503, Phase: emulator.Before},
	{Operation: "set", Kind: emulator.Status, Status: 503, Phase: emulator.After},
	{Operation: "set", Kind: emulator.Status, Status: 408, Phase: emulator.After},
	{Operation: "set", Kind: emulator.Status, Status: 429, Code: "Throttled"},
	{Operation: "set", Kind: emulator.Status, Status: 429, Code: "Throttled", RetryAfter: "3"},
	{Operation: "set", Kind: emulator.Status, Status: 403, Code: "Forbidden", Inner: "ForbiddenByRbac"},
	{Operation: "set", Kind: emulator.Status, Status: 409, Code: "Conflict", Inner: "ObjectIsBeingDeleted"},
	{Operation: "set", Kind: emulator.Truncated, Phase: emulator.After},
	{Operation: "set", Kind: emulator.NoBody, Phase: emulator.After},
	{Operation: "set", Kind: emulator.BigHeaders, Phase: emulator.After, Size: 1 << 20},
	{Operation: "set", Kind: emulator.Injection},
	{Operation: "set", Kind: emulator.Redirect},
	{Operation: "set", Kind: emulator.StaleToken},
	{Operation: "set", Kind: emulator.Slow, Delay: 5 * time.Second},
	{Operation: "set", Kind: emulator.Slow, Delay: 20 * time.Second, Phase: emulator.After},
	{Operation: "set", Kind: emulator.Late},
	{Operation: "update", Kind: emulator.Cut, Phase: emulator.After},
	{Operation: "recover", Kind: emulator.Cut, Phase: emulator.After},
	{Operation: "recover", Kind: emulator.Unseen, Delay: 12 * time.Second},
	{Operation: "set", Kind: emulator.Status, Inner: "ForbiddenByRbac", Every: 2},
	{Operation: "set", Kind: emulator.Status, Inner: "ForbiddenByFirewall", Every: 2},
	{Operation: "versions", Kind: emulator.Status, Inner: "ForbiddenByConnection", Every: 2},
	{Operation: "versions", Kind: emulator.Status, Inner: "AccessDenied"},
	{Operation: "connect", Kind: emulator.Status},
	{Operation: "connect", Kind: emulator.Status, Status: 407},
	{Operation: "connect", Kind: emulator.Cut},
	{Operation: "connect", Kind: emulator.NoName},
	{Operation: "connect", Kind: emulator.NoHost},
}

// asked are the operations to which something in between may answer: a set more often than the others.
var asked = []string{
	"set", "set", "set", "set", "versions", "list", "list-deleted", "update", "recover", "challenge", "token", "oidc",
	"tenant-discovery",
}

// newBetween draws an answer from in between: any status and any body, before the service has done what was asked or
// after it. One in four is said to be of a service, by its header.
func newBetween(r *rand.Rand) emulator.Fault {
	f := emulator.Fault{
		Operation: pick(r, asked...),
		Kind:      emulator.Between,
		Phase:     pick(r, emulator.Before, emulator.After, emulator.After),
		Status:    200 + r.IntN(400),
		Body: pick(r, emulator.Page, emulator.Problem, emulator.Likeness, emulator.Echo, emulator.Nothing,
			emulator.HalfPage),
		Nth:   1 + r.IntN(4),
		Times: 1 + r.IntN(2)*r.IntN(5),
	}
	if r.IntN(2) == 0 {
		f.Status = pick(r, 200, 201, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 409, 429, 451, 500, 502, 503,
			511)
	}
	// azcore v1.24.0 rewinds a request's body in place, for a redirect that keeps the body and to send it again, while
	// net/http may still look for its end: the race detector sees that. SECURITY's table has these answers.
	if f.Status == 307 || f.Status == 308 {
		f.Status -= 5
	}
	if f.Operation == "token" && f.Body == emulator.HalfPage {
		f.Body = emulator.Page
	}
	if f.Body == emulator.Likeness && r.IntN(2) == 0 {
		f.Code, f.Inner = "Forbidden", pick(r, "ForbiddenByRbac", "ForbiddenByFirewall", "ObjectIsBeingDeleted")
	}
	return f
}

func newFault(r *rand.Rand) emulator.Fault {
	f := pick(r, faultKinds...)
	f.Nth = 1 + r.IntN(4)
	f.Times = 1 + r.IntN(2)*r.IntN(3)
	if f.Kind == emulator.Late {
		f.Delay = time.Duration(r.IntN(6000)) * time.Millisecond
	}
	return f
}

// declaration is the world's secrets as their user writes them.
func (w *world) declaration() string {
	var text strings.Builder
	text.WriteString("vaults:\n")
	for _, vault := range []string{"kv-one", "kv-two", "kv-three"} {
		fmt.Fprintf(&text, "  %s: {name: %s}\n", vault, vault)
	}
	text.WriteString("secrets:\n")
	for _, s := range w.secrets {
		fmt.Fprintf(&text, "  %s: %s\n", s.name, s.yaml)
	}
	return text.String()
}

// emulator makes the services, with the past and the faults.
func (w *world) emulator() (*emulator.Emulator, error) {
	e := emulator.New(emulator.Options{Vaults: []string{"kv-one", "kv-two", "kv-three"}, Seed: w.seed + 1})
	for _, s := range w.secrets {
		if s.server != nil {
			o := *s.server
			if s.applied {
				o.Password = s.value(newest(s.past))
			}
			e.AddServer(o)
		}
		for i, vault := range s.vaults {
			if err := s.plant(e, vault, i); err != nil {
				return nil, err
			}
		}
	}
	for _, vault := range []string{"kv-one", "kv-two", "kv-three"} {
		if w.mayUpdate {
			e.Grant(emulator.DefaultClient, vault, emulator.Update)
		}
		if w.mayRecover {
			e.Grant(emulator.DefaultClient, vault, emulator.Recover)
		}
		if w.role != nil {
			e.Revoke("", vault, emulator.SetSecret, emulator.ReadMetadata)
			e.GrantLater(w.role, "", vault, emulator.SetSecret, emulator.ReadMetadata)
		}
	}
	if w.credential != nil {
		e.Distrust("")
		e.Trust(emulator.Credential{Seen: w.credential})
	}
	for _, f := range w.faults {
		e.Fault(f)
	}
	return e, nil
}

// plant puts the past of s into its i-th vault.
func (s secret) plant(e *emulator.Emulator, vault string, i int) error {
	now := e.Now()
	own := func(operation string) map[string]string {
		tags := map[string]string{
			"generated-by": "keyvault-passwords",
			"policy":       "planted@000000000000",
			"operation":    s.name + operation,
			"run":          "past",
		}
		if s.applied && operation == newest(s.past) {
			tags["applied"] = tags["operation"]
		}
		return tags
	}
	put := func(age time.Duration, p emulator.Plant) error {
		if operation := strings.TrimPrefix(p.Tags["operation"], s.name); operation != "" {
			p.Value = s.value(operation)
		}
		p.Created = now.Add(-age)
		if s.expiry != 0 {
			p.Expires = time.Unix(s.expiry, 0)
		}
		if s.tags {
			p.Tags = maps.Clone(p.Tags)
			maps.Copy(p.Tags, map[string]string{"Owner": "b-team", "RUN": "b", "Generated-By": "keyvault-passwords"})
		}
		_, err := e.Put(vault, s.name, p)
		return err
	}
	switch s.past {
	case absent:
		return nil
	case ours:
		return put(day, emulator.Plant{Tags: own("1")})
	case old:
		return put(40*day, emulator.Plant{Tags: own("1")})
	case foreign:
		return put(40*day, emulator.Plant{Tags: map[string]string{"made": "by hand"}})
	case managed:
		return put(40*day, emulator.Plant{Managed: true, ContentType: "application/x-pkcs12",
			Tags: map[string]string{}})
	case disabled:
		return put(day, emulator.Plant{Tags: own("1"), Disabled: true})
	case blocked:
		if err := put(30*day, emulator.Plant{Tags: own("1")}); err != nil {
			return err
		}
		return put(2*day, emulator.Plant{Tags: own("2"), Disabled: true})
	case taken:
		if err := put(90*day, emulator.Plant{Tags: own("1")}); err != nil {
			return err
		}
		return put(2*day, emulator.Plant{Tags: map[string]string{"made": "by hand"}, Disabled: true})
	case deleted:
		if err := put(day, emulator.Plant{Tags: own("1")}); err != nil {
			return err
		}
		return e.Remove(vault, s.name)
	case diverged:
		if i == 0 {
			return nil
		}
		return put(day, emulator.Plant{Tags: own(fmt.Sprint(i))})
	default: // several: one of them of another hand, two of one second
		if err := put(50*day, emulator.Plant{Tags: own("1")}); err != nil {
			return err
		}
		if err := put(45*day, emulator.Plant{Tags: map[string]string{"made": "by hand"}}); err != nil {
			return err
		}
		if err := put(2*day, emulator.Plant{Tags: own("2")}); err != nil {
			return err
		}
		return put(2*day, emulator.Plant{Tags: own("3")})
	}
}

// newest is the operation of the newest version of ours in a past.
func newest(p past) string {
	switch p {
	case blocked:
		return "2"
	case several:
		return "3"
	}
	return "1"
}

// value is what a version of ours held in the past.
func (s secret) value(operation string) string { return "Planted-1-" + s.name + operation }

// open reports whether the end of a run without faults depends on what the faulty one before it got done: a version
// that may not be disabled is a failure in mode force only while the version that superseded it is old, and a secret
// with a server waits for a role at the vault for as long as a set may take, not for as long as the run waits.
func (w *world) open() bool {
	if w.hasServers() && w.role != nil {
		return true
	}
	return w.mode == "force" && !w.mayUpdate &&
		slices.ContainsFunc(w.secrets, func(s secret) bool {
			return s.disables && (s.past == several || s.past == blocked || s.past == taken)
		})
}

// reaches reports whether a run without faults ends with exit status 0, by the promises of the design.
func (w *world) reaches() bool {
	return !slices.ContainsFunc(w.secrets, func(s secret) bool { return !w.settles(s) })
}

// settles reports whether a run without faults, after another, leaves s as declared.
func (w *world) settles(s secret) bool {
	if s.server != nil && !s.applied && w.mode == "ensure" && (s.past == ours || s.past == old || s.past == several) {
		return false // the server does not hold the version, and ensure sets none that is there
	}
	switch s.past {
	case managed:
		return false
	case deleted:
		return w.recover && w.mayRecover
	case foreign: // 40 days old: due where it rotates, and then not to be written without adopt
		return w.mode == "ensure" || w.adopt || w.mode == "rotate" && !s.rotates
	case disabled:
		return w.mode == "force"
	case blocked: // the older version is one to disable
		return w.mode == "force" && (!s.disables || w.mayUpdate)
	case taken:
		return w.mode == "force" && w.adopt && (!s.disables || w.mayUpdate)
	case diverged:
		return w.mode != "ensure"
	case several: // has a version to disable, of 50 days ago
		return !s.disables || w.mode == "ensure" || w.mayUpdate
	}
	return true
}

// String is for failures: what the world is, without a value.
func (w *world) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %d: mode %s, adopt %t, recover %t, may update %t, may recover %t, concurrency %d, "+
		"%d attempts, the first cancelled after %s or killed after %d requests (done %t), wait %s, "+
		"credential seen after %v, role after %v\n",
		w.seed, w.mode, w.adopt, w.recover, w.mayUpdate, w.mayRecover, w.concurrency,
		w.attempts, w.cancelAfter, w.killAfter, w.killDone, w.wait, w.credential, w.role)
	for _, s := range w.secrets {
		fmt.Fprintf(&text, "  %s (%s, expiry %d, odd tags %t, applied %t): %s\n", s.name, s.past, s.expiry, s.tags,
			s.applied, s.yaml)
	}
	for _, f := range w.faults {
		fmt.Fprintf(&text, "  fault %+v\n", f)
	}
	return text.String()
}
