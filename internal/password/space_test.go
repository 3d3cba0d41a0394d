package password

import (
	"strings"
	"testing"
)

// Every password has only the characters that the space says, and the policy's own ends.
func TestCharacters(t *testing.T) {
	for _, name := range Presets() {
		policy, _ := Preset(name)
		space, err := Compile(policy)
		if err != nil {
			t.Fatal(err)
		}
		anywhere, first, last := space.Characters()
		for range 100 {
			value, err := space.Draw()
			if err != nil {
				t.Fatal(err)
			}
			text := value.Reveal()
			if strings.Trim(text, anywhere) != "" || !strings.Contains(first, text[:1]) ||
				!strings.Contains(last, text[len(text)-1:]) {
				t.Fatalf("%s: a password has characters that the space does not tell of", name)
			}
		}
	}
	space, err := Compile(Policy{Passphrase: &Passphrase{Words: 8, Separator: "+", Capitalize: true, Digit: true}})
	if err != nil {
		t.Fatal(err)
	}
	letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if anywhere, _, _ := space.Characters(); strings.Trim(anywhere, letters+"0123456789-+") != "" ||
		strings.Trim("+-09AZaz", anywhere) != "" {
		t.Errorf("a passphrase has the characters %q", anywhere)
	}
}
