package declaration

// vaultTags is the number of tags that a version may have:
// https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-tags
const vaultTags = 15

// ownTags are the tags that the action sets itself, or reserves.
var ownTags = [...]string{"generated-by", "policy", "operation", "run", "login", "applied"}

// maxTags is the number of tags that are left to the user.
const maxTags = vaultTags - len(ownTags)
