package postgres_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/postgres"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/pgserver"
)

// Whatever answers in place of the server gets no token, and is told apart.
func TestTheWayToTheServer(t *testing.T) {
	foreign, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
	must(t, err)
	defer foreign.Close()
	certificate := func(e *emulator.Emulator, name string) tls.Certificate {
		c, err := e.Certificate(name)
		must(t, err)
		return c
	}
	proxied := func(name string) string { return map[string]string{"ALL_PROXY": azure.Proxy()}[name] }
	proxy := strings.TrimPrefix(azure.Proxy(), "http://")
	s := pgserver.Get(t, pgserver.Versions[0]) // which does not matter: it is not reached
	for _, tc := range []struct {
		name    string
		arrange func(front *pgserver.Front)
		env     func(string) string
		want    string
		remedy  string
		kind    refusal.Kind
	}{
		{
			name:    "a certificate of another CA",
			arrange: func(front *pgserver.Front) { front.Present(certificate(foreign, host)) },
			want: "what answers is not trusted: its certificate is not trusted here: this machine does not know its " +
				"issuer (keyvault-passwords emulator)",
			remedy: "set SSL_CERT_FILE", kind: refusal.Unreachable,
		},
		{
			name:    "a certificate for another name",
			arrange: func(front *pgserver.Front) { front.Present(certificate(azure, "x.postgres.database.azure.com")) },
			want: "what answers is not trusted: its certificate is for another name " +
				"(x.postgres.database.azure.com)",
			remedy: "something else answers", kind: refusal.Unreachable,
		},
		{
			name: "no TLS", arrange: (*pgserver.Front).RefuseTLS, want: "the server does not offer TLS",
			remedy: "check the proxy and the DNS", kind: refusal.Other,
		},
		{
			name: "no server", arrange: (*pgserver.Front).Close,
			want: "the proxy refused to connect to " + host + ", port 5432: the proxy at " + proxy +
				" answered 502 Bad Gateway",
			remedy: "check ALL_PROXY", kind: refusal.Unreachable,
		},
		{
			name: "a server that ends each connection", kind: refusal.Unreachable,
			arrange: func(front *pgserver.Front) { front.Watch(func(pgserver.Event) bool { return false }) },
			want:    "no answer: the connection was closed without an answer", remedy: "allow the runner to connect " +
				"to " + host +
				", port 5432",
		},
		{
			name: "no proxy", kind: refusal.Unreachable,
			env: func(name string) string {
				return map[string]string{"ALL_PROXY": "socks5h://127.0.0.1:1"}[name]
			},
			want:   "there is no way through the proxy: the proxy at 127.0.0.1:1: the connection was refused",
			remedy: "check ALL_PROXY",
		},
		{
			name: "no such host", env: func(string) string { return "" }, kind: refusal.Unreachable,
			want: "there is no host does-not-exist.invalid", remedy: "check the host",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			front := s.Serve(t, azure, host, map[string]string{as: emulator.DefaultClient})
			if tc.arrange != nil {
				tc.arrange(front)
			}
			if tc.env == nil {
				tc.env = proxied
			}
			at := host
			if strings.Contains(tc.want, ".invalid") {
				at = "does-not-exist.invalid"
			}
			target := newTarget(postgres.Config{
				Host: at, Logins: []string{"orders_a"}, Network: network.NewDialer(tc.env),
			})
			_, err := target.Look(t.Context(), "orders_a")
			seen := refused(t, err)
			if seen.Seen() != "connecting to "+at+" as "+as+": "+tc.want {
				t.Errorf("got %q; want %q", seen.Seen(), tc.want)
			}
			if !strings.Contains(seen.Remedy, tc.remedy) || seen.Kind != tc.kind {
				t.Errorf("the remedy is %q, the kind %d", seen.Remedy, seen.Kind)
			}
			if sent := front.Tokens(); len(sent) > 0 || strings.Contains(front.Wire(), "eyJ") {
				t.Errorf("%d tokens were sent", len(sent))
			}
		})
	}
}

// No token: its refusal is told as identity tells it.
func TestNoToken(t *testing.T) {
	failure := refusal.Refusal{Act: "signing in to Entra", Cause: "no", Remedy: "do", Kind: refusal.Identity}
	target := newTarget(postgres.Config{Logins: []string{"orders_a"}, Credential: entra{failure}})
	_, err := target.Look(t.Context(), "orders_a")
	want := "connecting to " + host + " as " + as + ": signing in to Entra: no; do"
	if err == nil || err.Error() != want || refused(t, err).Kind != refusal.Identity {
		t.Errorf("got %v; want %s", err, want)
	}
}

// cutOnce cuts the first connection of the identity that comes to a point of a statement, and calls then before.
func cutOnce(front *pgserver.Front, point pgserver.Point, statement string, then func()) {
	var once sync.Once
	front.Watch(func(e pgserver.Event) bool {
		pass := true
		if e.User == as && e.Point == point && strings.HasPrefix(e.SQL, statement) {
			once.Do(func() {
				pass = false
				if then != nil {
					then()
				}
			})
		}
		return pass
	})
}

// A COMMIT that got no answer was done or not. Either way the login has the password in the end, and it was set once.
func TestLostCommit(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		for i, tc := range []struct {
			name   string
			target *postgres.Target
			login  string
			point  pgserver.Point
			sets   int // how often the password is set
		}{
			{"one login, not done", one(), "orders_a", pgserver.Query, 2},
			{"one login, done", one(), "orders_a", pgserver.Answer, 1},
			{"two logins, not done", two(), "orders_b", pgserver.Query, 2},
			{"two logins, done", two(), "orders_b", pgserver.Answer, 1},
		} {
			t.Run(tc.name, func(t *testing.T) {
				password, op := fmt.Sprintf("password %d", i), fmt.Sprintf("%032x", i)
				before := len(front.Statements(as))
				cutOnce(front, tc.point, "COMMIT", nil)
				defer front.Watch(nil)
				must(t, tc.target.Lock(t.Context(), tc.login))
				defer tc.target.Unlock()
				must(t, tc.target.Prepare(t.Context(), tc.login, op, value(password)))
				must(t, tc.target.Held(t.Context()))
				must(t, tc.target.Finish(t.Context()))
				if !takes(front, tc.login, password) || !strings.Contains(comment(t, s, tc.login), op) {
					t.Error("the login does not have the password, or not its marker")
				}
				sets := strings.Count(strings.Join(front.Statements(as)[before:], "\n"), "ALTER ROLE")
				if sets != tc.sets {
					t.Errorf("the password was set %d times; want %d", sets, tc.sets)
				}
			})
		}
	})
}

// Where another run has set the login since the connection was lost, its password stays.
func TestLostCommitAfterAnotherRun(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		cutOnce(front, pgserver.Query, "COMMIT", func() {
			s.Exec(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '"+as+"'")
			s.Exec(t, "ALTER ROLE orders_a PASSWORD 'theirs'; COMMENT ON ROLE orders_a IS "+
				"'[keyvault-passwords operation="+other+"]'")
		})
		target := one()
		must(t, target.Lock(t.Context(), "orders_a"))
		defer target.Unlock()
		must(t, target.Prepare(t.Context(), "orders_a", operation, value("ours")))
		const want = "another run has set the password of the login since"
		if seen := refused(t, target.Finish(t.Context())); seen.Cause != want {
			t.Errorf("got %q; want %q", seen.Cause, want)
		}
		if !takes(front, "orders_a", "theirs") {
			t.Error("the password of the other run is gone")
		}
	})
}

// A target that is cut off for good at any statement leaves each login with its old password or with its new one, as
// the marker says; with two logins, the one in use is never touched.
func TestCutAtEachStatement(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		seen := 0
		for _, both := range []bool{true, false} {
			for _, point := range []pgserver.Point{pgserver.Query, pgserver.Answer} {
				for _, statement := range []string{"SET lock_timeout", "SELECT json", "BEGIN", "ALTER ROLE", "COMMENT",
					"COMMIT"} {
					seen++
					password, op := fmt.Sprintf("password %d", seen), fmt.Sprintf("%032x", seen)
					target, login := one(), "orders_a"
					if both {
						target, login = two(), "orders_b"
					}
					old := fmt.Sprintf("password %d", seen-1)
					s.Exec(t, "ALTER ROLE "+login+" PASSWORD '"+old+"'")
					ctx, stop := context.WithCancel(t.Context())
					var cut atomic.Bool
					front.Watch(func(e pgserver.Event) bool {
						if e.User == as && e.Point == point && strings.HasPrefix(e.SQL, statement) {
							cut.Store(true)
						}
						if cut.Load() && e.User == as {
							stop() // or the target would connect again
							return false
						}
						return true
					})
					err := target.Lock(ctx, login)
					if err == nil {
						err = target.Prepare(ctx, login, op, value(password))
					}
					if err == nil {
						err = target.Finish(ctx)
					}
					target.Unlock()
					stop()
					front.Watch(nil)
					if err == nil || !cut.Load() {
						t.Errorf("cut at %s: %v, %t; want an error", statement, err, cut.Load())
					}
					done := strings.Contains(comment(t, s, login), op)
					if want := statement == "COMMIT" && point == pgserver.Answer; done != want {
						t.Errorf("cut at %s (%d): the marker is there: %t; want %t", statement, point, done, want)
					}
					if takes(front, login, password) != done || takes(front, login, old) == done {
						t.Errorf("cut at %s (%d): the marker is there: %t; the login says otherwise", statement, point,
							done)
					}
					if both && !takes(front, "orders_a", "old password of a") {
						t.Errorf("cut at %s: the login in use was changed", statement)
					}
				}
			}
		}
	})
}

// A run that is stopped while the server is silent gets on at once, and has changed nothing; but what the vault knows
// already is finished.
func TestStoppedWhileTheServerIsSilent(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		for _, statement := range []string{"", "SET lock_timeout", "SELECT json", "BEGIN", "ALTER ROLE", "COMMENT",
			"COMMIT"} {
			ctx, stop := context.WithCancel(t.Context())
			silent := make(chan struct{})
			front.Watch(func(e pgserver.Event) bool {
				if e.User == as && e.Point != pgserver.Answer && strings.HasPrefix(e.SQL, statement) {
					stop()
					<-silent
					return false
				}
				return true
			})
			target := two()
			err := target.Lock(ctx, "orders_b")
			if err == nil {
				err = target.Prepare(ctx, "orders_b", operation, value("new"))
			}
			target.Unlock()
			want := refusal.Cancelled
			if statement == "COMMIT" {
				want = refusal.Ambiguous
			}
			if seen := refused(t, err); seen.Kind != want {
				t.Errorf("silent at %q: %s (%d)", statement, seen.Seen(), seen.Kind)
			}
			close(silent)
			front.Watch(nil)
			if !takes(front, "orders_b", "old password of b") {
				t.Errorf("silent at %q: the login has changed", statement)
			}
			stop()
		}

		ctx, stop := context.WithCancel(t.Context())
		target := one()
		must(t, target.Lock(ctx, "orders_a"))
		must(t, target.Prepare(ctx, "orders_a", operation, value("new")))
		stop()
		must(t, target.Finish(ctx))
		target.Unlock()
		if !takes(front, "orders_a", "new") {
			t.Error("a run that was stopped after the vault had the password did not finish")
		}
	})
}

// A lock that is lost is seen before the vault is told anything.
func TestHeld(t *testing.T) {
	each(t, func(t *testing.T, _ *pgserver.Server, front *pgserver.Front) {
		target := one()
		if err := target.Held(t.Context()); err == nil {
			t.Error("a login that was never locked is held")
		}
		must(t, target.Lock(t.Context(), "orders_a"))
		must(t, target.Prepare(t.Context(), "orders_a", operation, value("new")))
		front.CutAll()
		if seen := refused(t, target.Held(t.Context())); seen.Kind != refusal.Unreachable {
			t.Errorf("a lost lock: %s", seen.Seen())
		}
		must(t, target.Undo(t.Context()))
		target.Unlock()
		if !takes(front, "orders_a", "old password of a") {
			t.Error("the login has changed")
		}
	})
}

// A server that takes no passwords any more is seen by the proof.
func TestProofFails(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		target := two()
		must(t, target.Lock(t.Context(), "orders_b"))
		front.Watch(func(e pgserver.Event) bool {
			if e.Point == pgserver.Startup && e.User == "orders_b" {
				s.Exec(t, "ALTER ROLE orders_b PASSWORD 'something else'")
			}
			return true
		})
		err := target.Prepare(t.Context(), "orders_b", operation, value("new"))
		front.Watch(nil)
		target.Unlock()
		const want = "logging in as orders_b, as proof of the new password at " + host +
			": the server does not take the password that was just set (SQLSTATE 28P01)"
		if seen := refused(t, err); seen.Seen() != want || seen.Kind != refusal.Forbidden {
			t.Errorf("got %q; want %q", seen.Seen(), want)
		}
	})
}

// One login has its password before the proof. Where that fails, the marker does not say that the login holds it, and
// once it succeeds, it does.
func TestProofFailsWithOneLogin(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		for _, by := range []string{"itself", "the function"} {
			if by == "the function" {
				administer(t, s, functionOf("orders_a"))
				s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE`)
			}
			target := one()
			must(t, target.Lock(t.Context(), "orders_a"))
			must(t, target.Prepare(t.Context(), "orders_a", operation, value("new")))
			front.Watch(func(e pgserver.Event) bool {
				if e.Point == pgserver.Startup && e.User == "orders_a" {
					s.Exec(t, "ALTER ROLE orders_a PASSWORD 'something else'")
				}
				return true
			})
			err := target.Finish(t.Context())
			front.Watch(nil)
			if seen := refused(t, err); seen.Kind != refusal.Forbidden {
				t.Errorf("by %s: %s", by, seen.Seen())
			}
			if op, err := one().Look(t.Context(), "orders_a"); op == operation || op == "" || err != nil {
				t.Errorf("by %s: what is not proven is marked %q, %v", by, op, err)
			}
			must(t, target.Finish(t.Context()))
			target.Unlock()
			if op, err := one().Look(t.Context(), "orders_a"); op != operation || err != nil {
				t.Errorf("by %s: what is proven is marked %q, %v", by, op, err)
			}
			if !takes(front, "orders_a", "new") {
				t.Errorf("by %s: the login does not have the password", by)
			}
			s.Exec(t, "ALTER ROLE orders_a PASSWORD 'old'; COMMENT ON ROLE orders_a IS NULL")
		}
	})
}

// A server that asks for the password itself does not get it.
func TestPasswordIsNeverSent(t *testing.T) {
	each(t, func(t *testing.T, _ *pgserver.Server, front *pgserver.Front) {
		front.Identify("orders_b", emulator.DefaultClient) // whoever that is, is asked for it in clear
		const password = "Canary-7f3a.Tweet~"
		err := lockPrepareFinish(t, two(), "orders_b", password)
		const want = "logging in as orders_b, as proof of the new password at " + host +
			": the server does not ask for SCRAM authentication"
		if seen := refused(t, err); seen.Seen() != want || seen.Kind != refusal.Forbidden {
			t.Errorf("got %q; want %q", seen.Seen(), want)
		}
		if strings.Contains(front.Wire(), password) {
			t.Error("the password was sent")
		}
	})
}

// A login that may not connect to the database has proven its password all the same.
func TestProofWithoutDatabase(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		administer(t, s, `CREATE DATABASE orders`)
		administer(t, s, `REVOKE CONNECT ON DATABASE orders FROM PUBLIC`)
		administer(t, s, `GRANT CONNECT ON DATABASE orders TO "gh-passwords"`)
		target := newTarget(postgres.Config{Database: "orders", Logins: []string{"orders_a", "orders_b"}})
		must(t, target.Lock(t.Context(), "orders_b"))
		must(t, target.Prepare(t.Context(), "orders_b", operation, value("new")))
		target.Unlock()
		if !takes(front, "orders_b", "new") {
			t.Error("the password was not set")
		}
	})
}

// What a server refuses is told by its code alone: nothing of its text is passed on, which may hold what was sent.
func TestCodes(t *testing.T) {
	const setting = "setting the password of login orders_b at " + host + ": "
	each(t, func(t *testing.T, s *pgserver.Server, _ *pgserver.Front) {
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE`)
		for code, want := range map[string]struct {
			cause string
			kind  refusal.Kind
		}{
			"42501": {"rotate.set_verifier may not set the password of login orders_b", refusal.Forbidden},
			"55P03": {"another session holds it for longer than the action waits", refusal.Other},
			"57014": {"the server did not do it in time", refusal.Unreachable},
			"53300": {"no connection is left", refusal.Unreachable},
			"53100": {"the server's disk is full", refusal.ReadOnly},
			"57P01": {"the server is restarting, or ended the connection", refusal.Unreachable},
			"25P03": {"the server is restarting, or ended the connection", refusal.Unreachable},
			"08P01": {"what answers is not the server itself: it does not take what a session begins with",
				refusal.Other},
			"XX000": {"the server failed", refusal.Other},
			"22023": {"the server refused it", refusal.Other},
		} {
			s.Exec(t, `DROP SCHEMA IF EXISTS rotate CASCADE; CREATE SCHEMA rotate;
GRANT USAGE ON SCHEMA rotate TO PUBLIC;
CREATE FUNCTION rotate.set_verifier(login text, verifier text, operation text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN IF verifier IS NOT NULL THEN RAISE EXCEPTION '%', 'Canary ' || verifier USING ERRCODE = '`+code+`',
	DETAIL = 'Canary', HINT = 'Canary'; END IF; END $$`)
			err := lockPrepareFinish(t, two(), "orders_b", "new")
			seen := refused(t, err)
			if seen.Seen() != setting+want.cause+" (SQLSTATE "+code+")" || seen.Kind != want.kind {
				t.Errorf("%s: %q (%d); want %q (%d)", code, seen.Seen(), seen.Kind, want.cause, want.kind)
			}
			for _, text := range []string{"Canary", "SCRAM-SHA-256$", "SELECT rotate.set_verifier"} {
				if strings.Contains(fmt.Sprintf("%v %+v", err, err), text) {
					t.Errorf("%s: the error has %q of the server's text", code, text)
				}
			}
		}
	})
}

// Where another session holds what is to be locked, the SQL of the refusal finds it: another run, and a person who has
// changed a role and not committed.
func TestWhoHoldsTheLock(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, _ *pgserver.Front) {
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE; CREATE SCHEMA rotate; GRANT USAGE ON SCHEMA rotate TO PUBLIC;
CREATE FUNCTION rotate.set_verifier(login text, verifier text, operation text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN IF verifier IS NOT NULL THEN RAISE lock_not_available; END IF; END $$`)
		_, sql, found := strings.Cut(refused(t, lockPrepareFinish(t, two(), "orders_b", "new")).Remedy, "session: ")
		if !found {
			t.Fatal("the remedy has no SQL")
		}
		for name, sqls := range map[string][2]string{
			"another run": {"SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)"},
			"a person":    {"BEGIN; COMMENT ON ROLE orders_b IS 'x'; ALTER ROLE orders_b PASSWORD 'x'", "ROLLBACK"},
		} {
			pid := s.Query(t, "SELECT pg_backend_pid()")[0]
			s.Exec(t, sqls[0])
			rows, err := s.ExecAs("azure_admin", sql)
			s.Exec(t, sqls[1])
			found := strings.Join(rows, "\n") // a run that has just ended may be there too
			if err != nil || !strings.Contains("\n"+found, "\n"+pid+"|postgres|") ||
				strings.Contains(found, "|azure_admin|") {
				t.Errorf("%s: %q, %v; want the session %s, and not that of the SQL", name, rows, err, pid)
			}
		}
	})
}

// A session that the server ends while the vault is asked is made again, and the password set once more.
func TestEndedSession(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		target := one()
		must(t, target.Lock(t.Context(), "orders_a"))
		defer target.Unlock()
		must(t, target.Prepare(t.Context(), "orders_a", operation, value("new")))
		s.Exec(t, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '"+as+"'")
		must(t, target.Finish(t.Context()))
		if !takes(front, "orders_a", "new") || !strings.Contains(comment(t, s, "orders_a"), operation) {
			t.Error("the login does not have the password, or not its marker")
		}
	})
}

// A Finish that could not be done is done by the next one: outside of a transaction COMMIT is no success.
func TestFinishAgain(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		ctx, stop := context.WithCancel(t.Context())
		target := one()
		must(t, target.Lock(ctx, "orders_a"))
		defer target.Unlock()
		must(t, target.Prepare(ctx, "orders_a", operation, value("new")))
		front.Watch(func(e pgserver.Event) bool {
			if e.Point == pgserver.Query && e.SQL == "COMMIT" {
				s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE`) // settling is then refused
				return false
			}
			return true
		})
		if seen := refused(t, target.Finish(ctx)); seen.Kind != refusal.Forbidden {
			t.Errorf("Finish: %s", seen.Seen())
		}
		if seen := refused(t, target.Finish(ctx)); seen.Kind != refusal.Forbidden {
			t.Errorf("Finish again: %s", seen.Seen())
		}
		front.Watch(nil)
		s.Exec(t, `ALTER ROLE "gh-passwords" CREATEROLE`)
		stop()
		must(t, target.Finish(ctx))
		if !takes(front, "orders_a", "new") || !strings.Contains(comment(t, s, "orders_a"), operation) {
			t.Error("the login does not have the password, or not its marker")
		}
	})
}
