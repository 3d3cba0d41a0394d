package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// A role is what the server says of a login.
type role struct {
	Name        string
	CanLogin    bool
	Expired     bool
	Super       bool
	Limit       int             // of connections at once; negative: none
	Attributes  map[string]bool // by their names in SQL
	Memberships []membership    // of the login in other roles
	Settings    []setting
	Comment     *string
	MayAdmin    bool // the identity has the ADMIN option on it

	comment string
}

// A membership is of a login in a role, as far as it matters for what the login may do.
type membership struct {
	Role         string
	Inherit, Set bool
}

// A setting is one that a login's sessions begin with, in all databases ("") or in one.
type setting struct{ Database, Name, Value string }

// An identity is what the server says of the role that the action logs in as.
type identity struct {
	Version    int // of the server: 150018
	ReadOnly   bool
	Super      bool
	CreateRole bool
	Function   bool // rotate.set_verifier is there, and runs with the rights of its owner
	Execute    bool // and may be called

	group bool // there is a role of the name that groupOf gives the group of the logins
}

// version16 is the first in which CREATEROLE alone does not do.
const version16 = 160000

// identityQuery and rolesQuery ask the catalogs that every role may read. A membership may be granted several times
// since version 16; before, it has no options of its own.
const (
	identityQuery = `SELECT json_build_object(
	'Version', current_setting('server_version_num')::int,
	'ReadOnly', pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
	'Super', rolsuper,
	'CreateRole', rolcreaterole,
	'Function', f.oid IS NOT NULL,
	'Execute', coalesce(has_function_privilege(f.oid, 'EXECUTE')
		AND has_schema_privilege(f.pronamespace, 'USAGE'), false))
FROM pg_roles LEFT JOIN (SELECT p.oid, p.pronamespace FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'rotate' AND p.proname = 'set_verifier' AND p.proargtypes = '25 25 25'::oidvector
		AND p.prosecdef) f ON true
WHERE rolname = current_user`

	rolesQuery = `SELECT json_build_object(
	'Name', r.rolname,
	'CanLogin', r.rolcanlogin,
	'Expired', coalesce(r.rolvaliduntil <= now(), false),
	'Super', r.rolsuper,
	'Limit', r.rolconnlimit,
	'Attributes', json_build_object('INHERIT', r.rolinherit, 'CREATEROLE', r.rolcreaterole,
		'CREATEDB', r.rolcreatedb, 'REPLICATION', r.rolreplication, 'BYPASSRLS', r.rolbypassrls),
	'Memberships', (SELECT json_agg(json_build_object('Role', name, 'Inherit', inherits, 'Set', sets) ORDER BY name)
		FROM (SELECT g.rolname AS name, bool_or(coalesce((to_jsonb(m)->>'inherit_option')::bool, true)) AS inherits,
			bool_or(coalesce((to_jsonb(m)->>'set_option')::bool, true)) AS sets
			FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
			WHERE m.member = r.oid GROUP BY g.rolname) AS them),
	'Settings', (SELECT json_agg(json_build_object('Database', coalesce(d.datname, ''),
			'Name', split_part(one, '=', 1), 'Value', substr(one, strpos(one, '=') + 1)))
		FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS one
		WHERE s.setrole = r.oid),
	'Comment', shobj_description(r.oid, 'pg_authid'),
	'MayAdmin', pg_has_role(r.oid, 'USAGE WITH ADMIN OPTION'))
FROM pg_roles r WHERE r.rolname IN (`
)

// check looks at the identity and the logins, and refuses where a password could not be set, or would open nothing. It
// notes in the session how passwords are set, and returns the logins by name.
func (t *Target) check(ctx context.Context, s *session) (map[string]role, error) {
	act := t.on("checking login " + strings.Join(t.config.Logins, " and "))
	quoted := []string{literal(groupOf(t.config.Logins))}
	for _, login := range t.config.Logins {
		quoted = append(quoted, literal(login))
	}
	rows, err := s.exec(ctx, act, identityQuery+"; "+rolesQuery+strings.Join(quoted, ", ")+")")
	if err != nil {
		return nil, err
	}
	var me identity
	roles := map[string]role{}
	for i, row := range rows {
		var r role
		into := any(&r)
		if i == 0 {
			into = &me
		}
		if len(row) != 1 || json.Unmarshal(row[0], into) != nil {
			return nil, t.newError(act, "the server's catalogs are not those of PostgreSQL",
				"check that "+t.config.Host+" is an Azure Database for PostgreSQL flexible server")
		}
		if i == 0 {
			continue
		}
		if !slices.Contains(t.config.Logins, r.Name) {
			me.group = true
			continue
		}
		if r.Comment != nil {
			r.comment = *r.Comment
		}
		roles[r.Name] = r
	}
	if err := t.judge(act, me, roles); err != nil {
		return nil, err
	}
	return roles, t.choose(ctx, act, s, me, roles)
}

// judge refuses logins that do not fit.
func (t *Target) judge(act string, me identity, roles map[string]role) error {
	if me.ReadOnly {
		return t.readOnly(act)
	}
	var missing []string
	for _, login := range t.config.Logins {
		if _, found := roles[login]; !found {
			missing = append(missing, login)
		}
	}
	if len(missing) > 0 {
		return t.missing(act, me, missing, slices.Collect(maps.Values(roles)))
	}
	for _, login := range t.config.Logins {
		if err := t.judgeLogin(act, me, roles[login]); err != nil {
			return err
		}
	}
	if len(t.config.Logins) < 2 {
		return nil
	}
	return t.compare(act, me, roles[t.config.Logins[0]], roles[t.config.Logins[1]])
}

// compare refuses two logins that may not do the same.
func (t *Target) compare(act string, me identity, a, b role) error {
	sortSettings(a.Settings)
	sortSettings(b.Settings)
	switch {
	case !maps.Equal(a.Attributes, b.Attributes) || a.Limit != b.Limit: // first: INHERIT decides what a membership is
		return t.otherAttributes(act, a, b)
	case !slices.Equal(a.Memberships, b.Memberships):
		return t.otherMemberships(act, me, a, b)
	case !slices.Equal(a.Settings, b.Settings):
		return t.otherSettings(act, a, b)
	}
	return nil
}

func sortSettings(settings []setting) {
	slices.SortFunc(settings, func(a, b setting) int {
		return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.Name, b.Name))
	})
}

// choose finds out how the identity may set the passwords: itself, or by the function. A call of the function without a
// verifier asks whether it may be called for that login.
func (t *Target) choose(ctx context.Context, act string, s *session, me identity, roles map[string]role) error {
	s.byFunction = false
	if t.mayAlter(me, roles) {
		return nil
	}
	switch {
	case !me.Function:
		return t.notAllowed(act, me, roles)
	case !me.Execute:
		return t.notExecutable(act)
	}
	for _, login := range t.config.Logins {
		_, err := s.run(ctx, execTimeout, "SELECT "+functionName+"("+literal(login)+", NULL, NULL)")
		if codeOf(err) == insufficientPrivilege {
			return t.notListed(act, login)
		}
		if err != nil {
			return s.explainExec(ctx, act, err)
		}
	}
	s.byFunction = true
	return nil
}

// mayAlter reports whether the identity may change all the logins:
// https://www.postgresql.org/docs/current/sql-alterrole.html
func (t *Target) mayAlter(me identity, roles map[string]role) bool {
	for _, r := range roles {
		switch {
		case me.Super:
		case r.Super, !me.CreateRole:
			return false
		case me.Version < version16:
			if r.Attributes["REPLICATION"] {
				return false
			}
		case !r.MayAdmin:
			return false
		}
	}
	return true
}
