// Package declaration reads what the user declared: which secrets, made to which policy, kept in which vaults, for how
// long. [Parse] turns YAML into checked structs. It finds every mistake of a text in one run, each with its place, its
// cause and what was expected. What it returns needs no further check: every name, policy, duration and reference is
// valid, and every policy is compiled.
//
// It refuses what it does not understand: an unknown key, a key that is there twice, a number instead of text, a policy
// that no password satisfies, and durations that contradict each other. It knows neither the network nor any value: its
// messages quote only the text of the declaration.
//
// Package grammar, below this one, knows what a declaration may say: it reads the texts with their places, and makes
// the JSON Schema for editors ([Schema], in schema.json) and the reference ([Reference]). This package knows what they
// mean together: it resolves names, compiles policies, and checks what depends on something else.
package declaration

import (
	"fmt"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/password"
)

// A Declaration is what the user declared. Every name, policy, duration and reference in it is valid.
type Declaration struct {
	Secrets []Secret    // in the order of the file
	Cloud   azure.Cloud // of all vaults: the input's, or the one that a vault URL names, or the public cloud
	Audit   Audit       // what mode audit judges by
	Places  Places      // of what no secret stands for

	// Warnings are what is valid and probably not meant, in the order of the file: see warn.go.
	Warnings []Problem
}

// A Secret is one declared secret.
type Secret struct {
	Name        string              // as declared; Key Vault ignores letter case
	Place       Place               // of its name in the declaration
	Vaults      []Vault             // one or more, no vault twice; none only with Source.NoVaultNeeded
	Parts       []Part              // the generated parts, one or more, in the order of the file
	Value       *composite.Template // makes the value of the parts. Nil: the only part is the value
	Login       string              // the account that the value is for; "" if none, or two. Value may refer to it
	Logins      []string            // two accounts: the value is for one of them, which changes. Nil: not two
	Apply       *Apply              // where the password is set too. Nil: nowhere
	ContentType string              // "" if none
	Tags        map[string]string   // the user's own

	lifecycle.Terms // how long each version lives, and what becomes of it
}

// Bits returns the entropy of each generated part, in the order of the declaration: "209.54 + 13.28". What is a lower
// bound begins with ">= ".
func (s *Secret) Bits() string {
	var parts []string
	for _, part := range s.Parts {
		if part.Space == nil {
			continue
		}
		bits := fmt.Sprintf("%.2f", part.Space.Bits())
		if !part.Space.Exact() {
			bits = ">= " + bits
		}
		parts = append(parts, bits)
	}
	return strings.Join(parts, " + ")
}

// A Vault is where a secret is stored.
type Vault struct {
	Name     string // the vault's real name in lower case: kv-app-prod
	Alias    string // its name under `vaults`; "" for the default vault
	TenantID string // "": the run's
	ClientID string // "": the run's
	Place    Place  // of the reference to it in the declaration; zero if an input names it
}

// A Part is a generated part of a value.
type Part struct {
	Name   string          // "password" if the secret does not name its parts
	Policy string          // the policy's name, or "inline"
	Space  *password.Space // the policy with the secret's login, compiled

	rules password.Policy // the same before it was compiled
}

// A Place is a position in the declaration, whose file is named as the user did, or "secrets" for the inline input. The
// zero Place is nowhere.
type Place = strict.Place

// A Problem is one mistake in the declaration. Its cause names the offending text; its remedy says what was expected.
type Problem = strict.Problem

// Problems is every mistake found in one reading, in the order of the file. It never quotes a value.
type Problems = strict.Problems

// MaxBytes is the length of the longest text that Parse accepts.
const MaxBytes = strict.MaxBytes

// A Source is the text of a declaration, and the inputs that apply to it.
type Source struct {
	File   string // for places: the path as the user gave it
	Text   []byte
	Inline bool // Text is the `secrets` input: only the mapping under `secrets:`, and File is "secrets"

	// The `vault` input, which overrides the declaration's own `vault`. Nil: not given, or refused. Its cloud, if it
	// has one, must be Cloud, if that is given.
	Vault         *azure.Vault
	VaultRefused  bool // the input was given and refused: that no vault is known is then not reported
	NoVaultNeeded bool // nothing is contacted: a secret for which no vault is known has none

	Cloud *azure.Cloud // the `cloud` input, which every vault URL must agree with; nil: not given
}

// Schema returns the JSON Schema of a declaration, for editors. The file schema.json beside this one holds it. It is of
// draft 7, which editors support best.
//
// It refuses most of what Parse refuses. It cannot find references to what is not declared, policies that nothing
// satisfies, and durations that contradict each other.
func Schema() ([]byte, error) { return grammar.Schema() }

// A Mapping is one kind of mapping in a declaration, with its keys.
type Mapping = grammar.Mapping

// Grammar returns every kind of mapping in a declaration.
func Grammar() []Mapping { return grammar.Mappings() }

// Reference returns the grammar as Markdown: a table for each mapping, then the filters, classes and presets.
func Reference() string { return grammar.Reference() }
