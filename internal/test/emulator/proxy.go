package emulator

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A server is an Emulator's presence on loopback: a proxy that lets a client CONNECT to the services' hosts and, being
// these hosts, ends the TLS within.
type server struct {
	listener net.Listener
	outer    *http.Server // takes CONNECT
	inner    *http.Server // serves what is in the tunnels
	tunnels  *tunnels
	ca       *authority
	caFile   string
	tls      *tls.Config

	mu      sync.Mutex
	targets map[string]string // of Tunnel: HOST:PORT to an address
	through map[net.Conn]bool // open connections of Tunnel
}

// Start returns an Emulator that listens on a free port of 127.0.0.1 and has written its CA's certificate, ca.pem, into
// Options.Dir. Close ends it.
func Start(o Options) (*Emulator, error) {
	if o.Dir == "" {
		return nil, errors.New("starting the emulator: Options.Dir is empty; name a folder for ca.pem")
	}
	e := New(o)
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("starting the emulator: making a CA: %w", err)
	}
	certificate, err := ca.issue(e.hostNames())
	if err != nil {
		return nil, fmt.Errorf("starting the emulator: making a certificate: %w", err)
	}
	caFile, err := filepath.Abs(filepath.Join(o.Dir, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	if err := os.WriteFile(caFile, ca.pem(), 0o644); err != nil { // a certificate is public
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the emulator: %w", err)
	}
	quiet := log.New(io.Discard, "", 0) // a client that breaks off is the client's business
	s := &server{
		listener: listener,
		tunnels:  newTunnels(listener.Addr()),
		targets:  map[string]string{},
		through:  map[net.Conn]bool{},
		ca:       ca,
		caFile:   caFile,
		tls: &tls.Config{
			Certificates: []tls.Certificate{certificate},
			MinVersion:   tls.VersionTLS12,
			NextProtos:   []string{"http/1.1"},
		},
	}
	s.inner = &http.Server{Handler: e.Handler(), ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	s.outer = &http.Server{Handler: http.HandlerFunc(e.connect), ErrorLog: quiet, ReadHeaderTimeout: time.Minute}
	e.server = s
	go signingKey() // so that the first token does not wait for it
	go s.inner.Serve(s.tunnels)
	go s.outer.Serve(listener)
	return e, nil
}

// Close stops listening and ends all connections. It may be called without a listener, and twice.
func (e *Emulator) Close() error {
	if e.server == nil {
		return nil
	}
	defer e.server.endThrough()
	return errors.Join(e.server.outer.Close(), e.server.tunnels.Close(), e.server.inner.Close())
}

// Proxy is the URL of the proxy, "" without listener.
func (e *Emulator) Proxy() string {
	if e.server == nil {
		return ""
	}
	return "http://" + e.server.listener.Addr().String()
}

// CAFile is the path of ca.pem, "" without listener.
func (e *Emulator) CAFile() string {
	if e.server == nil {
		return ""
	}
	return e.server.caFile
}

// Environ returns what a job's environment says: where GitHub's token is had and, with a listener, the proxy (for HTTPS
// and for all else) and its CA. NO_PROXY is emptied, so that the surroundings cannot send a request past the proxy to
// the true services.
func (e *Emulator) Environ() []string {
	job := []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + e.RequestURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" +
		e.RequestToken()}
	if e.server == nil {
		return job
	}
	return append(job,
		"HTTPS_PROXY="+e.Proxy(), "https_proxy="+e.Proxy(), "ALL_PROXY="+e.Proxy(), "all_proxy="+e.Proxy(),
		"SSL_CERT_FILE="+e.CAFile(), "NO_PROXY=", "no_proxy=")
}

// Getenv returns a variable of [Emulator.Environ]; "" if it has none of that name.
func (e *Emulator) Getenv(name string) string {
	for _, variable := range e.Environ() {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// connect opens a tunnel to a host that is one of the services'; others get what a proxy answers for a name that does
// not resolve.
func (e *Emulator) connect(w http.ResponseWriter, r *http.Request) {
	address := e.tunnelOf(r.Host)
	otherPort := address == "" && e.isTunnelled(hostOf(r.Host))
	if r.Method != http.MethodConnect || !e.Knows(r.Host) || otherPort {
		e.count("unknown-host", hostOf(r.Host))
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	refused := e.Connect(r.Context(), r.Host)
	if answered, ok := errors.AsType[*ConnectError](refused); ok {
		http.Error(w, answered.Error(), answered.Status)
		return
	}
	if _, ok := errors.AsType[*net.DNSError](refused); ok {
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "tunnels need HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	if refused != nil {
		conn.Close()
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	if address != "" {
		e.server.connectThrough(&tunnel{conn, buffered}, address)
		return
	}
	e.server.tunnels.add(tls.Server(&tunnel{conn, buffered}, e.server.tls))
}

// A tunnel is a connection whose first bytes may have been read along with the CONNECT.
type tunnel struct {
	net.Conn
	buffered io.Reader
}

func (t *tunnel) Read(b []byte) (int, error) { return t.buffered.Read(b) }

// tunnels is a net.Listener that accepts what connect has opened.
type tunnels struct {
	address net.Addr
	opened  chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func newTunnels(address net.Addr) *tunnels {
	return &tunnels{address: address, opened: make(chan net.Conn), closed: make(chan struct{})}
}

func (t *tunnels) add(conn net.Conn) {
	select {
	case t.opened <- conn:
	case <-t.closed:
		conn.Close()
	}
}

// Accept waits for the next tunnel.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case conn := <-t.opened:
		return conn, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept return. It may be called twice.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.closed) })
	return nil
}

// Addr is the proxy's address.
func (t *tunnels) Addr() net.Addr { return t.address }

// hostNames are the services' hosts and those of Options.Hosts, as a certificate names them.
func (e *Emulator) hostNames() []string {
	names := append(slices.Sorted(maps.Keys(e.options.Hosts)), "*"+githubDomain)
	for _, c := range clouds {
		names = append(append(names, c.aliases...), "*."+c.domain, c.manager)
	}
	return names
}
