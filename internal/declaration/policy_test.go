package declaration

import (
	"testing"

	"keyvault-passwords/internal/password"
)

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
