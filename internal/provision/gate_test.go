package provision_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"keyvault-passwords/internal/declaration"
	"keyvault-passwords/internal/keyvault"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
)

// denied is a vault's refusal, as keyvault explains it.
func denied(kind refusal.Kind, status int, inner string) error {
	return &keyvault.Error{
		Refusal: refusal.Refusal{Kind: kind, Cause: "seen by the vault", Remedy: "what to do", Trace: "request ID r1"},
		Status:  status, Code: "Some", Inner: inner,
	}
}

// What a vault refuses to every secret alike it is asked for once or twice, and all secrets have that refusal. What it
// refuses to one secret, the others do not.
func TestAClosedVaultIsAskedOnce(t *testing.T) {
	const many = 20
	for _, test := range []struct {
		when string
		at   string
		err  error
		fail func(nth int) bool // nil: always
		asks int                // at most
		ends int                // how many secrets have the refusal
	}{
		{"firewall, list", "versions", denied(refusal.Forbidden, 403, "ForbiddenByFirewall"), nil, 1, many},
		{"connection, list", "versions", denied(refusal.Forbidden, 403, "ForbiddenByConnection"), nil, 1, many},
		{"sign-in, list", "versions", denied(refusal.Identity, 0, ""), nil, 1, many},
		{"token, list", "versions", denied(refusal.Other, 401, ""), nil, 1, many},
		{"permission, list", "versions", denied(refusal.Forbidden, 403, "AccessDenied"), nil, 2, many},
		{"server error, list", "versions", denied(refusal.Other, 500, ""), nil, 2, many},
		{"one server error, list", "versions", denied(refusal.Other, 500, ""),
			func(nth int) bool { return nth == 1 }, many, 1},
		{"one server error of some, list", "versions", denied(refusal.Other, 500, ""),
			func(nth int) bool { return nth == 7 }, many, 1},
		{"no answer to one of some, list", "versions", denied(refusal.Unreachable, 0, ""),
			func(nth int) bool { return nth == 7 }, many, 1},
		{"refused to each, list", "versions", denied(refusal.Other, 400, ""), nil, many, many},
		{"firewall, set", "set", denied(refusal.Forbidden, 403, "ForbiddenByFirewall"), nil, 1, many},
		{"read-only, set", "set", denied(refusal.ReadOnly, 503, ""), nil, 1, many},
		{"permission, set", "set", denied(refusal.Forbidden, 403, "AccessDenied"), nil, 2, many},
		{"role, set", "set", denied(refusal.Forbidden, 403, "ForbiddenByRbac"), nil, many, many},
		{"policy, set", "set", denied(refusal.Forbidden, 403, "ForbiddenByPolicy"), nil, many, many},
		{"not known, set", "set", denied(refusal.Ambiguous, 503, ""), nil, many, many},
		{"read-only in the middle, set", "set", denied(refusal.ReadOnly, 503, ""),
			func(nth int) bool { return nth > 10 }, 15, 0},
	} {
		t.Run(test.when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kv := newVault("kv", atToday)
				nth := 0
				kv.before = func(_ context.Context, operation, _ string) error {
					if operation != test.at {
						return nil
					}
					kv.mu.Lock()
					nth++
					n := nth
					kv.mu.Unlock()
					if test.fail == nil || test.fail(n) {
						return test.err
					}
					return nil
				}
				var secrets []declaration.Secret
				for i := range many {
					secrets = append(secrets, secret(fmt.Sprintf("s%d", i)))
				}
				refused, stored := 0, 0
				for _, r := range apply(t, secrets, map[string]provision.Vault{"kv": kv},
					provision.Options{Mode: ensure, Concurrency: 4}) {
					e, ok := errors.AsType[refusal.Refusal](r.Err)
					if ok && e.Cause == "seen by the vault" && e.Remedy == "what to do" {
						refused++
					}
					if r.Err == nil {
						stored++
					}
				}
				if test.ends > 0 && refused != test.ends || refused+stored != many {
					t.Errorf("%d refused, %d stored; want %d and the rest", refused, stored, test.ends)
				}
				if kv.calls[test.at] > test.asks {
					t.Errorf("%d requests; want at most %d", kv.calls[test.at], test.asks)
				}
			})
		})
	}
}

// One vault's refusal is no other vault's.
func TestTheOtherVaultGoesOn(t *testing.T) {
	eu, us := newVault("eu", atToday), newVault("us", atToday)
	eu.before = func(_ context.Context, operation, _ string) error {
		if operation == "set" {
			return denied(refusal.ReadOnly, 503, "")
		}
		return nil
	}
	results := apply(t, []declaration.Secret{secret("a", "eu", "us"), secret("b", "eu"), secret("c", "us")},
		map[string]provision.Vault{"eu": eu, "us": us}, provision.Options{Mode: ensure})
	for _, r := range results {
		if (r.Err == nil) != (r.Step.Vault == "us") {
			t.Errorf("%s in %s: %v", r.Step.Name, r.Step.Vault, r.Err)
		}
	}
	if eu.calls["set"] != 1 {
		t.Errorf("%d sets in the read-only vault; want 1", eu.calls["set"])
	}
}
