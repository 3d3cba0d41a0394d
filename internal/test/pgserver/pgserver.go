// Package pgserver runs real PostgreSQL servers for tests, as Azure Database for PostgreSQL runs them: reached under a
// name of the service, over TLS, with an Entra token as the password of some roles.
//
// [Each] runs a test on a server of each version in [Versions]; [Get] gives one. A server is started once a test binary
// and version, and is as new at the start of each test. Where a version is not installed, the test is skipped and says
// so, unless the environment says POSTGRESQL=required. Debian's packages are found; POSTGRESQL_15 and POSTGRESQL_18
// name other folders with initdb and postgres. A TestMain calls [Stop] at its end.
//
// [Server.Serve] puts a [Front] before a server, in the network of an emulator. The front does what the service adds to
// PostgreSQL: it ends TLS with a certificate for the host, and takes an access token, of the service's audience and the
// role's identity, in place of a password. All else is the server's: it sees what is sent, and answers. The front also
// shows a test each statement on its way, before the server has it and before the client has the answer, and cuts the
// connection there if the test says so. [Server.ServeTLS] has the server end TLS itself.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Versions are the major versions of PostgreSQL that tests run on: 15 is the last one before the rules about who may
// change a role became strict, 18 the newest.
var Versions = []string{"15", "18"}

// A Server is one PostgreSQL server, on loopback.
type Server struct {
	Version string // its major version

	dir     string
	port    int
	process *exec.Cmd
	ended   chan struct{} // closed once the process has ended
	admin   *pgconn.PgConn
	config  *pgconn.Config // of a login, but for its user and password; never changed
	seen    int64          // how much of the log was written before this test
	mu      sync.Mutex     // guards admin
}

// A MissingError is that a version is not installed.
type MissingError struct{ Version, Folder string }

// Error says how to have it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("PostgreSQL %s is not installed (%s has no initdb): install it, or set POSTGRESQL_%[1]s to the "+
		"folder of its programs", e.Version, e.Folder)
}

// running are the servers of this process, by version.
var running struct {
	sync.Mutex
	servers map[string]*Server
}

// Each runs f as a subtest on a server of each version.
func Each(t *testing.T, f func(t *testing.T, s *Server)) {
	t.Helper()
	for _, version := range Versions {
		t.Run("PostgreSQL "+version, func(t *testing.T) { f(t, Get(t, version)) })
	}
}

// Get returns a server of that version on which no other test has left anything. The test is skipped if the version is
// not installed.
func Get(t testing.TB, version string) *Server {
	t.Helper()
	running.Lock()
	defer running.Unlock()
	s := running.servers[version]
	if s == nil {
		var err error
		s, err = Start(version)
		if _, missing := errors.AsType[*MissingError](err); missing && os.Getenv("POSTGRESQL") != "required" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if running.servers == nil {
			running.servers = map[string]*Server{}
		}
		running.servers[version] = s
	}
	s.reset(t)
	return s
}

// Stop ends the servers that Get has started.
func Stop() {
	running.Lock()
	defer running.Unlock()
	for _, s := range running.servers {
		s.Close()
	}
	running.servers = nil
}

// folder returns the folder with the programs of a version.
func folder(version string) (string, error) {
	place := os.Getenv("POSTGRESQL_" + version)
	if place == "" {
		place = "/usr/lib/postgresql/" + version + "/bin"
	}
	if _, err := os.Stat(filepath.Join(place, "initdb")); err != nil {
		return "", &MissingError{Version: version, Folder: place}
	}
	return place, nil
}

// Start starts a server of that version; Close ends it. If this process is killed, the server ends too. Its error is a
// [*MissingError] if the version is not installed.
func Start(version string) (*Server, error) {
	programs, err := folder(version)
	if err != nil {
		return nil, err
	}
	s := &Server{Version: version, ended: make(chan struct{})}
	if err := s.start(programs); err != nil {
		log := s.wholeLog()
		s.Close()
		return nil, fmt.Errorf("starting PostgreSQL %s: %w\n%s", version, err, log)
	}
	return s, nil
}

// owner is whom the server runs as: PostgreSQL refuses to be root.
func owner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		known, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(known.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(known.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(uidErr, gidErr)
	}
	return nil, errors.New("root needs a user postgres or nobody to run it as")
}

func (s *Server) start(programs string) (err error) {
	as, err := owner()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "postgresql-"); err != nil {
		return err
	}
	if as != nil {
		if err := os.Chown(s.dir, int(as.Uid), int(as.Gid)); err != nil {
			return err
		}
	}
	attributes := &syscall.SysProcAttr{Credential: as, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
	initdb := exec.Command(filepath.Join(programs, "initdb"), "--pgdata="+s.data(), "--username=postgres",
		"--auth=trust",
		"--no-sync", "--no-locale", "--encoding=UTF8")
	initdb.Env, initdb.Dir, initdb.SysProcAttr = []string{"PATH=/usr/bin:/bin", "TZ=UTC"}, s.dir, attributes
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	if err := s.configure(); err != nil {
		return err
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = exec.Command(filepath.Join(programs, "postgres"), "-D", s.data())
	s.process.Env, s.process.Dir, s.process.SysProcAttr = initdb.Env, s.dir, attributes
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.run(); err != nil {
		return err
	}
	return s.connect()
}

// run starts the process on a thread that lives as long as this process: the server is to end with this process, and
// the kernel takes the end of the thread for that.
func (s *Server) run() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := s.process.Start()
		started <- err
		if err == nil {
			_ = s.process.Wait() // how it ended stands in its log
			close(s.ended)
		}
	}()
	err := <-started
	if err != nil {
		s.process = nil
	}
	return err
}

// configure writes the server's configuration. Whoever reaches the socket, in a folder of the owner's alone, is let in
// as any role: this is the way of a [Front] that has checked a token, and of the administrator.
func (s *Server) configure() error {
	settings := fmt.Sprintf(`
listen_addresses = '127.0.0.1'
port = %d
unix_socket_directories = '%s'
max_connections = 100
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = 16MB
log_statement = all
log_connections = on
log_line_prefix = '%%u '
log_error_verbosity = verbose
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = all
pg_stat_statements.track_utility = on
`, s.port, s.dir)
	const access = `
local   all all                   trust
hostssl all +tokens 127.0.0.1/32  password
host    all all     127.0.0.1/32  scram-sha-256
`
	file, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(settings)
	return errors.Join(err, file.Close(),
		os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(access), 0o600))
}

// connect waits until the server takes connections.
func (s *Server) connect() (err error) {
	s.config, err = pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres sslmode=disable",
		s.dir, s.port))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		s.admin, err = pgconn.ConnectConfig(context.Background(), s.config)
		if err == nil {
			_, err = s.query("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; CREATE ROLE tokens")
			return err
		}
		select {
		case <-s.ended:
			return errors.New("it ended at once")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	if s.process != nil {
		_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGQUIT) // unless it has ended already
		<-s.ended
	}
	_ = os.RemoveAll(s.dir) // what stays is in the folder for temporary files
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// address is where the server listens.
func (s *Server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// socket is where the server listens for whom it trusts.
func (s *Server) socket() string { return filepath.Join(s.dir, ".s.PGSQL."+strconv.Itoa(s.port)) }

func (s *Server) wholeLog() string {
	text, _ := os.ReadFile(s.logFile()) // none: it never started
	return string(text)
}

// Log returns what the server has logged since the test began: with each statement as it came.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	text := s.wholeLog()
	if int64(len(text)) <= s.seen {
		t.Fatal("the server has logged nothing")
	}
	return text[s.seen:]
}

// freePort returns a port of loopback that nothing listens on.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
