package identity_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/runner"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// with runs f in a bubble with a credential of an emulator's job.
func with(t *testing.T, o emulator.Options, f func(t *testing.T, e *emulator.Emulator, c *identity.Credential)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(o)
		network := job.NewNetwork(e)
		defer network.Close()
		client := &http.Client{Transport: network, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		job := map[string]string{}
		for _, pair := range e.Environ() {
			name, value, _ := strings.Cut(pair, "=")
			job[name] = value
		}
		r := runner.New(func(name string) string { return job[name] }, t.Output(), client)
		c, err := identity.New(identity.Config{Cloud: azure.Public(), TenantID: emulator.DefaultTenant, ClientID: emulator.DefaultClient,
			Audience: azure.Public().Audience, IDToken: r.IDToken, HTTP: client})
		if err != nil {
			t.Fatal(err)
		}
		f(t, e, c)
	})
}

var vault = policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}, TenantID: emulator.DefaultTenant, EnableCAE: true}

// What passes by itself is waited out, each time with a new ID token where one is presented.
func TestPassingFaultsAreSurvived(t *testing.T) {
	for _, tc := range []struct {
		name      string
		fault     emulator.Fault
		oidc      int // ID tokens asked for
		tokenPost int
	}{
		{"nothing", emulator.Fault{}, 1, 1},
		{"federated credential missed once", emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213"}, 2, 2},
		{"and three times", emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213", Times: 3}, 4, 4},
		{"issuer missed", emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700211"}, 2, 2},
		{"older wording", emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS70021"}, 2, 2},
		{"assertion expired", emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700024"}, 2, 2},
		{"empty answer", emulator.Fault{Operation: "token", Kind: emulator.Empty}, 2, 2},
		{"503 of Entra", emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 503}, 1, 2},
		{"429 of Entra", emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 429, RetryAfter: "3"}, 1, 2},
		{"503 of GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 503}, 2, 1},
		{"429 of GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 429}, 2, 1},
		{"cut by GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Cut, Times: 3}, 4, 1},
		{"empty token of GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.EmptyValue, Times: 2}, 3, 1},
		{"slow GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Slow, Delay: time.Minute}, 2, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, emulator.Options{}, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
				if tc.fault.Kind != "" {
					e.Fault(tc.fault)
				}
				token, err := c.GetToken(t.Context(), vault)
				if err != nil || token.Token == "" {
					t.Fatalf("GetToken: %v; want a token", err)
				}
				if got := e.Requests(); got["oidc"] != tc.oidc || got["token"] != tc.tokenPost {
					t.Errorf("%d ID tokens and %d token requests; want %d and %d", got["oidc"], got["token"], tc.oidc, tc.tokenPost)
				}
			})
		})
	}
}

// What lasts is explained within 30 s, in words that hold no token.
func TestRefusalsAreExplained(t *testing.T) {
	const sub = "subject  repo:octo-org/octo-repo:ref:refs/heads/main"
	for _, tc := range []struct {
		name  string
		o     emulator.Options
		fault emulator.Fault
		code  int
		want  []string
	}{
		{"no federated credential", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213", Times: -1}, 700213,
			[]string{sub, "issuer   https://token.actions.githubusercontent.com", "audience api://AzureADTokenExchange", "az identity federated-credential create",
				"az ad app federated-credential create --id " + emulator.DefaultClient, "this one is the plain form", "AADSTS700213"}},
		{"immutable subject", emulator.Options{ImmutableSubject: true}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213", Times: -1}, 700213,
			[]string{"subject  repo:octo-org@", "this one is the immutable form"}},
		{"letter case", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS7002138", Times: -1}, 7002138,
			[]string{"except for letter case", sub}},
		{"issuer", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700211", Times: -1}, 700211, []string{"for the issuer", sub}},
		{"audience", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700212", Times: -1}, 700212, []string{"for the audience", sub}},
		{"application", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700016", Times: -1}, 700016, []string{"no such application", "client-id"}},
		{"enterprise claim", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS7002381", Times: -1}, 7002381, []string{"enterprise claim"}},
		{"clock", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700024", Times: -1}, 700024, []string{"clock of the runner"}},
		{"unknown code", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS12345", Times: -1}, 12345, []string{"refused with status 401", "login.microsoftonline.com/error"}},
		{"empty for ever", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Empty, Times: -1}, 0, []string{"Entra answered without a token"}},
		{"Entra down", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 503, Times: -1}, 90033, []string{"out of order for the moment"}},
		{"Entra cut off", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Cut, Times: -1}, 0, []string{"cannot be reached"}},
		{"redirected", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Redirect, Times: -1}, 0, []string{"refused with status 307"}},
		{"Entra silent", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Slow, Delay: time.Hour, Times: -1}, 0, []string{"there was no answer in time"}},
		{"discovery silent", emulator.Options{}, emulator.Fault{Operation: "tenant-discovery", Kind: emulator.Slow, Delay: time.Hour, Times: -1}, 0, []string{"there was no answer in time"}},
		{"Entra wants a minute", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 429, RetryAfter: "60", Times: -1}, 90033, []string{"out of order"}},
		{"Entra floods", emulator.Options{}, emulator.Fault{Operation: "token", Kind: emulator.BigBody, Size: 3 << 20, Times: -1}, 0, []string{"what came was no HTTP answer"}},
		{"GitHub down", emulator.Options{}, emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 500, Times: -1}, 0, []string{"GitHub answered with status 500"}},
		{"GitHub refuses", emulator.Options{}, emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 401, Times: -1}, 0, []string{"GitHub answered with status 401"}},
		{"GitHub empty", emulator.Options{}, emulator.Fault{Operation: "oidc", Kind: emulator.EmptyValue, Times: -1}, 0, []string{"GitHub answered without a token"}},
		{"GitHub cut off", emulator.Options{}, emulator.Fault{Operation: "oidc", Kind: emulator.Cut, Times: -1}, 0, []string{"token service cannot be reached"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, tc.o, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
				e.Fault(tc.fault)
				start := time.Now()
				_, err := c.GetToken(t.Context(), vault)
				refusal, ok := errors.AsType[*identity.Error](err)
				if !ok {
					t.Fatalf("GetToken: %v; want an *identity.Error", err)
				}
				if refusal.Code != tc.code {
					t.Errorf("code %d; want %d", refusal.Code, tc.code)
				}
				for _, want := range tc.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q is not in: %v", want, err)
					}
				}
				for _, token := range e.Tokens() {
					if strings.Contains(err.Error(), token) {
						t.Error("the error holds a token")
					}
				}
				if strings.Contains(err.Error(), "api-version") {
					t.Error("the error holds a URL's query")
				}
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("it took %s; want at most 30 s", took)
				}
			})
		})
	}
}

// Those who ask at once share one request, and a token that is good is not asked for again.
func TestOneTokenForAll(t *testing.T) {
	with(t, emulator.Options{}, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := c.GetToken(t.Context(), vault); err != nil {
					t.Errorf("GetToken: %v", err)
				}
			})
		}
		wg.Wait()
		if n := e.Requests()["token"]; n != 1 {
			t.Errorf("%d token requests; want 1", n)
		}
		if err := c.Renew(); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second renewal, a moment later, is the same one
			if _, err := c.GetToken(t.Context(), vault); err != nil {
				t.Errorf("GetToken: %v", err)
			}
			if err := c.Renew(); err != nil {
				t.Fatal(err)
			}
		}
		if n := e.Requests()["token"]; n != 2 {
			t.Errorf("%d token requests after a renewal; want 2", n)
		}
	})
}

// The vault's challenge names its tenant; another one than ours is told without a request.
func TestAnotherTenantsVault(t *testing.T) {
	with(t, emulator.Options{}, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
		options := vault
		options.TenantID = "99999999-0000-4000-8000-000000000000"
		_, err := c.GetToken(t.Context(), options)
		if err == nil || !strings.Contains(err.Error(), "the vault belongs to tenant 99999999-0000-4000-8000-000000000000") || e.Requests()["token"] != 0 {
			t.Errorf("GetToken: %v after %d requests; want a refusal and none", err, e.Requests()["token"])
		}
		options.TenantID = "::error::x"
		if _, err := c.GetToken(t.Context(), options); err == nil || strings.Contains(err.Error(), "::error") {
			t.Errorf("GetToken: %v; want a refusal that does not repeat what is no tenant", err)
		}
	})
}

// A refusal that stayed is told to all who ask, and asked for once: eight vaults do not wait eight times.
func TestOneRefusalForAll(t *testing.T) {
	with(t, emulator.Options{}, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
		e.Fault(emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700213", Times: -1})
		start := time.Now()
		texts := make(chan string, 8)
		var wg sync.WaitGroup
		for range cap(texts) {
			wg.Go(func() {
				_, err := c.GetToken(t.Context(), vault)
				texts <- err.Error()
			})
		}
		wg.Wait()
		if took, n := time.Since(start), e.Requests()["token"]; took > 10*time.Second || n != 4 {
			t.Errorf("%d token requests in %s; want 4 in 7 s", n, took)
		}
		first := <-texts
		for range cap(texts) - 1 {
			if text := <-texts; text != first {
				t.Errorf("another refusal: %s", text)
			}
		}
		e.ClearFaults()
		if _, err := c.GetToken(t.Context(), vault); err == nil {
			t.Error("GetToken asks again at once")
		}
		time.Sleep(time.Minute)
		if _, err := c.GetToken(t.Context(), vault); err != nil {
			t.Errorf("GetToken a minute later: %v", err)
		}
	})
}
