package emulator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// A harness is an Emulator on loopback with a client that may set and list.
type harness struct {
	*emulator.Emulator
	t      *testing.T
	client *http.Client
	token  string
}

func newHarness(t *testing.T, o emulator.Options) *harness {
	t.Helper()
	e, client := start(t, o)
	h := &harness{Emulator: e, t: t, client: client}
	h.token = h.login()
	return h
}

func (h *harness) login() string {
	h.t.Helper()
	assertion, err := idToken(h.t.Context(), h.Emulator, h.client, "api://AzureADTokenExchange")
	if err != nil {
		h.t.Fatal(err)
	}
	v := h.do(http.MethodPost, tokenURL, "", tokenForm(emulator.DefaultClient, assertion, nil))
	token, _ := v.json(h.t)["access_token"].(string)
	return token
}

// managerToken gets an access token for Resource Manager.
func (h *harness) managerToken() string {
	h.t.Helper()
	assertion, err := idToken(h.t.Context(), h.Emulator, h.client, "api://AzureADTokenExchange")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.do(http.MethodPost, tokenURL, "", tokenForm(emulator.DefaultClient, assertion,
		map[string]string{"scope": "https://management.azure.com/.default"})).member(h.t, "access_token")
}

const (
	tokenURL = "https://login.microsoftonline.com/" + emulator.DefaultTenant + "/oauth2/v2.0/token"
	appURL   = "https://kv-example.vault.azure.net/secrets/app?api-version=7.4"
	listURL  = "https://kv-example.vault.azure.net/secrets/app/versions?api-version=7.4"
)

func (h *harness) do(method, url, token, body string) (v visit) {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return visit{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	return visit{response.StatusCode, response.Header, string(data), err}
}

func (h *harness) set() visit      { return h.do(http.MethodPut, appURL, h.token, `{"value":"v"}`) }
func (h *harness) versions() visit { return h.do(http.MethodGet, listURL, h.token, "") }
func (h *harness) oidc() visit     { return h.do(http.MethodGet, h.RequestURL(), h.RequestToken(), "") }

// exchange asks Entra for a token with a sound assertion.
func (h *harness) exchange() visit {
	h.t.Helper()
	assertion, err := idToken(h.t.Context(), h.Emulator, h.client, "api://AzureADTokenExchange")
	if err != nil {
		h.t.Fatal(err)
	}
	return h.do(http.MethodPost, tokenURL, "", tokenForm(emulator.DefaultClient, assertion, nil))
}

// expect fails the test where something is not so.
func (h *harness) expect(what string, so bool) {
	h.t.Helper()
	if !so {
		h.t.Errorf("not so: %s", what)
	}
}

// kinds says, for each kind of fault, what a client then sees. Each is scheduled alone on a fresh Emulator; that it
// happened exactly once is checked besides.
var kinds = map[emulator.Kind]struct {
	fault emulator.Fault
	see   func(h *harness)
}{
	emulator.Status: {
		emulator.Fault{Operation: "set", Status: 429, RetryAfter: "7"},
		func(h *harness) {
			v := h.set()
			h.expect("429 with its code", v.status == 429 && strings.Contains(v.body, `"code":"Throttled"`))
			h.expect("Retry-After", v.header.Get("Retry-After") == "7")
			h.expect("nothing stored", len(h.Holds()) == 0)
		},
	},
	emulator.Failed: {
		emulator.Fault{Operation: "update-server", Code: "OperationTimedOut"},
		func(h *harness) {
			id := h.AddServer(emulator.ServerOptions{Name: "sql"})
			before := h.Servers()[0].Password
			v := h.do(http.MethodPatch, "https://management.azure.com"+id+"?api-version=2023-08-01", h.managerToken(),
				`{"properties":{"administratorLoginPassword":"Aa1!Aa1!Aa1!"}}`)
			h.expect("202", v.status == 202)
			h.Advance(time.Second)
			ended := h.do(http.MethodGet, v.header.Get("Azure-AsyncOperation"), h.managerToken(), "")
			h.expect("an operation that has failed", ended.status == 200 &&
				strings.Contains(ended.body, `"status":"Failed"`) &&
				strings.Contains(ended.body, `"code":"OperationTimedOut"`))
			h.expect("the password of before", h.Servers()[0].Password == before && h.Servers()[0].Changes == 0)
		},
	},
	emulator.Cut: {
		emulator.Fault{Operation: "set", Phase: emulator.After},
		func(h *harness) {
			h.expect("no answer", h.set().err != nil)
			h.expect("stored nevertheless", len(h.Holds()) == 1)
		},
	},
	emulator.Slow: {
		emulator.Fault{Operation: "versions", Delay: time.Millisecond},
		func(h *harness) {
			h.expect("an answer; TestBubble sees the time it takes", h.versions().status == 200)
		},
	},
	emulator.Truncated: {
		emulator.Fault{Operation: "versions"},
		func(h *harness) {
			v := h.versions()
			h.expect("half an answer", v.status == 200 && errors.Is(v.err, io.ErrUnexpectedEOF) && v.body != "")
		},
	},
	emulator.BigBody: {
		emulator.Fault{Operation: "versions", Size: 1 << 20},
		func(h *harness) {
			v := h.versions()
			h.expect("a body beyond its size that is still JSON", len(v.body) > 1<<20 && v.json(h.t) != nil)
		},
	},
	emulator.BigHeaders: {
		emulator.Fault{Operation: "versions", Size: 11 << 20}, // net/http reads 10 MiB
		func(h *harness) { h.expect("headers beyond what net/http reads", h.versions().err != nil) },
	},
	emulator.BadChallenge: {
		emulator.Fault{Operation: "challenge"},
		func(h *harness) {
			v := h.do(http.MethodGet, listURL, "", "")
			h.expect("401 without tenant", v.status == 401 &&
				v.header.Get(
					"WWW-Authenticate") == `Bearer authorization="https:/x", resource="https://vault.azure.net"`)
		},
	},
	emulator.Empty: {
		emulator.Fault{Operation: "token"},
		func(h *harness) {
			v := h.exchange()
			h.expect("200 with {}", v.status == 200 && v.body == "{}")
		},
	},
	emulator.EmptyValue: {
		emulator.Fault{Operation: "oidc"},
		func(h *harness) {
			value, there := h.oidc().json(h.t)["value"]
			h.expect(`a token that is ""`, there && value == "")
		},
	},
	emulator.NoBody: {
		emulator.Fault{Operation: "set", Phase: emulator.After},
		func(h *harness) {
			v := h.set()
			h.expect("200 with nothing", v.status == 200 && v.body == "" && v.err == nil)
			h.expect("stored", len(h.Holds()) == 1)
		},
	},
	emulator.Redirect: {
		emulator.Fault{Operation: "set"},
		func(h *harness) {
			v := h.set()
			h.expect("307 to elsewhere", v.status == 307 &&
				v.header.Get("Location") == "https://elsewhere.vault.azure.net/secrets/app?api-version=7.4")
			h.expect("that does not resolve", !h.Knows("elsewhere.vault.azure.net:443") &&
				h.do(http.MethodGet, v.header.Get("Location"), "", "").err != nil)
			h.expect("which is counted", h.Hosts()["elsewhere.vault.azure.net"] == 1 &&
				h.Requests()["unknown-host"] == 1)
		},
	},
	emulator.Late: {
		emulator.Fault{Operation: "set", Delay: time.Minute},
		func(h *harness) {
			h.expect("503", h.set().status == 503)
			h.expect("not stored yet", len(h.Holds()) == 0)
			h.Advance(time.Minute)
			h.expect("stored later", len(h.Holds()) == 1)
		},
	},
	emulator.Endless: {
		emulator.Fault{Operation: "versions", Times: -1},
		func(h *harness) {
			next := h.versions().json(h.t)["nextLink"]
			h.expect("a next page of nothing",
				next == "https://kv-example.vault.azure.net:443/secrets/app/versions?api-version=7.4&$skiptoken=")
		},
	},
	emulator.ForeignLink: {
		emulator.Fault{Operation: "versions", Host: "evil.example"},
		func(h *harness) {
			next, _ := h.versions().json(h.t)["nextLink"].(string)
			h.expect("a next page elsewhere", strings.HasPrefix(next, "https://evil.example/secrets/app/versions?"))
		},
	},
	emulator.ShortPage: {
		emulator.Fault{Operation: "versions"},
		func(h *harness) {
			h.set()
			h.set()
			first := h.versions().json(h.t)
			items, _ := first["value"].([]any)
			next, _ := first["nextLink"].(string)
			h.expect("one item", len(items) == 1)
			items, _ = h.do(http.MethodGet, next, h.token, "").json(h.t)["value"].([]any)
			h.expect("the other one behind the link", len(items) == 1)
		},
	},
	emulator.Injection: {
		emulator.Fault{Operation: "set"},
		func(h *harness) {
			v := h.set()
			var body struct{ Error struct{ Message string } }
			h.expect("JSON", json.Unmarshal([]byte(v.body), &body) == nil)
			h.expect("commands in it", v.status == 400 && strings.Contains(body.Error.Message, "\n::add-mask::") &&
				strings.Contains(body.Error.Message, "##[error]"))
		},
	},
	emulator.Skew: {
		emulator.Fault{Operation: "set", Delay: -time.Hour},
		func(h *harness) {
			date, err := http.ParseTime(h.set().header.Get("Date"))
			h.expect("an hour behind", err == nil && h.Now().Sub(date) >= time.Hour &&
				h.Now().Sub(h.Holds()[0].Created) >= time.Hour)
		},
	},
	emulator.Unseen: {
		emulator.Fault{Operation: "set", Delay: time.Minute},
		func(h *harness) {
			h.expect("stored", h.set().status == 200 && len(h.Holds()) == 1)
			h.expect("not listed", strings.HasPrefix(h.versions().body, `{"value":[],`))
			h.Advance(time.Minute)
			h.expect("listed later", !strings.HasPrefix(h.versions().body, `{"value":[],`))
		},
	},
	emulator.StaleToken: {
		emulator.Fault{Operation: "set"},
		func(h *harness) {
			v := h.set()
			h.expect("401 with a challenge", v.status == 401 && v.header.Get("WWW-Authenticate") != "" &&
				strings.Contains(v.body, "S2S12086"))
			h.expect("again", h.set().status == 401)
			h.token = h.login()
			h.expect("not with a new one", h.set().status == 200)
		},
	},
	emulator.Between: {
		emulator.Fault{Operation: "set", Phase: emulator.After},
		func(h *harness) {
			v := h.set()
			h.expect("403 with a page", v.status == 403 && strings.HasPrefix(v.body, "<!DOCTYPE html>"))
			h.expect("none of the vault's headers", v.header.Get("X-Ms-Request-Id") == "" &&
				v.header.Get("X-Ms-Keyvault-Region") == "" && v.header.Get("Via") != "")
			h.expect("stored nevertheless", len(h.Holds()) == 1)
		},
	},
	emulator.ReadOnly: {
		emulator.Fault{Operation: "set", Phase: emulator.After}, // the phase means nothing to it
		func(h *harness) {
			v := h.set()
			h.expect("the recorded words", v.status == 503 && v.body == `{"error":{"code":"ServiceUnavailable",`+
				`"message":"Operation \"SecretSet\" is unavailable: the service is currently in a read-only state."}}`)
			h.expect("the vault's headers", v.header.Get("X-Ms-Request-Id") != "")
			h.expect("nothing stored", len(h.Holds()) == 0)
			h.expect("lists go on", h.versions().status == 200)
		},
	},
	emulator.NoHost: {
		emulator.Fault{Operation: "connect"},
		func(h *harness) {
			h.client.CloseIdleConnections()
			h.expect("a proxy's 502", strings.HasSuffix(h.set().err.Error(), "Bad Gateway"))
			h.expect("then a connection", h.set().status == 200)
		},
	},
	emulator.NoName: {
		emulator.Fault{Operation: "connect"},
		func(h *harness) {
			h.client.CloseIdleConnections()
			h.expect("a proxy's 502", strings.HasSuffix(h.set().err.Error(), "Bad Gateway"))
			h.expect("then a connection", h.set().status == 200)
		},
	},
}

// TestAnswersFromInBetween goes through the bodies, in both phases and at every service.
func TestAnswersFromInBetween(t *testing.T) {
	for _, x := range []struct {
		body        emulator.Body
		status      int
		contentType string
		want        string
		after       string // in place of want, in phase After
		cut         bool
	}{
		{body: emulator.Page, status: 403, contentType: "text/html;charset=utf-8", want: "Generated by filter.example"},
		{body: emulator.Problem, status: 451, contentType: "application/problem+json",
			want: `{"status":451,"title":"Unavailable For Legal Reasons","type":"about:blank"}`},
		{body: emulator.Likeness, status: 403, contentType: "application/json; charset=utf-8",
			want: `{"error":{"code":"Forbidden","message":""}}`},
		{body: emulator.Echo, status: 200, contentType: "application/json; charset=utf-8",
			after: `{"value":"v","id":"`},
		{body: emulator.Nothing, status: 429},
		{body: emulator.Page, status: 204},
		{body: emulator.HalfPage, status: 502, contentType: "text/html;charset=utf-8", want: "<!DOCTYPE", cut: true},
	} {
		for phase, held := range map[emulator.Phase]int{emulator.Before: 0, emulator.After: 1} {
			h := newHarness(t, emulator.Options{})
			h.Fault(emulator.Fault{
				Operation: "set",
				Kind:      emulator.Between,
				Phase:     phase,
				Status:    x.status,
				Body:      x.body,
			})
			v := h.set()
			want, contentType := x.want, x.contentType
			if phase == emulator.After && x.after != "" {
				want = x.after
			} else if x.after != "" {
				contentType = ""
			}
			if v.status != x.status || !strings.Contains(v.body, want) || want == "" && v.body != "" ||
				(v.err != nil) != x.cut || v.header.Get("Content-Type") != contentType {
				t.Errorf("body %q, phase %d: answers %d %q of type %q, %v", x.body, phase, v.status, v.body,
					v.header.Get("Content-Type"), v.err)
			}
			if got := len(h.Holds()); got != held || v.header.Get("X-Ms-Request-Id") != "" {
				t.Errorf("body %q, phase %d: %d versions; want %d, and no header of the vault", x.body, phase, got,
					held)
			}
		}
	}
	h := newHarness(t, emulator.Options{})
	for _, operation := range []string{"oidc", "token"} {
		h.Fault(emulator.Fault{Operation: operation, Kind: emulator.Between, Status: 302, Host: "login.example"})
	}
	h.expect("GitHub's endpoint", h.oidc().header.Get("Location") != "")
	v := h.exchange()
	h.expect("Entra's", v.status == 302 && strings.HasPrefix(v.header.Get("Location"), "https://login.example/") &&
		v.header.Get("Strict-Transport-Security") == "")
}

// TestReadOnlyForAWhile: a vault that fails over during a run takes writes before, none then, and some when it is over.
func TestReadOnlyForAWhile(t *testing.T) {
	h := newHarness(t, emulator.Options{})
	h.Grant("", "", emulator.Update)
	h.Fault(emulator.Fault{Kind: emulator.ReadOnly, Nth: 2, Times: -1})
	id := strings.Split(h.set().member(t, "id"), "/")
	update := "https://kv-example.vault.azure.net/secrets/app/" + id[len(id)-1] + "?api-version=7.4"
	v := h.do(http.MethodPatch, update, h.token, `{}`)
	h.expect("an update is refused by its name", v.status == 503 && strings.Contains(v.body, `\"SecretUpdate\"`))
	h.expect("a set too", h.set().status == 503)
	h.ClearFaults()
	h.expect("not after it", h.set().status == 200 && len(h.Holds()) == 2)
}

// TestOneFrontEnd: two front ends of one vault, one of which does not know yet what was changed, refuse every other
// request in the vault's own words.
func TestOneFrontEnd(t *testing.T) {
	for inner, want := range map[string]string{
		"ForbiddenByRbac":       `Action: 'Microsoft.KeyVault/vaults/secrets/setSecret/action'`,
		"ForbiddenByFirewall":   `Client address: 203.0.113.7`,
		"ForbiddenByConnection": `Public network access is disabled`,
		"AccessDenied":          `does not have secrets set permission on key vault 'kv-example;location=westeurope'`,
	} {
		h := newHarness(t, emulator.Options{})
		h.Fault(emulator.Fault{Operation: "set", Kind: emulator.Status, Inner: inner, Every: 2, Times: 2})
		statuses := ""
		for range 6 {
			v := h.set()
			statuses += fmt.Sprint(v.status, " ")
			if v.status == 403 && (!strings.Contains(v.body, want) || !strings.Contains(v.body, `"code":"`+inner) ||
				!strings.Contains(v.body, emulator.DefaultClient) && strings.Contains(v.body, "appid=")) {
				t.Errorf("%s: answers %s", inner, v.body)
			}
		}
		if statuses != "403 200 403 200 200 200 " {
			t.Errorf("%s: answers %s", inner, statuses)
		}
	}
}

// TestProxyRefuses: the first connections get another answer from the proxy than 200, or none; the services are not
// asked. RFC 9110, section 9.3.6.
func TestProxyRefuses(t *testing.T) {
	for fault, want := range map[emulator.Fault]string{
		{Kind: emulator.Status}:              "Service Unavailable",
		{Kind: emulator.Status, Status: 407}: "Proxy Authentication Required",
		{Kind: emulator.Cut}:                 "EOF",
	} {
		h := newHarness(t, emulator.Options{})
		h.client.CloseIdleConnections()
		fault.Operation, fault.Vault, fault.Times = "connect", emulator.DefaultVault, 2
		h.Fault(fault)
		for range 2 {
			if v := h.set(); v.err == nil || !strings.HasSuffix(v.err.Error(), want) {
				t.Errorf("%s %d: answers %d, %v; want the error %s", fault.Kind, fault.Status, v.status, v.err, want)
			}
		}
		connects, sets := h.Requests()["connect"], h.Requests()["set"]
		if h.set().status != 200 || sets != 0 || h.Requests()["connect"] != connects+1 {
			t.Errorf("%s %d: %d sets, then %d connections", fault.Kind, fault.Status, sets, h.Requests()["connect"])
		}
	}
}

func TestEachKindOfFault(t *testing.T) {
	for kind, x := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			h := newHarness(t, emulator.Options{})
			x.fault.Kind = kind
			h.Fault(x.fault)
			x.see(h)
			log := h.FaultLog()
			if len(log) != 1 || log[0].Fault.Kind != kind || log[0].Operation != x.fault.Operation ||
				log[0].At.IsZero() {
				t.Errorf("the log is %+v, want this fault once", log)
			}
		})
	}
}

// Every kind that fault.go declares is among kinds.
func TestNoKindOfFaultIsLeftOut(t *testing.T) {
	source, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	declared := regexp.MustCompile(`(?m)^\t\w+ +Kind = "(.+?)"`).FindAllStringSubmatch(string(source), -1)
	for _, kind := range declared {
		if _, ok := kinds[emulator.Kind(kind[1])]; !ok {
			t.Errorf("no test schedules a fault of kind %s", kind[1])
		}
	}
	if len(declared) != len(kinds) {
		t.Errorf("%d kinds are declared, %d are tested", len(declared), len(kinds))
	}
}

// TestPhases tells apart what was done from what was not.
func TestPhases(t *testing.T) {
	for phase, held := range map[emulator.Phase]int{emulator.Before: 0, emulator.After: 1} {
		for _, kind := range []emulator.Kind{emulator.Status, emulator.Cut, emulator.Empty, emulator.NoBody,
			emulator.Redirect, emulator.Injection, emulator.Between} {
			h := newHarness(t, emulator.Options{})
			h.Fault(emulator.Fault{Operation: "set", Kind: kind, Phase: phase})
			h.set()
			if got := len(h.Holds()); got != held {
				t.Errorf("%s in phase %d leaves %d versions, want %d", kind, phase, got, held)
			}
			if len(h.Values()) != 1 {
				t.Errorf("%s in phase %d: %d values are remembered, want the one that arrived", kind, phase,
					len(h.Values()))
			}
		}
	}
}

func TestOrdinals(t *testing.T) {
	for _, x := range []struct {
		fault emulator.Fault
		want  string // per set: whether it failed
	}{
		{emulator.Fault{}, "x....."},
		{emulator.Fault{Nth: 1}, "x....."},
		{emulator.Fault{Nth: 3}, "..x..."},
		{emulator.Fault{Nth: 2, Times: 3}, ".xxx.."},
		{emulator.Fault{Nth: 4, Times: -1}, "...xxx"},
		{emulator.Fault{Times: -1}, "xxxxxx"},
		{emulator.Fault{Times: -1, Every: 2}, "x.x.x."},
		{emulator.Fault{Nth: 2, Times: 2, Every: 3}, ".x..x."},
		{emulator.Fault{Times: -1, Vault: "kv-other"}, "......"},
		{emulator.Fault{Times: -1, Vault: "KV-example", Secret: "APP"}, "xxxxxx"},
		{emulator.Fault{Times: -1, Secret: "other"}, "......"},
		{emulator.Fault{Times: -1, Operation: "versions"}, "......"},
	} {
		h := newHarness(t, emulator.Options{})
		x.fault.Kind = emulator.Status
		if x.fault.Operation == "" {
			x.fault.Operation = "set"
		}
		h.Fault(x.fault)
		got := ""
		for range 6 {
			got += map[bool]string{true: ".", false: "x"}[h.set().status == 200]
		}
		if got != x.want {
			t.Errorf("%+v: %s, want %s", x.fault, got, x.want)
		}
	}
}

// TestFirstScheduledWins also shows that the other fault counts the request, and that faults can be taken back.
func TestFirstScheduledWins(t *testing.T) {
	h := newHarness(t, emulator.Options{})
	h.Fault(emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 500})
	h.Fault(emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 503, Times: 2})
	if first, second := h.set().status, h.set().status; first != 500 || second != 503 {
		t.Errorf("answers %d and %d, want 500 and 503", first, second)
	}
	h.Fault(emulator.Fault{Operation: "set", Kind: emulator.Status, Times: -1})
	h.ClearFaults()
	if got := h.set().status; got != 200 {
		t.Errorf("answers %d after the faults were taken back", got)
	}
}

// TestLateAnswersARefusalAtOnce: what the service would refuse is not committed later.
func TestLateAnswersARefusalAtOnce(t *testing.T) {
	h := newHarness(t, emulator.Options{})
	h.Revoke("", "", emulator.SetSecret)
	h.Fault(emulator.Fault{Kind: emulator.Late, Delay: time.Minute})
	if got := h.set().status; got != 403 {
		t.Errorf("answers %d, want 403", got)
	}
	h.Advance(time.Hour)
	if len(h.Holds()) != 0 {
		t.Error("it was committed later")
	}
}

// TestFlakes are Entra's refusals of what is right, in its own words.
func TestFlakes(t *testing.T) {
	for code, want := range map[string]string{
		"AADSTS700213": "AADSTS700213: No matching federated identity record found for presented assertion subject " +
			"'repo:octo-org/octo-repo:ref:refs/heads/main'.",
		"700211": "AADSTS700211: No matching federated identity record found for presented assertion issuer " +
			"'https://token.actions.githubusercontent.com'.",
		"AADSTS70021": "AADSTS70021: No matching federated identity record found for presented assertion. Assertion " +
			"Issuer: 'https://token.actions.githubusercontent.com'. Assertion Subject: " +
			"'repo:octo-org/octo-repo:ref:refs/heads/main'. Assertion Audience: 'api://AzureADTokenExchange'.",
	} {
		h := newHarness(t, emulator.Options{})
		h.Fault(emulator.Fault{Operation: "token", Kind: emulator.Status, Code: code})
		v := h.exchange()
		description, _ := v.json(t)["error_description"].(string)
		if v.status != 401 || !strings.HasPrefix(description, want) {
			t.Errorf("%s: answers %d %q", code, v.status, description)
		}
		if got := h.exchange().status; got != 200 {
			t.Errorf("%s: the second try answers %d", code, got)
		}
	}
}

// TestFaultsSpeakTheServicesLanguage: one status, three shapes.
func TestFaultsSpeakTheServicesLanguage(t *testing.T) {
	h := newHarness(t, emulator.Options{})
	for _, operation := range []string{"oidc", "instance-discovery", "tenant-discovery", "set"} {
		h.Fault(emulator.Fault{Operation: operation, Kind: emulator.Status})
	}
	authority := "https://login.microsoftonline.com/"
	for what, v := range map[string]visit{
		"errorMessage": h.oidc(),
		"error_description": h.do(http.MethodGet,
			authority+emulator.DefaultTenant+"/v2.0/.well-known/openid-configuration", "", ""),
		"trace_id": h.do(http.MethodGet, authority+"common/discovery/instance?authorization_endpoint="+
			authority+"x", "", ""),
		"error": h.set(),
	} {
		if _, there := v.json(t)[what]; v.status != 503 || !there {
			t.Errorf("answers %d without %s", v.status, what)
		}
	}
}

// TestHeaders: a fault may say when to come again in all the ways that clients read.
func TestHeaders(t *testing.T) {
	h := newHarness(t, emulator.Options{})
	h.Fault(emulator.Fault{
		Operation:  "set",
		Kind:       emulator.Status,
		Status:     429,
		RetryAfter: "Sat, 01 Jan 2000 00:00:10 GMT",
		Header:     "retry-after-ms: 250",
	})
	v := h.set()
	h.expect("both headers", v.header.Get("Retry-After") == "Sat, 01 Jan 2000 00:00:10 GMT" &&
		v.header.Get("Retry-After-Ms") == "250")
}

// TestUnauthorizedNamesTheIssuer: a vault's 401 has a challenge, also as a fault.
func TestUnauthorizedNamesTheIssuer(t *testing.T) {
	h := newHarness(t, emulator.Options{})
	h.Fault(emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 401})
	v := h.set()
	h.expect("a challenge", v.status == 401 && strings.HasPrefix(v.header.Get("WWW-Authenticate"),
		`Bearer authorization="https://login.microsoftonline.com/`))
}
