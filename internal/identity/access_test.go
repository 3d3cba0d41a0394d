package identity_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/test/emulator"
)

// The refusals that a new credential or a new application shows are waited out, told by Entra's codes, with one token
// request in ten seconds. All others end as without the wait. Without it, the remedy of the first names it.
func TestAccessIsWaitedFor(t *testing.T) {
	for code, fresh := range map[string]bool{
		"70021": true, "70025": true, "700211": true, "700213": true, "7002137": true, "700016": true,
		"7000229": true,
		"700212":  false, "7002138": false, "700024": false, "90002": false, "53003": false, "7000112": false,
	} {
		t.Run(code, func(t *testing.T) {
			waiting(t, emulator.Options{}, 5*time.Minute, func(t *testing.T, e *emulator.Emulator,
				c *identity.Credential, lines *[]string) {
				e.Fault(aadsts(code, 12))
				start := time.Now()
				_, err := c.GetToken(t.Context(), vault)
				took, requests := time.Since(start), e.Requests()["token"]
				if fresh && (err != nil || took != 2*time.Minute || requests != 13 || e.Requests()["oidc"] != 13) {
					t.Errorf("GetToken: %v after %s and %d requests; want a token after 2m and 13", err, took, requests)
				}
				if !fresh && (err == nil || took > 10*time.Second || len(*lines) > 0) {
					t.Errorf("GetToken: %v after %s; want a refusal in seconds", err, took)
				}
				if n := len(*lines); fresh && (n != 7 || !strings.HasPrefix((*lines)[6], "access after 2m0s: Entra")) {
					t.Errorf("the log: %q", *lines)
				}
			})
			with(t, emulator.Options{}, func(t *testing.T, e *emulator.Emulator, c *identity.Credential) {
				e.Fault(aadsts(code, -1))
				_, err := c.GetToken(t.Context(), vault)
				const remedy = "; set wait-for-access: 10m, and timeout to more, to wait for what was made minutes ago"
				if err == nil || strings.HasSuffix(err.Error(), remedy) != fresh {
					t.Errorf("the remedy names the wait: %t; %v", !fresh, err)
				}
			})
		})
	}
}

// What else passes by itself is not tried faster either, once access is waited for.
func TestTransientFaultsWhileAccessIsWaitedFor(t *testing.T) {
	waiting(t, emulator.Options{}, 5*time.Minute, func(t *testing.T, e *emulator.Emulator, c *identity.Credential,
		_ *[]string) {
		e.Fault(aadsts("700213", 1))
		e.Fault(emulator.Fault{Operation: "token", Kind: emulator.Empty, Nth: 2, Times: 3})
		start := time.Now()
		_, err := c.GetToken(t.Context(), vault)
		if took, requests := time.Since(start), e.Requests()["token"]; err != nil || requests != 5 ||
			took != 40*time.Second {
			t.Errorf("GetToken: %v after %s and %d requests; want a token after 40s and 5", err, took, requests)
		}
	})
}

// What is not outlasted ends with the refusal, the time waited, and the same for all who ask. A stop ends it at once.
func TestAccessThatDoesNotCome(t *testing.T) {
	waiting(t, emulator.Options{}, time.Minute, func(t *testing.T, e *emulator.Emulator, c *identity.Credential,
		_ *[]string) {
		e.Fault(aadsts("700213", -1))
		start := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := c.GetToken(t.Context(), vault)
				refusal, ok := errors.AsType[*identity.Error](err)
				if !ok || !strings.HasSuffix(refusal.Cause, ": AADSTS700213, after waiting 1m0s for access") ||
					strings.Contains(refusal.Remedy, "wait-for-access") {
					t.Errorf("GetToken: %v", err)
				}
			})
		}
		wg.Wait()
		if took, requests := time.Since(start), e.Requests()["token"]; took != time.Minute || requests != 7 {
			t.Errorf("%d token requests in %s; want 7 in a minute", requests, took)
		}
	})
	waiting(t, emulator.Options{}, time.Hour, func(t *testing.T, e *emulator.Emulator, c *identity.Credential,
		_ *[]string) {
		e.Fault(aadsts("700213", -1))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _, _ = c.GetToken(ctx, vault) }() // it waits
		synctest.Wait()
		start, other := time.Now(), vault
		other.TenantID = "11111111-2222-3333-4444-555555555555"
		if _, err := c.GetToken(ctx, other); err == nil || time.Since(start) > 0 {
			t.Errorf("GetToken for another tenant's vault: %v after %s; want a refusal at once", err, time.Since(start))
		}
	})
	waiting(t, emulator.Options{}, time.Hour, func(t *testing.T, e *emulator.Emulator, c *identity.Credential,
		_ *[]string) {
		e.Fault(aadsts("700213", -1))
		ctx, cancel := context.WithTimeout(t.Context(), 14*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.GetToken(ctx, vault)
		if took := time.Since(start); err == nil ||
			!strings.Contains(err.Error(), "waited for a token; run the job again") ||
			took != 14*time.Second {
			t.Errorf("GetToken: %v after %s; want the stop after 14s", err, took)
		}
	})
}
