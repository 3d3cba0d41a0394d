package arm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
)

// Roles that are minutes old are waited for, whichever of them it is. Without a wait each is refused at once, and the
// remedy names the wait; a wait that is too short ends with the refusal.
func TestRolesAreWaitedFor(t *testing.T) {
	for name, x := range map[string]struct {
		roles []string
		late  string // the permission that is seen later
		door  string
	}{
		"to look":   {late: emulator.ReadServer, door: "Microsoft.Sql/servers/read"},
		"to change": {late: emulator.WriteServer, door: "Microsoft.Sql/servers/write"},
		"to change, unseen": {
			late: emulator.WriteServer, roles: []string{emulator.ReadPermissions}, door: "Microsoft.Sql/servers/write",
		},
		"to follow": {late: emulator.ReadOperations, door: "Microsoft.Sql/locations/*/read"},
	} {
		for _, header := range []string{emulator.AsyncHeader, emulator.LocationHeader} {
			for patience, want := range map[time.Duration]string{
				0:               "; set wait-for-access: 10m to wait for what was made or changed minutes ago",
				5 * time.Second: ", after waiting 5s for access",
				time.Minute:     "",
			} {
				what := fmt.Sprintf("%s, by %s, with %s of patience", name, header, patience)
				with(t, emulator.ServerOptions{Headers: header}, func(t *testing.T, b *bench) {
					b.access = access.New(t.Context(), patience, b.note)
					b.Target = b.target(t, b.id, azure.Public(), b.network)
					b.emulator.Revoke("", "", append(x.roles, x.late)...)
					b.emulator.GrantLater(emulator.Delays{30 * time.Second}, "", "", x.late)
					start := time.Now()
					err := b.set(t.Context())
					took := time.Since(start)
					told := fmt.Sprintf("%v; %s", err, refusal.Of(err).Remedy)
					if (err == nil) != (want == "") || !strings.Contains(told, want) {
						t.Errorf("%s: %s; want %q", what, told, want)
					}
					tells := func(begin string) bool {
						return slices.ContainsFunc(b.notes, func(note string) bool {
							return strings.HasPrefix(note, begin) &&
								strings.Contains(note, "server sql-prod ("+x.door+")")
						})
					}
					if tells("waiting for access, ") != (patience > 0) || tells("access after ") != (want == "") {
						t.Errorf("%s: the log says %q", what, b.notes)
					}
					if took > 40*time.Second || want == "" && took < 30*time.Second {
						t.Errorf("%s: it is over after %s", what, took)
					}
					if err == nil && (b.holds() != "new" || b.changes() != 1) {
						t.Errorf("%s: the server holds the password %s after %d changes", what, b.holds(), b.changes())
					}
					b.noLeaks(t, err)
				})
			}
		}
	}
}

// What no role would allow is not waited for.
func TestOnlyRolesAreWaitedFor(t *testing.T) {
	for name, o := range map[string]emulator.ServerOptions{
		"an Azure Policy": {Policy: "No changes"}, "a lock": {Locked: true}, "Entra alone": {EntraOnly: true},
	} {
		with(t, o, func(t *testing.T, b *bench) {
			b.access = access.New(t.Context(), time.Minute, b.note)
			b.Target = b.target(t, b.id, azure.Public(), b.network)
			start := time.Now()
			if err := b.set(t.Context()); err == nil || time.Since(start) > time.Second {
				t.Errorf("%s: %v after %s", name, err, time.Since(start))
			}
		})
	}
}
