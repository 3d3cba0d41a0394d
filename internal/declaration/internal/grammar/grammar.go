// Package grammar is what a declaration may say: its keys, and what follows each. [Read] turns YAML into structs that
// hold what was written, with places, and finds every mistake that is one whatever else is declared: an unknown key, a
// number instead of text, a duration of months, a set of characters without characters. What the texts mean together is
// for the package declaration above this one: which policy a name stands for, whether a password satisfies it, and
// whether durations contradict each other.
//
// There is a table for each kind of mapping, in tables.go. The reader, the JSON Schema for editors ([Schema]) and the
// reference ([Reference]) are all made from these tables. Package strict, below this one, reads YAML with places and
// knows nothing of declarations.
package grammar

import (
	"slices"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
)

// A Declaration is a declaration as it was written.
type Declaration struct {
	Vault        Located[azure.Vault] // the default vault
	VaultRefused bool                 // it is there and no vault
	Vaults       []Vault              // in the order of the file
	Policies     map[string]*Policy
	Secrets      []*Secret
	SecretsPlace strict.Place // of the key secrets
	Audit        Audit
	Misspelt     bool // a key of the top mapping is unknown: it may be meant to be one that is missing

	vault, vaults *strict.Node
}

// Read reads a declaration, or with inline only the mapping of its secrets. It notes what is wrong with it in text.
func Read(text *strict.Reader, inline bool) Declaration {
	r := &reader{Reader: text, hint: hintForKey, templates: map[string]*composite.Template{}}
	var d Declaration
	top := r.Top()
	switch {
	case top == nil || strict.KindOf(top) == strict.Empty:
		r.Refuse(r.Whole(), "the declaration is empty", "expected a mapping of names to secrets")
	case inline:
		d.SecretsPlace = r.Place(top)
		if !r.refuseWhole(top) {
			d.Secrets = r.readSecrets(top, "the declaration")
		}
	default:
		d.read(r, top)
	}
	return d
}

// read reads the top mapping. Whether it lacks secrets is looked at before its vaults are read: a mistake elsewhere may
// be why they are missing, and one in a vault is not.
func (d *Declaration) read(r *reader, top *strict.Node) {
	const remedy = "expected a mapping with the key secrets"
	d.SecretsPlace = r.placeOfKey(top, "secrets")
	sound := readFields(r, top, "the declaration", remedy, topFields, d)
	d.Misspelt = hasUnknown(top, namesOf(topFields))
	if sound && d.Secrets == nil {
		r.Refuse(r.Place(top), "the declaration has no secrets", remedy)
	}
	if d.Misspelt && lacksSecrets(top) {
		r.Refuse(r.Place(top), "the declaration has no secrets", "expected their names under secrets:, indented")
	}
	if d.vault != nil {
		d.Vault = r.locateVault(d.vault, "vault")
		d.VaultRefused = !d.Vault.Given()
	}
	if d.vaults != nil {
		d.Vaults = r.readAliases(d.vaults)
	}
}

// placeOfKey returns the place of a key of a mapping; of the mapping if it has none.
func (r *reader) placeOfKey(mapping *strict.Node, key string) strict.Place {
	for _, entry := range strict.EntriesOf(mapping) {
		if entry.Name() == key {
			return r.Place(entry.Key)
		}
	}
	return r.Place(mapping)
}

// hasUnknown reports whether a mapping has an unknown key.
func hasUnknown(mapping *strict.Node, known []string) bool {
	return slices.ContainsFunc(strict.EntriesOf(mapping), func(e strict.Entry) bool {
		return !slices.Contains(known, e.Name())
	})
}

// lacksSecrets reports whether no key of a mapping is "secrets" or similar to it. Its keys may then be names of
// secrets. It looks at the first hundred: the search for similar words takes time.
func lacksSecrets(mapping *strict.Node) bool {
	entries := strict.EntriesOf(mapping)
	return !slices.ContainsFunc(entries[:min(len(entries), 100)], func(e strict.Entry) bool {
		return strict.Nearest(e.Name(), []string{"secrets"}) != ""
	})
}

// refuseWhole reports whether the secrets input is a whole declaration, and notes it. Its other mistakes are then not
// reported.
func (r *reader) refuseWhole(top *strict.Node) bool {
	for _, entry := range strict.EntriesOf(top) {
		within := strict.EntriesOf(entry.Value)
		if entry.Name() != "secrets" || len(within) == 0 {
			continue
		}
		if !slices.Contains(namesOf(secretFields), within[0].Name()) {
			r.Refuse(r.Place(entry.Key), "the secrets input is a whole declaration",
				"expected only what is under secrets:; to use a whole declaration, set the input file")
			return true
		}
	}
	return false
}
