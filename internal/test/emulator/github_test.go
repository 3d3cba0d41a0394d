package emulator_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"keyvault-passwords/internal/test/emulator"
)

// keys fetches a key set as any relying party would.
func (d direct) keys(url string) jwt.Keyfunc {
	d.t.Helper()
	var set struct {
		Keys []struct{ Kty, Alg, Use, Kid, N, E string }
	}
	if err := json.Unmarshal([]byte(d.do(http.MethodGet, url, "", "").body), &set); err != nil {
		d.t.Fatal(err)
	}
	return func(token *jwt.Token) (any, error) {
		for _, key := range set.Keys {
			if key.Kid == token.Header["kid"] && key.Kty == "RSA" && key.Use == "sig" && key.Alg == token.Method.Alg() {
				n, errN := base64.RawURLEncoding.DecodeString(key.N)
				e, errE := base64.RawURLEncoding.DecodeString(key.E)
				return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())},
					errors.Join(errN, errE)
			}
		}
		return nil, errors.New("no key of that ID")
	}
}

// verify checks a token with code that is not ours, at the Emulator's time.
func (d direct) verify(token, keysURL, issuer, audience string) jwt.MapClaims {
	d.t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, d.keys(keysURL), jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithTimeFunc(d.Now),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		d.t.Fatalf("golang-jwt refuses the token: %v", err)
	}
	return claims
}

func TestIDTokenVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := direct{emulator.New(emulator.Options{}), t}
		d.Advance(365 * 24 * time.Hour)
		discovery := d.do(http.MethodGet,
			"https://token.actions.githubusercontent.com/.well-known/openid-configuration", "", "")
		keysURL := discovery.member(t, "jwks_uri")
		token := d.ask("api://AzureADTokenExchange")
		claims := d.verify(token, keysURL, emulator.DefaultIssuer, "api://AzureADTokenExchange")
		for name, want := range map[string]any{
			"sub":              "repo:octo-org/octo-repo:ref:refs/heads/main",
			"repository":       "octo-org/octo-repo",
			"repository_owner": "octo-org",
			"ref":              "refs/heads/main", "ref_type": "branch", "event_name": "push",
			"runner_environment": "github-hosted",
			"job_workflow_ref":   "octo-org/octo-repo/.github/workflows/passwords.yml@refs/heads/main",
			"exp":                float64(d.Now().Add(5 * time.Minute).Unix()), "iat": float64(d.Now().Unix()),
		} {
			if claims[name] != want {
				t.Errorf("claim %s is %v, want %v", name, claims[name], want)
			}
		}
		if _, there := claims["environment"]; there {
			t.Error("a job without environment has the claim")
		}
		if !slices.Contains(d.Tokens(), d.RequestToken()) || !slices.Contains(d.Tokens(), token) {
			t.Error("the request token or the ID token is not among Tokens")
		}
	})
}

func TestAccessTokenVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := direct{emulator.New(emulator.Options{}), t}
		tenant := "https://login.microsoftonline.com/" + emulator.DefaultTenant
		keysURL := d.do(http.MethodGet, tenant+"/v2.0/.well-known/openid-configuration", "", "").member(t, "jwks_uri")
		token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
		claims := d.verify(token, keysURL, "https://sts.windows.net/"+emulator.DefaultTenant+"/",
			"https://vault.azure.net")
		if claims["appid"] != emulator.DefaultClient || claims["tid"] != emulator.DefaultTenant {
			t.Errorf("the token is of %v in %v", claims["appid"], claims["tid"])
		}
		if !slices.Contains(d.Tokens(), token) {
			t.Error("the access token is not among Tokens")
		}
	})
}

func TestSubjects(t *testing.T) {
	for want, o := range map[string]emulator.Options{
		"repo:octo-org/octo-repo:ref:refs/heads/main": {},
		"repo:a/b:ref:refs/tags/v1":                   {Repository: "a/b", Ref: "refs/tags/v1"},
		"repo:octo-org/octo-repo:pull_request":        {Event: "pull_request"},
		"repo:octo-org/octo-repo:environment:production": {Environment: "production",
			Event: "pull_request"},
		"repo:octo-org/octo-repo:environment:a%3Ab":                 {Environment: "a:b"},
		"repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main": {ImmutableSubject: true},
		"repo:octo-org@123456/octo-repo@456789:environment:production": {ImmutableSubject: true,
			Environment: "production"},
	} {
		if got := emulator.New(o).Subject(); got != want {
			t.Errorf("%+v has the subject %s, want %s", o, got, want)
		}
	}
}

func TestGitHubRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := direct{emulator.New(emulator.Options{}), t}
		bare, job := d.RequestURL(), d.RequestToken()
		noVersion := bare[:len(bare)-len("?api-version=2.0")]
		for _, x := range []struct {
			name, method, url, token string
			status                   int
		}{
			{"no token", http.MethodGet, bare, "", 401},
			{"another token", http.MethodGet, bare, "x", 401},
			{"no api-version", http.MethodGet, noVersion, job, 400},
			{"another method", http.MethodPut, bare, job, 405},
			{"another path", http.MethodGet, "https://token.actions.githubusercontent.com/x", job, 404},
			{"all as it should be", http.MethodGet, bare, job, 200},
		} {
			if got := d.do(x.method, x.url, x.token, "").status; got != x.status {
				t.Errorf("%s: answers %d, want %d", x.name, got, x.status)
			}
		}
		time.Sleep(7 * time.Hour)
		if got := d.do(http.MethodGet, bare, job, "").status; got != 401 {
			t.Errorf("an expired request token: answers %d, want 401", got)
		}
		if d.RequestToken() == job {
			t.Error("a job after seven hours has the same request token")
		}
	})
}

func TestDefaultAudience(t *testing.T) {
	d := direct{emulator.New(emulator.Options{}), t}
	token := d.do(http.MethodGet, d.RequestURL(), d.RequestToken(), "").member(t, "value")
	d.verify(token, "https://token.actions.githubusercontent.com/.well-known/jwks", emulator.DefaultIssuer,
		"https://github.com/octo-org")
}
