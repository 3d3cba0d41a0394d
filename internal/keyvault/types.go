package keyvault

import (
	"time"

	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// A NewVersion is what Set stores. It inherits nothing from earlier versions.
type NewVersion struct {
	Value       sensitive.Value
	ContentType string            // "": none
	Tags        map[string]string // one of them is lifecycle.TagOperation, with an ID that no other operation has
	Expires     time.Time         // zero: never
	NotBefore   time.Time         // zero: none
}

// Stored is what Set made.
type Stored struct {
	Version    string   // the version's ID
	Duplicates []string // the IDs of further versions that the service made of the same operation; usually none
}

// Deleted is what Key Vault shows of a soft-deleted secret, without its value.
type Deleted struct {
	Name    string            // as it is spelt in the vault
	Tags    map[string]string // of its current version
	Managed bool              // the secret is managed by a Key Vault certificate
	Deleted time.Time         // zero: not told
	Purge   time.Time         // when it is purged. Zero: not told
}

// Listed is a secret as the vault's list of secrets shows it: its current version, without that version's ID.
type Listed struct {
	Name    string // as it is spelt in the vault
	Version lifecycle.Version
}

// An Error is a refusal of the vault. It holds no value, no token, no body of an answer, and no query of a URL.
type Error struct {
	refusal.Refusal
	Secret string // "": the act is on the vault
	Status int    // the HTTP status; 0 if there was no answer
	Code   string // Key Vault's outer code: "Forbidden"
	Inner  string // its inner code: "ForbiddenByRbac"
	Err    error  // the cause, if it is another error of ours; may be nil

	ofAllSecrets bool // what refused the act does not look at which secret it is about
}
