package action

import "keyvault-passwords/internal/provision"

// modeAudit judges what the vaults hold, and writes nothing.
const modeAudit provision.Mode = "audit"
