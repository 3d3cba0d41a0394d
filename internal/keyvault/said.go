package keyvault

import (
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"keyvault-passwords/internal/sdk"
)

// The messages of Key Vault's refusals are never printed: they may hold anything. What follows takes facts of a known
// shape from them, checks the shape, and leaves out what has another. The forms are those of
// https://github.com/hashicorp/terraform-provider-azurerm/issues/20742 (firewall) and of the refusals for want of a
// role; which form the service gives to an Azure Policy's refusal is not documented, so several are known.

// clientAddress returns the address that the vault's firewall saw; "" if the message names none.
func clientAddress(message string) string {
	_, rest, found := strings.Cut(message, "Client address: ")
	if !found {
		return ""
	}
	text := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune(" \t\r\n,;'\"", r) })
	if len(text) == 0 {
		return ""
	}
	address, err := netip.ParseAddr(strings.Trim(text[0], "[]."))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text[0])
		if err != nil {
			return ""
		}
		address = withPort.Addr()
	}
	return address.WithZone("").Unmap().String() // a zone could be any text
}

// aPolicy finds the name of an Azure Policy, of an assignment or a definition: at most 120 letters, digits, spaces,
// hyphens and dots.
var aPolicy = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i:\bby (?:azure )?policy: |` +
		`\bpolicy(?: assignment| definition)?(?: named)?:? ['"]|` +
		`policy(?:assignment|definition)?(?:display)?name\\?":\s*\\?")` +
		`((?:\[Preview\]: )?[A-Za-z][A-Za-z0-9 .-]{1,119}?)(?:\.?\s*$|\.\s|\.?\\?['"\r\n])`)
})

// policyName returns the name of the Azure Policy that a message says to forbid something; "" if it names none.
func policyName(message string) string {
	m := aPolicy().FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	return sdk.PolicyName(m[1])
}

// lacksPermission reports whether a message says that the vault's access policies lack a permission.
func lacksPermission(message string) bool {
	return strings.Contains(message, "does not have secrets ") && strings.Contains(message, " permission on key vault ")
}

// aScope finds a vault's resource ID.
var aScope = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)/subscriptions/[0-9a-f-]{36}/resourcegroups/[a-z0-9._()-]{1,90}` +
		`/providers/microsoft\.keyvault/vaults/([a-z0-9-]{3,24})\b`)
})

// scopeOf returns the resource ID of that vault; "" if the message does not name it.
func scopeOf(message, vault string) string {
	if m := aScope().FindStringSubmatch(message); m != nil && strings.EqualFold(m[1], vault) {
		return m[0]
	}
	return ""
}
