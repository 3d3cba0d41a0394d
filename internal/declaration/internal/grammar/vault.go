package grammar

import (
	"fmt"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/refusal"
)

// A Vault is one entry of vaults.
type Vault struct {
	Alias    string
	At       strict.Place // of the alias
	Place    strict.Place // of what follows it
	Vault    azure.Vault  // without a name if it was refused
	TenantID string
	ClientID string
}

// readGUID reads the ID of a tenant or of an application.
func (r *reader) readGUID(n *strict.Node, what string) string {
	return locateAs(r, n, what, maxText, func(text string) (string, error) {
		if err := azure.CheckID(text); err != nil {
			why := refusal.Of(err)
			return "", refusal.Refusal{Cause: what + ": " + why.Cause, Remedy: why.Remedy}
		}
		return text, nil
	}).Value
}

// locateVault reads a vault's name or URL.
func (r *reader) locateVault(n *strict.Node, what string) Located[azure.Vault] {
	return locateAs(r, n, what, maxText, azure.ParseVault)
}

// readAliases reads the mapping under vaults.
func (r *reader) readAliases(n *strict.Node) (vaults []Vault) {
	const remedy = "expected a mapping, such as {name: kv-app-eu}"
	entries, _ := r.Entries(n, "vaults", "expected a mapping of names to vaults, such as {eu: {name: kv-app-eu}}")
	for _, entry := range entries {
		v := Vault{Alias: entry.Name(), At: r.Place(entry.Key), Place: r.Place(entry.Value)}
		if !strict.IsName(v.Alias) {
			r.Refuse(v.At, fmt.Sprintf("%q is not a name for a vault", strict.Clip(v.Alias)), nameRemedy)
		}
		if readFields(r, entry.Value, "a vault", remedy, vaultFields, &v) && v.Vault.Name == "" {
			r.Refuse(v.Place, "the vault has no name", remedy)
		}
		vaults = append(vaults, v)
	}
	return vaults
}
