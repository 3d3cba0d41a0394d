package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyvault-passwords/internal/postgres"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
	"keyvault-passwords/internal/test/pgserver"
)

// names are logins whose names SQL must be told as they are.
var names = []string{`we"ird'na\me; --`, "Größe $1", "x%y%I"}

// Neither the password nor the token is in what the server logs and remembers, nor is the password on the wire.
func TestNothingLeaks(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		passwords := []string{"Canary-7f3a.Tweet~", `Quo"ted'C\anary$1`, "Canary <&> of three"}
		for i, target := range []*postgres.Target{two(), one(), two()} {
			login := []string{"orders_b", "orders_a", "orders_b"}[i]
			must(t, target.Lock(t.Context(), login))
			must(t, target.Prepare(t.Context(), login, fmt.Sprintf("%032x", i), value(passwords[i])))
			must(t, target.Finish(t.Context()))
			target.Unlock()
		}
		log, statements := s.Log(t), s.Statements(t)
		if !strings.Contains(log, "ALTER ROLE \"orders_a\" PASSWORD 'SCRAM-SHA-256$4096:") {
			t.Error("the log does not have the statements")
		}
		if !strings.Contains(statements, "ALTER ROLE") {
			t.Error("the statistics do not have the statements")
		}
		texts := map[string]string{"the log": log, "the statistics": statements, "the wire": front.Wire()}
		if leaks := job.FindLeaks(passwords, texts); leaks != nil {
			t.Error(leaks)
		}
		delete(texts, "the wire")
		if leaks := job.FindLeaks(front.Tokens(), texts); leaks != nil || len(front.Tokens()) == 0 {
			t.Error(leaks)
		}
	})
}

// Four runs at once, which wait for each other at the login, make one version a round, and its password is the login's.
func TestFourAtOnce(t *testing.T) {
	const runs, rounds = 4, 20
	each(t, func(t *testing.T, _ *pgserver.Server, front *pgserver.Front) {
		for _, both := range []bool{true, false} {
			vault := &memory{login: "orders_a", password: "old password of a"}
			for round := 1; round <= rounds; round++ {
				var all sync.WaitGroup
				for run := range runs {
					target, seed := one(), rand.New(rand.NewPCG(uint64(round), uint64(run)))
					if both {
						target = two()
					}
					all.Go(func() { vault.rotate(t, target, both, round, seed) })
				}
				all.Wait()
				if vault.versions != round {
					t.Fatalf("two logins: %t: %d versions after %d rounds", both, vault.versions, round)
				}
				if !takes(front, vault.login, vault.password) {
					t.Fatalf("two logins: %t: round %d: the newest password opens nothing", both, round)
				}
			}
		}
	})
}

// memory is a vault with one secret.
type memory struct {
	mu              sync.Mutex
	versions        int
	login, password string
}

// rotate is what a run does that found, before it had the lock, that the secret is due in this round.
func (m *memory) rotate(t *testing.T, target *postgres.Target, both bool, round int, seed *rand.Rand) {
	ctx := t.Context()
	if err := target.Lock(ctx, "orders_a"); err != nil {
		t.Error(err)
		return
	}
	defer target.Unlock()
	m.mu.Lock()
	due, login := m.versions < round, "orders_a"
	if both && m.login == "orders_a" {
		login = "orders_b"
	}
	m.mu.Unlock()
	if !due {
		return
	}
	password := fmt.Sprintf("password %x", seed.Uint64())
	err := target.Prepare(ctx, login, fmt.Sprintf("%032x", seed.Uint64()), value(password))
	if err == nil {
		err = target.Held(ctx)
	}
	if err == nil {
		m.mu.Lock()
		m.versions, m.login, m.password = m.versions+1, login, password
		m.mu.Unlock()
		err = target.Finish(ctx)
	}
	if err != nil {
		t.Error(err)
	}
}

// Two secrets that share one login keep each other out, whichever way round they name their logins.
func TestSharedLogin(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		a := two()
		b := newTarget(postgres.Config{Logins: []string{"orders_b", "orders_a"}})
		c := one()
		must(t, a.Lock(t.Context(), "orders_b"))
		done := make(chan string, 2)
		for name, target := range map[string]*postgres.Target{"b": b, "c": c} {
			go func() {
				if err := target.Lock(t.Context(), "orders_a"); err != nil {
					t.Error(err)
				}
				done <- name
				target.Unlock()
			}()
		}
		for { // until both wait at the server
			rows := s.Query(t, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
			if rows[0] == "2" {
				break
			}
			select {
			case name := <-done:
				t.Fatalf("%s has a lock that is held", name)
			default:
			}
		}
		a.Unlock()
		<-done
		<-done
		var waits []string
		for _, sent := range front.Statements(as) {
			if strings.HasPrefix(sent, "SET lock_timeout") {
				waits = append(waits, sent)
			}
		}
		slices.Sort(waits)
		if waits = slices.Compact(waits); len(waits) != 2 {
			t.Errorf("two logins are locked in two orders:\n%s", strings.Join(waits, "\n"))
		}
	})
}

// The PG* variables of a job do nothing, nor do the files that they name.
func TestJobVariablesAreIgnored(t *testing.T) {
	each(t, func(t *testing.T, _ *pgserver.Server, front *pgserver.Front) {
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			must(t, os.WriteFile(path, []byte(text), 0o600))
			return path
		}
		for name, value := range map[string]string{
			"PGHOST": "evil.example", "PGHOSTADDR": "127.0.0.1", "PGPORT": "1", "PGDATABASE": "evil", "PGUSER": "evil",
			"PGPASSWORD": "evil", "PGPASSFILE": file("pass", "*:*:*:*:evil"), "PGAPPNAME": "evil",
			"PGCONNECT_TIMEOUT": "1", "PGSSLMODE": "disable", "PGSSLKEY": file("key", "evil"),
			"PGSSLCERT": file("cert", "evil"), "PGSSLROOTCERT": file("root", "evil"), "PGSSLPASSWORD": "evil",
			"PGSSLCERTMODE": "require", "PGSSLSNI": "0", "PGSSLNEGOTIATION": "direct",
			"PGTARGETSESSIONATTRS": "standby",
			"PGTZ":                 "evil", "PGOPTIONS": "-c role=postgres", "PGMINPROTOCOLVERSION": "3.2",
			"PGMAXPROTOCOLVERSION": "3.2", "PGCHANNELBINDING": "require", "PGREQUIREAUTH": "none",
			"PGKRBSRVNAME": "evil", "PGGSSENCMODE": "require", "HOME": dir,
		} {
			t.Setenv(name, value)
		}
		must(t, os.WriteFile(filepath.Join(dir, ".pgpass"), []byte("*:*:*:*:evil"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, ".pg_service.conf"), []byte("[evil]\nhost=evil.example\n"), 0o600))
		target := two()
		must(t, target.Lock(t.Context(), "orders_b"))
		must(t, target.Prepare(t.Context(), "orders_b", operation, value("new")))
		must(t, target.Finish(t.Context()))
		target.Unlock()
		if !takes(front, "orders_b", "new") {
			t.Error("the password was not set")
		}
	})
}

// The server itself ends TLS, and binds the proof to the channel.
func TestServersOwnTLS(t *testing.T) {
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		front := s.ServeTLS(t, azure, host)
		token := azure.Issue(pgserver.Audience, "")
		s.Exec(t, `CREATE ROLE "gh-passwords" LOGIN SUPERUSER IN ROLE tokens PASSWORD '`+token+`'`)
		s.Exec(t, `CREATE ROLE orders_a LOGIN`)
		target := newTarget(postgres.Config{Logins: []string{"orders_a"}, Credential: fixed(token)})
		must(t, target.Lock(t.Context(), "orders_a"))
		must(t, target.Prepare(t.Context(), "orders_a", operation, value("new")))
		must(t, target.Finish(t.Context()))
		target.Unlock()
		if !takes(front, "orders_a", "new") {
			t.Error("the password was not set")
		}
	})
}

// Names are what they are, whatever is in them.
func TestOddNames(t *testing.T) {
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		front := s.Serve(t, azure, host, map[string]string{`o'dd "role`: emulator.DefaultClient})
		s.Exec(t, `CREATE ROLE "o'dd ""role" LOGIN SUPERUSER`)
		s.Exec(t, `ALTER ROLE "o'dd ""role" SET standard_conforming_strings TO off`)
		for _, name := range names {
			target := newTarget(postgres.Config{As: `o'dd "role`, Logins: []string{name}})
			_, err := target.Look(t.Context(), name)
			s.Exec(t, cutSQL(refused(t, err).Remedy))
			must(t, target.Lock(t.Context(), name))
			must(t, target.Prepare(t.Context(), name, operation, value("new")))
			must(t, target.Finish(t.Context()))
			target.Unlock()
			if !takes(front, name, "new") {
				t.Errorf("the password of %q was not set", name)
			}
		}
	})
}

// The function sets what it is meant for, and nothing else, in the hands of an identity that has no other right.
func TestFunction(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE; CREATE ROLE victim LOGIN PASSWORD 'untouched'`)
		administer(t, s, `COMMENT ON ROLE orders_b IS ' it''s b'`)
		administer(t, s, functionOf("orders_a", "orders_b"))
		must(t, lockPrepareFinish(t, two(), "orders_b", "new"))
		must(t, lockPrepareFinish(t, one(), "orders_a", "newer"))
		if !takes(front, "orders_b", "new") || !takes(front, "orders_a", "newer") {
			t.Error("the passwords were not set")
		}
		if got, want := comment(t, s, "orders_b"), " it's b [keyvault-passwords operation="+operation+"]"; got != want {
			t.Errorf("the comment is %q; want %q", got, want)
		}
		if strings.Contains(strings.Join(front.Statements(as), "\n"), "ALTER ROLE") {
			t.Error("the identity changed a role itself")
		}
		verifier := "SCRAM-SHA-256$4096:" + strings.Repeat("A", 22) + "==$" + strings.Repeat("A", 43) + "=:" +
			strings.Repeat("A", 43) + "="
		for _, sql := range []string{
			"SELECT rotate.set_verifier('victim', '" + verifier + "', 'ab')",
			"SELECT rotate.set_verifier('victim', NULL, NULL)",
			"SELECT rotate.set_verifier(NULL, '" + verifier + "', 'ab')",
			"SELECT rotate.set_verifier('orders_a', 'plaintext', 'ab')",
			"SELECT rotate.set_verifier('orders_a', '" + verifier + "', 'x''y')",
			"SELECT rotate.set_verifier('orders_a', '" + verifier + "', NULL)",
			"SELECT rotate.set_verifier('orders_a', '" + verifier + "\n', 'ab')",
			"INSERT INTO rotate.logins VALUES ('victim')", "SET ROLE rotate_owner", "CREATE TABLE rotate.t ()",
			"ALTER ROLE orders_a PASSWORD '" + verifier + "'",
		} {
			if _, err := s.ExecAs(as, sql); err == nil {
				t.Errorf("the identity may do %s", sql)
			}
		}
		s.Exec(t, "GRANT USAGE ON SCHEMA rotate TO PUBLIC")
		if _, err := s.ExecAs("orders_a", "SELECT rotate.set_verifier('orders_a', NULL, NULL)"); err == nil {
			t.Error("a login may call the function")
		}
		if !takes(front, "victim", "untouched") || !takes(front, "orders_a", "newer") {
			t.Error("a password was changed")
		}
	})
}

// A login that is missing where the function sets passwords is made for the function, and for nobody else to set.
func TestMissingLoginOfTheFunction(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE`)
		administer(t, s, functionOf("orders_a"))
		administer(t, s, `DROP ROLE orders_b`)
		_, err := two().Look(t.Context(), "orders_a")
		sql := cutSQL(refused(t, err).Remedy)
		if strings.Contains(sql, as) {
			t.Errorf("the identity is given a right: %s", sql)
		}
		administer(t, s, sql)
		must(t, lockPrepareFinish(t, two(), "orders_b", "new"))
		if !takes(front, "orders_b", "new") {
			t.Error("the password was not set")
		}
	})
}

// A login that was dropped and made again is on the function's list, but not its owner's to change.
func TestLoginMadeAgain(t *testing.T) {
	each(t, func(t *testing.T, s *pgserver.Server, front *pgserver.Front) {
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE`)
		administer(t, s, functionOf("orders_a", "orders_b"))
		administer(t, s, `DROP ROLE orders_b; CREATE ROLE orders_b LOGIN; GRANT orders_owner TO orders_b;
ALTER ROLE orders_b SET role TO orders_owner`)
		err := lockPrepareFinish(t, two(), "orders_b", "new")
		if s.Version != "15" {
			administer(t, s, cutSQL(refused(t, err).Remedy))
			err = lockPrepareFinish(t, two(), "orders_b", "new")
		}
		must(t, err)
		if !takes(front, "orders_b", "new") {
			t.Error("the password was not set")
		}
	})
}

func lockPrepareFinish(t testing.TB, target *postgres.Target, login, password string) error {
	t.Helper()
	defer target.Unlock()
	if err := target.Lock(t.Context(), login); err != nil {
		return err
	}
	if err := target.Prepare(t.Context(), login, operation, value(password)); err != nil {
		return err
	}
	return target.Finish(t.Context())
}

// BenchmarkTwoLogins is what a secret with two logins costs more than one without: Look as the plan does it, then all
// that is done at the server. On a machine that does other work too, the fastest is what it costs.
func BenchmarkTwoLogins(b *testing.B) {
	for _, version := range pgserver.Versions {
		b.Run("PostgreSQL "+version, func(b *testing.B) {
			setUp(b, pgserver.Get(b, version))
			fastest := time.Hour
			for b.Loop() {
				began := time.Now()
				target := two()
				if _, err := target.Look(b.Context(), "orders_b"); err != nil {
					b.Fatal(err)
				}
				must(b, lockPrepareFinish(b, target, "orders_b", "new"))
				fastest = min(fastest, time.Since(began))
			}
			b.ReportMetric(float64(fastest.Microseconds())/1000, "ms-fastest")
		})
	}
}

// BenchmarkVerifier is what a verifier costs.
func BenchmarkVerifier(b *testing.B) {
	for b.Loop() {
		postgres.NewVerifier("password")
	}
}
