package export_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"keyvault-passwords/internal/audit"
	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/export"
	"keyvault-passwords/internal/lifecycle"
)

const day = 24 * time.Hour

var (
	taken = time.Date(2026, 11, 24, 6, 30, 12, 0, time.UTC)

	run = export.Run{
		Version: "v1.4.0", Server: "https://github.com", Repository: "contoso/payments", ID: "11223344556",
		Attempt: "1", SHA: "8f2d1c4b5a69788796a5b4c3d2e1f00112233445",
	}
)

// vaultsOf are the vaults of a sample: one for a small one.
func vaultsOf(n int) []string {
	if n < 10 {
		return []string{"kv-payments-prod"}
	}
	return []string{"kv-payments-prod", "kv-payments-eu", "kv-payments-us"}
}

// sample returns the audit of n secrets, of which a quarter is not declared, as package audit judges it: with a bit of
// everything that can be found. The same n makes the same one.
func sample(n int) *audit.Report {
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	vaults := vaultsOf(n)
	in := audit.Input{
		File: ".github/passwords.yml", Taken: taken, Rules: declaration.DefaultAudit(),
		Places: declaration.Places{
			Secrets: declaration.Place{File: ".github/passwords.yml", Line: 9, Col: 1},
			Vaults:  map[string]declaration.Place{},
		},
	}
	in.Rules.MaxAge, in.Rules.MaxValidity = 365*day, 400*day
	for i, name := range vaults {
		in.Listings = append(in.Listings, audit.Listing{Vault: name, Now: taken, Listed: true})
		in.Places.Vaults[name] = declaration.Place{File: ".github/passwords.yml", Line: 2 + i, Col: 3}
	}
	for i := range n {
		v := i % len(vaults)
		name := nameOf(rng, i)
		s := declaration.Secret{
			Name: name, Place: declaration.Place{File: ".github/passwords.yml", Line: 10 + 2*i, Col: 3},
			Vaults: []declaration.Vault{{Name: vaults[v]}}, Terms: termsOf(rng),
		}
		holding, there := holdingOf(rng, name, s.Terms)
		if n < 10 {
			holding, there = calm(name, s.Terms, i), true
		}
		l := &in.Listings[v]
		if there {
			l.Secrets = append(l.Secrets, holding)
		} else if rng.IntN(3) == 0 {
			l.Deleted = append(l.Deleted, audit.Deleted{
				Name: name, Deleted: taken.Add(-9 * day), Purge: taken.Add(81 * day),
			})
		}
		if i%4 == 3 {
			continue
		}
		in.Secrets = append(in.Secrets, s)
		rotation := audit.Rotation{Key: name}
		if there {
			rotation.Trigger, rotation.Reason = s.Terms.Due(holding.Current(), taken, false)
			rotation.Writes = rotation.Trigger != "" && holding.Current().Ours() && holding.Current().Enabled
		} else {
			rotation = audit.Rotation{Key: name, Writes: true, Trigger: audit.TriggerMissing,
				Reason: "not in the vault"}
		}
		in.Rotations = append(in.Rotations, rotation)
	}
	r := audit.Judge(in)
	return &r
}

// nameOf returns a name as people give them. Every name is another.
func nameOf(rng *rand.Rand, i int) string {
	systems := []string{"orders", "billing", "ledger", "customer-portal", "reporting", "identity", "search",
		"mail-relay"}
	things := []string{"db-password", "redis-password", "sql-admin", "api-key", "signing-key", "sftp-login", "smtp"}
	name := systems[rng.IntN(len(systems))] + "-" + things[rng.IntN(len(things))]
	if i > 2 {
		name += fmt.Sprintf("-%03d", i)
	}
	return name
}

func termsOf(rng *rand.Rand) lifecycle.Terms {
	presets := []string{"default", "azure-sql", "azure-postgresql", "url-safe", "service"}
	t := lifecycle.Terms{PolicyTag: lifecycle.NewPolicyTag(presets[rng.IntN(len(presets))], "a1b2c3d4e5f6")}
	switch rng.IntN(4) {
	case 0:
		t.Rotate.After = 60 * day
	case 1, 2:
		t.Expires, t.Rotate.BeforeExpiry = 90*day, 14*day
	}
	t.Rotate.OnPolicyChange = rng.IntN(5) == 0
	if rng.IntN(3) == 0 {
		t.Superseded = &lifecycle.Superseded{DisableAfter: day}
	}
	return t
}

// version returns a version that this action made so long ago by those terms.
func version(rng *rand.Rand, t lifecycle.Terms, age time.Duration) lifecycle.Version {
	v := t.Made(taken.Add(-age))
	v.ID = fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())
	v.ContentType = "password"
	v.Tags = lifecycle.NewTags(t.PolicyTag, nil, nil, v.ID[:8], "")
	return v
}

// calm returns what a vault holds of a secret in good order.
func calm(name string, t lifecycle.Terms, i int) audit.Holding {
	rng := rand.New(rand.NewPCG(1, uint64(i)))
	v := version(rng, t, time.Duration(5+20*i)*day)
	return audit.Holding{Name: name, Listed: listed(v), Versions: []lifecycle.Version{v}}
}

// listed returns a version as the list of secrets shows it.
func listed(v lifecycle.Version) lifecycle.Version {
	v.ID = ""
	return v
}

// holdingOf returns what a vault holds of a secret, more or less in order; false: nothing.
func holdingOf(rng *rand.Rand, name string, t lifecycle.Terms) (h audit.Holding, there bool) {
	h.Name = name
	age := time.Duration(rng.IntN(80*24)) * time.Hour
	if rng.IntN(6) == 0 {
		age = time.Duration(rng.IntN(900)) * day
	}
	for range rng.IntN(5) {
		h.Versions = append(h.Versions, version(rng, t, age+time.Duration(1+rng.IntN(300))*day))
		h.Versions[len(h.Versions)-1].Enabled = rng.IntN(3) == 0
	}
	v := version(rng, t, age)
	switch rng.IntN(24) {
	case 0:
		return h, false
	case 1:
		v.Tags = map[string]string{"owner": "platform"}
	case 2:
		v.Enabled = false
	case 3:
		v.Tags = lifecycle.NewTags("default@000000000000", nil, nil, v.ID[:8], "")
	case 4:
		v.Expires = time.Unix(253402303861, 0) // the year 10000, which vaults hold
	case 5:
		v.ContentType = ""
	case 6:
		v.NotBefore = taken.Add(3 * day)
	case 7:
		v.Managed, v.Tags = true, nil
	}
	h.Versions = append(h.Versions, v)
	h.Listed = listed(v)
	return h, true
}

// incomplete returns a sample of which one vault could not be listed whole.
func incomplete(n int) *audit.Report {
	r := sample(n)
	v := &r.Vaults[len(r.Vaults)-1]
	v.Complete = false
	v.Why = "listing secrets: the vault's firewall refuses this runner; add the runner's address to the vault's " +
		"network rules, or run the job on a runner that they admit"
	return r
}

// hostile returns a report whose every text from outside is that one.
func hostile(text string) *audit.Report { return saying(sample(40), text) }

// saying makes every text from outside in a report that one.
func saying(r *audit.Report, text string) *audit.Report {
	for i := range r.Secrets {
		s := &r.Secrets[i]
		s.Name, s.ContentType, s.Made = text, text, lifecycle.PolicyTag(text)
		s.Policy, s.DueReason, s.Vault = lifecycle.PolicyTag(text), text, text
		s.Place.File = text
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Secret, f.Vault, f.Message, f.Remedy, f.Place.File = text, text, text, text, text
	}
	for i := range r.Vaults {
		r.Vaults[i] = audit.Vault{Name: text, Why: text}
	}
	r.File, r.Notes = text, []string{text, strings.Repeat(text, 3)}
	return r
}
