// Package declaration reads what the user declared: which secrets, made to which policy, kept in which vaults, for how
// long. [Parse] turns YAML into checked structs, and finds every mistake of a text in one run, each with its place, what is
// wrong and what was expected. What it returns needs no further check: every name, policy, duration and reference in it is
// sound, and every policy is compiled.
//
// It refuses what it does not understand: an unknown key is a mistake, and so is a key that stands twice, a number where
// text belongs, a policy that nothing satisfies, and durations that contradict each other. It knows neither the network
// nor any value: what a message quotes is the declaration's own text.
//
// The grammar is a table for each kind of mapping, in grammar.go. The reader, the JSON Schema for editors ([Schema], kept
// in schema.json) and the reference ([Reference]) are made from these tables, so none can say what another does not.
package declaration

import (
	"fmt"
	"strings"
	"time"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/password"
)

// A Declaration is what the user declared, checked: every name, policy, duration and reference in it is sound.
type Declaration struct {
	Secrets []Secret    // in the order of the file
	Cloud   azure.Cloud // of all its vaults: the input's, else the one a vault URL names, else the public cloud
}

// A Secret is one declared secret.
type Secret struct {
	Name        string              // as declared; Key Vault ignores letter case
	Place       Place               // of its name in the declaration
	Vaults      []Vault             // where it is stored: one or more, no vault twice
	Parts       []Part              // what is generated for it, one or more, in the order of the file
	Value       *composite.Template // how the parts make the value. Nil: the only part is the value
	Login       string              // the account the value is for; "" if none. Value may name it
	Policy      string              // what the version's policy tag says: NAME@FINGERPRINT, inline@..., composite@...
	ContentType string              // "" if none
	Tags        map[string]string   // the user's own
	Expires     time.Duration       // of each new version, from its making. 0: never
	NotBefore   time.Duration       // likewise. 0: none
	Rotate      Rotate
	Superseded  *Superseded // nil: older versions stay as they are
}

// A Vault is where a secret is stored.
type Vault struct {
	Name     string // the vault's real name in lower case: kv-app-prod
	Alias    string // its name in `vaults`; "" where it is the default vault
	TenantID string // "" where the run's applies
	ClientID string // likewise
	Place    Place  // where the declaration names it; zero where an input does
}

// A Part is one generated piece of a value.
type Part struct {
	Name   string          // "password" where the secret is no composite of several
	Policy string          // the policy's name, or "inline"
	Rules  password.Policy // the policy itself, with the secret's login
	Space  *password.Space // Rules, compiled
}

// Rotate says when a secret is due, in mode rotate. The zero value: never by itself.
type Rotate struct {
	After          time.Duration // since the current version was made. 0: age does not matter
	BeforeExpiry   time.Duration // until the current version expires. 0: expiry does not matter
	OnPolicyChange bool          // when the declared policy is not the one that the current version was made to
}

// Superseded says what becomes of older versions that this action made.
type Superseded struct {
	DisableAfter time.Duration // they are disabled once the current version is so old. 0: at once
}

// A Place is where something stands in the declaration. The zero Place is nowhere.
type Place struct {
	File      string // as the user named it, or "secrets" for the inline input
	Line, Col int    // from 1, columns in characters. 0: the file as a whole
}

// String returns FILE:LINE:COL, as compilers print it and editors open it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// A Problem is one mistake in the declaration.
type Problem struct {
	Place Place
	Text  string // what is wrong, naming the offending text
	Want  string // what was expected, with the alternatives; "" if Text says it
}

// Error returns "PLACE: TEXT; WANT".
func (p Problem) Error() string {
	text := p.Text
	if p.Want != "" {
		text += "; " + p.Want
	}
	if p.Place == (Place{}) {
		return text
	}
	return p.Place.String() + ": " + text
}

// Problems is every mistake found in one reading, in the order of the file. It never quotes a value.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// A Source is the text of a declaration and what its context says of it.
type Source struct {
	File   string // for places: the path as the user gave it
	Text   []byte
	Inline bool   // Text is the `secrets` input: the mapping under `secrets:` alone, and File is "secrets"
	Vault  string // the `vault` input, name or URL, already checked: it stands over the declaration's own `vault`
	Cloud  string // the `cloud` input, already checked; "" where not given. A vault URL of another cloud is a problem
}
