package declaration

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v4"

	"keyvault-passwords/internal/azure"
)

// An aliasSpec is one entry of vaults.
type aliasSpec struct {
	vault          azure.Vault
	tenant, client string
}

// guid is how Entra writes the IDs of tenants and of applications.
var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// readGUID reads the ID of a tenant or of an application.
func (r *reader) readGUID(n *yaml.Node, what string) string {
	text, ok := r.readText(n, what, maxText)
	if ok && !guid.MatchString(text) {
		r.problem(r.place(n), fmt.Sprintf("%s is %q", what, clip(text)), "expected a GUID")
		return ""
	}
	return text
}

// readVault reads a vault's name or URL.
func (r *reader) readVault(n *yaml.Node, what string) (azure.Vault, bool) {
	text, ok := r.readText(n, what, maxText)
	if !ok {
		return azure.Vault{}, false
	}
	vault, err := azure.ParseVault(text)
	if err != nil {
		r.problem(r.place(n), err.Error(), "")
	}
	return vault, err == nil
}

// readAliases reads the mapping under vaults. No two names are of one vault: it would have two identities.
func (r *resolver) readAliases(n *yaml.Node) {
	pairs, _ := r.entries(n, "vaults", "expected a mapping of names to vaults, such as {eu: {name: kv-app-eu}}")
	aliasOf := map[string]string{}
	for _, pair := range pairs {
		alias := deref(pair[0]).Value
		if !aliasName.MatchString(alias) {
			r.problem(r.place(pair[0]), fmt.Sprintf("%q is not a name for a vault", clip(alias)), aliasWant)
		}
		vault := r.readAlias(alias, pair[1])
		if other, ok := aliasOf[vault.Name]; ok && vault.Name != "" {
			r.problem(r.place(pair[0]), fmt.Sprintf("vault %s is already called %q", vault.Name, other), "expected one name for each vault")
		}
		aliasOf[vault.Name] = alias
		r.aliases[alias] = vault
	}
}

// readAlias reads one entry of vaults. A vault without a name is one that was refused.
func (r *resolver) readAlias(alias string, n *yaml.Node) Vault {
	const want = "expected a mapping, such as {name: kv-app-eu}"
	var a aliasSpec
	before := r.found
	ok := readFields(r.reader, n, "a vault", want, vaultFields, &a)
	if ok && r.found == before && a.vault.Name == "" {
		r.problem(r.place(n), "a vault without a name", want)
	}
	r.oneCloud(a.vault, r.place(n))
	return Vault{Name: a.vault.Name, Alias: alias, TenantID: a.tenant, ClientID: a.client}
}

// readDefault finds the vault of secrets that name none: the input's, else the declaration's own, which is checked in
// any case.
func (r *resolver) readDefault(n *yaml.Node, input string) {
	if input != "" {
		vault, err := azure.ParseVault(input)
		if err != nil {
			r.problem(Place{}, "input vault: "+err.Error(), "")
		}
		r.oneCloud(vault, Place{})
		r.vault = &Vault{Name: vault.Name}
	}
	if n == nil {
		return
	}
	vault, ok := r.readVault(n, "vault")
	if input == "" && ok {
		r.oneCloud(vault, r.place(n))
		r.vault = &Vault{Name: vault.Name, Place: r.place(n)}
	}
	r.vaultRefused = r.vaultRefused || !ok
}

// oneCloud notes a vault that is in another cloud than what came before it.
func (r *resolver) oneCloud(vault azure.Vault, at Place) {
	switch {
	case vault.Cloud == nil:
	case r.cloud == nil:
		r.cloud = vault.Cloud
	case r.cloud.Name != vault.Cloud.Name:
		r.problem(at, fmt.Sprintf("vault %s is in %s, and the run is in %s", vault.Name, vault.Cloud.Name, r.cloud.Name), "expected all vaults of a run in one cloud")
	}
}

// unknownVault notes a name that does not stand under vaults.
func (r *resolver) unknownVault(name located[string]) {
	want := "expected vaults in the declaration, which names them"
	if len(r.aliases) > 0 {
		want = alternatives(name.value, slices.Sorted(maps.Keys(r.aliases))) + ", the names under vaults"
	}
	r.problem(name.place, fmt.Sprintf("unknown vault %q", clip(name.value)), want)
}

// vaultsOf returns the vaults of a secret.
func (r *resolver) vaultsOf(s *secretSpec) []Vault {
	if !s.vaults.given() {
		if r.vault != nil {
			return []Vault{*r.vault}
		}
		if !r.vaultRefused {
			r.vaultRefused = true // once is enough: every secret without vaults lacks it
			r.problem(s.place, fmt.Sprintf("no vault is known for secret %q", clip(s.name)), "expected the vault input, or vault in the declaration, or vaults in the secret")
		}
		return nil
	}
	var list []Vault
	for _, name := range s.vaults.value {
		vault, ok := r.aliases[name.value]
		if !ok {
			r.unknownVault(name)
			continue
		}
		if slices.ContainsFunc(list, func(v Vault) bool { return v.Alias == vault.Alias }) {
			r.problem(name.place, fmt.Sprintf("vault %q stands twice", name.value), "expected it once")
			continue
		}
		vault.Place = name.place
		list = append(list, vault)
	}
	return list
}
