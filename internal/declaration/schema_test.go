package declaration

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/password"
)

// schema.json is made of the tables. -update writes it.
func TestSchemaFileIsOfTheGrammar(t *testing.T) {
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(want), string(readFile(t, "schema.json"))); diff != "" {
		t.Errorf("schema.json is not up to date; go test -run Schema -update writes it (-want +got):\n%s", diff)
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(readFile(t, "schema.json")))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON returns a YAML text as editors check it against a schema. It fails if the text is not YAML or has a key twice.
func asJSON(text []byte) (any, error) {
	var value any
	if err := yaml.Load(text, &value); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(withoutDates(value))
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
}

// withoutDates returns a value with the dates of YAML 1.1 as text, which they are for editors.
func withoutDates(value any) any {
	switch v := value.(type) {
	case time.Time:
		return v.Format(time.DateOnly)
	case map[string]any:
		for key, of := range v {
			v[key] = withoutDates(of)
		}
	case []any:
		for i, of := range v {
			v[i] = withoutDates(of)
		}
	}
	return value
}

// beyondSchema are the bad declarations that no schema can refuse: they have a wrong reference, a name twice, a wrong
// sum, or a mistake in the spelling of the YAML.
var beyondSchema = []string{
	"after-beyond-expires", "after-never", "before-expiry-long", "disable-after-beyond-expiry", "disable-after-long",
	"not-before-beyond-expiry",
	"not-before-beyond-after", "not-before-beyond-disable", "not-before-beyond-expires",
	"compile-chars-umlaut", "compile-entropy", "compile-exclude-default", "compile-login", "compile-max-of-set",
	"compile-minimums",
	"compile-own-entropy", "compile-passphrase-words", "compile-pattern", "compile-rules", "compile-rules-entropy",
	"compile-rules-folded",
	"hint-class-as-policy", "hint-policy-as-rules",
	"duplicate-secret-case", "duplicate-vault", "expires-long",
	"tags-case",
	"unknown-part", "unknown-policy", "unknown-policy-generate", "unknown-policy-key", "unknown-policy-own",
	"unknown-vault", "unknown-vault-none",
	"value-folded", "value-misspelt-part", "value-part-unused", "value-plain-lines", "value-too-long", "vault-clouds",
	"vault-none",
	"yaml-merge", "yaml-tag",
	"apply-as-login", "apply-login-long", "apply-host-cloud", "apply-azure-characters", "apply-azure-length",
	"apply-parts", "apply-current-other", "apply-twice", "login-two-after", "login-two-disable", "login-two-expiry",
}

// The schema refuses each bad declaration, except those beyond it.
func TestSchemaRefusesBadDeclarations(t *testing.T) {
	schema := compileSchema(t)
	cases := badCases(t)
	for _, bad := range cases {
		value, err := asJSON(bad.text)
		if err != nil {
			continue // no value to hold a schema against
		}
		refused, beyond := schema.Validate(value) != nil, slices.Contains(beyondSchema, bad.name)
		if refused == beyond {
			t.Errorf("%s: refused by the schema: %v; listed as beyond it: %v", bad.name, refused, beyond)
		}
	}
	for _, name := range beyondSchema {
		if !slices.ContainsFunc(cases, func(bad badCase) bool { return bad.name == name }) {
			t.Errorf("%s is listed as beyond the schema, and is no fixture", name)
		}
	}
}

func TestSchemaAcceptsGoodDeclarations(t *testing.T) {
	schema := compileSchema(t)
	for _, path := range goodFiles(t) {
		value, err := asJSON(readFile(t, path))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("the schema refuses %s: %v", path, err)
		}
	}
}

// Each key of the grammar is in a good declaration, so that a test reads every row of the tables.
func TestGoodDeclarationsUseEveryKey(t *testing.T) {
	var texts strings.Builder
	for _, name := range fixtures(t, "good", ".yml", 9) {
		texts.Write(readFile(t, "testdata", "good", name+".yml"))
	}
	for _, mapping := range Grammar() {
		for _, key := range mapping.Keys {
			if !strings.Contains(texts.String(), key.Name+":") && !strings.Contains(texts.String(), key.Name+`":`) {
				t.Errorf("no good fixture uses %s of %s", key.Name, mapping.Title)
			}
		}
	}
}

// The schema has the keys of the grammar and no others, with the same documentation.
func TestSchemaHasTheKeysOfTheGrammar(t *testing.T) {
	var schema struct {
		Properties  map[string]struct{ Description string }
		Definitions map[string]json.RawMessage
	}
	if err := json.Unmarshal(readFile(t, "schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for name, property := range schema.Properties {
		described[name+": "+property.Description] = true
	}
	for _, definition := range schema.Definitions {
		collectKeys(t, definition, described)
	}
	for _, mapping := range Grammar() {
		for _, key := range mapping.Keys {
			if !described[key.Name+": "+key.Doc] {
				t.Errorf("the schema does not have %s of %s", key.Name, mapping.Title)
			}
			delete(described, key.Name+": "+key.Doc)
		}
	}
	for key := range described {
		t.Errorf("the grammar does not have %s", key)
	}
}

// collectKeys notes the described properties of a definition, including those of its alternatives.
func collectKeys(t *testing.T, definition json.RawMessage, described map[string]bool) {
	t.Helper()
	var shape struct {
		Properties map[string]struct{ Description string }
		AnyOf      []json.RawMessage
	}
	if err := json.Unmarshal(definition, &shape); err != nil {
		t.Fatal(err)
	}
	for name, property := range shape.Properties {
		if property.Description != "" { // a property without one is part of a rule
			described[name+": "+property.Description] = true
		}
	}
	for _, other := range shape.AnyOf {
		collectKeys(t, other, described)
	}
}

func TestReferenceNamesEverything(t *testing.T) {
	text := Reference()
	for _, mapping := range Grammar() {
		if !strings.Contains(text, mapping.Title) || len(mapping.Keys) == 0 {
			t.Errorf("the reference lacks %s", mapping.Title)
		}
		for _, key := range mapping.Keys {
			row := "| `" + key.Name + "` | " + key.Takes + " | " + strings.ReplaceAll(key.Doc, "|", `\|`) + " |\n"
			if key.Doc == "" || !strings.Contains(text, row) {
				t.Errorf("the reference lacks %s of %s", key.Name, mapping.Title)
			}
		}
	}
	for _, name := range slices.Concat(password.Classes(), password.Presets(), composite.Filters()) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("the reference lacks %s", name)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if strings.HasPrefix(line, "|") && cells != 3 && cells != 4 {
			t.Errorf("a row of the reference does not have two or three cells: %s", line)
		}
	}
}
