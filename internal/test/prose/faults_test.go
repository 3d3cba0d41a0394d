package prose_test

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// A fault is a row of SECURITY.md's table, in its words: what goes wrong at a service, or with the log.
type fault struct {
	text  string
	fault emulator.Fault
	log   func(r *reader, always bool) // what becomes of the log's reader; nil: it reads
	// atServer is of a secret whose password a database server takes; only where it is set does the run have one.
	atServer bool
}

// faults are the rows.
func faults() []fault {
	rows := slices.Clone(servicesFail)
	for _, phase := range []struct {
		text  string
		phase emulator.Phase
	}{{"before the vault stores it", emulator.Before}, {"after the vault stored it", emulator.After}} {
		for _, status := range []int{101, 200, 201, 204, 206, 302, 307, 401, 403, 404, 409, 429, 451, 502} {
			rows = append(rows, fault{
				text: fmt.Sprintf("set: %d from something in between, %s", status, phase.text),
				fault: emulator.Fault{
					Operation: "set",
					Kind:      emulator.Between,
					Status:    status,
					Phase:     phase.phase,
				},
			})
		}
	}
	return slices.Concat(rows, serversFail, logsFail)
}

// serversFail are the faults of Resource Manager.
var serversFail = []fault{
	atServer("server, looked at: 503", emulator.Fault{Operation: "get-server", Kind: emulator.Status, Status: 503}),
	atServer("server, looked at: 403", emulator.Fault{
		Operation: "get-server", Kind: emulator.Status, Status: 403, Code: "AuthorizationFailed",
	}),
	atServer("server, looked at: 200 with a page of something in between", emulator.Fault{
		Operation: "get-server", Kind: emulator.Between, Status: 200,
	}),
	atServer("server, set: connection cut before it is accepted",
		emulator.Fault{Operation: "update-server", Kind: emulator.Cut}),
	atServer("server, set: connection cut after it was accepted", emulator.Fault{
		Operation: "update-server", Kind: emulator.Cut, Phase: emulator.After,
	}),
	atServer("server, set: 429", emulator.Fault{Operation: "update-server", Kind: emulator.Status, Status: 429}),
	atServer("server, set: another change is under way (409)", emulator.Fault{
		Operation: "update-server", Kind: emulator.Status, Status: 409, Code: "ConflictingServerOperation",
	}),
	atServer("server, set: 403", emulator.Fault{
		Operation: "update-server", Kind: emulator.Status, Status: 403, Code: "AuthorizationFailed",
	}),
	atServer("server, set: the password is refused (400)", emulator.Fault{
		Operation: "update-server", Kind: emulator.Status, Status: 400, Code: "PasswordNotComplex",
	}),
	atServer("server, set: a token refused that is still valid",
		emulator.Fault{Operation: "update-server", Kind: emulator.StaleToken}),
	atServer("server, set: redirected to another host",
		emulator.Fault{Operation: "update-server", Kind: emulator.Redirect}),
	atServer("server, set: accepted, and to be followed on another host",
		emulator.Fault{Operation: "update-server", Kind: emulator.ForeignLink}),
	atServer("server, set: accepted, and fails", emulator.Fault{
		Operation: "update-server", Kind: emulator.Failed, Code: "InternalServerError",
	}),
	atServer("server, set: an answer that holds workflow commands",
		emulator.Fault{Operation: "update-server", Kind: emulator.Injection}),
	atServer("server, followed: 500", emulator.Fault{Operation: "operation", Kind: emulator.Status, Status: 500}),
	atServer("server, followed: 200 with {}", emulator.Fault{Operation: "operation", Kind: emulator.Empty}),
	atServer("server, followed: 403", emulator.Fault{
		Operation: "operation", Kind: emulator.Status, Status: 403, Code: "AuthorizationFailed",
	}),
	atServer("proxy: 407 to CONNECT to Resource Manager", emulator.Fault{
		Operation: "connect", Kind: emulator.Status, Vault: "management", Status: 407,
	}),
}

func atServer(text string, f emulator.Fault) fault {
	return fault{text: text, fault: f, atServer: true}
}

// servicesFail are the faults of the services, and those on the way to them.
var servicesFail = []fault{
	{text: "GitHub's token service: 503", fault: emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 503}},
	{text: "GitHub's token service: connection cut", fault: emulator.Fault{Operation: "oidc", Kind: emulator.Cut}},
	{text: "GitHub's token service: an answer without a token",
		fault: emulator.Fault{Operation: "oidc", Kind: emulator.EmptyValue}},
	{text: "Entra: right credentials refused (AADSTS700213)", fault: emulator.Fault{
		Operation: "token",
		Kind:      emulator.Status,
		Code:      "AADSTS700213",
	}},
	{text: "Entra: 503", fault: emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 503}},
	{text: "Entra: an answer without a token", fault: emulator.Fault{Operation: "token", Kind: emulator.Empty}},
	{text: "Entra: an answer that holds workflow commands",
		fault: emulator.Fault{Operation: "token", Kind: emulator.Injection}},
	{text: "GitHub's token service: 302 from something in between", fault: emulator.Fault{
		Operation: "oidc",
		Kind:      emulator.Between,
		Status:    302,
	}},
	{text: "Entra: 403 from something in between", fault: emulator.Fault{Operation: "token", Kind: emulator.Between}},
	{text: "proxy: 503 to every CONNECT", fault: emulator.Fault{Operation: "connect", Kind: emulator.Status}},
	{text: "proxy: 503 to CONNECT to the vault", fault: emulator.Fault{
		Operation: "connect",
		Kind:      emulator.Status,
		Vault:     emulator.DefaultVault,
	}},
	{text: "proxy: 407 to CONNECT to the vault", fault: emulator.Fault{
		Operation: "connect",
		Kind:      emulator.Status,
		Vault:     emulator.DefaultVault,
		Status:    407,
	}},
	{text: "proxy: connection cut at CONNECT to the vault", fault: emulator.Fault{
		Operation: "connect",
		Kind:      emulator.Cut,
		Vault:     emulator.DefaultVault,
	}},
	{text: "name service: the vault's name does not resolve for the moment", fault: emulator.Fault{
		Operation: "connect",
		Kind:      emulator.NoName,
		Vault:     emulator.DefaultVault,
	}},
	{text: "name service: the vault's name does not exist", fault: emulator.Fault{
		Operation: "connect",
		Kind:      emulator.NoHost,
		Vault:     emulator.DefaultVault,
	}},
	{text: "vault: a malformed challenge", fault: emulator.Fault{Operation: "challenge", Kind: emulator.BadChallenge}},
	{text: "vault: a token refused that is still valid",
		fault: emulator.Fault{Operation: "versions", Kind: emulator.StaleToken}},
	{text: "list of versions: connection cut", fault: emulator.Fault{Operation: "versions", Kind: emulator.Cut}},
	{text: "list of versions: 500", fault: emulator.Fault{Operation: "versions", Kind: emulator.Status, Status: 500}},
	{text: "list of versions: 403", fault: emulator.Fault{
		Operation: "versions",
		Kind:      emulator.Status,
		Status:    403,
		Code:      "Forbidden",
		Inner:     "ForbiddenByRbac",
	}},
	{text: "list of versions: 200 with a page of something in between", fault: emulator.Fault{
		Operation: "versions",
		Kind:      emulator.Between,
		Status:    200,
	}},
	{text: "list of versions: 404 from something in between", fault: emulator.Fault{
		Operation: "versions",
		Kind:      emulator.Between,
		Status:    404,
	}},
	{text: "list of versions: cut in the middle",
		fault: emulator.Fault{Operation: "versions", Kind: emulator.Truncated}},
	{text: "list of versions: leads to another host",
		fault: emulator.Fault{Operation: "versions", Kind: emulator.ForeignLink}},
	{text: "list of versions: never ends", fault: emulator.Fault{Operation: "versions", Kind: emulator.Endless}},
	{text: "list of versions: 16 MiB", fault: emulator.Fault{Operation: "versions", Kind: emulator.BigBody}},
	{text: "set: connection cut before the vault stores it",
		fault: emulator.Fault{Operation: "set", Kind: emulator.Cut}},
	{text: "set: connection cut after the vault stored it", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Cut,
		Phase:     emulator.After,
	}},
	{text: "set: 503 before the vault stores it",
		fault: emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 503}},
	{text: "set: 503 after the vault stored it", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    503,
		Phase:     emulator.After,
	}},
	{text: "set: 408 after the vault stored it", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    408,
		Phase:     emulator.After,
	}},
	{text: "set: answer cut in the middle", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Truncated,
		Phase:     emulator.After,
	}},
	{text: "set: 200 without a body",
		fault: emulator.Fault{Operation: "set", Kind: emulator.NoBody, Phase: emulator.After}},
	{text: "set: answer 20 s late", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Slow,
		Delay:     20 * time.Second,
		Phase:     emulator.After,
	}},
	{text: "set: 503, and stored only 4 s later", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Late,
		Delay:     4 * time.Second,
	}},
	{text: "set: 429", fault: emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 429, Code: "Throttled"}},
	{text: "set: 429 after the vault stored it", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    429,
		Code:      "Throttled",
		Phase:     emulator.After,
	}},
	{text: "set: 401 after the vault stored it", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    401,
		Phase:     emulator.After,
	}},
	{text: "set: 403 after the vault stored it", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    403,
		Code:      "Forbidden",
		Phase:     emulator.After,
	}},
	{text: "set: 403", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    403,
		Code:      "Forbidden",
		Inner:     "ForbiddenByRbac",
	}},
	{text: "set: 403 from one of two front ends", fault: emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Inner:     "ForbiddenByRbac",
		Every:     2,
	}},
	{text: "set: the vault is read-only", fault: emulator.Fault{Operation: "set", Kind: emulator.ReadOnly}},
	{text: "set: redirected to another host", fault: emulator.Fault{Operation: "set", Kind: emulator.Redirect}},
	{text: "set: an answer that holds workflow commands",
		fault: emulator.Fault{Operation: "set", Kind: emulator.Injection}},
	{text: "set: headers of 16 MiB",
		fault: emulator.Fault{Operation: "set", Kind: emulator.BigHeaders, Phase: emulator.After}},
}

// logsFail are the faults of the log. Once: at one line, or for a minute.
var logsFail = []fault{
	{text: "log: cannot be written", log: func(r *reader, always bool) { r.refuses, r.once = true, !always }},
	{text: "log: cannot be written any more once the plan is told", log: func(r *reader, always bool) {
		r.refuses, r.once, r.from = true, !always, planTold
	}},
	{text: "log: nobody reads it", log: func(r *reader, always bool) { r.once = !always }},
	{text: "log: nobody reads it any more once the plan is told", log: func(r *reader, always bool) {
		r.once, r.from = !always, planTold
	}},
}

// planTold stands in the last line before the first set.
const planTold = "The plan was ready"

// A reader is the other end of a log. It reads until the text from is in what it read, and then no more.
type reader struct {
	read    bytes.Buffer
	from    string
	refuses bool // a write then fails; otherwise it waits
	once    bool // for one write, or for a minute
	trouble bool // it happened
	ended   chan struct{}
}

func (r *reader) Write(p []byte) (int, error) {
	due := strings.Contains(r.read.String(), r.from) && !(r.trouble && r.once)
	r.trouble = r.trouble || due
	switch {
	case due && r.refuses:
		return 0, syscall.EPIPE
	case due && r.once:
		time.Sleep(time.Minute)
	case due:
		<-r.ended
		return 0, io.ErrClosedPipe
	}
	return r.read.Write(p)
}

// faultTable has the action make one secret under each fault, once and each time that it can happen, and tells what
// came of it.
func faultTable(t *testing.T) string {
	t.Helper()
	table := "| fault | once | every time |\n| --- | --- | --- |\n"
	for _, row := range faults() {
		table += fmt.Sprintf("| %s | %s | %s |\n", row.text, row.survive(t, false), row.survive(t, true))
	}
	return table
}

// survive runs the action under a fault, holds what it left against the promises, and returns what it came to.
func (f fault) survive(t *testing.T, always bool) (outcome string) {
	t.Helper()
	t.Run(fmt.Sprintf("%s, always %t", f.text, always), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			log := &reader{ended: make(chan struct{}), from: "no line has this"}
			if f.log != nil {
				log.from = ""
				f.log(log, always)
			}
			defer close(log.ended)
			if always {
				f.fault.Times = -1
			}
			in := trouble{world: func(*emulator.Emulator) {}}
			if f.atServer {
				in = server(emulator.ServerOptions{}, func(e *emulator.Emulator) {
					e.Grant("", emulator.DefaultVault, emulator.Update)
				})
			}
			in.log = log
			world := in.world
			in.world = func(e *emulator.Emulator) {
				world(e)
				if f.log == nil {
					e.Fault(f.fault)
				}
			}
			r := get(t, in)
			synctest.Wait()
			r.Log = log.read.String()
			time.Sleep(2 * time.Minute) // what is committed late is committed now
			if len(r.emulator.FaultLog()) == 0 && !log.trouble {
				t.Error("the fault did not happen")
			}
			outcome = f.keeps(t, r)
		})
	})
	return outcome
}

// keeps holds a run against the promises and returns what it came to.
func (f fault) keeps(t *testing.T, r run) string {
	t.Helper()
	late := f.fault.Kind == emulator.Late || f.fault.Kind == emulator.Slow
	held, values := r.emulator.Holds(), r.emulator.Values()
	var told map[string]string
	if len(r.Outputs) > 0 {
		if err := r.Outputs.Decode("versions", &told); err != nil {
			t.Error(err)
		}
	}
	if f.atServer {
		values = values[1:] // the first one is the server's own
	}
	for _, value := range values {
		if value != values[0] {
			t.Error("two values were sent for one secret")
		}
	}
	if len(held) > 1 && !late {
		t.Errorf("one operation made %d versions", len(held))
	}
	for _, version := range told {
		if len(held) == 0 || version != held[0].Version && version != held[len(held)-1].Version {
			t.Errorf("the outputs name version %s, which the vault does not hold", version)
		}
	}
	unknown := strings.Contains(r.Log, "the version may have been stored")
	if len(held) > 0 && len(told) == 0 && !unknown {
		t.Error("what was stored is not in the outputs, and the log does not say that its end is unknown")
	}
	if (r.Status == 0) != (len(told) == 1) && f.log == nil && !f.atServer || r.Status == 0 && len(told) != 1 {
		t.Errorf("exit status %d with %d secrets in the outputs", r.Status, len(told))
	}
	if r.emulator.Requests()["get"] != 0 {
		t.Error("a value was read")
	}
	if found, err := r.job.Leaks(r.Result); found != nil || err != nil {
		t.Errorf("leaks: %v, %v", found, err)
	}
	if foreign := regexp.MustCompile(`(?m)^::(set-output|add-mask::e$)|##\[`).FindString(r.Log); foreign != "" {
		t.Errorf("the log issues the command %q", foreign)
	}
	if f.atServer {
		return wordingAtServer(t, r, held)
	}
	return wording(r, len(held), len(told), unknown)
}

// wordingAtServer says what became of the vault and of the server. Success means that both have one password, and that
// the version says so.
func wordingAtServer(t *testing.T, r run, held []emulator.Held) string {
	t.Helper()
	has := len(held) > 0 && r.emulator.Servers()[0].Password == held[0].Digest
	noted := len(held) > 0 && held[0].Tags["applied"] == held[0].Tags["operation"]
	if has != noted && noted || (r.Status == 0) != noted {
		t.Errorf("exit status %d, the server has the version: %t, and it is noted: %t", r.Status, has, noted)
	}
	switch {
	case r.Status == 0:
		return "one version, and the server has it"
	case len(held) == 0:
		return "refused: nothing is stored, and the server is as before"
	case has:
		return "vault ahead, since it is not known that the server has it"
	}
	return "vault ahead: one version in the outputs, and the server is as before"
}

// wording says what a run came to.
func wording(r run, versions, told int, unknown bool) string {
	stored := [...]string{"nothing is stored", "one version", "two versions of one value"}[min(versions, 2)]
	if versions > 2 {
		stored = fmt.Sprintf("%d versions of one value", versions)
	}
	switch {
	case r.Status == 0:
		return stored
	case told > 0:
		return stored + " in the outputs, and exit status 1"
	case unknown:
		return "refused: the version may have been stored; " + stored
	}
	return "refused: " + stored
}
