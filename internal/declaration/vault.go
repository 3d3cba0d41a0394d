package declaration

import (
	"fmt"
	"maps"
	"slices"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/refusal"
)

// An aliasSpec is one entry of vaults.
type aliasSpec struct {
	vault          azure.Vault
	tenant, client string
}

// readGUID reads the ID of a tenant or of an application.
func (r *reader) readGUID(n *strict.Node, what string) string {
	text, ok := r.Line(n, what, maxText)
	if err := azure.CheckID(text); ok && err != nil {
		why := refusal.Of(err)
		r.Refuse(r.Place(n), what+": "+why.Cause, why.Remedy)
	}
	return text
}

// readVault reads a vault's name or URL.
func (r *reader) readVault(n *strict.Node, what string) (azure.Vault, bool) {
	text, ok := r.Line(n, what, maxText)
	if !ok {
		return azure.Vault{}, false
	}
	vault, err := azure.ParseVault(text)
	if err != nil {
		why := refusal.Of(err)
		r.Refuse(r.Place(n), why.Cause, why.Remedy)
	}
	return vault, err == nil
}

// readAliases reads the mapping under vaults. No two names are of one vault: it would have two identities.
func (r *resolver) readAliases(n *strict.Node) {
	entries, _ := r.Entries(n, "vaults", "expected a mapping of names to vaults, such as {eu: {name: kv-app-eu}}")
	aliasOf := map[string]string{}
	for _, entry := range entries {
		alias := entry.Name()
		if !strict.IsName(alias) {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%q is not a name for a vault", strict.Clip(alias)), aliasWant)
		}
		vault := r.readAlias(alias, entry.Value)
		if other, ok := aliasOf[vault.Name]; ok && vault.Name != "" {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("vault %s is already called %q", vault.Name, other), "expected one name for each vault")
		}
		aliasOf[vault.Name] = alias
		r.aliases[alias] = vault
	}
}

// readAlias reads one entry of vaults. A vault without a name is one that was refused.
func (r *resolver) readAlias(alias string, n *strict.Node) Vault {
	const want = "expected a mapping, such as {name: kv-app-eu}"
	var a aliasSpec
	before := r.Found()
	ok := readFields(r.reader, n, "a vault", want, vaultFields, &a)
	if ok && r.Found() == before && a.vault.Name == "" {
		r.Refuse(r.Place(n), "a vault without a name", want)
	}
	r.oneCloud(a.vault, r.Place(n))
	return Vault{Name: a.vault.Name, Alias: alias, TenantID: a.tenant, ClientID: a.client}
}

// readDefault finds the vault of secrets that name none: the input's, else the declaration's own, which is checked in
// any case.
func (r *resolver) readDefault(n *strict.Node, input *azure.Vault) {
	if input != nil {
		r.vault = &Vault{Name: input.Name}
		if r.cloud == nil {
			r.cloud = input.Cloud
		}
	}
	if n == nil {
		return
	}
	vault, ok := r.readVault(n, "vault")
	if input == nil && ok {
		r.oneCloud(vault, r.Place(n))
		r.vault = &Vault{Name: vault.Name, Place: r.Place(n)}
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
		r.Refuse(at, fmt.Sprintf("vault %s is in %s, and the run is in %s", vault.Name, vault.Cloud.Name, r.cloud.Name), "expected all vaults of a run in one cloud")
	}
}

// unknownVault notes a name that does not stand under vaults.
func (r *resolver) unknownVault(name located[string]) {
	want := "expected vaults in the declaration, which names them"
	if len(r.aliases) > 0 {
		want = strict.Alternatives(name.value, slices.Sorted(maps.Keys(r.aliases))) + ", the names under vaults"
	}
	r.Refuse(name.place, fmt.Sprintf("unknown vault %q", strict.Clip(name.value)), want)
}

// vaultsOf returns the vaults of a secret.
func (r *resolver) vaultsOf(s *secretSpec) []Vault {
	if !s.vaults.given() {
		if r.vault != nil {
			return []Vault{*r.vault}
		}
		if !r.vaultRefused {
			r.vaultRefused = true // once is enough: every secret without vaults lacks it
			r.Refuse(s.place, fmt.Sprintf("no vault is known for secret %q", strict.Clip(s.name)), "expected the vault input, or vault in the declaration, or vaults in the secret")
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
			r.Refuse(name.place, fmt.Sprintf("vault %q stands twice", name.value), "expected it once")
			continue
		}
		vault.Place = name.place
		list = append(list, vault)
	}
	return list
}
