// Package postgres sets the password of a login at an Azure Database for PostgreSQL flexible server, and proves by a
// login that the server takes it.
//
// The server never gets a password: it gets a SCRAM verifier that is made here, and the proof is a SCRAM exchange. So
// no password is on the wire, in the server's log or in its statistics. The identity logs in with an access token in
// place of a password, to a host within the cloud's domain, over TLS that is verified with the machine's roots; neither
// token nor verifier is sent to a server that is not. The package speaks PostgreSQL's protocol itself: it needs little
// of it, and a client for everything reads the job's PG* variables and the files that they name.
//
// A [Target] does nothing but that. It creates no role, grants nothing and drops nothing: where something of that kind
// is missing, it refuses with the SQL to run. What it refuses is in an [Error], which holds neither text of the
// server's nor SQL that was sent.
//
// # Two logins, and one
//
// With two logins, [Target.Prepare] changes the idle one for good, before the vault has the password: nobody uses that
// login until the vault's new version names it. With one, Prepare changes it in a transaction that stays open, and
// [Target.Finish] commits it once the vault has the password. Either way the same transaction writes the operation's ID
// into the role's comment. By this marker the next run sees whether the target holds what the vault's newest version
// holds, and a run whose COMMIT got no answer sees what became of it.
package postgres

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/sensitive"
)

// Config says which logins, where, and who sets their passwords. Every field but Database and Access is required.
type Config struct {
	Host       string   // in one of the domains of Azure: see azure.ParseDatabase
	Database   string   // to connect to; "" is postgres. Runs exclude each other within one database
	As         string   // the role of the identity
	Logins     []string // one or two
	Scope      string   // of the access token: for azure.Cloud.DatabaseAudience
	Credential azcore.TokenCredential
	Network    *network.Dialer
	Access     *access.Wait // for a host whose name is minutes old; nil: for nothing
}

// A Target is where the password of one secret opens something: one login, or two of which one is idle. Its methods are
// called by one goroutine at a time, in the order that provision.Target says. Each ends soon after its context, but for
// what must not stay half done; how long that takes is bounded.
type Target struct {
	config  Config
	session *session // nil: not connected
	pending *change  // what Prepare did; nil: nothing

	stoppedAt atomic.Pointer[time.Time] // when the context of Lock ended; nil: it has not
	unwatch   func() bool
}

// New returns a target. It contacts nothing.
func New(c Config) *Target {
	c.Database = cmp.Or(c.Database, "postgres")
	c.Logins = slices.Clone(c.Logins)
	return &Target{config: c}
}

// A change is a password on its way into a login.
type change struct {
	login     string
	operation string
	before    string // the operation that the login's marker named before
	password  sensitive.Value
	committed bool
	proven    bool // by a login
}

// Look connects, checks that the password of login can be set, and returns the operation that its marker names; "" if
// there is none. It changes nothing, and disconnects.
func (t *Target) Look(ctx context.Context, login string) (operation string, err error) {
	s, err := t.connect(ctx)
	if err != nil {
		return "", err
	}
	defer s.close()
	roles, err := t.check(ctx, s)
	if err != nil {
		return "", err
	}
	return markerOf(roles[login].comment), nil
}

// Lock connects, waits for other runs that set one of the target's logins, keeps them out until Unlock, and checks as
// Look does.
func (t *Target) Lock(ctx context.Context, _ string) error {
	s, err := t.connect(ctx)
	if err != nil {
		return err
	}
	if err := t.lock(ctx, s); err != nil {
		s.close()
		return err
	}
	if _, err := t.check(ctx, s); err != nil {
		s.close()
		return err
	}
	t.session, t.pending = s, nil
	t.watch(ctx)
	return nil
}

// Prepare sets the password of login. With two logins it commits that and proves it by a login; with one, the
// transaction stays open for Finish.
func (t *Target) Prepare(ctx context.Context, login, operation string, password sensitive.Value) error {
	if t.session == nil {
		return t.newError("setting the password of login "+login, "the login is not locked", "")
	}
	t.pending = &change{login: login, operation: operation, password: password}
	if len(t.config.Logins) == 1 {
		return t.set(ctx)
	}
	if err := t.set(ctx); err != nil {
		return err
	}
	return t.finish(ctx)
}

// finish commits and proves, as far as that is not done.
func (t *Target) finish(ctx context.Context) error {
	if !t.pending.committed {
		if err := t.commit(ctx); err != nil {
			return err
		}
	}
	if !t.pending.proven {
		if err := t.prove(ctx); err != nil {
			t.disown(ctx, err)
			return err
		}
	}
	t.pending.proven = true
	return nil
}

// Held returns an error if the lock, or the transaction that Prepare began, is lost.
func (t *Target) Held(ctx context.Context) error {
	act := t.on("asking whether the login is still locked")
	if t.session == nil {
		return t.newError(act, "it is not", "")
	}
	_, err := t.session.exec(ctx, act, "SELECT 1")
	return err
}

// Finish commits what Prepare did and proves it by a login. It does so even when ctx is done: the vault holds the
// password. If the connection is lost, it connects again and sees to it that the login has the password, unless another
// run has set one since. After an error it may be called again.
func (t *Target) Finish(ctx context.Context) error {
	if t.pending == nil {
		return nil
	}
	ctx, cancel := t.outlive(ctx)
	defer cancel()
	return t.finish(ctx)
}

// Undo takes back what Prepare did, if that is not committed. With two logins there is nothing to take back: nobody
// uses the idle one.
func (t *Target) Undo(ctx context.Context) error {
	if t.pending == nil || t.pending.committed || t.session == nil {
		return nil
	}
	ctx, cancel := t.outlive(ctx)
	defer cancel()
	t.pending = nil
	act := t.on("taking back the password of login " + t.config.Logins[0])
	if _, err := t.session.exec(ctx, act, "ROLLBACK"); err != nil {
		// The server does so itself when the connection ends.
		t.session.close()
		t.session = nil
	}
	return nil
}

// Unlock lets other runs in, and disconnects.
func (t *Target) Unlock() {
	if t.session != nil {
		t.session.close()
	}
	if t.unwatch != nil {
		t.unwatch()
	}
	t.session, t.pending = nil, nil
}
