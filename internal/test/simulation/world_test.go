package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
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
	cancelAfter time.Duration // 0: not cancelled
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
	if r.IntN(4) == 0 {
		w.cancelAfter = time.Duration(r.IntN(3000)) * time.Millisecond
	}
	return w
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func newSecret(r *rand.Rand, i int, vaults []string) secret {
	s := secret{name: fmt.Sprintf("Secret-%d", i), vaults: []string{pick(r, vaults...)}}
	if len(vaults) > 1 && r.IntN(3) == 0 {
		s.vaults = vaults
	}
	s.past = pick(r, absent, absent, ours, ours, old, foreign, managed, disabled, deleted, diverged, several)
	if s.past == diverged && len(s.vaults) == 1 {
		s.past = ours
	}
	parts := []string{"policy: " + pick(r, "default", "azure-sql", "url-safe", "hex-256", "passphrase", "{length: 20}")}
	if s.expires = r.IntN(2) == 0; s.expires {
		parts = append(parts, "expires: 90d")
	}
	if s.rotates = r.IntN(2) == 0; s.rotates {
		parts = append(parts, "rotate: {after: 30d}")
	}
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
		return map[string]string{
			"generated-by": "keyvault-passwords",
			"policy":       "planted@000000000000",
			"operation":    s.name + operation,
			"run":          "past",
		}
	}
	put := func(age time.Duration, p emulator.Plant) error {
		p.Created = now.Add(-age)
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
		return put(40*day, emulator.Plant{Managed: true, ContentType: "application/x-pkcs12"})
	case disabled:
		return put(day, emulator.Plant{Tags: own("1"), Disabled: true})
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

// open reports whether the end of a run without faults depends on what the faulty one before it got done: a version
// that may not be disabled is a failure in mode force only while the version that superseded it is old.
func (w *world) open() bool {
	return w.mode == "force" && !w.mayUpdate &&
		slices.ContainsFunc(w.secrets, func(s secret) bool { return s.past == several && s.disables })
}

// reaches reports whether a run without faults ends with exit status 0, by the promises of the design.
func (w *world) reaches() bool {
	return !slices.ContainsFunc(w.secrets, func(s secret) bool { return !w.settles(s) })
}

// settles reports whether a run without faults, after another, leaves s as declared.
func (w *world) settles(s secret) bool {
	switch s.past {
	case managed:
		return false
	case deleted:
		return w.recover && w.mayRecover
	case foreign: // 40 days old: due where it rotates, and then not to be written without adopt
		return w.mode == "ensure" || w.adopt || w.mode == "rotate" && !s.rotates
	case disabled:
		return w.mode == "force"
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
	fmt.Fprintf(&text,
		"seed %d: mode %s, adopt %t, recover %t, may update %t, may recover %t, concurrency %d, cancelled after %s\n",
		w.seed, w.mode, w.adopt, w.recover, w.mayUpdate, w.mayRecover, w.concurrency, w.cancelAfter)
	for _, s := range w.secrets {
		fmt.Fprintf(&text, "  %s (%s): %s\n", s.name, s.past, s.yaml)
	}
	for _, f := range w.faults {
		fmt.Fprintf(&text, "  fault at %s %d (%d times): %s %d %s phase %d delay %s\n", f.Operation, f.Nth, f.Times,
			f.Kind, f.Status, http.StatusText(f.Status), f.Phase, f.Delay)
	}
	return text.String()
}
