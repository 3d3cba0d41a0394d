package pgserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"keyvault-passwords/internal/test/emulator"
)

// Audience is the resource of an access token that the service takes in AzureCloud.
const Audience = "https://ossrdbms-aad.database.windows.net"

// A Point is where a statement is on its way.
type Point int

// The points of a connection at which a test may look, and cut it.
const (
	Startup Point = iota // the client has named its user
	Query                // a statement has come; the server does not have it
	Answer               // the server has done it; the client does not know
)

// An Event is that a connection has come to a point.
type Event struct {
	User  string // whose connection it is
	Point Point
	SQL   string // the statement, of Query and Answer
}

// A Front is a server's presence under a host of the service.
type Front struct {
	Host string

	server   *Server
	e        *emulator.Emulator
	address  string
	listener net.Listener // nil: the server itself is reached
	tls      *tls.Config
	roots    *x509.CertPool
	conns    sync.WaitGroup

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]bool
	roles  map[string]string
	watch  func(Event) bool
	events []Event
	wire   bytes.Buffer
	tokens []string
	plain  bool
}

// Serve makes the server reachable under host, port 5432, through the proxy of e, until the test ends. Each role of
// roles logs in with an access token of its application there (role to client ID): the role must exist in the server.
func (s *Server) Serve(t testing.TB, e *emulator.Emulator, host string, roles map[string]string) *Front {
	t.Helper()
	f, err := s.Open(e, host, roles)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// Open is [Server.Serve] outside of tests; Close ends it.
func (s *Server) Open(e *emulator.Emulator, host string, roles map[string]string) (*Front, error) {
	certificate, err := e.Certificate(host)
	if err != nil {
		return nil, err
	}
	f, err := s.newFront(e, host)
	if err != nil {
		return nil, err
	}
	f.roles = maps.Clone(roles)
	f.Present(certificate)
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	f.address = f.listener.Addr().String()
	e.Tunnel(host+":5432", f.address)
	f.conns.Go(f.accept)
	return f, nil
}

func (s *Server) newFront(e *emulator.Emulator, host string) (*Front, error) {
	f := &Front{Host: host, server: s, e: e, open: map[net.Conn]bool{}, roots: x509.NewCertPool()}
	ca, err := os.ReadFile(e.CAFile())
	if err != nil {
		return nil, err
	}
	if !f.roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the emulator's CA is no certificate")
	}
	return f, nil
}

// ServeTLS makes the server itself reachable under host, port 5432, through the proxy of e, until the test ends. It
// ends TLS, with a certificate of e. Roles in the group tokens are asked for their password in clear, all others for
// SCRAM. The Front that is returned sees nothing: it is there for its LogIn.
func (s *Server) ServeTLS(t testing.TB, e *emulator.Emulator, host string) *Front {
	t.Helper()
	certificate, err := e.Certificate(host)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.install(certificate); err != nil {
		t.Fatal(err)
	}
	loaded := s.Query(t, "SELECT pg_conf_load_time()")[0]
	for _, setting := range []string{"ssl_cert_file = 'tls.pem'", "ssl_key_file = 'tls.pem'", "ssl = on"} {
		s.Exec(t, "ALTER SYSTEM SET "+setting)
	}
	s.Exec(t, "SELECT pg_reload_conf()")
	for { // a new session tells when the server itself has done it
		rows, err := s.ExecAs("postgres", "SELECT pg_conf_load_time() > '"+loaded+"'")
		if err != nil {
			t.Fatal(err)
		}
		if rows[0] == "t" {
			break
		}
	}
	f, err := s.newFront(e, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.address = s.address()
	e.Tunnel(host+":5432", f.address)
	return f
}

// Close ends the front and its connections.
func (f *Front) Close() {
	f.e.Tunnel(f.Host+":5432", "")
	if f.listener != nil {
		f.listener.Close()
	}
	f.CutAll()
	f.conns.Wait()
}

// Address is where the front listens, on loopback.
func (f *Front) Address() string { return f.address }

// CutAll cuts all connections.
func (f *Front) CutAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.open {
		conn.Close()
	}
}

// Identify makes a role one that logs in with an access token of an application.
func (f *Front) Identify(role, client string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.roles[role] = client
}

// Watch has look called at each point of each connection, before it goes on; where look returns false, the connection
// is cut, on both sides. While look waits, the peers do: look may be called by several connections at once.
func (f *Front) Watch(look func(Event) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = look
}

// Present shows another certificate from now on, in place of the one for Host.
func (f *Front) Present(certificate tls.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

// RefuseTLS makes the front one that has no TLS.
func (f *Front) RefuseTLS() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plain = true
}

// Events returns the points that connections came to, in that order.
func (f *Front) Events() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}

// Statements returns the statements that came from a user's connections.
func (f *Front) Statements(user string) (all []string) {
	for _, event := range f.Events() {
		if event.Point == Query && event.User == user {
			all = append(all, event.SQL)
		}
	}
	return all
}

// Wire returns all that clients sent, as it was within TLS.
func (f *Front) Wire() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wire.String()
}

// Tokens returns what clients sent as the password of a role that logs in with a token.
func (f *Front) Tokens() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.tokens)
}

// LogIn logs in as an application does, over TLS, and leaves at once. Its error is the server's refusal.
func (f *Front) LogIn(user, password string) error {
	config := f.server.config.Copy()
	config.Host, config.Port, config.User, config.Password = f.Host, 5432, user, password
	config.RequireAuth = "scram-sha-256"
	config.TLSConfig = &tls.Config{RootCAs: f.roots, ServerName: f.Host, MinVersion: tls.VersionTLS12}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", f.Address())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

func (f *Front) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.conns.Go(func() {
			f.track(conn, true)
			defer f.track(conn, false)
			c := &connection{Front: f, client: conn}
			c.serve()
		})
	}
}

// track notes a connection that is to be cut by Close, or closes it.
func (f *Front) track(conn net.Conn, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open {
		f.open[conn] = true
		return
	}
	delete(f.open, conn)
	conn.Close()
}

// install writes a certificate and its key where only the server reads them.
func (s *Server) install(certificate tls.Certificate) error {
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	file := filepath.Join(s.data(), "tls.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	as, err := owner()
	if err != nil || as == nil {
		return err
	}
	return os.Chown(file, int(as.Uid), int(as.Gid))
}

// A connection is one between a client and the server.
type connection struct {
	*Front
	client net.Conn
	server net.Conn
	user   string

	mu  sync.Mutex
	sql string // the statement that the server has not answered
}

// reach tells the test that the connection has come to a point, and whether it may go on.
func (c *connection) reach(point Point, sql string) bool {
	event := Event{User: c.user, Point: point, SQL: sql}
	c.Front.mu.Lock()
	c.events = append(c.events, event)
	look := c.watch
	c.Front.mu.Unlock()
	return look == nil || look(event)
}

// The codes of the messages that begin a connection:
// https://www.postgresql.org/docs/current/protocol-message-formats.html
const (
	codeTLS    = 80877103
	codeGSS    = 80877104
	codeCancel = 80877102
)

func (c *connection) serve() {
	for {
		packet, err := readPacket(c.client)
		if err != nil {
			return
		}
		switch binary.BigEndian.Uint32(packet[4:]) {
		case codeTLS:
			if !c.startTLS() {
				return
			}
		case codeGSS:
			if _, err := c.client.Write([]byte{'N'}); err != nil {
				return
			}
		case codeCancel:
			c.passCancel(packet)
			return
		default:
			c.start(packet)
			return
		}
	}
}

func (c *connection) startTLS() bool {
	c.Front.mu.Lock()
	config, plain := c.tls, c.plain
	c.Front.mu.Unlock()
	if plain {
		_, err := c.client.Write([]byte{'N'})
		return err == nil
	}
	if _, err := c.client.Write([]byte{'S'}); err != nil {
		return false
	}
	secure := tls.Server(c.client, config)
	c.client = secure
	return secure.Handshake() == nil
}

// passCancel passes on a request to cancel a statement.
func (c *connection) passCancel(packet []byte) {
	server, err := net.Dial("tcp", c.Front.server.address())
	if err != nil {
		return
	}
	defer server.Close()
	if _, err := server.Write(packet); err == nil {
		_, _ = io.Copy(io.Discard, server) // the server closes when it has done it
	}
}

// start lets the client in: by its token, or else by what the server asks for.
func (c *connection) start(packet []byte) {
	c.note(packet)
	c.user = parameter(packet[8:], "user")
	if _, secure := c.client.(*tls.Conn); !secure {
		c.refuse("28000", "no pg_hba.conf entry for host, no encryption")
		return
	}
	if !c.reach(Startup, "") {
		return
	}
	c.Front.mu.Lock()
	client, byToken := c.roles[c.user]
	c.Front.mu.Unlock()
	network, address := "tcp", c.Front.server.address()
	if byToken {
		if !c.askToken(client) {
			return
		}
		network, address = "unix", c.Front.server.socket()
	}
	server, err := net.Dial(network, address)
	if err != nil {
		return // as of a server that has ended
	}
	c.track(server, true)
	defer c.track(server, false)
	c.server = server
	if _, err := server.Write(packet); err != nil {
		return
	}
	c.conns.Go(c.passAnswers)
	c.passStatements()
}

// askToken asks for a password, which must be an access token for databases of the application that the role is.
// https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-configure-sign-in-azure-ad-authentication
func (c *connection) askToken(client string) bool {
	if _, err := c.client.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}); err != nil {
		return false
	}
	kind, message, err := readMessage(c.client)
	if err != nil || kind != 'p' {
		return false
	}
	c.note(message)
	token := string(bytes.TrimSuffix(message[5:], []byte{0}))
	c.Front.mu.Lock()
	c.tokens = append(c.tokens, token)
	c.Front.mu.Unlock()
	application, resource, ok := c.e.Bearer(token)
	if !ok || application != strings.ToLower(client) || resource != Audience {
		c.refuse("28P01", "password authentication failed for user \""+c.user+"\"")
		return false
	}
	return true
}

// refuse ends the connection with an error of the server's form.
func (c *connection) refuse(code, message string) {
	var fields []byte
	for _, field := range []string{"SFATAL", "VFATAL", "C" + code, "M" + message} {
		fields = append(append(fields, field...), 0)
	}
	fields = append(fields, 0)
	answer := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields)))
	_, _ = c.client.Write(append(answer, fields...)) // a client that has gone needs no answer
}

// passStatements passes the client's messages on until either side ends.
func (c *connection) passStatements() {
	defer c.server.Close()
	for {
		kind, message, err := readMessage(c.client)
		if err != nil {
			return
		}
		c.note(message)
		if kind == 'Q' {
			sql := string(bytes.TrimSuffix(message[5:], []byte{0}))
			c.mu.Lock()
			c.sql = sql
			c.mu.Unlock()
			if !c.reach(Query, sql) {
				c.client.Close()
				return
			}
		}
		if _, err := c.server.Write(message); err != nil {
			return
		}
	}
}

// passAnswers passes the server's messages on until either side ends: those of one statement together, once it is done.
func (c *connection) passAnswers() {
	defer c.client.Close()
	var held []byte
	for {
		kind, message, err := readMessage(c.server)
		held = append(held, message...)
		if err == nil && kind != 'R' && kind != 'Z' {
			continue
		}
		c.mu.Lock()
		sql := c.sql
		if kind == 'Z' {
			c.sql = ""
		}
		c.mu.Unlock()
		if kind == 'Z' && sql != "" && !c.reach(Answer, sql) {
			c.server.Close()
			return
		}
		if _, lost := c.client.Write(held); err != nil || lost != nil {
			return
		}
		held = nil
	}
}

// note remembers what a client sent.
func (f *Front) note(message []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wire.Write(message)
}

// maxMessage is far beyond what a client of ours sends or gets.
const maxMessage = 1 << 20

// readPacket reads a message of the kind that begins a connection: a length, a code, and more.
func readPacket(from io.Reader) ([]byte, error) {
	packet := make([]byte, 8)
	if _, err := io.ReadFull(from, packet); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(packet)
	if length < 8 || length > maxMessage {
		return nil, errors.New("a packet of no length")
	}
	packet = append(packet, make([]byte, length-8)...)
	_, err := io.ReadFull(from, packet[8:])
	return packet, err
}

// readMessage reads a message: its kind, a length, and more. It returns the whole message.
func readMessage(from io.Reader) (kind byte, message []byte, err error) {
	message = make([]byte, 5)
	if _, err := io.ReadFull(from, message); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(message[1:])
	if length < 4 || length > maxMessage {
		return 0, nil, errors.New("a message of no length")
	}
	message = append(message, make([]byte, length-4)...)
	_, err = io.ReadFull(from, message[5:])
	return message[0], message, err
}

// parameter returns a parameter of a startup message.
func parameter(parameters []byte, name string) string {
	texts := bytes.Split(parameters, []byte{0})
	for i := 0; i+1 < len(texts); i += 2 {
		if string(texts[i]) == name {
			return string(texts[i+1])
		}
	}
	return ""
}
