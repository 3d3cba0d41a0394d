package prose_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What an event names is taken where it is a secret's name and the vault is the workflow's own. Whatever else it says
// ends the job, and is neither an output nor run.
func TestNearExpiryName(t *testing.T) {
	const file = "examples/near-expiry/workflow.yml"
	for _, test := range []struct {
		name, from, vault string
		taken             bool
	}{
		{"redis-password", "kv-app-prod", "kv-app-prod", true},
		{"Redis-Password", "KV-App-Prod", "kv-app-prod", true},
		{"redis-password", "kv-app-prod", "https://kv-app-prod.vault.azure.net/", true},
		{strings.Repeat("a", 127), "kv-app-prod", "kv-app-prod", true},
		{strings.Repeat("a", 128), "kv-app-prod", "kv-app-prod", false},
		{"", "kv-app-prod", "kv-app-prod", false},
		{"*", "kv-app-prod", "kv-app-prod", false},
		{"[a-z]*", "kv-app-prod", "kv-app-prod", false},
		{"redis-password\nsql-admin-password", "kv-app-prod", "kv-app-prod", false},
		{"redis-password\n", "kv-app-prod", "kv-app-prod", false},
		{`$(touch ran)`, "kv-app-prod", "kv-app-prod", false},
		{`"; touch ran; "`, "kv-app-prod", "kv-app-prod", false},
		{"a]] || touch ran || [[ a", "kv-app-prod", "kv-app-prod", false},
		{"kv-app-prod/redis-password", "kv-app-prod", "kv-app-prod", false},
		{"pässword", "kv-app-prod", "kv-app-prod", false},
		{"redis-password", "kv-other", "kv-app-prod", false},
		{"redis-password", "*", "kv-app-prod", false},
		{"redis-password", "", "", false},
		{"redis-password", "$(touch ran)", "kv-app-prod", false},
	} {
		dir := t.TempDir()
		write(t, dir, "output", "")
		out, err := bash(t, script(t, file, "event"), dir, "NAME="+test.name, "FROM="+test.from, "VAULT="+test.vault,
			"LC_ALL=C", "GITHUB_OUTPUT="+filepath.Join(dir, "output"))
		if (err == nil) != test.taken {
			t.Errorf("%q of %q: %v\n%s", test.name, test.from, err, out)
		}
		want := ""
		if test.taken {
			want = "name=" + test.name + "\n"
		}
		if got, err := os.ReadFile(filepath.Join(dir, "output")); err != nil || string(got) != want {
			t.Errorf("%q of %q: the outputs are %q (%v), want %q", test.name, test.from, got, err, want)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Errorf("%q of %q was run", test.name, test.from)
		}
	}
}

// No expression stands in a script: what an event says reaches it through the environment alone.
func TestScriptsHoldNoExpression(t *testing.T) {
	for _, file := range files(t, "examples/*/workflow.yml") {
		var workflow struct {
			Jobs map[string]struct{ Steps []struct{ Run string } }
		}
		parse(t, read(t, file), &workflow)
		for name, job := range workflow.Jobs {
			for _, step := range job.Steps {
				if strings.Contains(step.Run, "${{") {
					t.Errorf("%s: a script of the job %s has an expression in it", file, name)
				}
			}
		}
	}
}

// Each secret of the example is due when the event comes, 30 days before its expiry: a rotation that found it not due
// would keep it, and no other event follows.
func TestNearExpiryIsDue(t *testing.T) {
	var declaration struct {
		Secrets map[string]struct {
			Expires string
			Rotate  struct {
				BeforeExpiry string `yaml:"before-expiry"`
			}
		}
	}
	parse(t, read(t, "examples/near-expiry/passwords.yml"), &declaration)
	if len(declaration.Secrets) == 0 {
		t.Fatal("the example declares nothing")
	}
	for name, secret := range declaration.Secrets {
		if days(t, secret.Rotate.BeforeExpiry) <= 30*24*time.Hour || secret.Expires == "" {
			t.Errorf("%s expires after %q and is due %q before", name, secret.Expires, secret.Rotate.BeforeExpiry)
		}
	}
}

func days(t *testing.T, text string) time.Duration {
	t.Helper()
	number, isDays := strings.CutSuffix(text, "d")
	hours, err := time.ParseDuration(number + "h")
	if !isDays || err != nil {
		t.Fatalf("%q is not a number of days (%v)", text, err)
	}
	return 24 * hours
}
