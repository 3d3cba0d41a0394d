package declaration

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
	r := &reader{Reader: source, hint: hintForKey}
	draft := r.readSpec(false).secrets[0].policy.value.draft
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
		if got := draft.locate(tt.keys); got.Line != tt.line || got.File != "p.yml" {
			t.Errorf("%v is placed at %v, want line %d", tt.keys, got, tt.line)
		}
	}
}

func TestPassphraseDefaults(t *testing.T) {
	for text, want := range map[string]password.Passphrase{
		"{words: 8}":                                 {Words: 8, Separator: "-"},
		`{words: 8, separator: ""}`:                  {Words: 8},
		`{words: 6, separator: " ", digit: true}`:    {Words: 6, Separator: " ", Digit: true},
		"{words: 6, capitalize: true, digit: false}": {Words: 6, Separator: "-", Capitalize: true},
	} {
		declared := "vault: kv-app\nsecrets: {a: {policy: {passphrase: " + text + "}}}\n"
		d, err := Parse(Source{File: "p.yml", Text: []byte(declared)})
		if err != nil || *d.Secrets[0].Parts[0].rules.Passphrase != want {
			t.Errorf("passphrase %s: got %+v and error %v, want %+v", text, d, err, want)
		}
	}
}

// A byte order mark and the line ends of Windows change neither a declaration nor its places.
func TestByteOrderMarkAndLineEnds(t *testing.T) {
	const text = "vault: kv-app\nsecrets:\n  a:\n    value: \"${x}\"\n"
	_, want := Parse(Source{File: "p.yml", Text: []byte(text)})
	for name, other := range map[string]string{
		"a byte order mark": "\ufeff" + text,
		"CR LF":             "vault: kv-app\r\nsecrets:\r\n  a:\r\n    value: \"${x}\"\r\n",
	} {
		_, err := Parse(Source{File: "p.yml", Text: []byte(other)})
		if want == nil || err == nil || err.Error() != want.Error() {
			t.Errorf("with %s: got error %v, want %v", name, err, want)
		}
	}
}
