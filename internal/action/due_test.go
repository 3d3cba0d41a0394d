package action

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/runner"
	"keyvault-passwords/internal/test/emulator"
)

// direct answers requests without a network.
type direct struct{ http.Handler }

// RoundTrip implements [http.RoundTripper].
func (d direct) RoundTrip(request *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	asked := httptest.NewRequestWithContext(request.Context(), request.Method, request.URL.String(), request.Body)
	asked.Header = request.Header
	d.ServeHTTP(recorder, asked)
	response := recorder.Result()
	response.Request = request
	return response, nil
}

// declaredRun returns a run that has read its inputs and its declaration, as [Action.Main] makes it.
func declaredRun(t *rapid.T, e *emulator.Emulator, workspace string, inputs map[string]string) *run {
	env := map[string]string{
		"GITHUB_WORKSPACE": workspace, "GITHUB_REPOSITORY": emulator.DefaultRepository, "GITHUB_RUN_ID": "7",
		"AZURE_TENANT_ID": emulator.DefaultTenant, "AZURE_CLIENT_ID": emulator.DefaultClient, "INPUT_MODE": "audit",
	}
	for _, variable := range e.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	for name, value := range inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	var log strings.Builder
	r := &run{start: time.Now(), client: network.NewClient(direct{e.Handler()}, nil)}
	r.runner = runner.New(func(name string) string { return env[name] }, &log, r.client)
	in, mistakes := readInputs(r.runner)
	r.inputs = in
	if err := r.declare(context.Background(), mistakes); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return r
}

const day = 24 * time.Hour

// drawDeclaration returns the secrets of a declaration, for the input of that name.
func drawDeclaration(t *rapid.T) string {
	var text strings.Builder
	for i := range rapid.IntRange(1, 5).Draw(t, "secrets") {
		fields := []string{"policy: " + rapid.SampledFrom([]string{"default", "hex-256"}).Draw(t, "policy")}
		rotate := []string{}
		if rapid.Bool().Draw(t, "expires") {
			fields = append(fields, "expires: 90d")
			if rapid.Bool().Draw(t, "before-expiry") {
				rotate = append(rotate, "before-expiry: 14d")
			}
		}
		if rapid.Bool().Draw(t, "after") {
			rotate = append(rotate, "after: 60d")
		}
		if rapid.Bool().Draw(t, "on-policy-change") {
			rotate = append(rotate, "on-policy-change: true")
		}
		if len(rotate) > 0 {
			fields = append(fields, "rotate: {"+strings.Join(rotate, ", ")+"}")
		}
		vaults := rapid.SampledFrom([]string{"[a]", "[b]", "[a, b]", "[b, a]"}).Draw(t, "vaults")
		fmt.Fprintf(&text, "  s%d: {%s, vaults: %s}\n", i, strings.Join(fields, ", "), vaults)
	}
	return text.String()
}

// drawPasts puts versions into the vaults, of declared names and of others.
func drawPasts(t *rapid.T, e *emulator.Emulator) {
	for _, vault := range []string{"kv-a", "kv-b"} {
		for i := range 7 {
			name := fmt.Sprintf("S%d", i)
			managed := rapid.IntRange(0, 9).Draw(t, "managed") == 0
			ages := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{100 * day, 80 * day, 61 * day, day}), 0, 3).Draw(t,
				"ages")
			for _, age := range ages {
				created := e.Now().Add(-age)
				p := emulator.Plant{
					Created: created, Managed: managed, Disabled: rapid.IntRange(0, 5).Draw(t, "disabled") == 0,
					Tags: map[string]string{
						"generated-by": "keyvault-passwords",
						"operation":    rapid.SampledFrom([]string{"x", "y"}).Draw(t, "operation"),
						"policy": rapid.SampledFrom([]string{"default@ebb64fbfb647", "other@ff"}).Draw(t,
							"policy"),
					},
				}
				if rapid.IntRange(0, 4).Draw(t, "theirs") == 0 {
					p.Tags = map[string]string{"owner": "somebody"}
				}
				if rapid.Bool().Draw(t, "with an expiry") {
					p.Expires = created.Add(90 * day)
				}
				if _, err := e.Put(vault, name, p); err != nil {
					t.Fatal(err)
				}
			}
			if len(ages) > 0 && rapid.IntRange(0, 7).Draw(t, "deleted") == 0 {
				if err := e.Remove(vault, name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// For any vaults and any declaration, what an audit lists as due is exactly what a plan of mode rotate would write,
// which asks the vaults itself.
func TestDueIsWhatRotateWouldWrite(t *testing.T) {
	due, workspace := 0, t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		e := emulator.New(emulator.Options{Vaults: []string{"kv-a", "kv-b"}})
		drawPasts(t, e)
		declared := "vaults:\n  a: {name: kv-a}\n  b: {name: kv-b}\nsecrets:\n" + drawDeclaration(t)
		if err := os.WriteFile(filepath.Join(workspace, "passwords.yml"), []byte(declared), 0o600); err != nil {
			t.Fatal(err)
		}
		r := declaredRun(t, e, workspace, map[string]string{
			"file": "passwords.yml", "adopt": fmt.Sprint(rapid.Bool().Draw(t, "adopt")),
			"recover-deleted": fmt.Sprint(rapid.Bool().Draw(t, "recover-deleted")),
		})
		clients, err := r.clients()
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		surveys := r.survey(ctx, clients.lists)
		listed, err := r.rotation(ctx, surveys)
		if err != nil {
			t.Fatal(err)
		}
		if surveys[0].listError != nil {
			t.Fatal(surveys[0].listError)
		}
		got := audit.Judge(r.auditInput(surveys, listed, keysOf(listed))).Due
		o := r.options()
		o.Mode = provision.ModeRotate
		plan, err := provision.MakePlan(ctx, r.secrets, clients.vaults, o)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i, key := range keysOf(plan) {
			if plan.Steps[i].Change.Writes() {
				want = append(want, key)
			}
		}
		due += len(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("due (-what rotate would write +what the audit lists):\n%s", diff)
		}
		for _, name := range []string{"set", "update", "delete", "recover", "get"} {
			if n := e.Requests()[name]; n != 0 {
				t.Fatalf("%d requests %s", n, name)
			}
		}
		if sorted := slices.Clone(got); len(slices.Compact(sorted)) != len(got) {
			t.Fatalf("a name is due twice: %q", got)
		}
	})
	if due == 0 {
		t.Error("nothing was ever due")
	}
}
