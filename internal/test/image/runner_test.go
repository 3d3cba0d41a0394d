package image

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// runnerUser owns what the runner makes on a hosted machine. The container's root is not it.
const runnerUser = 1001

// A step is what the runner prepares for a step that is a container: folders of its user, mounted in the fixed places,
// empty command files, and the environment.
// https://github.com/actions/runner/blob/v2.336.0/src/Runner.Worker/Handlers/ContainerActionHandler.cs
type step struct {
	engine   engine
	folder   string // on the host; mounts are folders in it
	name     string // of the container
	*job.Job        // with the host's paths
}

// mounts are the folders of a step and where actions find them.
var mounts = map[string]string{
	"_temp/_github_home":          "/github/home",
	"_temp/_github_workflow":      "/github/workflow",
	"_temp/_runner_file_commands": "/github/file_commands",
	"_temp":                       "/github/runner_temp",
	"workspace":                   "/github/workspace",
	"docker.sock":                 "/var/run/docker.sock",
}

const declared = "first: default\nsecond: {policy: {length: 40}, content-type: password}\n"

// newStep prepares a step that declares two secrets, and the services that it talks to.
func newStep(t testing.TB, e engine) (*step, *emulator.Emulator) {
	t.Helper()
	s := &step{engine: e, folder: t.TempDir(), name: "keyvaultpasswords_" + strings.ToLower(rand.Text()[:6])}
	for _, folder := range slices.Sorted(maps.Keys(mounts)) {
		if err := os.MkdirAll(filepath.Join(s.folder, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	services, err := emulator.Start(emulator.Options{Dir: filepath.Join(s.folder, "_temp")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Close() })
	s.Job = newJob(services, s.folder)
	for _, name := range job.CommandFiles {
		if err := os.WriteFile(s.Env[name], nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.chown(t)
	return s, services
}

// newJob is a job of today, as the runner hands it to a container: every declared input is there, hyphens kept.
func newJob(services *emulator.Emulator, folder string) *job.Job {
	j := job.New(services, filepath.Join(folder, "workspace"))
	j.Set("HOME="+filepath.Join(folder, "_temp/_github_home"), "RUNNER_TEMP="+filepath.Join(folder, "_temp"),
		"RUNNER_OS=Linux",
		"GITHUB_JOB=passwords", "GITHUB_REF="+emulator.DefaultRef, "GITHUB_SERVER_URL=https://github.com",
		"GITHUB_API_URL=https://api.github.com", "GITHUB_EVENT_NAME=push", "GITHUB_WORKFLOW=passwords",
		"GITHUB_ACTION=passwords",
		"GITHUB_ACTIONS=true", "CI=true", "ACTIONS_RUNTIME_TOKEN=none")
	j.Input("tenant-id="+emulator.DefaultTenant, "client-id="+emulator.DefaultClient, "vault="+emulator.DefaultVault,
		"cloud=", "audience=", "file=", "secrets="+declared, "mode=ensure", "dry-run=false", "only=",
		"mask-outputs=all",
		"adopt=false", "recover-deleted=false", "concurrency=8", "timeout=10m")
	for _, name := range job.CommandFiles {
		j.Env[name] = filepath.Join(folder, "_temp/_runner_file_commands", strings.ToLower(name)+"_6f1c2d3e")
	}
	return j
}

// chown gives everything to the runner's user; files stay as he makes them, 0644.
func (s *step) chown(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir(s.folder, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, runnerUser, runnerUser))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inContainer is a value as the container gets it: where it begins with the path of a mount, with the mount's place.
func (s *step) inContainer(value string) string {
	for _, folder := range slices.Backward(slices.Sorted(maps.Keys(mounts))) { // the longest path first
		if rest, ok := strings.CutPrefix(value, filepath.Join(s.folder, folder)); ok && (rest == "" || rest[0] == '/') {
			return mounts[folder] + rest
		}
	}
	return value
}

// command is the runner's `docker run`. Two things differ: the network is the host's, since the services listen on its
// loopback, and the mounted socket is no engine's.
func (s *step) command(ctx context.Context, options ...string) *exec.Cmd {
	arguments := []string{"run", "--name", s.name, "--label", s.name[len(s.name)-6:], "--workdir", "/github/workspace",
		"--rm"}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		arguments = append(arguments, "-e", name)
	}
	arguments = append(arguments, "--entrypoint", entrypoint, "--network", "host", "--pull=never")
	for _, folder := range slices.Sorted(maps.Keys(mounts)) {
		arguments = append(arguments, "-v", filepath.Join(s.folder, folder)+":"+mounts[folder])
	}
	arguments = append(append(arguments, options...), s.engine.image)
	cmd := exec.CommandContext(ctx, s.engine.program, arguments...)
	cmd.Env = os.Environ()
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+s.inContainer(value))
	}
	return cmd
}

// run runs the step.
func (s *step) run(t testing.TB, options ...string) *job.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.finish(t, s.command(ctx, options...), nil)
}

// finish runs a command that runs the step. Meanwhile it calls during, if there is one, with a context that ends when
// the command has.
func (s *step) finish(t testing.TB, cmd *exec.Cmd, during func(context.Context)) *job.Result {
	t.Helper()
	// A killed command leaves its container running. Where there is none, that is an error of no interest.
	t.Cleanup(func() { _ = exec.Command(s.engine.program, "rm", "--force", s.name).Run() })
	r, err := s.Exec(cmd, func(running context.Context, _ *os.Process) {
		if during != nil {
			during(running)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// versions returns what the output versions says.
func versions(t testing.TB, r *job.Result) (versions map[string]string) {
	t.Helper()
	if err := r.Outputs.Decode("versions", &versions); err != nil {
		t.Fatal(err)
	}
	return versions
}

// printed returns all that a run printed.
func printed(r *job.Result) string { return r.Log + r.Stderr }

// stored is what the vault holds: the current version of each secret.
func stored(services *emulator.Emulator) map[string]string {
	versions := map[string]string{}
	for _, held := range services.Holds() {
		if held.Current {
			versions[held.Name] = held.Version
		}
	}
	return versions
}

func TestRunAsTheRunnerDoes(t *testing.T) {
	s, services := newStep(t, newEngine(t))
	before := s.files(t)
	r := s.run(t)
	if r.Status != 0 {
		t.Fatalf("exit status %d\n%s", r.Status, printed(r))
	}
	if got, want := r.Outputs.Get("names"), `["first","second"]`; got != want {
		t.Errorf("output names is %s; want %s", got, want)
	}
	if got, want := versions(t, r), stored(services); len(want) != 2 || !maps.Equal(got, want) {
		t.Errorf("output versions is %q, the vault holds %q", got, want)
	}
	for path, mode := range before {
		if got := s.files(t)[path]; got != mode {
			t.Errorf("%s was %s, is %s", path, mode, got)
		}
	}
	if got, want := len(s.files(t)), len(before); got != want {
		t.Errorf("the run left %d files on the runner, it found %d", got, want)
	}
	if r.Files["GITHUB_STEP_SUMMARY"] == "" {
		t.Error("the job summary is empty")
	}
	s.checkSilence(t, services, r)
	if left := s.engine.run(t, "ps", "--all", "--quiet", "--filter", "name="+s.name); left != "" {
		t.Error("the container is still there")
	}
}

// files are owner and mode of every file that the step's mounts hold.
func (s *step) files(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(s.folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[path] = info.Mode().String()
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != runnerUser {
			files[path] += " of another user"
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkSilence: no value and no token is in the log or in any file that the container could write.
func (s *step) checkSilence(t testing.TB, services *emulator.Emulator, r *job.Result) {
	t.Helper()
	texts := map[string]string{"the log": printed(r)}
	for path := range s.files(t) {
		if text, err := os.ReadFile(path); err == nil {
			texts[path] = string(text)
		}
	}
	checkSilence(t, services, texts)
}

func checkSilence(t testing.TB, services *emulator.Emulator, texts map[string]string) {
	t.Helper()
	if len(services.Values()) == 0 {
		t.Error("the services received no value: there was nothing to look for")
	}
	for _, leak := range job.FindLeaks(append(services.Values(), services.Tokens()...), texts) {
		t.Error(leak)
	}
}

// The fixture is faithful: what a USER in the Dockerfile would do fails here as it does on a hosted runner, before
// anything is stored.
func TestAnotherUserCannotAnswer(t *testing.T) {
	s, services := newStep(t, newEngine(t))
	r := s.run(t, "--user", "65534:65534")
	if r.Status == 0 || !strings.Contains(printed(r), "permission denied") {
		t.Errorf("exit status %d; want a refusal, since the permission is missing\n%s", r.Status, printed(r))
	}
	if got := stored(services); len(got) != 0 {
		t.Errorf("%d secrets were stored, none of which could be reported", len(got))
	}
}

// A declaration in a file is found from the workspace, where the runner starts the container.
func TestRunWithFile(t *testing.T) {
	s, services := newStep(t, newEngine(t))
	s.Input("secrets=", "file=deploy/passwords.yml")
	if err := os.MkdirAll(filepath.Join(s.folder, "workspace/deploy"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.folder, "workspace/deploy/passwords.yml")
	if err := os.WriteFile(path, []byte("secrets: {one: azure-sql}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.chown(t)
	r := s.run(t)
	if got := stored(services); r.Status != 0 || len(got) != 1 || r.Outputs.Get("version") != got["one"] {
		t.Errorf("exit status %d, %d secrets stored, output version %q\n%s", r.Status, len(got),
			r.Outputs.Get("version"), printed(r))
	}
}

// A cancelled job: process 1 gets the signal. (The runner sends it to its `docker run`, which passes it on; podman's
// does so only from some moment after the container's start, so here the engine is told.) One secret is stored by then;
// for the other the vault asks to wait an hour.
func TestSignals(t *testing.T) {
	for _, signal := range []string{"SIGINT", "SIGTERM"} {
		t.Run(signal, func(t *testing.T) {
			s, services := newStep(t, newEngine(t))
			s.Input("concurrency=1") // a 429 pauses the whole vault: the first secret must be stored by then
			services.Fault(emulator.Fault{Operation: "set", Secret: "second", Times: -1,
				Kind: emulator.Status, Status: http.StatusTooManyRequests, Code: "Throttled", RetryAfter: "3600"})
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			cmd := s.command(ctx)
			r := s.finish(t, cmd, func(running context.Context) {
				for running.Err() == nil && (len(stored(services)) < 1 || services.Requests()["set"] < 2) {
					time.Sleep(10 * time.Millisecond)
				}
				if running.Err() == nil {
					s.engine.run(t, "kill", "--signal", signal, s.name)
				}
			})
			if ctx.Err() != nil {
				t.Fatalf("nothing ended it within %s\n%s", patience, printed(r))
			}
			if r.Status != 1 {
				t.Fatalf("exit status %d of a run that stored one secret of two; want 1\n%s", r.Status, printed(r))
			}
			got, want := versions(t, r), stored(services)
			if _, ok := want["first"]; !ok || len(want) != 1 || !maps.Equal(got, want) {
				t.Errorf("output versions is %q, the vault holds %q\n%s", got, want, printed(r))
			}
			s.checkSilence(t, services, r)
		})
	}
}
