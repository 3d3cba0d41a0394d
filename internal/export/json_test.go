package export_test

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

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/export"
)

// written returns a report in a form.
func written(t testing.TB, form export.Form, r *audit.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := form(&b, r, run); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compiled returns the JSON Schema of a text.
func compiled(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("https://example.invalid/schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("https://example.invalid/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func schemaText(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is written satisfies the schema of the repository, which allows no key that it does not describe and wants each
// that it does.
func TestJSONIsOfItsSchema(t *testing.T) {
	schema := compiled(t, schemaText(t))
	for name, r := range map[string]*audit.Report{
		"nothing": {}, "few": sample(3), "many": sample(600), "incomplete": incomplete(300),
		"hostile": hostile("=\"<x>\u202e\x00\n"),
	} {
		if err := validate(t, schema, written(t, export.JSON, r)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A schema that allowed anything would prove nothing: without any one key, or with one more, a report is refused.
func TestSchemaRefusesOtherReports(t *testing.T) {
	schema := compiled(t, schemaText(t))
	text := written(t, export.JSON, incomplete(300))
	tried := 0
	var visit func(root, at any)
	refused := func(root any, what string) {
		tried++
		encoded, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		if validate(t, schema, encoded) == nil {
			t.Errorf("the schema accepts a report %s", what)
		}
	}
	visit = func(root, at any) {
		switch of := at.(type) {
		case []any:
			if len(of) > 0 {
				visit(root, of[0])
			}
		case map[string]any:
			for key, value := range of {
				delete(of, key)
				refused(root, "without "+key)
				of[key] = value
				visit(root, value)
			}
			of["more"] = 1
			refused(root, "with one key more")
			delete(of, "more")
		}
	}
	var root map[string]any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"secrets", "findings"} { // so that each try is quick
		root[list] = root[list].([]any)[:1]
	}
	visit(root, root)
	if tried < 60 {
		t.Errorf("%d other reports tried; expected one for each key", tried)
	}
}

// The rules that the schema allows are those that there are.
func TestSchemaHasTheRules(t *testing.T) {
	var schema struct {
		Defs struct {
			Rule struct{ Enum []string }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(schemaText(t), &schema); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, rule := range audit.Rules() {
		want = append(want, rule.ID)
	}
	if diff := cmp.Diff(want, schema.Defs.Rule.Enum); diff != "" {
		t.Errorf("the rules (-code +schema):\n%s", diff)
	}
}

// far are expiries that vaults hold: in years of five digits and more, and the last of a year of four.
var far = []struct {
	expires time.Time
	text    any
	left    float64
}{
	{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "9999-12-31T23:59:59Z", 2912115},
	{time.Unix(253402303861, 0), nil, 2912115},
	{time.Date(58932, 1, 1, 0, 0, 0, 0, time.UTC), nil, 20784161},
}

func TestJSONOfFarYears(t *testing.T) {
	for _, tc := range far {
		r := sample(3)
		r.Secrets[0].Expires, r.Secrets[0].Next, r.Secrets[0].NotBefore = tc.expires, tc.expires, tc.expires
		text := written(t, export.JSON, r)
		if err := validate(t, compiled(t, schemaText(t)), text); err != nil {
			t.Errorf("%v: %v", tc.expires, err)
		}
		var got struct{ Secrets []map[string]any }
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		s, seconds := got.Secrets[0], float64(tc.expires.Unix())
		for key, want := range map[string]any{
			"expires": tc.text, "rotation_due": tc.text, "not_before": tc.text,
			"expires_unix": seconds, "rotation_due_unix": seconds, "not_before_unix": seconds, "days_left": tc.left,
		} {
			if s[key] != want {
				t.Errorf("%v: %s is %v; want %v", tc.expires, key, s[key], want)
			}
		}
	}
}

// One secret as a reader gets it: each value stands under the key that says so.
func TestJSONOfASecret(t *testing.T) {
	r := sample(3)
	r.Secrets = r.Secrets[1:2]
	var got struct{ Secrets []map[string]any }
	if err := json.Unmarshal(written(t, export.JSON, r), &got); err != nil {
		t.Fatal(err)
	}
	s := &r.Secrets[0]
	want := map[string]any{
		"vault": "kv-payments-prod", "name": s.Name, "declared": true, "exists": true, "managed": false,
		"enabled":      true,
		"place":        map[string]any{"file": ".github/passwords.yml", "line": 12.0, "column": 3.0},
		"content_type": "password", "version": s.Version, "policy": s.Made.Name(), "fingerprint": "a1b2c3d4e5f6",
		"declared_policy": s.Policy.Name(), "declared_fingerprint": "a1b2c3d4e5f6", "drift": false,
		"generated_by": "keyvault-passwords", "created": "2026-10-30T06:30:12Z", "age_days": 25.0,
		"expires": "2027-01-28T06:30:12Z", "expires_unix": float64(s.Expires.Unix()), "days_left": 65.0,
		"not_before": nil, "not_before_unix": nil, "rotation_due": "2027-01-14T06:30:12Z",
		"rotation_due_unix": float64(s.Next.Unix()), "overdue_days": nil, "due": nil, "due_reason": nil,
		"versions":          1.0,
		"versions_complete": true, "superseded_enabled": 0.0, "deleted_on": nil, "purge_on": nil, "worst_level": nil,
		"findings": []any{},
	}
	if diff := cmp.Diff(want, got.Secrets[0]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The counts of findings are those of the lists, a secret counts once, and every text is there exactly.
func TestJSONIsComplete(t *testing.T) {
	const text = "=1+1 \u202e<b>&\"\\\n\x01"
	r := hostile(text)
	for i := range r.Secrets {
		r.Secrets[i].Declared, r.Secrets[i].Due = i < 2, ""
	}
	r.Secrets[0].Vault, r.Secrets[1].Vault, r.Secrets[1].Due = "kv-a", "kv-b", "age"
	r.Due = []string{"kv-a/" + text, "kv-b/" + text}
	var got struct {
		Counts   struct{ Errors, Warnings, Infos, Secrets, Declared, Due int }
		Due      []string
		Secrets  []map[string]any
		Findings []map[string]any
		Notes    []string
	}
	if err := json.Unmarshal(written(t, export.JSON, r), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Counts
	if c.Errors+c.Warnings+c.Infos != len(r.Findings) || len(got.Findings) != len(r.Findings) ||
		c.Secrets != len(r.Secrets)-1 || len(got.Secrets) != len(r.Secrets) || c.Declared != 1 || c.Due != 1 ||
		!slices.Equal(got.Due, r.Due) || !slices.Equal(got.Notes, r.Notes) {
		t.Errorf("counts %+v, %d secrets, %d findings; the report has %d, two of them of one secret, and %d", c,
			len(got.Secrets),
			len(got.Findings), len(r.Secrets), len(r.Findings))
	}
	for _, s := range got.Secrets {
		if s["name"] != text {
			t.Fatalf("a name is %q; want %q", s["name"], text)
		}
	}
	if f := got.Findings[0]; f["message"] != text || f["remedy"] != text || f["secret"] != text {
		t.Errorf("a finding is %v", f)
	}
}

// Nothing but what the runner says of a run becomes an address.
func TestRunAddress(t *testing.T) {
	for want, run := range map[string]export.Run{
		`"https://github.com/o/r/actions/runs/7/attempts/2"`: {
			Server: "https://github.com", Repository: "o/r", ID: "7", Attempt: "2",
		},
		`"https://ghe.example:8443/o/r/actions/runs/7"`: {Server: "https://ghe.example:8443", Repository: "o/r",
			ID: "7"},
		"null": {Server: "javascript:alert(1)//", Repository: "o/r", ID: "7"},
	} {
		var b strings.Builder
		if err := export.JSON(&b, sample(3), run); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), `"url":`+want) {
			t.Errorf("%+v: expected url %s in\n%.400s", run, want, b.String())
		}
	}
}
