package azure_test

import (
	"regexp"
	"strings"
	"testing"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/refusal"
)

func TestParse(t *testing.T) {
	for text, domain := range map[string]string{
		"AzureCloud":        "vault.azure.net",
		"azureusgovernment": "vault.usgovcloudapi.net",
		"AZURECHINACLOUD":   "vault.azure.cn",

		"public": "vault.azure.net", "AzurePublicCloud": "vault.azure.net", "AZURE_PUBLIC_CLOUD": "vault.azure.net",
		"PublicCloud": "vault.azure.net", "usgovernment": "vault.usgovcloudapi.net",
		"AzureUSGovernmentCloud": "vault.usgovcloudapi.net", "AZURE_US_GOVERNMENT": "vault.usgovcloudapi.net",
		"china": "vault.azure.cn", "ChinaCloud": "vault.azure.cn", "AZURE_CHINA_CLOUD": "vault.azure.cn",
	} {
		c, err := azure.Parse(text)
		if err != nil || c.VaultDomain != domain {
			t.Errorf("Parse(%q) = %q, %v; want %q", text, c.VaultDomain, err, domain)
		}
		if !strings.HasPrefix(c.Authority, "https://login.") || !strings.HasSuffix(c.Authority, "/") ||
			!strings.HasPrefix(c.Audience, "api://AzureADTokenExchange") {
			t.Errorf("Parse(%q) has authority %q and audience %q", text, c.Authority, c.Audience)
		}
	}
	for _, text := range []string{"", "azure", "cloud", "_", "government", "publi"} {
		if c, err := azure.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %s; want a refusal", text, c.Name)
		}
	}
	_, err := azure.Parse("AzureGermanCloud")
	const expected = "expected one of AzureCloud, AzureUSGovernment, AzureChinaCloud"
	if refusal.Of(err).Remedy != expected {
		t.Errorf("Parse of an unknown cloud: %v; want %q as the remedy", err, expected)
	}
}

// resourceID is a vault's resource ID up to its name, as az keyvault show prints it.
const resourceID = "/subscriptions/3f2c8f5e-6a4d-4b1e-9c0a-7d5e2b8f1a60/resourceGroups/rg-app/" +
	"providers/Microsoft.KeyVault/vaults/"

func TestParseVault(t *testing.T) {
	for text, want := range map[string]struct{ name, cloud string }{
		"kv-app-prod":                     {"kv-app-prod", ""},
		"KV-App":                          {"kv-app", ""},
		"abc":                             {"abc", ""},
		"a23456789012345678901234":        {"a23456789012345678901234", ""},
		"https://kv-app.vault.azure.net":  {"kv-app", "AzureCloud"},
		"https://KV-App.Vault.Azure.Net/": {"kv-app", "AzureCloud"},
		"https://kv-app.vault.usgovcloudapi.net/": {"kv-app", "AzureUSGovernment"},
		"HTTPS://kv-app.vault.azure.cn":           {"kv-app", "AzureChinaCloud"},
		"kv-app.vault.azure.net":                  {"kv-app", "AzureCloud"},
		"KV-App.vault.azure.cn/":                  {"kv-app", "AzureChinaCloud"},
		"kv-app.vault.azure.net:443":              {"kv-app", "AzureCloud"},
		"https://kv-app.vault.azure.net:443":      {"kv-app", "AzureCloud"},
		"https://kv-app.vault.azure.net:443/":     {"kv-app", "AzureCloud"},
		resourceID + "KV-App":                     {"kv-app", ""},
		strings.ToLower(resourceID) + "kv-app":    {"kv-app", ""},
	} {
		v, err := azure.ParseVault(text)
		name := ""
		if v.Cloud != nil {
			name = v.Cloud.Name
		}
		if err != nil || v.Name != want.name || name != want.cloud {
			t.Errorf("ParseVault(%q) = %q in %q, %v; want %q in %q", text, v.Name, name, err, want.name, want.cloud)
		}
	}
}

// A vault is at a host of Azure and nowhere else: what is refused here gets neither a token nor a value.
func TestParseVaultRefuses(t *testing.T) {
	for _, text := range []string{
		"", "ab", "1kv", "kv-", "kv--app", "kv_app", "kv.app", "a234567890123456789012345", "kv app", "kv/x", "kv:443",
		"http://kv-app.vault.azure.net", "https://kv-app.vault.azure.net:8443", "https://user@kv-app.vault.azure.net",
		"https://kv-app.vault.azure.net/secrets", "https://kv-app.vault.azure.net/?x=y",
		"https://kv-app.vault.azure.net/#x", "https://kv-app.vault.azure.net.example.com",
		"https://vault.azure.net", "https://.vault.azure.net", "https://a.b.vault.azure.net",
		"https://kv-app.example.com", "https://evil.com/kv-app.vault.azure.net",
		"https://kv-app%2evault.azure.net", "https://kv--app.vault.azure.net",
		"user@kv-app.vault.azure.net", "kv-app.vault.azure.net:8443", "kv-app.vault.azure.net/secrets/x",
		"kv-app.vault.azure.net?x=y", "kv-app.example.com", "evil.com/kv-app.vault.azure.net",
		"//kv-app.vault.azure.net",
		"kv-app.vault.azure.net.", "kv-app.privatelink.vaultcore.azure.net",
		resourceID, resourceID + "kv-app/secrets/x", resourceID + "kv--app", "x" + resourceID + "kv-app",
		strings.Replace(resourceID, "KeyVault", "Web", 1) + "kv-app",
		strings.Replace(resourceID, "rg-app", "", 1) + "kv-app",
		"https://127.0.0.1", "ftp://kv-app.vault.azure.net", "://", "https://%zz",
	} {
		v, err := azure.ParseVault(text)
		if err == nil {
			t.Errorf("ParseVault(%q) accepts %q", text, v.Name)
		}
		if !strings.HasPrefix(refusal.Of(err).Remedy, "expected ") {
			t.Errorf("ParseVault(%q): %v; want a remedy that says what is expected", text, err)
		}
	}
}

// The names that are accepted are those of Azure's rule, written as a pattern: all short ones, and some at the limit.
func TestVaultNames(t *testing.T) {
	pattern := regexp.MustCompile("^" + azure.VaultNamePattern + "$")
	var try func(name string, more int)
	try = func(name string, more int) {
		want := pattern.MatchString(name) && len(name) <= azure.MaxVaultName
		if _, err := azure.ParseVault(name); (err == nil) != want {
			t.Errorf("ParseVault(%q): %v", name, err)
		}
		for _, c := range "aZ5-_" {
			if more > 0 {
				try(name+string(c), more-1)
			}
		}
	}
	try("", 5)
	try(strings.Repeat("a-", 11), 3)
}

// The IDs that are accepted are those of the pattern: one, and all that differ from it in one place.
func TestIsID(t *testing.T) {
	const id = "3f2c8F5e-6a4d-4b1e-9c0a-7d5e2b8f1a60"
	pattern := regexp.MustCompile(azure.IDPattern)
	for i := range id {
		for _, c := range []string{id[i : i+1], "", "0", "f", "F", "g", "G", "-", "_", ":", "00"} {
			text := id[:i] + c + id[i+1:]
			if azure.IsID(text) != pattern.MatchString(text) {
				t.Errorf("IsID(%q) = %t", text, azure.IsID(text))
			}
		}
	}
}

func TestCheckID(t *testing.T) {
	const good = "01234567-89ab-cdef-ABCD-EF0123456789"
	if err := azure.CheckID(good); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "contoso.onmicrosoft.com", good + "0", "../" + good[3:], good + "\n"} {
		if azure.CheckID(bad) == nil {
			t.Errorf("CheckID(%q) accepts it", bad)
		}
	}
}

// The pattern for editors accepts no URL that is refused.
func TestVaultURLPattern(t *testing.T) {
	pattern := regexp.MustCompile(azure.VaultURLPattern())
	for text, want := range map[string]bool{
		"https://kv-app.vault.azure.net": true, "https://kv-app.vault.usgovcloudapi.net/": true,
		"https://kv-app.vault.azure.cn/": true, "kv-app.vault.azure.net": true, resourceID + "kv-app": true,
		"https://kv-app.vault.azure.net:443/": true, "kv-app.vault.azure.net:80": false, resourceID: false,
		"https://kv-app.vaultXazure.net": false, "https://kv-app.vault.azure.net/x": false,
		"http://kv-app.vault.azure.net": false,
	} {
		if pattern.MatchString(text) != want {
			t.Errorf("%q matches: %v, want %v", text, !want, want)
		}
		if _, err := azure.ParseVault(text); (err == nil) != want {
			t.Errorf("ParseVault(%q): %v", text, err)
		}
	}
}
