package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// vaultName is the vault that the examples' declarations name.
const vaultName = "kv-app-prod"

// A workflow is one of the examples', run by act (github.com/nektos/act): jobs and steps in containers, the action as
// the image under test. act differs from GitHub's runner in what it does with masked values and whose the command files
// are; the tests that start the image themselves cover that.
type workflow struct {
	runs     int
	engine   engine
	program  string   // act
	runner   string   // the image in which a job's steps run
	folder   string   // the repository that has the workflow
	path     string   // of the workflow in it
	mounts   string   // further ones of the jobs' containers, as options of the engine
	options  []string // of act
	fork     bool     // the event is a fork's: there is neither a token nor a variable
	services *emulator.Emulator
}

// newWorkflow is an example that says `uses: ./`, in this repository.
func newWorkflow(t *testing.T, example string) *workflow {
	t.Helper()
	e := newEngine(t)
	// act's name for `uses: ./`; with --rebuild=false it takes the image that has it.
	e.run(t, "tag", e.image, "docker.io/library/act-dockeraction:latest")
	path := filepath.Join(t.TempDir(), "workflow.yml")
	write(t, path, forAct(read(t, "examples/"+example+"/workflow.yml")))
	return e.workflow(t, "../../..", path)
}

// forAct is a workflow without what act refuses to read: the key `queue` of a concurrency group.
func forAct(workflow string) string {
	return regexp.MustCompile(`(?m)^ *queue: max\n`).ReplaceAllString(workflow, "")
}

func (e engine) workflow(t *testing.T, folder, path string) *workflow {
	t.Helper()
	program := demand(t, "ACT", "install act and set it to its path")
	runner := demand(t, "RUNNER_IMAGE", "set it to an image with bash, jq and tail in which a job's steps can run")
	services, err := emulator.Start(emulator.Options{Dir: t.TempDir(), Vaults: []string{vaultName}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { services.Close() })
	return &workflow{engine: e, program: program, runner: runner, folder: folder, path: path, services: services}
}

// newConsumer is an example that says `uses: OWNER/keyvault-passwords@v1`, in a repository of its own, its files where
// its text says to put them; others of that repository are named with their text. What the tag v1 holds is an
// action.yml that names an image, as a release's does.
func newConsumer(t *testing.T, example string, files map[string]string) *workflow {
	t.Helper()
	e := newEngine(t)
	repository, release := t.TempDir(), t.TempDir()
	write(t, filepath.Join(release, "action.yml"), strings.Replace(read(t, "action.yml"), "image: Dockerfile",
		"image: docker://"+e.image, 1))
	write(t, filepath.Join(repository, ".github/workflows/passwords.yml"),
		forAct(read(t, "examples/"+example+"/workflow.yml")))
	for name, text := range files {
		write(t, filepath.Join(repository, name), text)
	}
	for _, arguments := range [][]string{{"init", "--quiet"}, {"add", "."},
		{"-c", "user.name=octocat", "-c", "user.email=octocat@example.com", "commit", "--quiet",
			"--message=passwords"}} {
		if out, err := exec.Command("git",
			append([]string{"-C", repository}, arguments...)...).CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", arguments[0], err, out)
		}
	}
	w := e.workflow(t, repository, ".github/workflows/passwords.yml")
	w.options = []string{"--local-repository", "OWNER/keyvault-passwords@v1=" + release}
	return w
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// run runs the workflow for an event (push, schedule, workflow_dispatch with inputs NAME=VALUE) and returns act's log.
func (w *workflow) run(t *testing.T, event string, inputs ...string) string {
	t.Helper()
	var options []string
	for _, input := range inputs {
		options = append(options, "--input", input)
	}
	log, err := w.try(t, event, options...)
	if err != nil {
		t.Fatalf("act %s %s: %v\n%s", event, w.path, err, log)
	}
	return log
}

// try runs the workflow for an event, with further options of act's, and returns act's log. An error is that of a job
// that failed.
func (w *workflow) try(t *testing.T, event string, options ...string) (string, error) {
	t.Helper()
	folder := filepath.Dir(w.services.CAFile())
	environment := filepath.Join(t.TempDir(), "environment")
	w.runs++ // each is a workflow run of its own, which act would not say
	variables := []string{fmt.Sprint("GITHUB_RUN_ID=", w.runs)}
	if !w.fork {
		variables = append(variables, w.services.Environ()...)
	}
	write(t, environment, strings.Join(variables, "\n"))
	given := []string{"--var", "AZURE_TENANT_ID=" + emulator.DefaultTenant,
		"--var", "AZURE_CLIENT_ID=" + emulator.DefaultClient, "--var", "VAULT=" + vaultName}
	if w.fork {
		given = nil
	}
	arguments := slices.Concat([]string{event, "--workflows", w.path, "--platform", "ubuntu-latest=" + w.runner, "--rm",
		"--pull=false", "--rebuild=false", "--action-offline-mode", "--no-cache-server", "--container-daemon-socket",
		"-",
		"--env-file", environment, "--container-options", "-v " + folder + ":" + folder + ":ro" + w.mounts}, given, w.options,
		options)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, w.program, arguments...)
	cmd.Dir = w.folder
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // act then removes its containers
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &failed) || ctx.Err() != nil ||
		!strings.Contains(log.String(), "Job failed")) {
		t.Fatalf("act %s %s: %v\n%s", event, w.path, err, log.String())
	}
	if !w.fork { // else nothing was sent that could leak
		checkSilence(t, w.services, map[string]string{"act's log": log.String()})
	}
	return log.String(), err
}

// echoed returns what a step of a job printed after a text, once.
func echoed(t *testing.T, log, job, text string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\[[^\]]*/`+job+`\s*\]\s*\| `+regexp.QuoteMeta(text)+
		`(.*)$`).FindAllStringSubmatch(log, -1)
	if len(found) != 1 {
		t.Fatalf("job %s printed %q %d times, want once\n%s", job, text, len(found), log)
	}
	return strings.TrimSpace(found[0][1])
}

// changed are the names, sorted, whose current version differs between two states of the vault.
func changed(before, after map[string]string) []string {
	var names []string
	for name, version := range after {
		if before[name] != version {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func decode[T any](t testing.TB, text string) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("output %q: %v", text, err)
	}
	return value
}

// jobs counts the jobs that act says succeeded.
func jobs(log string) int { return strings.Count(log, "Job succeeded") }

// azure stands in for Azure/login, which the first job of a bootstrap uses: it puts an `az` into the path that tells of
// an identity. Nothing in a container of act's can make the environment itself, so the test does.
func azure(t *testing.T, w *workflow) {
	t.Helper()
	const action = `name: login
description: A stand-in
inputs: {tenant-id: {description: x}, client-id: {description: x}, subscription-id: {description: x}}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        mkdir -p "$RUNNER_TEMP/az"
        printf '#!/bin/sh\necho "az $*" >&2\necho CLIENT\n' > "$RUNNER_TEMP/az/az"
        chmod +x "$RUNNER_TEMP/az/az"
        echo "$RUNNER_TEMP/az" >> "$GITHUB_PATH"
`
	folder := t.TempDir()
	write(t, filepath.Join(folder, "action.yml"), strings.Replace(action, "CLIENT", emulator.DefaultClient, 1))
	pinned := regexp.MustCompile(`Azure/login@[0-9a-f]{40}`).FindString(read(t, "examples/bootstrap/workflow.yml"))
	w.options = append(w.options, "--local-repository", pinned+"="+folder, "--var", "RESOURCE_GROUP=rg-app")
}

// A new environment gets its passwords, though the role is seen only after the action was refused for want of it; a
// later step and, since nothing is masked, another job receive the outputs. Run again, the workflow changes nothing.
func TestWorkflowBootstrap(t *testing.T) {
	w := newWorkflow(t, "bootstrap")
	azure(t, w)
	w.services.Revoke("", "")
	go func() {
		for w.services.Requests()["versions"] == 0 && t.Context().Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
		w.services.Grant("", vaultName, emulator.SetSecret, emulator.ReadMetadata)
	}()
	log := w.run(t, "push")
	if !strings.Contains(log, "waiting for access, up to 10m0s: vault "+vaultName) ||
		!strings.Contains(log, "| access after 5s: vault "+vaultName) {
		t.Errorf("the action did not wait for the role:\n%s", log)
	}
	first := stored(w.services)
	if len(first) < 2 {
		t.Fatalf("the vault holds %d secrets\n%s", len(first), log)
	}
	for _, place := range [][2]string{{"passwords", "the vault now holds: "}, {"deploy", "deploying with "}} {
		if got := decode[map[string]string](t, echoed(t, log, place[0], place[1])); len(changed(got, first)) != 0 ||
			len(got) != len(first) {
			t.Errorf("job %s got %q, the vault holds %q", place[0], got, first)
		}
	}
	if !strings.Contains(log, `az deployment group create --resource-group rg-app --template-file `+
		`examples/setup/main.bicep --parameters vaultName=`+vaultName+` subjects=["repo:`) {
		t.Errorf("az is called in another way:\n%s", log)
	}
	log = w.run(t, "workflow_dispatch")
	if got := changed(first, stored(w.services)); len(got) != 0 {
		t.Errorf("a second run made new versions of %q\n%s", got, log)
	}
	if got := echoed(t, log, "passwords", "new versions of: "); got != "[]" {
		t.Errorf("the second run's output changed is %s, want []", got)
	}
	if got := w.services.Requests()["get"]; got != 0 {
		t.Errorf("values were asked for %d times", got)
	}
}

// A pull request from a fork has no token and no variables: its declaration is checked, and nobody is contacted. A
// mistake fails the job and stands on its line.
func TestWorkflowPullRequest(t *testing.T) {
	w := newWorkflow(t, "pull-request")
	w.fork = true
	log := w.run(t, "pull_request")
	for _, want := range []string{
		"sql-admin-password  kv-app-prod  azure-sql  32 characters", "2 secrets: the declaration is sound",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("%q is not in the log:\n%s", want, log)
		}
	}
	broken := newConsumer(t, "pull-request", map[string]string{
		"examples/pull-request/passwords.yml": "vault: kv-app-prod\nsecrets:\n  a-secret: azure-sq\n",
	})
	write(t, filepath.Join(broken.folder, broken.path), strings.ReplaceAll(
		read(t, "examples/pull-request/workflow.yml"), "uses: ./ ", "uses: OWNER/keyvault-passwords@v1 "))
	broken.fork = true
	log, err := broken.try(t, "pull_request")
	if err == nil || !strings.Contains(log, "file=examples/pull-request/passwords.yml,line=3") &&
		!strings.Contains(log, "examples/pull-request/passwords.yml:3:") {
		t.Errorf("act: %v; want a failure with the line of the mistake:\n%s", err, log)
	}
	for _, w := range []*workflow{w, broken} {
		if got := w.services.Requests(); len(got) != 0 {
			t.Errorf("requests: %v", got)
		}
	}
}

// The weekly rotation, with the clock moved between its runs: what is due gets a new version, nothing else does. For an
// incident, `force` on one name.
func TestWorkflowRotation(t *testing.T) {
	w := newWorkflow(t, "rotation")
	const restart = "restart the readers of "
	all := []string{"redis-password", "session-signing-key", "sql-admin-password"}
	state := stored(w.services)
	for _, round := range []struct {
		name   string
		after  time.Duration
		event  string
		inputs []string
		want   []string
	}{
		{"first", 0, "schedule", nil, all},
		{"a week later", 7 * 24 * time.Hour, "schedule", nil, nil},
		{"a month old", 24 * 24 * time.Hour, "schedule", nil, []string{"session-signing-key"}},
		{"two months old", 31 * 24 * time.Hour, "schedule", nil, all},
		{"an incident", time.Hour, "workflow_dispatch", []string{"mode=force", "only=redis-*"},
			[]string{"redis-password"}},
	} {
		w.services.Advance(round.after)
		log := w.run(t, round.event, round.inputs...)
		now := stored(w.services)
		if got := changed(state, now); !slices.Equal(got, round.want) {
			t.Fatalf("%s: new versions of %q, want %q\n%s", round.name, got, round.want, log)
		}
		if ran := strings.Contains(log, "| "+restart); ran != (len(round.want) > 0) {
			t.Fatalf("%s: the step that restarts the readers ran: %t\n%s", round.name, ran, log)
		}
		for name, version := range now {
			if strings.Contains(restartLine(log, restart), version) {
				t.Errorf("%s: the version of %s is readable in a later step", round.name, name)
			}
		}
		state = now
	}
}

func restartLine(log, text string) string {
	_, rest, _ := strings.Cut(log, "| "+text)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// One declaration, an environment after the other. act knows no environments' variables, so that all three name the
// same vault here: the first makes its secrets, the others find them.
func TestWorkflowEnvironments(t *testing.T) {
	w := newConsumer(t, "environments",
		map[string]string{".github/passwords.yml": read(t, "examples/environments/passwords.yml")})
	log := w.run(t, "workflow_dispatch")
	if got := jobs(log); got != 3 {
		t.Errorf("%d jobs succeeded, want 3\n%s", got, log)
	}
	if held, sets := stored(w.services), w.services.Requests()["set"]; len(held) != 2 || sets != 2 {
		t.Errorf("%d secrets stored by %d sets, want 2 by 2\n%s", len(held), sets, log)
	}
}

// The matrix is made from the list; each vault gets values of its own, one of them in another cloud and tenant.
func TestWorkflowFleet(t *testing.T) {
	w := newConsumer(t, "fleet", map[string]string{
		".github/passwords.yml": read(t, "examples/fleet/passwords.yml"),
		".github/fleet.json":    read(t, "examples/fleet/fleet.json"),
	})
	var list []struct {
		Vault  string
		Tenant string `json:"tenant-id"`
		Client string `json:"client-id"`
	}
	if err := json.Unmarshal([]byte(read(t, "examples/fleet/fleet.json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		host := strings.Trim(strings.TrimPrefix(entry.Vault, "https://"), "/")
		name, domain, _ := strings.Cut(host, ".")
		w.services.AddVault(emulator.VaultOptions{Name: name, Domain: domain, Tenant: entry.Tenant})
		if entry.Client != "" {
			w.services.Trust(emulator.Credential{Tenant: entry.Tenant, Client: entry.Client})
			w.services.Grant(entry.Client, name, emulator.SetSecret, emulator.ReadMetadata)
		}
	}
	log := w.run(t, "schedule")
	if got, want := jobs(log), 1+len(list); got != want {
		t.Errorf("%d jobs succeeded, want %d\n%s", got, want, log)
	}
	vaults := map[string]int{}
	for _, held := range w.services.Holds() {
		vaults[held.Vault]++
	}
	values := slices.Compact(slices.Sorted(slices.Values(w.services.Values())))
	if len(vaults) != len(list) || len(values) != 2*len(list) {
		t.Errorf("%v secrets in vaults, %d values, want 2 in each of %d, no two the same\n%s", vaults, len(values),
			len(list), log)
	}
}

// A repository calls the organisation's workflow, and its next job gets the versions.
func TestWorkflowReusable(t *testing.T) {
	const caller = `
on: workflow_dispatch
jobs:
  passwords:
    uses: ./.github/workflows/passwords.yml
    with: {vault: ` + vaultName + `, client-id: ` + emulator.DefaultClient + `}
  use:
    needs: passwords
    runs-on: ubuntu-latest
    steps:
      - run: echo "the caller got $VERSIONS"
        env: {VERSIONS: "${{ needs.passwords.outputs.versions }}"}
`
	w := newConsumer(t, "reusable", map[string]string{
		".github/passwords.yml":        read(t, "examples/reusable/passwords.yml"),
		".github/workflows/caller.yml": caller,
	})
	w.path = ".github/workflows/caller.yml"
	log := w.run(t, "workflow_dispatch")
	got := decode[map[string]string](t, echoed(t, log, "use", "the caller got "))
	if want := stored(w.services); len(want) == 0 || len(changed(got, want)) != 0 || len(got) != len(want) {
		t.Errorf("the caller got %q, the vault holds %q\n%s", got, want, log)
	}
}
