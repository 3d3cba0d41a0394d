package action

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"keyvault-passwords/internal/arm"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/postgres"
	"keyvault-passwords/internal/provision"
)

// principalAt returns the target's own identity, or where it has none the run's: see principalIn.
func (r *run) principalAt(a *declaration.Apply) principal {
	return principal{
		tenantID: strings.ToLower(cmp.Or(a.TenantID, r.tenantID)),
		clientID: strings.ToLower(cmp.Or(a.ClientID, r.clientID)),
	}
}

// targets returns the target of each selected secret that has one, by the secret's name, and adds the sign-ins that
// they need. It contacts none.
//
// A sign-in is for one audience: where an identity gets no token for databases, its vaults are asked all the same.
func (r *run) targets(c *clients) (map[string]provision.Target, error) {
	targets := map[string]provision.Target{}
	type purpose struct {
		principal
		server bool // for Resource Manager; else for databases
	}
	signIns := map[purpose]*signIn{}
	for i := range r.secrets {
		s := &r.secrets[i]
		if s.Apply == nil {
			continue
		}
		p := purpose{r.principalAt(s.Apply), s.Apply.Server != nil}
		if signIns[p] == nil {
			signIn, err := r.signIn(p.principal, "server")
			if err != nil {
				return nil, err
			}
			signIns[p] = signIn
			c.signIns = append(c.signIns, signIn)
		}
		if name := s.Apply.Name(); !slices.Contains(signIns[p].where, name) {
			signIns[p].where = append(signIns[p].where, name)
		}
		target, err := r.target(s, signIns[p])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Place, err)
		}
		targets[s.Name] = target
	}
	return targets, nil
}

// target returns the target of a secret.
func (r *run) target(s *declaration.Secret, as *signIn) (provision.Target, error) {
	if server := s.Apply.Server; server != nil {
		return arm.New(arm.Config{
			Server: *server, Cloud: r.cloud, Credential: as, HTTP: r.client, Note: r.runner.Print,
			ClientID: as.clientID, Access: r.access,
		})
	}
	logins := s.Logins
	if logins == nil {
		logins = []string{s.Login}
	}
	return postgres.New(postgres.Config{
		Host: s.Apply.Host.Host, Database: s.Apply.Database, As: s.Apply.As, Logins: logins,
		Scope: s.Apply.Host.Cloud.DatabaseAudience + "/.default", Credential: as,
		Network: network.NewDialer(r.runner.Getenv), Access: r.access,
	}), nil
}
