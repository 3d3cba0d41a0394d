package password

import "slices"

// A preset is a policy that this package names.
type preset struct {
	name   string
	policy Policy
}

// The presets, in the order in which they are documented. The comment of each says what its target demands and where
// that is written. A preset demands more than its target does, never less: vendors count "special characters"
// differently from tool to tool, so each Azure preset holds a lower-case letter, an upper-case letter, a digit and one
// of "." and "~", the only two symbols fit for a URL that every one of these tools counts as special. (The Azure CLI
// does not count "-", the MySQL check of Terraform's azurerm does not count "_".) Asking for all four classes where
// Azure asks for three costs 0.04 bits at 32 characters. A letter first keeps a password from being taken for a flag
// ("-"), a home folder ("~") or a YAML sign.
//
// Where a target also refuses parts of the account name, declare the account: `login` sees to that.
var presets = []preset{
	// No one's rule: long, and made of characters that pass unescaped through URLs, connection strings and shells.
	{"default", Policy{
		Length: Length{32, 32},
		Characters: []Charset{
			{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1}, {From: "safe-symbol", Min: 1},
		},
		First: []string{"letter"},
	}},

	// Azure SQL Database and Managed Instance: 8 to 128 characters, three of upper, lower, digit and other, not the
	// account name. CHECK_POLICY also refuses "password", "admin", "administrator", "sa" and "sysadmin" as the whole
	// password, which 32 characters cannot be.
	// https://learn.microsoft.com/sql/relational-databases/security/password-policy
	// https://learn.microsoft.com/sql/relational-databases/security/strong-passwords
	{"azure-sql", fourClasses(32)},

	// Azure Database for PostgreSQL, flexible server: 8 to 128 characters, three of the four classes.
	// https://learn.microsoft.com/azure/postgresql/flexible-server/quickstart-create-server
	{"azure-postgresql", fourClasses(32)},

	// Azure Database for MySQL, flexible server: 8 to 128 characters, three of the four classes.
	// https://learn.microsoft.com/azure/mysql/flexible-server/quickstart-create-server-portal
	{"azure-mysql", fourClasses(32)},

	// Windows virtual machines: 12 to 123 characters in the portal and the Azure CLI (8 in the API), three of the four
	// classes, no control character, none of ten well-known passwords. Of these the alphabet here spells only Password1
	// and Password22, and `forbid` takes out both. 24 characters can still be typed at a console.
	// https://learn.microsoft.com/azure/virtual-machines/windows/faq#what-are-the-password-requirements-when-creating-a-vm-
	{"azure-vm-windows", notPassword(fourClasses(24))},

	// Linux virtual machines: 12 to 72 characters in the portal and the Azure CLI (6 in the API), the rest as Windows.
	// https://learn.microsoft.com/azure/virtual-machines/linux/faq#what-are-the-password-requirements-when-creating-a-vm-
	{"azure-vm-linux", notPassword(fourClasses(24))},

	// Windows nodes of AKS: 14 to 123 characters, Windows complexity (three of the four classes), the same ten refused.
	// https://learn.microsoft.com/azure/aks/learn/quick-windows-container-deploy-cli
	{"aks-windows", notPassword(fourClasses(24))},

	// Cloud users of Entra ID: 8 to 256 ASCII characters, three of the four classes, no well-known password.
	// https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy
	{"entra-user", notPassword(fourClasses(24))},

	// NIST SP 800-63B-4 (2025): 15 characters or more, no composition rules, and a blocklist that is compared with the
	// password as a whole: one drawn from 2^193 is on none. So any of the 66 characters may stand anywhere.
	// https://pages.nist.gov/800-63-4/sp800-63b.html#passwordver
	{"nist-800-63b", Policy{
		Length:     Length{32, 32},
		Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
	}},

	// PCI DSS 4.0.1, 8.3.6: 12 characters or more, letters and digits. (Symbols are not asked for.)
	// https://www.pcisecuritystandards.org/document_library/
	{"pci-dss-4", Policy{
		Length:     Length{32, 32},
		Characters: []Charset{{From: "letter", Min: 1}, {From: "digit", Min: 1}},
		First:      []string{"letter"},
	}},

	// CIS Controls 5.2: 14 characters or more without a second factor, nothing about composition.
	// https://www.cisecurity.org/controls/account-management
	{"cis", Policy{
		Length:     Length{32, 32},
		Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
		First:      []string{"letter"},
	}},

	// The unreserved characters of RFC 3986, 2.3: nothing to escape in any part of a URL. A letter or digit at both
	// ends, since programs that find URLs in text leave out a final ".". 43 characters are above 256 bits.
	// https://www.rfc-editor.org/rfc/rfc3986#section-2.3
	{"url-safe", Policy{
		Length:     Length{43, 43},
		Characters: []Charset{{From: "alphanumeric"}, {From: "safe-symbol"}},
		First:      []string{"alphanumeric"},
		Last:       []string{"alphanumeric"},
	}},

	// No character that ADO.NET, ODBC, JDBC, libpq, Redis or a URL gives a meaning (; = ' " { } , % @ : / ? #), and of
	// the symbols only "-", "." and "_", which the curated safe lists of Azure, AWS, Chrome and 1Password share.
	// https://learn.microsoft.com/sql/odbc/reference/syntax/sqldriverconnect-function#comments
	// https://learn.microsoft.com/dotnet/framework/data/adonet/connection-string-syntax
	{"connection-string", Policy{
		Length: Length{32, 32},
		Characters: []Charset{
			{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1}, {Chars: "-._", Min: 1},
		},
		First: []string{"letter"},
		Last:  []string{"alphanumeric"},
	}},

	// 256 bits as 64 hexadecimal digits: a key for what takes a key as hex.
	{"hex-256", Policy{
		Length:     Length{64, 64},
		Characters: []Charset{{From: "hex"}},
	}},

	// Six digits have 19.93 bits, far below the 64 that any other policy must have: for what locks after a few tries.
	{"pin", Policy{
		Length:     Length{6, 6},
		Characters: []Charset{{From: "digit"}},
		MinEntropy: 19,
	}},

	// Eight words of the EFF's large list, 103 bits: the EFF advises six.
	// https://www.eff.org/dice
	{"passphrase", Policy{
		Passphrase: &Passphrase{Words: 8, Separator: "-"},
	}},
}

// fourClasses is what satisfies every Azure target: see presets.
func fourClasses(length int) Policy {
	return Policy{
		Length: Length{length, length},
		Characters: []Charset{
			{From: "lower", Min: 1}, {From: "upper", Min: 1}, {From: "digit", Min: 1}, {Chars: ".~", Min: 1}, {Chars: "-_"},
		},
		First: []string{"letter"},
	}
}

// notPassword returns p without the passwords that hold the word "password".
func notPassword(p Policy) Policy {
	p.Forbid = []string{"password"}
	return p
}

// Presets returns the names of the presets, in the order in which they are documented.
func Presets() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	return names
}

// Preset returns the policy of that name and whether there is one. The policy is the caller's to change.
func Preset(name string) (Policy, bool) {
	for _, p := range presets {
		if p.name == name {
			return p.policy.clone(), true
		}
	}
	return Policy{}, false
}

// withDefaults returns p with what it leaves out taken from the preset "default": the length, and the characters
// together with the first character's class where p has none of its own. A passphrase and a passwordrules string leave
// nothing out.
func withDefaults(p Policy) Policy {
	if p.Passphrase != nil || p.Rules != "" {
		return p
	}
	standard := presets[0].policy.clone()
	if p.Length == (Length{}) {
		p.Length = standard.Length
	}
	if len(p.Characters) == 0 {
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
