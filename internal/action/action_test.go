package action_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// newJob is a job that declares one secret.
func newJob(t *testing.T, e *emulator.Emulator) *job.Job {
	t.Helper()
	j := job.New(e, t.TempDir())
	j.Input("vault="+emulator.DefaultVault, "secrets=a-secret: default")
	return j
}

// What is stored is not lost with the output file, nor with the log: each stands in for the other, and the run fails.
func TestNothingStoredIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		j := newJob(t, e)
		j.Stdout = &cutting{after: "created", cut: func() error { return os.Remove(j.Env["GITHUB_OUTPUT"]) }}
		if r, err := j.Run(t.Context(), network); err != nil || r.Status != action.StatusOK {
			t.Errorf("status %d, %v; a file that is unlinked while open can still be written", r.Status, err)
		}

		j = newJob(t, e)
		j.Input("mode=force")
		j.Stdout = &cutting{after: "created", fail: errors.New("no space left on device")}
		r, err := j.Run(t.Context(), network)
		if err != nil || r.Status != action.StatusFailed {
			t.Errorf("status %d, %v though the log was lost; want %d", r.Status, err, action.StatusFailed)
		}
		if got := r.Outputs.Get("changed"); got != `["a-secret"]` {
			t.Errorf("the outputs do not tell what was stored: changed is %q", got)
		}
	})
}

// unreachable is a network that no request may reach.
type unreachable struct{ t *testing.T }

// RoundTrip implements [http.RoundTripper].
func (u unreachable) RoundTrip(request *http.Request) (*http.Response, error) {
	u.t.Errorf("%s was contacted", request.URL.Host)
	return nil, errors.New("there is no network")
}

// A check contacts nothing, and needs neither an identity nor a vault, nor the permission to request an ID token. What
// has a meaning in other modes only is accepted.
func TestCheckContactsNothing(t *testing.T) {
	e := emulator.New(emulator.Options{})
	j := newJob(t, e)
	j.Set("ACTIONS_ID_TOKEN_REQUEST_URL=", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=", "AZURE_TENANT_ID=", "AZURE_CLIENT_ID=")
	j.Input("mode=check", "vault=", "dry-run=true", "adopt=true", "recover-deleted=true", "concurrency=3",
		"wait-for-access=1m")
	r, err := j.Run(t.Context(), unreachable{t})
	if err != nil || r.Status != action.StatusOK {
		t.Fatalf("status %d, %v:\n%s", r.Status, err, r.Log)
	}
	if got := e.Requests(); len(got) != 0 {
		t.Errorf("requests: %v", got)
	}
	if names, versions := r.Outputs.Get("names"), r.Outputs.Get("versions"); names != "[]" || versions != "{}" {
		t.Errorf("the outputs are not empty: %v", r.Outputs)
	}
	for _, want := range []string{"a-secret  -  default  32 characters  ", "1 secret: the declaration is sound"} {
		if !strings.Contains(r.Log, want) {
			t.Errorf("%q is not in the log:\n%s", want, r.Log)
		}
	}
	if strings.Contains(r.Log, "::add-mask::") {
		t.Error("a check masks names, though no output has one")
	}
}

// That the job may not request an ID token is told with the other mistakes, before any host is contacted, in each mode
// that signs in.
func TestMissingPermissionIsToldFirst(t *testing.T) {
	for _, mode := range []string{"ensure", "rotate", "force", "audit"} {
		for _, missing := range []string{"ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"} {
			j := newJob(t, emulator.New(emulator.Options{}))
			j.Set(missing + "=")
			j.Input("mode="+mode, "timeout=soon")
			r, err := j.Run(t.Context(), unreachable{t})
			if err != nil || r.Status != action.StatusFailed {
				t.Errorf("mode %s: status %d, %v", mode, r.Status, err)
			}
			for _, want := range []string{
				missing + " is not set: the job may not request an ID token; add to the job:",
				`input timeout: "soon"`, "2 errors; nothing was contacted",
			} {
				if !strings.Contains(r.Log, want) {
					t.Errorf("mode %s: %q is not in the log:\n%s", mode, want, r.Log)
				}
			}
		}
	}
}

// cutting is a log that fails, or does something, once it has seen a word.
type cutting struct {
	text  strings.Builder
	after string
	cut   func() error
	fail  error
}

func (c *cutting) Write(p []byte) (int, error) {
	c.text.Write(p)
	if c.fail != nil {
		return 0, c.fail
	}
	if c.cut != nil && strings.Contains(c.text.String(), c.after) {
		cut := c.cut
		c.cut = nil
		return len(p), cut()
	}
	return len(p), nil
}

// A run that was stopped before it began contacts no vault to write, and fails.
func TestStoppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := job.NewNetwork(e)
		defer network.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, err := newJob(t, e).Run(ctx, network)
		if err != nil || r.Status != action.StatusFailed || len(e.Holds()) != 0 {
			t.Errorf("status %d, %v with %d versions; want %d and none", r.Status, err, len(e.Holds()),
				action.StatusFailed)
		}
		if !strings.Contains(strings.ToLower(r.Log), "the run was stopped") {
			t.Errorf("the log does not say that the run was stopped:\n%s", r.Log)
		}
	})
}

// A run that was stopped fails, also where all that was in flight came to a good end: who stopped it shall not be told
// that it is done.
func TestStoppedWhileTheLastSecretIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		e.Fault(emulator.Fault{Operation: "set", Kind: emulator.Slow, Delay: time.Second})
		network := job.NewNetwork(e)
		defer network.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		r, err := newJob(t, e).Run(ctx, network)
		if err != nil || r.Status != action.StatusFailed || len(e.Holds()) != 1 {
			t.Errorf("status %d, %v with %d versions; want %d and the one in flight", r.Status, err, len(e.Holds()),
				action.StatusFailed)
		}
	})
}

// The timeout is the whole run's: a file that does not end, or a declaration that takes long to compile, ends with it,
// and the outputs are those of a run that did nothing.
func TestTimeoutWhileTheDeclarationIsRead(t *testing.T) {
	e := emulator.New(emulator.Options{})
	j := newJob(t, e)
	fifo := filepath.Join(j.Env["GITHUB_WORKSPACE"], "endless.yml")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip("no named pipes here: ", err)
	}
	j.Input("secrets=", "file=endless.yml", "timeout=100ms")
	r, err := j.Run(t.Context(), nil)
	if err != nil || r.Status != action.StatusFailed {
		t.Errorf("status %d, %v", r.Status, err)
	}
	const want = "reading the declaration: the run's timeout is over; check that the input file is a declaration"
	if !strings.Contains(r.Log, want) || r.Outputs.Get("names") != "[]" {
		t.Errorf("the log lacks %q, or the outputs are not empty: %v\n%s", want, r.Outputs, r.Log)
	}
	writer, err := os.OpenFile(fifo, os.O_WRONLY, 0) // ends the reading that was given up
	if err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
}

// An identity that signs in for vaults and for servers is told of once, with where: by name, or many by their number.
func TestOneSentenceForAnIdentity(t *testing.T) {
	const server = "/subscriptions/" + emulator.DefaultSubscription +
		"/resourceGroups/rg-example/providers/Microsoft.Sql/servers/"
	for _, test := range []struct {
		servers []string
		want    string
	}{
		{[]string{"sql-one"}, "for " + emulator.DefaultVault + ", sql-one ("},
		{[]string{"sql-one", "sql-two", "sql-three"}, "for 1 vault and 3 servers ("},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := emulator.New(emulator.Options{})
			network := job.NewNetwork(e)
			defer network.Close()
			j := newJob(t, e)
			secrets := "plain: default\n"
			for _, name := range test.servers {
				e.AddServer(emulator.ServerOptions{Name: name})
				secrets += name + ": {policy: azure-sql, login: sqladmin, apply: {azure: " + server + name + "}}\n"
			}
			j.Input("dry-run=true", "secrets="+secrets)
			r, err := j.Run(t.Context(), network)
			if err != nil || r.Status != action.StatusOK {
				t.Fatalf("status %d, %v:\n%s", r.Status, err, r.Log)
			}
			if n := strings.Count(r.Log, "Signed in to tenant"); n != 1 || !strings.Contains(r.Log, test.want) {
				t.Errorf("%d sentences; expected one with %q:\n%s", n, test.want, r.Log)
			}
		})
	}
}
