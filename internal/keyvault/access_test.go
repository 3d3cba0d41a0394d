package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// waiting runs f in a bubble with a vault to which access is waited for so long.
func waiting(t *testing.T, total time.Duration, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		b := &bench{emulator: e, network: job.NewNetwork(e)}
		defer b.network.Close()
		b.access = access.New(t.Context(), total, func(line string) { b.notes = append(b.notes, line) })
		b.Client = b.client(t, b.network, vaultName)
		f(t, b)
	})
}

// connecting is what happens to connections, so many times.
func connecting(kind emulator.Kind, status, times int) emulator.Fault {
	return emulator.Fault{Operation: "connect", Vault: vaultName, Kind: kind, Status: status, Times: times}
}

// withTimes makes a fault happen so many times.
func withTimes(f emulator.Fault, times int) emulator.Fault {
	f.Times = times
	return f
}

// The refusals that a new set-up shows are waited out, told by the vault's own codes. Without a wait they end at once,
// as all others do either way, and their remedy names the wait.
func TestAccessIsWaitedFor(t *testing.T) {
	between := emulator.Fault{
		Operation: "versions", Kind: emulator.Between, Status: 403, Body: emulator.Likeness, Code: "Forbidden",
		Inner: "ForbiddenByRbac",
	}
	inWords := emulator.Fault{
		Operation: "versions", Kind: emulator.Status, Status: 400, Code: "ForbiddenByRbac",
		Message: "ForbiddenByRbac: Caller is not authorized to perform action on resource.",
	}
	older := forbidden("versions", "ForbiddenByPolicy", 0)
	older.Message = "The user, group or application 'appid=x' does not have secrets list permission on key vault " +
		"'kv-example'."
	for _, tc := range []struct {
		name  string
		fault emulator.Fault
		fresh bool
	}{
		{"role", forbidden("versions", "ForbiddenByRbac", 0), true},
		{"access policy", forbidden("versions", "AccessDenied", 0), true},
		{"access policy, by its older code", older, true},
		{"firewall", forbidden("versions", "ForbiddenByFirewall", 0), true},
		{"private endpoint", forbidden("versions", "ForbiddenByConnection", 0), true},
		{"no such host", connecting(emulator.NoHost, 0, 0), true},
		{"no such host, behind a proxy", connecting(emulator.Status, 502, 0), true},
		{"no such host, behind Squid", connecting(emulator.Status, 503, 0), true},
		{"Azure Policy", forbidden("versions", "ForbiddenByPolicy", 0), false},
		{"a code that is not known", forbidden("versions", "ForbiddenByMoon", 0), false},
		{"somebody else's refusal", between, false},
		{"words alone", inWords, false},
		{"a proxy that wants a password", connecting(emulator.Status, 407, 0), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			waiting(t, 2*time.Minute, func(t *testing.T, b *bench) {
				b.emulator.Fault(withTimes(tc.fault, 5))
				start := time.Now()
				_, err := b.Versions(t.Context(), "a-secret")
				if took := time.Since(start); tc.fresh && (err != nil || took != 25*time.Second) ||
					!tc.fresh && (err == nil || took > time.Second || len(b.notes) > 0) {
					t.Errorf("waited for: Versions: %v after %s", err, took)
				}
				if n := b.emulator.Requests()["connect"]; tc.fresh && n < 6 {
					t.Errorf("%d connections; want a new one for each try, the name may lead elsewhere by then", n)
				}
				if tc.fresh && !strings.HasPrefix(strings.Join(b.notes, "\n"),
					"waiting for access, up to 2m0s: vault kv-example (readMetadata/action): ") {
					t.Errorf("the log: %q", b.notes)
				}
			})
			with(t, func(t *testing.T, b *bench) {
				b.emulator.Fault(withTimes(tc.fault, -1))
				start := time.Now()
				_, err := b.Versions(t.Context(), "a-secret")
				if took := time.Since(start); err == nil || took > 15*time.Second || len(b.notes) > 0 {
					t.Errorf("not waited for: Versions: %v after %s", err, took)
				}
				const remedy = "; set wait-for-access: 10m, and timeout to more, to wait for what was made minutes ago"
				if strings.HasSuffix(fmt.Sprint(err), remedy) != tc.fresh {
					t.Errorf("the remedy names the wait: %t; %v", !tc.fresh, err)
				}
			})
		})
	}
}

// What is not outlasted ends with the refusal as without a wait, and the time waited.
func TestAccessThatDoesNotCome(t *testing.T) {
	waiting(t, time.Minute, func(t *testing.T, b *bench) {
		b.emulator.Revoke("", "", emulator.SetSecret)
		_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		e, ok := errors.AsType[*keyvault.Error](err)
		if !ok || e.Kind != refusal.Forbidden || e.Inner != "ForbiddenByRbac" ||
			!strings.HasSuffix(e.Cause, ": 403 Forbidden ForbiddenByRbac, after waiting 1m0s for access") ||
			strings.Contains(e.Remedy, "wait-for-access") {
			t.Errorf("Set: %v", err)
		}
		if sets := b.emulator.Requests()["set"]; sets != 13 {
			t.Errorf("%d sets; want one in 5 s", sets)
		}
	})
}

// A send in doubt is settled while access is waited for: what the service commits meanwhile is found, and not sent once
// more.
func TestDoubtIsSettledWhileAccessIsWaitedFor(t *testing.T) {
	waiting(t, 2*time.Minute, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Late, Delay: 6 * time.Second})
		refused := forbidden("set", "ForbiddenByRbac", 1)
		refused.Nth = 2
		b.emulator.Fault(refused)
		stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		if err != nil || len(stored.Duplicates) > 0 || b.count("a-secret") != 1 {
			t.Errorf("Set: %v, with %d versions; want one", err, b.count("a-secret"))
		}
		if sets := b.emulator.Requests()["set"]; sets != 2 || len(b.emulator.FaultLog()) != 2 {
			t.Errorf("%d sets; want the one in doubt and the one that was refused", sets)
		}
	})
}

// That a duplicate cannot be disabled is no reason to wait: the identity may lack the permission for good.
func TestDuplicatesAreNotWaitedFor(t *testing.T) {
	waiting(t, 10*time.Minute, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Late, Delay: 2550 * time.Millisecond})
		b.emulator.Fault(emulator.Fault{Operation: "set", Nth: 2, Kind: emulator.Slow, Delay: time.Second})
		start := time.Now()
		stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		if took := time.Since(start); err != nil || len(stored.Duplicates) != 1 || took > 10*time.Second {
			t.Errorf("Set: %v, %d duplicates after %s; want one in seconds", err, len(stored.Duplicates), took)
		}
	})
}

// A superseded version is disabled once the role that allows it is seen. A stop ends that wait at once, though a
// request in flight would outlive it.
func TestDisableIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		b := &bench{emulator: e, network: job.NewNetwork(e)}
		defer b.network.Close()
		ctx, cancel := context.WithCancel(t.Context())
		b.access = access.New(ctx, 10*time.Minute, func(string) {})
		b.Client = b.client(t, b.network, vaultName)
		id, err := e.Put(vaultName, "a-secret", emulator.Plant{})
		if err != nil {
			t.Fatal(err)
		}
		e.GrantLater(emulator.Delays{17 * time.Second}, "", vaultName, emulator.Update)
		start := time.Now()
		if err := b.Disable(ctx, "a-secret", id); err != nil || time.Since(start) != 20*time.Second {
			t.Errorf("Disable: %v after %s; want 20s", err, time.Since(start))
		}
		e.Revoke("", "", emulator.Update)
		time.AfterFunc(time.Second, cancel)
		if err := b.Disable(ctx, "a-secret", id); err == nil || time.Since(start) != 21*time.Second {
			t.Errorf("Disable: %v after %s; want a refusal after 21s", err, time.Since(start))
		}
	})
}
