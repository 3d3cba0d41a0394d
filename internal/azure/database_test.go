package azure_test

import (
	"regexp"
	"strings"
	"testing"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/refusal"
)

func TestParseDatabase(t *testing.T) {
	pattern := regexp.MustCompile(azure.DatabaseHostPattern())
	for text, want := range map[string]struct{ name, cloud, audience string }{
		"pg-prod.postgres.database.azure.com": {"pg-prod", "AzureCloud",
			"https://ossrdbms-aad.database.windows.net"},
		"PG-Prod.Postgres.Database.Azure.Com": {"pg-prod", "AzureCloud",
			"https://ossrdbms-aad.database.windows.net"},
		"app.writer.postgres.database.azure.com": {"app", "AzureCloud", "https://ossrdbms-aad.database.windows.net"},
		"db1.postgres.database.usgovcloudapi.net": {"db1", "AzureUSGovernment",
			"https://ossrdbms-aad.database.usgovcloudapi.net"},
		"db1.postgres.database.chinacloudapi.cn": {"db1", "AzureChinaCloud",
			"https://ossrdbms-aad.database.chinacloudapi.cn"},
	} {
		got, err := azure.ParseDatabase(text)
		if err != nil || got.Name != want.name || got.Cloud.Name != want.cloud ||
			got.Cloud.DatabaseAudience != want.audience || got.Host != strings.ToLower(text) {
			t.Errorf("ParseDatabase(%q) = %+v, %v", text, got, err)
		}
		if text[0] != 'P' && !pattern.MatchString(text) {
			t.Errorf("the pattern does not match %q", text)
		}
	}
	const unknown = "is in no domain of Azure Database for PostgreSQL, and gets no token; "
	const domains = "expected a name in postgres.database.azure.com, postgres.database.usgovcloudapi.net, " +
		"postgres.database.chinacloudapi.cn"
	for text, want := range map[string]string{
		"pg-prod": `host "pg-prod" ` + unknown +
			"expected pg-prod.postgres.database.azure.com",
		"db.example.com":                      `host "db.example.com" ` + unknown + domains,
		"pg.postgres.database.azure.com.evil": `host "pg.postgres.database.azure.com.evil" ` + unknown + domains,
		"a.b.postgres.database.azure.com":     `host "a.b.postgres.database.azure.com" ` + unknown + domains,
		"10.0.0.4": `host "10.0.0.4" ` + unknown +
			"expected NAME.postgres.database.azure.com: certificates are for names",
		"pg-prod.postgres.databse.azure.com": `host "pg-prod.postgres.databse.azure.com" ` + unknown + domains,
		"m.mysql.database.azure.com": `host "m.mysql.database.azure.com" ` + unknown +
			"for the administrator's password of such a server, set azure to its resource ID",
		"pg.privatelink.postgres.database.azure.com": `host "pg.privatelink.postgres.database.azure.com" ` + unknown +
			"expected pg.postgres.database.azure.com, which resolves to it",
		"https://pg.postgres.database.azure.com": `"https://pg.postgres.database.azure.com" is not the name of a ` +
			"host; expected NAME.postgres.database.azure.com alone, without a scheme, a user or a port: it is always " +
			"5432",
		"pg-prod.postgres.database.azure.com:6432": `"pg-prod.postgres.database.azure.com:6432" is not the name of a ` +
			"host; expected NAME.postgres.database.azure.com alone, without a scheme, a user or a port: it is always " +
			"5432",
		"app.reader.postgres.database.azure.com": `host "app.reader.postgres.database.azure.com" ` + unknown + domains,
		"-x.postgres.database.azure.com": `Azure accepts no server name "-x"; expected 3 to 63 letters, digits and ` +
			"single hyphens",
		".postgres.database.azure.com": `Azure accepts no server name ""; expected 3 to 63 letters, digits and ` +
			"single hyphens",
	} {
		got, err := azure.ParseDatabase(text)
		if err == nil || refusal.Of(err).Error() != want {
			t.Errorf("ParseDatabase(%q) = %+v, %v; want %q", text, got, err, want)
		}
		if pattern.MatchString(text) {
			t.Errorf("the pattern matches %q", text)
		}
	}
}
