package emulator

import (
	"strings"
	"time"
)

// What was changed is seen by the servers of a service one by one. Microsoft says so of role assignments (up to ten
// minutes), of federated credentials and of firewall rules (minutes), and any name server caches that a name was not
// there:
// https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations#errors

// Delays are how long after it was made a change is seen: by the first of some servers, by the second, and so on. The
// servers of a vault, of Entra, of Resource Manager and of DNS are asked in turn, whoever asks. Of no delay, every
// server sees it at once.
type Delays []time.Duration

// A sight is since when something is seen, by each server. Of nothing that is there it is nil.
type sight []time.Time

// seenAfter returns when a change that is made now is seen.
func (e *Emulator) seenAfter(delays Delays) sight {
	s := sight{time.Time{}}
	for i, delay := range delays {
		if i > 0 {
			s = append(s, time.Time{})
		}
		s[i] = e.Now().Add(delay)
	}
	return s
}

// by reports whether a server sees it.
func (s sight) by(server int, now time.Time) bool { return len(s) > 0 && !now.Before(s[server%len(s)]) }

// GrantLater is Grant, seen by each front end of a vault or a server only later.
func (e *Emulator) GrantLater(seen Delays, client, name string, list ...string) {
	e.access(client, name, e.seenAfter(seen), list)
}

// Admit lets the client's address, or its private endpoint, into a vault. Each of the vault's front ends sees that
// later.
func (e *Emulator) Admit(seen Delays, vault string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range e.vaults {
		if strings.EqualFold(v.options.Name, vault) {
			v.mu.Lock()
			v.admitted = e.seenAfter(seen)
			v.mu.Unlock()
		}
	}
}

// resolves reports whether a vault's name is known to the name server that is asked next.
func (v *vault) resolves(now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lookups++
	return v.name.by(v.lookups, now)
}
