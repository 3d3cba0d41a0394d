package postgres

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

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
	conn       *pgconn.PgConn
	byFunction bool // passwords are set by rotate.set_verifier
}

// connect logs in as the identity's role, with an access token in place of a password. The token is sent only if the
// server's certificate is verified, and asked for in clear, which is how the service asks for it. A server that does
// not answer at once, or is starting, is tried again.
func (t *Target) connect(ctx context.Context) (*session, error) {
	act := "connecting to " + t.config.Host + " as " + t.config.As
	token, err := t.config.Credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.config.Scope}})
	if err != nil {
		return nil, t.explainToken(ctx, act, err)
	}
	began := time.Now()
	for try := 0; ; try++ {
		a := &attempt{}
		config, err := t.configure(t.config.As, a)
		if err != nil {
			return nil, t.explainConfig(act)
		}
		config.Password, config.RequireAuth = token.Token, "password"
		config.RuntimeParams = settings
		conn, err := a.connect(ctx, config)
		if err == nil {
			return &session{Target: t, conn: conn}, nil
		}
		failure := t.explainConnect(ctx, act, a, err)
		again := failure.Kind == refusal.Unreachable && !a.lasts(err) && time.Since(began) < connectTimeout
		if !again || try == len(retries) || !network.Sleep(ctx.Done(), retries[try]) {
			return nil, failure
		}
	}
}

// retries are the waits before another try to connect.
var retries = [...]time.Duration{500 * time.Millisecond, 2 * time.Second}

// configure returns the settings of a connection as role. [pgconn.ParseConfig] must make them. What it takes from PG*
// variables, and from files that these name, is replaced by what is right here or by nothing; for a host that is a path
// it reads no file for TLS. Only PGSERVICE cannot be replaced, which main unsets as all of them.
func (t *Target) configure(role string, a *attempt) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig("host=/ port=5432 user=x password=x dbname=x sslmode=disable " +
		"sslcertmode=disable sslnegotiation=postgres target_session_attrs=any min_protocol_version=3.0 " +
		"max_protocol_version=3.0 channel_binding=prefer require_auth=none connect_timeout=0")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.User, config.Database = t.config.Host, port, role, t.config.Database
	config.Password, config.Fallbacks, config.RuntimeParams = "", nil, map[string]string{}
	// No roots: the machine's, or those of SSL_CERT_FILE, as for HTTPS.
	config.TLSConfig = &tls.Config{ServerName: t.config.Host, MinVersion: tls.VersionTLS12}
	config.MaxProtocolMessageBodyLen = maxMessage
	// The name is looked up on the way, by the proxy if there is one.
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	address := net.JoinHostPort(t.config.Host, strconv.Itoa(port))
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := t.config.Network.Dial(ctx, address)
		if a.dialled { // pgconn cancels a statement, by another connection, while we go on
			return conn, err
		}
		a.dialled = true
		if err != nil {
			a.failed = err
			return nil, err
		}
		return &offered{Conn: conn, attempt: a}, nil
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(&authentication{Reader: r, attempt: a}, w)
	}
	return config, nil
}

// maxMessage bounds a message of the server, in bytes.
const maxMessage = 1 << 20

// An attempt is how far a connection came.
type attempt struct {
	dialled  bool
	failed   error  // why there is none
	noTLS    bool   // the server has none
	asked    uint32 // the kind of its last message on authentication
	proven   bool   // it has proven that it knows the password
	accepted bool   // it has let the role in
}

func (a *attempt) connect(ctx context.Context, config *pgconn.Config) (*pgconn.PgConn, error) {
	ctx, cancel := network.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil && a.failed == nil && ctx.Err() != nil {
		a.failed = context.Cause(ctx)
	}
	return conn, err
}

// lasts reports whether the next try would fail likewise.
func (a *attempt) lasts(err error) bool {
	if a.failed != nil {
		err = a.failed
	}
	return !network.IsTransient(err) || network.IsWaitedOut(err)
}

// offered notes what the server answers to the question for TLS, the first byte that it sends.
type offered struct {
	net.Conn
	attempt *attempt
	seen    bool
}

// Read implements [net.Conn].
func (o *offered) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	if n > 0 && !o.seen {
		o.seen, o.attempt.noTLS = true, b[0] != 'S'
	}
	return n, err
}

// authentication notes what the server says of it. pgconn says only by text why a connection failed, and fails where
// the role may log in but has no right to the database.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type authentication struct {
	io.Reader
	attempt *attempt
	head    []byte // of the message that is being read
	skip    int    // what is left of a message
}

// The kinds of messages on authentication that are told apart.
const (
	authOK        = 0
	authSASL      = 10
	authSASLFinal = 12
)

// Read implements [io.Reader].
func (r *authentication) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	for _, c := range b[:n] {
		if r.attempt.accepted {
			break
		}
		r.note(c)
	}
	return n, err
}

func (r *authentication) note(c byte) {
	if r.skip > 0 {
		r.skip--
		return
	}
	const kindAndLength, code = 5, 4
	r.head = append(r.head, c)
	if len(r.head) < kindAndLength || r.head[0] == 'R' && len(r.head) < kindAndLength+code {
		return
	}
	r.skip = int(min(binary.BigEndian.Uint32(r.head[1:]), maxMessage)) + 1 - len(r.head)
	if r.head[0] == 'R' {
		asked := binary.BigEndian.Uint32(r.head[kindAndLength:])
		r.attempt.proven = r.attempt.proven || asked == authSASLFinal
		r.attempt.accepted = asked == authOK
		if asked != authOK {
			r.attempt.asked = asked
		}
	}
	r.head = r.head[:0]
}

// exec sends statements, and returns the rows of their results. It ends the session if its context is done meanwhile.
func (s *session) exec(ctx context.Context, act, sql string) ([][][]byte, error) {
	results, err := s.run(ctx, execTimeout, sql)
	if err != nil {
		return nil, s.explainExec(ctx, act, err)
	}
	var rows [][][]byte
	for _, result := range results {
		rows = append(rows, result.Rows...)
	}
	return rows, nil
}

func (s *session) run(ctx context.Context, timeout time.Duration, sql string) ([]*pgconn.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return s.conn.Exec(ctx, sql).ReadAll()
}

// isLost reports whether the connection is: the server may have done what it was last told.
func (s *session) isLost() bool { return s.conn.IsClosed() }

// close ends the session. What the server does not hear in time it sees by the connection's end.
func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = s.conn.Close(ctx)
}

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
