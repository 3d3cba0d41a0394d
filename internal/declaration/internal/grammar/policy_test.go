package grammar

import (
	"testing"

	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/password"
)

// A problem is placed at the first of its keys that is in the policy, or at the nearest key around it.
func TestProblemsOfPoliciesArePlaced(t *testing.T) {
	text := `vault: kv-app
secrets:
  a:
    policy:
      length:
        {min: 24, max: 40}
      characters:
        - from: lower
          min: 2
        -
          {chars: "-._~"}
      passphrase:
        {words: 8}
      forbid: [one,
        two]
`
	source, problem := strict.Open("p.yml", []byte(text))
	if problem != nil {
		t.Fatal(problem)
	}
	policy := Read(source, false).Secrets[0].Policy.Value.Inline
	for _, tt := range []struct {
		keys []string
		line int
	}{
		{[]string{"length"}, 6},
		{[]string{"length.min"}, 6},
		{[]string{"characters"}, 8},
		{[]string{"characters[0]"}, 8},
		{[]string{"characters[0].min"}, 9},
		{[]string{"characters[0].max"}, 8},
		{[]string{"characters[1]"}, 11},
		{[]string{"characters[1].chars", "length"}, 11},
		{[]string{"characters[7].min"}, 8},
		{[]string{"passphrase.words"}, 13},
		{[]string{"passphrase.separator"}, 13},
		{[]string{"forbid[1]"}, 15},
		{[]string{"forbid[2]"}, 14},
		{[]string{"max-run", "forbid[1]"}, 15},
		{[]string{"max-run"}, 5},
		{nil, 5},
	} {
		got := policy.PlaceOf(source, password.Problem{Keys: tt.keys}, strict.Place{})
		if got.Line != tt.line || got.File != "p.yml" {
			t.Errorf("%v is placed at %v, want line %d", tt.keys, got, tt.line)
		}
	}
}
