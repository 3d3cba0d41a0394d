package report

import (
	"fmt"
	"io"
	"strings"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/escape"
)

// A Declared is one secret of a declaration without mistakes, in words.
type Declared struct {
	Name    string
	Place   declaration.Place // of the name in the declaration
	Vaults  []string          // none: no vault is known
	Policy  string            // its name; of several generated parts, "hex-256 + pin"
	Length  string            // in characters: "24", "24 to 40"
	Bits    string            // of entropy
	Expires string            // "never", "after 90d"
	Rotates string            // "after 60d, 14d before it expires". "": nothing makes it due
	Target  string            // where the password is set too: "pg-prod". "": nowhere
}

// Check writes what is declared, a line a secret: "db  kv-app-prod  azure-sql  24 characters  138.52 bits  expires
// after 90d  rotates after 60d".
func Check(w io.Writer, declared []Declared) {
	rows := make([][]string, len(declared))
	var widths [5]int
	for i, d := range declared {
		rows[i] = []string{
			d.Name, orDash(strings.Join(d.Vaults, ", ")), d.Policy, d.characters(), d.Bits + " bits",
		}
		for column, text := range rows[i] {
			widths[column] = widen(widths[column], text)
		}
	}
	for i, d := range declared {
		text := ""
		for column, cell := range rows[i] {
			text += pad(cell, widths[column])
		}
		_, _ = fmt.Fprintln(w, escape.Line(text+d.lives()))
	}
}

// characters is how long a password is, for the log.
func (d Declared) characters() string {
	if d.Length == "1" {
		return "1 character"
	}
	return d.Length + " characters"
}

// lives is how long a version lives, and where its password is set too, for the log.
func (d Declared) lives() string {
	text := "expires " + d.Expires
	if d.Expires == "never" {
		text = "never expires"
	}
	if d.Rotates == "" {
		text += "  no rotation"
	} else {
		text += "  rotates " + d.Rotates
	}
	if d.Target != "" {
		text += "  applied to " + d.Target
	}
	return text
}

// places are the vaults, and the target.
func (d Declared) places() string {
	text := orDash(strings.Join(d.Vaults, ", "))
	if d.Target != "" {
		text += "; applied to " + d.Target
	}
	return text
}

// CheckSummary returns the summary of a check, in GitHub's Markdown: a row a secret, and what is declared and probably
// not meant. Like [Summary] it has less than 1 MiB.
func CheckSummary(declared []Declared, warnings declaration.Problems) string {
	text := fmt.Sprintf("## Passwords in Key Vault: the declaration is sound\n\n%s; nothing was contacted.\n\n",
		Counted(len(declared), "secret")) + declaredTable(warnings)
	t := newTable("Secrets", maxSummary-len(text), "secret", "vaults", "policy", "length", "bits", "expires", "rotates")
	for _, d := range declared {
		t.add(func() []string {
			return []string{
				escape.Cell(d.Name) + " (" + escape.Cell(place(d.Place)) + ")",
				escape.Cell(d.places()), escape.Cell(d.Policy), escape.Cell(d.Length),
				escape.Cell(d.Bits), escape.Cell(d.Expires), escape.Cell(orDash(d.Rotates)),
			}
		})
	}
	return text + t.end()
}
