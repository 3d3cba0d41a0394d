package grammar

import (
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/password"
)

// A table for each kind of mapping. A row has a key, what the reference and the JSON Schema say of it, and how it is
// read, so that none of the three knows a key that another does not.

// Bounds on texts, in characters. The documentation of a key that has a bound of its own names it.
const (
	maxText    = 256  // unless another bound applies
	maxPattern = 4096 // of a pattern, or of rules
	maxType    = 255  // of a content type: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
	maxTag     = 256  // of a tag's name, and of its value: the lowest number that Microsoft's texts give
)

var topFields = []field[Declaration]{
	{
		name: "vault", takes: "text", schema: "vault-address",
		fits: never,
		doc: "The default vault, for secrets without `vaults`: its name, its URL, or its resource ID. " +
			"The input `vault` overrides it.",
		read: func(r *reader, n *strict.Node, d *Declaration) { d.vault = n },
	},
	{
		name: "vaults", takes: "mapping of names to vaults", schema: "vaults",
		fits: never,
		doc:  "Names for further vaults. The key `vaults` of a secret refers to them.",
		read: func(r *reader, n *strict.Node, d *Declaration) { d.vaults = n },
	},
	{
		name: "policies", takes: "mapping of names to policies", schema: "policies",
		doc:  "Your own policies. They cannot have the name of a preset.",
		read: func(r *reader, n *strict.Node, d *Declaration) { d.Policies = r.readPolicies(n) },
	},
	{
		name: "secrets", takes: "mapping of names to secrets", schema: "secrets",
		doc:  "The secrets: for each name a secret, the name of a policy, or nothing for the policy `default`.",
		read: func(r *reader, n *strict.Node, d *Declaration) { d.Secrets = r.readSecrets(n, "secrets") },
	},
	{
		name: "audit", takes: "mapping", schema: "audit",
		doc:  "What mode `audit` judges by, beside what is declared of each secret.",
		read: func(r *reader, n *strict.Node, d *Declaration) { d.Audit.read(r, n) },
	},
}

var vaultFields = []field[Vault]{
	{
		name: "name", takes: "text", schema: "vault-address",
		doc:  "The vault: its name, its URL, or its resource ID.",
		read: func(r *reader, n *strict.Node, v *Vault) { v.Vault = r.locateVault(n, "name").Value },
	},
	{
		name: "tenant-id", takes: "text", schema: "guid",
		doc:  "The Entra tenant of the identity for this vault, a GUID. Default: the run's.",
		read: func(r *reader, n *strict.Node, v *Vault) { v.TenantID = r.readGUID(n, "tenant-id") },
	},
	{
		name: "client-id", takes: "text", schema: "guid",
		doc:  "The app registration or user-assigned identity for this vault, a GUID. Default: the run's.",
		read: func(r *reader, n *strict.Node, v *Vault) { v.ClientID = r.readGUID(n, "client-id") },
	},
}

var secretFields = []field[Secret]{
	{
		name: "policy", takes: "policy, or its name", schema: "policy-use", notWith: []string{"generate"},
		fits: isPolicy,
		doc:  "The policy of the password: a preset, the name of one of `policies`, or rules. Default: `default`.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.Policy = r.readPolicyUse(n, "policy") },
	},
	{
		name: "login", takes: "text, or list of two", schema: "logins",
		fits: never,
		doc: "The account that the password is for. No generated part contains it, or three consecutive letters and " +
			"digits of it, case ignored. With `apply`, a list of two: the one that is not in use gets the new " +
			"password.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readLogin(r, n) },
	},
	{
		name: "generate", takes: "mapping of names to policies", schema: "generate",
		fits: never,
		doc:  "The generated parts, if `value` has several. It replaces `policy`, which makes the one part `password`.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readGenerate(r, n) },
	},
	{
		name: "value", takes: "text", schema: "template",
		fits: isTemplate,
		doc: "The value as a text that refers to its parts: `${PART}` and `${login}`, with filters if needed: " +
			"`${password|url}`. `$$` is a dollar. Default: the one part. A part that can break the URL, JSON, XML, " +
			"connection string or shell word around it is warned of.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readValue(r, n) },
	},
	{
		name: "content-type", takes: "text", schema: "content-type",
		fits: never,
		doc:  "Key Vault's content type, at most 255 characters.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.ContentType, _ = r.Line(n, "content-type", maxType) },
	},
	{
		name: "tags", takes: "mapping of text to text", schema: "tags",
		fits: never,
		doc: "At most 9 tags, with names and values of at most 256 characters. The action's own tags are refused: " +
			"`generated-by`, `policy`, `operation`, `run`, `login`, `applied`.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readTags(r, n) },
	},
	{
		name: "expires", takes: "duration", schema: "duration",
		doc: "How long after its creation a new version expires. Default: never. Mode `rotate` renews it only by " +
			"`rotate` of the secret.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.Expires = r.locateDuration(n, "expires") },
	},
	{
		name: "not-before", takes: "duration", schema: "duration",
		doc:  "How long after its creation a new version becomes valid. Default: at once.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.NotBefore = r.locateDuration(n, "not-before") },
	},
	{
		name: "rotate", takes: "mapping", schema: "rotate",
		doc:  "When mode `rotate` makes a new version.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readRotate(r, n) },
	},
	{
		name: "superseded", takes: "mapping", schema: "superseded",
		doc: "What happens to older versions that this action made, in the modes `rotate` and `force`. " +
			"Default: nothing.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readSuperseded(r, n) },
	},
	{
		name: "vaults", takes: "list of names", schema: "vault-names",
		doc: "The vaults that store the secret, by their names under `vaults`: the same value in each. " +
			"Default: the default vault.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readVaults(r, n) },
	},
	{
		name: "apply", takes: "mapping", schema: "apply",
		doc: "Where the password is set too, in the run that stores it. It is the only generated part, or the one " +
			"named `password`. Requires `login`.",
		read: func(r *reader, n *strict.Node, s *Secret) { s.readApply(r, n) },
	},
}

var applyFields = []field[Apply]{
	{
		name: "postgresql", takes: "text", schema: "database-host", notWith: []string{"azure"},
		doc: "The host of an Azure Database for PostgreSQL flexible server. It gets a SCRAM verifier of the " +
			"password, and never the password. With one login, a run that is killed between the vault's new version " +
			"and the end of the change leaves the vault ahead; the next `rotate` sets a new password in both.",
		read: func(r *reader, n *strict.Node, a *Apply) {
			a.PostgreSQL = locateAs(r, n, "postgresql", maxText, parseHost)
		},
	},
	{
		name: "database", takes: "text", schema: "role", notWith: []string{"azure"},
		fits: never,
		doc:  "The database to connect to. Default: the one named postgres.",
		read: func(r *reader, n *strict.Node, a *Apply) { a.Database = r.locateRole(n, "database") },
	},
	{
		name: "as", takes: "text", schema: "role", notWith: []string{"azure"},
		fits: never,
		doc:  "The role that the action's identity has in that server. Requires `postgresql`, which requires it.",
		read: func(r *reader, n *strict.Node, a *Apply) { a.As = r.locateRole(n, "as") },
	},
	{
		name: "azure", takes: "text", schema: "server-id",
		doc: "The resource ID of an Azure SQL server, or of a PostgreSQL or MySQL flexible server. The password of " +
			"its administrator is set once the vault has it, and the version then gets the tag `applied`, which " +
			"needs `secrets/update/action`. A run that is killed in between leaves the vault ahead; the next " +
			"`rotate` sets a new password in both.",
		read: func(r *reader, n *strict.Node, a *Apply) {
			a.Azure = locateAs(r, n, "azure", maxPattern, azure.ParseServer)
		},
	},
	{
		name: "current-login", takes: "text", schema: "role", notWith: []string{"azure"},
		fits: never,
		doc: "Which of two logins readers use, where no tag of a version says so: in a secret that was made before " +
			"`apply` was declared, or where there is none yet. The other one gets the password.",
		read: func(r *reader, n *strict.Node, a *Apply) { a.CurrentLogin = r.locateRole(n, "current-login") },
	},
	{
		name: "tenant-id", takes: "text", schema: "guid",
		doc:  "The Entra tenant of the identity for this target, a GUID. Default: the run's.",
		read: func(r *reader, n *strict.Node, a *Apply) { a.TenantID = r.readGUID(n, "tenant-id") },
	},
	{
		name: "client-id", takes: "text", schema: "guid",
		doc:  "The app registration or user-assigned identity for this target, a GUID. Default: the run's.",
		read: func(r *reader, n *strict.Node, a *Apply) { a.ClientID = r.readGUID(n, "client-id") },
	},
}

var rotateFields = []field[Rotate]{
	{
		name: "after", takes: "duration", schema: "duration",
		doc:  "A new version is due when the current one is this old.",
		read: func(r *reader, n *strict.Node, s *Rotate) { s.After = r.locateDuration(n, "after") },
	},
	{
		name: "before-expiry", takes: "duration", schema: "duration",
		doc:  "A new version is due this long before the current one expires. Requires `expires`.",
		read: func(r *reader, n *strict.Node, s *Rotate) { s.BeforeExpiry = r.locateDuration(n, "before-expiry") },
	},
	{
		name: "on-policy-change", takes: "true or false", schema: "boolean",
		doc: "A new version is due when the current one was made to another policy than the declared one. " +
			"Default: false.",
		read: func(r *reader, n *strict.Node, s *Rotate) { s.OnPolicyChange = r.Boolean(n, "on-policy-change") },
	},
}

var supersededFields = []field[Superseded]{
	{
		name: "disable-after", takes: "duration", schema: "duration-or-none",
		doc: "Older versions are disabled when the current one is this old; `0h` means at once. Below `24h` there is " +
			"a warning: App Service and Functions keep a value for up to a day.",
		read: func(r *reader, n *strict.Node, s *Superseded) { s.DisableAfter = r.locateGrace(n, "disable-after") },
	},
}

// The rules that a passphrase replaces, and the rules that either a passphrase or passwordrules replace.
var (
	notWithPhrase        = []string{"passphrase"}
	notWithPhraseOrRules = []string{"passphrase", "rules"}
)

var policyFields = []field[password.Policy]{
	{
		name: "length", takes: "number, or {min, max}", schema: "length", notWith: notWithPhraseOrRules,
		doc:  "The number of characters, at most 512. Default: 32, as in `default`.",
		read: readLength,
	},
	{
		name: "characters", takes: "list of character sets", schema: "character-sets", notWith: notWithPhraseOrRules,
		doc: "The character sets, which may overlap. The alphabet is their union. Default: those of `default`, " +
			"with its `first` if `first` is absent too.",
		read: readCharacters,
	},
	{
		name: "sets", takes: "number", schema: "count", notWith: notWithPhraseOrRules,
		doc:  "At least this many of the sets of `characters` appear: for example 3 of 4.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.Sets = r.readCount(n, "sets") },
	},
	{
		name: "exclude", takes: "text", schema: "text", notWith: notWithPhraseOrRules,
		fits: never,
		doc:  "These characters do not appear.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.Exclude, _ = r.Line(n, "exclude", maxText) },
	},
	{
		name: "exclude-ambiguous", takes: "true or false", schema: "boolean", notWith: notWithPhraseOrRules,
		doc: "Characters that are easily confused do not appear: `0 O o 1 l I |`.",
		read: func(r *reader, n *strict.Node, p *password.Policy) {
			p.ExcludeAmbiguous = r.Boolean(n, "exclude-ambiguous")
		},
	},
	{
		name: "first", takes: "class, or list of classes", schema: "classes", notWith: notWithPhraseOrRules,
		doc:  "The first character is in this class, or in one of these.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.First = r.readClasses(n, "first") },
	},
	{
		name: "last", takes: "class, or list of classes", schema: "classes", notWith: notWithPhraseOrRules,
		doc:  "The last character is in this class, or in one of these.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.Last = r.readClasses(n, "last") },
	},
	{
		name: "max-run", takes: "number", schema: "count", notWith: notWithPhraseOrRules,
		doc:  "No character appears more often in a row. With 2, `aa` may appear and `aaa` may not. Case matters.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.MaxRun = r.readCount(n, "max-run") },
	},
	{
		name: "max-sequence", takes: "number", schema: "count", notWith: notWithPhrase,
		doc: "No sequence of letters (case ignored) or of digits is longer, up or down. " +
			"With 3, `abc` and `321` may appear and `abcd` may not.",
		read: func(r *reader, n *strict.Node, p *password.Policy) {
			p.MaxSequence = r.readCount(n, "max-sequence")
		},
	},
	{
		name: "distinct", takes: "true or false", schema: "boolean", notWith: notWithPhrase,
		doc:  "No character appears twice.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.Distinct = r.Boolean(n, "distinct") },
	},
	{
		name: "forbid", takes: "list of text", schema: "texts",
		doc:  "None of these texts appears, case ignored.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.Forbid = r.readTexts(n, "forbid") },
	},
	{
		name: "forbid-patterns", takes: "list of text", schema: "texts",
		doc: "None of these patterns (RE2) matches anywhere. `^` and `$` restrict a pattern to the start and the end.",
		read: func(r *reader, n *strict.Node, p *password.Policy) {
			p.ForbidPatterns = r.readTexts(n, "forbid-patterns")
		},
	},
	{
		name: "dictionary", takes: "text", schema: "dictionary",
		fits: isDictionary,
		doc: "No word of four or more letters from this list appears, case ignored. `english` is the only list. " +
			"If not every word can be counted, the entropy is a lower bound and is shown with `>=`.",
		read: readDictionary,
	},
	{
		name: "min-entropy", takes: "number", schema: "bits",
		doc: "In bits. A policy with less entropy is refused. Default: 64, or the preset's own.",
		read: func(r *reader, n *strict.Node, p *password.Policy) {
			p.MinEntropy, _ = r.Decimal(n, "min-entropy", "expected a number of bits above 0, such as 100")
		},
	},
	{
		name: "passphrase", takes: "mapping", schema: "passphrase",
		doc:  "Words instead of characters. Of the other rules, only `forbid` and `min-entropy` go with it.",
		read: readPassphrase,
	},
	{
		name: "rules", takes: "text", schema: "long-text", notWith: notWithPhrase,
		fits: isPasswordRules,
		doc: "A `passwordrules` text, as Apple and browsers define it. " +
			"It replaces the rules from `length` to `max-run`.",
		read: func(r *reader, n *strict.Node, p *password.Policy) { p.Rules = r.readRules(n) },
	},
}

var lengthFields = []field[password.Length]{
	{
		name: "min", takes: "number", schema: "count",
		doc:  "The least number of characters.",
		read: func(r *reader, n *strict.Node, l *password.Length) { l.Min = r.readCount(n, "length.min") },
	},
	{
		name: "max", takes: "number", schema: "count",
		doc:  "The greatest number of characters.",
		read: func(r *reader, n *strict.Node, l *password.Length) { l.Max = r.readCount(n, "length.max") },
	},
}

var charsetFields = []field[password.Charset]{
	{
		name: "from", takes: "class", schema: "class",
		doc:  "A named class. Each set has either `from` or `chars`.",
		read: func(r *reader, n *strict.Node, s *password.Charset) { s.From, _ = r.readClass(n, "from") },
	},
	{
		name: "chars", takes: "text", schema: "text",
		fits: isNoName,
		doc:  "The characters themselves.",
		read: func(r *reader, n *strict.Node, s *password.Charset) { s.Chars, _ = r.Line(n, "chars", maxText) },
	},
	{
		name: "min", takes: "number", schema: "number",
		doc:  "At least this many characters are in this set. Default: 0.",
		read: func(r *reader, n *strict.Node, s *password.Charset) { s.Min, _ = r.Integer(n, "min", 0) },
	},
	{
		name: "max", takes: "number", schema: "number",
		doc: "At most this many. Default: no limit.",
		read: func(r *reader, n *strict.Node, s *password.Charset) {
			if most, ok := r.Integer(n, "max", 0); ok {
				s.Max = &most
			}
		},
	},
}

var passphraseFields = []field[password.Passphrase]{
	{
		name: "words", takes: "number", schema: "count",
		doc:  "The number of words, at most 64, from the EFF's list of 7,776: 12.9 bits each.",
		read: func(r *reader, n *strict.Node, p *password.Passphrase) { p.Words = r.readCount(n, "words") },
	},
	{
		name: "separator", takes: "text", schema: "printable",
		fits: never,
		doc:  "The text between words; `\"\"` for none. Default: a hyphen.",
		read: func(r *reader, n *strict.Node, p *password.Passphrase) { readSeparator(r, n, p) },
	},
	{
		name: "capitalize", takes: "true or false", schema: "boolean",
		doc:  "Each word begins with an upper-case letter. Default: false.",
		read: func(r *reader, n *strict.Node, p *password.Passphrase) { p.Capitalize = r.Boolean(n, "capitalize") },
	},
	{
		name: "digit", takes: "true or false", schema: "boolean",
		doc:  "One digit is appended to one of the words. Default: false.",
		read: func(r *reader, n *strict.Node, p *password.Passphrase) { p.Digit = r.Boolean(n, "digit") },
	},
}

var auditFields = []field[Audit]{
	{
		name: "expires-within", takes: "duration", schema: "duration",
		doc: "A version that expires within this time has the finding `expires-soon`. Default: `30d`.",
		read: func(r *reader, n *strict.Node, a *Audit) {
			a.ExpiresWithin = r.locateDuration(n, "expires-within").Value
		},
	},
	{
		name: "grace", takes: "duration", schema: "duration-or-none",
		doc: "How long a due rotation may wait before it is `overdue-rotation`: the period of the schedule and a " +
			"day. Default: `8d`.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.Grace = r.locateGrace(n, "grace") },
	},
	{
		name: "max-age", takes: "duration", schema: "duration",
		doc:  "A version that is older is `too-old`. Default: age is not judged.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.MaxAge = r.locateDuration(n, "max-age").Value },
	},
	{
		name: "max-validity", takes: "duration", schema: "duration",
		doc: "A version that is valid for longer, from its creation to its expiry, or for ever, is " +
			"`validity-too-long`. Default: validity is not judged.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.MaxValidity = r.locateDuration(n, "max-validity").Value },
	},
	{
		name: "max-versions", takes: "number", schema: "count",
		doc: "A secret with this many versions has the finding `many-versions`. Default: 400. Key Vault backs up no " +
			"more than 500.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.MaxVersions = r.readCount(n, "max-versions") },
	},
	{
		name: "undeclared", takes: "`off`, `warning` or `error`", schema: "undeclared",
		doc: "The level of the finding `undeclared`: a secret that is in a vault and not declared. " +
			"Default: `warning`.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.readUndeclared(r, n) },
	},
	{
		name: "ignore", takes: "list of mappings", schema: "ignores",
		doc:  "Findings that are left out, each entry with a reason and a last day.",
		read: func(r *reader, n *strict.Node, a *Audit) { a.readIgnores(r, n) },
	},
}

var ignoreFields = []field[Ignore]{
	{
		name: "name", takes: "text", schema: "secret-pattern",
		fits: never,
		doc:  "The secrets: a name, or a glob (`*`, `?`, `[a-z]`), letter case ignored.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.readName(r, n) },
	},
	{
		name: "rules", takes: "list of rules", schema: "rules-ignored",
		doc:  "The rules whose findings are left out, by their IDs. Default: all rules.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.readRules(r, n) },
	},
	{
		name: "reason", takes: "text", schema: "text",
		fits: never,
		doc:  "Why. It is required.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.Reason, _ = r.Line(n, "reason", maxText) },
	},
	{
		name: "until", takes: "date", schema: "date",
		doc:  "The last day on which the entry counts, such as `2027-03-31`, in UTC. It is required.",
		read: func(r *reader, n *strict.Node, i *Ignore) { i.readUntil(r, n) },
	},
}
