package emulator

import "slices"

// A cloud is what belongs together in one of Azure's:
// https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud for the authorities,
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates for the domains; the hosts of
// Resource Manager are those of az cloud list.
type cloud struct {
	authority string // where tokens come from: the host that Entra itself prefers
	// its hosts, as instance discovery lists them; the first is the one that vaults name in a challenge
	aliases  []string
	cache    string // preferred_cache of instance discovery
	domain   string // of its vaults
	audience string // of a federated credential
	database string // the resource of a token for a database; az cloud show prints it as ossrdbmsResourceId
	manager  string // the host of Azure Resource Manager
}

var clouds = []cloud{
	{
		authority: "login.microsoftonline.com",
		aliases:   []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"},
		cache:     "login.windows.net",
		domain:    "vault.azure.net",
		audience:  "api://AzureADTokenExchange",
		database:  "https://ossrdbms-aad.database.windows.net",
		manager:   "management.azure.com",
	},
	{
		authority: "login.microsoftonline.us",
		aliases:   []string{"login.microsoftonline.us", "login.usgovcloudapi.net"},
		cache:     "login.microsoftonline.us",
		domain:    "vault.usgovcloudapi.net",
		audience:  "api://AzureADTokenExchangeUSGov",
		database:  "https://ossrdbms-aad.database.usgovcloudapi.net",
		manager:   "management.usgovcloudapi.net",
	},
	{
		authority: "login.partner.microsoftonline.cn",
		aliases:   []string{"login.chinacloudapi.cn", "login.partner.microsoftonline.cn"},
		cache:     "login.partner.microsoftonline.cn",
		domain:    "vault.azure.cn",
		audience:  "api://AzureADTokenExchangeChina",
		database:  "https://ossrdbms-aad.database.chinacloudapi.cn",
		manager:   "management.chinacloudapi.cn",
	},
}

// githubDomain is where GitHub's token service and its issuer live.
const githubDomain = ".actions.githubusercontent.com"

// cloudOfAuthority returns the cloud that has an authority of that host, or nil.
func cloudOfAuthority(host string) *cloud {
	for i := range clouds {
		if slices.Contains(clouds[i].aliases, host) {
			return &clouds[i]
		}
	}
	return nil
}

// cloudOfManager returns the cloud whose Resource Manager has that host, or nil.
func cloudOfManager(host string) *cloud {
	for i := range clouds {
		if clouds[i].manager == host {
			return &clouds[i]
		}
	}
	return nil
}

// issuesFor tells whether Entra has a resource of that name in the cloud, for which it issues tokens.
func (in *cloud) issuesFor(resource string) bool {
	return resource == "https://"+in.domain || resource == in.database ||
		slices.Contains(in.audiences(), resource)
}

// cloudOfDomain returns the cloud whose vaults are in that domain, or nil.
func cloudOfDomain(domain string) *cloud {
	for i := range clouds {
		if clouds[i].domain == domain {
			return &clouds[i]
		}
	}
	return nil
}
