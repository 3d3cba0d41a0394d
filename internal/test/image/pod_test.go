package image

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Where a job's containers are pods, the runner starts the image with a command of its own, `tail -f /dev/null`, copies
// a script in, and runs that with `sh -e`; its last line is `exec env NAME=VALUE... ENTRYPOINT`.
// https://github.com/actions/runner-container-hooks/blob/v0.8.1/packages/k8s/src/hooks/run-container-step.ts
func TestRunAsPod(t *testing.T) {
	s, services := newStep(t, newEngine(t))
	e := s.engine
	script := filepath.Join(s.folder, "_temp/step.sh")
	if err := os.WriteFile(script, []byte(s.podScript()), 0o755); err != nil {
		t.Fatal(err)
	}
	s.chown(t)
	arguments := []string{"run", "--detach", "--name", s.name, "--network", "host", "--pull=never", "--entrypoint",
		"tail"}
	for _, folder := range slices.Sorted(maps.Keys(mounts)) {
		arguments = append(arguments, "-v", filepath.Join(s.folder, folder)+":"+mounts[folder])
	}
	e.run(t, append(arguments, e.image, "-f", "/dev/null")...)
	defer func() {
		e.run(t, "kill", s.name) // process 1 takes no other signal than the hardest
		e.run(t, "rm", "--force", s.name)
	}()

	r := s.finish(t, exec.CommandContext(t.Context(), e.program, "exec", s.name, "sh", "-e", s.inContainer(script)),
		nil)
	if err := os.Remove(script); err != nil { // the hooks do so too: it holds the environment
		t.Fatal(err)
	}
	if r.Status != 0 {
		t.Fatalf("exit status %d\n%s", r.Status, printed(r))
	}
	got, want := versions(t, r), stored(services)
	if len(want) != 2 || !maps.Equal(got, want) {
		t.Errorf("output versions is %q, the vault holds %q\n%s", got, want, printed(r))
	}
	s.checkSilence(t, services, r)
}

// podScript is the script. The hooks refuse names with an equals sign or a quote in them, and take hyphens.
func (s *step) podScript() string {
	var text strings.Builder
	fmt.Fprintf(&text, "#!/bin/sh -l\ncd %s && \\\nexec env", mounts["workspace"])
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(s.inContainer(s.Env[name]))
		fmt.Fprintf(&text, ` "%s=%s"`, name, value)
	}
	fmt.Fprintf(&text, " %s\n", entrypoint)
	return text.String()
}
