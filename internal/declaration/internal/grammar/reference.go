package grammar

import (
	"fmt"
	"strings"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/password"
)

// A Mapping is one kind of mapping in a declaration.
type Mapping struct {
	Title string // "A secret"
	Keys  []Key
}

// A Key is one key of a mapping.
type Key struct {
	Name  string // "content-type"
	Takes string // its value: "text"
	Doc   string // one or two sentences
}

// Mappings returns every kind of mapping in a declaration, from the tables by which it is read.
func Mappings() []Mapping {
	return []Mapping{
		{"The file", keysOf(topFields)},
		{"A secret, under `secrets`", keysOf(secretFields)},
		{"`rotate` of a secret", keysOf(rotateFields)},
		{"`superseded` of a secret", keysOf(supersededFields)},
		{"`apply` of a secret", keysOf(applyFields)},
		{"A policy, under `policies`, `policy` or `generate`", keysOf(policyFields)},
		{"A set of `characters`", keysOf(charsetFields)},
		{"`length` as a mapping", keysOf(lengthFields)},
		{"`passphrase` of a policy", keysOf(passphraseFields)},
		{"A vault, under `vaults`", keysOf(vaultFields)},
		{"`audit`", keysOf(auditFields)},
		{"An entry of `ignore` of `audit`", keysOf(ignoreFields)},
	}
}

func keysOf[T any](fields []field[T]) []Key {
	var keys []Key
	for _, f := range fields {
		keys = append(keys, Key{Name: f.name, Takes: f.takes, Doc: f.doc})
	}
	return keys
}

// Reference returns the grammar as Markdown: a table for each mapping, then the filters, classes and presets.
func Reference() string {
	var text strings.Builder
	for _, m := range Mappings() {
		fmt.Fprintf(&text, "**%s**\n\n| key | takes | meaning |\n| --- | --- | --- |\n", m.Title)
		for _, k := range m.Keys {
			// A bar ends a cell, even in code: https://github.github.com/gfm/#example-200
			fmt.Fprintf(&text, "| `%s` | %s | %s |\n", k.Name, k.Takes, strings.ReplaceAll(k.Doc, "|", `\|`))
		}
		text.WriteString("\n")
	}
	text.WriteString("**Filters of a `value`**\n\n| filter | writes the part |\n| --- | --- |\n")
	for _, name := range composite.Filters() {
		fmt.Fprintf(&text, "| `%s` | %s |\n", name, composite.FilterDoc(name))
	}
	text.WriteString("\nA duration is a text such as `90d`, `36h`, `1d12h`, `P90D` or `PT12H`: " +
		"weeks, days, hours, minutes and seconds, at most ten years. ")
	fmt.Fprintf(&text, "Classes are %s. ", quoted(password.Classes()))
	fmt.Fprintf(&text, "Presets are %s.\n", quoted(password.Presets()))
	return text.String()
}

// quoted lists names as code.
func quoted(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }
