package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/postgres"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/pgserver"
)

const (
	host      = "pg-prod.postgres.database.azure.com"
	as        = "gh-passwords"
	operation = "0123456789abcdef0123456789abcdef"
	other     = "ffffffffffffffffffffffffffffffff"
)

// azure is where all tests of this package run: Go reads the file of root certificates once a process.
var azure *emulator.Emulator

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	azure, err = emulator.Start(emulator.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	defer azure.Close()
	defer pgserver.Stop()
	if err := os.Setenv("SSL_CERT_FILE", azure.CAFile()); err != nil {
		panic(err)
	}
	return m.Run()
}

// entra issues tokens.
type entra struct{ err error }

func (e entra) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(o.Scopes) != 1 || o.TenantID != "" || o.EnableCAE {
		return azcore.AccessToken{}, fmt.Errorf("a token was asked for with %+v", o)
	}
	resource := strings.TrimSuffix(o.Scopes[0], "/.default")
	return azcore.AccessToken{Token: azure.Issue(resource, ""), ExpiresOn: time.Now().Add(time.Hour)}, e.err
}

// fixed is one token.
type fixed string

func (f fixed) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(f), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// newTarget returns a target at the host of the tests. Whatever is not set in c is as most tests want it.
func newTarget(c postgres.Config) *postgres.Target {
	if c.Host == "" {
		c.Host = host
	}
	if c.As == "" {
		c.As = as
	}
	if c.Scope == "" {
		c.Scope = pgserver.Audience + "/.default"
	}
	if c.Credential == nil {
		c.Credential = entra{}
	}
	if c.Network == nil {
		c.Network = network.NewDialer(func(name string) string {
			return map[string]string{"ALL_PROXY": azure.Proxy(), "SSL_CERT_FILE": azure.CAFile()}[name]
		})
	}
	return postgres.New(c)
}

func two() *postgres.Target {
	return newTarget(postgres.Config{Logins: []string{"orders_a", "orders_b"}})
}
func one() *postgres.Target { return newTarget(postgres.Config{Logins: []string{"orders_a"}}) }

// setUp makes the roles as an administrator of Azure does, who is no superuser, and returns the way to the server.
func setUp(t testing.TB, s *pgserver.Server) *pgserver.Front {
	t.Helper()
	makeAdministrator(t, s)
	administer(t, s, `CREATE ROLE "gh-passwords" LOGIN CREATEROLE;
CREATE ROLE orders_owner NOLOGIN;
CREATE ROLE orders_a LOGIN PASSWORD 'old password of a';
CREATE ROLE orders_b LOGIN PASSWORD 'old password of b';
GRANT orders_owner TO orders_a, orders_b;
ALTER ROLE orders_a SET role TO orders_owner;
ALTER ROLE orders_b SET role TO orders_owner;
COMMENT ON ROLE orders_a IS 'the orders'' service';`)
	if s.Version != "15" {
		administer(t, s, `GRANT orders_a, orders_b TO "gh-passwords" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`)
	}
	return s.Serve(t, azure, host, map[string]string{as: emulator.DefaultClient})
}

// makeAdministrator makes what an administrator of Azure is: no superuser.
func makeAdministrator(t testing.TB, s *pgserver.Server) {
	t.Helper()
	s.Exec(t, `CREATE ROLE azure_admin LOGIN CREATEROLE CREATEDB; GRANT CREATE ON DATABASE postgres TO azure_admin`)
}

// administer runs SQL as an administrator of Azure.
func administer(t testing.TB, s *pgserver.Server, sql string) {
	t.Helper()
	if _, err := s.ExecAs("azure_admin", sql); err != nil {
		t.Fatalf("%v, of the SQL:\n%s", err, sql)
	}
}

// each runs a test on both servers, set up.
func each(t *testing.T, f func(t *testing.T, s *pgserver.Server, front *pgserver.Front)) {
	t.Helper()
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) { f(t, s, setUp(t, s)) })
}

func value(text string) sensitive.Value { return sensitive.New([]byte(text)) }

// comment returns the comment of a login.
func comment(t testing.TB, s *pgserver.Server, login string) string {
	t.Helper()
	rows := s.Query(t, "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '"+login+"'")
	return strings.Join(rows, "\n")
}

// takes reports whether a login takes a password.
func takes(front *pgserver.Front, login, password string) bool {
	return front.LogIn(login, password) == nil
}

// must fails the test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Two logins: the idle one has the new password before the vault does, and the other one is left alone.
func TestTwoLogins(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		ctx, target := t.Context(), two()
		if op, err := target.Look(ctx, "orders_b"); op != "" || err != nil {
			t.Fatalf("Look = %q, %v", op, err)
		}
		must(t, target.Lock(ctx, "orders_b"))
		must(t, target.Prepare(ctx, "orders_b", operation, value("N3w-password'of\"b")))
		must(t, target.Held(ctx))
		if !takes(front, "orders_b", "N3w-password'of\"b") || takes(front, "orders_b", "old password of b") ||
			!takes(front, "orders_a", "old password of a") {
			t.Error("after Prepare not all logins are as they should be")
		}
		must(t, target.Finish(ctx))
		target.Unlock()
		if got := comment(t, s, "orders_b"); got != "[keyvault-passwords operation="+operation+"]" {
			t.Errorf("the comment is %q", got)
		}
		if op, err := target.Look(ctx, "orders_b"); op != operation || err != nil {
			t.Errorf("Look = %q, %v; want the operation", op, err)
		}
		must(t, target.Lock(ctx, "orders_b"))
		must(t, target.Prepare(ctx, "orders_b", other, value("another")))
		must(t, target.Undo(ctx))
		target.Unlock()
		if !takes(front, "orders_b", "another") || !takes(front, "orders_a", "old password of a") {
			t.Error("Undo of an idle login is to leave it as it is")
		}
	})
}

// One login: nothing changes before Finish, and Undo takes back what was begun.
func TestOneLogin(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		ctx, target := t.Context(), one()
		must(t, target.Lock(ctx, "orders_a"))
		must(t, target.Prepare(ctx, "orders_a", operation, value("new")))
		must(t, target.Held(ctx))
		if takes(front, "orders_a", "new") || !takes(front, "orders_a", "old password of a") {
			t.Error("Prepare has changed the login already")
		}
		must(t, target.Undo(ctx))
		must(t, target.Finish(ctx)) // nothing is left to finish
		target.Unlock()
		if !takes(front, "orders_a", "old password of a") || comment(t, s, "orders_a") != "the orders' service" {
			t.Error("Undo did not take it back")
		}
		must(t, target.Lock(ctx, "orders_a"))
		must(t, target.Prepare(ctx, "orders_a", operation, value("new")))
		must(t, target.Finish(ctx))
		must(t, target.Undo(ctx)) // too late, and without effect
		target.Unlock()
		if !takes(front, "orders_a", "new") || takes(front, "orders_a", "old password of a") {
			t.Error("Finish did not change the login")
		}
		want := "the orders' service [keyvault-passwords operation=" + operation + "]"
		if got := comment(t, s, "orders_a"); got != want {
			t.Errorf("the comment is %q; want %q", got, want)
		}
		must(t, target.Lock(ctx, "orders_a"))
		must(t, target.Prepare(ctx, "orders_a", other, value("newer")))
		must(t, target.Finish(ctx))
		target.Unlock()
		want = strings.ReplaceAll(want, operation, other)
		if got := comment(t, s, "orders_a"); got != want {
			t.Errorf("the comment is %q; want %q", got, want)
		}
	})
}

// refused returns what an error says of why; the test fails if it is no refusal of the package.
func refused(t *testing.T, err error) refusal.Refusal {
	t.Helper()
	failure, ok := errors.AsType[*postgres.Error](err)
	if !ok {
		t.Fatalf("%v (%T); want a *postgres.Error", err, err)
	}
	if failure.Act == "" || failure.Cause == "" || failure.Remedy == "" {
		t.Errorf("%+v; want an act, a cause and a remedy", failure.Refusal)
	}
	return failure.Refusal
}
