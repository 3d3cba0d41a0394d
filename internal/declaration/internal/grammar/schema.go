package grammar

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
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// Schema returns the JSON Schema of a declaration, made from the tables.
func Schema() ([]byte, error) {
	schema := mapping(topFields, object{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"title":       "Declaration of keyvault-passwords",
		"required":    []string{"secrets"},
		"definitions": definitions(),
	})
	return encode(schema)
}

// An object is a JSON object.
type object map[string]any

func ref(definition string) object { return object{"$ref": "#/definitions/" + definition} }

func anyOf(schemas ...object) object { return object{"anyOf": schemas} }

func required(keys ...string) object { return object{"required": keys} }

// mapping returns the schema of a mapping of these keys, with further rules.
func mapping[T any](fields []field[T], rules object) object {
	properties := object{}
	for _, f := range fields {
		properties[f.name] = object{"description": f.doc, "allOf": []object{ref(f.schema)}}
	}
	schema := object{"type": "object", "additionalProperties": false, "properties": properties}
	maps.Copy(schema, rules)
	return schema
}

// exclusions returns a rule for each key that excludes others.
func exclusions[T any](fields []field[T]) (rules []object) {
	for _, key := range namesOf(fields) {
		var excluded []object
		for _, f := range fields {
			if slices.Contains(f.notWith, key) {
				excluded = append(excluded, required(f.name))
			}
		}
		if excluded != nil {
			rules = append(rules, object{"if": required(key), "then": object{"not": anyOf(excluded...)}})
		}
	}
	return rules
}

// definitions returns the schema of each kind of value. The rows of the grammar name them.
func definitions() object {
	definitions := object{
		"boolean":    object{"type": "boolean"},
		"count":      object{"type": "integer", "minimum": 1},
		"number":     object{"type": "integer", "minimum": 0},
		"bits":       object{"type": "number", "exclusiveMinimum": 0},
		"class":      object{"enum": password.Classes()},
		"classes":    anyOf(ref("class"), listOf(ref("class"))),
		"dictionary": object{"enum": password.Dictionaries()},

		"duration":         duration("[1-9]"),
		"duration-or-none": duration("[0-9]"),

		"length":         anyOf(ref("count"), mapping(lengthFields, required("min", "max"))),
		"characters":     mapping(charsetFields, object{"oneOf": []object{required("from"), required("chars")}}),
		"character-sets": listOf(ref("characters")),
		"passphrase":     mapping(passphraseFields, required("words")),
		"policy":         mapping(policyFields, object{"allOf": exclusions(policyFields)}),

		"policy-reference": anyOf(append(presetChoices(), ref("name"))...),
		"policy-use":       anyOf(ref("policy-reference"), ref("policy")),

		"generate":   withOne(mapOf("part-name", "policy-use")),
		"secret":     mapping(secretFields, secretRules()),
		"superseded": mapping(supersededFields, required("disable-after")),
		"apply": mapping(applyFields, object{"allOf": append(exclusions(applyFields),
			anyOf(required("azure"), required("postgresql", "as")))}),
		"rotate": mapping(rotateFields, anyOf(required("after"), required("before-expiry"), onPolicyChange())),
		"secrets": withOne(object{
			"type":                 "object",
			"propertyNames":        object{"pattern": keyVaultNamePattern},
			"additionalProperties": anyOf(object{"type": "null"}, ref("policy-reference"), ref("secret")),
		}),

		"audit":         mapping(auditFields, object{}),
		"undeclared":    object{"enum": undeclaredWords()},
		"ignore":        mapping(ignoreFields, required("name", "reason", "until")),
		"ignores":       listOf(ref("ignore")),
		"rules-ignored": listOf(object{"enum": AuditRules()}),

		"vault":    mapping(vaultFields, required("name")),
		"vaults":   mapOf("name", "vault"),
		"policies": mapOf("policy-name", "policy"),
	}
	maps.Copy(definitions, textDefinitions())
	return definitions
}

// presetChoices returns a schema for each preset, with what it is for.
func presetChoices() (choices []object) {
	for _, name := range password.Presets() {
		target, _ := password.TargetOf(name)
		choices = append(choices, object{"const": name, "description": target.String()})
	}
	return choices
}

// textDefinitions returns the schemas of texts, names and tags.
func textDefinitions() object {
	const printable = `^[^\x00-\x1f\x7f-\x9f]*$`
	text := func(most int) object {
		return object{"type": "string", "minLength": 1, "maxLength": most, "pattern": printable}
	}
	name := object{"type": "string", "pattern": strict.NamePattern}
	taken := append(password.Presets(), Inline, Composite)
	return object{
		"text":           text(maxText),
		"long-text":      text(maxPattern),
		"texts":          listOf(ref("long-text")),
		"printable":      object{"type": "string", "pattern": printable},
		"content-type":   text(maxType),
		"template":       template(),
		"name":           name,
		"policy-name":    object{"allOf": []object{name}, "not": object{"enum": taken}},
		"secret-pattern": object{"type": "string", "maxLength": maxText, "pattern": namesPattern},
		"date":           object{"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`},

		"part-name":     object{"allOf": []object{name}, "not": object{"const": composite.Login}},
		"guid":          object{"type": "string", "pattern": azure.IDPattern},
		"vault-address": vaultAddress(),
		"logins": anyOf(ref("text"), object{
			"type": "array", "minItems": 2, "maxItems": 2, "uniqueItems": true, "items": ref("text"),
		}),
		"identifier": text(maxIdentifier),
		"role": object{
			"allOf": []object{ref("identifier")}, "not": object{"pattern": "^(public|none)$|^pg_"},
		},
		"database-host": object{"type": "string", "pattern": azure.DatabaseHostPattern()},
		"server-id":     object{"type": "string", "pattern": azure.ServerIDPattern()},
		"vault-names":   object{"type": "array", "minItems": 1, "uniqueItems": true, "items": ref("name")},
		"tags": object{
			"type": "object", "maxProperties": lifecycle.MaxUserTags, "propertyNames": tagName(text(maxTag)),
			"additionalProperties": object{"allOf": []object{ref("printable")}, "maxLength": maxTag},
		},
	}
}

// listOf returns the schema of a list of one or more items.
func listOf(item object) object { return object{"type": "array", "minItems": 1, "items": item} }

// mapOf returns the schema of a mapping whose keys and values have these definitions.
func mapOf(key, value string) object {
	return object{"type": "object", "propertyNames": ref(key), "additionalProperties": ref(value)}
}

// withOne adds to the schema of a mapping that it has a key.
func withOne(mapping object) object {
	mapping["minProperties"] = 1
	return mapping
}

// duration returns the schema of a duration that has such a digit.
func duration(digit string) object {
	return object{"type": "string", "allOf": []object{
		{"pattern": "(" + plainDuration + ")|(" + isoDuration + ")"}, {"pattern": digit}, {"pattern": "[^T]$"},
	}}
}

// vaultAddress returns the schema of a vault's name or URL.
func vaultAddress() object {
	return anyOf(
		object{"type": "string", "pattern": "^" + azure.VaultNamePattern + "$", "maxLength": azure.MaxVaultName},
		object{"type": "string", "pattern": azure.VaultURLPattern()},
	)
}

// tagName returns the schema of a tag's name: a text that is none of the action's own tags, letter case ignored.
func tagName(text object) object {
	var own []string
	for _, name := range lifecycle.OwnTags() {
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
	name := strings.Trim(strict.NamePattern, "^$")
	part := `\$\{` + name + `(\|(` + strings.Join(composite.Filters(), "|") + `))*\}`
	return object{"type": "string", "maxLength": MaxValue, "allOf": []object{
		{"pattern": `^([^$]|\$\$|` + part + `)*$`}, {"pattern": `(^|[^$])(\$\$)*\$\{`},
		{"pattern": `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+$`},
	}}
}

// onPolicyChange returns the rule that the key is there and true.
func onPolicyChange() object {
	rule := required("on-policy-change")
	rule["properties"] = object{"on-policy-change": object{"const": true}}
	return rule
}

// loginReference is a pattern for templates that refer to the login.
const loginReference = `(^|[^$])(\$\$)*\$\{login[|}]`

// secretRules says which keys of a secret require one another, or exclude each other.
func secretRules() object {
	requires := func(when object, key string) object {
		return object{"if": when, "then": required(key)}
	}
	within := func(key string, schema object) object {
		return object{"required": []string{key}, "properties": object{key: schema}}
	}
	rotating := object{"type": "object", "required": []string{"before-expiry"}}
	two := object{"type": "array"}
	ofTwo := object{
		"required": []string{"apply", "value"},
		"properties": object{"apply": object{"required": []string{"postgresql"}},
			"value": object{"pattern": loginReference}},
	}
	current := object{"type": "object", "required": []string{"current-login"}}
	withLogin := object{"type": "string", "pattern": loginReference}
	return object{"allOf": append(exclusions(secretFields),
		requires(within("generate", object{"minProperties": 2}), "value"),
		requires(within("rotate", rotating), "expires"),
		requires(within("value", withLogin), "login"),
		requires(within("apply", object{"type": "object"}), "login"),
		object{"if": within("login", two), "then": ofTwo},
		object{"if": within("apply", current), "then": object{"properties": object{"login": two}}},
	)}
}

// encode writes a schema as it is in the file.
func encode(schema object) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return text.Bytes(), nil
}
