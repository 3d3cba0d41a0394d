package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// An engine is a container engine's command, docker or podman, with the image under test.
type engine struct{ program, image string }

// newEngine finds both, or skips. .ci/run sets CONTAINER_TESTS=required: there nothing may be missing.
func newEngine(t testing.TB) engine {
	t.Helper()
	program := os.Getenv("CONTAINER_ENGINE")
	if program == "" {
		program = firstProgram("docker", "podman")
	}
	if program == "" {
		unavailable(t, "there is no docker and no podman")
	}
	image := demand(t, "CONTAINER_IMAGE", "build the image (docker build -t NAME .) and set it to NAME")
	if os.Getuid() != 0 {
		unavailable(t, "only root can give files to the runner's user")
	}
	return engine{program, image}
}

func firstProgram(names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// demand returns an environment variable, or skips with what to do.
func demand(t testing.TB, name, remedy string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		unavailable(t, fmt.Sprintf("%s is not set: %s; `bash .ci/run` does all of it", name, remedy))
	}
	return value
}

func unavailable(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CONTAINER_TESTS") == "required" {
		t.Fatalf("CONTAINER_TESTS=required, but %s", reason)
	}
	t.Skip(reason)
}

// patience ends what hangs. No test passes or fails by how long something takes, short of this.
const patience = 4 * time.Minute

// run runs a command of the engine and returns its standard output; a failure ends the test.
func (e engine) run(t testing.TB, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, e.program, arguments...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", filepath.Base(e.program), strings.Join(arguments, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// extract copies the program out of an image, of whatever architecture, and returns its path.
func (e engine) extract(t testing.TB, image string) string {
	t.Helper()
	id := strings.TrimSpace(e.run(t, "create", "--pull=never", image))
	t.Cleanup(func() { e.run(t, "rm", "--force", id) })
	path := filepath.Join(t.TempDir(), filepath.Base(entrypoint))
	e.run(t, "cp", id+":"+entrypoint, path)
	return path
}

// config is what an image says of itself.
type config struct {
	Architecture string
	Config       struct {
		User, WorkingDir string
		Entrypoint, Cmd  []string
		Env              []string
		Labels           map[string]string
		Volumes          map[string]any
	}
}

func (e engine) inspect(t testing.TB, image string) config {
	t.Helper()
	var list []config
	if err := json.Unmarshal([]byte(e.run(t, "image", "inspect", image)), &list); err != nil || len(list) != 1 {
		t.Fatalf("inspecting %s: %d answers, %v", image, len(list), err)
	}
	return list[0]
}

// configProblems says what in an image would keep a runner from using it as it does.
func configProblems(c config) []string {
	var problems []string
	add := func(format string, arguments ...any) { problems = append(problems, fmt.Sprintf(format, arguments...)) }
	if u := c.Config.User; u != "" && u != "0" && u != "root" {
		add("user %s: only root can write the runner's command files", u)
	}
	if d := c.Config.WorkingDir; d != "" && d != "/" {
		add("working folder %s: the runner sets it", d)
	}
	if !slices.Equal(c.Config.Entrypoint, []string{entrypoint}) {
		add("entrypoint %q, want %s", c.Config.Entrypoint, entrypoint)
	}
	if len(c.Config.Cmd) != 0 {
		add("command %q: the program would get it as arguments", c.Config.Cmd)
	}
	if len(c.Config.Volumes) != 0 {
		add("volumes: what is written there would outlive the run")
	}
	for _, key := range []string{"title", "description", "version", "source"} {
		if _, ok := c.Config.Labels["org.opencontainers.image."+key]; !ok {
			add("no label %s", key)
		}
	}
	if got := c.Config.Labels["org.opencontainers.image.licenses"]; got != "MIT" {
		add("label licenses %q, want MIT", got)
	}
	return problems
}

func TestImageConfig(t *testing.T) {
	e := newEngine(t)
	for _, problem := range configProblems(e.inspect(t, e.image)) {
		t.Error(problem)
	}
}

func TestImageConfigSpoiled(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*config)
		want  string
	}{
		"user":           {func(c *config) { c.Config.User = "nobody" }, "user nobody"},
		"user by number": {func(c *config) { c.Config.User = "65532:65532" }, "user 65532"},
		"working folder": {func(c *config) { c.Config.WorkingDir = "/src" }, "working folder"},
		"no entrypoint":  {func(c *config) { c.Config.Entrypoint = nil }, "entrypoint []"},
		"shell": {func(c *config) { c.Config.Entrypoint = []string{"/bin/sh", "-c", entrypoint} },
			"entrypoint"},
		"command": {func(c *config) { c.Config.Cmd = []string{"sh"} }, "command"},
		"volume":  {func(c *config) { c.Config.Volumes = map[string]any{"/data": nil} }, "volumes"},
		"licence": {func(c *config) { delete(c.Config.Labels, "org.opencontainers.image.licenses") },
			"licenses"},
		"version": {func(c *config) { delete(c.Config.Labels, "org.opencontainers.image.version") }, "version"},
	} {
		t.Run(name, func(t *testing.T) {
			c := soundConfig()
			if problems := configProblems(c); len(problems) != 0 {
				t.Fatalf("the sound one has problems: %q", problems)
			}
			test.spoil(&c)
			if got := strings.Join(configProblems(c), "\n"); !strings.Contains(got, test.want) {
				t.Errorf("got the problems %q, want one with %q", got, test.want)
			}
		})
	}
}

func soundConfig() config {
	var c config
	c.Config.Entrypoint = []string{entrypoint}
	c.Config.Labels = map[string]string{"org.opencontainers.image.licenses": "MIT"}
	for _, key := range []string{"title", "description", "version", "source"} {
		c.Config.Labels["org.opencontainers.image."+key] = "x"
	}
	return c
}

// What the program verifies TLS with is in the image, readable, and at both paths that jobs name in SSL_CERT_FILE. The
// folder that Go reads besides is empty: roots in it would be read twice.
func TestImageHasRoots(t *testing.T) {
	e := newEngine(t)
	in := func(command string) string {
		return e.run(t, "run", "--rm", "--pull=never", "--network=none", "--entrypoint=sh", e.image, "-c", command)
	}
	for _, path := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"} {
		if got := strings.Count(in("cat "+path), "-----BEGIN CERTIFICATE-----\n"); got < 50 {
			t.Errorf("%s has %d root certificates, want those of all common authorities", path, got)
		}
	}
	const folder = "SSL_CERT_DIR="
	i := slices.IndexFunc(e.inspect(t, e.image).Config.Env, func(v string) bool { return strings.HasPrefix(v, folder) })
	if i < 0 {
		t.Fatal("the image sets no SSL_CERT_DIR: Go reads /etc/ssl/certs, and each root twice")
	}
	if got := in(`ls -A "$SSL_CERT_DIR" 2>/dev/null || true`); got != "" {
		t.Errorf("the folder that Go reads besides the bundle holds %s", got)
	}
}
