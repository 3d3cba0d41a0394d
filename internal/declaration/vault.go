package declaration

import (
	"fmt"
	"maps"
	"slices"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/declaration/internal/strict"
)

// nameVaults names the vaults under vaults. A vault has only one name there, since it would otherwise have two
// identities.
func (r *resolver) nameVaults(vaults []grammar.Vault) {
	aliasOf := map[string]string{}
	for _, v := range vaults {
		name := v.Vault.Name
		r.oneCloud(v.Vault, v.Place)
		if other, ok := aliasOf[name]; ok && name != "" {
			r.Refuse(v.At, fmt.Sprintf("vault %s already has the name %q", name, other),
				"expected one name for each vault")
		}
		aliasOf[name] = v.Alias
		r.aliases[v.Alias] = Vault{Name: name, Alias: v.Alias, TenantID: v.TenantID, ClientID: v.ClientID}
		r.places[name] = v.At
	}
}

// findDefault finds the default vault: the input's, or else the declaration's own.
func (r *resolver) findDefault(own grammar.Located[azure.Vault], input *azure.Vault) {
	switch {
	case input != nil:
		r.vault = &Vault{Name: input.Name}
		if r.cloud == nil {
			r.cloud = input.Cloud
		}
	case own.Given():
		r.oneCloud(own.Value, own.Place)
		r.vault = &Vault{Name: own.Value.Name, Place: own.Place}
		r.places[own.Value.Name] = own.Place
	}
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
func (r *resolver) unknownVault(name grammar.Located[string]) {
	remedy := "add it to vaults in the declaration"
	if len(r.aliases) > 0 {
		known := slices.Sorted(maps.Keys(r.aliases))
		remedy = strict.Alternatives(name.Value, known) + ", from the declaration's vaults"
	}
	r.Refuse(name.Place, fmt.Sprintf("unknown vault %q", strict.Clip(name.Value)), remedy)
}

// vaultsOf returns the vaults of a secret.
func (r *resolver) vaultsOf(s *grammar.Secret) []Vault {
	if !s.Vaults.Given() {
		if r.vault != nil {
			return []Vault{*r.vault}
		}
		if !r.vaultRefused {
			r.vaultRefused = true // reported once, although every secret without vaults lacks it
			r.Refuse(s.Place, fmt.Sprintf("no vault is known for secret %q", strict.Clip(s.Name)),
				"set the input vault, or add vault to the declaration or vaults to the secret")
		}
		return nil
	}
	var list []Vault
	for _, name := range s.Vaults.Value {
		vault, ok := r.aliases[name.Value]
		if !ok {
			r.unknownVault(name)
			continue
		}
		if slices.ContainsFunc(list, func(v Vault) bool { return v.Alias == vault.Alias }) {
			r.Refuse(name.Place, fmt.Sprintf("vault %q is listed twice", name.Value), "remove one of them")
			continue
		}
		vault.Place = name.Place
		list = append(list, vault)
	}
	return list
}
