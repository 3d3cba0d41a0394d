package azure

import (
	"fmt"
	"strings"
)

// maxHost is how long a host may be: https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4
const maxHost = 253

// ParsePostgreSQLHost reads the host of an Azure Database for PostgreSQL flexible server, without scheme and port. It
// returns it in lower case, with the cloud that it is in. It refuses every other host, so that a declaration cannot
// send an access token anywhere else. The name of a server may be followed by another label: that of a virtual endpoint
// (NAME.writer).
// https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-read-replicas-virtual-endpoints
func ParsePostgreSQLHost(text string) (host string, cloud Cloud, err error) {
	expected := "expected NAME." + clouds[0].PostgreSQLDomain + ", without scheme and port"
	host = strings.ToLower(text)
	for _, c := range clouds {
		name, found := strings.CutSuffix(host, "."+c.PostgreSQLDomain)
		if !found {
			continue
		}
		for label := range strings.SplitSeq(name, ".") {
			if !isLabel(label) || len(host) > maxHost {
				return "", Cloud{}, refuse(fmt.Sprintf("%q is not the host of a PostgreSQL server", text), expected)
			}
		}
		return host, c, nil
	}
	return "", Cloud{}, refuse(fmt.Sprintf("host %q is in no known domain of Azure Database for PostgreSQL", text),
		"expected a name in "+list(func(c Cloud) string { return c.PostgreSQLDomain }))
}

// isLabel reports whether text is a label of a host: letters, digits and hyphens, no hyphen first or last.
func isLabel(text string) bool {
	for _, c := range []byte(text) {
		if !isLetter(c) && !isDigit(c) && c != '-' {
			return false
		}
	}
	return text != "" && len(text) <= 63 && text[0] != '-' && text[len(text)-1] != '-'
}
