package prose_test

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// A trouble is how to get into one: what is wrong with the world, or with the inputs.
type trouble struct {
	world  func(*emulator.Emulator)
	inputs map[string]string // beside, or in place of, those of a run that succeeds
	job    map[string]string // likewise for the job's environment
	file   string            // the declaration, in place of the inline one
	log    io.Writer         // the job's standard output; nil: what the run's result has
}

const another = "11111111-2222-3333-4444-555555555555"

// vault is a world in which the vault has these options.
func vault(o emulator.VaultOptions) func(*emulator.Emulator) {
	o.Name = emulator.DefaultVault
	return func(e *emulator.Emulator) { e.AddVault(o) }
}

// server is the trouble of a secret whose password an Azure server takes, in a world with that server.
func server(o emulator.ServerOptions, further func(*emulator.Emulator)) trouble {
	o.Name = "sql-prod"
	return trouble{
		world: func(e *emulator.Emulator) {
			e.AddServer(o)
			if further != nil {
				further(e)
			}
		},
		inputs: map[string]string{"secrets": "app-password: {policy: azure-sql, login: sqladmin, apply: {azure: " +
			"/subscriptions/" +
			emulator.DefaultSubscription + "/resourceGroups/rg-example/providers/Microsoft.Sql/servers/sql-prod}}"},
	}
}

// trust is a world in which the application trusts that credential and no other.
func trust(c func(e *emulator.Emulator) emulator.Credential) func(*emulator.Emulator) {
	return func(e *emulator.Emulator) {
		e.Distrust("")
		e.Trust(c(e))
	}
}

// troubles are the headings of TROUBLESHOOTING.md, and how to have the action say each.
var troubles = map[string]trouble{
	"the job may not request an ID token": {job: map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": "",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}},
	"no federated credential matches the subject of the job's ID token": {world: trust(func(*emulator.Emulator) emulator.Credential {
		return emulator.Credential{Subject: "repo:octo-org/octo-repo:environment:prod"}
	})},
	"no federated credential matches the issuer of the job's ID token": {world: trust(func(*emulator.Emulator) emulator.Credential {
		return emulator.Credential{Issuer: emulator.DefaultIssuer + "/octo-enterprise"}
	})},
	"no federated credential matches the audience of the job's ID token": {inputs: map[string]string{"audience": "api://SomethingElse"}},
	"a federated credential matches the subject of the job's ID token except for letter case": {
		world: trust(func(e *emulator.Emulator) emulator.Credential {
			return emulator.Credential{Subject: strings.ToUpper(e.Subject())}
		})},
	"it is not given, and the job's":     {job: map[string]string{"AZURE_TENANT_ID": ""}},
	"the tenant has no such application": {inputs: map[string]string{"client-id": another}},
	"the vault belongs to tenant":        {world: vault(emulator.VaultOptions{Tenant: another})},
	"the identity has no role here that allows it": {world: func(e *emulator.Emulator) {
		e.Revoke("", "",
			emulator.SetSecret)
	}},
	"the vault's access policies do not give the identity the secret permission": {world: func(e *emulator.Emulator) {
		vault(emulator.VaultOptions{AccessPolicy: true})(e)
		e.Revoke("", "", emulator.SetSecret)
	}},
	"the vault's firewall does not admit the runner's address": {world: vault(emulator.VaultOptions{Firewall: true})},
	"the vault accepts private endpoint connections only": {world: vault(
		emulator.VaultOptions{PublicAccessDisabled: true})},
	"there is no host": {inputs: map[string]string{"vault": "kv-exampel"}},
	"a policy forbids it: the vault's access policies lack the secret permission set, or an Azure Policy requires an expiry or a content type": {
		world: func(e *emulator.Emulator) {
			vault(emulator.VaultOptions{AccessPolicy: true})(e)
			e.Fault(emulator.Fault{
				Operation: "set", Kind: emulator.Status, Times: -1,
				Status: 403, Code: "Forbidden", Inner: "ForbiddenByPolicy",
			})
		}},
	"an Azure Policy forbids it": {world: vault(emulator.VaultOptions{RequireExpiry: true})},
	"not stored: the vault is read-only because its region has failed over": {
		world: vault(emulator.VaultOptions{ReadOnly: true})},
	"the answer is not in Key Vault's own form": {world: func(e *emulator.Emulator) {
		e.Fault(emulator.Fault{
			Operation: "set", Kind: emulator.Status, Status: 403, Header: "x-ms-request-id: ", Times: -1,
		})
	}},
	"it is soft-deleted, so its name is taken": {world: func(e *emulator.Emulator) {
		plant(e, map[string]string{"generated-by": "keyvault-passwords"})
		if err := e.Remove(emulator.DefaultVault, "app-password"); err != nil {
			panic(err)
		}
	}},
	"its newest version is disabled, so somebody has blocked it": {world: func(e *emulator.Emulator) {
		if _, err := e.Put(emulator.DefaultVault, "app-password", emulator.Plant{
			Tags:     map[string]string{"generated-by": "keyvault-passwords"},
			Disabled: true,
		}); err != nil {
			panic(err)
		}
	}},
	"but this action did not make the current version": {
		inputs: map[string]string{"mode": "force"}, world: func(e *emulator.Emulator) { plant(e, nil) }},
	"run with mode: rotate, which gives all its vaults one new value": {
		file: "vaults:\n  eu: {name: kv-example}\n  us: {name: kv-us}\nsecrets:\n  app-password: {vaults: [eu, us]}\n",
		world: func(e *emulator.Emulator) {
			e.AddVault(emulator.VaultOptions{Name: "kv-us"})
			plant(e, map[string]string{"generated-by": "keyvault-passwords", "operation": "one"})
		}},
	"the version may have been stored": {world: func(e *emulator.Emulator) {
		e.Fault(emulator.Fault{Operation: "set", Kind: emulator.Cut, Times: -1})
	}},
	"the vault is still throttled after all retries": {world: func(e *emulator.Emulator) {
		e.Fault(emulator.Fault{
			Operation: "set",
			Kind:      emulator.Status,
			Status:    http.StatusTooManyRequests,
			Code:      "Throttled",
			Times:     -1,
		})
	}},
	"the server accepts no passwords, because it is set to Entra authentication only": server(
		emulator.ServerOptions{EntraOnly: true}, nil),
	"a read-only lock forbids every change of the server": server(emulator.ServerOptions{Locked: true}, nil),
	"the server has accepted the new password, and it is not known whether it is set": server(
		emulator.ServerOptions{}, func(e *emulator.Emulator) { e.Revoke("", "sql-prod", emulator.ReadOperations) }),
	"the target does not hold this version": server(emulator.ServerOptions{}, func(e *emulator.Emulator) {
		plant(e, map[string]string{"generated-by": "keyvault-passwords", "operation": "one"})
	}),
	"no tag says which of its two logins the current version is for": {
		inputs: map[string]string{"secrets": `app-password: {login: [app_a, app_b], value: "${login}:${password}", ` +
			"apply: {postgresql: pg-prod.postgres.database.azure.com, as: gh-passwords}}"},
		world: func(e *emulator.Emulator) {
			plant(e, map[string]string{"generated-by": "keyvault-passwords", "operation": "one"})
		},
	},
	"no vault is known for secret": {inputs: map[string]string{"vault": ""}},
	"did you mean":                 {inputs: map[string]string{"secrets": "app-password: {polcy: azure-sql}"}},
	"leaves no password": {inputs: map[string]string{
		"secrets": "app-password: {policy: {length: 8, characters: [{from: lower, min: 5}, {from: upper, min: 5}]}}"}},
	"cannot be certified":               {inputs: map[string]string{"secrets": "app-password: {policy: {forbid-patterns: ['a.{14}b']}}"}},
	"below the min-entropy of":          {inputs: map[string]string{"secrets": "app-password: {policy: {length: 8}}"}},
	"neither file nor secrets is given": {inputs: map[string]string{"secrets": ""}},
	"in the workspace; check the path, and that a step before this one checks the repository out": {
		inputs: map[string]string{"secrets": "", "file": ".github/passwords.yml"}},
}

// saidByTheRunner are the headings that are not the action's words.
var saidByTheRunner = map[string]bool{"Skip output 'versions' since it may contain secret.": true}

func plant(e *emulator.Emulator, tags map[string]string) {
	if _, err := e.Put(emulator.DefaultVault, "app-password", emulator.Plant{Tags: tags}); err != nil {
		panic(err) // the vault is there: nothing else can fail
	}
}

// Every heading of TROUBLESHOOTING.md is what the action says in that trouble, and it says more than the heading.
func TestTroubleshooting(t *testing.T) {
	section := read(t, ".github/TROUBLESHOOTING.md")
	told := map[string]bool{}
	for _, heading := range regexp.MustCompile("(?m)^## `(.*)`$").FindAllStringSubmatch(section, -1) {
		told[heading[1]] = true
		if _, ok := troubles[heading[1]]; !ok && !saidByTheRunner[heading[1]] {
			t.Errorf("no test gets into the trouble %q", heading[1])
		}
	}
	for heading, trouble := range troubles {
		t.Run(heading, func(t *testing.T) {
			if !told[heading] {
				t.Error("the text does not have this heading")
			}
			synctest.Test(t, func(t *testing.T) {
				r := get(t, trouble)
				if r.Status != action.StatusFailed || !strings.Contains(r.Log, heading) {
					t.Errorf("exit status %d; the log lacks the heading:\n%s", r.Status, r.Log)
				}
				const page = "https://github.com/octo-org/keyvault-passwords/blob/v1/.github/TROUBLESHOOTING.md#"
				link := page + anchors("## `" + heading + "`")[0]
				if !strings.Contains(r.Log, "More: "+link+"\n") && !strings.Contains(r.Log, "More: "+link+"%0A") {
					t.Errorf("the log does not link to the heading, as %s:\n%s", link, r.Log)
				}
				if !strings.Contains(r.Files["GITHUB_STEP_SUMMARY"], "([more]("+link+"))") {
					t.Errorf("the summary does not link to the heading:\n%s", r.Files["GITHUB_STEP_SUMMARY"])
				}
			})
		})
	}
}

// A run with nothing wrong succeeds: so each trouble is due to what its row changes.
func TestNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if r := get(t, trouble{}); r.Status != action.StatusOK {
			t.Errorf("exit status %d:\n%s", r.Status, r.Log)
		}
	})
}

// A run is what one run of the action left behind.
type run struct {
	*job.Result
	job      *job.Job
	emulator *emulator.Emulator
}

// get runs the action in that trouble, in a bubble where waiting costs no time.
func get(t *testing.T, trouble trouble) run {
	t.Helper()
	e := emulator.New(emulator.Options{})
	if trouble.world != nil {
		trouble.world(e)
	}
	network := job.NewNetwork(e)
	defer network.Close()
	j := job.New(e, t.TempDir())
	j.Stdout = trouble.log
	j.Input("vault="+emulator.DefaultVault, "secrets=app-password: azure-sql")
	if trouble.file != "" {
		if err := j.Declare(trouble.file); err != nil {
			t.Fatal(err)
		}
		j.Input("secrets=")
	}
	j.Env["GITHUB_ACTION_REPOSITORY"], j.Env["GITHUB_ACTION_REF"] = "octo-org/keyvault-passwords", "v1"
	maps.Copy(j.Env, trouble.job)
	for name, text := range trouble.inputs {
		j.Input(name + "=" + text)
	}
	r, err := j.Run(t.Context(), network)
	if err != nil {
		t.Fatal(err)
	}
	return run{Result: r, job: j, emulator: e}
}
