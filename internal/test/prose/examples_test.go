package prose_test

import (
	"cmp"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ourselves is how the examples name this action; nobody's name is invented for its owner.
const ourselves = "OWNER/keyvault-passwords@v1"

// Every example has its three files; its declaration parses and its text is short.
func TestExamples(t *testing.T) {
	for _, workflow := range files(t, "examples/*/workflow.yml") {
		folder := path.Dir(workflow)
		t.Run(path.Base(folder), func(t *testing.T) {
			declare(t, "passwords.yml", read(t, path.Join(folder, "passwords.yml")))
			if lines := strings.Count(prose(read(t, path.Join(folder, "README.md"))), "\n"); lines > 25 {
				t.Errorf("README.md has %d lines of text; an example explains itself in about ten", lines)
			}
			if uses := read(t, workflow); !strings.Contains(uses, "uses: ./ ") &&
				!strings.Contains(uses, "uses: "+ourselves) {
				t.Error("the workflow does not use the action")
			}
		})
	}
}

// Every workflow passes actionlint, which checks the inputs and outputs of this action against action.yml where it is
// used as ./, and only there: so the examples are linted as if they stood in this repository.
func TestWorkflows(t *testing.T) {
	for _, file := range workflows(t) {
		t.Run(file, func(t *testing.T) { lint(t, read(t, file)) })
	}
}

// lint runs actionlint, a program of its own: as a library it needs another version of the YAML package that reads
// declarations. It is named by ACTIONLINT, as .ci/run does, or found in PATH.
func lint(t *testing.T, workflow string) {
	t.Helper()
	program, err := exec.LookPath(cmp.Or(os.Getenv("ACTIONLINT"), "actionlint"))
	if err != nil {
		if os.Getenv("ACTIONLINT") != "" {
			t.Fatal(err)
		}
		t.Skip("actionlint is not installed: go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")
	}
	dir := t.TempDir()
	write(t, dir, "action.yml", read(t, "action.yml"))
	write(t, dir, "Dockerfile", read(t, "Dockerfile"))
	write(t, dir, ".git/HEAD", "ref: refs/heads/main\n") // what actionlint takes for the top of the repository
	write(t, dir, ".github/workflows/workflow.yml", strings.ReplaceAll(workflow, "uses: "+ourselves, "uses: ./"))
	// actionlint looks for the entrypoint in the repository; it is in the image. It does not know the key `queue` of
	// 2026-05-07 yet: TestQueue looks at it instead.
	lint := exec.CommandContext(t.Context(), program, "-no-color", "-oneline", "-shellcheck=", "-pyflakes=",
		"-ignore", `file "/keyvault-passwords" does not exist .* "entrypoint" key`,
		"-ignore", `unexpected key "queue" for "concurrency" section`)
	lint.Dir = dir
	if out, err := lint.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// No description of action.yml holds an expression, not even one that shows how an output is used: the runner refuses
// the whole file. actionlint takes it.
func TestActionHoldsNoExpression(t *testing.T) {
	if strings.Contains(read(t, "action.yml"), "${{") {
		t.Error("action.yml has an expression, which no runner loads: write `steps.ID.outputs.NAME` without the braces")
	}
}

// A run that writes waits, and is dropped neither once it runs nor while it waits: by default GitHub keeps one run
// waiting in a group and cancels it for the next. What checks a commit gives way to the next commit's.
// https://github.blog/changelog/2026-05-07-github-actions-concurrency-groups-now-allow-larger-queues
func TestQueue(t *testing.T) {
	found := 0
	check := func(file string, group map[string]any) {
		if group == nil || group["cancel-in-progress"] == true && group["queue"] == nil {
			return
		}
		if found++; group["queue"] != "max" || group["cancel-in-progress"] != false {
			t.Errorf("%s: a run of the group %v may be dropped", file, group["group"])
		}
		for key := range group {
			if key != "group" && key != "queue" && key != "cancel-in-progress" {
				t.Errorf("%s: a concurrency group has no key %s", file, key)
			}
		}
	}
	type workflow struct {
		Concurrency map[string]any
		Jobs        map[string]struct{ Concurrency map[string]any }
	}
	checkAll := func(file, text string) {
		var w workflow
		parse(t, text, &w)
		check(file, w.Concurrency)
		for _, job := range w.Jobs {
			check(file, job.Concurrency)
		}
	}
	for _, file := range workflows(t) {
		checkAll(file, read(t, file))
	}
	for _, b := range blocks(read(t, "README.md")) {
		if b.language == "yaml" && strings.Contains(b.text, "concurrency:") {
			checkAll("README.md", b.text)
		}
	}
	if found < 8 {
		t.Errorf("%d groups: the check looks at less than there is", found)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever is not ours is named by a commit, with its version beside it, and is the same one everywhere.
func TestPins(t *testing.T) {
	uses := regexp.MustCompile(`(?m)^\s*(?:- )?uses: (\S+)(.*)$`)
	pinned := regexp.MustCompile(`^([^@]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	pins := map[string]string{}
	for _, file := range append(workflows(t), texts(t)...) {
		for _, found := range uses.FindAllStringSubmatch(read(t, file), -1) {
			name, whole := found[1], found[1]+found[2]
			if name == "./" || name == ourselves || strings.HasPrefix(name, "OWNER/") {
				continue
			}
			match := pinned.FindStringSubmatch(whole)
			if match == nil {
				t.Errorf("%s: %q is not pinned to a commit with its version in a comment", file, whole)
				continue
			}
			repository := strings.Join(strings.SplitN(match[1], "/", 3)[:2], "/")
			if was, ok := pins[repository]; ok && was != strings.TrimPrefix(whole, match[1]) {
				t.Errorf("%s: %s is pinned differently elsewhere", file, repository)
			}
			pins[repository] = strings.TrimPrefix(whole, match[1])
		}
	}
	if len(pins) == 0 {
		t.Error("nothing is pinned: the check looks at nothing")
	}
}

// The bases of the image are pinned by tag and digest, and any engine builds it, with or without BuildKit. What the
// image then says of itself, TestImageConfig holds.
func TestDockerfile(t *testing.T) {
	text := read(t, "Dockerfile")
	from := regexp.MustCompile(`(?m)^FROM +(.*)$`).FindAllStringSubmatch(text, -1)
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}( AS \w+)?$`)
	for _, base := range from {
		if !pinned.MatchString(base[1]) {
			t.Errorf("FROM %s is not pinned by tag and digest", base[1])
		}
	}
	if len(from) < 2 {
		t.Errorf("%d bases: the check looks at nothing", len(from))
	}
	for why, pattern := range map[string]string{
		"a parser directive":            `\A# *(syntax|escape|check) *=`,
		"what only BuildKit builds":     `(?m)^[A-Z].*(--(mount|chmod|platform|link|parents|exclude|network|security)\b|<<)`,
		"no place in this image":        `(?m)^(ADD|HEALTHCHECK|ONBUILD|SHELL|STOPSIGNAL) `,
		"only root may write the files": `(?m)^USER `,
		"no entrypoint through a shell": `(?m)^ENTRYPOINT [^\[]`,
	} {
		if found := regexp.MustCompile(pattern).FindString(text); found != "" {
			t.Errorf("the Dockerfile has %q: %s", found, why)
		}
	}
}

// The image has the CA roots where jobs name them in SSL_CERT_FILE, and Go reads them once. Where there is an engine,
// TestImageHasRoots looks into the image itself.
func TestDockerfileRoots(t *testing.T) {
	text := read(t, "Dockerfile")
	_, last, _ := strings.Cut(text, "\nFROM busybox")
	for why, pattern := range map[string]string{
		"the roots at their usual path":                  `(?m)^COPY --from=build /roots/ /$`,
		"another folder than the one that has the roots": `(?m)^ENV SSL_CERT_DIR=/usr/local/share/ca-certificates$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(last) {
			t.Errorf("the image lacks %s", why)
		}
	}
	dir := t.TempDir()
	write(t, dir, "etc/ssl/certs/ca-certificates.crt", "roots\n")
	recipe := regexp.MustCompile(`(?m)^RUN (mkdir -p /roots(?:.*\\\n)*.*)$`).FindStringSubmatch(text)
	if recipe == nil {
		t.Fatal("no instruction makes /roots")
	}
	script := strings.NewReplacer(" /roots", " "+dir+"/roots", " /etc", " "+dir+"/etc").Replace(recipe[1])
	if out, err := bash(t, script, dir); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, path := range []string{"etc/ssl/certs/ca-certificates.crt", "etc/ssl/cert.pem"} {
		if got, err := os.ReadFile(filepath.Join(dir, "roots", path)); err != nil || string(got) != "roots\n" {
			t.Errorf("/%s holds %q (%v)", path, got, err)
		}
	}
}

// A workflow has no permission that a job does not ask for, and leaves no token behind in the checkout.
func TestPermissions(t *testing.T) {
	for _, file := range workflows(t) {
		t.Run(file, func(t *testing.T) {
			text := read(t, file)
			var workflow struct {
				Permissions mapping
				Jobs        map[string]struct {
					Permissions    mapping
					TimeoutMinutes int `yaml:"timeout-minutes"`
					Steps          []struct {
						Uses string
						With map[string]any
					}
				}
			}
			parse(t, text, &workflow)
			if len(workflow.Permissions.Keys) > 0 || !strings.Contains(text, "\npermissions: {}\n") {
				t.Error("the workflow as a whole must have no permissions: jobs ask for theirs")
			}
			for name, job := range workflow.Jobs {
				if job.TimeoutMinutes == 0 {
					t.Errorf("job %s may run for six hours: it has no timeout-minutes", name)
				}
				for _, step := range job.Steps {
					checkout := strings.HasPrefix(step.Uses, "actions/checkout@")
					if keep, ok := step.With["persist-credentials"].(bool); checkout && (!ok || keep) {
						t.Errorf("job %s: the checkout keeps its token", name)
					}
					us := step.Uses == "./" || step.Uses == ourselves
					signsIn := us && step.With["mode"] != "check"
					if token := job.Permissions.Values["id-token"]; signsIn && token.Value != "write" {
						t.Errorf("job %s uses the action without id-token: write", name)
					} else if us && !signsIn && token.Value != "" {
						t.Errorf("job %s has a token for a check, which needs none", name)
					}
				}
			}
		})
	}
}
