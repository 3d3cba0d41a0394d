package postgres

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"keyvault-passwords/internal/refusal"
)

// What a set-up lacks is said with the SQL that adds it. Names stand in it quoted as SQL needs it. It is for an
// administrator of the server: the action runs none of it.

// functionName is the function that sets verifiers for an identity that has no right to change roles.
const functionName = "rotate.set_verifier"

// makeFunction makes the function: it may set the verifiers of the logins on its list, and nothing else. It cannot be
// made to set a plaintext, another role's password or another attribute. Called without a verifier it changes nothing.
const makeFunction = `CREATE ROLE rotate_owner NOLOGIN CREATEROLE;
GRANT rotate_owner TO CURRENT_USER;
CREATE SCHEMA rotate AUTHORIZATION rotate_owner;
SET ROLE rotate_owner;
CREATE TABLE rotate.logins (name text PRIMARY KEY);
CREATE FUNCTION rotate.set_verifier(login text, verifier text, operation text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  kept text := regexp_replace(
    coalesce((SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = login), ''),
    ' ?\[keyvault-passwords operation=[0-9a-f]{1,64}\]', '', 'g');
BEGIN
  IF NOT EXISTS (SELECT FROM rotate.logins WHERE name = login) THEN
    RAISE insufficient_privilege USING MESSAGE = 'this login is not on the list of rotate.set_verifier';
  END IF;
  IF verifier IS NULL THEN
    RETURN;
  END IF;
  IF verifier !~ '^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$'
    OR operation IS NULL OR operation !~ '^[0-9a-f]{1,64}$' THEN
    RAISE invalid_parameter_value USING MESSAGE = 'expected a SCRAM verifier and the ID of an operation';
  END IF;
  EXECUTE format('ALTER ROLE %I PASSWORD %L', login, verifier);
  EXECUTE format('COMMENT ON ROLE %I IS %L', login,
    concat_ws(' ', nullif(kept, ''), '[keyvault-passwords operation=' || operation || ']'));
END $$;
REVOKE ALL ON FUNCTION rotate.set_verifier(text, text, text) FROM PUBLIC;
RESET ROLE;
`

// run is the remedy that consists of SQL.
func (t *Target) run(sql string) string {
	return "run this as an administrator of the server, in database " + t.config.Database + ":\n" + sql
}

// makeIdentity makes the role of the identity: it is a principal of Entra, whose tokens are taken as its password.
// https://learn.microsoft.com/azure/postgresql/flexible-server/how-to-manage-azure-ad-users
func (t *Target) makeIdentity() string {
	return "name the role that the identity has there in the declaration (as: ROLE), or run this as an Entra " +
		"administrator of the server, in database postgres, with the object ID of the identity's service principal " +
		"(not of the app registration):\n" +
		fmt.Sprintf("SELECT * FROM pgaadauth_create_principal_with_oid(%s, 'OBJECT-ID', 'service', false, false);",
			literal(t.config.As))
}

// seeSetup is the remedy where it is not known which right is missing.
func (t *Target) seeSetup() string {
	return "compare the roles with those of examples/setup/postgresql.sql"
}

// missing refuses logins that do not exist. What the other login has, they are to have too.
func (t *Target) missing(act string, me identity, missing []string, others []role) *Error {
	sql, attributes := "", ""
	if len(others) == 1 {
		_, attributes = others[0].beyond(role{Attributes: map[string]bool{"INHERIT": true}, Limit: -1})
	}
	for _, login := range missing {
		sql += "CREATE ROLE " + identifier(login) + " LOGIN" + attributes + ";\n"
	}
	switch {
	case len(others) == 1:
		for _, login := range missing {
			sql += grants(others[0].Memberships, login) + sets(others[0].Name, others[0].Settings, login)
		}
	case len(missing) == 2:
		sql += shareGroup(me, missing)
	}
	if me.Execute && !me.CreateRole {
		sql += t.list(missing)
	} else {
		sql += t.grantAdmin(me, missing)
	}
	return t.newError(act, "there is no role "+strings.Join(missing, " and no role "), t.run(strings.TrimSpace(sql))).
		of(refusal.NotFound)
}

// shareGroup makes two logins owners of the same: what one creates, the other may change.
func shareGroup(me identity, logins []string) (sql string) {
	group := identifier(groupOf(logins))
	if !me.group {
		sql = "CREATE ROLE " + group + " NOLOGIN;\n"
	}
	for _, login := range logins {
		sql += "GRANT " + group + " TO " + identifier(login) + ";\n" +
			"ALTER ROLE " + identifier(login) + " SET role TO " + group + ";\n"
	}
	return sql
}

// groupOf returns a name for the group of two logins: orders_owner for orders_a and orders_b.
func groupOf(logins []string) string {
	first, last, n := logins[0], logins[len(logins)-1], 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	name := strings.TrimRight(first[:n], "_-. ")
	if name == "" || !isPlain(name) {
		name = "app"
	}
	for name += "_owner"; slices.Contains(logins, name); {
		name += "_owner"
	}
	return name
}

// grantAdmin lets the identity set the passwords of logins. Before version 16 a grant would not do it.
func (t *Target) grantAdmin(me identity, logins []string) string {
	if me.Version < version16 {
		return ""
	}
	var names []string
	for _, login := range logins {
		names = append(names, identifier(login))
	}
	return "GRANT " + strings.Join(names, ", ") + " TO " + identifier(t.config.As) +
		" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;\n"
}

// judgeLogin refuses a login that a password would not open, or whose password is not the identity's to set.
func (t *Target) judgeLogin(act string, me identity, r role) error {
	switch {
	case !r.CanLogin:
		return t.newError(act, "role "+r.Name+" is not permitted to log in",
			t.run("ALTER ROLE "+identifier(r.Name)+" LOGIN;"))
	case r.Expired:
		return t.newError(act, "the password of role "+r.Name+" has expired, whatever it is",
			t.run("ALTER ROLE "+identifier(r.Name)+" VALID UNTIL 'infinity';"))
	case r.Limit == 0:
		return t.newError(act, "role "+r.Name+" may have no connection: its CONNECTION LIMIT is 0",
			t.run("ALTER ROLE "+identifier(r.Name)+" CONNECTION LIMIT -1;"))
	case r.Super && !me.Super:
		return t.newError(act, "role "+r.Name+" is a superuser, whose password only a superuser may set",
			"declare another login").of(refusal.Forbidden)
	}
	return nil
}

// grants returns the SQL that gives memberships to a login.
func grants(memberships []membership, login string) (sql string) {
	for _, m := range memberships {
		sql += "GRANT " + identifier(m.Role) + " TO " + identifier(login)
		if !m.Inherit || !m.Set {
			sql += fmt.Sprintf(" WITH INHERIT %t, SET %t", m.Inherit, m.Set)
		}
		sql += ";\n"
	}
	return sql
}

// otherMemberships refuses two logins of which one is in a role that the other is not in. If that is the other login
// itself, what they share must belong to a third role before the membership can end.
func (t *Target) otherMemberships(act string, me identity, a, b role) *Error {
	sql, first := "", ""
	for _, pair := range [][2]role{{a, b}, {b, a}} {
		for _, m := range pair[0].Memberships {
			if m.Role == pair[1].Name {
				first = "make both members of one role, which owns what they use and has what " + m.Role +
					" was granted: see examples/setup/postgresql.sql; then "
				sql += "REVOKE " + identifier(m.Role) + " FROM " + identifier(pair[0].Name) + ";\n"
				continue
			}
			at := slices.IndexFunc(pair[1].Memberships, func(o membership) bool { return o.Role == m.Role })
			if at < 0 {
				sql += grants([]membership{m}, pair[1].Name)
				continue
			}
			other := pair[1].Memberships[at]
			if (m.Inherit && !other.Inherit || m.Set && !other.Set) && me.Version >= version16 {
				sql += fmt.Sprintf("GRANT %s TO %s WITH INHERIT %t, SET %t;\n", identifier(m.Role),
					identifier(pair[1].Name), m.Inherit || other.Inherit, m.Set || other.Set)
			}
		}
	}
	return t.newError(act, "roles "+a.Name+" and "+b.Name+" are members of different roles: "+
		"with one login an application could do what it cannot do with the other", first+t.run(strings.TrimSpace(sql)))
}

// otherAttributes refuses two logins with different attributes. The second is to have those of the first.
func (t *Target) otherAttributes(act string, a, b role) *Error {
	differ, sql := a.beyond(b)
	return t.newError(act, "roles "+a.Name+" and "+b.Name+" differ in "+strings.Join(differ, ", "),
		t.run("ALTER ROLE "+identifier(b.Name)+sql+";"))
}

// beyond returns the attributes in which a role differs from another, and the SQL that gives them to the other.
func (r role) beyond(other role) (differ []string, sql string) {
	for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
		if r.Attributes[name] == other.Attributes[name] {
			continue
		}
		differ = append(differ, name)
		no := "NO"
		if r.Attributes[name] {
			no = ""
		}
		sql += " " + no + name
	}
	if r.Limit != other.Limit {
		differ = append(differ, "CONNECTION LIMIT")
		sql += fmt.Sprintf(" CONNECTION LIMIT %d", r.Limit)
	}
	return differ, sql
}

// otherSettings refuses two logins whose sessions begin with different settings. The second is to have those of the
// first.
func (t *Target) otherSettings(act string, a, b role) *Error {
	sql := ""
	for _, one := range b.Settings {
		if !slices.ContainsFunc(a.Settings, one.isSame) {
			sql += "ALTER ROLE " + identifier(b.Name) + one.within() + " RESET " + identifier(one.Name) + ";\n"
		}
	}
	sql += sets(a.Name, slices.DeleteFunc(slices.Clone(a.Settings), func(one setting) bool {
		return slices.Contains(b.Settings, one)
	}), b.Name)
	return t.newError(act, "roles "+a.Name+" and "+b.Name+" begin their sessions with different settings",
		t.run(strings.TrimSpace(sql)))
}

// isSame reports whether two settings are of the same name in the same databases.
func (s setting) isSame(other setting) bool {
	return s.Database == other.Database && s.Name == other.Name
}

// within returns where a setting holds, in SQL.
func (s setting) within() string {
	if s.Database == "" {
		return ""
	}
	return " IN DATABASE " + identifier(s.Database)
}

// lists are settings whose value the server keeps as a list of names that are quoted where they must be:
// https://github.com/postgres/postgres/blob/REL_18_STABLE/src/bin/pg_dump/dumputils.c (variable_is_guc_list_quote)
var lists = []string{
	"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
	"temp_tablespaces", "unix_socket_directories",
}

// sets returns the SQL that gives settings of one login to another.
func sets(from string, settings []setting, login string) (sql string) {
	for _, s := range settings {
		if strings.Contains(s.Name, ".") {
			sql += s.copied(from, login)
			continue
		}
		value := literal(s.Value)
		if slices.Contains(lists, strings.ToLower(s.Name)) {
			value = listed(s.Value)
		}
		sql += "ALTER ROLE " + identifier(login) + s.within() + " SET " + identifier(s.Name) + " TO " + value + ";\n"
	}
	return sql
}

// listed returns the names of such a list as SQL takes them, each as a text: an empty one cannot be a quoted name.
func listed(list string) string {
	names := regexp.MustCompile(`"(?:[^"]|"")*"|[^",\s]+`).FindAllString(list, -1)
	for i, name := range names {
		if inner, found := strings.CutPrefix(name, `"`); found {
			name = strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
		}
		names[i] = literal(name)
	}
	return strings.Join(names, ", ")
}

// copied returns the SQL that gives a login a setting as another has it. What an application keeps in a setting of its
// own (app.key) may be a secret, so that its value is not shown.
func (s setting) copied(from, login string) string {
	database := "0"
	if s.Database != "" {
		database = "(SELECT oid FROM pg_database WHERE datname = " + literal(s.Database) + ")"
	}
	body := "BEGIN EXECUTE (SELECT format('ALTER ROLE %I%s SET %I TO %L', " + literal(login) + ", " +
		literal(s.within()) + ", " + literal(s.Name) + ", substr(one, strpos(one, '=') + 1)) " +
		"FROM pg_db_role_setting, unnest(setconfig) AS one WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = " +
		literal(from) + ") AND setdatabase = " + database + " AND starts_with(one, " + literal(s.Name+"=") + ")); END"
	return "DO " + literal(body) + ";\n"
}

// notAllowed refuses an identity that may not change the logins. Since version 16 two grants are enough; before, the
// right would be to change all roles, so that the function is the better way.
func (t *Target) notAllowed(act string, me identity, roles map[string]role) *Error {
	cause := "role " + t.config.As + " may not set the password of login " + strings.Join(t.config.Logins, " and ")
	if me.Version < version16 {
		return t.newError(act, cause, t.run(t.function())).of(refusal.Forbidden)
	}
	sql := ""
	if !me.CreateRole {
		sql = "ALTER ROLE " + identifier(t.config.As) + " CREATEROLE;\n"
	}
	var lacking []string
	for _, login := range t.config.Logins {
		if !roles[login].MayAdmin {
			lacking = append(lacking, login)
		}
	}
	if len(lacking) > 0 {
		sql += t.grantAdmin(me, lacking)
	}
	return t.newError(act, cause, "so that it may set these passwords and nothing else, make the function of "+
		"examples/setup/postgresql-function.sql; or "+t.run(strings.TrimSpace(sql))).of(refusal.Forbidden)
}

// notExecutable refuses an identity that may not call the function.
func (t *Target) notExecutable(act string) *Error {
	return t.newError(act, "role "+t.config.As+" may not call "+functionName, t.run(t.grantFunction())).
		of(refusal.Forbidden)
}

// notListed refuses a login that the function does not know, or that its owner may not change: one that was dropped and
// made again is on the list as before.
func (t *Target) notListed(act, login string) *Error {
	return t.refused(act, insufficientPrivilege, functionName+" may not set the password of login "+login,
		t.run(strings.TrimSpace(t.list([]string{login})))).of(refusal.Forbidden)
}

// list puts logins on the list of the function, and lets its owner change them.
func (t *Target) list(logins []string) (sql string) {
	var names []string
	for _, login := range logins {
		names = append(names, identifier(login))
		sql += "INSERT INTO rotate.logins VALUES (" + literal(login) + ") ON CONFLICT DO NOTHING;\n"
	}
	return "GRANT " + strings.Join(names, ", ") + " TO rotate_owner WITH ADMIN OPTION;\n" + sql
}

func (t *Target) grantFunction() string {
	as := identifier(t.config.As)
	return "GRANT USAGE ON SCHEMA rotate TO " + as + ";\n" +
		"GRANT EXECUTE ON FUNCTION " + functionName + "(text, text, text) TO " + as + ";"
}

// function makes the function, with these logins on its list.
func (t *Target) function() string {
	return makeFunction + t.list(t.config.Logins) + t.grantFunction()
}

// isPlain reports whether text is a name that people would choose: letters, digits, underscores, hyphens.
func isPlain(text string) bool {
	return strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
