package azure

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

// A Database is the host of an Azure Database for PostgreSQL flexible server.
type Database struct {
	Host  string // in lower case: pg-prod.postgres.database.azure.com
	Name  string // its first label, which is the server's name: pg-prod
	Cloud Cloud  // whose domain the host is in
}

// DatabaseHostPattern returns a regular expression for the hosts that [ParseDatabase] accepts.
func DatabaseHostPattern() string {
	var domains []string
	for _, domain := range DatabaseDomains() {
		domains = append(domains, regexp.QuoteMeta(domain))
	}
	return `^[A-Za-z0-9](-?[A-Za-z0-9]){2,62}(\.writer)?\.(` + strings.Join(domains, "|") + ")$"
}

// ParseDatabase reads the host of a flexible server, or of the virtual endpoint that leads to whichever of its replicas
// is the primary (NAME.writer). A token goes to that host, so it must be in the domain that Azure gives such servers in
// one of the clouds: their certificates are for no other.
// https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-public#hostname
// https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-read-replicas-virtual-endpoints
func ParseDatabase(text string) (Database, error) {
	form := "expected NAME." + clouds[0].DatabaseDomain
	host := strings.ToLower(text)
	if strings.ContainsAny(host, "/@:") {
		return Database{}, refuse(fmt.Sprintf("%q is not the name of a host", text),
			form+" alone, without a scheme, a user or a port: it is always 5432")
	}
	name, domain, _ := strings.Cut(host, ".")
	domain = strings.TrimPrefix(domain, "writer.")
	for _, c := range clouds {
		if domain != c.DatabaseDomain {
			continue
		}
		if !isDatabaseName(name) {
			return Database{}, refuse(fmt.Sprintf("Azure accepts no server name %q", name),
				"expected 3 to 63 letters, digits and single hyphens")
		}
		return Database{Host: host, Name: name, Cloud: c}, nil
	}
	return Database{}, refuse(fmt.Sprintf("host %q is in no domain of Azure Database for PostgreSQL, and gets no token",
		host), placeOf(host, name))
}

// placeOf says what was expected in place of a host that is in none of the domains.
func placeOf(host, name string) string {
	domain := clouds[0].DatabaseDomain
	switch {
	case !strings.Contains(host, "."):
		return "expected " + host + "." + domain
	case net.ParseIP(host) != nil:
		return "expected NAME." + domain + ": certificates are for names"
	case strings.HasSuffix(host, ".privatelink."+domain):
		return "expected " + name + "." + domain + ", which resolves to it"
	case strings.Contains(host, ".mysql.database."), strings.HasSuffix(host, ".database.windows.net"):
		return "for the administrator's password of such a server, set azure to its resource ID"
	}
	return "expected a name in " + strings.Join(DatabaseDomains(), ", ")
}

// DatabaseDomains returns the domain of flexible servers in each cloud.
func DatabaseDomains() []string {
	var domains []string
	for _, c := range clouds {
		domains = append(domains, c.DatabaseDomain)
	}
	return domains
}

// isDatabaseName reports whether Azure gives a flexible server this name.
func isDatabaseName(name string) bool {
	return len(name) >= 3 && isServerName(name) && !strings.Contains(name, "--")
}
