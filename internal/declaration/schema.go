package declaration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/password"
)

// Schema returns the JSON Schema of a declaration, for editors, made from the tables that the declaration is read by.
// The file schema.json beside this one holds it. It is of draft 7, which editors know best.
//
// It refuses most of what Parse refuses. It cannot tell references without an object, policies that nothing satisfies,
// and durations that contradict each other.
func Schema() ([]byte, error) {
	definitions := definitions()
	definitions["secrets"] = object{
		"type": "object", "minProperties": 1,
		"propertyNames":        object{"pattern": secretName.String()},
		"additionalProperties": anyOf(object{"type": "null"}, ref("policy-reference"), ref("secret")),
	}
	definitions["vault"] = mapping(vaultFields, object{"required": []string{"name"}})
	definitions["policy"] = mapping(policyFields, policyRules())
	definitions["length"] = anyOf(object{"type": "integer", "minimum": 1}, mapping(lengthFields, object{"required": []string{"min", "max"}}))
	definitions["characters"] = mapping(charsetFields, object{"oneOf": []object{{"required": []string{"from"}}, {"required": []string{"chars"}}}})
	definitions["passphrase"] = mapping(passphraseFields, object{"required": []string{"words"}})
	definitions["secret"] = mapping(secretFields, secretRules())
	definitions["rotate"] = mapping(rotateFields, object{"anyOf": []object{
		{"required": []string{"after"}}, {"required": []string{"before-expiry"}},
		{"required": []string{"on-policy-change"}, "properties": object{"on-policy-change": object{"const": true}}},
	}})
	definitions["superseded"] = mapping(supersededFields, object{"required": []string{"disable-after"}})
	schema := mapping(topFields, object{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "Declaration of keyvault-passwords",
		"required":    []string{"secrets"},
		"definitions": definitions,
	})
	return encode(schema)
}

// An object is a JSON object.
type object map[string]any

func ref(definition string) object { return object{"$ref": "#/definitions/" + definition} }

func anyOf(schemas ...object) object { return object{"anyOf": schemas} }

// mapping returns the schema of a mapping of these keys, with further rules.
func mapping[T any](fields []field[T], rules object) object {
	properties := object{}
	for _, f := range fields {
		properties[f.name] = object{"description": f.doc, "allOf": []json.RawMessage{json.RawMessage(f.schema)}}
	}
	schema := object{"type": "object", "additionalProperties": false, "properties": properties}
	maps.Copy(schema, rules)
	return schema
}

// definitions returns the schemas of texts, numbers and lists, and of names.
func definitions() object {
	const controls = `\x00-\x1f\x7f-\x9f`
	text := func(most int) object {
		return object{"type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^" + controls + "]*$"}
	}
	name := object{"type": "string", "pattern": strict.NamePattern}
	taken := append(password.Presets(), inline, "composite")
	return object{
		"text":             text(maxText),
		"long-text":        text(maxPattern),
		"printable":        object{"type": "string", "pattern": "^[^" + controls + "]*$"},
		"texts":            object{"type": "array", "minItems": 1, "items": ref("long-text")},
		"name":             name,
		"policy-name":      object{"allOf": []object{name}, "not": object{"enum": taken}},
		"part-name":        object{"allOf": []object{name}, "not": object{"const": composite.Login}},
		"policy-reference": anyOf(object{"enum": password.Presets()}, object{"type": "string", "pattern": strict.NamePattern}),
		"policy-use":       anyOf(ref("policy-reference"), ref("policy")),
		"class":            object{"enum": password.Classes()},
		"classes":          anyOf(ref("class"), object{"type": "array", "minItems": 1, "items": ref("class")}),
		"guid":             object{"type": "string", "pattern": azure.IDPattern},
		"vault-address":    vaultAddress(),
		"tags": object{
			"type": "object", "maxProperties": maxTags, "propertyNames": tagName(text(maxTag)),
			"additionalProperties": object{"allOf": []object{ref("printable")}, "maxLength": maxTag},
		},
		"duration":         duration("[1-9]"),
		"duration-or-none": duration("[0-9]"),
		"template":         template(),
	}
}

// duration returns the schema of a duration that holds such a digit.
func duration(digit string) object {
	return object{"type": "string", "allOf": []object{
		{"pattern": "(" + plainDuration.String() + ")|(" + isoDuration.String() + ")"}, {"pattern": digit}, {"pattern": "[^T]$"},
	}}
}

// vaultAddress returns the schema of a vault's name or URL.
func vaultAddress() object {
	return anyOf(
		object{"type": "string", "pattern": "^" + azure.VaultNamePattern + "$", "maxLength": azure.MaxVaultName},
		object{"type": "string", "pattern": azure.VaultURLPattern()},
	)
}

// tagName returns the schema of a tag's name: a text that is not one of the action's own tags in any letter case.
func tagName(text object) object {
	var own []string
	for _, name := range ownTags {
		var pattern strings.Builder
		for _, c := range name {
			if upper := strings.ToUpper(string(c)); upper != string(c) {
				pattern.WriteString("[" + string(c) + upper + "]")
			} else {
				pattern.WriteRune(c)
			}
		}
		own = append(own, pattern.String())
	}
	text["not"] = object{"pattern": "^(" + strings.Join(own, "|") + ")$"}
	return text
}

// template returns the schema of a composite's template.
func template() object {
	part := `\$\{[A-Za-z][A-Za-z0-9_-]{0,63}(\|(` + strings.Join(composite.Filters(), "|") + `))*\}`
	return object{"type": "string", "maxLength": maxValue, "allOf": []object{
		{"pattern": `^([^$]|\$\$|` + part + `)*$`}, {"pattern": `(^|[^$])(\$\$)*\$\{`},
		{"pattern": `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+$`},
	}}
}

// policyRules says which rules exclude each other.
func policyRules() object {
	const characters, run = "forbid", "max-sequence" // the first rule that goes with a passphrase, and with rules
	return object{"allOf": []object{
		{"if": object{"required": []string{"passphrase"}}, "then": without(append(before(characters), "rules"))},
		{"if": object{"required": []string{"rules"}}, "then": without(before(run))},
	}}
}

// before returns the names of the rules before the one given.
func before(rule string) []string {
	names := namesOf(policyFields)
	return names[:slices.Index(names, rule)]
}

// without returns the schema of a mapping that has none of the keys.
func without(keys []string) object {
	var present []object
	for _, key := range keys {
		present = append(present, object{"required": []string{key}})
	}
	return object{"not": object{"anyOf": present}}
}

// secretRules says which keys of a secret need one another, or exclude each other.
func secretRules() object {
	need := func(when object, key string) object {
		return object{"if": when, "then": object{"required": []string{key}}}
	}
	within := func(key string, schema object) object {
		return object{"required": []string{key}, "properties": object{key: schema}}
	}
	return object{
		"not": object{"required": []string{"policy", "generate"}},
		"allOf": []object{
			need(within("generate", object{"minProperties": 2}), "value"),
			need(within("rotate", object{"type": "object", "required": []string{"before-expiry"}}), "expires"),
			need(within("value", object{"type": "string", "pattern": `(^|[^$])(\$\$)*\$\{login[|}]`}), "login"),
		},
	}
}

// encode writes a schema as it stands in the file.
func encode(schema object) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return nil, fmt.Errorf("encoding the schema: a row of the grammar holds no JSON: %w", err)
	}
	return text.Bytes(), nil
}
