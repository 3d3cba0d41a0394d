package emulator_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/test/emulator"
)

// tokenForm is what the SDK sends to the token endpoint; changes replace members, "" takes one away.
func tokenForm(client, assertion string, changes map[string]string) string {
	form := map[string]string{
		"grant_type": "client_credentials", "scope": "https://vault.azure.net/.default openid offline_access profile",
		"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		"client_assertion":      assertion,
		"client_id":             client, "client_info": "1",
	}
	maps.Copy(form, changes)
	values := url.Values{}
	for key, value := range form {
		if value != "" {
			values.Set(key, value)
		}
	}
	return values.Encode()
}

// ask gets an ID token for an audience.
func (d direct) ask(audience string) string {
	d.t.Helper()
	return d.do(http.MethodGet, d.RequestURL()+"&audience="+url.QueryEscape(audience), d.RequestToken(), "").member(d.t,
		"value")
}

func TestEntraRefuses(t *testing.T) {
	const (
		public = "https://login.microsoftonline.com/"
		usgov  = "https://login.microsoftonline.us/"
		path   = "/oauth2/v2.0/token"
	)
	own := emulator.Credential{}
	for _, x := range []struct {
		name       string
		authority  string
		tenant     string
		client     string
		trust      *emulator.Credential // instead of the default; nil is none
		audience   string
		change     map[string]string
		wait       time.Duration
		tamper     func(string) string
		status     int
		oauth      string
		code       int
		start, has string
	}{
		{name: "another subject",
			trust:  &emulator.Credential{Subject: "repo:octo-org/octo-repo:environment:production"},
			status: 401,
			oauth:  "invalid_client",
			code:   700213,
			start: "AADSTS700213: No matching federated identity record found for presented assertion subject " +
				"'repo:octo-org/octo-repo:ref:refs/heads/main'."},
		{name: "a subject in another case",
			trust:  &emulator.Credential{Subject: "repo:Octo-Org/octo-repo:ref:refs/heads/main"},
			status: 401,
			oauth:  "invalid_client",
			code:   7002138,
			start:  "AADSTS7002138: ",
			has:    "The subject matches with case-insensitive comparison, but not with case-sensitive comparison."},
		{name: "another issuer",
			trust:  &emulator.Credential{Issuer: "https://token.actions.githubusercontent.com/octo"},
			status: 401,
			oauth:  "invalid_client",
			code:   700211,
			start: "AADSTS700211: No matching federated identity record found for presented assertion issuer " +
				"'https://token.actions.githubusercontent.com'."},
		{name: "another audience", trust: &emulator.Credential{Audience: "api://other"}, status: 401,
			oauth: "invalid_client", code: 700212,
			start: "AADSTS700212: No matching federated identity record found for presented assertion audience " +
				"'api://AzureADTokenExchange'."},
		{name: "an audience in another case", trust: &own, audience: "api://azureadtokenexchange", status: 401,
			oauth: "invalid_client", code: 700212},
		{name: "the audience of another cloud", authority: usgov, trust: &own, status: 401, oauth: "invalid_client",
			code: 700212},
		{name: "no credential at all", status: 401, oauth: "invalid_client", code: 70025},
		{name: "another application", trust: &own, client: "99999999-9999-4999-8999-999999999999", status: 400,
			oauth: "unauthorized_client", code: 700016,
			start: "AADSTS700016: Application with identifier '99999999-9999-4999-8999-999999999999' was not found " +
				"in the directory '"},
		{name: "a tenant that is not there", trust: &own, tenant: "99999999-9999-4999-8999-999999999999", status: 400,
			oauth: "invalid_request", code: 90002},
		{name: "a tenant that is none", trust: &own, tenant: "my_tenant", status: 400, oauth: "invalid_request",
			code: 900023,
			start: "AADSTS900023: Specified tenant identifier 'my_tenant' is neither a valid DNS name, nor a valid " +
				"external domain."},
		{name: "a token too old", trust: &own, wait: 5 * time.Minute, status: 401, oauth: "invalid_client",
			code: 700024,
			start: "AADSTS700024: Client assertion is not within its valid time range. Current time: " +
				"2000-01-01T00:05:00.0000000Z, assertion valid from 1999-12-31T23:50:00.0000000Z, expiry time of " +
				"assertion 2000-01-01T00:05:00.0000000Z."},
		{name: "a token just in time", trust: &own, wait: 5*time.Minute - time.Second, status: 200},
		{name: "a signature of nobody", trust: &own,
			tamper: func(s string) string { return s[:strings.LastIndex(s, ".")+1] + "AAAA" }, status: 401,
			oauth: "invalid_client", code: 5000811},
		{name: "an algorithm of nobody", trust: &own, tamper: unsigned, status: 401, oauth: "invalid_client",
			code: 5000811},
		{name: "no token", trust: &own, tamper: func(string) string { return "x.y.z" }, status: 401,
			oauth: "invalid_client", code: 50027},
		{name: "another grant", trust: &own, change: map[string]string{"grant_type": "password"}, status: 400,
			oauth: "unsupported_grant_type", code: 70003},
		{name: "another kind of assertion", trust: &own, change: map[string]string{"client_assertion_type": "saml"},
			status: 401, oauth: "invalid_client", code: 50027},
		{name: "no assertion", trust: &own, change: map[string]string{"client_assertion": ""}, status: 401,
			oauth: "invalid_client", code: 7000218},
		{name: "no application", trust: &own, change: map[string]string{"client_id": ""}, status: 400,
			oauth: "invalid_request", code: 900144},
		{name: "another resource", trust: &own,
			change: map[string]string{"scope": "https://graph.microsoft.com/.default"}, status: 400,
			oauth: "invalid_resource", code: 500011},
		{name: "no resource", trust: &own, change: map[string]string{"scope": "openid"}, status: 400,
			oauth: "invalid_scope", code: 1002012},
		{name: "all as it should be", trust: &own, status: 200},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := direct{emulator.New(emulator.Options{}), t}
				d.Distrust("")
				if x.trust != nil {
					d.Trust(*x.trust)
				}
				assertion := d.ask(or(x.audience, "api://AzureADTokenExchange"))
				if x.tamper != nil {
					assertion = x.tamper(assertion)
				}
				time.Sleep(x.wait)
				body := tokenForm(or(x.client, emulator.DefaultClient), assertion, x.change)
				v := d.do(http.MethodPost, or(x.authority, public)+or(x.tenant, emulator.DefaultTenant)+path, "", body)
				if v.status != x.status {
					t.Fatalf("answers %d, want %d", v.status, x.status)
				}
				if x.status == http.StatusOK {
					return
				}
				var got struct {
					Error        string `json:"error"`
					Description  string `json:"error_description"`
					Codes        []int  `json:"error_codes"`
					Timestamp    string
					Trace        string `json:"trace_id"`
					Correlation  string `json:"correlation_id"`
					DocumentedAt string `json:"error_uri"`
				}
				if err := json.Unmarshal([]byte(v.body), &got); err != nil {
					t.Fatal(err)
				}
				if got.Error != x.oauth || len(got.Codes) != 1 || got.Codes[0] != x.code {
					t.Errorf("answers %s %v, want %s [%d]", got.Error, got.Codes, x.oauth, x.code)
				}
				start := or(x.start, fmt.Sprintf("AADSTS%d: ", x.code))
				if !strings.HasPrefix(got.Description, start) || !strings.Contains(got.Description, x.has) {
					t.Errorf("says %q, want %q ... %q", got.Description, start, x.has)
				}
				if !strings.HasSuffix(got.Description, " Trace ID: "+got.Trace+" Correlation ID: "+
					got.Correlation+" Timestamp: "+got.Timestamp) {
					t.Errorf("ends otherwise than with its IDs: %q", got.Description)
				}
			})
		})
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// unsigned is the token with the algorithm "none", the oldest forgery.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		return "cannot be parsed"
	}
	forged, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		return "cannot be signed"
	}
	return forged + parts[2]
}

// TestDiscovery: what a client learns before it asks for a token.
func TestDiscovery(t *testing.T) {
	d := direct{emulator.New(emulator.Options{}), t}
	const public = "https://login.microsoftonline.com/"
	discover := public + "common/discovery/instance?api-version=1.1&authorization_endpoint="
	for _, x := range []struct {
		url    string
		status int
		has    []string
	}{
		{discover + public + "T/oauth2/v2.0/authorize", 200, []string{
			`"tenant_discovery_endpoint":"https://login.microsoftonline.com/T/v2.0/.well-known/openid-configuration"`,
			`{"aliases":["login.microsoftonline.com","login.windows.net","login.microsoft.com","sts.windows.net"],"preferred_cache":"login.windows.net","preferred_network":"login.microsoftonline.com"}`,
			`{"aliases":["login.chinacloudapi.cn","login.partner.microsoftonline.cn"],`}},
		{discover + "https://login.example/T/authorize", 400, []string{`"error":"invalid_instance"`,
			`"error_codes":[50049]`}},
		{public + "common/discovery/instance", 400, []string{`"error":"invalid_instance"`}},
		{public + emulator.DefaultTenant + "/v2.0/.well-known/openid-configuration", 200, []string{
			`"issuer":"https://login.microsoftonline.com/` + emulator.DefaultTenant + `/v2.0"`,
			`"token_endpoint":"https://login.microsoftonline.com/` + emulator.DefaultTenant + `/oauth2/v2.0/token"`}},
		{"https://login.chinacloudapi.cn/" + emulator.DefaultTenant + "/v2.0/.well-known/openid-configuration", 200,
			[]string{
				`"token_endpoint":"https://login.partner.microsoftonline.cn/`}},
		{public + another + "/v2.0/.well-known/openid-configuration", 400,
			[]string{`"error_codes":[90002]`, "AADSTS90002: Tenant '" + another + "' not found."}},
		{public + "x/y", 404, nil},
	} {
		v := d.do(http.MethodGet, x.url, "", "")
		if v.status != x.status {
			t.Errorf("%s answers %d, want %d", x.url, v.status, x.status)
		}
		for _, part := range x.has {
			if !strings.Contains(v.body, part) {
				t.Errorf("%s answers without %s", x.url, part)
			}
		}
	}
}

// TestTokenLifetimes: longer where the client can handle a revocation.
func TestTokenLifetimes(t *testing.T) {
	for claims, want := range map[string][]float64{
		"": {4499, 0},
		`{"access_token":{"xms_cc":{"values":["CP1"]}}}`: {86399, 43200},
	} {
		d := direct{emulator.New(emulator.Options{}), t}
		form := tokenForm(emulator.DefaultClient, d.ask("api://AzureADTokenExchange"),
			map[string]string{"claims": claims})
		got := d.do(http.MethodPost, tokenURL, "", form).json(t)
		refresh, _ := got["refresh_in"].(float64)
		if got["expires_in"] != want[0] || refresh != want[1] || got["token_type"] != "Bearer" {
			t.Errorf("with claims %q the token lasts %v, to be refreshed in %v", claims, got["expires_in"], refresh)
		}
	}
}

// TestEverythingSecretIsRemembered: a value counts as received and a token as seen wherever they arrive.
func TestEverythingSecretIsRemembered(t *testing.T) {
	d := direct{emulator.New(emulator.Options{}), t}
	d.do(http.MethodPut, appURL, "", `{"value":"without a token"}`)
	d.do(http.MethodPut, "https://elsewhere.example/", "", `{"value":"elsewhere"}`)
	d.do(http.MethodPost, tokenURL, "", tokenForm(emulator.DefaultClient, "of.some.body", nil))
	if diff := cmp.Diff([]string{"without a token", "elsewhere"}, d.Values()); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if tokens := d.Tokens(); len(tokens) != 2 || tokens[1] != "of.some.body" {
		t.Errorf("%d tokens are remembered, want the request token and the assertion", len(tokens))
	}
}

// TestKeysAreApart: a token that Entra signed is no assertion, though GitHub's key is the same underneath.
func TestKeysAreApart(t *testing.T) {
	d := direct{emulator.New(emulator.Options{}), t}
	token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	subject, err := claims.GetSubject()
	if err != nil {
		t.Fatal(err)
	}
	d.Trust(emulator.Credential{
		Issuer:   "https://sts.windows.net/" + emulator.DefaultTenant + "/",
		Subject:  subject,
		Audience: "https://vault.azure.net",
	})
	v := d.do(http.MethodPost, tokenURL, "", tokenForm(emulator.DefaultClient, token, nil))
	if v.status != http.StatusUnauthorized || !strings.Contains(v.body, `"error_codes":[5000811]`) {
		t.Errorf("an access token as assertion gets %d", v.status)
	}
}
