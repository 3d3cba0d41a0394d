package prose_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
		"((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR " +
			"(@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith '",
		"2.0",
		"ServicePrincipal",
		"Key Vault Secret Writer (write-only) $",
		"Sets secrets and reads their metadata. Cannot read a value.",
		"audit",
		"PerGB2018",
		"Microsoft.KeyVault.vaults",
		"Microsoft.KeyVault.SecretNearExpiry",
		"Microsoft.KeyVault.SecretExpired",
	}, writeOnly...)
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

// The Terraform file parses; it declares the variables, locals and resources that it refers to, and uses those that it
// declares.
func TestTerraform(t *testing.T) {
	file, problems := hclsyntax.ParseConfig([]byte(read(t, "examples/setup/main.tf")), "main.tf", hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		t.Fatalf("the file is a %T", file.Body)
	}
	declared, used := declaredNames(body), map[string]bool{}
	if err := hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if expression, ok := node.(*hclsyntax.ScopeTraversalExpr); ok {
			used[traversed(expression.Traversal)] = true
		}
		return nil
	}); err.HasErrors() {
		t.Fatal(err)
	}
	for name := range used {
		if name != "" && !slices.Contains(declared, name) {
			t.Errorf("main.tf refers to %s, which it does not declare", name)
		}
	}
	for _, name := range declared {
		if unused := !used[name]; unused && (strings.HasPrefix(name, "var.") || strings.HasPrefix(name, "local.")) {
			t.Errorf("main.tf declares %s and does not use it", name)
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
	case "each", "string", "bool":
		return ""
	case "data":
		length = 3
	}
	return strings.Join(parts[:min(length, len(parts))], ".")
}

// Where BICEP_PARSER=required says that npm and its registry are there, the Bicep file parses: with tree-sitter's
// grammar, since Microsoft's compiler comes neither from npm nor from the Go module proxy.
func TestBicep(t *testing.T) {
	if os.Getenv("BICEP_PARSER") != "required" {
		t.Skip("the parser comes from npm: set BICEP_PARSER=required to have the Bicep file parsed")
	}
	dir := t.TempDir()
	write(t, dir, "parse.mjs", parseBicep)
	write(t, dir, "package.json",
		`{"private": true, "dependencies": {"tree-sitter-bicep": "1.1.0", "web-tree-sitter": "0.27.1"}}`)
	install := exec.CommandContext(t.Context(), "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund",
		"--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for text, want := range map[string]string{
		read(t, "examples/setup/main.bicep"):                          "",
		read(t, "examples/setup/main.bicep") + "\nresource vault {\n": "ERROR",
	} {
		write(t, dir, "main.bicep", text)
		node := exec.CommandContext(t.Context(), "node", "parse.mjs", "main.bicep")
		node.Dir = dir
		out, err := node.CombinedOutput()
		if got := string(out); err != nil || (want == "") != (got == "") {
			t.Errorf("parsing: %v\n%s", err, got)
		}
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

// az stands for Azure's command line: it notes how it was called, one call a line, its arguments as JSON, and answers
// as far as the script reads answers. EXISTING lists what is there already, TRUSTED the subjects of its credentials,
// CONDITION the condition of its assignment.
const az = `#!/usr/bin/env bash
json=
for argument in "$@"; do
  argument=${argument//\\/\\\\} argument=${argument//\"/\\\"} argument=${argument//$'\n'/\\n}
  json+=",\"$argument\""
done
echo "[${json#,}]" >> "$CALLS"
case "$*" in
*"keyvault show"*"--output none") [[ "$EXISTING" == *vault* ]] ;;
*"role definition list"*) [[ "$EXISTING" != *role* ]] || echo ROLE-ID ;;
*"role definition create"*) echo ROLE-ID ;;
*"role assignment list"*".id") [[ "$EXISTING" != *assignment* ]] || echo ASSIGNMENT-ID ;;
*"role assignment list"*) echo "$CONDITION" ;;
*"federated-credential list"*) echo "$TRUSTED" ;;
*"group show"*"--query id"*) echo /subscriptions/S/resourceGroups/rg ;;
*"--query location"*) echo westeurope ;;
*"--query principalId"*) echo PRINCIPAL ;;
*"--query clientId"*) echo CLIENT ;;
*"--query tenantId"*) echo TENANT ;;
*"--query id"*) echo "/subscriptions/S/resourceGroups/rg/$1/$2" ;;
esac
`

// setup runs setup.sh to its end and returns the calls that it made.
func setup(t *testing.T, environment ...string) (calls [][]string) {
	t.Helper()
	calls, out, err := runSetup(t, environment...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "AZURE_TENANT_ID=TENANT\nAZURE_CLIENT_ID=CLIENT\nVAULT=kv-app-prod\n"; !strings.HasSuffix(out, want) {
		t.Errorf("the script ends with\n%s\nand not with\n%s", out, want)
	}
	return calls
}

// runSetup runs setup.sh with that environment beside the stand-in for az, and returns the calls that it made, what it
// printed and how it ended.
func runSetup(t *testing.T, environment ...string) (calls [][]string, out string, failure error) {
	t.Helper()
	dir := t.TempDir()
	program(t, dir, "az", az)
	out, failure = bash(t, read(t, "examples/setup/setup.sh"), dir,
		append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"),
			"CALLS=" + filepath.Join(dir, "calls"), "RESOURCE_GROUP=rg", "VAULT=kv-app-prod", "EXISTING=", "TRUSTED=",
			"CONDITION="},
			environment...)...)
	noted, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(noted)) {
		var call []string
		if err := json.Unmarshal([]byte(line), &call); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		calls = append(calls, call)
	}
	return calls, out, failure
}

// made returns the calls that begin so, each as its options.
func made(calls [][]string, command string) (all []map[string]string) {
	for _, call := range calls {
		if !strings.HasPrefix(strings.Join(call, " "), command+" ") {
			continue
		}
		options := map[string]string{}
		for i, argument := range call {
			if strings.HasPrefix(argument, "--") && i+1 < len(call) {
				options[argument] = call[i+1]
			}
		}
		all = append(all, options)
	}
	return all
}

func roleOf(t *testing.T, calls [][]string, verb string) (dataActions []string) {
	t.Helper()
	definitions := made(calls, "role definition "+verb)
	if len(definitions) != 1 {
		t.Fatalf("role definition %s was called %d times, not once", verb, len(definitions))
	}
	var role struct{ Actions, NotActions, DataActions, AssignableScopes []string }
	if err := json.Unmarshal([]byte(definitions[0]["--role-definition"]), &role); err != nil {
		t.Fatalf("the role is no JSON: %v", err)
	}
	if len(role.Actions) != 0 || !slices.Equal(role.AssignableScopes, []string{"/subscriptions/S/resourceGroups/rg"}) {
		t.Errorf("the role has actions %v and scopes %v", role.Actions, role.AssignableScopes)
	}
	return role.DataActions
}

func TestSetupScript(t *testing.T) {
	calls := setup(t, "SUBJECTS=repo:OWNER/REPO:environment:prod\nrepo:OWNER@1/REPO@2:environment:prod")
	if diff := cmp.Diff(writeOnly, roleOf(t, calls, "create")); diff != "" {
		t.Errorf("the role is not write-only (-want +got):\n%s", diff)
	}
	var subjects []string
	for i, credential := range made(calls, "identity federated-credential create") {
		subjects = append(subjects, credential["--subject"])
		// The name that Terraform's substr(sha256(subject), 0, 8) makes too.
		if want := fmt.Sprintf("github-%.4x",
			sha256.Sum256([]byte(credential["--subject"]))); credential["--name"] != want ||
			credential["--audiences"] != "api://AzureADTokenExchange" {
			t.Errorf("credential %d is %v", i, credential)
		}
	}
	if diff := cmp.Diff([]string{"repo:OWNER/REPO:environment:prod", "repo:OWNER@1/REPO@2:environment:prod"},
		subjects); diff != "" {
		t.Errorf("the trusted subjects (-want +got):\n%s", diff)
	}
	for _, assignment := range made(calls, "role assignment create") {
		if assignment["--condition"] != "" ||
			assignment["--scope"] != "/subscriptions/S/resourceGroups/rg/keyvault/show" {
			t.Errorf("the assignment is %v", assignment)
		}
	}
	if vaults := made(calls, "keyvault create"); len(vaults) != 1 || vaults[0]["--enable-purge-protection"] != "true" ||
		vaults[0]["--enable-rbac-authorization"] != "true" {
		t.Errorf("the vault is made as %v", vaults)
	}
	if events := made(calls, "eventgrid system-topic create"); len(events) != 0 {
		t.Errorf("events without a webhook: %v", events)
	}
}

func TestSetupScriptOptions(t *testing.T) {
	calls := setup(t, "SUBJECTS=repo:OWNER/REPO:environment:prod", "EXISTING=vault role", "NAME_PREFIX=app-",
		"DISABLE_SUPERSEDED=true", "RECOVER_DELETED=true", "EXPIRY_WEBHOOK=https://events.example/expiry",
		"AUDIENCE=api://AzureADTokenExchangeUSGov")
	want := append(slices.Clone(writeOnly), "Microsoft.KeyVault/vaults/secrets/update/action",
		"Microsoft.KeyVault/vaults/secrets/recover/action")
	if diff := cmp.Diff(want, roleOf(t, calls, "update")); diff != "" {
		t.Errorf("the role (-want +got):\n%s", diff)
	}
	if vaults := made(calls, "keyvault create"); len(vaults) != 0 {
		t.Errorf("a vault that exists is made again: %v", vaults)
	}
	assignments := made(calls, "role assignment create")
	if len(assignments) != 1 || !strings.HasSuffix(assignments[0]["--condition"], "StringStartsWith 'app-'))") ||
		assignments[0]["--condition-version"] != "2.0" {
		t.Errorf("the assignment is %v", assignments)
	}
	if events := made(calls, "eventgrid system-topic event-subscription create"); len(events) != 1 ||
		events[0]["--endpoint"] != "https://events.example/expiry" {
		t.Errorf("the events are %v", events)
	}
}

// A role that is assigned already keeps its condition, whatever is asked of Azure: so another one is refused, the same
// one is taken, and none is never taken for one.
func TestSetupScriptAgain(t *testing.T) {
	const condition = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR " +
		"(@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'))"
	for _, again := range []struct {
		prefix, condition string
		refused           bool
	}{
		{"", "", false}, {"app-", condition, false}, {"app-", "", true}, {"", condition, true},
		{"db-", condition, true},
	} {
		calls, out, err := runSetup(t, "SUBJECTS=repo:OWNER/REPO:environment:prod", "EXISTING=vault role assignment",
			"NAME_PREFIX="+again.prefix, "CONDITION="+again.condition)
		if refused := err != nil; refused != again.refused || refused &&
			!strings.Contains(out, "az role assignment delete --ids ASSIGNMENT-ID") {
			t.Errorf("prefix %q over %q: %v\n%s", again.prefix, again.condition, err, out)
		}
		if made := made(calls, "role assignment create"); again.refused && len(made) != 0 {
			t.Errorf("prefix %q over %q: assigned as %v", again.prefix, again.condition, made)
		}
	}
}

// Who is trusted beyond what was asked for is said.
func TestSetupScriptExtraTrust(t *testing.T) {
	_, out, err := runSetup(t, "SUBJECTS=repo:OWNER/REPO:environment:prod",
		"TRUSTED=repo:OWNER/REPO:environment:prod\nrepo:OWNER/REPO:pull_request")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Count(out, "trusted too") != 1 ||
		!strings.Contains(out, "trusted too, and not in SUBJECTS: repo:OWNER/REPO:pull_request\n") {
		t.Errorf("the script says\n%s", out)
	}
}
