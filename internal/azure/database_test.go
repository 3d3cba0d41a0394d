package azure_test

import (
	"strings"
	"testing"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/refusal"
)

func TestParsePostgreSQLHost(t *testing.T) {
	for text, want := range map[string]struct{ host, scope string }{
		"pg-prod.postgres.database.azure.com": {"pg-prod.postgres.database.azure.com",
			"https://ossrdbms-aad.database.windows.net/.default"},
		"PG-Prod.Postgres.Database.Azure.com": {"pg-prod.postgres.database.azure.com",
			"https://ossrdbms-aad.database.windows.net/.default"},
		"app.writer.postgres.database.azure.com": {"app.writer.postgres.database.azure.com",
			"https://ossrdbms-aad.database.windows.net/.default"},
		"pg.postgres.database.usgovcloudapi.net": {"pg.postgres.database.usgovcloudapi.net",
			"https://ossrdbms-aad.database.usgovcloudapi.net/.default"},
		"pg.postgres.database.chinacloudapi.cn": {"pg.postgres.database.chinacloudapi.cn",
			"https://ossrdbms-aad.database.chinacloudapi.cn/.default"},
	} {
		host, cloud, err := azure.ParsePostgreSQLHost(text)
		if err != nil || host != want.host || cloud.DatabaseScope != want.scope {
			t.Errorf("ParsePostgreSQLHost(%q) = %q, %q, %v; want %q, %q", text, host, cloud.DatabaseScope, err,
				want.host, want.scope)
		}
	}
}

// A token for databases goes to hosts of Azure and nowhere else.
func TestParsePostgreSQLHostRefuses(t *testing.T) {
	const domain = "postgres.database.azure.com"
	for _, text := range []string{
		"", domain, "." + domain, "a.." + domain, "-a." + domain, "a-." + domain, "a_b." + domain, "a b." + domain,
		"a." + domain + ".", "a." + domain + ".example.com", "example.com/a." + domain, "user@a." + domain,
		"a." + domain + ":5432", "https://a." + domain, "postgres://a." + domain, "a." + domain + "/db",
		"apostgres.database.azure.com", "a.database.windows.net", "a.postgres.database.example.com", "localhost",
		"127.0.0.1", "a." + domain + ",evil.example." + domain, "/tmp/." + domain, "a\x00." + domain,
		strings.Repeat("a", 64) + "." + domain, strings.Repeat("a.", 120) + domain,
	} {
		host, _, err := azure.ParsePostgreSQLHost(text)
		if err == nil {
			t.Errorf("ParsePostgreSQLHost(%q) accepts %q", text, host)
		}
		if !strings.HasPrefix(refusal.Of(err).Remedy, "expected ") {
			t.Errorf("ParsePostgreSQLHost(%q): %v; want a remedy that says what is expected", text, err)
		}
	}
}
