package action

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/runner"
)

// Who one is in a vault.
type principal struct{ tenantID, clientID string }

// principalIn returns the vault's own identity, or where it has none the run's.
func (r *run) principalIn(v declaration.Vault) principal {
	p := principal{r.tenantID, r.clientID}
	if v.TenantID != "" {
		p.tenantID = v.TenantID
	}
	if v.ClientID != "" {
		p.clientID = v.ClientID
	}
	return p
}

// checkIdentities returns the mistakes in who the run is to be: an input that is missing, a vault with two identities.
func (r *run) checkIdentities() (mistakes []error) {
	var noTenant, noClient bool
	in := map[string]principal{}
	for _, secret := range r.secrets {
		for _, v := range secret.Vaults {
			p := r.principalIn(v)
			noTenant, noClient = noTenant || p.tenantID == "", noClient || p.clientID == ""
			if other, ok := in[v.Name]; ok && other != p {
				mistakes = append(mistakes, fmt.Errorf("%s: vault %s is declared with two identities; expected one for each vault", secret.Place, v.Name))
			}
			in[v.Name] = p
		}
	}
	if noTenant {
		mistakes = append(mistakes, missing(inputTenantID, "AZURE_TENANT_ID", "the Entra tenant's ID"))
	}
	if noClient {
		mistakes = append(mistakes, missing(inputClientID, "AZURE_CLIENT_ID", "the client ID of the app registration or user-assigned identity"))
	}
	return mistakes
}

func missing(input, variable, what string) error {
	return fmt.Errorf("input %s: it is not given, and the job's %s is not set; expected %s, a GUID", input, variable, what)
}

// A fleet is the vaults of the run.
type fleet struct {
	planned     map[string]provision.Vault // by real name
	credentials []*timed
}

// vaults returns a client for each vault of the selected secrets. It contacts none.
func (r *run) vaults() (*fleet, error) {
	f := &fleet{planned: map[string]provision.Vault{}}
	credentials := map[principal]*timed{}
	for _, secret := range r.secrets {
		for _, v := range secret.Vaults {
			if f.planned[v.Name] != nil {
				continue
			}
			p := r.principalIn(v)
			if credentials[p] == nil {
				credential, err := r.credential(p)
				if err != nil {
					return nil, err
				}
				credentials[p] = credential
				f.credentials = append(f.credentials, credential)
			}
			client, err := keyvault.New(keyvault.Config{
				Name: v.Name, Domain: r.cloud.VaultDomain, Credential: credentials[p], HTTP: r.client, Note: r.runner.Print,
			})
			if err != nil {
				return nil, err
			}
			f.planned[v.Name] = client
		}
	}
	return f, nil
}

func (r *run) credential(p principal) (*timed, error) {
	audience := r.audience
	if audience == "" {
		audience = r.cloud.Audience
	}
	credential, err := identity.New(identity.Config{
		Cloud: r.cloud, TenantID: p.tenantID, ClientID: p.clientID, Audience: audience, HTTP: r.client,
		IDToken: r.runner.IDToken,
		Advice:  func(c identity.Claims) string { return runner.TrustAdvice(runner.Claims(c), p.clientID) },
	})
	if err != nil {
		return nil, err
	}
	return &timed{Credential: credential}, nil
}

// A timed credential notes how long its first token took: what signing in costs a run.
type timed struct {
	*identity.Credential
	once     sync.Once
	first    time.Duration
	signedIn bool
}

// GetToken implements [azcore.TokenCredential].
func (t *timed) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	start := time.Now()
	token, err := t.Credential.GetToken(ctx, options)
	t.once.Do(func() { t.first, t.signedIn = time.Since(start), err == nil })
	return token, err
}

// timing says what the start of the run took.
func (f *fleet) timing(all time.Duration) string {
	var signIns []string
	for _, c := range f.credentials {
		if c.signedIn {
			signIns = append(signIns, fmt.Sprintf("%.2f s", c.first.Seconds()))
		}
	}
	if len(signIns) == 0 {
		return fmt.Sprintf("Nobody was signed in; everything up to the plan took %.2f s.", all.Seconds())
	}
	return fmt.Sprintf("Signing in took %s; everything up to the plan took %.2f s.", strings.Join(signIns, " and "), all.Seconds())
}
