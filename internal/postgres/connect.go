package postgres

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// port is PostgreSQL's own. At 6432 the service has PgBouncer, which keeps no lock for a session.
const port = 5432

const (
	connectTimeout = 10 * time.Second // for a connection, without looking up names
	execTimeout    = 20 * time.Second // for a statement; a little longer than the server's own limits
	closeTimeout   = 300 * time.Millisecond
	lockTimeout    = 2 * time.Minute // for another run to end

	// grace is how long what must not stay half done may go on after the run was stopped; leastGrace, if that was while
	// the vault stored the password. The runner ends the action after 10 seconds.
	grace      = 5 * time.Second
	leastGrace = time.Second
)

// settings hold for each session of the identity. With the search path no other role's objects are taken for
// PostgreSQL's own. A transaction waits for the vault, which may throttle: but if the run is gone without a trace, the
// login must not stay locked for ever.
var settings = map[string]string{
	"application_name":                    "keyvault-passwords",
	"client_encoding":                     "UTF8",
	"search_path":                         "pg_catalog, pg_temp",
	"standard_conforming_strings":         "on",
	"statement_timeout":                   "15s",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "5min",
}

// A session is one connection of the identity.
type session struct {
	*Target
	conn       *conn
	byFunction bool // passwords are set by rotate.set_verifier
}

// connect logs in as the identity's role, with an access token in place of a password. The token is sent only if the
// server's certificate is verified, and asked for in clear, which is how the service asks for it. A server that does
// not answer at once, or is starting, is tried again; one whose name does not exist yet, where access is waited for.
func (t *Target) connect(ctx context.Context) (*session, error) {
	act := "connecting to " + t.config.Host + " as " + t.config.As
	token, err := t.config.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.config.Scope}})
	if err != nil {
		return nil, t.explainToken(ctx, act, err)
	}
	began := time.Now()
	for try := 0; ; try++ {
		a := &attempt{}
		c, err := t.logIn(ctx, login{
			role: t.config.As, database: t.config.Database, settings: settings, token: token.Token,
		}, a)
		if err == nil {
			t.config.Access.Passed(t.door())
			return &session{Target: t, conn: c}, nil
		}
		failure := t.explainConnect(ctx, act, a, err)
		if t.isFresh(err) && t.config.Access.Out(ctx.Done(), access.Refusal{
			Door: t.door(), Seen: failure.Cause, Every: accessPause,
		}) {
			return t.connect(ctx) // the token may have expired
		}
		lasts := !network.IsTransient(err) || network.IsWaitedOut(err)
		again := failure.Kind == refusal.Unreachable && !lasts && time.Since(began) < connectTimeout
		if !again || try == len(retries) || !network.Sleep(ctx.Done(), retries[try]) {
			return nil, t.ended(ctx, act, failure, err)
		}
	}
}

// ended returns why the identity could not log in, with how long access was waited for, or that it can be.
func (t *Target) ended(ctx context.Context, act string, failure *Error, err error) *Error {
	if ctx.Err() != nil {
		return cancelled(act)
	}
	if t.isFresh(err) {
		t.config.Access.Conclude(&failure.Cause, &failure.Remedy)
	}
	return failure
}

// accessPause is the least time between two tries while access is waited for.
const accessPause = 5 * time.Second

// door is what a connection waits before.
func (t *Target) door() string { return "server " + t.config.Host }

// isFresh reports whether a connection failed as one to a server whose name is minutes old: it does not resolve, here
// or for a proxy, which says so with 502, 503 or 504.
func (t *Target) isFresh(err error) bool {
	why := t.config.Network.Explain(err)
	proxy, proxied := errors.AsType[*network.ProxyError](why)
	return network.IsNoHost(why) ||
		proxied && proxy.Status >= http.StatusBadGateway && proxy.Status <= http.StatusGatewayTimeout
}

// retries are the waits before another try to connect.
var retries = [...]time.Duration{500 * time.Millisecond, 2 * time.Second}

// dial connects to the server, and verifies it.
func (t *Target) dial(ctx context.Context) (net.Conn, error) {
	raw, err := t.config.Network.Dial(ctx, net.JoinHostPort(t.config.Host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	// No roots: the machine's, or those of SSL_CERT_FILE, as for HTTPS.
	secure, err := startTLS(ctx, raw, &tls.Config{ServerName: t.config.Host, MinVersion: tls.VersionTLS12})
	if err != nil {
		_ = raw.Close() // nothing was sent
		return nil, err
	}
	return secure, nil
}

// logIn connects and begins the session of a login. An error that came as the time was over is that.
func (t *Target) logIn(ctx context.Context, who login, a *attempt) (c *conn, err error) {
	ctx, cancel := network.WithTimeout(ctx, connectTimeout)
	defer cancel()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	secure, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	c = &conn{Conn: secure, read: bufio.NewReader(secure), secure: t.dial}
	if err := c.logIn(ctx, who, a); err != nil {
		return nil, c.lose(err)
	}
	return c, nil
}

// exec sends statements, and returns the rows of their results. It ends the session if its context is done meanwhile.
func (s *session) exec(ctx context.Context, act, sql string) ([][][]byte, error) {
	results, err := s.run(ctx, execTimeout, sql)
	if err != nil {
		return nil, s.explainExec(ctx, act, err)
	}
	var rows [][][]byte
	for _, result := range results {
		rows = append(rows, result.rows...)
	}
	return rows, nil
}

func (s *session) run(ctx context.Context, timeout time.Duration, sql string) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.conn.query(ctx, sql)
}

// isLost reports whether the connection is: the server may have done what it was last told.
func (s *session) isLost() bool { return s.conn.lost }

// close ends the session. What the server does not hear in time it sees by the connection's end.
func (s *session) close() { s.conn.leave() }

// outlive returns a context that ends a grace after ctx: for what must not stay half done.
func (t *Target) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	left := grace
	if at := t.stoppedAt.Load(); at != nil {
		left = max(grace-time.Since(*at), leastGrace)
	}
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(left, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel(context.Canceled) }
}

// watch notes when ctx ends.
func (t *Target) watch(ctx context.Context) {
	t.stoppedAt.Store(nil)
	t.unwatch = context.AfterFunc(ctx, func() {
		now := time.Now()
		t.stoppedAt.Store(&now)
	})
}
