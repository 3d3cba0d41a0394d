package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/postgres"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/pgserver"
)

const (
	checkingTwo = "checking login orders_a and orders_b at " + host + ": "
	connecting  = "connecting to " + host + " as " + as + ": "
)

// cutSQL returns the SQL of a remedy; "" if it has none.
func cutSQL(remedy string) string {
	intro, sql, _ := strings.Cut(remedy, "\n")
	if !strings.Contains(intro, "run this as an ") {
		return ""
	}
	return sql
}

// Each thing that a set-up may lack is refused before anything is changed, in words that say what it is. Where SQL adds
// it, the refusal prints that SQL, and an administrator who runs it has cured the refusal.
func TestSetupIsRefusedWithItsCure(t *testing.T) {
	const noRight = `ALTER ROLE "gh-passwords" NOCREATEROLE`
	for _, tc := range []struct {
		name   string
		only   string // the version that this is about; "": both
		sql    string // what makes the set-up wrong, as the administrator
		root   string // likewise, as the superuser
		config postgres.Config
		seen   string
		kind   refusal.Kind
		cure   string // what the SQL has; "": there is none
		others string // what another refusal then asks for
		inVain bool   // the remedy's SQL is for another case that cannot be told from this one
	}{
		{
			name: "one login is missing", sql: `DROP ROLE orders_b`, cure: `GRANT "orders_owner" TO "orders_b";`,
			seen: checkingTwo + "there is no role orders_b", kind: refusal.NotFound,
		},
		{
			name: "one login is missing, and the other is no usual one",
			sql:  `DROP ROLE orders_b; ALTER ROLE orders_a CREATEDB CONNECTION LIMIT 5`,
			cure: `CREATE ROLE "orders_b" LOGIN CREATEDB CONNECTION LIMIT 5;`,
			seen: checkingTwo + "there is no role orders_b", kind: refusal.NotFound,
		},
		{
			name: "both logins are missing", sql: `DROP ROLE orders_a; DROP ROLE orders_b; DROP ROLE orders_owner`,
			seen: checkingTwo + "there is no role orders_a and no role orders_b", kind: refusal.NotFound,
			cure: `ALTER ROLE "orders_a" SET role TO "orders_owner";`,
		},
		{
			name: "both logins are missing and their group is not", sql: `DROP ROLE orders_a; DROP ROLE orders_b`,
			seen: checkingTwo + "there is no role orders_a and no role orders_b", kind: refusal.NotFound,
			cure: `GRANT "orders_owner" TO "orders_a";`,
		},
		{
			name: "one that may not log in", sql: `ALTER ROLE orders_b NOLOGIN`, cure: `ALTER ROLE "orders_b" LOGIN;`,
			seen: checkingTwo + "role orders_b is not permitted to log in",
		},
		{
			name: "one that has expired", sql: `ALTER ROLE orders_a VALID UNTIL '2020-01-01'`,
			cure: `ALTER ROLE "orders_a" VALID UNTIL 'infinity';`,
			seen: checkingTwo + "the password of role orders_a has expired, whatever it is",
		},
		{
			name: "other memberships",
			sql:  `CREATE ROLE readers; GRANT readers TO orders_b; REVOKE orders_owner FROM orders_b`,
			cure: "GRANT \"orders_owner\" TO \"orders_b\";\nGRANT \"readers\" TO \"orders_a\";",
			seen: checkingTwo + "roles orders_a and orders_b are members of different roles: with one login an " +
				"application could do what it cannot do with the other",
		},
		{
			name: "memberships with other options", only: "18",
			sql:  `GRANT orders_owner TO orders_b WITH INHERIT FALSE`,
			cure: `GRANT "orders_owner" TO "orders_b" WITH INHERIT true, SET true;`,
			seen: checkingTwo + "roles orders_a and orders_b are members of different roles: with one login an " +
				"application could do what it cannot do with the other",
		},
		{
			name: "one is a member of the other", sql: `GRANT orders_a TO orders_b`,
			cure: `REVOKE "orders_a" FROM "orders_b";`,
			seen: checkingTwo + "roles orders_a and orders_b are members of different roles: with one login an " +
				"application could do what it cannot do with the other",
		},
		{
			name: "no connection", sql: `ALTER ROLE orders_b CONNECTION LIMIT 0`,
			cure: `ALTER ROLE "orders_b" CONNECTION LIMIT -1;`,
			seen: checkingTwo + "role orders_b may have no connection: its CONNECTION LIMIT is 0",
		},
		{
			name: "fewer connections", sql: `ALTER ROLE orders_b CONNECTION LIMIT 2`,
			cure: `ALTER ROLE "orders_b" CONNECTION LIMIT -1;`,
			seen: checkingTwo + "roles orders_a and orders_b differ in CONNECTION LIMIT",
		},
		{
			name: "other attributes", sql: `ALTER ROLE orders_b CREATEDB NOINHERIT`,
			cure: `ALTER ROLE "orders_b" NOCREATEDB INHERIT;`,
			seen: checkingTwo + "roles orders_a and orders_b differ in CREATEDB, INHERIT",
		},
		{
			name: "other settings", sql: `ALTER ROLE orders_a SET search_path TO "$user", "a b"; ` +
				`ALTER ROLE orders_a IN DATABASE postgres SET "statement_timeout" TO '1s'; ` +
				`ALTER ROLE orders_b SET lock_timeout TO '1s'; ALTER ROLE orders_a SET application_name TO 'it''s'`,
			cure: `ALTER ROLE "orders_b" RESET "lock_timeout";`,
			seen: checkingTwo + "roles orders_a and orders_b begin their sessions with different settings",
		},
		{
			name: "a backslash, where it escapes", sql: `ALTER ROLE orders_a SET application_name TO E'a\\b'`,
			root: `ALTER ROLE azure_admin SET standard_conforming_strings TO off`,
			cure: `ALTER ROLE "orders_b" SET "application_name" TO E'a\\b';`,
			seen: checkingTwo + "roles orders_a and orders_b begin their sessions with different settings",
		},
		{
			name: "lists of names", sql: `ALTER ROLE orders_a SET search_path TO ''; ` +
				`ALTER ROLE orders_a IN DATABASE postgres SET search_path TO public, "a, ""b", "$user"`,
			cure: `ALTER ROLE "orders_b" IN DATABASE "postgres" SET "search_path" TO 'public', 'a, "b', '$user';`,
			seen: checkingTwo + "roles orders_a and orders_b begin their sessions with different settings",
		},
		{
			name: "no right", only: "15", sql: noRight, kind: refusal.Forbidden,
			cure: "CREATE FUNCTION rotate.set_verifier(",
			seen: checkingTwo + "role gh-passwords may not set the password of login orders_a and orders_b",
		},
		{
			name: "no right", only: "18", sql: noRight + `; REVOKE orders_a FROM "gh-passwords"`,
			kind: refusal.Forbidden,
			cure: "ALTER ROLE \"gh-passwords\" CREATEROLE;\n" +
				`GRANT "orders_a" TO "gh-passwords" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;`,
			seen: checkingTwo + "role gh-passwords may not set the password of login orders_a and orders_b",
		},
		{
			name: "no ADMIN OPTION", only: "18", sql: `REVOKE ADMIN OPTION FOR orders_b FROM "gh-passwords"`,
			kind: refusal.Forbidden,
			cure: `GRANT "orders_b" TO "gh-passwords" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;`,
			seen: checkingTwo + "role gh-passwords may not set the password of login orders_a and orders_b",
		},
		{
			name: "the function may not be called", kind: refusal.Forbidden,
			sql: noRight + ";" + functionOf("orders_a", "orders_b") +
				`REVOKE EXECUTE ON FUNCTION rotate.set_verifier FROM "gh-passwords"`,
			cure: `GRANT EXECUTE ON FUNCTION rotate.set_verifier(text, text, text) TO "gh-passwords";`,
			seen: checkingTwo + "role gh-passwords may not call rotate.set_verifier",
		},
		{
			name: "the function's schema may not be used", kind: refusal.Forbidden,
			sql: noRight + ";" + functionOf("orders_a", "orders_b") +
				`REVOKE USAGE ON SCHEMA rotate FROM "gh-passwords"`,
			cure: `GRANT USAGE ON SCHEMA rotate TO "gh-passwords";`,
			seen: checkingTwo + "role gh-passwords may not call rotate.set_verifier",
		},
		{
			name: "the function does not know a login", kind: refusal.Forbidden,
			sql: noRight + ";" + functionOf("orders_a"), cure: `INSERT INTO rotate.logins VALUES ('orders_b')`,
			seen: checkingTwo + "rotate.set_verifier may not set the password of login orders_b (SQLSTATE 42501)",
		},
		{
			name: "a superuser", root: `ALTER ROLE orders_a SUPERUSER`, kind: refusal.Forbidden,
			seen: checkingTwo + "role orders_a is a superuser, whose password only a superuser may set",
		},
		{
			name: "no role of the identity", sql: `DROP ROLE "gh-passwords"`, kind: refusal.Forbidden,
			seen: connecting + "the server does not let role gh-passwords in with the access token: there is no such " +
				"role, or it is not the identity's (SQLSTATE 28000)",
			cure:   `SELECT * FROM pgaadauth_create_principal_with_oid('gh-passwords', 'OBJECT-ID', 'service', false, false);`,
			others: "may not set the password",
		},
		{
			name: "a role of another identity", root: `CREATE ROLE "other-identity" LOGIN`,
			config: postgres.Config{As: "other-identity"}, inVain: true, kind: refusal.Forbidden,
			seen: "connecting to " + host +
				" as other-identity: the server does not let role other-identity in with the " +
				"access token: there is no such role, or it is not the identity's (SQLSTATE 28P01)",
		},
		{
			name: "a role of no identity", root: `CREATE ROLE plain LOGIN PASSWORD 'x'`,
			config: postgres.Config{As: "plain"}, inVain: true, kind: refusal.Forbidden,
			seen: "connecting to " + host +
				" as plain: the server takes no access token for role plain: it asks for a password",
		},
		{
			name: "a token for something else", config: postgres.Config{Scope: "https://vault.azure.net/.default"},
			kind: refusal.Forbidden, inVain: true,
			seen: connecting + "the server does not let role gh-passwords in with the access token: there is no such " +
				"role, or it is not the identity's (SQLSTATE 28P01)",
		},
		{
			name: "no database", config: postgres.Config{Database: "orders"}, kind: refusal.NotFound,
			seen: connecting + "there is no database orders (SQLSTATE 3D000)",
		},
		{
			name: "no right to the database", config: postgres.Config{Database: "orders"}, kind: refusal.Forbidden,
			sql: `CREATE DATABASE orders`, root: `REVOKE CONNECT ON DATABASE orders FROM PUBLIC`,
			seen: connecting + "role gh-passwords may not connect to database orders (SQLSTATE 42501)",
			cure: `GRANT CONNECT ON DATABASE "orders" TO "gh-passwords";`,
		},
		{
			name: "a server that takes no writes",
			root: `ALTER ROLE "gh-passwords" SET default_transaction_read_only TO on`,
			seen: checkingTwo + "the server takes no writes: it is a read replica, or out of storage, or its " +
				"parameter default_transaction_read_only is on",
			kind: refusal.ReadOnly,
		},
		{
			name: "no connection left", root: `ALTER ROLE "gh-passwords" CONNECTION LIMIT 0`, kind: refusal.Unreachable,
			seen: connecting + "no connection is left (SQLSTATE 53300)",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
				if tc.only != "" && tc.only != s.Version {
					return
				}
				front := setUp(t, s)
				front.Identify("other-identity", "11111111-2222-3333-4444-555555555555")
				if tc.sql != "" {
					administer(t, s, tc.sql)
				}
				if tc.root != "" {
					s.Exec(t, tc.root)
				}
				stub(t, s)
				tc.config.Logins = []string{"orders_a", "orders_b"}
				target := newTarget(tc.config)
				_, err := target.Look(t.Context(), "orders_a")
				seen := refused(t, err)
				if diff := cmp.Diff(tc.seen, seen.Seen()); diff != "" {
					t.Errorf("the refusal (-want +got):\n%s", diff)
				}
				if seen.Kind != tc.kind {
					t.Errorf("its kind is %d; want %d", seen.Kind, tc.kind)
				}
				sql := cutSQL(seen.Remedy)
				if !strings.Contains(sql, tc.cure) || tc.cure == "" && sql != "" && !tc.inVain {
					t.Fatalf("the remedy is %q; want %q in it", seen.Remedy, tc.cure)
				}
				if lock := target.Lock(t.Context(), "orders_a"); lock == nil || lock.Error() != err.Error() {
					t.Errorf("Lock says %v", lock)
				}
				for _, sent := range front.Statements(as) {
					if strings.HasPrefix(sent, "ALTER") || strings.HasPrefix(sent, "COMMENT") ||
						strings.HasPrefix(sent, "BEGIN") {
						t.Errorf("%q was sent", sent)
					}
				}
				if tc.cure == "" {
					return
				}
				administer(t, s, sql)
				_, err = target.Look(t.Context(), "orders_a")
				if tc.others != "" && err != nil && strings.Contains(err.Error(), tc.others) {
					return
				}
				if err != nil {
					t.Errorf("after the SQL of the remedy: %v", err)
				}
			})
		})
	}
}

// A setting of the application's own may be a secret. The remedy copies it and does not show it.
func TestOwnSettings(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, _ *pgserver.Front) {
		s.Exec(t, `ALTER ROLE orders_a SET "app.key" TO 'Canary''s'; ALTER ROLE orders_b SET "app.key" TO 'other';
ALTER ROLE orders_a SET app.k_y TO 'Canary 3'; -- as a pattern of LIKE, that name would be app.key's too
ALTER ROLE orders_a IN DATABASE postgres SET "app.key" TO 'Canary=2'`)
		_, err := two().Look(t.Context(), "orders_a")
		remedy := refused(t, err).Remedy
		if strings.Contains(remedy, "Canary") || strings.Contains(remedy, "other") {
			t.Errorf("the remedy shows the setting: %s", remedy)
		}
		s.Exec(t, cutSQL(remedy))
		if _, err := two().Look(t.Context(), "orders_a"); err != nil {
			t.Errorf("after the SQL of the remedy: %v", err)
		}
	})
}

// A function of another's that runs with the rights of whoever calls it is not called, not even to look.
func TestAnotherFunction(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, _ *pgserver.Front) {
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE; CREATE SCHEMA rotate; CREATE SEQUENCE rotate.calls;
GRANT ALL ON SCHEMA rotate TO PUBLIC; GRANT ALL ON SEQUENCE rotate.calls TO PUBLIC;
CREATE FUNCTION rotate.set_verifier(login text, verifier text, operation text) RETURNS void LANGUAGE sql
AS $$ SELECT nextval('rotate.calls') $$`)
		err := lockPrepareFinish(t, two(), "orders_b", "new")
		if seen := refused(t, err); !strings.Contains(seen.Cause, "may not set the password") {
			t.Errorf("got %s", seen.Seen())
		}
		if called := s.Query(t, "SELECT is_called FROM rotate.calls"); called[0] != "f" {
			t.Error("the function was called")
		}
	})
}

// functionOf is the SQL of examples/setup/postgresql-function.sql with these logins.
func functionOf(logins ...string) string { return postgres.FunctionSQL(as, logins) }

// stub stands in for the service's own function that makes a principal of Entra: the role is what a test needs, and
// that whoever made it may change it.
func stub(t *testing.T, s *pgserver.Server) {
	t.Helper()
	s.Exec(t, `CREATE OR REPLACE FUNCTION public.pgaadauth_create_principal_with_oid(name text, oid text, kind text,
	admin bool, mfa bool) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
	$$ BEGIN EXECUTE format('CREATE ROLE %I LOGIN; GRANT %1$I TO %I WITH ADMIN OPTION', name, session_user);
	RETURN name; END $$`)
	t.Cleanup(func() {
		s.Exec(t, `DROP FUNCTION IF EXISTS public.pgaadauth_create_principal_with_oid(text, text, text, bool, bool)`)
	})
}
