package arm_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
)

// waiting runs f in a bubble with a server to which access is waited for so long, until ctx ends.
func waiting(t *testing.T, total time.Duration, o emulator.ServerOptions,
	f func(ctx context.Context, stop func(), t *testing.T, b *bench),
) {
	t.Helper()
	with(t, o, func(t *testing.T, b *bench) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.access = access.New(ctx, total, func(text string) { b.notes = append(b.notes, text) })
		b.Target = b.target(t, b.id, azure.Public(), b.network)
		f(ctx, stop, t, b)
	})
}

// A role that was assigned minutes ago is seen by one front end after the other, and action by action: the refusals are
// waited out at each step, also after the server has accepted the change. Without the wait, the remedy names it.
func TestRolesAreWaitedFor(t *testing.T) {
	for _, action := range []string{emulator.ReadServer, emulator.WriteServer, emulator.ReadOperations} {
		for _, headers := range []string{emulator.AsyncHeader, emulator.LocationHeader} {
			for _, hidden := range []string{"", emulator.ReadPermissions} {
				o := emulator.ServerOptions{Headers: headers, Kind: emulator.PostgreSQLServer}
				waiting(t, 10*time.Minute, o, func(ctx context.Context, _ func(), t *testing.T, b *bench) {
					b.emulator.Revoke("", "", action, hidden)
					b.emulator.GrantLater(emulator.Delays{20 * time.Second, time.Minute}, "", "sql-prod", action)
					start := time.Now()
					err := b.set(ctx)
					took := time.Since(start)
					if err != nil || b.holds() != "new" || took < 20*time.Second || took > 80*time.Second {
						t.Errorf("%s, by %s: %v after %s; the server holds the password %s", action, headers, err, took,
							b.holds())
					}
					if b.changes() != 1 {
						t.Errorf("%s, by %s: %d changes; want one", action, headers, b.changes())
					}
					if log := strings.Join(b.notes, "\n"); !strings.Contains(log, "waiting for access, up to 10m0s: "+
						"server sql-prod (Microsoft.DBforPostgreSQL/") || !strings.Contains(log, "\naccess after ") {
						t.Errorf("%s, by %s: the log:\n%s", action, headers, log)
					}
					b.noLeaks(t, err)
				})
			}
		}
	}
	with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
		b.emulator.Revoke("", "", emulator.WriteServer)
		_, err := b.Look(t.Context(), "")
		b.emulator.Revoke("", "", emulator.ReadServer)
		_, err2 := b.Look(t.Context(), "")
		for _, err := range []error{err, err2} {
			const remedy = "; set wait-for-access: 10m, and timeout to more, to wait for what was made minutes ago"
			if !strings.HasSuffix(refusal.Of(err).Remedy, remedy) {
				t.Errorf("the remedy does not name the wait: %v", err)
			}
		}
	})
}

// What is not outlasted ends with the refusal as without a wait, and the time waited; what lasts is not waited for, and
// a stop ends the wait at once.
func TestRolesThatDoNotCome(t *testing.T) {
	for _, action := range []string{emulator.ReadServer, emulator.WriteServer} {
		waiting(t, time.Minute, emulator.ServerOptions{}, func(ctx context.Context, _ func(), t *testing.T, b *bench) {
			b.emulator.Revoke("", "", action)
			start := time.Now()
			_, err := b.Look(ctx, "")
			r := refusal.Of(err)
			if !isKind(err, refusal.Forbidden) || !strings.HasSuffix(r.Cause, ", after waiting 1m0s for access") ||
				strings.Contains(r.Remedy, "wait-for-access") || time.Since(start) != time.Minute {
				t.Errorf("%s: %v after %s", action, err, time.Since(start))
			}
			if looks := b.emulator.Requests()["get-server"]; looks > 13 {
				t.Errorf("%s: %d looks; want one in 5 s", action, looks)
			}
		})
		waiting(t, time.Hour, emulator.ServerOptions{}, func(ctx context.Context, stop func(), t *testing.T, b *bench) {
			b.emulator.Revoke("", "", action)
			start := time.Now()
			time.AfterFunc(33*time.Second, stop)
			if _, err := b.Look(ctx, ""); !isKind(err, refusal.Cancelled) || time.Since(start) != 33*time.Second {
				t.Errorf("%s: %v after %s; want the stop after 33s", action, err, time.Since(start))
			}
		})
	}
	for _, code := range []string{"ScopeLocked", "RequestDisallowedByPolicy", "DenyAssignmentAuthorizationFailed"} {
		waiting(t, time.Hour, emulator.ServerOptions{}, func(ctx context.Context, _ func(), t *testing.T, b *bench) {
			b.emulator.Fault(emulator.Fault{
				Operation: "update-server", Kind: emulator.Status, Status: 403, Code: code, Times: -1,
			})
			start := time.Now()
			if err := b.set(ctx); err == nil || time.Since(start) > 30*time.Second {
				t.Errorf("%s: %v after %s; want a refusal at once", code, err, time.Since(start))
			}
		})
	}
}
