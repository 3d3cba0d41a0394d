package password

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// keyOf returns the key of a field of Policy, as the field's name spells it: "max-run" of MaxRun.
func keyOf(field string) string {
	var key strings.Builder
	for i, c := range field {
		if i > 0 && 'A' <= c && c <= 'Z' {
			key.WriteByte('-')
		}
		key.WriteRune(c)
	}
	return strings.ToLower(key.String())
}

// sampleOf is a policy in which only one field is set, to a value that means something.
func sampleOf(field int) Policy {
	var p Policy
	switch value := reflect.ValueOf(&p).Elem().Field(field); f := value.Addr().Interface().(type) {
	case *Length:
		*f = Length{Min: 20, Max: 24}
	case *[]Charset:
		*f = []Charset{{From: "lower", Min: 3, Max: most(9)}}
	case **Passphrase:
		*f = &Passphrase{Words: 8}
	case *int:
		*f = 2
	case *float64:
		*f = 50
	case *bool:
		*f = true
	case *[]string:
		*f = []string{"digit"}
	case *string:
		*f = map[string]string{"Dictionary": "english", "Rules": "required: lower", "Exclude": "x",
			"Login": "admin"}[reflect.TypeFor[Policy]().Field(field).Name]
	}
	return p
}

// TestRulesAreTheFieldsOfPolicy: each field has one row, which alone is given where the field alone is set.
func TestRulesAreTheFieldsOfPolicy(t *testing.T) {
	var keys []string
	for field := range reflect.TypeFor[Policy]().NumField() {
		key := keyOf(reflect.TypeFor[Policy]().Field(field).Name)
		keys = append(keys, key)
		p := sampleOf(field)
		for _, r := range rules {
			if got, want := r.given(&p), r.key == key; got != want {
				t.Errorf("with %s alone, %s is given: %t, want %t", key, r.key, got, want)
			}
		}
	}
	for _, r := range rules {
		if !slices.Contains(keys, r.key) {
			t.Errorf("%s is no field of Policy", r.key)
		}
	}
	if len(rules) != len(keys) {
		t.Errorf("%d rules, and %d fields of Policy", len(rules), len(keys))
	}
}

// TestRulesAreWhole holds what the rows say of a rule against what the package does with it.
func TestRulesAreWhole(t *testing.T) {
	// What rules out nothing, or nothing by itself, has no constraints and does not change the fingerprint.
	harmless := []string{"min-entropy", "sets"}
	unexplained := []string{"min-entropy", "passphrase", "rules", "dictionary"} // none is part of a conflict
	for field := range reflect.TypeFor[Policy]().NumField() {
		p := sampleOf(field)
		i := slices.IndexFunc(rules, func(r rule) bool { return r.given(&p) })
		if i < 0 {
			continue // reported above
		}
		r := rules[i]
		changes := Fingerprint(p) != Fingerprint(Policy{})
		if changes == slices.Contains(harmless, r.key) {
			t.Errorf("%s changes the fingerprint: %t", r.key, changes)
		}
		if (r.constraints == nil) != slices.Contains(unexplained, r.key) {
			t.Errorf("%s can be part of a conflict: %t", r.key, r.constraints != nil)
		}
		if r.constraints != nil {
			testDrops(t, r, p)
		}
		testCombined(t, r, p)
	}
}

// testDrops drops all constraints of a rule, after which the policy must say what a policy without the rule says.
func testDrops(t *testing.T, r rule, p Policy) {
	t.Helper()
	for _, c := range slices.Concat(r.constraints(&p)...) {
		if c.key != r.key && !strings.HasPrefix(c.key, r.key+"[") || c.phrase == "" {
			t.Errorf("%s has a constraint %q with the phrase %q", r.key, c.key, c.phrase)
		}
		c.drop(&p)
	}
	var want Policy
	switch r.key {
	case "length":
		want.Length = anyLength
	case "characters":
		want.Characters = []Charset{{From: "lower"}}
	}
	if got, want := canonicalText(p), canonicalText(want); got != want {
		t.Errorf("without the constraints of %s, the policy says\n%swant\n%s", r.key, got, want)
	}
}

// testCombined combines a rule with passphrase and with rules, and compares the verdicts with the row.
func testCombined(t *testing.T, r rule, p Policy) {
	t.Helper()
	for key, test := range map[string]struct {
		allowed bool
		change  func(p *Policy)
	}{
		"passphrase": {r.withPassphrase, func(p *Policy) { p.Passphrase = &Passphrase{Words: 9} }},
		"rules":      {r.withRules, func(p *Policy) { p.Rules = "required: lower, digit; maxlength: 40" }},
	} {
		if r.key == "passphrase" || r.key == key {
			continue
		}
		both := p
		test.change(&both)
		_, err := Compile(both)
		refused := err != nil && strings.Contains(err.Error(), "cannot be combined with "+key)
		if refused == test.allowed {
			t.Errorf("%s with %s: %v; allowed: %t", r.key, key, err, test.allowed)
		}
	}
}
