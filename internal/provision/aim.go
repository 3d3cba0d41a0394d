package provision

import (
	"cmp"
	"context"
	"slices"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/refusal"
)

// An aim is what is known of the target of one secret: whose password a new version sets there, and whether the target
// holds the current version. The zero aim is of a secret without a target.
type aim struct {
	target  string           // its name
	inUse   string           // the login that the current version is for. "": none
	login   string           // the login whose password a new version sets
	unclear bool             // which of two logins the current version is for is not known
	stale   bool             // the target holds another version than the current one
	failure *refusal.Refusal // nothing can be set at the target
}

// aimsOf looks at the target of each secret that has one, o.Concurrency at once, a group of holdings for each secret.
func aimsOf(ctx context.Context, secrets []declaration.Secret, holdings []holding, o Options) []aim {
	aims := make([]aim, len(secrets))
	var jobs []job
	for i := range secrets {
		s, a := &secrets[i], &aims[i]
		group := holdings[:len(s.Vaults)]
		holdings = holdings[len(group):]
		if s.Apply == nil {
			continue
		}
		*a = newAim(s, group)
		failed := func(h holding) bool { return h.failure != nil }
		if target := o.Targets[s.Name]; target != nil && !slices.ContainsFunc(group, failed) {
			jobs = append(jobs, job{[]string{a.target}, func() { a.look(ctx, target, s, group) }})
		}
	}
	runAll(o.workers(), jobs)
	return aims
}

// newAim returns what the vaults alone tell.
func newAim(s *declaration.Secret, group []holding) aim {
	a := aim{target: s.Apply.Name(), inUse: s.Login, login: s.Login}
	if s.Logins == nil {
		return a
	}
	if a.login = s.Logins[0]; a.login == s.Apply.CurrentLogin {
		a.login = s.Logins[1] // readers use the first one, by a password that no vault holds
	}
	var logins []string // of the versions that there are
	var newest *holding
	for i := range group {
		h := &group[i]
		if !h.current.Exists() && h.deleted == nil {
			continue
		}
		login, known := h.login()
		a.unclear = a.unclear || !known
		logins = append(logins, login)
		if newest == nil || h.current.Created.After(newest.current.Created) {
			newest, a.inUse = h, login
		}
	}
	slices.Sort(logins)
	switch {
	case len(slices.Compact(logins)) > 1:
		// The vaults differ. Readers of the newest version have had the least time to take it.
		a.login = a.inUse
	case a.inUse == s.Logins[0]:
		a.login = s.Logins[1]
	case a.inUse == s.Logins[1]:
		a.login = s.Logins[0]
	}
	return a
}

// login returns which of two logins the current version is for; "" if it is for neither. It reports false if that is
// not known: the version has no tag that says so, and it is not declared.
func (h *holding) login() (login string, known bool) {
	login = h.tags()[lifecycle.TagLogin]
	if login == "" {
		login = h.secret.Apply.CurrentLogin
		return login, login != ""
	}
	if !slices.Contains(h.secret.Logins, login) {
		return "", true
	}
	return login, true
}

// isStale reports whether a target that says to hold the value of an operation does not hold a secret's current
// version. With two logins nothing is proven by a target that says nothing: the login in use must not be changed for
// that. An Azure server says nothing: see [lifecycle.Terms.Unconfirmed].
func isStale(s *declaration.Secret, current lifecycle.Version, operation string) bool {
	switch {
	case !current.Ours() || s.Apply.Server != nil:
		return false
	case s.Logins != nil && operation == "":
		return false
	}
	return operation != current.Operation()
}

// look asks the target whether a password can be set, and what it holds.
func (a *aim) look(ctx context.Context, t Target, s *declaration.Secret, group []holding) {
	if ctx.Err() != nil {
		a.failure = new(stopped("its target was looked at"))
		return
	}
	if a.unclear {
		return
	}
	login := cmp.Or(a.inUse, a.login)
	operation, err := t.Look(ctx, login)
	if err != nil {
		a.failure = new(explain("looking at "+a.target, err))
		return
	}
	if login == a.inUse && isStale(s, newestOf(group), operation) {
		// Nobody can be using what the vault holds for this login, and the other one may be in use yet.
		a.stale, a.login = true, a.inUse
	}
}

// after returns what is known of the target once a step has ended.
func (a aim) after(r Result) aim {
	switch {
	case a.failure != nil:
	case r.Outcome == Applied, r.Overtaken && r.Err == nil:
		a.stale, a.unclear = false, false
	case r.Outcome == VaultAhead:
		a.stale = a.stale || r.holds.secret.Logins == nil && (r.Changed || r.Overtaken)
	}
	return a
}

// newestOf returns the newest of the current versions of one secret in its vaults.
func newestOf(group []holding) (newest lifecycle.Version) {
	for _, h := range group {
		if h.current.Created.After(newest.Created) {
			newest = h.current
		}
	}
	return newest
}
