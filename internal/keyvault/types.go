package keyvault

import (
	"time"

	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// A NewVersion is what Set stores. Nothing of it is inherited from earlier versions: Key Vault inherits nothing.
type NewVersion struct {
	Value       sensitive.Value
	ContentType string            // "" if none
	Tags        map[string]string // with the operation's ID under lifecycle.TagOperation, which no other operation may use
	Expires     time.Time         // zero: never
	NotBefore   time.Time         // zero: none
}

// Stored is what Set made.
type Stored struct {
	Version    string   // the version's ID
	Duplicates []string // further versions that the service made of the same operation, with the same value; usually none
}

// Deleted is what Key Vault tells of a soft-deleted secret: of its current version, never the value.
type Deleted struct {
	Tags    map[string]string
	Managed bool // the secret is managed by a Key Vault certificate
}

// An Error is a refusal of the vault. It holds no value, token, body of an answer or URL query.
type Error struct {
	refusal.Refusal
	Secret string // "" where the act is on the vault
	Status int    // the HTTP status; 0 where there was no answer
	Code   string // Key Vault's outer code: "Forbidden"
	Inner  string // its inner code: "ForbiddenByRbac"
	Err    error  // the cause, where it is another error of ours; may be nil
}
