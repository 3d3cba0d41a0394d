// Package azure knows the Azure clouds: which Entra authority, Key Vault domain and token audience belong together,
// and how vaults and IDs are spelt. It refuses a vault whose host is not in one of the domains it knows, so that a
// declaration cannot send a value, or a token, anywhere else. Its errors are of type [refusal.Refusal].
package azure

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"keyvault-passwords/internal/refusal"
)

// A Cloud is an Azure cloud: the endpoints that belong together.
type Cloud struct {
	Name        string // as the az command line spells it: AzureCloud
	Authority   string // Entra's URL, with the final slash: https://login.microsoftonline.com/
	VaultDomain string // what follows the vault's name in its host: vault.azure.net
	Audience    string // of GitHub's token, as Entra expects it: api://AzureADTokenExchange
	Manager     string // host of Azure Resource Manager, which is the audience of its tokens too: management.azure.com

	DatabaseDomain   string // of Azure Database for PostgreSQL flexible servers: postgres.database.azure.com
	DatabaseAudience string // of tokens for them, as az cloud show prints it in ossrdbmsResourceId
}

// The clouds, as https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates (domains) and
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
// (audiences) list them. The hosts of Resource Manager, and that each takes tokens for itself with and without a final
// slash, are of https://github.com/stephaneey/azure-apim-extension/issues/93 and az cloud list.
var clouds = [...]Cloud{
	{
		Name: "AzureCloud", Authority: "https://login.microsoftonline.com/",
		VaultDomain: "vault.azure.net", Audience: "api://AzureADTokenExchange",
		Manager:        "management.azure.com",
		DatabaseDomain: "postgres.database.azure.com", DatabaseAudience: "https://ossrdbms-aad.database.windows.net",
	},
	{
		Name: "AzureUSGovernment", Authority: "https://login.microsoftonline.us/",
		VaultDomain: "vault.usgovcloudapi.net", Audience: "api://AzureADTokenExchangeUSGov",
		Manager:          "management.usgovcloudapi.net",
		DatabaseDomain:   "postgres.database.usgovcloudapi.net",
		DatabaseAudience: "https://ossrdbms-aad.database.usgovcloudapi.net",
	},
	{
		Name: "AzureChinaCloud", Authority: "https://login.chinacloudapi.cn/",
		VaultDomain: "vault.azure.cn", Audience: "api://AzureADTokenExchangeChina",
		Manager:          "management.chinacloudapi.cn",
		DatabaseDomain:   "postgres.database.chinacloudapi.cn",
		DatabaseAudience: "https://ossrdbms-aad.database.chinacloudapi.cn",
	},
}

// others are what other tools call each cloud, in small letters: Terraform's providers, the SDKs, External Secrets.
var others = [len(clouds)][]string{
	{"public", "publiccloud", "azurepublic", "azurepubliccloud"},
	{"usgovernment", "usgovernmentcloud", "azureusgovernmentcloud"},
	{"china", "chinacloud", "azurechina"},
}

// Public returns the cloud that applies where no other is named: AzureCloud.
func Public() Cloud { return clouds[0] }

// Parse returns the cloud of that name, in any letter case: as az prints it, or as Terraform's providers (public) and
// the SDKs (AzurePublicCloud, AZURE_PUBLIC_CLOUD) spell it.
func Parse(name string) (Cloud, error) {
	plain := strings.ToLower(strings.ReplaceAll(name, "_", ""))
	for i, c := range clouds {
		if strings.EqualFold(c.Name, plain) || slices.Contains(others[i], plain) {
			return c, nil
		}
	}
	return Cloud{}, refuse(fmt.Sprintf("unknown cloud %q", name),
		"expected one of "+list(func(c Cloud) string { return c.Name }))
}

func refuse(cause, remedy string) error { return refusal.Refusal{Cause: cause, Remedy: remedy} }

// IDPattern is a regular expression for the GUIDs by which Entra identifies tenants and applications.
const IDPattern = `^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`

// IsID reports whether text is a GUID, as the ID of a tenant or an application must be. azidentity checks a tenant ID
// loosely and a client ID not at all. It is [IDPattern], without the time that compiling it would cost every run.
func IsID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isDigit(c) && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}

// CheckID returns an error unless text is an ID: see [IsID].
func CheckID(text string) error {
	if !IsID(text) {
		return refuse(fmt.Sprintf("%q is not a GUID", text), "expected the form 00000000-0000-0000-0000-000000000000")
	}
	return nil
}

// A Vault is a vault's name, and its cloud if the vault was spelt as a URL.
type Vault struct {
	Name  string // in lower case: kv-app-prod
	Cloud *Cloud // nil: the vault was spelt as a bare name, or as a resource ID
}

// VaultNamePattern is a regular expression, without anchors, for the name of a vault of at most [MaxVaultName]
// characters: letters, digits and single hyphens, a letter first, no hyphen last.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault
const (
	VaultNamePattern = `[A-Za-z](-?[A-Za-z0-9]){2,23}`
	MaxVaultName     = 24
)

const vaultNameForm = "expected 3 to 24 letters, digits and single hyphens, a letter first"

// isVaultName is [VaultNamePattern] and [MaxVaultName], without the time that compiling would cost every run.
func isVaultName(text string) bool {
	if len(text) > MaxVaultName || text == "" || !isLetter(text[0]) {
		return false
	}
	if strings.HasSuffix(text, "-") || strings.Contains(text, "--") {
		return false
	}
	var alphanumeric int
	for _, c := range []byte(text) {
		switch {
		case isLetter(c), isDigit(c):
			alphanumeric++
		case c != '-':
			return false
		}
	}
	return alphanumeric >= 3
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// VaultURLPattern returns a regular expression for the usual spellings of a vault's address, in any of the clouds, and
// of its resource ID.
func VaultURLPattern() string {
	var domains []string
	for _, c := range clouds {
		domains = append(domains, regexp.QuoteMeta(c.VaultDomain))
	}
	address := "^(https://)?" + VaultNamePattern + `\.(` + strings.Join(domains, "|") + ")(:443)?/?$"
	return address + "|^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\\.KeyVault/vaults/" +
		VaultNamePattern + "$"
}

// ParseVault reads a vault as users and Azure's tools spell it: its name (kv-app-prod), its URL
// (https://kv-app-prod.vault.azure.net/, with or without the scheme and the port 443) or its resource ID. It refuses a
// name that Azure does not accept, and a URL that is not https, has another port, a user, a path or a query, or is
// outside the domains of the clouds.
func ParseVault(text string) (Vault, error) {
	if id, ok := cutResourceID(text); ok {
		return named(id)
	}
	if !strings.Contains(text, "://") {
		if host, _, _ := strings.Cut(text, "/"); !strings.Contains(host, ".") {
			return named(text)
		}
		text = "https://" + text
	}
	urlForm := "https://NAME." + clouds[0].VaultDomain + "/"
	u, err := url.Parse(text)
	if err != nil {
		return Vault{}, refuse("the vault URL cannot be parsed", "expected "+urlForm)
	}
	if !isAddress(u) {
		return Vault{}, refuse(fmt.Sprintf("the vault URL of %q is not the address of a vault", u.Hostname()),
			"expected "+urlForm+" and nothing else")
	}
	name, domain, _ := strings.Cut(strings.ToLower(u.Hostname()), ".")
	for i := range clouds {
		if domain == clouds[i].VaultDomain {
			if !isVaultName(name) {
				return Vault{}, refuse(fmt.Sprintf("Azure accepts no vault name %q", name), vaultNameForm)
			}
			return Vault{Name: name, Cloud: &clouds[i]}, nil
		}
	}
	return Vault{}, refuse(fmt.Sprintf("vault host %q is in no known Azure cloud", u.Hostname()),
		"expected a name in "+list(func(c Cloud) string { return c.VaultDomain }))
}

// named returns the vault of that name.
func named(text string) (Vault, error) {
	if !isVaultName(text) {
		return Vault{}, refuse(fmt.Sprintf("vault %q is neither a vault name nor a vault URL", text),
			vaultNameForm+", or https://NAME."+clouds[0].VaultDomain+"/")
	}
	return Vault{Name: strings.ToLower(text)}, nil
}

// cutResourceID returns the vault's name in a resource ID, as az keyvault show prints it. Letter case means nothing in
// one: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
func cutResourceID(text string) (name string, ok bool) {
	form := strings.Split("/subscriptions/*/resourceGroups/*/providers/Microsoft.KeyVault/vaults/*", "/")
	parts := strings.Split(text, "/")
	if len(parts) != len(form) {
		return "", false
	}
	for i, want := range form {
		if want == "*" && parts[i] == "" || want != "*" && !strings.EqualFold(parts[i], want) {
			return "", false
		}
	}
	return parts[len(parts)-1], true
}

// isAddress reports whether a URL is https, and consists of nothing but a host and that scheme's own port.
func isAddress(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && (u.Port() == "" || u.Port() == "443") && u.RawQuery == "" &&
		u.Fragment == "" && strings.Trim(u.Path, "/") == ""
}

// list returns one property of each cloud, for messages.
func list(of func(Cloud) string) string {
	var texts []string
	for _, c := range clouds {
		texts = append(texts, of(c))
	}
	return strings.Join(texts, ", ")
}
