package password

import (
	"slices"
	"sync"

	"keyvault-passwords/internal/password/internal/ascii"
)

// A preset is a policy that this package names.
type preset struct {
	name   string
	policy Policy
}

// defaultLength is the length of the default preset.
const defaultLength = 32

// presets returns the presets in the order in which they are documented: at [Presets], with what each target demands.
// They must not be changed.
var presets = sync.OnceValue(func() []preset {
	return []preset{
		{"default", Policy{
			Length: Length{defaultLength, defaultLength},
			Characters: []Charset{
				{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1},
				{From: "safe-symbol", Min: 1},
			},
			First: []string{"letter"},
		}},

		{"azure-sql", fourClasses(32)},
		{"azure-postgresql", fourClasses(32)},
		{"azure-mysql", fourClasses(32)},

		// 24 characters can still be typed at a console.
		{"azure-vm-windows", notPassword(fourClasses(24))},
		{"azure-vm-linux", notPassword(fourClasses(24))},
		{"aks-windows", notPassword(fourClasses(24))},
		{"entra-user", notPassword(fourClasses(24))},

		{"nist-800-63b", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
		}},
		{"pci-dss-4", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{From: "letter", Min: 1}, {From: "digit", Min: 1}},
			First:      []string{"letter"},
		}},
		{"cis", Policy{
			Length:     Length{32, 32},
			Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
			First:      []string{"letter"},
		}},

		{"url-safe", Policy{
			Length:     Length{43, 43},
			Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
			First:      []string{"alphanumeric"},
			Last:       []string{"alphanumeric"},
		}},
		{"connection-string", Policy{
			Length: Length{32, 32},
			Characters: []Charset{
				{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1}, {Chars: "-._", Min: 1},
			},
			First: []string{"letter"},
			Last:  []string{"alphanumeric"},
		}},

		{"hex-256", Policy{
			Length:     Length{64, 64},
			Characters: []Charset{{From: "hex"}},
		}},
		{"pin", Policy{
			Length:     Length{6, 6},
			Characters: []Charset{{From: "digit"}},
			MinEntropy: 19, // of 19.93 bits
		}},
		{"passphrase", Policy{
			Passphrase: &Passphrase{Words: 8, Separator: "-"},
		}},
	}
})

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

// Presets returns the names of the presets, in the order in which they are documented. What each target demands, and
// what its preset makes of it:
//
//   - default follows no vendor's rule: 32 characters, one or more of each of lower, upper, digit and safe-symbol, a
//     letter first. They pass unescaped through URLs, connection strings and shells, and every Azure target takes them.
//   - azure-sql: 8 to 128 characters, three of upper, lower, digit and other, not the account name. The policy
//     check of SQL Server also refuses "password", "admin", "administrator", "sa" and "sysadmin" as the whole
//     password, which 32 characters cannot be.
//     https://learn.microsoft.com/sql/relational-databases/security/password-policy and
//     https://learn.microsoft.com/sql/relational-databases/security/strong-passwords
//   - azure-postgresql: 8 to 128 characters, three of the four classes.
//     https://learn.microsoft.com/azure/postgresql/flexible-server/quickstart-create-server
//   - azure-mysql: the same.
//     https://learn.microsoft.com/azure/mysql/flexible-server/quickstart-create-server-portal
//   - azure-vm-windows: 12 to 123 characters in the portal and the Azure CLI (8 in the API), three of the four classes,
//     no control character, none of ten well-known passwords. Of these the preset's alphabet spells only Password1 and
//     Password22, and it forbids "password".
//     https://learn.microsoft.com/azure/virtual-machines/windows/faq#what-are-the-password-requirements-when-creating-a-vm-
//   - azure-vm-linux: 12 to 72 characters in the portal and the Azure CLI (6 in the API), the rest as for Windows.
//     https://learn.microsoft.com/azure/virtual-machines/linux/faq#what-are-the-password-requirements-when-creating-a-vm-
//   - aks-windows: 14 to 123 characters, Windows complexity (three of the four classes), the same ten refused.
//     https://learn.microsoft.com/azure/aks/learn/quick-windows-container-deploy-cli
//   - entra-user: 8 to 256 ASCII characters, three of the four classes, no well-known password.
//     https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy
//   - nist-800-63b: NIST SP 800-63B-4 requires 15 characters or more, no composition rules, and a blocklist that is
//     compared with the password as a whole: one drawn of 2^193 is on none. So any of 66 characters may be
//     anywhere. https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver
//   - pci-dss-4: PCI DSS 4.0.1, 8.3.6, requires 12 characters or more, letters and digits. (It does not ask for
//     symbols.) https://www.pcisecuritystandards.org/document_library/
//   - cis: CIS Controls 5.2 require 14 characters or more without a second factor, and have no composition rules.
//     https://www.cisecurity.org/controls/account-management
//   - url-safe: 43 of the unreserved characters of RFC 3986, 2.3: more than 256 bits without anything to escape. A
//     letter or digit at both ends, since programs that find URLs in text leave out a final ".".
//     https://www.rfc-editor.org/rfc/rfc3986#section-2.3
//   - connection-string: no character that ADO.NET, ODBC, JDBC, libpq, Redis or a URL gives a meaning, and of the
//     symbols only "-", "." and "_", which the curated safe lists of Azure, AWS, Chrome and 1Password share.
//     https://learn.microsoft.com/sql/odbc/reference/syntax/sqldriverconnect-function#comments and
//     https://learn.microsoft.com/dotnet/framework/data/adonet/connection-string-syntax
//   - hex-256: 64 lower-case hexadecimal digits, for what takes a key of 256 bits as hex.
//   - pin: six digits, with a min-entropy of its own: for what locks after a few tries.
//   - passphrase: eight words of the EFF's large list, 103 bits, with a hyphen between. The EFF advises six.
//     https://www.eff.org/dice
//
// A preset may demand more than its target, never less. Vendors count "special characters" differently from tool to
// tool, so the Azure presets hold one of each class, and for the fourth one of "." and "~": the only symbols fit for
// a URL that all these tools count as special. (The Azure CLI does not count "-", the checks of Terraform's azurerm
// do not count "_".) Asking for four classes where three would do costs 0.04 bits at 32 characters. A letter first
// keeps a password from being taken for a flag ("-"), a home folder ("~") or a sign of YAML.
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
