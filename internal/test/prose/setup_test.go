package prose_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// writeOnly are the data actions that the action needs, and all that the set-up grants unless asked for more.
var writeOnly = []string{
	"Microsoft.KeyVault/vaults/secrets/setSecret/action",
	"Microsoft.KeyVault/vaults/secrets/readMetadata/action",
}

// The three set-ups make the same thing: what identifies it stands in each of them.
func TestSetupsAgree(t *testing.T) {
	same := append([]string{
		"https://token.actions.githubusercontent.com",
		"api://AzureADTokenExchange",
		"Microsoft.KeyVault/vaults/secrets/update/action",
		"Microsoft.KeyVault/vaults/secrets/recover/action",
		"2.0",
		"ServicePrincipal",
		"Key Vault Secret Writer (write-only) $",
		"Sets secrets and reads their metadata. Cannot read a value.",
		"Key Vault Secret Metadata Reader $",
		"Reads the metadata of secrets. Cannot read a value and cannot write.",
		"audit",
		"PerGB2018",
		"Microsoft.KeyVault.vaults",
		"Microsoft.KeyVault.SecretNearExpiry",
		"Microsoft.KeyVault.SecretExpired",
		"Database Password Setter $",
		"Database Operation Reader $",
		"Sees how changes of database servers end.",
	}, slices.Concat(writeOnly, setterActions, followerActions)...)
	same = append(same, strings.SplitAfter(prefixed(""), "StringStartsWith '")[:3]...)
	for i := range same {
		same[i] = strings.TrimPrefix(same[i], "')) AND ")
	}
	for _, file := range files(t, "examples/setup/main.bicep", "examples/setup/main.tf", "examples/setup/setup.sh") {
		code := withoutComments(read(t, file))
		for _, text := range same {
			if !strings.Contains(code, text) {
				t.Errorf("%s lacks %q", file, text)
			}
		}
		for _, granted := range []string{"getSecret", "backup/action", "delete/action", "purge/action", "secrets/*"} {
			if strings.Contains(code, granted) {
				t.Errorf("%s grants %s", file, granted)
			}
		}
	}
}

func withoutComments(text string) string {
	return regexp.MustCompile(`(?m)^\s*(//|#).*$`).ReplaceAllString(text, "")
}

// Every option that the set-up's README names is one of each file.
func TestSetupOptions(t *testing.T) {
	bicep, terraform, script := read(t, "examples/setup/main.bicep"), read(t, "examples/setup/main.tf"),
		read(t, "examples/setup/setup.sh")
	_, options, found := strings.Cut(read(t, "examples/setup/README.md"), "## Options")
	if !found {
		t.Fatal("examples/setup/README.md has no options")
	}
	options, _, _ = strings.Cut(options, "\n## ")
	name := regexp.MustCompile("`([A-Za-z_]+)`")
	for _, row := range rows(t, options) {
		for i, declared := range []func(name string) bool{
			func(name string) bool { return strings.Contains(bicep, "\nparam "+name+" ") },
			func(name string) bool { return strings.Contains(terraform, "\nvariable \""+name+"\" ") },
			func(name string) bool { return strings.Contains(script, "\n#   "+name+" ") },
		} {
			for _, match := range name.FindAllStringSubmatch(row[i], -1) {
				if !declared(match[1]) {
					t.Errorf("the README of the set-up names %s, which column %d's file does not declare", match[1],
						i+1)
				}
			}
		}
	}
}

// The Terraform files parse; they declare the variables, locals and resources that they refer to, and use those that
// they declare.
func TestTerraform(t *testing.T) {
	for _, path := range files(t, "examples/*/main.tf") {
		t.Run(path, func(t *testing.T) { checkTerraform(t, path) })
	}
}

func checkTerraform(t *testing.T, path string) {
	t.Helper()
	file, problems := hclsyntax.ParseConfig([]byte(read(t, path)), path, hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		t.Fatalf("the file is a %T", file.Body)
	}
	declared, used := declaredNames(body), map[string]bool{}
	if err := hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		switch node := node.(type) {
		case *hclsyntax.ScopeTraversalExpr:
			used[traversed(node.Traversal)] = true
		case *hclsyntax.ForExpr:
			declared = append(declared, node.KeyVar, node.ValVar)
		}
		return nil
	}); err.HasErrors() {
		t.Fatal(err)
	}
	for name := range used {
		if name != "" && !slices.Contains(declared, name) {
			t.Errorf("the file refers to %s, which it does not declare", name)
		}
	}
	for _, name := range declared {
		if unused := !used[name]; unused && (strings.HasPrefix(name, "var.") || strings.HasPrefix(name, "local.")) {
			t.Errorf("the file declares %s and does not use it", name)
		}
	}
}

func declaredNames(body *hclsyntax.Body) []string {
	var names []string
	for _, block := range body.Blocks {
		switch block.Type {
		case "variable":
			names = append(names, "var."+block.Labels[0])
		case "locals":
			for name := range block.Body.Attributes {
				names = append(names, "local."+name)
			}
		case "resource":
			names = append(names, strings.Join(block.Labels, "."))
		case "data":
			names = append(names, "data."+strings.Join(block.Labels, "."))
		}
	}
	return names
}

// traversed is the declared thing that a reference is to: var.x, local.x, azurerm_key_vault.this, data.x.y; "" for what
// Terraform itself provides, or the type name of a variable.
func traversed(path hcl.Traversal) string {
	parts := []string{path.RootName()}
	for _, step := range path[1:] {
		if attribute, ok := step.(hcl.TraverseAttr); ok {
			parts = append(parts, attribute.Name)
		}
	}
	length := 2
	switch parts[0] {
	case "each", "path", "string", "bool":
		return ""
	case "data":
		length = 3
	}
	return strings.Join(parts[:min(length, len(parts))], ".")
}

// The Bicep files parse: with tree-sitter's grammar, since Microsoft's compiler comes neither from npm nor from the Go
// module proxy.
func TestBicep(t *testing.T) {
	dir := parsers(t, map[string]string{"tree-sitter-bicep": "1.1.0", "web-tree-sitter": "0.27.1"})
	write(t, dir, "parse.mjs", parseBicep)
	problems := func(text string) string {
		write(t, dir, "main.bicep", text)
		node := exec.CommandContext(t.Context(), "node", "parse.mjs", "main.bicep")
		node.Dir = dir
		out, err := node.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	for _, path := range files(t, "examples/*/main.bicep") {
		if got := problems(read(t, path)); got != "" {
			t.Errorf("%s does not parse:\n%s", path, got)
		}
		if problems(read(t, path)+"\nresource vault {\n") == "" {
			t.Errorf("%s parses with an error in it", path)
		}
	}
}

// parsers installs packages of npm into a folder. It needs PARSERS=required, which says that npm and its registry are
// there.
func parsers(t *testing.T, versions map[string]string) (dir string) {
	t.Helper()
	if os.Getenv("PARSERS") != "required" {
		t.Skip("the parsers come from npm: set PARSERS=required to have this parsed")
	}
	dir = t.TempDir()
	manifest, err := json.Marshal(map[string]any{"private": true, "dependencies": versions})
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "package.json", string(manifest))
	install := exec.CommandContext(t.Context(), "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// The Bicep file makes a vault only where there is none: to deploy one that exists would replace its network rules and
// its access policies.
func TestBicepLeavesAVaultAlone(t *testing.T) {
	made := regexp.MustCompile(`(?m)^(.*)\nresource \w+ 'Microsoft\.KeyVault/vaults@.*$`).FindAllStringSubmatch(
		read(t, "examples/setup/main.bicep"), -1)
	if len(made) != 1 || made[0][1] != "@onlyIfNotExists()" {
		t.Errorf("the vault is made as %q", made)
	}
}

// parseBicep prints where the file does not parse.
const parseBicep = `
import { Parser, Language } from "web-tree-sitter";
import { readFileSync } from "node:fs";
await Parser.init();
const parser = new Parser();
parser.setLanguage(await Language.load("node_modules/tree-sitter-bicep/tree-sitter-bicep.wasm"));
const visit = (node) => {
  if (node.type === "ERROR" || node.isMissing) {
    console.log("ERROR", node.startPosition.row + 1, node.startPosition.column + 1, node.text.slice(0, 60));
  }
  node.children.forEach(visit);
};
visit(parser.parse(readFileSync(process.argv[2], "utf8")).rootNode);
`

// setup runs setup.sh to its end on a subscription and returns what has become of that.
func setup(t *testing.T, before *subscription, environment ...string) *subscription {
	t.Helper()
	after, out, err := runSetup(t, before, environment...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "AZURE_TENANT_ID=TENANT\nAZURE_CLIENT_ID=CLIENT\nVAULT=kv-app-prod\n"; !strings.HasSuffix(out, want) {
		t.Errorf("the script ends with\n%s\nand not with\n%s", out, want)
	}
	return after
}

// runSetup runs setup.sh with that environment on a subscription, and returns what has become of that, what the script
// printed and how it ended.
func runSetup(t *testing.T, before *subscription, environment ...string) (after *subscription, out string,
	failure error,
) {
	t.Helper()
	dir := t.TempDir()
	az, later := installAz(t, dir, before)
	program(t, dir, "sleep", "#!/bin/sh\n")
	out, failure = bash(t, read(t, "examples/setup/setup.sh"), dir,
		slices.Concat(az, []string{"RESOURCE_GROUP=rg", "VAULT=" + theVault, "SUBJECTS=" + aSubject}, environment)...)
	return later(), out, failure
}

// prefixed is the condition that binds all that writes to a prefix.
func prefixed(prefix string) string {
	clause := func(action, source string) string {
		return "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/" + action + "/action'})) OR (@" + source +
			"[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '" + prefix + "'))"
	}
	return clause("setSecret", "Request") + " AND " + clause("update", "Resource") + " AND " +
		clause("recover", "Resource")
}

func TestSetupScript(t *testing.T) {
	after := setup(t, new(subscription), "SUBJECTS="+aSubject+"\nrepo:OWNER@1/REPO@2:environment:prod")
	want := &subscription{
		Vaults:     map[string]vaultSettings{theVault: {Roles: true, Firewall: "allow"}},
		Identities: map[string]string{theVault + "-passwords": ""},
		Credentials: map[string]credential{
			credentialName(aSubject): {Issuer: anIssuer, Subject: aSubject, Audience: "api://AzureADTokenExchange"},
			credentialName("repo:OWNER@1/REPO@2:environment:prod"): {
				Issuer:   anIssuer,
				Subject:  "repo:OWNER@1/REPO@2:environment:prod",
				Audience: "api://AzureADTokenExchange",
			},
		},
		Roles: map[string]roleDefinition{roleName: {
			Name:             roleName,
			Actions:          []string{},
			NotActions:       []string{},
			NotDataActions:   []string{},
			DataActions:      writeOnly,
			AssignableScopes: []string{groupID},
		}},
		Assignments: map[string]string{"ROLE-ID": ""},
		Workspaces:  map[string]string{theVault + "-logs": "90"},
		Diagnostics: map[string]string{"audit": `[{"categoryGroup": "audit", "enabled": true}]`},
	}
	calls := after.Calls
	after.Calls = nil
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("the subscription afterwards (-want +got):\n%s", diff)
	}
	for command, options := range map[string]map[string]string{
		"keyvault create":        {"--enable-purge-protection": "true", "--enable-rbac-authorization": "true"},
		"role assignment create": {"--scope": groupID + "/keyvault/" + theVault, "--assignee-object-id": "PRINCIPAL"},
	} {
		made := made(calls, command)
		if len(made) != 1 {
			t.Fatalf("%s was called %d times, not once", command, len(made))
		}
		for option, want := range options {
			if made[0][option] != want {
				t.Errorf("%s %s is %q, not %q", command, option, made[0][option], want)
			}
		}
	}
}

// credentialName is the name that Terraform's substr(sha256(subject), 0, 8) makes too.
func credentialName(subject string) string {
	return fmt.Sprintf("github-%.4x", sha256.Sum256([]byte(subject)))
}

// made returns the calls of a command, each as its options.
func made(calls [][]string, command string) (all []options) {
	for _, call := range calls {
		if called, given := parseCall(call); called == command {
			all = append(all, given)
		}
	}
	return all
}

func TestSetupScriptOptions(t *testing.T) {
	after := setup(t, withVault(), "NAME_PREFIX=app-", "DISABLE_SUPERSEDED=true", "RECOVER_DELETED=true",
		"EXPIRY_WEBHOOK=https://events.example/expiry", "AUDIENCE=api://AzureADTokenExchangeUSGov")
	if diff := cmp.Diff(allOptions(), after.Roles[roleName].DataActions); diff != "" {
		t.Errorf("the role (-want +got):\n%s", diff)
	}
	if got := after.Vaults[theVault]; got.Firewall != "deny" {
		t.Error("the firewall of a vault that exists was replaced")
	}
	if diff := cmp.Diff(prefixed("app-"), after.Assignments["ROLE-ID"]); diff != "" {
		t.Errorf("the condition (-want +got):\n%s", diff)
	}
	if made := made(after.Calls, "role assignment create"); made[0]["--condition-version"] != "2.0" {
		t.Errorf("the assignment is %v", made)
	}
	if after.Events["expiry"] != "https://events.example/expiry" {
		t.Errorf("the events are %v", after.Events)
	}
	if got := after.Credentials[credentialName(aSubject)].Audience; got != "api://AzureADTokenExchangeUSGov" {
		t.Errorf("the audience is %s", got)
	}
}

func allOptions() []string {
	return append(slices.Clone(writeOnly), "Microsoft.KeyVault/vaults/secrets/update/action",
		"Microsoft.KeyVault/vaults/secrets/recover/action")
}

// The roles for database servers are these, and they are assigned at the servers and at the resource group: nowhere
// else may the identity change a server.
func TestSetupScriptServers(t *testing.T) {
	const (
		sql   = groupID + "/providers/Microsoft.Sql/servers/sql-prod"
		mysql = groupID + "/providers/Microsoft.DBforMySQL/flexibleServers/my-prod"
	)
	servers := "SERVERS=" + sql + "\n" + strings.Replace(mysql, "resourceGroups", "resourcegroups", 1) + "\n"
	after := setup(t, withVault(), servers, "DISABLE_SUPERSEDED=false")
	if diff := cmp.Diff(append(slices.Clone(writeOnly), "Microsoft.KeyVault/vaults/secrets/update/action"),
		after.Roles[roleName].DataActions); diff != "" {
		t.Errorf("the role at the vault (-want +got):\n%s", diff)
	}
	for name, actions := range map[string][]string{setterRoleName: setterActions, followerRoleName: followerActions} {
		want := roleDefinition{
			Name: name, Actions: actions, NotActions: []string{}, NotDataActions: []string{}, DataActions: []string{},
			AssignableScopes: []string{groupID},
		}
		if diff := cmp.Diff(want, after.Roles[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	want := map[string]string{
		"ROLE-ID": "", "SETTER-ROLE-ID at " + sql: "", "FOLLOWER-ROLE-ID at " + groupID: "",
		"SETTER-ROLE-ID at " + strings.Replace(mysql, "resourceGroups", "resourcegroups", 1): "",
	}
	if diff := cmp.Diff(want, after.Assignments); diff != "" {
		t.Errorf("the assignments (-want +got):\n%s", diff)
	}
	after.Calls = nil
	again := setup(t, after, servers)
	again.Calls = nil
	if diff := cmp.Diff(after, again); diff != "" {
		t.Errorf("run again, the script changes (-before +after):\n%s", diff)
	}
}

// The actions of the roles for database servers.
var (
	setterActions = []string{
		"Microsoft.Sql/servers/read", "Microsoft.Sql/servers/write",
		"Microsoft.DBforPostgreSQL/flexibleServers/read", "Microsoft.DBforPostgreSQL/flexibleServers/write",
		"Microsoft.DBforMySQL/flexibleServers/read", "Microsoft.DBforMySQL/flexibleServers/write",
		"Microsoft.Authorization/permissions/read", "Microsoft.Authorization/locks/read",
	}
	followerActions = []string{
		"Microsoft.Sql/locations/*/read", "Microsoft.DBforPostgreSQL/locations/*/read",
		"Microsoft.DBforMySQL/locations/*/read",
	}
)

// What is no database server of the resource group ends the script before anything is made.
func TestSetupScriptRefusesServers(t *testing.T) {
	for _, server := range []string{
		"sql-prod", groupID, groupID + "/providers/Microsoft.Sql/servers/", "/",
		groupID + "/providers/Microsoft.Sql/servers/sql-prod/databases/app",
		groupID + "/providers/Microsoft.Compute/virtualMachines/vm",
		"/subscriptions/S/resourceGroups/rgs/providers/Microsoft.Sql/servers/sql-prod",
		"/subscriptions/S/resourceGroups/xy/providers/Microsoft.Sql/servers/sql-prod",
	} {
		after, out, err := runSetup(t, new(subscription),
			"SERVERS="+groupID+"/providers/Microsoft.Sql/servers/sql-prod\n"+server)
		if err == nil || !strings.Contains(out, server+" is not the resource ID of a database server in "+groupID) {
			t.Errorf("%q: %v\n%s", server, err, out)
		}
		if after.Calls = nil; cmp.Diff(new(subscription), after) != "" {
			t.Errorf("%q: something was made", server)
		}
	}
}

// Run again, whatever the options, the script takes nothing away: neither what an earlier run made nor what somebody
// changed since. With the same options it changes nothing at all.
func TestSetupScriptAgain(t *testing.T) {
	before := setup(t, withVault(), "NAME_PREFIX=app-", "DISABLE_SUPERSEDED=true", "RECOVER_DELETED=true",
		"EXPIRY_WEBHOOK=https://events.example/expiry")
	before.Identities[theVault+"-passwords"] = "owner=data-platform"
	before.Workspaces[theVault+"-logs"] = "730"
	before.Diagnostics["audit"] = "everything"
	role := before.Roles[roleName]
	role.AssignableScopes = append(role.AssignableScopes, "/subscriptions/S/resourceGroups/other")
	before.Roles[roleName] = role
	for _, environment := range [][]string{
		{"NAME_PREFIX=app-", "DISABLE_SUPERSEDED=true", "RECOVER_DELETED=true",
			"EXPIRY_WEBHOOK=https://events.example/expiry"},
		{"NAME_PREFIX=app-"},
		{"NAME_PREFIX=app-", "EXPIRY_WEBHOOK=https://events.example/another"},
	} {
		before.Calls = nil
		after := setup(t, before, environment...)
		after.Calls = nil
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%v: the subscription changes (-before +after):\n%s", environment, diff)
		}
	}
}

// An option, a subject or a name that is added later is added to what is there.
func TestSetupScriptAdds(t *testing.T) {
	const another = "repo:OWNER/REPO:environment:test"
	before := setup(t, withVault(), "NAME_PREFIX=app-", "RECOVER_DELETED=true")
	role := before.Roles[roleName]
	role.AssignableScopes = append(role.AssignableScopes, "/subscriptions/S/resourceGroups/other")
	role.Actions = []string{"Microsoft.KeyVault/vaults/read"}
	role.NotActions = []string{"Microsoft.KeyVault/vaults/write"}
	role.NotDataActions = []string{"Microsoft.KeyVault/vaults/secrets/getSecret/action"}
	before.Roles[roleName] = role
	after, out, err := runSetup(t, before, "NAME_PREFIX=app-", "DISABLE_SUPERSEDED=true", "SUBJECTS="+another)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := after.Roles[roleName]
	if diff := cmp.Diff(sorted(allOptions()), sorted(got.DataActions)); diff != "" {
		t.Errorf("the role (-want +got):\n%s", diff)
	}
	got.DataActions = role.DataActions
	if diff := cmp.Diff(role, got); diff != "" {
		t.Errorf("what else the role has (-want +got):\n%s", diff)
	}
	if len(after.Credentials) != 2 {
		t.Errorf("the credentials are %v", after.Credentials)
	}
	for _, said := range []string{
		"granted before, not asked for now, and kept: Microsoft.KeyVault/vaults/secrets/recover/action\n",
		"trusted too, and not in SUBJECTS: " + aSubject + "\n",
	} {
		if strings.Count(out, said) != 1 {
			t.Errorf("the script does not say %q once:\n%s", said, out)
		}
	}
}

// An audit's identity is one of its own, with one data action at the vault and no condition, and trusts its own
// subjects alone. Made with the other or added later, and run again, it changes nothing of the other; left out, it is
// kept.
func TestSetupScriptAudit(t *testing.T) {
	plain := setup(t, withVault(), "NAME_PREFIX=app-", "DISABLE_SUPERSEDED=true")
	audited := plain.clone(t)
	audited.Identities[theVault+"-audit"] = ""
	audited.Credentials["audit/"+credentialName(auditSubject)] = credential{Issuer: anIssuer, Subject: auditSubject,
		Audience: "api://AzureADTokenExchange"}
	audited.Roles[auditRoleName] = roleDefinition{
		Name:             auditRoleName,
		Actions:          []string{},
		NotActions:       []string{},
		NotDataActions:   []string{},
		DataActions:      []string{"Microsoft.KeyVault/vaults/secrets/readMetadata/action"},
		AssignableScopes: []string{groupID},
	}
	audited.Assignments["AUDIT-ROLE-ID"] = ""
	for name, test := range map[string]struct {
		before *subscription
		audits string
		want   *subscription
	}{
		"made at once":    {withVault(), auditSubject, audited},
		"added":           {plain, auditSubject, audited},
		"run again":       {audited, auditSubject, audited},
		"no longer asked": {audited, "", audited},
		"not asked":       {plain, "", plain},
	} {
		t.Run(name, func(t *testing.T) {
			after, out, err := runSetup(t, test.before, "NAME_PREFIX=app-", "DISABLE_SUPERSEDED=true",
				"AUDIT_SUBJECTS="+test.audits)
			if err != nil || strings.Contains(out, "\nAZURE_AUDIT_CLIENT_ID=AUDIT-CLIENT\n") != (test.audits != "") {
				t.Fatalf("%v\n%s", err, out)
			}
			assigned := made(after.Calls, "role assignment create")
			if last := assigned[len(assigned)-1]; test.audits != "" &&
				(last["--assignee-object-id"] != "AUDIT-PRINCIPAL" || last["--role"] != "AUDIT-ROLE-ID" ||
					last["--scope"] != groupID+"/keyvault/"+theVault) {
				t.Errorf("the role of audits is assigned as %v", last)
			}
			want := test.want.clone(t)
			after.Calls, want.Calls = nil, nil
			if diff := cmp.Diff(want, after); diff != "" {
				t.Errorf("the subscription (-want +got):\n%s", diff)
			}
		})
	}
}

// What audits are granted is one data action, in the three files.
func TestAuditRole(t *testing.T) {
	for file, block := range map[string]string{
		"examples/setup/main.bicep": `(?s)resource reader 'Microsoft.Authorization/roleDefinitions.*?\n}\n`,
		"examples/setup/main.tf":    `(?s)resource "azurerm_role_definition" "reader".*?\n}\n`,
		"examples/setup/setup.sh":   `(?s)  grant "\$VAULT-audit".*?\nfi\n`,
	} {
		role := regexp.MustCompile(block).FindString(read(t, file))
		granted := regexp.MustCompile(`Microsoft\.KeyVault/[\w/*]+`).FindAllString(role, -1)
		if !slices.Equal(granted, writeOnly[1:]) {
			t.Errorf("%s grants audits %q", file, granted)
		}
	}
}

func sorted(texts []string) []string { return slices.Sorted(slices.Values(texts)) }

// What contradicts what is there ends the script before anything is made or changed.
func TestSetupScriptRefuses(t *testing.T) {
	done := func(environment ...string) *subscription { return setup(t, withVault(), environment...) }
	// The condition as an earlier version of the script wrote it.
	old := done("NAME_PREFIX=app-")
	old.Assignments["ROLE-ID"], _, _ = strings.Cut(prefixed("app-"), " AND ")
	policies := &subscription{Vaults: map[string]vaultSettings{theVault: {Firewall: "deny"}}}
	taken := done()
	taken.Credentials["github"] = taken.Credentials[credentialName(aSubject)]
	delete(taken.Credentials, credentialName(aSubject))
	for name, refused := range map[string]struct {
		before      *subscription
		environment string
		said        []string
	}{
		"access policies": {before: policies, said: []string{"uses access policies",
			"az keyvault update --name kv-app-prod --resource-group rg --enable-rbac-authorization true"}},
		"no prefix over one": {before: done("NAME_PREFIX=app-"), environment: "DISABLE_SUPERSEDED=true",
			said: []string{"az role assignment delete --ids ASSIGNMENT-ID"}},
		"a prefix over none": {before: done(), environment: "NAME_PREFIX=app-",
			said: []string{"az role assignment delete --ids ASSIGNMENT-ID"}},
		"another prefix": {before: done("NAME_PREFIX=app-"), environment: "NAME_PREFIX=db-",
			said: []string{"az role assignment delete --ids ASSIGNMENT-ID"}},
		"a prefix that binds setSecret alone": {before: old, environment: "NAME_PREFIX=app-",
			said: []string{"az role assignment delete --ids ASSIGNMENT-ID"}},
		"another audience": {before: done(), environment: "AUDIENCE=api://AzureADTokenExchangeUSGov",
			said: []string{"--name " + credentialName(aSubject) + " --identity-name kv-app-prod-passwords"}},
		"another issuer": {before: done(), environment: "ISSUER=https://token.actions.example.ghe.com",
			said: []string{"--name " + credentialName(aSubject) + " --identity-name kv-app-prod-passwords"}},
		"another audience, of a credential made by hand": {before: taken,
			environment: "AUDIENCE=api://AzureADTokenExchangeUSGov", said: []string{"--name github --identity-name"}},
	} {
		t.Run(name, func(t *testing.T) {
			refused.before.Calls = nil
			after, out, err := runSetup(t, refused.before, refused.environment)
			for _, said := range refused.said {
				if err == nil || !strings.Contains(out, said) {
					t.Errorf("%v: expected %q in\n%s", err, said, out)
				}
			}
			after.Calls = nil
			if diff := cmp.Diff(refused.before, after); diff != "" {
				t.Errorf("the subscription changes (-before +after):\n%s", diff)
			}
			// The command that the script prints is one that az takes, and after it the script goes through.
			setup(t, follow(t, after, out), refused.environment)
		})
	}
}

// follow runs the commands that a text tells people to run, each on a line of its own.
func follow(t *testing.T, s *subscription, text string) *subscription {
	t.Helper()
	commands := regexp.MustCompile(`(?m)^  az .*$`).FindAllString(text, -1)
	if len(commands) == 0 {
		t.Fatalf("no command is printed in\n%s", text)
	}
	dir := t.TempDir()
	environment, later := installAz(t, dir, s)
	if out, err := bash(t, strings.Join(commands, "\n"), dir, environment...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return later()
}

// A credential of another name that trusts the same is as good.
func TestSetupScriptTakesCredentials(t *testing.T) {
	before := setup(t, withVault())
	before.Credentials["github"] = before.Credentials[credentialName(aSubject)]
	delete(before.Credentials, credentialName(aSubject))
	if after := setup(t, before); len(after.Credentials) != 1 {
		t.Errorf("the credentials are %v", after.Credentials)
	}
}

// Nothing is made because it could not be seen: only Azure's own "not found" means that a thing is not there.
func TestSetupScriptLooks(t *testing.T) {
	full := setup(t, withVault(), "EXPIRY_WEBHOOK=https://events.example/expiry")
	for _, failing := range []string{
		"keyvault show", "identity show", "monitor log-analytics workspace show", "eventgrid system-topic show",
		"eventgrid system-topic event-subscription show", "identity federated-credential list", "role definition list",
		"role assignment list", "monitor diagnostic-settings list",
	} {
		problems := []string{"(TooManyRequests) The request is being throttled."}
		if failing == "keyvault show" {
			problems = append(problems,
				"(AuthorizationFailed) The client does not have authorization to perform action.",
				"(ResourceGroupNotFound) Resource group 'rg' could not be found.",
				"Please run 'az login' to setup account.",
				"<html><title>404 Not Found</title></html>",
				"")
		}
		for _, problem := range problems {
			full.Failing, full.Calls = map[string]string{failing: problem}, nil
			after, out, err := runSetup(t, full, "EXPIRY_WEBHOOK=https://events.example/other",
				"DISABLE_SUPERSEDED=true")
			if err == nil {
				t.Errorf("%s fails with %q, and the script goes on:\n%s", failing, problem, out)
			}
			creates := strings.TrimSuffix(strings.TrimSuffix(failing, "show"), "list") + "create"
			if made := made(after.Calls, creates); len(made) != 0 {
				t.Errorf("%s fails with %q, and it is made as %v", failing, problem, made)
			}
		}
	}
}
