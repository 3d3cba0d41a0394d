package action

import (
	"cmp"
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
	"keyvault-passwords/internal/report"
	"keyvault-passwords/internal/runner"
)

// A principal is who the run is in a vault.
type principal struct{ tenantID, clientID string }

// principalIn returns the vault's own identity, or where it has none the run's. The letter case of an ID means nothing:
// it is written in small letters, so that one identity is one sign-in.
func (r *run) principalIn(v declaration.Vault) principal {
	return principal{
		tenantID: strings.ToLower(cmp.Or(v.TenantID, r.tenantID)),
		clientID: strings.ToLower(cmp.Or(v.ClientID, r.clientID)),
	}
}

// checkIdentities returns the mistakes in who the run is to be: an input that is missing, a vault with two identities.
func (r *run) checkIdentities() (mistakes []error) {
	var noTenant, noClient bool
	in := map[string]principal{} // by vault
	if r.whole != nil {
		p := r.principalIn(*r.whole)
		noTenant, noClient = p.tenantID == "", p.clientID == ""
	}
	for _, secret := range r.secrets {
		for _, v := range secret.Vaults {
			p := r.principalIn(v)
			noTenant = noTenant || p.tenantID == ""
			noClient = noClient || p.clientID == ""
			if other, ok := in[v.Name]; ok && other != p {
				mistakes = append(mistakes,
					fmt.Errorf("%s: vault %s is declared with two identities; expected one for each vault",
						secret.Place, v.Name))
			}
			in[v.Name] = p
		}
		if secret.Apply != nil {
			p := r.principalAt(secret.Apply)
			noTenant = noTenant || p.tenantID == ""
			noClient = noClient || p.clientID == ""
		}
	}
	if r.mode == modeCheck {
		return mistakes // nobody signs in
	}
	if noTenant {
		mistakes = append(mistakes, missing(inputTenantID, "AZURE_TENANT_ID", "the Entra tenant's ID"))
	}
	if noClient {
		mistakes = append(mistakes, missing(inputClientID, "AZURE_CLIENT_ID",
			"the client ID of the app registration or user-assigned identity"))
	}
	return mistakes
}

// checkPermission returns the mistake in the job's permissions, which would keep the run from signing in.
func (r *run) checkPermission() []error {
	if err := r.runner.CheckIDToken(); err != nil {
		return []error{err}
	}
	return nil
}

func missing(input, variable, what string) error {
	return fmt.Errorf("input %s: it is not given, and the job's %s is not set; expected %s, a GUID", input, variable,
		what)
}

// vaults returns the vaults of the selected secrets, or the one that is audited without a declaration: each once, in
// the order of the declaration.
func (r *run) vaults() (vaults []declaration.Vault) {
	if r.whole != nil {
		return []declaration.Vault{*r.whole}
	}
	known := map[string]bool{}
	for _, secret := range r.secrets {
		for _, v := range secret.Vaults {
			if !known[v.Name] {
				known[v.Name] = true
				vaults = append(vaults, v)
			}
		}
	}
	return vaults
}

// clients are the vaults of a run, and the sign-ins that they need.
type clients struct {
	vaults  map[string]provision.Vault // by real name
	lists   []*keyvault.Client         // the same, in the order of the declaration
	signIns []*signIn
}

// clients returns a client for each vault of the selected secrets. It contacts none.
func (r *run) clients() (*clients, error) {
	c := &clients{vaults: map[string]provision.Vault{}}
	signIns := map[principal]*signIn{}
	for _, v := range r.vaults() {
		p := r.principalIn(v)
		if signIns[p] == nil {
			signIn, err := r.signIn(p, "vault")
			if err != nil {
				return nil, err
			}
			signIns[p] = signIn
			c.signIns = append(c.signIns, signIn)
		}
		signIns[p].where = append(signIns[p].where, v.Name)
		client, err := keyvault.New(keyvault.Config{
			Name: v.Name, Domain: r.cloud.VaultDomain, Credential: signIns[p], HTTP: r.client, Note: r.runner.Print,
			ClientID: p.clientID, Recovers: r.recover, Access: r.access,
		})
		if err != nil {
			return nil, err
		}
		c.vaults[v.Name] = client
		c.lists = append(c.lists, client)
	}
	return c, nil
}

// signIn returns a sign-in as p, for vaults or for servers. It contacts nobody.
func (r *run) signIn(p principal, kind string) (*signIn, error) {
	credential, err := r.credential(p)
	if err != nil {
		return nil, err
	}
	return &signIn{Credential: credential, principal: p, kind: kind}, nil
}

func (r *run) credential(p principal) (*identity.Credential, error) {
	audience := r.audience
	if audience == "" {
		audience = r.cloud.Audience
	}
	return identity.New(identity.Config{
		Cloud: r.cloud, TenantID: p.tenantID, ClientID: p.clientID, Audience: audience, HTTP: r.client,
		IDToken: r.runner.IDToken, Access: r.access,
		Advice: func(c identity.Claims) string { return r.runner.TrustAdvice(runner.Claims(c), p.clientID) },
	})
}

// A signIn is a credential that notes how long its first token took, and for which vaults or servers it is.
type signIn struct {
	*identity.Credential
	principal
	where []string // by name
	kind  string   // of them: "vault", "server"
	once  sync.Once
	asked bool
	took  time.Duration
	err   error
}

// GetToken implements [azcore.TokenCredential].
func (s *signIn) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	start := time.Now()
	token, err := s.Credential.GetToken(ctx, options)
	s.once.Do(func() { s.asked, s.took, s.err = true, time.Since(start), err })
	return token, err
}

// timing says who signed in where, and what the start of the run took, until something was done. An identity that signs
// in for vaults and for servers is told of once.
func (c *clients) timing(done string, sinceStart time.Duration) string {
	type state struct {
		principal
		failed bool
	}
	of := map[state][]*signIn{}
	for _, s := range c.signIns {
		if s.asked {
			key := state{s.principal, s.err != nil}
			of[key] = append(of[key], s)
		}
	}
	var text strings.Builder
	for _, s := range c.signIns {
		key := state{s.principal, s.err != nil}
		same := of[key]
		delete(of, key) // the first tells of all
		if same == nil {
			continue
		}
		var longest time.Duration
		for _, s := range same {
			longest = max(longest, s.took)
		}
		if key.failed {
			fmt.Fprintf(&text, "Application %s could not sign in to tenant %s for %s (%.2f s). ", s.clientID,
				s.tenantID, placesOf(same), longest.Seconds())
			continue
		}
		fmt.Fprintf(&text, "Signed in to tenant %s as application %s, for %s (%.2f s). ", s.tenantID, s.clientID,
			placesOf(same), longest.Seconds())
	}
	if text.Len() == 0 {
		text.WriteString("No sign-in was needed. ")
	}
	return text.String() + fmt.Sprintf("%s after %.2f s.", done, sinceStart.Seconds())
}

// placesOf returns where sign-ins are for: "kv-app, pg-prod", or where they are many "5 vaults and 1 server".
func placesOf(signIns []*signIn) string {
	const most = 3
	var names, counts []string
	of := map[string]int{} // by kind
	for _, s := range signIns {
		names = append(names, s.where...)
		of[s.kind] += len(s.where)
	}
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	for _, kind := range []string{"vault", "server"} {
		if of[kind] > 0 {
			counts = append(counts, report.Counted(of[kind], kind))
		}
	}
	return strings.Join(counts, " and ")
}
