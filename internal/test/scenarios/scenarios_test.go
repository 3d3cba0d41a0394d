// Package scenarios runs the real program against the emulator, as scripts that a user could have typed. There is no
// test hook in the program: it finds the emulator by HTTPS_PROXY and SSL_CERT_FILE.
//
// Each file of testdata is one scenario, in the language of https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript
// with the commands below. A scenario begins with an emulator that has the vault kv-example and trusts the job.
package scenarios

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
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
	program = filepath.Join(dir, "keyvault-passwords")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-tags=nethttpomithttp2", "-o", program, "keyvault-passwords").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
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
			"grant": func(ts *testscript.TestScript, _ bool, args []string) {
				the(ts).emulator.Grant(emulator.DefaultClient, args[0], args[1:]...)
			},
			"revoke": func(ts *testscript.TestScript, _ bool, args []string) {
				the(ts).emulator.Revoke(emulator.DefaultClient, args[0], args[1:]...)
			},
			"distrust": func(ts *testscript.TestScript, _ bool, _ []string) { the(ts).emulator.Distrust(emulator.DefaultClient) },
			"trust":    trust,
			"advance":  advance,
			"plant":    plant,
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
	dir      string
	log      strings.Builder // all that the program printed, over all runs
	files    map[string]string
}

type worldKey struct{}

func the(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// commandFiles are the runner's files, by the variable that names each.
var commandFiles = []string{"GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_STATE", "GITHUB_ENV"}

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
	w := &world{emulator: e, dir: dir, files: map[string]string{}}
	for _, name := range commandFiles {
		w.files[name] = filepath.Join(dir, name)
		env.Setenv(name, w.files[name])
	}
	env.Values[worldKey{}] = w
	return nil
}

// environ is the job's environment.
func (w *world) environ(ts *testscript.TestScript) []string {
	env := append(w.emulator.Environ(), "PATH="+os.Getenv("PATH"), "HOME="+w.dir, "GITHUB_WORKSPACE="+ts.MkAbs("."),
		"GITHUB_REPOSITORY=octo-org/octo-repo", "GITHUB_RUN_ID=42", "GITHUB_RUN_ATTEMPT=1",
		"AZURE_TENANT_ID="+emulator.DefaultTenant, "AZURE_CLIENT_ID="+emulator.DefaultClient)
	for name, path := range w.files {
		env = append(env, name+"="+path)
	}
	for line := range strings.Lines(ts.Getenv("JOB")) {
		env = append(env, strings.TrimSuffix(line, "\n"))
	}
	return env
}

// setJob adds variables to the job's environment: job NAME=VALUE... An empty list takes all back.
func setJob(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("JOB", strings.Join(args, "\n"))
}

// runAction runs the program with inputs: action [-sigint DURATION | -sigkill DURATION] [NAME=VALUE...]. A value @FILE is the file's text. A
// run that does not end within a minute fails.
func runAction(ts *testscript.TestScript, neg bool, args []string) {
	w := the(ts)
	var interrupt time.Duration
	signals := map[string]os.Signal{"-sigint": syscall.SIGINT, "-sigkill": syscall.SIGKILL}
	signal := signals[args[0]]
	if signal != nil {
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		interrupt, args = d, args[2:]
	}
	command := exec.Command(program)
	command.Dir = ts.MkAbs(".")
	command.Env = w.environ(ts)
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			ts.Fatalf("action: %q is not NAME=VALUE", arg)
		}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = ts.ReadFile(file)
		}
		command.Env = append(command.Env, "INPUT_"+strings.ToUpper(name)+"="+value)
	}
	for _, path := range w.files {
		if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
			_ = os.WriteFile(path, nil, 0o644) // what cannot be written is the scenario's point
		}
	}
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	ts.Check(command.Start())
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- command.Wait() }()
	if interrupt > 0 {
		time.AfterFunc(interrupt, func() { _ = command.Process.Signal(signal) })
	}
	var err error
	select {
	case err = <-done:
	case <-time.After(time.Minute):
		_ = command.Process.Kill()
		ts.Fatalf("action: still running after a minute\n%s", stdout.String())
	}
	fmt.Fprint(ts.Stdout(), stdout.String())
	fmt.Fprint(ts.Stderr(), stderr.String())
	ts.Logf("(%.2f s)", time.Since(start).Seconds())
	w.log.WriteString(stdout.String() + stderr.String())
	if stderr.Len() > 0 {
		ts.Fatalf("action: it wrote to standard error, which the runner reorders")
	}
	if status := command.ProcessState.ExitCode(); err != nil && status != 1 && signal != syscall.SIGKILL || (err != nil) != neg {
		ts.Fatalf("action: exit status %d", status)
	}
	ts.Check(os.WriteFile(ts.MkAbs("outputs"), []byte(w.named(readOutputs(ts, w.files["GITHUB_OUTPUT"]))), 0o600))
	summary, err := os.ReadFile(w.files["GITHUB_STEP_SUMMARY"])
	if err == nil {
		ts.Check(os.WriteFile(ts.MkAbs("summary"), summary, 0o600))
	}
}

// readOutputs parses the output file as the runner does, and returns NAME=VALUE lines.
func readOutputs(ts *testscript.TestScript, path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := 0; i < len(lines) && lines[i] != ""; i++ {
		name, delimiter, ok := strings.Cut(lines[i], "<<")
		end := slices.Index(lines[i+1:], delimiter)
		if !ok || end < 0 {
			ts.Fatalf("the output file has a malformed line %q", lines[i])
		}
		fmt.Fprintf(&out, "%s=%s\n", name, strings.Join(lines[i+1:i+1+end], "\n"))
		i += end + 1
	}
	return out.String()
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
	var words map[string]any
	ts.Check(json.Unmarshal([]byte(args[0]), &words))
	if delay, ok := words["Delay"].(string); ok {
		d, err := time.ParseDuration(delay)
		ts.Check(err)
		words["Delay"] = d
	}
	text, err := json.Marshal(words)
	ts.Check(err)
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	var f emulator.Fault
	ts.Check(decoder.Decode(&f))
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

// plant puts a version into a vault: plant VAULT NAME [JSON of emulator.Plant].
func plant(ts *testscript.TestScript, _ bool, args []string) {
	var p emulator.Plant
	if len(args) > 2 {
		ts.Check(json.Unmarshal([]byte(args[2]), &p))
	}
	_, err := the(ts).emulator.Put(args[0], args[1], p)
	ts.Check(err)
}

// showHeld prints what the vaults hold, one version a line, newest last: vault, name, state, content type, tags. Version
// IDs, operations and times are left out: they differ from run to run.
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
		lines = append(lines, fmt.Sprintf("%05d %s %s %s %q %s", h.Commit, vault, h.Name, state, h.ContentType, strings.Join(tags, " ")))
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

// places returns every text in which nothing secret may stand, by name.
func (w *world) places() map[string]string {
	texts := map[string]string{"standard output and error": w.log.String()}
	for name, path := range w.files {
		if text, err := os.ReadFile(path); err == nil {
			texts[name] = string(text)
		}
	}
	return texts
}

// checkLeaks fails if a value that a vault was given, or a token that was issued, stands in any text that the runner or a
// person sees. It also fails if there was nothing to look for, and if the emulator was asked for a value.
func checkLeaks(ts *testscript.TestScript, neg bool, _ []string) {
	w := the(ts)
	secrets := append(w.emulator.Values(), w.emulator.Tokens()...)
	if len(secrets) == 0 {
		ts.Fatalf("leakcheck: nothing was stored and no token issued")
	}
	found := job.FindLeaks(secrets, w.places())
	if (len(found) > 0) != neg {
		ts.Fatalf("leakcheck: %d of %d secrets found: %v", len(found), len(secrets), found)
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
	f, err := os.OpenFile(w.files["GITHUB_STEP_SUMMARY"], os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = io.WriteString(f, "| "+encode(w.emulator.Values()[0])+" |\n")
	ts.Check(err)
	ts.Check(f.Close())
}
