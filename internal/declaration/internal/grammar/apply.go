package grammar

import (
	"fmt"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/refusal"
)

// An Apply is what a secret's apply says.
type Apply struct {
	PostgreSQL         Located[azure.Database]
	Azure              Located[azure.Server]
	Database, As       Located[string]
	CurrentLogin       Located[string]
	TenantID, ClientID string
}

const (
	loginRemedy  = "expected a text, or a list of two, such as [app_a, app_b]"
	applyRemedy  = "expected a mapping, such as {postgresql: pg-prod.postgres.database.azure.com, as: ROLE}"
	targetRemedy = "expected postgresql, the host of a flexible server, or azure, the resource ID of a server"
)

// readLogin reads one login, or a list of two.
func (s *Secret) readLogin(r *reader, n *strict.Node) {
	if strict.KindOf(n) != strict.List {
		if login := r.locateText(n, "login"); login.Given() {
			s.Login = locate(r, n, []string{login.Value})
		}
		return
	}
	items, _ := r.Items(n, "login", loginRemedy)
	if len(items) != 2 {
		r.Refuse(r.Place(n), fmt.Sprintf("login is a list of %d", len(items)), loginRemedy)
		return
	}
	first, second := r.locateText(items[0], "login[0]"), r.locateText(items[1], "login[1]")
	if !first.Given() || !second.Given() {
		return
	}
	if first.Value == second.Value {
		r.Refuse(second.Place, fmt.Sprintf("login %q is listed twice", strict.Clip(second.Value)),
			"expected two different logins: while one is in use, the other gets the new password")
	}
	s.Login = locate(r, n, []string{first.Value, second.Value})
}

// readApply reads apply, which must name one target.
func (s *Secret) readApply(r *reader, n *strict.Node) {
	var a Apply
	sound := readFields(r, n, "apply", applyRemedy, applyFields, &a)
	switch {
	case strict.KindOf(n) != strict.Mapping:
		return
	case a.PostgreSQL.Given() && a.Azure.Given():
		r.Refuse(a.Azure.Place, "apply has both postgresql and azure", "expected one target: remove one of them")
	case a.Azure.Given():
		r.onlyWithPostgreSQL(a)
	case !sound:
	case !a.PostgreSQL.Given():
		r.Refuse(r.Place(n), "apply has no target", targetRemedy)
	case !a.As.Given():
		r.Refuse(a.PostgreSQL.Place, "apply has no as",
			"add as: ROLE, the role that the action's identity has in that server")
	}
	s.Apply = locate(r, n, &a)
}

// onlyWithPostgreSQL notes the keys that an Azure server has no use for.
func (r *reader) onlyWithPostgreSQL(a Apply) {
	for _, key := range []struct {
		name  string
		value Located[string]
	}{{"database", a.Database}, {"as", a.As}, {"current-login", a.CurrentLogin}} {
		if key.value.Given() {
			r.Refuse(key.value.Place, key.name+" goes with postgresql, and apply has azure",
				"remove it: Azure Resource Manager sets the password of the server's administrator")
		}
	}
}

// parseHost reads the host of a flexible server.
func parseHost(text string) (azure.Database, error) {
	host, err := azure.ParseDatabase(text)
	if err == nil {
		return host, nil
	}
	why := refusal.Of(err)
	name, domain, _ := strings.Cut(text, ".")
	near := strict.Nearest(domain, azure.DatabaseDomains())
	if near != "" && !strings.EqualFold(near, domain) && strings.HasPrefix(why.Remedy, "expected a name in") {
		why.Remedy = fmt.Sprintf("did you mean %s.%s? %s", strict.Clip(name), near, why.Remedy)
	}
	return azure.Database{}, why
}

// maxIdentifier is the length of the longest name of a role or a database, in bytes. PostgreSQL cuts off the rest:
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
const maxIdentifier = 63

// locateDatabase reads the name of a database.
func (r *reader) locateDatabase(n *strict.Node, what string) Located[string] {
	name := r.locateText(n, what)
	if !checkIdentifier(r.Reader, what, name.Value, name.Place) {
		return Located[string]{}
	}
	return name
}

// locateRole reads the name of a role.
func (r *reader) locateRole(n *strict.Node, what string) Located[string] {
	name := r.locateText(n, what)
	if !CheckRole(r.Reader, what, name.Value, name.Place) {
		return Located[string]{}
	}
	return name
}

// CheckRole notes a name that no role of PostgreSQL's can have that logs in, and reports whether it is none.
// https://www.postgresql.org/docs/current/sql-createrole.html, https://www.postgresql.org/docs/current/predefined-roles.html
func CheckRole(text *strict.Reader, what, name string, at strict.Place) bool {
	if name == "public" || name == "none" || strings.HasPrefix(name, "pg_") {
		text.Refuse(at, fmt.Sprintf("%s is %q, which PostgreSQL keeps to itself", what, strict.Clip(name)),
			"expected a role that can log in: none is named public or none, or begins with pg_")
		return false
	}
	return checkIdentifier(text, what, name, at)
}

// checkIdentifier notes a name that PostgreSQL would cut off, and reports whether it is none.
func checkIdentifier(text *strict.Reader, what, name string, at strict.Place) bool {
	if len(name) > maxIdentifier {
		text.Refuse(at, fmt.Sprintf("%s has %d bytes", what, len(name)),
			fmt.Sprintf("expected at most %d: PostgreSQL cuts off the rest of a name", maxIdentifier))
		return false
	}
	return true
}
