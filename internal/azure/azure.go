// Package azure knows the Azure clouds: which Entra authority, which Key Vault domain and which token audience go
// together, and how a vault is spelt. It refuses a vault whose host is not in one of the domains it knows, so that a
// declaration cannot send a value, or a token, anywhere else.
package azure

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A Cloud is one of Azure's: the endpoints that belong together.
type Cloud struct {
	Name        string // as the az command line spells it: AzureCloud
	Authority   string // Entra's URL, with the final slash: https://login.microsoftonline.com/
	VaultDomain string // what follows the vault's name in its host: vault.azure.net
	Audience    string // what Entra expects as the audience of GitHub's token: api://AzureADTokenExchange
}

// clouds are those that https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates (domains)
// and https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
// (audiences) list.
var clouds = [...]Cloud{
	{
		Name:        "AzureCloud",
		Authority:   "https://login.microsoftonline.com/",
		VaultDomain: "vault.azure.net",
		Audience:    "api://AzureADTokenExchange",
	},
	{
		Name:        "AzureUSGovernment",
		Authority:   "https://login.microsoftonline.us/",
		VaultDomain: "vault.usgovcloudapi.net",
		Audience:    "api://AzureADTokenExchangeUSGov",
	},
	{
		Name:        "AzureChinaCloud",
		Authority:   "https://login.chinacloudapi.cn/",
		VaultDomain: "vault.azure.cn",
		Audience:    "api://AzureADTokenExchangeChina",
	},
}

// Public is the cloud where nothing names another: AzureCloud.
func Public() Cloud { return clouds[0] }

// Parse returns the cloud of that name, in any letter case.
func Parse(name string) (Cloud, error) {
	for _, c := range clouds {
		if strings.EqualFold(c.Name, name) {
			return c, nil
		}
	}
	known := list(func(c Cloud) string { return c.Name })
	return Cloud{}, fmt.Errorf("unknown cloud %q; expected one of %s", name, known)
}

// A Vault is a vault's name and, where its spelling told it, the cloud it is in.
type Vault struct {
	Name  string // in lower case: kv-app-prod
	Cloud *Cloud // nil: the spelling was a bare name
}

// vaultName is what Azure accepts: 3 to 24 letters, digits and single hyphens, a letter first, no hyphen last.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
var vaultName = regexp.MustCompile(`^[A-Za-z](-?[A-Za-z0-9]){2,23}$`)

// expectedName is vaultName in words.
const expectedName = "3 to 24 letters, digits and single hyphens, a letter first"

// ParseVault reads a vault as users spell it: its name (kv-app-prod) or its URL (https://kv-app-prod.vault.azure.net/).
// It refuses a name that Azure would not accept and a URL that is not https, has a port, a user, a path or a query, or
// is outside the domains of the clouds.
func ParseVault(text string) (Vault, error) {
	if !strings.Contains(text, "://") {
		if len(text) > 24 || !vaultName.MatchString(text) {
			return Vault{}, fmt.Errorf("vault %q is neither a vault name nor a vault URL; expected "+expectedName+
				", or https://NAME.%s/", text, clouds[0].VaultDomain)
		}
		return Vault{Name: strings.ToLower(text)}, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return Vault{}, errors.New(
			"the vault URL cannot be parsed; expected https://NAME." + clouds[0].VaultDomain + "/")
	}
	if u.Scheme != "https" || u.User != nil || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" ||
		strings.Trim(u.Path, "/") != "" {
		return Vault{}, fmt.Errorf("the vault URL of %q is more than a vault's address; "+
			"expected https://NAME.%s/ and nothing else", u.Hostname(), clouds[0].VaultDomain)
	}
	name, domain, _ := strings.Cut(strings.ToLower(u.Hostname()), ".")
	for i := range clouds {
		if domain == clouds[i].VaultDomain {
			if len(name) > 24 || !vaultName.MatchString(name) {
				return Vault{}, fmt.Errorf("vault name %q is not one that Azure accepts; expected "+expectedName, name)
			}
			return Vault{Name: name, Cloud: &clouds[i]}, nil
		}
	}
	domains := list(func(c Cloud) string { return c.VaultDomain })
	return Vault{}, fmt.Errorf("vault host %q is in no known Azure cloud; expected a name in %s", u.Hostname(), domains)
}

// list returns what tells each cloud, for messages.
func list(of func(Cloud) string) string {
	var texts []string
	for _, c := range clouds {
		texts = append(texts, of(c))
	}
	return strings.Join(texts, ", ")
}
