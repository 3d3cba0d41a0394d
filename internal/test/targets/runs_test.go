package targets

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
	"keyvault-passwords/internal/test/pgserver"
)

// each runs a test on each version of the server and in each order.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		for _, o := range []order{twoLogins, oneLogin} {
			t.Run(string(o), func(t *testing.T) {
				w := newWorld(t, s, o)
				defer w.close()
				f(t, w)
			})
		}
	})
}

// Four runs at once make one version, twenty times over. All of them end well, and both readers log in.
func TestFourRunsAtOnce(t *testing.T) {
	const runs, rounds = 4, 20
	each(t, func(t *testing.T, w *world) {
		jobs := make([]*job.Job, runs)
		for i := range jobs {
			jobs[i] = job.New(azure, t.TempDir())
		}
		for round := range rounds {
			w.renew()
			var all sync.WaitGroup
			results := make([]*job.Result, runs)
			for i, j := range jobs {
				j.Input("vault="+vault, "mode=rotate", "file=passwords.yml")
				text, err := os.ReadFile(w.job.Env["GITHUB_WORKSPACE"] + "/passwords.yml")
				if err == nil {
					err = j.Declare(string(text))
				}
				if err != nil {
					t.Fatal(err)
				}
				all.Go(func() { results[i], _ = j.Exec(j.Command(context.Background(), program), nil) })
			}
			all.Wait()
			for i, r := range results {
				if r.Status != 0 {
					t.Errorf("round %d: run %d ends with status %d:\n%s", round, i, r.Status, r.Log)
				}
			}
			if n := w.versions(); n != 2 || !w.opens(w.latest()) || w.order == twoLogins && !w.opens(w.old) {
				t.Errorf("round %d: %d versions; what the vault holds opens: %t; the old value: %t", round, n-1,
					w.opens(w.latest()), w.opens(w.old))
			}
		}
	})
}

// No password stands anywhere but in the vault: not in what the server was sent, has logged or counts, and not in what
// the action says. The server logs every statement.
func TestNoPasswordLeaks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.job.Set("RUNNER_DEBUG=1")
		var results []*job.Result
		for range 3 {
			results = append(results, w.action(nil))
			w.job.Input("mode=force")
		}
		w.job.Input("mode=rotate")
		secrets := azure.Tokens()
		for _, value := range azure.Values() {
			_, password, _ := strings.Cut(":"+value, ":")
			if _, after, ok := strings.Cut(value, ":"); ok {
				password = after
			}
			if !strings.HasPrefix(password, "old") { // the past was set in clear
				secrets = append(secrets, password)
			}
		}
		texts := map[string]string{
			"the server's log": w.server.Log(t), "the server's statistics": w.server.Statements(t),
			"the wire": w.front.Wire(),
		}
		for i, r := range results {
			if r.Status != 0 {
				t.Fatalf("run %d ends with status %d:\n%s", i, r.Status, r.Log)
			}
			texts[fmt.Sprint("the log of run ", i)] = r.Log + r.Stderr
			for name, text := range r.Files {
				texts[fmt.Sprint(name, " of run ", i)] = text
			}
		}
		tokens := map[string]bool{}
		for _, token := range w.front.Tokens() {
			tokens[token] = true // as the password of the identity's role, within TLS
		}
		var sought []string
		for _, secret := range secrets {
			if !tokens[secret] {
				sought = append(sought, secret)
			}
		}
		if found := job.FindLeaks(sought, texts); found != nil || len(sought) < 6 {
			t.Errorf("of %d secrets: %v", len(sought), found)
		}
		if !strings.Contains(texts["the server's log"], "SCRAM-SHA-256$4096:") {
			t.Error("the server has logged no verifier: the test looks at the wrong log")
		}
	})
}

// Where the vault refuses after the server was changed, the login in use is as it was.
func TestVaultRefusesAfterTheServer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		azure.Fault(emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 403, Code: "Forbidden",
			Inner: "ForbiddenByRbac", Times: -1})
		r := w.action(nil)
		azure.ClearFaults()
		if r.Status != 1 || !strings.Contains(r.Log, "target untouched") || w.versions() != 1 {
			t.Errorf("status %d, %d versions:\n%s", r.Status, w.versions(), r.Log)
		}
		if !w.opens(w.old) {
			t.Error("the value that the vault holds does not open")
		}
		if r := w.action(nil); r.Status != 0 || !w.opens(w.latest()) {
			t.Errorf("the next run ends with status %d:\n%s", r.Status, r.Log)
		}
	})
}

// Where the server does not take the password that it was given, the run says so, and the next one does not take it for
// set.
func TestProofFails(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.front.Watch(func(e pgserver.Event) bool {
			if e.Point == pgserver.Startup && e.User != identity {
				w.server.Exec(t, "ALTER ROLE "+e.User+" PASSWORD 'of somebody else'")
			}
			return true
		})
		r := w.action(nil)
		w.front.Watch(nil)
		said := "vault ahead"
		if w.order == twoLogins {
			said = "target untouched"
		}
		if r.Status != 1 || !strings.Contains(r.Log, "targets: 1 "+said) {
			t.Errorf("status %d:\n%s", r.Status, r.Log)
		}
		if r := w.action(nil); r.Status != 0 || !w.opens(w.latest()) {
			t.Errorf("the next run ends with status %d, and what the vault holds opens: %t\n%s", r.Status,
				w.opens(w.latest()), r.Log)
		}
	})
}

// A dry run connects and checks, and changes nothing: neither at the server nor in the vault.
func TestDryRun(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.job.Input("dry-run=true")
		r := w.action(nil)
		for _, statement := range w.front.Statements(identity) {
			for _, word := range []string{"ALTER", "COMMENT", "BEGIN", "lock"} {
				if strings.Contains(statement, word) {
					t.Errorf("a dry run sends %q", statement)
				}
			}
		}
		if r.Status != 0 || w.versions() != 1 || !strings.Contains(r.Log, " at pg-prod") {
			t.Errorf("status %d, %d versions:\n%s", r.Status, w.versions(), r.Log)
		}
		w.administer(`ALTER ROLE orders_a VALID UNTIL '2020-01-01'`)
		if r := w.action(nil); r.Status != 1 || !strings.Contains(r.Log, "VALID UNTIL") {
			t.Errorf("a login that has expired: status %d:\n%s", r.Status, r.Log)
		}
	})
}

// What a set-up lacks is refused before anything is drawn, with the SQL that cures it, which then does.
func TestTheRefusalHasTheSQL(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if w.server.Version == "15" {
			w.administer(`ALTER ROLE "gh-passwords" NOCREATEROLE`)
		} else {
			w.administer(`REVOKE orders_a, orders_b FROM "gh-passwords"`)
		}
		r := w.action(nil)
		if r.Status != 1 || w.versions() != 1 || !strings.Contains(r.Log, "gh-passwords") {
			t.Fatalf("status %d, %d versions:\n%s", r.Status, w.versions(), r.Log)
		}
		if w.server.Version == "15" { // its SQL is run in package postgres
			if !strings.Contains(r.Log, "CREATE FUNCTION rotate.set_verifier") {
				t.Errorf("the refusal has no SQL:\n%s", r.Log)
			}
			return
		}
		grant := regexp.MustCompile(`GRANT [^;%]+ TO "gh-passwords" WITH ADMIN[^;%]+;`).FindString(r.Log)
		if grant == "" {
			t.Fatalf("the refusal has no SQL:\n%s", r.Log)
		}
		w.administer(grant)
		if r := w.action(nil); r.Status != 0 || !w.opens(w.latest()) {
			t.Errorf("with %s, status %d:\n%s", grant, r.Status, r.Log)
		}
	})
}

// The job's PG variables change nothing.
func TestVariablesOfTheJob(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.job.Set("PGSERVICE=nowhere", "PGHOST=elsewhere.example.com", "PGPORT=1", "PGUSER=root", "PGDATABASE=x",
			"PGSSLMODE=disable", "PGSSLROOTCERT=/none", "PGPASSFILE=/none", "PGOPTIONS=-c "+
				"x.y=z", "PGTARGETSESSIONATTRS=standby")
		if r := w.action(nil); r.Status != 0 || !w.opens(w.latest()) {
			t.Errorf("status %d:\n%s", r.Status, r.Log)
		}
	})
}

// A stop at any step leaves a run that is over before the runner kills it, and says what holds. The step takes its
// time: it is done a second after the stop.
func TestStopAtEveryStep(t *testing.T) {
	s := pgserver.Get(t, pgserver.Versions[0])
	for _, o := range []order{twoLogins, oneLogin} {
		w := newWorld(t, s, o)
		tr := w.watch(-1, nil)
		w.action(nil)
		w.unwatch()
		for at, step := range tr.steps {
			if strings.HasPrefix(step, "after") {
				continue
			}
			w.renew()
			running := make(chan *os.Process, 1)
			var stopped time.Time
			w.watch(at, func() bool {
				stopped = time.Now()
				_ = (<-running).Signal(syscall.SIGTERM)
				time.Sleep(time.Second)
				return true
			})
			r := w.action(func(_ context.Context, process *os.Process) { running <- process })
			took := time.Since(stopped)
			w.settle()
			w.unwatch()
			old, latest := w.opens(w.old), w.opens(w.latest())
			if w.order == twoLogins && !old || !latest && !strings.Contains(r.Log, "vault ahead") {
				t.Errorf("stopped %s: a reader is locked out: old %t, latest %t\n%s", step, old, latest, r.Log)
			}
			if r.Status != 1 || took > 10*time.Second { // the runner's own limit; the action's is 7 s
				t.Errorf("stopped %s: status %d after %s\n%s", step, r.Status, took, r.Log)
			}
			t.Logf("%s: stopped %-35s over after %.1f s, old %t, latest %t", o, step, took.Seconds(), old, latest)
		}
		w.close()
	}
}
