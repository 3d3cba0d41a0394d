// Package scenarios runs the real program against the emulator, as scripts that a user could have typed. There is no
// test hook in the program: it finds the emulator by HTTPS_PROXY and SSL_CERT_FILE.
//
// Each file of testdata is one scenario, in the language of
// https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript with the commands below. A scenario begins with an
// emulator that has the vault kv-example and trusts the job.
package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// program is the binary under test, built as the Dockerfile builds it.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "program")
	if err != nil {
		panic(err)
	}
	program, err = job.Build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func TestScenarios(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scenario found: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Files: scripts,
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"action": runAction,
			"job":    setJob,
			"fault":  addFault,
			"vault":  addVault,
			"server": addServer,
			"opened": checkOpened,
			"grant": func(ts *testscript.TestScript, _ bool, args []string) {
				the(ts).emulator.Grant(emulator.DefaultClient, args[0], args[1:]...)
			},
			"revoke": func(ts *testscript.TestScript, _ bool, args []string) {
				the(ts).emulator.Revoke(emulator.DefaultClient, args[0], args[1:]...)
			},
			"grantlater": func(ts *testscript.TestScript, _ bool, args []string) {
				the(ts).emulator.GrantLater(delays(ts, args[0]), "", args[1], args[2:]...)
			},
			"admit": func(ts *testscript.TestScript, _ bool, args []string) {
				the(ts).emulator.Admit(delays(ts, args[0]), args[1])
			},
			"distrust": func(ts *testscript.TestScript, _ bool,
				_ []string) {
				the(ts).emulator.Distrust(emulator.DefaultClient)
			},
			"trust":   trust,
			"advance": advance,
			"plant":   plant,
			"remove": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(the(ts).emulator.Remove(args[0], args[1]))
			},
			"holds":         showHeld,
			"requests":      checkRequests,
			"leakcheck":     checkLeaks,
			"sameoperation": checkOperations,
			"plantleak":     plantLeak,
			"asked":         checkAsked,
		},
	})
}

// A world is what a scenario runs in.
type world struct {
	emulator *emulator.Emulator
	dir      string // of the runner
	runs     []*job.Result
}

type worldKey struct{}

func the(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func setUp(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, ".runner")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	e, err := emulator.Start(emulator.Options{Dir: dir, Seed: 1})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = e.Close() })
	w := &world{emulator: e, dir: dir}
	for _, name := range job.CommandFiles {
		env.Setenv(name, w.job().Env[name])
	}
	env.Values[worldKey{}] = w
	return nil
}

// job is a job of a workflow run of its own, whose command files are the runner's.
func (w *world) job() *job.Job {
	j := job.New(w.emulator, w.dir)
	j.Set("PATH="+os.Getenv("PATH"), "HOME="+w.dir, fmt.Sprint("GITHUB_RUN_ID=", 42+len(w.runs)))
	return j
}

// setJob adds variables to the job's environment: job NAME=VALUE... An empty list takes all back.
func setJob(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("JOB", strings.Join(args, "\n"))
}

// runAction runs the program with inputs: action [-sigint WHEN | -sigkill WHEN] [NAME=VALUE...]. A value @FILE is the
// file's text. A run that does not end within a minute fails. For WHEN see [world.when].
func runAction(ts *testscript.TestScript, neg bool, args []string) {
	w := the(ts)
	j := w.job()
	j.Set("GITHUB_WORKSPACE=" + ts.MkAbs("."))
	for line := range strings.Lines(ts.Getenv("JOB")) {
		j.Set(strings.TrimSuffix(line, "\n"))
	}
	var during func(context.Context, *os.Process)
	signal := map[string]os.Signal{"-sigint": syscall.SIGINT, "-sigkill": syscall.SIGKILL}[args[0]]
	if signal != nil {
		when := w.when(ts, j, args[1])
		during = func(running context.Context, process *os.Process) {
			for start := time.Now(); !when(time.Since(start)) && running.Err() == nil; {
				time.Sleep(5 * time.Millisecond)
			}
			_ = process.Signal(signal)
		}
		args = args[2:]
	}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			ts.Fatalf("action: %q is not NAME=VALUE", arg)
		}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = ts.ReadFile(file)
		}
		j.Input(name + "=" + value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := time.Now()
	r, err := j.Exec(j.Command(ctx, program), during)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), r.Log)
	fmt.Fprint(ts.Stderr(), r.Stderr)
	ts.Logf("(%.2f s)", time.Since(start).Seconds())
	w.runs = append(w.runs, r)
	if ctx.Err() != nil {
		ts.Fatalf("action: still running after a minute\n%s", r.Log)
	}
	if r.Stderr != "" {
		ts.Fatalf("action: it wrote to standard error, which the runner reorders")
	}
	failed := r.Status != 0
	if failed && r.Status != 1 && signal != syscall.SIGKILL || failed != neg {
		ts.Fatalf("action: exit status %d", r.Status)
	}
	var outputs strings.Builder
	for _, output := range r.Outputs {
		fmt.Fprintf(&outputs, "%s=%s\n", output.Name, output.Value)
	}
	ts.Check(os.WriteFile(ts.MkAbs("outputs"), []byte(w.named(outputs.String())), 0o600))
	if summary, ok := r.Files["GITHUB_STEP_SUMMARY"]; ok {
		ts.Check(os.WriteFile(ts.MkAbs("summary"), []byte(summary), 0o600))
	}
}

// when returns whether a run is as far as the text says: set=N, the vaults have got so many sets in it; output=NAME,
// the output file has a version of that name; else a duration since its start.
func (w *world) when(ts *testscript.TestScript, j *job.Job, text string) func(since time.Duration) bool {
	what, value, _ := strings.Cut(text, "=")
	switch what {
	case "set":
		n, err := strconv.Atoi(value)
		ts.Check(err)
		before := w.emulator.Requests()["set"]
		return func(time.Duration) bool { return w.emulator.Requests()["set"]-before >= n }
	case "output":
		return func(time.Duration) bool {
			text, err := os.ReadFile(j.Env["GITHUB_OUTPUT"])
			return err == nil && strings.Contains(string(text), strconv.Quote(value)+":")
		}
	}
	after, err := time.ParseDuration(text)
	ts.Check(err)
	return func(since time.Duration) bool { return since >= after }
}

// named puts in the place of each version ID what the emulator knows it by: CURRENT or OLD. So a scenario compares the
// outputs with what the vaults hold.
func (w *world) named(text string) string {
	for _, h := range w.emulator.Holds() {
		what := "OLD"
		if h.Current {
			what = "CURRENT"
		}
		text = strings.ReplaceAll(text, h.Version, what+" "+h.Name)
	}
	return text
}

// addFault schedules a fault: fault JSON, of an emulator.Fault; "Delay" may be a duration in words.
func addFault(ts *testscript.TestScript, _ bool, args []string) {
	var f emulator.Fault
	decode(ts, args[0], "Delay", &f)
	the(ts).emulator.Fault(f)
}

// addVault adds a vault, or replaces one: vault JSON, of emulator.VaultOptions.
func addVault(ts *testscript.TestScript, _ bool, args []string) {
	decoder := json.NewDecoder(strings.NewReader(args[0]))
	decoder.DisallowUnknownFields()
	var o emulator.VaultOptions
	ts.Check(decoder.Decode(&o))
	the(ts).emulator.AddVault(o)
}

// addServer adds a database server, or replaces one: server JSON, of emulator.ServerOptions; "Takes" may be a duration
// in words.
func addServer(ts *testscript.TestScript, _ bool, args []string) {
	var o emulator.ServerOptions
	decode(ts, args[0], "Takes", &o)
	the(ts).emulator.AddServer(o)
}

// decode reads JSON into a value. A member of that name may be a duration in words.
func decode(ts *testscript.TestScript, text, duration string, into any) {
	var words map[string]any
	ts.Check(json.Unmarshal([]byte(text), &words))
	if name, ok := words[duration].(string); ok {
		d, err := time.ParseDuration(name)
		ts.Check(err)
		words[duration] = d
	}
	plain, err := json.Marshal(words)
	ts.Check(err)
	decoder := json.NewDecoder(strings.NewReader(string(plain)))
	decoder.DisallowUnknownFields()
	ts.Check(decoder.Decode(into))
}

// checkOpened compares whether the current version of a secret holds the password of a server's administrator, and how
// often that was changed: opened SERVER VAULT SECRET [CHANGES].
func checkOpened(ts *testscript.TestScript, neg bool, args []string) {
	w := the(ts)
	var server emulator.HeldServer
	for _, s := range w.emulator.Servers() {
		if strings.HasSuffix(s.ID, "/"+args[0]) {
			server = s
		}
	}
	var version emulator.Held
	for _, h := range w.emulator.Holds() {
		if h.Current && h.Name == args[2] && strings.HasPrefix(h.Vault, args[1]+".") {
			version = h
		}
	}
	var password, value string
	for _, v := range w.emulator.Values() {
		switch emulator.Digest(v) {
		case server.Password:
			password = v
		case version.Digest:
			value = v
		}
	}
	opens := server.Password == version.Digest || password != "" && strings.Contains(value, password)
	if opens == neg {
		ts.Fatalf("the current version of %s opens %s: %t", args[2], args[0], opens)
	}
	if len(args) > 3 && fmt.Sprint(server.Changes) != args[3] {
		ts.Fatalf("the password of %s was changed %d times; want %s", args[0], server.Changes, args[3])
	}
}

// delays reads how long after it was made something is seen by each server: 1s,3s.
func delays(ts *testscript.TestScript, list string) (all emulator.Delays) {
	for text := range strings.SplitSeq(list, ",") {
		d, err := time.ParseDuration(text)
		ts.Check(err)
		all = append(all, d)
	}
	return all
}

// trust adds a federated credential: trust JSON, of emulator.Credential.
func trust(ts *testscript.TestScript, _ bool, args []string) {
	var c emulator.Credential
	ts.Check(json.Unmarshal([]byte(args[0]), &c))
	the(ts).emulator.Trust(c)
}

// advance moves the emulator's clock: advance 168h.
func advance(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	the(ts).emulator.Advance(d)
}

// plant puts a version into a vault: plant VAULT NAME [JSON of emulator.Plant]. A number Exp is its expiry in seconds
// since 1970: JSON has no times past the year 9999.
func plant(ts *testscript.TestScript, _ bool, args []string) {
	var p struct {
		emulator.Plant
		Exp int64
	}
	if len(args) > 2 {
		decoder := json.NewDecoder(strings.NewReader(args[2]))
		decoder.DisallowUnknownFields()
		ts.Check(decoder.Decode(&p))
	}
	if p.Exp != 0 {
		p.Expires = time.Unix(p.Exp, 0)
	}
	_, err := the(ts).emulator.Put(args[0], args[1], p.Plant)
	ts.Check(err)
}

// showHeld prints what the vaults hold, one version a line, newest last: vault, name, state, content type, tags.
// Version IDs, operations and times are left out: they differ from run to run.
func showHeld(ts *testscript.TestScript, _ bool, _ []string) {
	var lines []string
	for _, h := range the(ts).emulator.Holds() {
		state := "enabled"
		if !h.Enabled {
			state = "disabled"
		}
		if h.Current {
			state += ",current"
		}
		if h.Deleted {
			state += ",deleted"
		}
		if !h.Expires.IsZero() {
			state += fmt.Sprintf(",expires %s", h.Expires.Sub(h.Created).Round(time.Minute))
		}
		var tags []string
		for _, name := range slices.Sorted(maps.Keys(h.Tags)) {
			if name != "operation" {
				tags = append(tags, name+"="+h.Tags[name])
			}
		}
		vault, _, _ := strings.Cut(h.Vault, ".")
		lines = append(lines, fmt.Sprintf("%05d %s %s %s %q %s", h.Commit, vault, h.Name, state, h.ContentType,
			strings.Join(tags, " ")))
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(ts.Stdout(), line[6:])
	}
}

// checkRequests compares how many requests there were of an operation so far: requests OPERATION N [OPERATION N...].
func checkRequests(ts *testscript.TestScript, neg bool, args []string) {
	counts := the(ts).emulator.Requests()
	for pair := range slices.Chunk(args, 2) {
		want, err := strconv.Atoi(pair[1])
		ts.Check(err)
		if (counts[pair[0]] == want) == neg {
			ts.Fatalf("requests %s: %d; want %s (all: %v)", pair[0], counts[pair[0]], pair[1], counts)
		}
	}
}

// checkOperations compares of how many operations the versions of a secret are, over all vaults: sameoperation NAME N.
func checkOperations(ts *testscript.TestScript, _ bool, args []string) {
	operations := map[string]bool{}
	for _, h := range the(ts).emulator.Holds() {
		if h.Name == args[0] {
			operations[h.Tags["operation"]] = true
		}
	}
	if want, err := strconv.Atoi(args[1]); err != nil || len(operations) != want {
		ts.Fatalf("%s has versions of %d operations; want %s", args[0], len(operations), args[1])
	}
}

// checkAsked compares how often hosts were asked so far: asked HOST N [HOST N...].
func checkAsked(ts *testscript.TestScript, _ bool, args []string) {
	hosts := the(ts).emulator.Hosts()
	for pair := range slices.Chunk(args, 2) {
		if want, err := strconv.Atoi(pair[1]); err != nil || hosts[pair[0]] != want {
			ts.Fatalf("%s was asked %d times; want %s (all: %v)", pair[0], hosts[pair[0]], pair[1], hosts)
		}
	}
}

// checkLeaks fails if a value that a vault was given, or a token that was issued, stands in any text that the runner or
// a person saw of any run. It also fails if there was nothing to look for, and if the emulator was asked for a value.
func checkLeaks(ts *testscript.TestScript, neg bool, _ []string) {
	w := the(ts)
	found, err := w.job().Leaks(w.runs...)
	ts.Check(err)
	if (len(found) > 0) != neg {
		ts.Fatalf("leakcheck: %d leaks: %v", len(found), found)
	}
	if n := w.emulator.Requests()["get"]; n != 0 {
		ts.Fatalf("leakcheck: a value was read %d times", n)
	}
}

// plantLeak is the planted defect: it writes a stored value where no value may stand. plantleak ENCODING
func plantLeak(ts *testscript.TestScript, _ bool, args []string) {
	w := the(ts)
	encode, ok := job.Encodings[args[0]]
	if !ok {
		ts.Fatalf("plantleak: unknown encoding %q", args[0])
	}
	w.runs[len(w.runs)-1].Files["GITHUB_STEP_SUMMARY"] += "| " + encode(w.emulator.Values()[0]) + " |\n"
}
