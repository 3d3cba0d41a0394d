package provision_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// An arrangement is one of the three orders in which vault and target change.
type arrangement string

const (
	twoLogins   arrangement = "two logins"
	oneLogin    arrangement = "one login"
	azureServer arrangement = "an Azure server"
)

var arrangements = []arrangement{twoLogins, oneLogin, azureServer}

// A server is what targets are connected to, in memory.
type server struct {
	arrangement
	mu        sync.Mutex
	passwords map[string]string // that open a login
	markers   map[string]string // the operation that each login's password is of
	lock      chan struct{}     // holds a token while a login is locked
}

// A target is a client of a server, as provision.Target describes it and no kinder: it does one thing at a time,
// forgets what is not committed when it is gone, and reports a caller that goes out of order.
type target struct {
	*server

	session string // what the client has done: "", "locked", "prepared", "finished"
	login   string // of the session
	pending pending
	calls   []string
	dead    bool // the client was killed
	held    bool // it holds the lock

	// before is called, without the mutex, before each call is carried out, and after with what it did. An error is the
	// call's answer.
	before, after func(ctx context.Context, call string) error
	// broken is told of what no caller may do.
	broken func(format string, args ...any)
}

// A pending is a password that is to be set.
type pending struct{ operation, password string }

func newTarget(a arrangement) *target {
	return (&server{
		arrangement: a, passwords: map[string]string{}, markers: map[string]string{}, lock: make(chan struct{}, 1),
	}).client()
}

// client returns another client.
func (s *server) client() *target {
	nothing := func(context.Context, string) error { return nil }
	return &target{
		server: s, before: nothing, after: nothing,
		broken: func(format string, args ...any) { panic(fmt.Sprintf(format, args...)) },
	}
}

// opens reports whether a login takes a password now.
func (s *server) opens(login, password string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return password != "" && s.passwords[login] == password
}

// plant sets the password of a login, as of an operation.
func (s *server) plant(login, operation, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(login, pending{operation, password})
}

func (s *server) apply(login string, p pending) {
	s.passwords[login] = p.password
	if s.arrangement != azureServer {
		s.markers[login] = p.operation
	}
}

// call carries one call out, in a session that must be in one of some states.
func (t *target) call(ctx context.Context, name string, do func(), states ...string) error {
	t.mu.Lock()
	t.calls = append(t.calls, name)
	dead := t.dead
	if !dead && !slices.Contains(states, t.session) {
		t.broken("%s: called while the session is %q", name, t.session)
	}
	t.mu.Unlock()
	if dead {
		return errDead
	}
	if err := t.before(ctx, name); err != nil {
		return err
	}
	if half := name == "finish" || name == "undo"; ctx.Err() != nil && !(half && t.arrangement == oneLogin) {
		return refusal.Refusal{Act: name, Cause: "seen by the target", Kind: refusal.Cancelled}
	}
	t.mu.Lock()
	do()
	t.mu.Unlock()
	return t.after(ctx, name)
}

func (t *target) Look(ctx context.Context, login string) (operation string, err error) {
	err = t.call(ctx, "look", func() { operation = t.markers[login] }, "", "locked")
	return operation, err
}

func (t *target) Lock(ctx context.Context, login string) error {
	err := t.call(ctx, "lock", func() {
		t.session, t.login = "locked", login
		if t.arrangement == azureServer {
			return // Resource Manager keeps nobody out
		}
		t.mu.Unlock()
		defer t.mu.Lock()
		select {
		case t.lock <- struct{}{}:
			t.held = true
		case <-ctx.Done():
		}
	}, "")
	if err == nil && !t.held && t.arrangement != azureServer && !t.dead {
		return refusal.Refusal{Act: "lock", Cause: "seen by the target", Kind: refusal.Cancelled}
	}
	return err
}

func (t *target) Prepare(ctx context.Context, login, operation string, password sensitive.Value) error {
	return t.call(ctx, "prepare", func() {
		if login != t.login {
			t.broken("prepare: %s is set, and %s is locked", login, t.login)
		}
		t.session, t.pending = "prepared", pending{operation, password.Reveal()}
		if t.arrangement == twoLogins {
			t.apply(login, t.pending)
		}
	}, "locked")
}

func (t *target) Held(ctx context.Context) error { return t.call(ctx, "held", func() {}, "prepared") }

func (t *target) Finish(ctx context.Context) error {
	return t.call(ctx, "finish", func() {
		t.session = "finished"
		if t.arrangement != twoLogins {
			t.apply(t.login, t.pending)
		}
	}, "prepared", "finished")
}

func (t *target) Undo(ctx context.Context) error {
	return t.call(ctx, "undo", func() { t.session = "locked" }, "locked", "prepared")
}

func (t *target) Unlock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, "unlock")
	t.release()
}

func (t *target) release() {
	t.session = ""
	if t.held {
		t.held = false
		<-t.lock
	}
}

// errDead is what a client sees that was killed, which is nothing.
var errDead = errors.New("killed")

// kill ends the session of a client that is killed. What it had not committed is gone.
func (t *target) kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dead = true
	t.release()
}

// refuses returns an answer of the target.
func refuses(call string, kind refusal.Kind) error {
	return refusal.Refusal{Act: call, Cause: "seen by the target", Remedy: "what to do", Kind: kind}
}

// applied returns a declared secret of an arrangement, in some vaults.
func applied(t testing.TB, a arrangement, name string, vaults ...string) declaration.Secret {
	t.Helper()
	s := secret(name, vaults...)
	s.Apply = &declaration.Apply{Host: &azure.Database{Name: "pg-prod"}, Part: "password"}
	switch a {
	case twoLogins:
		template, problems := composite.Parse("${login}:${password}")
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		s.Logins, s.Value, s.KeepFor = []string{"app_a", "app_b"}, template, day
	case oneLogin:
		s.Login = "app"
	case azureServer:
		s.Login, s.Confirm = "sqladmin", true
		s.Apply = &declaration.Apply{Server: &azure.Server{Name: "sql-prod"}, Part: "password"}
	}
	return s
}

// credentials returns what a reader takes from a value: the login and its password.
func (a arrangement) credentials(value string) (login, password string) {
	switch a {
	case twoLogins:
		login, password, _ = strings.Cut(value, ":")
		return login, password
	case oneLogin:
		return "app", value
	}
	return "sqladmin", value
}
