package emulator_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyvault-passwords/internal/test/emulator"
)

// pipes is a network without a network: what is dialled is served at once.
type pipes struct {
	served chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{served: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.served:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p.served <- server
	return client, nil
}

// TestBubble runs Microsoft's client against the Handler over net.Pipe, where time passes only when all wait: so the
// Emulator has no goroutine, timer or network that a simulation would not see.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		network := newPipes()
		server := &http.Server{Handler: e.Handler(), ErrorLog: log.New(io.Discard, "", 0)}
		go func() { _ = server.Serve(network) }()
		transport := &http.Transport{DialTLSContext: network.dial, DialContext: network.dial}
		client := &http.Client{Transport: transport}
		defer func() {
			transport.CloseIdleConnections()
			_ = server.Close()
		}()
		vault := public().dial(t, e, client)
		before := time.Now()
		for _, f := range []emulator.Fault{
			{Operation: "token", Kind: emulator.Slow, Delay: 20 * time.Second},
			{Operation: "set", Nth: 2, Kind: emulator.Slow, Delay: time.Hour, Phase: emulator.After},
			{Operation: "set", Nth: 3, Kind: emulator.Cut, Phase: emulator.After},
		} {
			e.Fault(f)
		}
		if err := setOne(t.Context(), vault); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(before); got != 20*time.Second {
			t.Errorf("the slow token took %v of the bubble's time", got)
		}
		hurried, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := setOne(hurried, vault); err == nil || time.Since(before) != 80*time.Second {
			t.Errorf("a client that waits a minute got %v after %v", err, time.Since(before))
		}
		if err := setOne(t.Context(), vault); err == nil {
			t.Error("a cut connection gave an answer")
		}
		if held := e.Holds(); len(held) != 3 || held[2].Created.Sub(held[0].Created) != time.Minute {
			t.Errorf("the vault holds %d versions", len(held))
		}
	})
}

// TestThrottle: 300 in any ten seconds, then 429 that does not count; other requests have a limit of their own, and so
// has each vault.
func TestThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := direct{emulator.New(emulator.Options{Vaults: []string{"kv-example", "kv-two"}}), t}
		token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
		set := func(url string) int { return d.do(http.MethodPut, url, token, `{"value":"v"}`).status }
		for i := range 300 {
			if got := set(appURL); got != http.StatusOK {
				t.Fatalf("set %d answers %d", i+1, got)
			}
			time.Sleep(10 * time.Millisecond)
		}
		refused := d.do(http.MethodPut, appURL, token, `{"value":"v"}`)
		const want = "" +
			`{"error":{"code":"Throttled","message":"Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"}}`
		if refused.status != http.StatusTooManyRequests || refused.body != want ||
			refused.header.Get("Retry-After") != "" {
			t.Errorf("set 301 answers %d %s", refused.status, refused.body)
		}
		if got := set("https://kv-two.vault.azure.net/secrets/app?api-version=7.4"); got != http.StatusOK {
			t.Errorf("another vault answers %d", got)
		}
		for i := range 4000 {
			if got := d.do(http.MethodGet, listURL, token, "").status; got != http.StatusOK {
				t.Fatalf("list %d answers %d", i+1, got)
			}
		}
		if got := d.do(http.MethodGet, listURL, token, "").status; got != 429 {
			t.Errorf("list 4001 answers %d", got)
		}
		time.Sleep(7*time.Second - time.Nanosecond) // the first set was ten seconds ago, less a nanosecond
		if got := set(appURL); got != 429 {
			t.Errorf("a set just before the window frees answers %d", got)
		}
		time.Sleep(time.Nanosecond)
		if first, second := set(appURL), set(appURL); first != http.StatusOK || second != 429 {
			t.Errorf("as the window frees one, sets answer %d and %d", first, second)
		}
	})
}

// TestThrottleIsSliding: whatever the rhythm, no ten seconds see more than the limit, and a set that the window had
// room for is never refused.
func TestThrottleIsSliding(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		pauses := rapid.SliceOfN(rapid.IntRange(0, 8), 1, 40).Draw(r, "pauses in half seconds")
		synctest.Test(t, func(t *testing.T) {
			if wrong := throttled(t, pauses); wrong != "" {
				r.Error(wrong)
			}
		})
	})
}

// throttled sets after each pause, with a limit of five, and says what was refused or let through wrongly.
func throttled(t *testing.T, pauses []int) string {
	const limit = 5
	d := direct{emulator.New(emulator.Options{Creates: limit}), t}
	token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
	var taken []time.Time
	for i, pause := range pauses {
		time.Sleep(time.Duration(pause) * time.Second / 2)
		recent := 0
		for _, at := range taken {
			if time.Since(at) < 10*time.Second {
				recent++
			}
		}
		status := d.do(http.MethodPut, appURL, token, `{"value":"v"}`).status
		if (status == http.StatusOK) != (recent < limit) {
			return fmt.Sprintf("after %d sets in ten seconds set %d answers %d", recent, i+1, status)
		}
		if status == http.StatusOK {
			taken = append(taken, time.Now())
		}
	}
	return ""
}

// TestCurrentVersion: the newest by time, of one second the last committed, whether enabled or not; told by the list of
// secrets alone.
func TestCurrentVersion(t *testing.T) {
	d := direct{emulator.New(emulator.Options{}), t}
	token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
	second := time.Unix(1700000000, 0)
	for _, p := range []emulator.Plant{
		{Created: second, ContentType: "first"},
		{Created: second.Add(time.Millisecond), ContentType: "last of the second", Disabled: true},
		{Created: second.Add(-time.Hour), ContentType: "older, committed later"},
	} {
		if _, err := d.Put("kv-example.vault.azure.net", "app", p); err != nil {
			t.Fatal(err)
		}
		d.checkCurrent(token)
	}
	for _, held := range d.Holds() {
		if held.Current != (held.ContentType == "last of the second") {
			t.Errorf("%q is current: %v", held.ContentType, held.Current)
		}
	}
}

// checkCurrent compares what the list of secrets tells with what the Emulator knows.
func (d direct) checkCurrent(token string) {
	d.t.Helper()
	listed := d.do(http.MethodGet, "https://kv-example.vault.azure.net/secrets?api-version=7.4", token, "").body
	for _, held := range d.Holds() {
		if told := strings.Contains(listed, `"contentType":"`+held.ContentType+`"`); told != held.Current {
			d.t.Errorf("the list tells %q: %v, it is current: %v", held.ContentType, told, held.Current)
		}
	}
}

// TestPurgeByTime: what was deleted is gone when its days are over, and its name is free.
func TestPurgeByTime(t *testing.T) {
	d := direct{emulator.New(emulator.Options{}), t}
	d.AddVault(emulator.VaultOptions{Name: "kv-week", RecoverableDays: 7})
	if _, err := d.Put("kv-week", "app", emulator.Plant{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove("kv-week", "app"); err != nil {
		t.Fatal(err)
	}
	d.Advance(6 * 24 * time.Hour)
	if held := d.Holds(); len(held) != 1 || !held[0].Deleted {
		t.Errorf("on the sixth day the vault holds %+v", held)
	}
	d.Advance(24 * time.Hour)
	if held := d.Holds(); len(held) != 0 {
		t.Errorf("on the eighth day the vault holds %+v", held)
	}
}

func TestPlantingRefuses(t *testing.T) {
	e := emulator.New(emulator.Options{})
	if _, err := e.Put("kv-none", "app", emulator.Plant{}); err == nil {
		t.Error("a vault that is not there takes a version")
	}
	if err := e.Remove("kv-example", "none"); err == nil {
		t.Error("a secret that is not there was deleted")
	}
}

// FuzzRequests: no request makes the Emulator panic, answer a status that no service has, or tell a value to who may
// not read.
func FuzzRequests(f *testing.F) {
	for _, x := range exchanges {
		method, path, _ := strings.Cut(x.request, " ")
		f.Add(method, strings.TrimPrefix(path, "https://"), x.body, x.who == nobody)
	}
	f.Add("POST", "/"+emulator.DefaultTenant+"/oauth2/v2.0/token", "client_assertion=x.e30.y&client_id=x", true)
	f.Add("GET", "/secrets/app/versions?api-version=7.4&maxresults=-1&$skiptoken=%00", "", false)
	f.Add("PUT", "//secrets//app/?api-version=%zz", "{", false)
	e := emulator.New(emulator.Options{Creates: -1, Transactions: -1})
	const canary = "cAnArY-7f3e"
	if _, err := e.Put(emulator.DefaultVault, "app", emulator.Plant{Value: canary}); err != nil {
		f.Fatal(err)
	}
	token := ""
	f.Fuzz(func(t *testing.T, method, path, body string, anonymous bool) {
		d := direct{e, t}
		if token == "" {
			token = d.token(emulator.DefaultTenant, emulator.DefaultClient)
		}
		for _, host := range []string{"kv-example.vault.azure.net", "login.microsoftonline.com",
			"token.actions.githubusercontent.com", "elsewhere.example"} {
			request, err := http.NewRequestWithContext(t.Context(), method, "https://"+host+"/"+strings.TrimPrefix(path,
				"/"), strings.NewReader(body))
			if err != nil {
				t.Skip("no request")
			}
			if !anonymous {
				request.Header.Set("Authorization", "Bearer "+token)
			}
			recorder := httptest.NewRecorder()
			e.Handler().ServeHTTP(recorder, request)
			if recorder.Code >= 500 && recorder.Code != http.StatusBadGateway {
				t.Errorf("%s %s on %s answers %d", method, path, host, recorder.Code)
			}
			if strings.Contains(recorder.Body.String(), canary) {
				t.Errorf("%s %s on %s tells a value to who may not read", method, path, host)
			}
		}
	})
}

// TestConcurrentUse lets everything happen at once, for the race detector; and counts.
func TestConcurrentUse(t *testing.T) {
	d := direct{emulator.New(emulator.Options{Vaults: []string{"kv-example", "kv-two"}}), t}
	token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
	d.Grant("", "", emulator.Update, emulator.GetSecret)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for range 20 {
				d.do(http.MethodPut,
					[]string{appURL, "https://kv-two.vault.azure.net/secrets/b?api-version=7.4"}[worker%2], token,
					`{"value":"v"}`)
				d.do(http.MethodGet, listURL, token, "")
				d.do(http.MethodGet, appURL, token, "")
				d.do(http.MethodPatch, appURL, token, `{"tags":{"a":"b"},"attributes":{"enabled":true}}`)
				d.Fault(emulator.Fault{Operation: "list", Kind: emulator.Unseen})
				d.Grant("", "", emulator.Update, emulator.GetSecret)
				d.Trust(emulator.Credential{Subject: "other"})
				d.AddVault(emulator.VaultOptions{Name: "kv-three"})
				d.Advance(time.Millisecond)
				if _, err := d.Put("kv-two", "planted", emulator.Plant{}); err != nil {
					t.Error(err)
				}
				_, _, _, _, _ = d.Holds(), d.Values(), d.Tokens(), d.Requests(), d.FaultLog()
				_ = d.RequestToken()
			}
		})
	}
	group.Wait()
	if held := len(d.Holds()); held != 320 {
		t.Errorf("%d versions are held, want 160 set and 160 planted", held)
	}
	if got := d.Requests(); got["set"] != 160 || got["versions"] != 160 || len(d.Values()) != 320 {
		t.Errorf("requests: %v, %d values", got, len(d.Values()))
	}
}
