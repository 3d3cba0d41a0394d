// Package azure knows the Azure clouds: which Entra authority, which Key Vault domain and which token audience belong
// together, and how vaults and IDs are written. It refuses a vault whose host is not in one of the clouds' domains, so
// that a declaration cannot send a value or a token anywhere else.
package azure

import (
	"fmt"
	"net/url"
	"strings"

	"keyvault-passwords/internal/refusal"
)

// A Cloud is one of Azure's clouds, with the endpoints that belong together.
type Cloud struct {
	Name        string // as the az command line spells it: AzureCloud
	Authority   string // Entra's URL, with a final slash: https://login.microsoftonline.com/
	VaultDomain string // what follows the vault's name in its host: vault.azure.net
	Audience    string // what Entra expects as the audience of the ID token: api://AzureADTokenExchange
}

// clouds are as https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates (domains) and
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
// (audiences) list them.
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

// Public returns the public cloud, AzureCloud. It is the default.
func Public() Cloud { return clouds[0] }

// Parse returns the cloud of that name, in any letter case. Its error is a [refusal.Refusal].
func Parse(name string) (Cloud, error) {
	for _, c := range clouds {
		if strings.EqualFold(c.Name, name) {
			return c, nil
		}
	}
	return Cloud{}, refusal.Refusal{
		Cause:  fmt.Sprintf("unknown cloud %q", name),
		Remedy: "expected one of " + list(func(c Cloud) string { return c.Name }),
	}
}

// IsGUID reports whether id has the form of Entra's IDs: 00000000-0000-0000-0000-000000000000, in hexadecimal digits
// of either letter case.
func IsGUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range []byte(id) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}

// A Vault is a vault's name and, if its URL was given, the cloud that it is in.
type Vault struct {
	Name  string // in lower case: kv-app-prod
	Cloud *Cloud // nil: only the name was given
}

// isVaultName reports whether Azure accepts name: 3 to 24 letters, digits and single hyphens, the first a letter, the
// last no hyphen. It also refuses a name with fewer than three letters and digits.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
func isVaultName(name string) bool {
	if len(name) < 3 || len(name) > 24 || !isLetter(name[0]) {
		return false
	}
	if strings.HasSuffix(name, "-") || strings.Contains(name, "--") {
		return false
	}
	var alphanumeric int
	for _, c := range []byte(name) {
		switch {
		case isLetter(c), '0' <= c && c <= '9':
			alphanumeric++
		case c != '-':
			return false
		}
	}
	return alphanumeric >= 3
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// ParseVault reads a vault as users write it: its name (kv-app-prod) or its URL
// (https://kv-app-prod.vault.azure.net/). It refuses a name that Azure would not accept. It refuses a URL that is not
// https, has a port, a user, a path or a query, or is outside the domains of the clouds. Its error is a
// [refusal.Refusal].
func ParseVault(text string) (Vault, error) {
	example := "https://NAME." + clouds[0].VaultDomain + "/"
	if !strings.Contains(text, "://") {
		if !isVaultName(text) {
			return Vault{}, refusal.Refusal{
				Cause:  fmt.Sprintf("vault %q is neither a vault name nor a vault URL", text),
				Remedy: "expected " + nameForm + ", or " + example,
			}
		}
		return Vault{Name: strings.ToLower(text)}, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return Vault{}, refusal.Refusal{Cause: "the vault URL cannot be parsed", Remedy: "expected " + example}
	}
	if u.Scheme != "https" || u.User != nil || u.Port() != "" || u.RawQuery != "" || u.Fragment != "" ||
		strings.Trim(u.Path, "/") != "" {
		return Vault{}, refusal.Refusal{
			Cause:  fmt.Sprintf("the vault URL of %q is more than a vault's address", u.Hostname()),
			Remedy: "expected " + example + " and nothing else",
		}
	}
	name, domain, _ := strings.Cut(strings.ToLower(u.Hostname()), ".")
	for i := range clouds {
		if domain != clouds[i].VaultDomain {
			continue
		}
		if !isVaultName(name) {
			return Vault{}, refusal.Refusal{
				Cause:  fmt.Sprintf("vault name %q is not one that Azure accepts", name),
				Remedy: "expected " + nameForm,
			}
		}
		return Vault{Name: name, Cloud: &clouds[i]}, nil
	}
	return Vault{}, refusal.Refusal{
		Cause:  fmt.Sprintf("vault host %q is in no known Azure cloud", u.Hostname()),
		Remedy: "expected a name in " + list(func(c Cloud) string { return c.VaultDomain }),
	}
}

// nameForm says what isVaultName accepts.
const nameForm = "3 to 24 letters, digits and single hyphens, a letter first"

// list returns one field of each cloud, for messages.
func list(field func(Cloud) string) string {
	var texts []string
	for _, c := range clouds {
		texts = append(texts, field(c))
	}
	return strings.Join(texts, ", ")
}
