package audit

import "slices"

// The IDs of the rules.
const (
	Missing            = "missing"
	Expired            = "expired"
	ExpiresSoon        = "expires-soon"
	NeverExpires       = "never-expires"
	ValidityTooLong    = "validity-too-long"
	TooOld             = "too-old"
	OverdueRotation    = "overdue-rotation"
	PolicyDrift        = "policy-drift"
	Foreign            = "foreign"
	Undeclared         = "undeclared"
	CurrentDisabled    = "current-disabled"
	NotYetActive       = "not-yet-active"
	SupersededEnabled  = "superseded-enabled"
	ManyVersions       = "many-versions"
	Diverged           = "diverged"
	DuplicateOperation = "duplicate-operation"
	SoftDeleted        = "soft-deleted"
	ContentTypeMissing = "content-type-missing"
	Managed            = "managed"
)

// What others call a rule. The Azure Policies are the built-in ones for secrets:
// https://learn.microsoft.com/azure/key-vault/policy-reference
const (
	policyExpiresSoon = "Azure Policy b0eb591a-5e70-4534-a8bf-04b9c489584a"
	policyExpiry      = "Azure Policy 98728c90-32c7-4049-8429-847dc0f4fe37"
	policyValidity    = "Azure Policy 342e8053-e12e-4c44-be01-c3c2f318400f"
	policyAge         = "Azure Policy e8d99835-8a06-45ae-a8e0-87a91941ccfe"
	policyContentType = "Azure Policy 75262d3e-ba4a-4f43-85f8-9f72c090e5e3"
)

// rules is every rule, in the order of the reference. A rule's ID is never changed and never used for another.
var rules = [...]Rule{
	{
		ID: Missing, Level: LevelError, Title: "A declared secret is not in the vault",
		Help: "The declaration has the secret and the vault does not, so whatever reads it fails. Run with mode " +
			"ensure or rotate, which create it; if it was removed on purpose, remove it from the declaration.",
	},
	{
		ID: Expired, Level: LevelError, Title: "The current version has expired",
		Help: "The current version is enabled and its expiry is past. Key Vault still serves it, but a reader that " +
			"checks the date refuses it. Give it a new version, and declare rotate so that the next one is made in " +
			"time.",
	},
	{
		ID: ExpiresSoon, Level: LevelWarning, Title: "The current version expires soon",
		Help: "The current version expires within expires-within of the declaration's audit, 30 days by default. " +
			"Give it a new version before.",
		Known: []string{policyExpiresSoon},
	},
	{
		ID: NeverExpires, Level: LevelWarning, Title: "The current version never expires",
		Help: "The current version has no expiry, so nothing ever forces a new one. Declare expires, and rotate with " +
			"before-expiry; the next version has an expiry then.",
		Known: []string{
			policyExpiry, "CIS Azure 8.3.3, 8.3.4 (6.0)", "Defender 14257785-9437-97fa-11ae-898cfb24302b",
		},
	},
	{
		ID: ValidityTooLong, Level: LevelWarning, Title: "The current version is valid for too long",
		Help: "The time from its creation to its expiry is longer than max-validity of the declaration's audit, or " +
			"it never expires. Declare a shorter expires and give it a new version.",
		Known: []string{policyValidity},
	},
	{
		ID: TooOld, Level: LevelWarning, Title: "The current version is too old",
		Help: "The current version has been valid for longer than max-age of the declaration's audit. Give it a new " +
			"version, and declare rotate with after.",
		Known: []string{policyAge, "PCI DSS 8.3.9, 8.6.3"},
	},
	{
		ID: OverdueRotation, Level: LevelError, Title: "A declared rotation is overdue",
		Help: "The secret has been due for a new version, by its rotate in the declaration, for longer than grace of " +
			"the declaration's audit: the workflow that rotates does not run, or fails. Look at its last runs.",
		Known: []string{"AWS Config secretsmanager-scheduled-rotation-success-check"},
	},
	{
		ID: PolicyDrift, Level: LevelWarning, Title: "The value was made to another policy",
		Help: "The current version was made to another policy than the declared one, as its tag policy says. Give it " +
			"a new version; with rotate on-policy-change, mode rotate does so by itself.",
	},
	{
		ID: Foreign, Level: LevelWarning, Title: "This action did not make the current version",
		Help: "The secret is declared, and somebody else made the current version, so its policy is unknown. This " +
			"action gives it a new version only with the input adopt.",
	},
	{
		ID: Undeclared, Level: LevelWarning, Title: "The vault holds a secret that nobody declared",
		Help: "The secret is in the vault, is not declared and is not managed by a certificate, so nothing rotates " +
			"it. Declare it, remove it, or ignore it in the declaration's audit; undeclared there sets the level.",
	},
	{
		ID: CurrentDisabled, Level: LevelError, Title: "The newest version is disabled",
		Help: "Somebody disabled the newest version, so whoever reads the secret by its name fails, and no rotation " +
			"replaces it. Enable it, or give it a new version with mode force.",
	},
	{
		ID: NotYetActive, Level: LevelInfo, Title: "The current version is not valid yet",
		Help: "The not-before date of the current version is in the future. A reader that checks it refuses the value.",
	},
	{
		ID: SupersededEnabled, Level: LevelWarning, Title: "Superseded versions are still enabled",
		Help: "Older versions that this action made are enabled for longer than superseded of the declaration says, " +
			"so old passwords can still be read. Mode rotate disables them.",
	},
	{
		ID: ManyVersions, Level: LevelWarning, Title: "The secret has many versions",
		Help: "The secret has max-versions of the declaration's audit or more. Key Vault backs up no secret with " +
			"more than 500 and has no call that deletes a version: declare another name for it, and rotate it less " +
			"often.",
	},
	{
		ID: Diverged, Level: LevelError, Title: "The secret's vaults hold different values",
		Help: "The secret is declared for several vaults, and their current versions were set " +
			"separately, so they do not hold one value. Mode rotate gives all of them a new one.",
	},
	{
		ID: DuplicateOperation, Level: LevelInfo, Title: "Two versions hold the same value",
		Help: "One operation made several versions, as a repeated request does. They hold the same value, and there " +
			"is nothing to do.",
	},
	{
		ID: SoftDeleted, Level: LevelWarning, Title: "A declared secret is soft-deleted",
		Help: "A declared name is soft-deleted, so no secret of that name can be made until it is recovered or " +
			"purged. The input recover-deleted lets a run recover it.",
	},
	{
		ID: ContentTypeMissing, Level: LevelInfo, Title: "The current version has no content type",
		Help: "The current version has no content type, which tells readers what the value is. Declare content-type; " +
			"the next version has it.",
		Known: []string{policyContentType},
	},
	{
		ID: Managed, Level: LevelInfo, Title: "The secret is managed by a certificate",
		Help: "Key Vault made the secret for a certificate of that name and renews it itself. It cannot be declared.",
	},
}

// Rules returns every rule, in the order of the reference.
func Rules() []Rule { return slices.Clone(rules[:]) }

// RuleOf returns the rule of an ID; the zero Rule if there is none.
func RuleOf(id string) Rule {
	if i := rank(id); i >= 0 {
		return rules[i]
	}
	return Rule{}
}

// rank returns the place of a rule in that order.
func rank(id string) int {
	return slices.IndexFunc(rules[:], func(r Rule) bool { return r.ID == id })
}
