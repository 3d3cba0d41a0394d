// Package targets runs the real program where a vault and a real PostgreSQL server change together: killed and cut off
// at every step, several at once, stopped, throttled, and looked through for what must not leak. What a server in
// memory shows of the same is in package provision; what the server alone does is in package postgres.
//
// Where a version of PostgreSQL is not installed, its tests are skipped and say so: see package pgserver.
package targets

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
	"keyvault-passwords/internal/test/pgserver"
)

const (
	vault    = "kv-app"
	host     = "pg-prod.postgres.database.azure.com"
	identity = "gh-passwords"
)

var (
	program string
	azure   *emulator.Emulator
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if program, err = job.Build(dir); err != nil {
		panic(err)
	}
	azure, err = emulator.Start(emulator.Options{Dir: dir, Vaults: []string{vault}})
	if err != nil {
		panic(err)
	}
	defer azure.Close()
	defer pgserver.Stop()
	return m.Run()
}

// An order is one of the three in which a vault and a target change.
type order string

const (
	twoLogins   order = "two logins"
	oneLogin    order = "one login"
	azureServer order = "an Azure server"
)

// A world is one secret in the vault, whose password the target takes.
type world struct {
	order
	t      testing.TB
	server *pgserver.Server // nil: the target is an Azure server
	front  *pgserver.Front
	job    *job.Job
	name   string // of the secret
	old    string // the value that the vault held at first
	id     string // of the Azure server
}

// past is the operation that the old value is of.
const past = "0123456789abcdef0123456789abcdef"

var worlds int

// newWorld returns a world in which a rotation is due.
func newWorld(t testing.TB, s *pgserver.Server, o order) *world {
	t.Helper()
	w := &world{order: o, t: t, server: s}
	s.Exec(t, `CREATE ROLE azure_admin LOGIN CREATEROLE`)
	w.administer(`CREATE ROLE "gh-passwords" LOGIN CREATEROLE;
CREATE ROLE orders_owner NOLOGIN;
CREATE ROLE orders_a LOGIN; CREATE ROLE orders_b LOGIN;
GRANT orders_owner TO orders_a, orders_b;
ALTER ROLE orders_a SET role TO orders_owner; ALTER ROLE orders_b SET role TO orders_owner`)
	if s.Version != "15" {
		w.administer(`GRANT orders_a, orders_b TO "gh-passwords" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`)
	}
	w.front = s.Serve(t, azure, host, map[string]string{identity: emulator.DefaultClient})
	w.job = job.New(azure, t.TempDir())
	w.job.Input("vault="+vault, "mode=rotate")
	w.renew()
	return w
}

// close makes place for another world on the same server.
func (w *world) close() {
	w.front.Close()
	w.server.Exec(w.t, `DROP OWNED BY azure_admin, orders_a, orders_b, orders_owner, "gh-passwords" CASCADE`)
	w.server.Exec(w.t, `DROP ROLE orders_a, orders_b, orders_owner, "gh-passwords", azure_admin`)
}

func (w *world) administer(sql string) {
	w.t.Helper()
	if _, err := w.server.ExecAs("azure_admin", sql); err != nil {
		w.t.Fatalf("%v, of the SQL:\n%s", err, sql)
	}
}

// newAzureWorld returns a world whose target is the administrator of an Azure server.
func newAzureWorld(t testing.TB) *world {
	t.Helper()
	w := &world{order: azureServer, t: t, job: job.New(azure, t.TempDir())}
	azure.Grant(emulator.DefaultClient, vault, emulator.Update)
	w.job.Input("vault="+vault, "mode=rotate")
	w.renew()
	return w
}

// renew makes another secret that is due, and brings the target to what it holds.
func (w *world) renew() {
	w.t.Helper()
	worlds++
	w.name, w.old = fmt.Sprint("orders-", worlds), fmt.Sprintf("old-password-%d", worlds)
	tags := map[string]string{"generated-by": "keyvault-passwords", "policy": "x@1", "operation": past}
	if w.order == azureServer {
		tags["applied"] = past
		w.id = azure.AddServer(emulator.ServerOptions{
			Name: fmt.Sprint("sql-", worlds), Password: w.old, Takes: 50 * time.Millisecond,
		})
		w.declare(fmt.Sprintf("{login: sqladmin, policy: azure-sql, rotate: {after: 30d}, apply: {azure: %s}}", w.id),
			tags)
		return
	}
	w.administer(fmt.Sprintf(`ALTER ROLE orders_a PASSWORD '%s'; ALTER ROLE orders_b PASSWORD 'older-password-%d';
COMMENT ON ROLE orders_a IS 'the orders'' service [keyvault-passwords operation=%s]';
COMMENT ON ROLE orders_b IS NULL`, w.old, worlds, past))
	login := "orders_a"
	if w.order == twoLogins {
		login, w.old, tags["login"] = "[orders_a, orders_b], value: "+
			"\"${login}:${password}\"", "orders_a:"+w.old, "orders_a"
	}
	w.declare(fmt.Sprintf("{login: %s, rotate: {after: 30d}, apply: {postgresql: %s, as: %s}}", login, host, identity),
		tags)
}

// declare declares the secret, and plants its first version.
func (w *world) declare(secret string, tags map[string]string) {
	w.t.Helper()
	_, err := azure.Put(vault, w.name, emulator.Plant{
		Value: w.old, Created: time.Now().Add(-40 * 24 * time.Hour), Tags: tags,
	})
	if err == nil {
		err = w.job.Declare("secrets:\n  " + w.name + ": " + secret + "\n")
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// latest returns the value that a reader gets who asks now.
func (w *world) latest() string {
	w.t.Helper()
	for _, h := range azure.Holds() {
		if h.Name != w.name || !h.Current {
			continue
		}
		for _, value := range azure.Values() {
			if emulator.Digest(value) == h.Digest {
				return value
			}
		}
	}
	w.t.Fatalf("the vault holds no %s", w.name)
	return ""
}

// versions returns how many there are of the secret.
func (w *world) versions() (n int) {
	for _, h := range azure.Holds() {
		if h.Name == w.name {
			n++
		}
	}
	return n
}

// settle waits until the server is done with what a run that has ended sent it.
func (w *world) settle() {
	w.t.Helper()
	for w.server.Query(w.t, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'gh-passwords'")[0] != "0" {
		time.Sleep(10 * time.Millisecond)
	}
}

// opens reports whether a reader with a value can log in.
func (w *world) opens(value string) bool {
	login, password := "orders_a", value
	switch w.order {
	case azureServer:
		time.Sleep(60 * time.Millisecond) // a change that was accepted takes that long
		return azure.LogsIn(w.id, "sqladmin", value)
	case twoLogins:
		login, password, _ = strings.Cut(value, ":")
	}
	return w.front.LogIn(login, password) == nil
}

// action is one run of the program, of which during is told.
func (w *world) action(during func(context.Context, *os.Process)) *job.Result {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	r, err := w.job.Exec(w.job.Command(ctx, program), during)
	if err != nil {
		w.t.Fatal(err)
	}
	if ctx.Err() != nil {
		w.t.Fatalf("the program was still running after a minute:\n%s", r.Log)
	}
	return r
}
