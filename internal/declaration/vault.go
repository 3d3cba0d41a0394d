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

// readAliases reads the mapping under vaults. A vault has only one name there, since it would otherwise have two
// identities.
func (r *resolver) readAliases(n *strict.Node) {
	entries, _ := r.Entries(n, "vaults", "expected a mapping of names to vaults, such as {eu: {name: kv-app-eu}}")
	aliasOf := map[string]string{}
	for _, entry := range entries {
		alias := entry.Name()
		if !strict.IsName(alias) {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("%q is not a name for a vault", strict.Clip(alias)), nameRemedy)
		}
		vault := r.readAlias(alias, entry.Value)
		if other, ok := aliasOf[vault.Name]; ok && vault.Name != "" {
			r.Refuse(r.Place(entry.Key), fmt.Sprintf("vault %s already has the name %q", vault.Name, other),
				"expected one name for each vault")
		}
		aliasOf[vault.Name] = alias
		r.aliases[alias] = vault
		r.places[vault.Name] = r.Place(entry.Key)
	}
}

// readAlias reads one entry of vaults. If it is refused, the vault has no name.
func (r *resolver) readAlias(alias string, n *strict.Node) Vault {
	const remedy = "expected a mapping, such as {name: kv-app-eu}"
	var a aliasSpec
	before := r.Found()
	ok := readFields(r.reader, n, "a vault", remedy, vaultFields, &a)
	if ok && r.Found() == before && a.vault.Name == "" {
		r.Refuse(r.Place(n), "the vault has no name", remedy)
	}
	r.oneCloud(a.vault, r.Place(n))
	return Vault{Name: a.vault.Name, Alias: alias, TenantID: a.tenant, ClientID: a.client}
}

// readDefault finds the default vault: the input's, or else the declaration's own, which is checked in any case.
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
		r.places[vault.Name] = r.Place(n)
	}
	r.vaultRefused = r.vaultRefused || !ok
}

// oneCloud notes a vault that is in another cloud than the input or the vaults before it.
func (r *resolver) oneCloud(vault azure.Vault, at Place) {
	r.oneCloudOf("vault "+vault.Name, vault.Cloud, at, "expected all vaults of a run in one cloud")
}

// oneCloudOf notes what is in another cloud than the input or what was declared before it. cloud is nil if it is not
// known.
func (r *resolver) oneCloudOf(what string, cloud *azure.Cloud, at Place, remedy string) {
	switch {
	case cloud == nil:
	case r.cloud == nil:
		r.cloud = cloud
	case r.cloud.Name != cloud.Name:
		cause := fmt.Sprintf("%s is in %s, and the run is in %s", what, cloud.Name, r.cloud.Name)
		r.Refuse(at, cause, remedy)
	}
}

// unknownVault notes a name that is not under vaults.
func (r *resolver) unknownVault(name located[string]) {
	remedy := "add it to vaults in the declaration"
	if len(r.aliases) > 0 {
		known := slices.Sorted(maps.Keys(r.aliases))
		remedy = strict.Alternatives(name.value, known) + ", from the declaration's vaults"
	}
	r.Refuse(name.place, fmt.Sprintf("unknown vault %q", strict.Clip(name.value)), remedy)
}

// vaultsOf returns the vaults of a secret.
func (r *resolver) vaultsOf(s *secretSpec) []Vault {
	if !s.vaults.given() {
		if r.vault != nil {
			return []Vault{*r.vault}
		}
		if !r.vaultRefused {
			r.vaultRefused = true // reported once, although every secret without vaults lacks it
			r.Refuse(s.place, fmt.Sprintf("no vault is known for secret %q", strict.Clip(s.name)),
				"set the input vault, or add vault to the declaration or vaults to the secret")
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
			r.Refuse(name.place, fmt.Sprintf("vault %q is listed twice", name.value), "remove one of them")
			continue
		}
		vault.Place = name.place
		list = append(list, vault)
	}
	return list
}
