package emulator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"keyvault-passwords/internal/emulator"
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
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// idToken asks GitHub for a token as a job does.
func idToken(ctx context.Context, e *emulator.Emulator, client *http.Client, audience string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.RequestURL()+"&audience="+url.QueryEscape(audience), nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+e.RequestToken())
	response, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GitHub answered %d, %v", response.StatusCode, err)
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
	credential, err := azidentity.NewClientAssertionCredential(s.tenant, s.client, func(ctx context.Context) (string, error) {
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
		cloud: azcloud.AzurePublic, audience: "api://AzureADTokenExchange", host: emulator.DefaultVault + ".vault.azure.net",
		client: emulator.DefaultClient, tenant: emulator.DefaultTenant,
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
	if got := e.Requests(); got["challenge"] != 1 || got["token"] != 1 || got["oidc"] != 1 || got["set"] != 3 || got["get"] != 0 {
		t.Errorf("requests: %v", got)
	}
}
