package emulator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/test/emulator"
)

// start returns an Emulator on loopback and an HTTP client that reaches it as any program behind a proxy would.
func start(t testing.TB, o emulator.Options) (*emulator.Emulator, *http.Client) {
	t.Helper()
	o.Dir = t.TempDir()
	e, err := emulator.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e, proxied(t, e)
}

func proxied(t testing.TB, e *emulator.Emulator) *http.Client {
	t.Helper()
	proxy, err := url.Parse(e.Proxy())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(e.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		Proxy:               http.ProxyURL(proxy),
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// idToken asks GitHub for a token as a job does.
func idToken(ctx context.Context, e *emulator.Emulator, client *http.Client, audience string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.RequestURL()+"&audience="+url.QueryEscape(audience),
		nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+e.RequestToken())
	response, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GitHub answered %d", response.StatusCode)
	}
	var answer struct{ Value string }
	return answer.Value, json.Unmarshal(body, &answer)
}

// sdk is Microsoft's own client for a vault, with Microsoft's own credential.
type sdk struct {
	cloud    azcloud.Configuration
	audience string
	host     string
	client   string
	tenant   string
}

func (s sdk) dial(t testing.TB, e *emulator.Emulator, client *http.Client) *azsecrets.Client {
	t.Helper()
	options := azcore.ClientOptions{Cloud: s.cloud, Transport: client}
	options.Retry.MaxRetries = -1
	credential, err := azidentity.NewClientAssertionCredential(s.tenant, s.client,
		func(ctx context.Context) (string, error) {
			return idToken(ctx, e, client, s.audience)
		}, &azidentity.ClientAssertionCredentialOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	vault, err := azsecrets.NewClient("https://"+s.host, credential, &azsecrets.ClientOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	return vault
}

// public is the SDK on the Emulator's own vault.
func public() sdk {
	return sdk{
		cloud:    azcloud.AzurePublic,
		audience: "api://AzureADTokenExchange",
		host:     emulator.DefaultVault + ".vault.azure.net",
		client:   emulator.DefaultClient,
		tenant:   emulator.DefaultTenant,
	}
}

func TestSDKSetsAndLists(t *testing.T) {
	e, client := start(t, emulator.Options{})
	vault := public().dial(t, e, client)
	for range 3 {
		value := "canary"
		stored, err := vault.SetSecret(t.Context(), "Name", azsecrets.SetSecretParameters{Value: &value}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if stored.ID.Name() != "Name" || len(stored.ID.Version()) != 32 || *stored.Value != value {
			t.Errorf("set answers %s", *stored.ID)
		}
	}
	listed := 0
	for pager := vault.NewListSecretPropertiesVersionsPager("nAME", nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Value)
	}
	if listed != 3 || len(e.Holds()) != 3 || len(e.Values()) != 3 {
		t.Errorf("%d versions listed, %d held, %d values", listed, len(e.Holds()), len(e.Values()))
	}
	if got := e.Requests(); got["challenge"] != 1 || got["token"] != 1 || got["oidc"] != 1 || got["set"] != 3 ||
		got["get"] != 0 {
		t.Errorf("requests: %v", got)
	}
}

// TestSDKInEveryCloud also shows that nothing but the vault's host and the cloud's configuration tells them apart.
func TestSDKInEveryCloud(t *testing.T) {
	for _, s := range []sdk{
		{cloud: azcloud.AzurePublic, audience: "api://AzureADTokenExchange", host: "kv-1.vault.azure.net"},
		{cloud: azcloud.AzureGovernment, audience: "api://AzureADTokenExchangeUSGov",
			host: "kv-1.vault.usgovcloudapi.net"},
		{cloud: azcloud.AzureChina, audience: "api://AzureADTokenExchangeChina", host: "kv-1.vault.azure.cn"},
	} {
		e, client := start(t, emulator.Options{})
		name, domain, _ := strings.Cut(s.host, ".")
		e.AddVault(emulator.VaultOptions{Name: name, Domain: domain})
		s.client, s.tenant = emulator.DefaultClient, emulator.DefaultTenant
		vault := s.dial(t, e, client)
		value := "canary"
		for range 2 {
			if _, err := vault.SetSecret(t.Context(), "name", azsecrets.SetSecretParameters{Value: &value},
				nil); err != nil {
				t.Errorf("%s: %v", s.host, err)
			}
		}
		if got := e.Requests(); got["token"] != 1 || got["instance-discovery"] != 1 || got["tenant-discovery"] != 1 ||
			got["unknown-host"] != 0 {
			t.Errorf("%s: %v, want one token for both sets", s.host, got)
		}
	}
}

// TestSDKPages lists more versions than fit on two pages: in the order of their IDs, each once.
func TestSDKPages(t *testing.T) {
	e, client := start(t, emulator.Options{})
	want := map[string]bool{}
	for range 60 {
		id, err := e.Put(emulator.DefaultVault, "app", emulator.Plant{})
		if err != nil {
			t.Fatal(err)
		}
		want[id] = true
	}
	var pages []int
	last := ""
	for pager := public().dial(t, e, client).NewListSecretPropertiesVersionsPager("app", nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(page.Value))
		for _, item := range page.Value {
			if !want[item.ID.Version()] || item.ID.Version() <= last {
				t.Errorf("version %s comes after %s", item.ID.Version(), last)
			}
			last = item.ID.Version()
		}
	}
	if diff := cmp.Diff([]int{25, 25, 10}, pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}

// TestSDKLifecycle deletes, recovers and updates with Microsoft's client.
func TestSDKLifecycle(t *testing.T) {
	e, client := start(t, emulator.Options{Settle: -1})
	e.Grant("", "", emulator.GetSecret, emulator.Update, emulator.Delete, emulator.Recover)
	vault, ctx, value := public().dial(t, e, client), t.Context(), "canary"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	set, err := vault.SetSecret(ctx, "app", azsecrets.SetSecretParameters{Value: &value, ContentType: &value}, nil)
	must(err)
	_, err = vault.DeleteSecret(ctx, "app", nil)
	must(err)
	if held := e.Holds(); len(held) != 1 || !held[0].Deleted {
		t.Errorf("after a deletion the vault holds %+v", held)
	}
	_, err = vault.RecoverDeletedSecret(ctx, "app", nil)
	must(err)
	off := false
	attributes := azsecrets.UpdateSecretPropertiesParameters{
		SecretAttributes: &azsecrets.SecretAttributes{Enabled: &off},
	}
	updated, err := vault.UpdateSecretProperties(ctx, "app", "", attributes, nil)
	must(err)
	if *updated.ID != *set.ID || *updated.Attributes.Enabled {
		t.Errorf("updated %s, enabled: %v", *updated.ID, *updated.Attributes.Enabled)
	}
	if held := e.Holds(); len(held) != 1 || held[0].Deleted || held[0].ContentType != value || held[0].Enabled ||
		!held[0].Current {
		t.Errorf("after an update the vault holds %+v", held)
	}
}

// TestSDKRefusals: what the SDK makes of the refusals it knows.
func TestSDKRefusals(t *testing.T) {
	e, client := start(t, emulator.Options{})
	e.Revoke("", "")
	value := "canary"
	_, err := public().dial(t, e, client).SetSecret(t.Context(), "app", azsecrets.SetSecretParameters{Value: &value},
		nil)
	if refused, ok := errors.AsType[*azcore.ResponseError](err); !ok || refused.StatusCode != http.StatusForbidden ||
		refused.ErrorCode != "Forbidden" {
		t.Errorf("a writer without role gets %v", err)
	}
	wrong := public()
	wrong.client = "99999999-9999-4999-8999-999999999999"
	_, err = wrong.dial(t, e, client).SetSecret(t.Context(), "app", azsecrets.SetSecretParameters{Value: &value}, nil)
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); !ok || failed.RawResponse == nil ||
		failed.RawResponse.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown application gets %v", err)
	}
	misspelt := public()
	misspelt.host = "kv-exmaple.vault.azure.net"
	if _, err = misspelt.dial(t, e, client).SetSecret(t.Context(), "app", azsecrets.SetSecretParameters{Value: &value},
		nil); err == nil {
		t.Error("a misspelt vault answers")
	}
	if got := e.Hosts()[misspelt.host]; got != 1 {
		t.Errorf("%d requests are counted for the misspelt vault, want 1", got)
	}
}

// TestSDKPanicsOnABadChallenge keeps an eye on a defect of the SDK that the action has to catch. When it is mended,
// this test says so.
func TestSDKPanicsOnABadChallenge(t *testing.T) {
	e, client := start(t, emulator.Options{})
	e.Fault(emulator.Fault{Kind: emulator.BadChallenge})
	defer func() {
		if recover() == nil {
			t.Error("azsecrets survives a challenge that cannot be parsed: the action need no longer catch its panic")
		}
	}()
	value := "canary"
	_, err := public().dial(t, e, client).SetSecret(t.Context(), "app", azsecrets.SetSecretParameters{Value: &value},
		nil)
	t.Errorf("returned %v", err)
}

// TestEnviron runs nothing: it shows that a client made of the environment alone, as any Go program's default is, gets
// through to the services and to nothing else.
func TestEnviron(t *testing.T) {
	e, _ := start(t, emulator.Options{})
	want := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL": e.RequestURL(), "ACTIONS_ID_TOKEN_REQUEST_TOKEN": e.RequestToken(),
		"HTTPS_PROXY": e.Proxy(), "https_proxy": e.Proxy(), "ALL_PROXY": e.Proxy(), "all_proxy": e.Proxy(),
		"SSL_CERT_FILE": e.CAFile(), "NO_PROXY": "", "no_proxy": "",
	}
	got := map[string]string{}
	for _, variable := range e.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		got[name] = value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the environment (-want +got):\n%s", diff)
	}
	if bare := emulator.New(emulator.Options{}).Environ(); len(bare) != 2 {
		t.Errorf("without listener the environment is %v", bare)
	}
}

// A service beside those of this package is reached through the same proxy, its certificate is good, and requests for
// it are counted under its host and are no operation.
func TestHostsBeside(t *testing.T) {
	const arm = "management.azure.com"
	teapot := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Host+r.URL.Path)
	})
	e, client := start(t, emulator.Options{Hosts: map[string]http.Handler{arm: teapot}})
	e.Fault(emulator.Fault{Kind: emulator.Cut, Times: -1})
	if !e.Knows("Management.Azure.Com:443") || e.Knows("other.azure.com") {
		t.Error("the emulator knows other hosts than it should")
	}
	response, err := client.Get("https://" + arm + "/subscriptions")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if got := string(body); err != nil || response.StatusCode != http.StatusTeapot || got != arm+"/subscriptions" {
		t.Errorf("the service beside answers %d %q, %v", response.StatusCode, got, err)
	}
	if counts := e.Requests(); e.Hosts()[arm] != 1 || len(counts) != 1 || counts["connect"] != 1 {
		t.Errorf("requests by host: %v, by operation: %v", e.Hosts(), e.Requests())
	}
}

func TestStartRefuses(t *testing.T) {
	if _, err := emulator.Start(emulator.Options{}); err == nil || !strings.Contains(err.Error(), "Options.Dir") {
		t.Errorf("without folder: %v", err)
	}
	if _, err := emulator.Start(emulator.Options{Dir: filepath.Join(t.TempDir(), "none")}); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("with a folder that is not there: %v", err)
	}
}

func TestCloseTwice(t *testing.T) {
	e, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Close(), e.Close(), emulator.New(emulator.Options{}).Close()); err != nil {
		t.Error(err)
	}
}

// TestRestIsOneFile: the CA's certificate is all that is left on disk, whatever was stored.
func TestRestIsOneFile(t *testing.T) {
	e, client := start(t, emulator.Options{})
	value := "canary"
	if _, err := public().dial(t, e, client).SetSecret(t.Context(), "app", azsecrets.SetSecretParameters{Value: &value},
		nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(e.CAFile()))
	if err != nil || len(entries) != 1 || entries[0].Name() != "ca.pem" {
		t.Errorf("on disk are %v, %v", entries, err)
	}
}

// BenchmarkStart is an Emulator's start and end, the CA's certificate included and the RSA key of the process not.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		e, err := emulator.Start(emulator.Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSets2000 is 2,000 sets over eight vaults by Microsoft's client, 64 at a time, through the proxy and TLS.
func BenchmarkSets2000(b *testing.B) {
	var names []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("kv-%d", i))
	}
	for b.Loop() {
		b.StopTimer()
		e, client := start(b, emulator.Options{Vaults: names})
		var vaults []*azsecrets.Client
		for _, name := range names {
			s := public()
			s.host = name + ".vault.azure.net"
			vaults = append(vaults, s.dial(b, e, client))
		}
		b.StartTimer()
		var group sync.WaitGroup
		for worker := range 64 {
			group.Go(func() {
				for i := worker; i < 2000; i += 64 {
					value := "canary"
					_, err := vaults[i%8].SetSecret(b.Context(), fmt.Sprintf("name-%d", i),
						azsecrets.SetSecretParameters{Value: &value}, nil)
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		group.Wait()
		if got := len(e.Holds()); got != 2000 {
			b.Fatalf("%d versions held", got)
		}
	}
}

// BenchmarkHandler is the service's own time for one set, without network.
func BenchmarkHandler(b *testing.B) {
	e := emulator.New(emulator.Options{Creates: -1})
	handler := e.Handler()
	send := func(method, url, token, body string) visit {
		request := httptest.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer "+token)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		return visit{status: recorder.Code, body: recorder.Body.String()}
	}
	assertion := send(http.MethodGet, e.RequestURL()+"&audience=api://AzureADTokenExchange", e.RequestToken(),
		"").member(b, "value")
	token := send(http.MethodPost, tokenURL, "", tokenForm(emulator.DefaultClient, assertion, nil)).member(b,
		"access_token")
	for b.Loop() {
		if got := send(http.MethodPut, appURL, token, `{"value":"v"}`).status; got != http.StatusOK {
			b.Fatalf("answers %d", got)
		}
	}
}

func setOne(ctx context.Context, vault *azsecrets.Client) error {
	value := "canary"
	_, err := vault.SetSecret(ctx, "app", azsecrets.SetSecretParameters{Value: &value}, nil)
	return err
}
