package targets

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/test/job"
	"keyvault-passwords/internal/test/pgserver"
)

// A trace is the steps of a run: what it sends to the server and to the vault, before it is done and after.
type trace struct {
	mu    sync.Mutex
	steps []string
	at    int         // the step at which something happens; negative: at none
	event func() bool // what happens there, and whether the connection goes on
}

// watch follows a run, and makes an event of one of its steps.
func (w *world) watch(at int, event func() bool) *trace {
	tr := &trace{at: at, event: event}
	if w.front != nil {
		w.front.Watch(func(e pgserver.Event) bool {
			if e.User == identity || strings.HasPrefix(e.User, "orders_") {
				return tr.step(label(e))
			}
			return true
		})
	}
	azure.Watch(func(operation string, done bool) bool {
		if operations[operation] == "" {
			return true
		}
		return tr.step(map[bool]string{false: "before ", true: "after  "}[done] + operations[operation])
	})
	return tr
}

// operations are the requests that are steps, as people call them.
var operations = map[string]string{
	"versions": "the vault's versions", "set": "the vault's set", "update": "the vault's tag applied",
	"get-server": "the server's state", "update-server": "the server's PATCH", "operation": "the PATCH's end",
}

func (w *world) unwatch() {
	if w.front != nil {
		w.front.Watch(nil)
	}
	azure.Watch(nil)
}

func (tr *trace) step(label string) bool {
	tr.mu.Lock()
	i := len(tr.steps)
	tr.steps = append(tr.steps, label)
	tr.mu.Unlock()
	return i != tr.at || tr.event()
}

// label names a step so that it is the same in every run.
func label(e pgserver.Event) string {
	sql := strings.Join(strings.Fields(e.SQL), " ")
	for _, known := range []string{"ALTER ROLE", "COMMENT ON ROLE", "COMMIT", "ROLLBACK", "SELECT 1", "BEGIN"} {
		if strings.HasPrefix(sql, known) {
			sql = known
		}
	}
	switch {
	case strings.Contains(sql, "pg_advisory_lock"):
		sql = "pg_advisory_lock"
	case strings.HasPrefix(sql, "SELECT ") && sql != "SELECT 1", strings.HasPrefix(sql, "WITH"):
		sql = "a look"
	}
	who := "login"
	if e.User == identity {
		who = "identity"
	}
	switch e.Point {
	case pgserver.Startup:
		return "before " + who + ": connect"
	case pgserver.Query:
		return "before " + who + ": " + sql
	}
	return "after  " + who + ": " + sql
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestCrashes kills the program, and cuts its connections, at every step of a rotation: each statement and each request
// to the vault that concerns the secret, before it is done and after. Then a reader with the old value and one who asks
// now log in, and the next run puts right what is left. testdata/crashes.txt has the tables, which are the same for
// each version of the server.
func TestCrashes(t *testing.T) {
	tables := map[string]string{}
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		var text strings.Builder
		for _, o := range []order{twoLogins, oneLogin} {
			w := newWorld(t, s, o)
			fmt.Fprintf(&text, "%s\n\n%s\n", o, w.crashes())
			w.close()
		}
		tables[t.Name()] = text.String()
		t.Logf("PostgreSQL %s\n%s", s.Version, text.String())
	})
	for _, got := range tables {
		golden(t, "crashes.txt", got)
	}
}

// TestCrashesOfAnAzureServer is the same with the administrator of an Azure server.
func TestCrashesOfAnAzureServer(t *testing.T) {
	w := newAzureWorld(t)
	text := fmt.Sprintf("%s\n\n%s", w.order, w.crashes())
	t.Log("\n" + text)
	golden(t, "crashes-azure.txt", text)
}

// golden compares got with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got; go test -update writes it anew\n%s", path, diff)
	}
}

// crashes returns the table of an order.
func (w *world) crashes() string {
	tr := w.watch(-1, nil)
	if r := w.action(nil); r.Status != 0 {
		w.t.Fatalf("a run without trouble ends with status %d:\n%s", r.Status, r.Log)
	}
	w.unwatch()
	var text strings.Builder
	fmt.Fprintf(&text, "%-40s | %-26s | %s\n", "at this step", "the program is killed", "its connection is cut")
	fmt.Fprintf(&text, "%-40s | %-3s %-6s %-15s | %-3s %-6s %-24s %s\n", "", "old", "latest", "then", "old", "latest",
		"the run says", "then")
	for at, step := range tr.steps {
		fmt.Fprintf(&text, "%-40s | %s | %s\n", step, w.killed(at), w.cut(at))
	}
	return text.String()
}

// killed ends a run with SIGKILL at a step.
func (w *world) killed(at int) string {
	w.renew()
	killed := make(chan *os.Process, 1)
	w.watch(at, func() bool {
		process := <-killed
		_ = process.Kill() // it waits for this step, and so has not ended
		return false
	})
	r := w.action(func(_ context.Context, process *os.Process) { killed <- process })
	w.unwatch()
	if r.Status != -1 {
		w.t.Errorf("step %d: the program was to be killed, and ended with status %d:\n%s", at, r.Status, r.Log)
	}
	old, latest := w.readers(at, "killed")
	return fmt.Sprintf("%-3s %-6s %-15s", old, latest, w.next(at, r))
}

// cut ends the connection at a step, once. The program goes on.
func (w *world) cut(at int) string {
	w.renew()
	w.watch(at, func() bool { return false })
	r := w.action(nil)
	w.unwatch()
	old, latest := w.readers(at, "cut off")
	said := "refused"
	if _, targets, ok := strings.Cut(r.Log, "; targets: 1 "); ok {
		said = regexp.MustCompile("^(applied|vault ahead|target untouched)").FindString(targets)
	}
	if r.Status == 0 && latest != "yes" || (r.Status == 0) != (said == "applied") {
		w.t.Errorf("step %d: exit status %d, %s, and the latest value opens: %s\n%s", at, r.Status, said, latest, r.Log)
	}
	return fmt.Sprintf("%-3s %-6s %-24s %s", old, latest, fmt.Sprintf("%s, exit %d", said, r.Status), w.next(at, r))
}

// readers logs in with the old value, and with the one that the vault holds now. With two logins both always can.
func (w *world) readers(at int, how string) (old, latest string) {
	old, latest = "NO", "NO"
	if w.opens(w.old) {
		old = "yes"
	}
	if w.opens(w.latest()) {
		latest = "yes"
	}
	if w.order == twoLogins && (old != "yes" || latest != "yes") {
		w.t.Errorf("step %d, %s: a reader is locked out: old %s, latest %s", at, how, old, latest)
	}
	return old, latest
}

// next is the next run, after which everything agrees. It returns what it did.
func (w *world) next(at int, before *job.Result) string {
	w.t.Helper()
	n := w.versions()
	r := w.action(nil)
	if r.Status != 0 || !w.opens(w.latest()) {
		w.t.Errorf("step %d: the next run ends with status %d, and what the vault holds then opens: %t\n%s\n%s", at,
			r.Status,
			w.opens(w.latest()), before.Log, r.Log)
	}
	if comment := w.comment("orders_a"); w.server != nil && !strings.HasPrefix(comment, "the orders' service") {
		w.t.Errorf("step %d: the comment of the role is lost: %q", at, comment)
	}
	if found, err := w.job.Leaks(before, r); err != nil || found != nil {
		w.t.Errorf("step %d: leaks: %v, %v", at, found, err)
	}
	made := w.versions() - n
	switch {
	case made == 0:
		return "kept"
	case strings.Contains(r.Log, "does not hold this version"):
		return "put right"
	case made == 1:
		return "rotated"
	}
	w.t.Errorf("step %d: the next run makes %d versions", at, made)
	return ""
}

// comment returns the comment of a role.
func (w *world) comment(role string) string {
	w.t.Helper()
	if w.server == nil {
		return ""
	}
	return strings.Join(w.server.Query(w.t,
		"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '"+
			role+"'"), "")
}
