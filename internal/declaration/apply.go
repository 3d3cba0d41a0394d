package declaration

import (
	"fmt"
	"strings"

	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/composite"
	"keyvault-passwords/internal/declaration/internal/strict"
	"keyvault-passwords/internal/password"
	"keyvault-passwords/internal/refusal"
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

// An applySpec is apply as it was read.
type applySpec struct {
	postgresql   located[azure.Database]
	azure        located[azure.Server]
	database, as located[string]
	currentLogin located[string]
	tenant       string
	client       string
}

const (
	loginRemedy  = "expected a text, or a list of two, such as [app_a, app_b]"
	applyRemedy  = "expected a mapping, such as {postgresql: pg-prod.postgres.database.azure.com, as: ROLE}"
	targetRemedy = "expected postgresql, the host of a flexible server, or azure, the resource ID of a server"
)

// readLogin reads one login, or a list of two.
func (s *secretSpec) readLogin(r *reader, n *strict.Node) {
	if strict.KindOf(n) != strict.List {
		if login := r.locateText(n, "login"); login.given() {
			s.login = locate(r, n, []string{login.value})
		}
		return
	}
	items, _ := r.Items(n, "login", loginRemedy)
	if len(items) != 2 {
		r.Refuse(r.Place(n), fmt.Sprintf("login is a list of %d", len(items)), loginRemedy)
		return
	}
	first, second := r.locateText(items[0], "login[0]"), r.locateText(items[1], "login[1]")
	if !first.given() || !second.given() {
		return
	}
	if first.value == second.value {
		r.Refuse(second.place, fmt.Sprintf("login %q is listed twice", strict.Clip(second.value)),
			"expected two different logins: while one is in use, the other gets the new password")
	}
	s.login = locate(r, n, []string{first.value, second.value})
}

// readApply reads apply, which must name one target.
func (s *secretSpec) readApply(r *reader, n *strict.Node) {
	var a applySpec
	before := r.Found()
	ok := readFields(r, n, "apply", applyRemedy, applyFields, &a)
	switch {
	case !ok:
		return
	case a.postgresql.given() && a.azure.given():
		r.Refuse(a.azure.place, "apply has both postgresql and azure", "expected one target: remove one of them")
	case a.azure.given():
		r.onlyWithPostgreSQL(a)
	case r.Found() != before:
	case !a.postgresql.given():
		r.Refuse(r.Place(n), "apply has no target", targetRemedy)
	case !a.as.given():
		r.Refuse(a.postgresql.place, "apply has no as",
			"add as: ROLE, the role that the action's identity has in that server")
	}
	s.apply = locate(r, n, &a)
}

// onlyWithPostgreSQL notes the keys that an Azure server has no use for.
func (r *reader) onlyWithPostgreSQL(a applySpec) {
	for _, key := range []struct {
		name  string
		value located[string]
	}{{"database", a.database}, {"as", a.as}, {"current-login", a.currentLogin}} {
		if key.value.given() {
			r.Refuse(key.value.place, key.name+" goes with postgresql, and apply has azure",
				"remove it: Azure Resource Manager sets the password of the server's administrator")
		}
	}
}

// readHost reads the host of a flexible server.
func (r *reader) readHost(n *strict.Node) located[azure.Database] {
	text, ok := r.Line(n, "postgresql", maxText)
	if !ok {
		return located[azure.Database]{}
	}
	host, err := azure.ParseDatabase(text)
	if err != nil {
		why := refusal.Of(err)
		name, domain, _ := strings.Cut(text, ".")
		near := strict.Nearest(domain, azure.DatabaseDomains())
		if near != "" && !strings.EqualFold(near, domain) && strings.HasPrefix(why.Remedy, "expected a name in") {
			why.Remedy = fmt.Sprintf("did you mean %s.%s? %s", strict.Clip(name), near, why.Remedy)
		}
		r.Refuse(r.Place(n), why.Cause, why.Remedy)
		return located[azure.Database]{}
	}
	return locate(r, n, host)
}

// readServer reads the resource ID of a server.
func (r *reader) readServer(n *strict.Node) located[azure.Server] {
	text, ok := r.Line(n, "azure", maxPattern)
	if !ok {
		return located[azure.Server]{}
	}
	server, err := azure.ParseServer(text)
	if err != nil {
		why := refusal.Of(err)
		r.Refuse(r.Place(n), why.Cause, why.Remedy)
		return located[azure.Server]{}
	}
	return locate(r, n, server)
}

// maxRole is the length of the longest name of a role or a database, in bytes. PostgreSQL cuts off what is longer:
// https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
const maxRole = 63

// readRole reads the name of a role, or of a database.
func (r *reader) readRole(n *strict.Node, what string) located[string] {
	name := r.locateText(n, what)
	if !r.isRole(what, name.value, name.place) {
		return located[string]{}
	}
	return name
}

func (r *reader) isRole(what, name string, at Place) bool {
	if len(name) > maxRole {
		r.Refuse(at, fmt.Sprintf("%s has %d bytes", what, len(name)),
			fmt.Sprintf("expected at most %d: PostgreSQL cuts off the rest of a name", maxRole))
		return false
	}
	return true
}

// applyOf checks the target of a secret against what else is declared of it, and returns it; nil if there is none.
func (r *resolver) applyOf(s *secretSpec, secret Secret) *Apply {
	two := len(s.login.value) == 2
	if !s.apply.given() {
		if two {
			r.Refuse(s.login.place, "two logins need apply with postgresql, which sets the idle one",
				"add apply to the secret; otherwise set login to a text")
		}
		return nil
	}
	spec := s.apply.value
	a := &Apply{
		Place: s.apply.place, Database: spec.database.value, As: spec.as.value,
		CurrentLogin: spec.currentLogin.value, Part: r.passwordOf(s, secret),
		TenantID: spec.tenant, ClientID: spec.client,
	}
	if !s.login.given() && s.sound {
		r.Refuse(s.apply.place, "apply needs a login", "add login to the secret: whose password it is")
	}
	switch {
	case spec.postgresql.given():
		a.Host = &spec.postgresql.value
		if !spec.database.given() {
			a.Database = "postgres"
		}
		r.checkPostgreSQL(s)
	case spec.azure.given():
		a.Server = &spec.azure.value
		r.checkAzure(s, secret, a.Part)
	default:
		return nil // refused while it was read
	}
	r.oneSecret(s, a)
	return a
}

// passwordOf returns the name of the part that is the password: the only one, or "password".
func (r *resolver) passwordOf(s *secretSpec, secret Secret) string {
	for _, part := range secret.Parts {
		if part.Name == partPassword || len(secret.Parts) == 1 {
			return part.Name
		}
	}
	r.Refuse(s.apply.place, fmt.Sprintf("none of the %d generated parts is named password", len(secret.Parts)),
		"give that name to the one that is set at the target")
	return ""
}

// checkPostgreSQL checks what a login of a PostgreSQL server, or two of them, need.
func (r *resolver) checkPostgreSQL(s *secretSpec) {
	spec := s.apply.value
	r.oneCloudOf("server "+spec.postgresql.value.Name, &spec.postgresql.value.Cloud, spec.postgresql.place,
		"expected the vaults and targets of a run in one cloud")
	for _, login := range s.login.value {
		r.isRole("login", login, s.login.place)
		if login == spec.as.value {
			r.Refuse(spec.as.place, fmt.Sprintf("as is %q, whose password is to be set", strict.Clip(login)),
				"expected the role of the action's own identity")
		}
	}
	current := spec.currentLogin
	switch {
	case len(s.login.value) == 2:
		r.checkTwoLogins(s)
		if current.given() && current.value != s.login.value[0] && current.value != s.login.value[1] {
			r.Unknown(current.place, "login", current.value, "", s.login.value)
		}
	case current.given() && s.login.given():
		r.Refuse(current.place, "current-login goes with two logins, and the secret has one",
			"remove it, or set login to a list of two")
	}
}

// checkTwoLogins checks what lets readers keep the login that they have while the other one changes: they take login
// and password from one version, and ask again before their own login's turn comes.
func (r *resolver) checkTwoLogins(s *secretSpec) {
	const cause = " is too short for two logins"
	const remedy = "expected 24h or more: App Service and Functions keep a value so long, and need its login until then"
	switch {
	case s.template == nil:
		r.Refuse(s.login.place, "two logins need a value that holds ${login}",
			"add value, such as \"${login}:${password}\": readers take login and password from one version")
	case s.value.given() && !refersTo(s.value.value, composite.Login):
		r.Refuse(s.value.place, "value does not use ${login}, and the secret has two logins",
			"add ${login} to it: readers take login and password from one version")
	}
	rotate, grace := s.rotate.value, s.superseded.value.disableAfter
	if rotate.after.given() && rotate.after.value < readersKeep {
		r.Refuse(rotate.after.place, "after "+rotate.after.text()+cause, remedy)
	}
	if grace.given() && grace.value < readersKeep {
		r.Refuse(grace.place, "disable-after "+grace.text()+cause, remedy)
	}
	before, expires := rotate.beforeExpiry, s.expires
	if due := expires.value - before.value; before.given() && expires.given() && due > 0 && due < readersKeep {
		r.Refuse(before.place, fmt.Sprintf("expires %s minus before-expiry %s%s", expires.text(), before.text(),
			cause), remedy)
	}
}

// refersTo reports whether a template refers to a name.
func refersTo(t *composite.Template, name string) bool {
	for _, used := range t.Names() {
		if used == name {
			return true
		}
	}
	return false
}

// What Azure takes as the password of a server's administrator: see [password.Presets].
const (
	minAdministrator     = 8
	maxAdministrator     = 128
	classesAdministrator = 3
)

// checkAzure checks what the administrator's password of an Azure server needs. It is set after the vault has it, so
// one that Azure refuses is found here and not then.
func (r *resolver) checkAzure(s *secretSpec, secret Secret, password string) {
	if len(s.login.value) == 2 {
		r.Refuse(s.login.place, "a server has one administrator, and the secret has two logins", "expected one login")
	}
	for _, part := range secret.Parts {
		if part.Name != password || part.Space == nil {
			continue
		}
		const remedy = "expected 8 to 128 characters of three of lower, upper, digit, symbol, as azure-sql, " +
			"azure-postgresql and azure-mysql have them"
		shortest, longest := part.Space.Lengths()
		alphabet, _, _ := part.Space.Characters()
		at := s.placeOfPolicy()
		switch {
		case shortest < minAdministrator || longest > maxAdministrator:
			r.Refuse(at, fmt.Sprintf("Azure refuses an administrator's password of %d to %d characters", shortest,
				longest), remedy)
		case classesIn(alphabet) < classesAdministrator:
			r.Refuse(at, "Azure refuses an administrator's password of these characters", remedy)
		case part.rules.Rules == "" && classesCertain(part.rules) < classesAdministrator:
			r.warn(at, "the policy allows passwords that Azure refuses of an administrator", remedy)
		}
	}
}

// placeOfPolicy returns the place of what generates the secret.
func (s *secretSpec) placeOfPolicy() Place {
	switch {
	case s.policy.given():
		return s.policy.place
	case s.generate.given():
		return s.generate.place
	}
	return s.place
}

// administratorClasses are the classes of which Azure asks for three. Any other character is a symbol.
func administratorClasses() []func(c rune) bool {
	within := func(from, to rune) func(rune) bool { return func(c rune) bool { return from <= c && c <= to } }
	lower, upper, digit := within('a', 'z'), within('A', 'Z'), within('0', '9')
	return []func(rune) bool{lower, upper, digit, func(c rune) bool { return !lower(c) && !upper(c) && !digit(c) }}
}

// classesIn returns of how many classes a text has a character.
func classesIn(text string) (count int) {
	for _, class := range administratorClasses() {
		if strings.ContainsFunc(text, class) {
			count++
		}
	}
	return count
}

// classesCertain returns of how many classes every password of a policy has a character, as its minimums say.
func classesCertain(p password.Policy) (count int) {
	certain, single := map[int]bool{}, map[int]bool{}
	for _, set := range p.Characters {
		class := classOf(set)
		single[class] = true
		if set.Min > 0 {
			certain[class] = true
		}
	}
	delete(certain, -1)
	switch {
	case p.Passphrase != nil:
		return classesOfPhrase(*p.Passphrase)
	case len(p.Characters) == 0:
		return len(administratorClasses()) // those of default
	case !single[-1] && len(single) == len(p.Characters):
		return max(len(certain), p.Sets) // one of each class
	}
	return len(certain)
}

// classOf returns the index of the class that all characters of a set are in; -1 if there is none.
func classOf(set password.Charset) int {
	switch set.From {
	case "lower":
		return 0
	case "upper":
		return 1
	case "digit":
		return 2
	case "symbol", "safe-symbol":
		return 3
	}
	for i, class := range administratorClasses() {
		if set.Chars != "" && !strings.ContainsFunc(set.Chars, func(c rune) bool { return !class(c) }) {
			return i
		}
	}
	return -1
}

// classesOfPhrase returns of how many classes every passphrase has a character.
func classesOfPhrase(p password.Passphrase) int {
	sample := "a" // the words have lower-case letters, also where the first of each is not
	if p.Words > 1 {
		sample += p.Separator
	}
	if p.Capitalize {
		sample += "A"
	}
	if p.Digit {
		sample += "0"
	}
	return classesIn(sample)
}

// passwordsOf returns which passwords of a target a secret sets, and how the target is told from others. A server has
// one administrator.
func passwordsOf(s *secretSpec, a *Apply) (logins []string, where string) {
	if a.Host != nil {
		return s.login.value, a.Host.Host
	}
	return []string{""}, strings.ToLower(a.Server.ID())
}

// oneSecret notes a login that another secret sets at the same target: each run would undo the other's.
func (r *resolver) oneSecret(s *secretSpec, a *Apply) {
	logins, where := passwordsOf(s, a)
	for _, login := range logins {
		key := where + " " + login
		if other, taken := r.applied[key]; taken && other != s.name {
			r.Refuse(s.apply.place, fmt.Sprintf("secret %q sets the same password at %s", strict.Clip(other), a.Name()),
				"expected one secret for each login: set vaults for one that several vaults store")
			return
		}
		r.applied[key] = s.name
	}
}
