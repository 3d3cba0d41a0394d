package azure_test

import (
	"regexp"
	"strings"
	"testing"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/refusal"
)

const (
	subscription = "/subscriptions/6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90"
	group        = subscription + "/resourceGroups/"
	serverGroup  = group + "rg-app/providers/"
)

func TestParseServer(t *testing.T) {
	pattern := regexp.MustCompile(azure.ServerIDPattern())
	for id, want := range map[string]azure.Server{
		serverGroup + "Microsoft.Sql/servers/sql-prod": {Kind: azure.SQLServer, Name: "sql-prod"},
		serverGroup + "Microsoft.DBforPostgreSQL/flexibleServers/pg-prod": {Kind: azure.PostgreSQLServer,
			Name: "pg-prod"},
		serverGroup + "Microsoft.DBforMySQL/flexibleServers/a": {Kind: azure.MySQLServer, Name: "a"},
		serverGroup + "Microsoft.Sql/servers/" +
			strings.Repeat("x", 63): {Kind: azure.SQLServer, Name: strings.Repeat("x", 63)},
		strings.ToLower(serverGroup) + "microsoft.sql/SERVERS/sql-prod": {Kind: azure.SQLServer, Name: "sql-prod"},
		strings.ToUpper(serverGroup) + "MICROSOFT.SQL/SERVERS/SQL-PROD": {Kind: azure.SQLServer, Name: "SQL-PROD"},
		group + "A_(b).c-é/providers/Microsoft.Sql/servers/s": {
			Kind: azure.SQLServer, Name: "s", ResourceGroup: "A_(b).c-é",
		},
	} {
		got, err := azure.ParseServer(id)
		if err != nil {
			t.Errorf("ParseServer(%q): %v", id, err)
			continue
		}
		if got.Kind != want.Kind || got.Name != want.Name || want.ResourceGroup != "" &&
			got.ResourceGroup != want.ResourceGroup {
			t.Errorf("ParseServer(%q) = %+v; want %+v", id, got, want)
		}
		if !strings.EqualFold(got.ID(), id) {
			t.Errorf("ParseServer(%q).ID() = %q", id, got.ID())
		}
		if !pattern.MatchString(got.ID()) {
			t.Errorf("the pattern does not match %q", got.ID())
		}
	}
}

func TestParseServerRefuses(t *testing.T) {
	pattern := regexp.MustCompile(azure.ServerIDPattern())
	for id, cause := range map[string]string{
		"":                                    "is not the resource ID of a server",
		"sql-prod":                            "is not the resource ID of a server",
		"sql-prod.database.windows.net":       "is not the resource ID of a server",
		subscription:                          "is not the resource ID of a server",
		serverGroup + "Microsoft.Sql/servers": "is not the resource ID of a server",
		"https://management.azure.com" + serverGroup + "Microsoft.Sql/servers/s": "is not the resource ID of a server",
		"x" + serverGroup + "Microsoft.Sql/servers/s":                            "is not the resource ID of a server",
		serverGroup + "Microsoft.Sql/servers/":                                   `accepts no server name ""`,
		serverGroup + "Microsoft.Sql/servers/-s":                                 `accepts no server name "-s"`,
		serverGroup + "Microsoft.Sql/servers/s?a=b":                              `accepts no server name "s?a=b"`,
		serverGroup + "Microsoft.Sql/servers/s%2F":                               `accepts no server name "s%2F"`,
		serverGroup + "Microsoft.Sql/servers/" + strings.Repeat("x", 64):         "accepts no server name",
		serverGroup + "Microsoft.Sql/servers/s/databases/d": "of a part of the server " +
			serverGroup + "Microsoft.Sql/servers/s",
		serverGroup + "Microsoft.Sql/servers/s/":         "of a part of the server",
		serverGroup + "Microsoft.Sql/managedInstances/s": `of a "Microsoft.Sql/managedInstances"`,

		groupOf("Microsoft.DBforPostgreSQL/servers"): "" +
			`of a "Microsoft.DBforPostgreSQL/servers"`,
		groupOf("Microsoft.Compute/virtualMachines"): "" +
			`of a "Microsoft.Compute/virtualMachines"`,
		"/subscriptions/S/resourceGroups/rg/providers/Microsoft.Sql/servers/s": `the subscription "S" is not a GUID`,
		group + "/providers/Microsoft.Sql/servers/s":                           `accepts no resource group ""`,
		group + "r./providers/Microsoft.Sql/servers/s":                         `accepts no resource group "r."`,
		group + "r%2e/providers/Microsoft.Sql/servers/s":                       `accepts no resource group "r%2e"`,
		group + "../providers/Microsoft.Sql/servers/s":                         `accepts no resource group ".."`,
	} {
		s, err := azure.ParseServer(id)
		if err == nil {
			t.Errorf("ParseServer(%q) = %+v; want a refusal", id, s)
			continue
		}
		r := refusal.Of(err)
		if !strings.Contains(r.Cause, cause) || !strings.HasPrefix(r.Remedy, "expected ") {
			t.Errorf("ParseServer(%q): %v; want %q", id, err, cause)
		}
		if strings.Contains(cause, "of a") && pattern.MatchString(id) {
			t.Errorf("the pattern matches %q", id)
		}
	}
}

// groupOf returns the ID of a resource of a type.
func groupOf(kind string) string { return serverGroup + kind + "/s" }

// Each cloud has its own Resource Manager: no two share a host, and none has one of another's domain.
func TestManagers(t *testing.T) {
	for name, host := range map[string]string{
		"AzureCloud":        "management.azure.com",
		"AzureUSGovernment": "management.usgovcloudapi.net",
		"AzureChinaCloud":   "management.chinacloudapi.cn",
	} {
		if c, err := azure.Parse(name); err != nil || c.Manager != host {
			t.Errorf("%s has its Resource Manager at %q, %v; want %q", name, c.Manager, err, host)
		}
	}
}
