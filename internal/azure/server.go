package azure

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// The kinds of servers whose administrator's password Azure Resource Manager sets, as it spells their types.
const (
	SQLServer        = "Microsoft.Sql/servers"
	PostgreSQLServer = "Microsoft.DBforPostgreSQL/flexibleServers"
	MySQLServer      = "Microsoft.DBforMySQL/flexibleServers"
)

var serverKinds = []string{SQLServer, PostgreSQLServer, MySQLServer}

// A Server is a database server as a resource of Azure. Its administrator is a login with a password.
type Server struct {
	Subscription  string // a GUID
	ResourceGroup string
	Kind          string // SQLServer, PostgreSQLServer or MySQLServer
	Name          string
}

// ID returns the server's resource ID.
func (s Server) ID() string {
	return "/subscriptions/" + s.Subscription + "/resourceGroups/" + s.ResourceGroup + "/providers/" + s.Kind + "/" +
		s.Name
}

// ServerIDPattern returns a regular expression for the resource IDs that [ParseServer] accepts, in the spelling that
// Azure's tools print.
func ServerIDPattern() string {
	var kinds []string
	for _, kind := range serverKinds {
		kinds = append(kinds, regexp.QuoteMeta(kind))
	}
	return "^/subscriptions/" + strings.Trim(IDPattern, "^$") + "/resourceGroups/[^/]{1,90}/providers/(" +
		strings.Join(kinds, "|") + ")/[A-Za-z0-9-]{1,63}$"
}

// ParseServer reads the resource ID of a database server as Azure's tools print it. Letter case means nothing in one.
// It refuses an ID of another kind of resource, of a part of a server, such as a database, and one that Azure cannot
// have given.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
func ParseServer(id string) (Server, error) {
	const form = "/subscriptions/ID/resourceGroups/GROUP/providers/KIND/NAME"
	expected := "expected " + form + ", where KIND is one of " + strings.Join(serverKinds, ", ")
	parts := strings.Split(id, "/")
	if len(parts) < 9 || parts[0] != "" || !strings.EqualFold(parts[1], "subscriptions") ||
		!strings.EqualFold(parts[3], "resourceGroups") || !strings.EqualFold(parts[5], "providers") {
		return Server{}, refuse(fmt.Sprintf("%q is not the resource ID of a server", id), expected)
	}
	kind := parts[6] + "/" + parts[7]
	known := slices.IndexFunc(serverKinds, func(k string) bool { return strings.EqualFold(k, kind) })
	if known < 0 {
		return Server{}, refuse(fmt.Sprintf("the resource ID is of a %q, whose password cannot be set", kind), expected)
	}
	s := Server{Subscription: parts[2], ResourceGroup: parts[4], Kind: serverKinds[known], Name: parts[8]}
	switch {
	case len(parts) > 9:
		return Server{}, refuse("the resource ID is of a part of the server "+s.ID(), "expected that of the server")
	case !IsID(s.Subscription):
		return Server{}, refuse(fmt.Sprintf("the subscription %q is not a GUID", s.Subscription), expected)
	case !isGroupName(s.ResourceGroup):
		return Server{}, refuse(fmt.Sprintf("Azure accepts no resource group %q", s.ResourceGroup),
			"expected 1 to 90 letters, digits and characters of -_.(), no period last")
	case !isServerName(s.Name):
		return Server{}, refuse(fmt.Sprintf("Azure accepts no server name %q", s.Name),
			"expected 1 to 63 letters, digits and hyphens, no hyphen first or last")
	}
	return s, nil
}

func isGroupName(text string) bool {
	foreign := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.()", r)
	}
	return text != "" && len([]rune(text)) <= 90 && !strings.ContainsFunc(text, foreign) &&
		!strings.HasSuffix(text, ".")
}

func isServerName(text string) bool {
	for _, c := range []byte(text) {
		if !isLetter(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return text != "" && len(text) <= 63 && strings.Trim(text, "-") == text
}
