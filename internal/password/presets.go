package password

import (
	"slices"
	"strings"
	"sync"

	"keyvault-passwords/internal/password/internal/ascii"
)

// A preset is a policy that this package names, and what it is for.
type preset struct {
	name   string
	policy Policy
	target Target
}

// A Target is what a preset is for: what that asks of a password, where it says so, and when that was looked up.
type Target struct {
	Rule    string   // in sentences. Where products or tools of the target differ, each is named
	Pages   []string // addresses
	Checked string   // a date as 2006-01-02: when the rule was looked up last. Empty: it is this project's own
}

// checked is when the rules of all targets were looked up last.
const checked = "2026-11-25"

// What is the same for several targets.
const (
	threeOfFour = "three of lower, upper, digit and special"
	wellKnown   = "None of ten well-known passwords such as Password1."
	learn       = "https://learn.microsoft.com/"
	complexity  = learn + "windows/security/threat-protection/security-policy-settings/" +
		"password-must-meet-complexity-requirements"
)

// defaultLength is the length of the default preset.
const defaultLength = 32

// presets returns the presets in the order in which they are documented: at [Presets]. They must not be changed.
var presets = sync.OnceValue(func() []preset {
	return slices.Concat(azurePresets(), standardPresets(), plainPresets())
})

// azurePresets are default, which every Azure target takes, and the presets of one Azure target each.
func azurePresets() []preset {
	return []preset{
		{
			name: "default",
			policy: Policy{
				Length: Length{defaultLength, defaultLength},
				Characters: []Charset{
					{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1},
					{From: "safe-symbol", Min: 1},
				},
				First: []string{"letter"},
			},
			target: Target{
				Rule: "No vendor's rule: each of lower, upper, digit and -._~, a letter first. It passes unescaped " +
					"through URLs, connection strings and shells, and every Azure target below takes it.",
			},
		},
		{
			name:   "azure-sql",
			policy: fourClasses(32),
			target: Target{
				Rule: "Azure SQL Database: 8 to 128 characters. SQL Managed Instance: 16 to 128 in the portal, 14 or " +
					"more in T-SQL. Synapse SQL: 14 to 128. Each: " + threeOfFour + ". Not the login, nor three " +
					"letters or digits in a row of it.",
				Pages: []string{
					learn + "sql/relational-databases/security/password-policy",
					learn + "azure/azure-sql/managed-instance/instance-create-quickstart",
					"https://github.com/MicrosoftDocs/sql-docs/pull/10335",
					"https://github.com/MicrosoftDocs/azure-docs/pull/128529",
				},
				Checked: checked,
			},
		},
		{
			name:   "azure-postgresql",
			policy: fourClasses(32),
			target: Target{
				Rule: "PostgreSQL flexible server: 8 to 128 characters, " + threeOfFour + ". Some tools: not three " +
					"letters or digits in a row of the login.",
				Pages:   []string{learn + "azure/postgresql/flexible-server/quickstart-create-server"},
				Checked: checked,
			},
		},
		{
			name:   "azure-mysql",
			policy: fourClasses(32),
			target: Target{
				Rule: "MySQL flexible server: 8 to 128 characters, " + threeOfFour + ". Terraform: _ is not special. " +
					"Portal: not three letters or digits in a row of the login.",
				Pages:   []string{learn + "azure/mysql/flexible-server/quickstart-create-server-portal"},
				Checked: checked,
			},
		},
		// 24 characters can still be typed at a console.
		{
			name:   "azure-vm-windows",
			policy: notPassword(fourClasses(24)),
			target: Target{
				Rule: "Portal and Azure CLI: 12 to 123 characters. API and PowerShell: 8 to 123. Each: " + threeOfFour +
					"; for the Azure CLI - and \\ are not special, for Terraform _ and \\ are not. " + wellKnown +
					" Windows: not the login, nor a part of it between - . and _, of three characters or more.",
				Pages: []string{
					learn + "azure/virtual-machines/windows/faq" +
						"#what-are-the-password-requirements-when-creating-a-vm-",
					complexity,
				},
				Checked: checked,
			},
		},
		{
			name:   "azure-vm-linux",
			policy: notPassword(fourClasses(24)),
			target: Target{
				Rule: "Portal and templates: 12 to 72 characters. Azure CLI: 12 to 72, whatever its page says. " +
					"PowerShell: 8 to 123. API: 6 to 72. Each: " + threeOfFour +
					"; for the Azure CLI - and \\ are not " +
					"special, for Terraform _ and \\ are not. " + wellKnown,
				Pages: []string{
					learn + "azure/virtual-machines/linux/faq#what-are-the-password-requirements-when-creating-a-vm-",
				},
				Checked: checked,
			},
		},
		{
			name:   "aks-windows",
			policy: notPassword(fourClasses(24)),
			target: Target{
				Rule: "Windows nodes of AKS: 14 to 123 characters (the API: 8), " + threeOfFour + ". " + wellKnown +
					" Windows: as for azure-vm-windows.",
				Pages:   []string{learn + "azure/aks/learn/quick-windows-container-deploy-cli", complexity},
				Checked: checked,
			},
		},
		{
			name:   "entra-user",
			policy: notPassword(fourClasses(24)),
			target: Target{
				Rule: "Cloud users of Entra ID: 8 to 256 characters of ASCII, " + threeOfFour +
					". No banned password or variant of one.",
				Pages:   []string{learn + "entra/identity/authentication/concept-password-ban-bad-combined-policy"},
				Checked: checked,
			},
		},
	}
}

// standardPresets are the presets of standards.
func standardPresets() []preset {
	return []preset{
		{
			name: "nist-800-63b",
			policy: Policy{
				Length:     Length{32, 32},
				Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
			},
			target: Target{
				Rule: "NIST SP 800-63B-4: 15 characters or more (8 with a second factor), no composition rules, " +
					"compared as a whole with a blocklist. Of 2^193 passwords, one that is drawn is on none.",
				Pages:   []string{"https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver"},
				Checked: checked,
			},
		},
		{
			name: "pci-dss-4",
			policy: Policy{
				Length:     Length{32, 32},
				Characters: []Charset{{From: "letter", Min: 1}, {From: "digit", Min: 1}},
				First:      []string{"letter"},
			},
			target: Target{
				Rule: "PCI DSS 4.0.1, 8.3.6: 12 characters or more, letters and digits. Accounts of systems and " +
					"applications: 8.6.3, as complex as the risk analysis of its owner says.",
				Pages:   []string{"https://www.pcisecuritystandards.org/document_library/"},
				Checked: checked,
			},
		},
		{
			name: "cis",
			policy: Policy{
				Length:     Length{32, 32},
				Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
				First:      []string{"letter"},
			},
			target: Target{
				Rule:    "CIS Controls, 5.2: 14 characters or more (8 with a second factor), used for nothing else.",
				Pages:   []string{"https://www.cisecurity.org/controls/account-management"},
				Checked: checked,
			},
		},
	}
}

// plainPresets are the presets of what has no rules of its own.
func plainPresets() []preset {
	return []preset{
		{
			name: "url-safe",
			policy: Policy{
				Length:     Length{43, 43},
				Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
				First:      []string{"alphanumeric"},
				Last:       []string{"alphanumeric"},
			},
			target: Target{
				Rule: "Unreserved characters of RFC 3986, 2.3, which nothing escapes: more than 256 bits. A letter " +
					"or digit at both ends, since programs that find URLs in text leave out a final dot.",
				Pages: []string{"https://www.rfc-editor.org/rfc/rfc3986#section-2.3"},
			},
		},
		{
			name: "connection-string",
			policy: Policy{
				Length: Length{32, 32},
				Characters: []Charset{
					{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1}, {Chars: "-._", Min: 1},
				},
				First: []string{"letter"},
				Last:  []string{"alphanumeric"},
			},
			target: Target{
				Rule: "No character that ADO.NET, ODBC, JDBC, libpq, Redis or a URL gives a meaning: of the symbols " +
					"only -._, a letter first, a letter or digit last.",
				Pages: []string{
					learn + "dotnet/framework/data/adonet/connection-string-syntax",
					learn + "sql/odbc/reference/syntax/sqldriverconnect-function#comments",
				},
			},
		},
		{
			name:   "hex-256",
			policy: Policy{Length: Length{64, 64}, Characters: []Charset{{From: "hex"}}},
			target: Target{
				Rule: "Whatever takes a key of 256 bits as hexadecimal digits: 64 of them, in lower case.",
			},
		},
		{
			name: "pin",
			policy: Policy{
				Length:     Length{6, 6},
				Characters: []Charset{{From: "digit"}},
				MinEntropy: 19, // of 19.93 bits
			},
			target: Target{
				Rule: "Whatever locks after a few tries: six digits, with a min-entropy of their own.",
			},
		},
		{
			name:   "passphrase",
			policy: Policy{Passphrase: &Passphrase{Words: 8, Separator: "-"}},
			target: Target{
				Rule:  "Eight words of the EFF's large list, with a hyphen between. The EFF advises six.",
				Pages: []string{"https://www.eff.org/dice"},
			},
		},
	}
}

// fourClasses is what satisfies every Azure target, whichever of its tools checks it: see [Presets].
func fourClasses(length int) Policy {
	return Policy{
		Length: Length{length, length},
		Characters: []Charset{
			{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1}, {Chars: ".~", Min: 1},
			{Chars: "-_"},
		},
		First: []string{"letter"},
	}
}

// notPassword returns p without the passwords that hold the word "password".
func notPassword(p Policy) Policy {
	p.Forbid = []string{"password"}
	return p
}

// Classes returns the names of the character classes that a policy may use, in the order in which they are documented:
// lower, upper, digit, letter, alphanumeric, symbol (the 32 of ASCII), safe-symbol (-._~), hex (0-9 and a-f) and
// printable (all 95 characters of ASCII from the space to the tilde).
func Classes() []string { return ascii.Classes() }

// Presets returns the names of the presets, in the order in which they are documented. What each is for asks of a
// password, where that says so, and when that was looked up:
//
//   - default: No vendor's rule: each of lower, upper, digit and -._~, a letter first. It passes unescaped through
//     URLs, connection strings and shells, and every Azure target below takes it.
//   - azure-sql: Azure SQL Database: 8 to 128 characters. SQL Managed Instance: 16 to 128 in the portal, 14 or more in
//     T-SQL. Synapse SQL: 14 to 128. Each: three of lower, upper, digit and special. Not the login, nor three letters
//     or digits in a row of it. https://learn.microsoft.com/sql/relational-databases/security/password-policy
//     https://learn.microsoft.com/azure/azure-sql/managed-instance/instance-create-quickstart
//     https://github.com/MicrosoftDocs/sql-docs/pull/10335 https://github.com/MicrosoftDocs/azure-docs/pull/128529
//     (checked 2026-11-25)
//   - azure-postgresql: PostgreSQL flexible server: 8 to 128 characters, three of lower, upper, digit and special. Some
//     tools: not three letters or digits in a row of the login.
//     https://learn.microsoft.com/azure/postgresql/flexible-server/quickstart-create-server (checked 2026-11-25)
//   - azure-mysql: MySQL flexible server: 8 to 128 characters, three of lower, upper, digit and special. Terraform: _
//     is not special. Portal: not three letters or digits in a row of the login.
//     https://learn.microsoft.com/azure/mysql/flexible-server/quickstart-create-server-portal (checked 2026-11-25)
//   - azure-vm-windows: Portal and Azure CLI: 12 to 123 characters. API and PowerShell: 8 to 123. Each: three of lower,
//     upper, digit and special; for the Azure CLI - and \ are not special, for Terraform _ and \ are not. None of ten
//     well-known passwords such as Password1. Windows: not the login, nor a part of it between - . and _, of three
//     characters or more.
//     https://learn.microsoft.com/azure/virtual-machines/windows/faq#what-are-the-password-requirements-when-creating-a-vm-
//     https://learn.microsoft.com/windows/security/threat-protection/security-policy-settings/password-must-meet-complexity-requirements
//     (checked 2026-11-25)
//   - azure-vm-linux: Portal and templates: 12 to 72 characters. Azure CLI: 12 to 72, whatever its page says.
//     PowerShell: 8 to 123. API: 6 to 72. Each: three of lower, upper, digit and special; for the Azure CLI - and \ are
//     not special, for Terraform _ and \ are not. None of ten well-known passwords such as Password1.
//     https://learn.microsoft.com/azure/virtual-machines/linux/faq#what-are-the-password-requirements-when-creating-a-vm-
//     (checked 2026-11-25)
//   - aks-windows: Windows nodes of AKS: 14 to 123 characters (the API: 8), three of lower, upper, digit and special.
//     None of ten well-known passwords such as Password1. Windows: as for azure-vm-windows.
//     https://learn.microsoft.com/azure/aks/learn/quick-windows-container-deploy-cli
//     https://learn.microsoft.com/windows/security/threat-protection/security-policy-settings/password-must-meet-complexity-requirements
//     (checked 2026-11-25)
//   - entra-user: Cloud users of Entra ID: 8 to 256 characters of ASCII, three of lower, upper, digit and special. No
//     banned password or variant of one.
//     https://learn.microsoft.com/entra/identity/authentication/concept-password-ban-bad-combined-policy (checked
//     2026-11-25)
//   - nist-800-63b: NIST SP 800-63B-4: 15 characters or more (8 with a second factor), no composition rules, compared
//     as a whole with a blocklist. Of 2^193 passwords, one that is drawn is on none.
//     https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver (checked 2026-11-25)
//   - pci-dss-4: PCI DSS 4.0.1, 8.3.6: 12 characters or more, letters and digits. Accounts of systems and applications:
//     8.6.3, as complex as the risk analysis of its owner says. https://www.pcisecuritystandards.org/document_library/
//     (checked 2026-11-25)
//   - cis: CIS Controls, 5.2: 14 characters or more (8 with a second factor), used for nothing else.
//     https://www.cisecurity.org/controls/account-management (checked 2026-11-25)
//   - url-safe: Unreserved characters of RFC 3986, 2.3, which nothing escapes: more than 256 bits. A letter or digit at
//     both ends, since programs that find URLs in text leave out a final dot.
//     https://www.rfc-editor.org/rfc/rfc3986#section-2.3
//   - connection-string: No character that ADO.NET, ODBC, JDBC, libpq, Redis or a URL gives a meaning: of the symbols
//     only -._, a letter first, a letter or digit last.
//     https://learn.microsoft.com/dotnet/framework/data/adonet/connection-string-syntax
//     https://learn.microsoft.com/sql/odbc/reference/syntax/sqldriverconnect-function#comments
//   - hex-256: Whatever takes a key of 256 bits as hexadecimal digits: 64 of them, in lower case.
//   - pin: Whatever locks after a few tries: six digits, with a min-entropy of their own.
//   - passphrase: Eight words of the EFF's large list, with a hyphen between. The EFF advises six.
//     https://www.eff.org/dice
//
// A preset may demand more than its target, never less, and fits each product and tool that is named. Vendors count
// special characters differently from tool to tool, so the presets of one Azure target hold one of each class, and for
// the fourth one of "." and "~": the only symbols fit for a URL that all these tools count as special. Asking for four
// classes where three would do costs 0.04 bits at 32 characters. A letter first keeps a password from being taken for a
// flag ("-"), a home folder ("~") or a sign of YAML. Of the ten well-known passwords, these alphabets spell only
// Password1 and Password22: the shorter presets forbid "password".
//
// Where a target also refuses parts of the account name, declare the account: Login sees to that.
func Presets() []string {
	names := make([]string, len(presets()))
	for i, p := range presets() {
		names[i] = p.name
	}
	return names
}

// Preset returns the policy of that name and whether there is one. The policy is the caller's to change.
func Preset(name string) (Policy, bool) {
	for _, p := range presets() {
		if p.name == name {
			return p.policy.clone(), true
		}
	}
	return Policy{}, false
}

// TargetOf returns what the preset of that name is for, and whether there is one.
func TargetOf(name string) (Target, bool) {
	for _, p := range presets() {
		if p.name == name {
			p.target.Pages = slices.Clone(p.target.Pages)
			return p.target, true
		}
	}
	return Target{}, false
}

// String returns the target as it is documented.
func (t Target) String() string {
	said := append([]string{t.Rule}, t.Pages...)
	if t.Checked != "" {
		said = append(said, "(checked "+t.Checked+")")
	}
	return strings.Join(said, " ")
}

// withDefaults returns p with what it leaves out taken from the preset "default": the length, and the characters
// together with the first character's class if p has none of its own. A passphrase and a passwordrules string leave
// nothing out.
func withDefaults(p Policy) Policy {
	if p.Passphrase != nil || p.Rules != "" {
		return p
	}
	if p.Length == (Length{}) {
		p.Length = Length{defaultLength, defaultLength}
	}
	if len(p.Characters) == 0 {
		standard := presets()[0].policy.clone()
		p.Characters = standard.Characters
		if len(p.First) == 0 {
			p.First = standard.First
		}
	}
	return p
}

// clone returns a copy of p that shares nothing with it that could be changed.
func (p Policy) clone() Policy {
	p.Characters = slices.Clone(p.Characters)
	for i, c := range p.Characters {
		if c.Max != nil {
			limit := *c.Max
			p.Characters[i].Max = &limit
		}
	}
	p.First, p.Last = slices.Clone(p.First), slices.Clone(p.Last)
	p.Forbid, p.ForbidPatterns = slices.Clone(p.Forbid), slices.Clone(p.ForbidPatterns)
	if p.Passphrase != nil {
		words := *p.Passphrase
		p.Passphrase = &words
	}
	return p
}
