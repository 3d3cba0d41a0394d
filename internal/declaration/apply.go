package declaration

import (
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/grammar"
	"keyvault-passwords/internal/declaration/internal/strict"
)

// An Apply is the target of a secret: where its password is set in the run that stores it. It is a login of a
// PostgreSQL server, one of two such logins, or the administrator of an Azure server.
type Apply struct {
	Place    Place           // of the key in the declaration
	Host     *azure.Database // the PostgreSQL server. Nil: Server is given
	Database string          // the database to connect to on Host
	As       string          // the role there that the run's identity has
	Server   *azure.Server   // the Azure server. Nil: Host is given

	CurrentLogin string // which of two logins the current version is for, where no tag says so. "": not declared
	Part         string // the name of the generated part that is the password
	TenantID     string // "": the run's
	ClientID     string // "": the run's
}

// Name returns what people call the target: the first label of the host, or the server's name.
func (a *Apply) Name() string {
	if a.Host != nil {
		return a.Host.Name
	}
	return a.Server.Name
}

// applyOf checks the target of a secret against what else is declared of it, and returns it; nil if there is none.
func (r *resolver) applyOf(s *grammar.Secret, secret Secret) *Apply {
	two := len(s.Login.Value) == 2
	if !s.Apply.Given() {
		if two {
			r.Refuse(s.Login.Place, "two logins need apply with postgresql, which sets the idle one",
				"add apply to the secret; otherwise set login to a text")
		}
		return nil
	}
	spec := s.Apply.Value
	a := &Apply{
		Place: s.Apply.Place, Database: spec.Database.Value, As: spec.As.Value,
		CurrentLogin: spec.CurrentLogin.Value, Part: r.passwordOf(s, secret),
		TenantID: spec.TenantID, ClientID: spec.ClientID,
	}
	if !s.HasLogin {
		r.Refuse(s.Apply.Place, "apply needs a login", "add login to the secret: the account whose password it is")
	}
	switch {
	case spec.PostgreSQL.Given():
		a.Host = &spec.PostgreSQL.Value
		if !spec.Database.Given() {
			a.Database = "postgres"
		}
		r.checkPostgreSQL(s)
	case spec.Azure.Given():
		a.Server = &spec.Azure.Value
		r.checkAzure(s, secret, a.Part)
	default:
		return nil // refused while it was read
	}
	r.oneSecret(s, a)
	return a
}

// passwordOf returns the name of the part that is the password: the only one, or "password".
func (r *resolver) passwordOf(s *grammar.Secret, secret Secret) string {
	for _, part := range secret.Parts {
		if part.Name == partPassword || len(secret.Parts) == 1 {
			return part.Name
		}
	}
	r.Refuse(s.Apply.Place, fmt.Sprintf("none of the %d generated parts is named password", len(secret.Parts)),
		"give that name to the one that is set at the target")
	return ""
}

// checkPostgreSQL checks what a login of a PostgreSQL server, or two of them, need.
func (r *resolver) checkPostgreSQL(s *grammar.Secret) {
	spec := s.Apply.Value
	r.oneCloudOf("server "+spec.PostgreSQL.Value.Name, &spec.PostgreSQL.Value.Cloud, spec.PostgreSQL.Place,
		"expected the vaults and targets of a run in one cloud")
	for _, login := range s.Login.Value {
		grammar.CheckRole(r.Reader, "login", login, s.Login.Place)
		if login == spec.As.Value {
			r.Refuse(spec.As.Place, fmt.Sprintf("as is %q, whose password is to be set", strict.Clip(login)),
				"expected the role of the action's own identity")
		}
	}
	current := spec.CurrentLogin
	switch {
	case len(s.Login.Value) == 2:
		r.checkTwoLogins(s)
		if current.Given() && current.Value != s.Login.Value[0] && current.Value != s.Login.Value[1] {
			r.Unknown(current.Place, "login", current.Value, "", s.Login.Value)
		}
	case current.Given() && s.Login.Given():
		r.Refuse(current.Place, "current-login goes with two logins, and the secret has one",
			"remove it, or set login to a list of two")
	}
}

// checkTwoLogins checks what lets readers keep the login that they have while the other one changes: they take login
// and password from one version, and ask again before their own login's turn comes.
func (r *resolver) checkTwoLogins(s *grammar.Secret) {
	const cause = " is too short for two logins"
	const remedy = "expected 24h or more: App Service and Functions keep a value for up to 24h, and need its login " +
		"until then"
	switch {
	case s.Template == nil:
		r.Refuse(s.Login.Place, "two logins need a value that holds ${login}",
			"add value, such as \"${login}:${password}\": readers take login and password from one version")
	case s.Value.Given() && !slices.Contains(s.Value.Value.Names(), composite.Login):
		r.Refuse(s.Value.Place, "value does not use ${login}, and the secret has two logins",
			"add ${login} to it: readers take login and password from one version")
	}
	rotate, grace := s.Rotate.Value, s.Superseded.Value.DisableAfter
	if rotate.After.Given() && rotate.After.Value < readersKeep {
		r.Refuse(rotate.After.Place, "after "+rotate.After.Text()+cause, remedy)
	}
	if grace.Given() && grace.Value < readersKeep {
		r.Refuse(grace.Place, "disable-after "+grace.Text()+cause, remedy)
	}
	before, expires := rotate.BeforeExpiry, s.Expires
	if due := expires.Value - before.Value; before.Given() && expires.Given() && due > 0 && due < readersKeep {
		r.Refuse(before.Place, fmt.Sprintf("expires %s minus before-expiry %s%s", expires.Text(), before.Text(),
			cause), remedy)
	}
}

// passwordsOf returns which passwords of a target a secret sets, and how the target is told from others. A server has
// one administrator.
func passwordsOf(s *grammar.Secret, a *Apply) (logins []string, where string) {
	if a.Host != nil {
		return s.Login.Value, a.Host.Host
	}
	return []string{""}, strings.ToLower(a.Server.ID())
}

// oneSecret notes a login that another secret sets at the same target: each run would undo the other's.
func (r *resolver) oneSecret(s *grammar.Secret, a *Apply) {
	logins, where := passwordsOf(s, a)
	for _, login := range logins {
		key := where + " " + login
		if other, taken := r.applied[key]; taken && other != s.Name {
			r.Refuse(s.Apply.Place, fmt.Sprintf("secret %q sets the same password at %s", strict.Clip(other), a.Name()),
				"expected one secret for each login: set vaults for one that several vaults store")
			return
		}
		r.applied[key] = s.Name
	}
}
