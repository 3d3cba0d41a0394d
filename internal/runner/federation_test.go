package runner_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keyvault-passwords/internal/runner"
)

const (
	client   = "AAAAAAAA-0000-4000-8000-00000000000a"
	issuer   = "https://token.actions.githubusercontent.com"
	audience = "api://AzureADTokenExchange"
)

// asAz is set in the process that is a double of az: the file of what Azure has.
const asAz = "TEST_AZ"

func TestMain(m *testing.M) {
	if state := os.Getenv(asAz); state != "" {
		os.Exit(az(state, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A trust is one federated credential.
type trust struct {
	Name      string   `json:"name"`
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
}

// An azure is what the double of az keeps: the credentials of one identity, and those of one app registration.
type azure struct{ Identity, App []trust }

// az is a double of the az commands that the advice has. It refuses options that they do not have. As in Azure, the one
// for identities replaces a credential of the same name, and the one for app registrations answers a conflict.
func az(state string, args []string) (status int) {
	var a azure
	text, err := os.ReadFile(state)
	if err != nil || json.Unmarshal(text, &a) != nil {
		return 70
	}
	words, options := 0, map[string]string{}
	for words < len(args) && !strings.HasPrefix(args[words], "--") {
		words++
	}
	for i := words; i < len(args); i += 2 {
		if i+1 == len(args) || !strings.HasPrefix(args[i], "--") {
			return 2
		}
		options[args[i]] = args[i+1]
	}
	allowed := func(names ...string) bool {
		for name := range options {
			if !slices.Contains(names, name) {
				return false
			}
		}
		return len(options) == len(names)
	}
	var t trust
	into, replaces := &a.Identity, true
	switch command := strings.Join(args[:words], " "); command {
	case "identity list":
		query := options["--query"]
		want := "[?clientId=='" + strings.ToLower(client) + "'].[name, resourceGroup]"
		if !allowed("--query", "--output") || query != want {
			return 2
		}
		return 0
	case "identity federated-credential create":
		if !allowed("--identity-name", "--resource-group", "--name", "--issuer", "--subject", "--audiences") {
			return 2
		}
		t = trust{
			Name: options["--name"], Issuer: options["--issuer"], Subject: options["--subject"],
			Audiences: []string{options["--audiences"]},
		}
	case "ad app federated-credential create":
		if !allowed("--id", "--parameters") || json.Unmarshal([]byte(options["--parameters"]), &t) != nil {
			return 2
		}
		into, replaces = &a.App, false
	default:
		return 2
	}
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`).MatchString(t.Name) {
		return 3
	}
	for i, there := range *into {
		switch {
		case there.Name == t.Name && replaces:
			*into = slices.Delete(*into, i, i+1)
		case there.Name == t.Name, there.Issuer == t.Issuer && there.Subject == t.Subject:
			return 4 // a conflict
		}
	}
	*into = append(*into, t)
	text, err = json.Marshal(a)
	if err != nil || os.WriteFile(state, text, 0o600) != nil {
		return 70
	}
	return 0
}

// An advisor runs what the advice says.
type advisor struct{ state, bin string }

func newAdvisor(t *testing.T) *advisor {
	t.Helper()
	folder := t.TempDir()
	a := &advisor{state: filepath.Join(folder, "state"), bin: filepath.Join(folder, "bin")}
	script := "#!/bin/sh\nexec '" + os.Args[0] + "' \"$@\"\n"
	if err := os.Mkdir(a.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(a.bin, "az"), []byte(script), 0o700); err != nil { // #nosec G306 -- a program
		t.Fatal(err)
	}
	if err := os.WriteFile(a.state, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// follow runs each command of the advice, as it is printed, and returns what Azure has then.
func (a *advisor) follow(t *testing.T, advice string) azure {
	t.Helper()
	for line := range strings.Lines(advice) {
		if !strings.HasPrefix(line, "  az ") {
			continue
		}
		command := exec.Command("sh", "-c", line) // #nosec G204 -- what is tested
		command.Env = []string{"PATH=" + a.bin + ":" + os.Getenv("PATH"), asAz + "=" + a.state}
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	var has azure
	text, err := os.ReadFile(a.state)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &has); err != nil {
		t.Fatal(err)
	}
	return has
}

// advise returns the advice to a job with that subject and environment.
func advise(subject string, environment map[string]string) string {
	r := runner.New(func(name string) string { return environment[name] }, os.Stderr, nil)
	return r.TrustAdvice(runner.Claims{Issuer: issuer, Subject: subject, Audience: audience}, client)
}

// Who follows the advice for one subject after another has all of them trusted: no command replaces a credential.
func TestTrustAdviceReplacesNothing(t *testing.T) {
	subjects := []string{
		"repo:octo-org/octo-repo:environment:dev",
		"repo:octo-org/octo-repo:environment:prod",
		"repo:octo-org/octo-repo:ref:refs/heads/main",
		"repo:octo-org@123456/octo-repo@789:environment:prod",
		"repo:octo-org/octo-repo:environment:it's \"$HOME\" `id` %3A",
		"repo:octo-org/octo-repo:ref:refs/heads/main:job_workflow_ref:octo-org/x/.github/workflows/a@refs/tags/v1",
		"repository_owner_id:1:repository_id:2:environment:prod",
	}
	a := newAdvisor(t)
	for i, subject := range subjects {
		has := a.follow(t, advise(subject, nil))
		for _, all := range [][]trust{has.Identity, has.App} {
			var trusted []string
			for _, t := range all {
				trusted = append(trusted, t.Subject)
			}
			if !slices.Equal(trusted, subjects[:i+1]) {
				t.Fatalf("after the advice for %s, trusted are %q", subject, trusted)
			}
			if last := all[i]; last.Issuer != issuer || !slices.Equal(last.Audiences, []string{audience}) {
				t.Errorf("the credential for %s is for %+v", subject, last)
			}
		}
	}
}

// No trust is offered for a subject that does not stay or that is everybody's, but for an environment.
func TestTrustAdviceForPassingSubjects(t *testing.T) {
	const plain, immutable, unknown = "repo:acme/app", "repo:acme@1/app@2", ""
	event := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(event, []byte(`{"repository":{"default_branch":"main"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const sha = "5f1f2b3c4d5e6f708192a3b4c5d6e7f809112233"
	for _, tc := range []struct {
		repository, context string
		want                string
	}{
		{plain, "ref:refs/heads/gh-readonly-queue/main/pr-12-" + sha, "one merge only"},
		{immutable, "ref:refs/heads/gh-readonly-queue/main/pr-12-" + sha, "one merge only"},
		{plain, "ref:refs/tags/v1.2.3", "one tag only"},
		{plain, "ref:refs/heads/renovate/go-1.x", "one update"},
		{immutable, "ref:refs/heads/dependabot/go_modules/x-1.2.3", "one update"},
		{plain, "pull_request", "whoever opens it"},
		{immutable, "pull_request", "whoever opens it"},
		{plain, "ref:refs/pull/12/merge", "whoever opens it"},
		{plain, "ref:refs/heads/feature/x", "neither protected nor the default branch"},
		{unknown, "repository_owner_id:1:repository_id:2:pull_request", "whoever opens it"},
		{unknown, "repo:acme/app:ref:refs/tags/v1:job_workflow_ref:acme/x/.github/workflows/a.yml@refs/heads/main",
			"one tag only"},
	} {
		subject := strings.TrimPrefix(tc.repository+":"+tc.context, ":")
		t.Run(subject, func(t *testing.T) {
			advice := advise(subject, map[string]string{
				"GITHUB_REF_PROTECTED": "false", "GITHUB_REF": "refs/heads/feature/x", "GITHUB_EVENT_PATH": event,
			})
			if !strings.Contains(advice, tc.want) || !strings.Contains(advice, "environment: passwords") {
				t.Errorf("the advice is\n%s\nwant %q and an environment", advice, tc.want)
			}
			has := newAdvisor(t).follow(t, advice)
			var trusted []string
			for _, t := range slices.Concat(has.Identity, has.App) {
				trusted = append(trusted, t.Subject)
			}
			var want []string
			if tc.repository != unknown {
				want = []string{tc.repository + ":environment:passwords", tc.repository + ":environment:passwords"}
			}
			if !slices.Equal(trusted, want) {
				t.Errorf("trusted are %q; want %q", trusted, want)
			}
		})
	}
}

// A branch is offered where it is protected or the default one, or where the job's environment does not say.
func TestTrustAdviceForBranches(t *testing.T) {
	event := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(event, []byte(`{"repository":{"default_branch":"main"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	const ref, protected, path = "GITHUB_REF", "GITHUB_REF_PROTECTED", "GITHUB_EVENT_PATH"
	for _, tc := range []struct {
		name        string
		branch      string
		environment map[string]string
		offered     bool
	}{
		{"the default", "main", map[string]string{ref: "refs/heads/main", protected: "false", path: event}, true},
		{"protected", "x", map[string]string{ref: "refs/heads/x", protected: "true", path: event}, true},
		{"another than the job's", "x", map[string]string{ref: "refs/heads/y", protected: "false", path: event}, true},
		{"no event", "x", map[string]string{ref: "refs/heads/x", protected: "false"}, true},
		{"nothing known", "x", nil, true},
		{"neither", "x", map[string]string{ref: "refs/heads/x", protected: "false", path: event}, false},
	} {
		subject := "repo:octo-org/octo-repo:ref:refs/heads/" + tc.branch
		advice := advise(subject, tc.environment)
		if strings.Contains(advice, "--subject '"+subject+"'") != tc.offered {
			t.Errorf("%s: the advice is\n%s", tc.name, advice)
		}
	}
}

// The advice says which form the subject has.
func TestTrustAdviceNamesTheForm(t *testing.T) {
	const plain, immutable = "has the plain form", "has the immutable form"
	for subject, want := range map[string]string{
		"repo:octo-org/octo-repo:ref:refs/heads/main":          plain,
		"repo:octo-org/octo-repo:environment:a@1/b@2":          plain,
		"repo:octo-org@123456/octo-repo:pull_request":          plain,
		"repo:octo-org@123456/octo-repo@789:ref:refs/tags/v1":  immutable,
		"repo:octo-org@123456/octo-repo@x:ref:refs/heads/main": plain,
		"octo-org@123456/octo-repo@789:ref:refs/heads/main":    "another form than GitHub's own",
		"": "another form than GitHub's own",
	} {
		if text := advise(subject, nil); !strings.Contains(text, want) {
			t.Errorf("subject %q: %q is not in:\n%s", subject, want, text)
		}
	}
}
