package prose_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// subscription is what an az of the tests works on: what exists, and what setup.sh may ask of it. Its commands have the
// effect that those of Azure's command line have: create is a PUT, which replaces what has that name, and so is update
// of a role.
type subscription struct {
	Vaults      map[string]vaultSettings
	Identities  map[string]string     // their tags
	Credentials map[string]credential // by the name; those of audits by "audit/" and the name
	Roles       map[string]roleDefinition
	Assignments map[string]string // the ID of a role, and where if not at the vault, to the condition of its assignment
	Workspaces  map[string]string // their retention in days
	Diagnostics map[string]string // the categories
	Topics      map[string]string
	Events      map[string]string // the endpoints
	// Failing are commands that fail, whatever exists, with what they then say.
	Failing map[string]string
	// Calls are the calls made so far, each with its words and options.
	Calls [][]string
}

type vaultSettings struct {
	Roles    bool
	Firewall string
}

type credential struct{ Issuer, Subject, Audience string }

type roleDefinition struct {
	Name                                                               string
	Actions, NotActions, DataActions, NotDataActions, AssignableScopes []string
}

const (
	groupID  = "/subscriptions/S/resourceGroups/rg"
	theVault = "kv-app-prod"
	anIssuer = "https://token.actions.githubusercontent.com"
	aSubject = "repo:OWNER/REPO:environment:prod"
	roleName = "Key Vault Secret Writer (write-only) " + theVault
	// auditSubject and auditRoleName are those of audits, where they are asked for.
	auditSubject  = "repo:OWNER/REPO:environment:audit"
	auditRoleName = "Key Vault Secret Metadata Reader " + theVault
	// setterRoleName and followerRoleName are those for database servers, where they are asked for.
	setterRoleName   = "Database Password Setter " + theVault
	followerRoleName = "Database Operation Reader " + theVault
)

// withVault returns a subscription that has a vault with roles, a firewall, and nothing else.
func withVault() *subscription {
	return &subscription{Vaults: map[string]vaultSettings{theVault: {Roles: true, Firewall: "deny"}}}
}

// options are those of a call, each with its values in one text.
type options map[string]string

func parseCall(arguments []string) (command string, given options) {
	given = options{}
	words, last := []string{}, ""
	for _, argument := range arguments {
		switch {
		case strings.HasPrefix(argument, "--"):
			last = argument
			given[last] = ""
		case last == "":
			words = append(words, argument)
		default:
			given[last] = strings.TrimPrefix(given[last]+" "+argument, " ")
		}
	}
	return strings.Join(words, " "), given
}

// azCommands are the commands that are known, each with the options that it takes beside --output and --query.
var azCommands = map[string]string{
	"group show":                           "--name",
	"account show":                         "",
	"keyvault show":                        "--name --resource-group",
	"keyvault update":                      "--name --resource-group --enable-rbac-authorization",
	"identity federated-credential delete": "--name --identity-name --resource-group",
	"role assignment delete":               "--ids",
	"keyvault create": "--name --resource-group --location --sku --enable-rbac-authorization --retention-days " +
		"--enable-purge-protection",
	"identity show":                        "--name --resource-group",
	"identity create":                      "--name --resource-group --location",
	"identity federated-credential list":   "--identity-name --resource-group",
	"identity federated-credential create": "--name --identity-name --resource-group --issuer --subject --audiences",
	"role definition list":                 "--name --scope",
	"role definition create":               "--role-definition",
	"role definition update":               "--role-definition",
	"role assignment list":                 "--scope --role",
	"role assignment create": "--assignee-object-id --assignee-principal-type --role --scope --condition-version " +
		"--condition --assignee",
	"account list":                         "",
	"lock list":                            "--resource-group",
	"mysql flexible-server show":           "--name --resource-group",
	"mysql flexible-server start":          "--name --resource-group",
	"postgres flexible-server show":        "--name --resource-group",
	"postgres flexible-server start":       "--name --resource-group",
	"postgres flexible-server update":      "--name --resource-group --password-auth",
	"provider register":                    "--namespace",
	"resource list":                        "--name --resource-type",
	"sql server ad-only-auth disable":      "--name --resource-group",
	"monitor log-analytics workspace show": "--workspace-name --resource-group",
	"monitor log-analytics workspace create": "--workspace-name --resource-group --location --sku " +
		"--retention-time",
	"monitor diagnostic-settings list":               "--resource",
	"monitor diagnostic-settings create":             "--name --resource --workspace --logs",
	"eventgrid system-topic show":                    "--name --resource-group",
	"eventgrid system-topic create":                  "--name --resource-group --location --topic-type --source",
	"eventgrid system-topic event-subscription show": "--name --system-topic-name --resource-group",
	"eventgrid system-topic event-subscription create": "--name --system-topic-name --resource-group --endpoint-type " +
		"--endpoint --event-delivery-schema --included-event-types",
}

const notFound = "(ResourceNotFound) The Resource was not found. " +
	"For more details please go to https://aka.ms/ARMResourceNotFoundFix"

// call returns what a call prints, or with a status other than 0 what went wrong.
func (s *subscription) call(arguments []string) (string, int) {
	command, o := parseCall(arguments)
	taken, known := azCommands[command]
	if !known {
		return "'" + command + "' is misspelled or not recognized by the system.", 2
	}
	for option := range o {
		if !slices.Contains(strings.Fields(taken+" --output --query"), option) {
			return "unrecognized arguments: " + option, 2
		}
	}
	if problem, failing := s.Failing[command]; failing {
		return problem, 1
	}
	if kind, ok := strings.CutSuffix(command, " show"); ok {
		return s.show(kind, o)
	}
	if kind, ok := strings.CutSuffix(command, " list"); ok {
		return s.list(kind, o), 0
	}
	return s.put(command, o), 0
}

// show returns a field of a thing, which must exist.
func (s *subscription) show(kind string, o options) (string, int) {
	name := o["--name"] + o["--workspace-name"]
	exists := map[string]func() bool{
		"keyvault":                        func() bool { return has(s.Vaults, name) },
		"identity":                        func() bool { return has(s.Identities, name) },
		"monitor log-analytics workspace": func() bool { return has(s.Workspaces, name) },
		"eventgrid system-topic":          func() bool { return has(s.Topics, name) },
		"eventgrid system-topic event-subscription": func() bool { return has(s.Events, name) },
	}
	if known, ok := exists[kind]; ok && !known() {
		return notFound, 3
	}
	switch o["--query"] {
	case "id":
		if kind == "group" {
			return groupID, 0
		}
		return groupID + "/" + strings.ReplaceAll(kind, " ", "/") + "/" + name, 0
	case "properties.enableRbacAuthorization":
		if s.Vaults[name].Roles {
			return "true", 0
		}
		return "", 0 // null, which is how a vault with access policies may look
	}
	field := map[string]string{
		"location": "westeurope", "principalId": "PRINCIPAL", "clientId": "CLIENT", "tenantId": "TENANT", "": "{}",
	}[o["--query"]]
	if name == theVault+"-audit" {
		field = "AUDIT-" + field
	}
	return field, 0
}

// list returns what a query gives, one line each.
func (s *subscription) list(kind string, o options) string {
	var lines []string
	role := s.Roles[o["--name"]]
	// The assignment of a role is to the identity that the role is for, and to no other.
	query := strings.ReplaceAll(o["--query"], "'"+strings.Replace(o["--role"], "ROLE-ID", "PRINCIPAL", 1)+"'",
		"PRINCIPAL")
	switch kind + " " + query {
	case "identity federated-credential [].[name, issuer, subject, join(',', audiences)]":
		for _, key := range slices.Sorted(maps.Keys(s.Credentials)) {
			c, name := s.Credentials[key], path.Base(key)
			if credentialKey(o["--identity-name"], name) != key {
				continue
			}
			lines = append(lines, strings.Join([]string{name, c.Issuer, c.Subject, c.Audience}, "\t"))
		}
	case "role definition [0].id":
		if role.Name != "" {
			lines = append(lines, roleID(role.Name))
		}
	case "role definition [0].permissions[].dataActions[]":
		lines = role.DataActions
	case "role definition [0].permissions[].actions[]":
		lines = role.Actions
	case "role definition [0].permissions[].notActions[]":
		lines = role.NotActions
	case "role definition [0].permissions[].notDataActions[]":
		lines = role.NotDataActions
	case "role definition [0].assignableScopes[]":
		lines = role.AssignableScopes
	case "role assignment [?principalId==PRINCIPAL] | [0].id":
		if has(s.Assignments, o["--role"]) {
			lines = append(lines, strings.Replace(o["--role"], "ROLE", "ASSIGNMENT", 1))
		}
	case "role assignment [?principalId==PRINCIPAL] | [0].condition || ''":
		lines = append(lines, s.Assignments[o["--role"]])
	case "monitor diagnostic-settings (value || @)[?name=='audit'].name":
		if has(s.Diagnostics, "audit") {
			lines = append(lines, "audit")
		}
	default:
		panic("the az of the tests does not know this query: " + kind + " " + query)
	}
	return strings.Join(lines, "\n")
}

// put makes a thing, in place of one of that name.
func (s *subscription) put(command string, o options) string {
	name := o["--name"]
	switch command {
	case "keyvault create":
		set(&s.Vaults, name, vaultSettings{Roles: o["--enable-rbac-authorization"] == "true", Firewall: "allow"})
	case "keyvault update":
		vault := s.Vaults[name]
		vault.Roles = o["--enable-rbac-authorization"] == "true"
		s.Vaults[name] = vault
	case "identity federated-credential delete":
		delete(s.Credentials, credentialKey(o["--identity-name"], name))
	case "role assignment delete":
		delete(s.Assignments, strings.Replace(o["--ids"], "ASSIGNMENT", "ROLE", 1))
	case "identity create":
		set(&s.Identities, name, "")
	case "identity federated-credential create":
		set(&s.Credentials, credentialKey(o["--identity-name"], name),
			credential{Issuer: o["--issuer"], Subject: o["--subject"], Audience: o["--audiences"]})
	case "role definition create", "role definition update":
		var role roleDefinition
		if err := json.Unmarshal([]byte(o["--role-definition"]), &role); err != nil {
			panic(err)
		}
		set(&s.Roles, role.Name, role)
		return roleID(role.Name)
	case "role assignment create":
		key := o["--role"]
		if o["--scope"] != groupID+"/keyvault/"+theVault {
			key += " at " + o["--scope"]
		}
		if !has(s.Assignments, key) { // it leaves one that is there as it is
			set(&s.Assignments, key, o["--condition"])
		}
	case "monitor log-analytics workspace create":
		set(&s.Workspaces, o["--workspace-name"], o["--retention-time"])
	case "monitor diagnostic-settings create":
		set(&s.Diagnostics, name, o["--logs"])
	case "eventgrid system-topic create":
		set(&s.Topics, name, o["--source"])
	case "eventgrid system-topic event-subscription create":
		set(&s.Events, name, o["--endpoint"])
	}
	return ""
}

func credentialKey(identity, name string) string {
	if identity == theVault+"-audit" {
		return "audit/" + name
	}
	return name
}

func roleID(name string) string {
	switch name {
	case auditRoleName:
		return "AUDIT-ROLE-ID"
	case setterRoleName:
		return "SETTER-ROLE-ID"
	case followerRoleName:
		return "FOLLOWER-ROLE-ID"
	}
	return "ROLE-ID"
}

func has[V any](things map[string]V, name string) bool {
	_, ok := things[name]
	return ok
}

func set[V any](things *map[string]V, name string, thing V) {
	if *things == nil {
		*things = map[string]V{}
	}
	(*things)[name] = thing
}

// azProgram asks the test what a call does: it sends its arguments, and gets the exit status and what to print.
const azProgram = `#!/usr/bin/env bash
exec 3<>"/dev/tcp/127.0.0.1/$AZ_PORT"
printf '%s\0' "$#" "$@" >&3
IFS= read -r status <&3
if [ "$status" = 0 ]; then cat <&3; else cat <&3 >&2; fi
exit "$status"
`

// installAz puts an az into the folder that works on a copy of the subscription, and returns the environment in which
// it is found, and what gives that copy.
func installAz(t *testing.T, dir string, before *subscription) (environment []string, after func() *subscription) {
	t.Helper()
	s := before.clone(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			s.answer(connection)
		}
	}()
	stop := sync.OnceFunc(func() {
		_ = listener.Close() // nothing is lost with it
		<-served
	})
	t.Cleanup(stop)
	program(t, dir, "az", azProgram)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "AZ_PORT=" + port}, func() *subscription {
		stop()
		return s
	}
}

// clone returns a copy that shares nothing with s.
func (s *subscription) clone(t *testing.T) *subscription {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c := new(subscription)
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer does one call of az. Where the az went away, nobody reads the answer.
func (s *subscription) answer(connection net.Conn) {
	defer connection.Close()
	r := bufio.NewReader(connection)
	word := func() string {
		text, err := r.ReadString(0)
		if err != nil {
			panic(err)
		}
		return strings.TrimSuffix(text, "\x00")
	}
	count, err := strconv.Atoi(word())
	if err != nil {
		panic(err)
	}
	arguments := make([]string, count)
	for i := range arguments {
		arguments[i] = word()
	}
	s.Calls = append(s.Calls, arguments)
	text, status := s.call(arguments)
	switch {
	case status != 0:
		text = "ERROR: " + text + "\n"
	case text == "" || slices.Contains(arguments, "none"):
		text = ""
	default:
		text += "\n"
	}
	_, _ = fmt.Fprintf(connection, "%d\n%s", status, text)
}
