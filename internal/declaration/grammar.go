package declaration

import (
	"go.yaml.in/yaml/v4"
)

// The grammar: one table for each kind of mapping. A row holds a key, what the reference and the JSON Schema say of it,
// and how it is read, so that neither can tell of a key that is not read, or leave one out.

// Bounds on texts, in characters.
const (
	maxText    = 256  // where nothing else is said
	maxPattern = 4096 // of a pattern, or of rules
	maxType    = 255  // of a content type: https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
	maxTag     = 256  // of a tag's name, and of its value: the least that Microsoft's texts give
	maxTags    = 11   // Key Vault takes 15, and four are this action's
)

var topFields = []field[spec]{
	{"vault", "text", `{"$ref": "#/definitions/vault-address"}`,
		"The vault of every secret that names no other: its name, or its `https://` URL. The `vault` input stands over it.",
		func(r *reader, n *yaml.Node, s *spec) { s.vault = n }},
	{"vaults", "mapping of names to vaults", `{"type": "object", "propertyNames": {"$ref": "#/definitions/name"}, "additionalProperties": {"$ref": "#/definitions/vault"}}`,
		"Names for further vaults, for the `vaults` key of secrets.",
		func(r *reader, n *yaml.Node, s *spec) { s.vaults = n }},
	{"policies", "mapping of names to policies", `{"type": "object", "propertyNames": {"$ref": "#/definitions/policy-name"}, "additionalProperties": {"$ref": "#/definitions/policy"}}`,
		"Policies of your own. A preset's name cannot be taken.",
		func(r *reader, n *yaml.Node, s *spec) { s.policies = r.readPolicies(n) }},
	{"secrets", "mapping of names to secrets", `{"$ref": "#/definitions/secrets"}`,
		"The secrets: each name with a secret, or with a policy's name, or with nothing for the `default` policy.",
		func(r *reader, n *yaml.Node, s *spec) { s.secrets = r.readSecrets(n, "secrets") }},
}

var vaultFields = []field[aliasSpec]{
	{"name", "text", `{"$ref": "#/definitions/vault-address"}`,
		"The vault: its name, or its `https://` URL.",
		func(r *reader, n *yaml.Node, a *aliasSpec) { a.vault, _ = r.readVault(n, "name") }},
	{"tenant-id", "text", `{"$ref": "#/definitions/guid"}`,
		"The Entra tenant of this vault's identity, a GUID. Absent: the run's.",
		func(r *reader, n *yaml.Node, a *aliasSpec) {
			a.tenant = r.readGUID(n, "tenant-id")
		}},
	{"client-id", "text", `{"$ref": "#/definitions/guid"}`,
		"The app registration or user-assigned identity for this vault, a GUID. Absent: the run's.",
		func(r *reader, n *yaml.Node, a *aliasSpec) {
			a.client = r.readGUID(n, "client-id")
		}},
}

var secretFields = []field[secretSpec]{
	{"policy", "policy, or its name", `{"$ref": "#/definitions/policy-use"}`,
		"How the password is made: a preset, one of `policies`, or a policy. Absent: `default`.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.policy = r.readPolicyUse(n, "policy") }},
	{"login", "text", `{"$ref": "#/definitions/text"}`,
		"The account that the password is for. No generated part holds it, or three letters and digits in a row of it, case ignored.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.login = r.locateText(n, "login", maxText) }},
	{"generate", "mapping of names to policies", `{"type": "object", "minProperties": 1, "propertyNames": {"$ref": "#/definitions/part-name"}, "additionalProperties": {"$ref": "#/definitions/policy-use"}}`,
		"The generated parts of a `value` that has several. It stands in place of `policy`, which makes the one part `password`.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.readGenerate(r, n) }},
	{"value", "text", `{"$ref": "#/definitions/template"}`,
		"The value as a text with `${PART}` and `${login}` in it, each with filters where wanted: `${password|url}`. `$$` is a dollar. Absent: the one part.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.readValue(r, n) }},
	{"content-type", "text", `{"allOf": [{"$ref": "#/definitions/text"}], "maxLength": 255}`,
		"Key Vault's content type, at most 255 characters.",
		func(r *reader, n *yaml.Node, s *secretSpec) {
			s.contentType, _ = r.readText(n, "content-type", maxType)
		}},
	{"tags", "mapping of text to text", `{"$ref": "#/definitions/tags"}`,
		"Up to 11 tags, names and values of up to 256 characters. `generated-by`, `policy`, `operation` and `run` are the action's own.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.readTags(r, n) }},
	{"expires", "duration", `{"$ref": "#/definitions/duration"}`,
		"When each new version expires, from its making. Absent: never.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.expires = r.locateDuration(n, "expires") }},
	{"not-before", "duration", `{"$ref": "#/definitions/duration"}`,
		"From when on each new version is to be used, from its making. Absent: at once.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.notBefore = r.locateDuration(n, "not-before") }},
	{"rotate", "mapping", `{"$ref": "#/definitions/rotate"}`,
		"When the mode `rotate` makes a new version.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.readRotate(r, n) }},
	{"superseded", "mapping", `{"$ref": "#/definitions/superseded"}`,
		"What becomes of older versions that this action made, in the modes `rotate` and `force`. Absent: they stay as they are.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.readSuperseded(r, n) }},
	{"vaults", "list of names", `{"type": "array", "minItems": 1, "uniqueItems": true, "items": {"$ref": "#/definitions/name"}}`,
		"The vaults, of those under `vaults`, that hold the secret: the same value in each. Absent: the default vault.",
		func(r *reader, n *yaml.Node, s *secretSpec) { s.readVaults(r, n) }},
}

var rotateFields = []field[rotateSpec]{
	{"after", "duration", `{"$ref": "#/definitions/duration"}`,
		"When the current version is so old.",
		func(r *reader, n *yaml.Node, s *rotateSpec) { s.after = r.locateDuration(n, "after") }},
	{"before-expiry", "duration", `{"$ref": "#/definitions/duration"}`,
		"When the current version expires within this time. It needs `expires`.",
		func(r *reader, n *yaml.Node, s *rotateSpec) { s.beforeExpiry = r.locateDuration(n, "before-expiry") }},
	{"on-policy-change", "true or false", `{"type": "boolean"}`,
		"When the current version was made to another policy than the declared one. Absent: false.",
		func(r *reader, n *yaml.Node, s *rotateSpec) { s.onPolicyChange = r.readBool(n, "on-policy-change") }},
}

var supersededFields = []field[supersededSpec]{
	{"disable-after", "duration", `{"$ref": "#/definitions/duration-or-none"}`,
		"They are disabled once the current version is so old; `0h` for at once.",
		func(r *reader, n *yaml.Node, s *supersededSpec) { s.disableAfter = r.locateGrace(n, "disable-after") }},
}

var policyFields = []field[policyDraft]{
	rule("length", "number, or {min, max}", `{"$ref": "#/definitions/length"}`,
		"How many characters, at most 512. Absent: 32, as in `default`.",
		readLength),
	rule("characters", "list of character sets", `{"type": "array", "minItems": 1, "items": {"$ref": "#/definitions/characters"}}`,
		"The sets whose union is the alphabet; they may overlap. Absent: those of `default`, with its `first` where `first` is absent too.",
		readCharacters),
	rule("sets", "number", `{"type": "integer", "minimum": 1}`,
		"At least so many of the sets of `characters` appear: 3 of 4, say.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Sets, _ = r.readCount(n, "sets") }),
	rule("exclude", "text", `{"$ref": "#/definitions/text"}`,
		"These characters do not appear.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Exclude, _ = r.readText(n, "exclude", maxText) }),
	rule("exclude-ambiguous", "true or false", `{"type": "boolean"}`,
		"Neither do those that are easily taken for one another: `0 O o 1 l I |`.",
		func(r *reader, n *yaml.Node, d *policyDraft) {
			d.policy.ExcludeAmbiguous = r.readBool(n, "exclude-ambiguous")
		}),
	rule("first", "class, or list of classes", `{"$ref": "#/definitions/classes"}`,
		"The first character is of this class, or of one of these.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.First = r.readClasses(n, "first", d) }),
	rule("last", "class, or list of classes", `{"$ref": "#/definitions/classes"}`,
		"So is the last.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Last = r.readClasses(n, "last", d) }),
	rule("max-run", "number", `{"type": "integer", "minimum": 1}`,
		"No character stands more often in a row. With 2, `aa` may appear and `aaa` may not; letter case matters.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.MaxRun, _ = r.readCount(n, "max-run") }),
	rule("max-sequence", "number", `{"type": "integer", "minimum": 1}`,
		"No longer sequence of letters (case ignored) or of digits, up or down. With 3, `abc` and `321` may appear and `abcd` may not.",
		func(r *reader, n *yaml.Node, d *policyDraft) {
			d.policy.MaxSequence, _ = r.readCount(n, "max-sequence")
		}),
	rule("distinct", "true or false", `{"type": "boolean"}`,
		"No character appears twice.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Distinct = r.readBool(n, "distinct") }),
	rule("forbid", "list of text", `{"$ref": "#/definitions/texts"}`,
		"None of these texts appears, case ignored.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Forbid = r.readTexts(n, "forbid", d) }),
	rule("forbid-patterns", "list of text", `{"$ref": "#/definitions/texts"}`,
		"None of these patterns (RE2) matches anywhere; anchor a pattern to tie it to an end.",
		func(r *reader, n *yaml.Node, d *policyDraft) {
			d.policy.ForbidPatterns = r.readTexts(n, "forbid-patterns", d)
		}),
	rule("dictionary", "text", `{"enum": ["english"]}`,
		"No word of four letters or more of this list appears, case ignored. `english` is the one there is. An entropy shown as `>=` is a lower bound: not every word could be counted.",
		readDictionary),
	rule("min-entropy", "number", `{"type": "number", "exclusiveMinimum": 0}`,
		"In bits: a policy of fewer is refused. Absent: 64, or the preset's own.",
		readBits),
	rule("passphrase", "mapping", `{"$ref": "#/definitions/passphrase"}`,
		"Words in place of characters. It stands alone but for `forbid` and `min-entropy`.",
		readPassphrase),
	rule("rules", "text", `{"$ref": "#/definitions/long-text"}`,
		"A `passwordrules` text as Apple and browsers define it. It stands in place of `length` to `max-run`.",
		func(r *reader, n *yaml.Node, d *policyDraft) {
			d.rules = n
			d.policy.Rules, _ = r.readText(n, "rules", maxPattern)
		}),
}

// rule is a row of policyFields: the place of its value is noted before it is read.
func rule(name, shape, schema, doc string, read func(*reader, *yaml.Node, *policyDraft)) field[policyDraft] {
	return field[policyDraft]{name, shape, schema, doc, func(r *reader, n *yaml.Node, d *policyDraft) {
		d.places[name] = r.place(n)
		read(r, n, d)
	}}
}

var lengthFields = []field[policyDraft]{
	rule("min", "number", `{"type": "integer", "minimum": 1}`, "The least.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Length.Min, _ = r.readCount(n, "length.min") }),
	rule("max", "number", `{"type": "integer", "minimum": 1}`, "The most.",
		func(r *reader, n *yaml.Node, d *policyDraft) { d.policy.Length.Max, _ = r.readCount(n, "length.max") }),
}

var charsetFields = []field[charsetDraft]{
	{"from", "class", `{"$ref": "#/definitions/class"}`,
		"A named class. Each set has one of `from` and `chars`.",
		func(r *reader, n *yaml.Node, s *charsetDraft) {
			s.note(r, n, "from")
			s.charset.From, _ = r.readClass(n, "from")
		}},
	{"chars", "text", `{"$ref": "#/definitions/text"}`,
		"The characters themselves.",
		func(r *reader, n *yaml.Node, s *charsetDraft) {
			s.note(r, n, "chars")
			s.charset.Chars, _ = r.readText(n, "chars", maxText)
		}},
	{"min", "number", `{"type": "integer", "minimum": 0}`,
		"At least so many characters are of this set. Absent: 0.",
		func(r *reader, n *yaml.Node, s *charsetDraft) {
			s.note(r, n, "min")
			s.charset.Min, _ = r.readInt(n, "min", 0)
		}},
	{"max", "number", `{"type": "integer", "minimum": 0}`,
		"At most so many. Absent: any number.",
		func(r *reader, n *yaml.Node, s *charsetDraft) {
			s.note(r, n, "max")
			if most, ok := r.readInt(n, "max", 0); ok {
				s.charset.Max = &most
			}
		}},
}

var passphraseFields = []field[phraseDraft]{
	{"words", "number", `{"type": "integer", "minimum": 1}`,
		"How many words, at most 64, of the EFF's list of 7,776: 12.9 bits each.",
		func(r *reader, n *yaml.Node, p *phraseDraft) {
			p.note(r, n, "words")
			p.Words, _ = r.readCount(n, "words")
		}},
	{"separator", "text", `{"$ref": "#/definitions/printable"}`,
		"What stands between words; `\"\"` for nothing. Absent: a hyphen.",
		func(r *reader, n *yaml.Node, p *phraseDraft) { p.note(r, n, "separator"); p.readSeparator(r, n) }},
	{"capitalize", "true or false", `{"type": "boolean"}`,
		"Each word begins with an upper-case letter. Absent: false.",
		func(r *reader, n *yaml.Node, p *phraseDraft) {
			p.note(r, n, "capitalize")
			p.Capitalize = r.readBool(n, "capitalize")
		}},
	{"digit", "true or false", `{"type": "boolean"}`,
		"One digit ends one of the words. Absent: false.",
		func(r *reader, n *yaml.Node, p *phraseDraft) {
			p.note(r, n, "digit")
			p.Digit = r.readBool(n, "digit")
		}},
}
