package prose_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"keyvault-passwords/internal/test/emulator"
)

// aCommand finds a command of az in a sentence: its words, and its options with a value each.
var aCommand = regexp.MustCompile(`\baz( [a-z][a-z-]*)+( --[a-z-]+ ("[^"]*"|[^\s;,"]+))*`)

// Each command that a refusal of a server prints is one that az takes, with the options that it takes, and is about
// that server.
func TestPrintedCommandsOfServers(t *testing.T) {
	const group = "/subscriptions/" + emulator.DefaultSubscription + "/resourceGroups/rg-example"
	answers := func(operation string, status int, code string) func(e *emulator.Emulator) {
		return func(e *emulator.Emulator) {
			e.Fault(emulator.Fault{
				Operation: operation, Kind: emulator.Status, Status: status, Code: code, Times: -1,
			})
		}
	}
	for _, x := range []struct {
		kind  string
		world emulator.ServerOptions
		also  func(e *emulator.Emulator)
		want  string // the command
	}{
		{kind: emulator.SQLServer, world: emulator.ServerOptions{EntraOnly: true},
			want: `az sql server ad-only-auth disable --name sql-prod --resource-group "rg-example"`},
		{kind: emulator.PostgreSQLServer, world: emulator.ServerOptions{EntraOnly: true},
			want: `az postgres flexible-server update --name sql-prod --resource-group "rg-example" --password-auth Enabled`},
		{kind: emulator.PostgreSQLServer, world: emulator.ServerOptions{State: "Stopped"},
			want: `az postgres flexible-server start --name sql-prod --resource-group "rg-example"`},
		{kind: emulator.MySQLServer, world: emulator.ServerOptions{State: "Stopped"},
			want: `az mysql flexible-server start --name sql-prod --resource-group "rg-example"`},
		{kind: emulator.SQLServer, world: emulator.ServerOptions{Locked: true},
			want: `az lock list --resource-group "rg-example" --output table`},
		{kind: emulator.SQLServer, also: answers("get-server", 404, "ResourceNotFound"),
			want: `az resource list --name sql-prod --resource-type Microsoft.Sql/servers --query "[].id" --output tsv`},
		{kind: emulator.SQLServer, also: answers("get-server", 404, "SubscriptionNotFound"), want: "az account list"},
		{kind: emulator.MySQLServer, also: answers("get-server", 409, "MissingSubscriptionRegistration"),
			want: "az provider register --namespace Microsoft.DBforMySQL"},
		{kind: emulator.SQLServer, also: answers("get-server", 403, "AuthorizationFailed"),
			want: "az role assignment create --assignee " + emulator.DefaultClient + ` --role ROLE --scope "` + group +
				`/providers/Microsoft.Sql/servers/sql-prod"`},
		{kind: emulator.MySQLServer, also: answers("operation", 403, "AuthorizationFailed"),
			want: "az role assignment create --assignee " + emulator.DefaultClient + ` --role ROLE --scope "` + group +
				`"`},
	} {
		synctest.Test(t, func(t *testing.T) {
			x.world.Kind = x.kind
			in := server(x.world, x.also)
			in.inputs["secrets"] = strings.Replace(in.inputs["secrets"], emulator.SQLServer, x.kind, 1)
			if x.kind == emulator.PostgreSQLServer {
				in.inputs["secrets"] = strings.Replace(in.inputs["secrets"], "azure-sql", "azure-postgresql", 1)
			}
			log := get(t, in).Log
			commands := aCommand.FindAllString(log, -1)
			if !strings.Contains(strings.Join(commands, "\n"), x.want) {
				t.Errorf("expected the command %s in\n%s", x.want, log)
			}
			for _, command := range commands {
				words := strings.Fields(strings.ReplaceAll(strings.TrimPrefix(command, "az "), `"`, ""))
				called, given := parseCall(words)
				takes, known := azCommands[called]
				if !known && !strings.HasPrefix(called, "account list ") { // the sentence goes on
					t.Errorf("az does not know %q", command)
				}
				for option := range given {
					if known && !slices.Contains(strings.Fields(takes+" --output --query"), option) {
						t.Errorf("az %s does not take %s", called, option)
					}
				}
			}
		})
	}
}
