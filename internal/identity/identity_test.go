package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/runner"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// with runs f in a bubble with a credential of an emulator's job.
func with(t *testing.T, o emulator.Options, f func(t *testing.T, e *emulator.Emulator, c *identity.Credential)) {
	t.Helper()
	waiting(t, o, 0, func(t *testing.T, e *emulator.Emulator, c *identity.Credential, _ *[]string) { f(t, e, c) })
}

// waiting is with, for a run that waits so long for access and tells of it in lines.
func waiting(t *testing.T, o emulator.Options, total time.Duration,
	f func(t *testing.T, e *emulator.Emulator, c *identity.Credential, lines *[]string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(o)
		transport := job.NewNetwork(e)
		defer transport.Close()
		client := network.NewClient(transport, nil)
		r := runner.New(e.Getenv, t.Output(), client)
		var lines []string
		c, err := identity.New(identity.Config{
			Access: access.New(t.Context(), total, func(line string) { lines = append(lines, line) }),
			Cloud:  azure.Public(), TenantID: emulator.DefaultTenant, ClientID: emulator.DefaultClient,
			Audience: azure.Public().Audience, HTTP: client, IDToken: r.IDToken,
			Advice: func(c identity.Claims) string {
				return fmt.Sprintf("advice for %s, %s, %s", c.Issuer, c.Subject, c.Audience)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, e, c, &lines)
	})
}

var vault = policy.TokenRequestOptions{
	Scopes: []string{"https://vault.azure.net/.default"}, TenantID: emulator.DefaultTenant, EnableCAE: true,
}

// aadsts is Entra's refusal with that code, as often as given.
func aadsts(code string, times int) emulator.Fault {
	return emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS" + code, Times: times}
}

// always is a fault at every request of that operation.
func always(operation string, kind emulator.Kind) emulator.Fault {
	return emulator.Fault{Operation: operation, Kind: kind, Times: -1}
}

// onTheWay is what happens once to the n-th connection: the first is to Entra, the second to GitHub.
func onTheWay(n int, kind emulator.Kind) emulator.Fault {
	return emulator.Fault{Operation: "connect", Kind: kind, Nth: n}
}

// lastingly makes a fault happen to every connection from there on.
func lastingly(f emulator.Fault) emulator.Fault {
	f.Times = -1
	return f
}

// refusing is a proxy that answers CONNECT with that status at the n-th connection.
func refusing(n, status int) emulator.Fault {
	return emulator.Fault{Operation: "connect", Kind: emulator.Status, Status: status, Nth: n}
}

// silent is a service that does not answer within an hour.
func silent(operation string) emulator.Fault {
	return emulator.Fault{Operation: operation, Kind: emulator.Slow, Delay: time.Hour, Times: -1}
}

// status is an answer with that status at every request of that operation.
func status(operation string, status int) emulator.Fault {
	return emulator.Fault{Operation: operation, Kind: emulator.Status, Status: status, Times: -1}
}

// Transient faults are waited out, each time with a new ID token where one is presented.
func TestTransientFaultsAreSurvived(t *testing.T) {
	for _, tc := range []struct {
		name      string
		fault     emulator.Fault
		oidc      int // ID tokens asked for
		tokenPost int
	}{
		{"nothing", emulator.Fault{}, 1, 1},
		{"federated credential missed once", aadsts("700213", 1), 2, 2},
		{"and three times", aadsts("700213", 3), 4, 4},
		{"issuer missed", aadsts("700211", 1), 2, 2},
		{"older wording", aadsts("70021", 1), 2, 2},
		{"assertion expired", aadsts("700024", 1), 2, 2},
		{"empty answer", emulator.Fault{Operation: "token", Kind: emulator.Empty}, 2, 2},
		{"503 of Entra", emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 503}, 1, 2},
		{"429 of Entra", emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 429, RetryAfter: "3"}, 1, 2},
		{"425 from in between", emulator.Fault{Operation: "token", Kind: emulator.Between, Status: 425}, 2, 2},
		{"522 from in between", emulator.Fault{Operation: "token", Kind: emulator.Between, Status: 522}, 2, 2},
		{"503 of GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 503}, 2, 1},
		{"429 of GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 429}, 2, 1},
		{"cut by GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.Cut, Times: 3}, 4, 1},
		{"empty token of GitHub", emulator.Fault{Operation: "oidc", Kind: emulator.EmptyValue, Times: 2}, 3, 1},
		{"Entra's name not resolved once", onTheWay(1, emulator.NoName), 1, 1},
		{"GitHub's name not resolved once", onTheWay(2, emulator.NoName), 1, 1},
		{"502 of the proxy to Entra", refusing(1, 502), 1, 1},
		{"429 of the proxy to GitHub", refusing(2, 429), 1, 1},
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
				oidc, tokenPost := e.Requests()["oidc"], e.Requests()["token"]
				if oidc != tc.oidc || tokenPost != tc.tokenPost {
					t.Errorf("%d ID tokens, %d token requests; want %d, %d", oidc, tokenPost, tc.oidc, tc.tokenPost)
				}
			})
		})
	}
}

// isClear are the codes after which another try is in vain.
var isClear = map[int]bool{
	53003: true, 530034: true, 50053: true, 7000112: true, 500011: true, 501051: true, 50105: true, 5000224: true,
	500021: true, 900382: true, 7000229: true, 500014: true, 530032: true, 700016: true, 7002138: true, 12345: true,
}

// What stays is explained within 30 s, in words that hold no token.
func TestRefusalsAreExplained(t *testing.T) {
	const (
		issuer   = "https://token.actions.githubusercontent.com"
		subject  = "repo:octo-org/octo-repo:ref:refs/heads/main"
		audience = "api://AzureADTokenExchange"
		shown    = "subject  " + subject
	)
	flood, minute := always("token", emulator.BigBody), status("token", 429)
	flood.Size, minute.RetryAfter = 3<<20, "60"
	plain, immutable := emulator.Options{}, emulator.Options{ImmutableSubject: true}
	for _, tc := range []struct {
		name  string
		o     emulator.Options
		fault emulator.Fault
		code  int
		want  []string
	}{
		{"no federated credential at all", plain, aadsts("70025", -1), 70025,
			[]string{"; check first that client-id (" + emulator.DefaultClient + ") is", shown}},
		{"no federated credential", plain, aadsts("700213", -1), 700213,
			[]string{
				"AADSTS700213", "; check first that client-id (" + emulator.DefaultClient + ") is",
				"issuer   " + issuer, shown, "audience " + audience,
				"to client ID " + emulator.DefaultClient,
				"advice for " + issuer + ", " + subject + ", " + audience,
			}},
		{"immutable subject", immutable, aadsts("700213", -1), 700213,
			[]string{"subject  repo:octo-org@", "advice for "}},
		{"letter case", plain, aadsts("7002138", -1), 7002138,
			[]string{"except for letter case", shown}},
		{"issuer", plain, aadsts("700211", -1), 700211, []string{"matches the issuer", shown}},
		{"audience", plain, aadsts("700212", -1), 700212, []string{"matches the audience", shown}},
		{"application", plain, aadsts("700016", -1), 700016, []string{"no such application", "client-id"}},
		{"Key Vault disabled in the tenant", plain, aadsts("500014", -1), 500014,
			[]string{"is disabled in the tenant"}},
		{"blocked by a security policy", plain, aadsts("530032", -1), 530032, []string{"security policy"}},
		{"Entra silent", plain, silent("token"), 0, []string{"there was no answer in time"}},
		{"discovery silent", plain, silent("tenant-discovery"), 0, []string{"there was no answer in time"}},
		{"Entra asks for a minute", plain, minute, 90033, []string{"temporarily unavailable"}},
		{"Entra floods", plain, flood, 0, []string{"the answer was not HTTP"}},
		{"Entra's name unknown", plain, lastingly(onTheWay(1, emulator.NoHost)), 0,
			[]string{"Entra at https://login.microsoftonline.com/ cannot be reached: there is no such host"}},
		{"Entra's name not resolved", plain, lastingly(onTheWay(1, emulator.NoName)), 0,
			[]string{"cannot be reached: the name could not be resolved: the name servers failed"}},
		{"GitHub's name not resolved", plain, lastingly(onTheWay(2, emulator.NoName)), 0,
			[]string{"GitHub's token service cannot be reached: the name could not be resolved"}},
		{"the proxy wants a password", plain, lastingly(refusing(1, 407)), 0,
			[]string{"answered 407 Proxy Authentication Required; set HTTPS_PROXY with the user name"}},
		{"the proxy refuses GitHub", plain, lastingly(refusing(2, 403)), 0,
			[]string{"GitHub's token service cannot be reached", "answered 403 Forbidden; check HTTPS_PROXY"}},
		{"GitHub down", plain, status("oidc", 500), 0, []string{"GitHub answered with status 500"}},
		{"GitHub refuses", plain, status("oidc", 401), 0, []string{"GitHub answered with status 401"}},
		{"GitHub empty", plain, always("oidc", emulator.EmptyValue), 0, []string{"GitHub answered without a token"}},
		{"GitHub cut off", plain, always("oidc", emulator.Cut), 0, []string{"token service cannot be reached"}},
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
				if n := e.Requests()["token"]; isClear[tc.code] && n != 1 {
					t.Errorf("%d token requests; want 1, since this does not pass", n)
				}
				if n := e.Requests()["connect"]; strings.Contains(err.Error(), " 407 ") && n != 1 {
					t.Errorf("%d connections; want one, since the refusal lasts", n)
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
		if n := e.Requests()["instance-discovery"]; n != 0 {
			t.Errorf("the authority, which is one of Azure's, was looked up %d times", n)
		}
	})
}

// The vault's challenge names its tenant; another one than ours is told without a request.
func TestAnotherTenantsVault(t *testing.T) {
	with(t, emulator.Options{}, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
		options := vault
		options.TenantID = "99999999-0000-4000-8000-000000000000"
		_, err := c.GetToken(t.Context(), options)
		requests, want := e.Requests()["token"], "the vault belongs to tenant "+options.TenantID
		if err == nil || !strings.Contains(err.Error(), want) || requests != 0 {
			t.Errorf("GetToken: %v after %d requests; want a refusal and none", err, requests)
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
		e.Fault(aadsts("700213", -1))
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
