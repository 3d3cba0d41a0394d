package pgserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/pgserver"
)

const host = "pg-test.postgres.database.azure.com"

func TestMain(m *testing.M) {
	status := m.Run()
	pgserver.Stop()
	os.Exit(status)
}

// start puts a front with one role for the emulator's application before a server, with one login app.
func start(t *testing.T, s *pgserver.Server) (*emulator.Emulator, *pgserver.Front) {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	s.Exec(t, `CREATE ROLE "gh-passwords" LOGIN; CREATE ROLE app LOGIN PASSWORD 'the right one'`)
	return e, s.Serve(t, e, host, map[string]string{"gh-passwords": emulator.DefaultClient})
}

// dial connects through the emulator's front as a client that sends any password.
func dial(t *testing.T, e *emulator.Emulator, f *pgserver.Front, user, password string) (*pgconn.PgConn, error) {
	t.Helper()
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(e.CAFile())
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no CA:", err)
	}
	config, err := pgconn.ParseConfig("host=" + host + " user=" + user + " dbname=postgres sslmode=verify-full")
	if err != nil {
		t.Fatal(err)
	}
	config.Password = password
	config.TLSConfig = &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", f.Address())
	}
	return pgconn.ConnectConfig(t.Context(), config)
}

// code is the SQLSTATE of a refusal; "" for another error or none.
func code(err error) string {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code
	}
	return ""
}

// A login is let in by its password and nothing else, a role of an application by a token and nothing else.
func TestWhoIsLetIn(t *testing.T) {
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		e, f := start(t, s)
		if err := f.LogIn("app", "the right one"); err != nil {
			t.Error("the right password:", err)
		}
		if err := f.LogIn("app", "a wrong one"); code(err) != "28P01" {
			t.Error("a wrong password:", err)
		}
		for name, tc := range map[string]struct{ token, want string }{
			"of databases":      {e.Issue(pgserver.Audience, ""), ""},
			"of another client": {e.Issue(pgserver.Audience, "11111111-2222-3333-4444-555555555555"), "28P01"},
			"of vaults":         {e.Issue("https://vault.azure.net", ""), "28P01"},
			"of nobody":         {"x", "28P01"},
		} {
			conn, err := dial(t, e, f, "gh-passwords", tc.token)
			if code(err) != tc.want || (err == nil) != (tc.want == "") {
				t.Errorf("a token %s: %v; want %q", name, err, tc.want)
			}
			if err == nil {
				conn.Close(t.Context())
			}
		}
		if len(f.Tokens()) != 4 {
			t.Errorf("%d tokens came; want 4", len(f.Tokens()))
		}
	})
}

// A connection is cut where the test says, and the server undoes what was not committed.
func TestWatch(t *testing.T) {
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		for _, tc := range []struct {
			point pgserver.Point
			sql   string
			rows  int
		}{
			{pgserver.Query, "INSERT", 0}, {pgserver.Answer, "INSERT", 0}, {pgserver.Query, "COMMIT", 0},
			{pgserver.Answer, "COMMIT", 1},
		} {
			s.Exec(t, "DROP SCHEMA IF EXISTS a CASCADE; CREATE SCHEMA a; CREATE TABLE a.b (c int); DROP ROLE IF "+
				"EXISTS app, "+
				`"gh-passwords"`)
			e, f := start(t, s)
			s.Exec(t, `ALTER ROLE "gh-passwords" SUPERUSER`)
			f.Watch(func(event pgserver.Event) bool {
				return event.Point != tc.point || !strings.HasPrefix(event.SQL, tc.sql)
			})
			conn, err := dial(t, e, f, "gh-passwords", e.Issue(pgserver.Audience, ""))
			if err != nil {
				t.Fatal(err)
			}
			for _, sql := range []string{"BEGIN", "INSERT INTO a.b VALUES (1)", "COMMIT"} {
				_, err = conn.Exec(t.Context(), sql).ReadAll()
				if (err != nil) != strings.HasPrefix(sql, tc.sql) {
					t.Errorf("%s, cut at %s: %v", sql, tc.sql, err)
				}
				if err != nil {
					break
				}
			}
			f.Close()
			if rows := s.Query(t, "SELECT c FROM a.b"); len(rows) != tc.rows {
				t.Errorf("cut at %s (%d): %d rows; want %d", tc.sql, tc.point, len(rows), tc.rows)
			}
		}
	})
}

// A server that ends TLS itself shows a certificate of the emulator's CA too, and nothing of the test before is left.
func TestServeTLS(t *testing.T) {
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		if left := s.Query(t, "SELECT rolname FROM pg_roles WHERE rolname = 'app'"); len(left) > 0 {
			t.Error("a role is left of the test before")
		}
		e, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		s.Exec(t, "CREATE ROLE app LOGIN PASSWORD 'the right one'")
		f := s.ServeTLS(t, e, host)
		if err := f.LogIn("app", "the right one"); err != nil {
			t.Error(err)
		}
		if !strings.Contains(s.Log(t), "CREATE ROLE app") {
			t.Error("the server's log has no statements")
		}
	})
}
