package keyvault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/google/go-cmp/cmp"
	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/keyvault"

	"keyvault-passwords/internal/lifecycle"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/runner"
	"keyvault-passwords/internal/sensitive"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// A bench is a client of one vault of an emulator, in a bubble where waiting costs nothing.
type bench struct {
	*keyvault.Client
	emulator *emulator.Emulator
	network  *job.Network
	access   *access.Wait // nil: none
	notes    []string
}

const vaultName = "kv-example"

// with runs f in a bubble with a vault.
func with(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	withOptions(t, emulator.Options{}, vaultName, f)
}

func withOptions(t *testing.T, o emulator.Options, vault string, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(o)
		b := &bench{emulator: e, network: job.NewNetwork(e)}
		defer b.network.Close()
		b.Client = b.client(t, b.network, vault)
		f(t, b)
	})
}

// client returns a client of that vault, as the identity that the emulator trusts, over that transport.
func (b *bench) client(t *testing.T, transport http.RoundTripper, vault string) *keyvault.Client {
	t.Helper()
	client := network.NewClient(transport, nil)
	r := runner.New(b.emulator.Getenv, t.Output(), client)
	credential, err := identity.New(identity.Config{
		Cloud: azure.Public(), TenantID: emulator.DefaultTenant, ClientID: emulator.DefaultClient,
		Audience: azure.Public().Audience, IDToken: r.IDToken, HTTP: client,
	})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	note := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		b.notes = append(b.notes, text)
	}
	kv, err := keyvault.New(keyvault.Config{
		Name: vault, Domain: "vault.azure.net", Credential: credential, HTTP: client, Note: note,
		ClientID: emulator.DefaultClient, Recovers: true, Access: b.access,
	})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

func newVersion(operation string) keyvault.NewVersion {
	return keyvault.NewVersion{
		Value: sensitive.New([]byte("value-of-" + operation)),
		Tags:  map[string]string{lifecycle.TagOperation: operation, "generated-by": "keyvault-passwords"},
	}
}

// mustSet sets a secret that nothing keeps from being set.
func (b *bench) mustSet(t *testing.T, name string) {
	t.Helper()
	if _, err := b.Set(t.Context(), name, newVersion(name)); err != nil {
		t.Errorf("Set: %v", err)
	}
}

// isKind reports whether err is the client's, of that kind.
func isKind(err error, kind refusal.Kind) bool {
	e, ok := errors.AsType[*keyvault.Error](err)
	return ok && e.Kind == kind
}

// throttled is an answer of 429.
func throttled(operation, retryAfter string, times int) emulator.Fault {
	return emulator.Fault{
		Operation: operation, Kind: emulator.Status, Times: times,
		Status: 429, Code: "Throttled", RetryAfter: retryAfter,
	}
}

// forbidden is an answer of 403.
func forbidden(operation, inner string, times int) emulator.Fault {
	return emulator.Fault{
		Operation: operation, Kind: emulator.Status, Status: 403, Code: "Forbidden", Inner: inner, Times: times,
	}
}

// count returns how many versions the emulator holds of a secret.
func (b *bench) count(name string) (versions int) {
	for _, h := range b.emulator.Holds() {
		if h.Name == name {
			versions++
		}
	}
	return versions
}

// Whatever happens to one answer, one operation makes one version.
func TestOneOperationMakesOneVersion(t *testing.T) {
	for _, fault := range []emulator.Fault{
		{},
		{Kind: emulator.Cut, Phase: emulator.Before},
		{Kind: emulator.Cut, Phase: emulator.After},
		{Kind: emulator.Status, Phase: emulator.Before, Status: 503},
		{Kind: emulator.Status, Phase: emulator.After, Status: 503},
		{Kind: emulator.Status, Phase: emulator.After, Status: 500},
		{Kind: emulator.Status, Phase: emulator.After, Status: 408},
		{Kind: emulator.Status, Status: 429, Code: "Throttled"},
		{Kind: emulator.Status, Status: 429, Code: "Throttled", RetryAfter: "7"},
		{Kind: emulator.Truncated, Phase: emulator.After},
		{Kind: emulator.NoBody, Phase: emulator.After},
		{Kind: emulator.Empty, Phase: emulator.After},
		{Kind: emulator.BigBody, Phase: emulator.After},
		{Kind: emulator.BigHeaders, Phase: emulator.After},
		{Kind: emulator.Slow, Phase: emulator.After, Delay: time.Minute},
		{Kind: emulator.StaleToken},
		{Kind: emulator.Status, Status: 409, Code: "Conflict", Inner: "ObjectIsBeingDeleted"},
		{Kind: emulator.Status, Status: 409, Code: "Conflict", Inner: "ObjectIsBeingRecovered"},
	} {
		t.Run(fmt.Sprintf("%s %d phase %d", fault.Kind, fault.Status, fault.Phase), func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				if fault.Kind != "" {
					fault.Operation = "set"
					b.emulator.Fault(fault)
				}
				stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
				if err != nil {
					t.Fatalf("Set: %v", err)
				}
				if got := b.count("a-secret"); got != 1 || len(stored.Duplicates) > 0 {
					t.Errorf("%d versions, %d duplicates reported; want 1 and none", got, len(stored.Duplicates))
				}
				if held := b.emulator.Holds()[0]; held.Version != stored.Version {
					t.Errorf("Set reports another version than the vault holds")
				}
				if fault.Kind != "" && len(b.emulator.FaultLog()) != 1 {
					t.Errorf("the fault fired %d times; want once", len(b.emulator.FaultLog()))
				}
			})
		})
	}
}

// A send that is committed after it was looked for is a duplicate of the same value: it is reported, and disabled
// where the identity may.
func TestLateCommitIsReportedAndDisabled(t *testing.T) {
	for _, may := range []bool{false, true} {
		t.Run(fmt.Sprintf("update allowed %t", may), func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				if may {
					b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Update)
				}
				b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Late, Delay: 2550 * time.Millisecond})
				b.emulator.Fault(emulator.Fault{Operation: "set", Nth: 2, Kind: emulator.Slow, Delay: time.Second})
				stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
				if err != nil {
					t.Fatalf("Set: %v", err)
				}
				if got := b.count("a-secret"); got != 2 || len(stored.Duplicates) != 1 {
					t.Fatalf("%d versions, %d duplicates reported; want 2 and 1", got, len(stored.Duplicates))
				}
				for _, h := range b.emulator.Holds() {
					if want := h.Version == stored.Version || !may; h.Enabled != want {
						t.Errorf("version enabled: %t; want %t", h.Enabled, want)
					}
				}
				if !may && len(b.notes) == 0 {
					t.Error("nothing says that the duplicate could not be disabled")
				}
			})
		})
	}
}

// A vault that stays silent ends in an error that says that the end is not known, and names the operation.
func TestAmbiguousEndIsSaid(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
			t.Fatal(err)
		}
		b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Cut, Phase: emulator.Before, Times: -1})
		_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		if !isKind(err, refusal.Ambiguous) || !strings.Contains(err.Error(), "operation=op1") {
			t.Fatalf("Set: %v; want an ambiguous end that names the operation", err)
		}
		if sets := b.emulator.Requests()["set"]; sets != 4 {
			t.Errorf("the value was sent %d times; want 4", sets)
		}
	})
}

// The service takes 300 creates in any 10 s and answers 429 above; 600 secrets never see one, and end in 23 s.
func TestPaceStaysWithinTheLimit(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		if _, err := b.Versions(t.Context(), "warm-up"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var wg sync.WaitGroup
		work := make(chan int)
		for range 8 {
			wg.Go(func() {
				for i := range work {
					b.mustSet(t, fmt.Sprintf("secret-%d", i))
				}
			})
		}
		for i := range 600 {
			work <- i
			if i == 269 && time.Since(start) > time.Second {
				t.Errorf("the first 270 took %s; want full speed", time.Since(start))
			}
		}
		close(work)
		wg.Wait()
		if took := time.Since(start); took < 20*time.Second || took > 23*time.Second {
			t.Errorf("600 sets took %s of the vault's time; want 20 to 23 s", took)
		}
		if throttled := b.emulator.Requests()["throttled"]; throttled != 0 || len(b.notes) > 0 {
			t.Errorf("%d requests were throttled (%v); want none", throttled, b.notes)
		}
	})
}

// Retry-After is honoured in each spelling; without one the waits are 1, 2, 4, 8, 16 s.
func TestThrottledWaits(t *testing.T) {
	for _, tc := range []struct {
		name       string
		retryAfter string
		times      int
		want       time.Duration
	}{
		{"none", "", 5, 31 * time.Second},
		{"seconds", "7", 2, 14 * time.Second},
		{"over a minute", "61", 1, 61 * time.Second},
		{"no time at all", "0", 5, 31 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
					t.Fatal(err)
				}
				b.emulator.Fault(throttled("set", tc.retryAfter, tc.times))
				start := time.Now()
				if _, err := b.Set(t.Context(), "a-secret", newVersion("op1")); err != nil {
					t.Fatalf("Set: %v", err)
				}
				if took := time.Since(start); took < tc.want || took > tc.want+time.Second {
					t.Errorf("Set took %s; want %s", took, tc.want)
				}
				if lists := b.emulator.Requests()["versions"]; lists != 1+tc.times {
					t.Errorf("%d lists; want the warm-up, and one before each further send", lists)
				}
			})
		})
	}
}

// A vault is never asked on a host that it names itself, is not redirected, and cannot go on for ever.
func TestHostileAnswers(t *testing.T) {
	for _, tc := range []struct {
		name      string
		operation string
		kind      emulator.Kind
		want      string
	}{
		{"foreign nextLink", "versions", emulator.ForeignLink, "pointed to another host"},
		{"endless pages", "versions", emulator.Endless, "longer than this action reads"},
		{"redirect", "versions", emulator.Redirect, "redirect, which is not followed"},
		{"malformed challenge", "challenge", emulator.BadChallenge, "not what Key Vault documents"},
		{"commands in an error", "versions", emulator.Injection, "does not accept the request"},
		{"an answer without a list", "versions", emulator.Empty, "not what Key Vault documents"},
		{"oversized", "versions", emulator.BigBody, "too large to be Key Vault's"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				for i := range 30 {
					b.plant(t, "a-secret", map[string]string{"n": fmt.Sprint(i)})
				}
				b.emulator.Fault(emulator.Fault{Operation: tc.operation, Kind: tc.kind, Times: -1})
				_, err := b.Versions(t.Context(), "a-secret")
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("Versions: %v; want an error with %q", err, tc.want)
				}
				if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
					t.Error("the error has line breaks")
				}
				if n := b.emulator.Hosts()["elsewhere.vault.azure.net"]; n != 0 {
					t.Errorf("the other host was asked %d times", n)
				}
			})
		})
	}
}

// A redirect of a set is not followed: it would carry the value to another host.
func TestSetIsNotRedirected(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		b.emulator.AddVault(emulator.VaultOptions{Name: "elsewhere"})
		b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Redirect, Times: -1})
		_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		if err == nil || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("Set: %v; want a refusal to follow", err)
		}
		if n := b.emulator.Hosts()["elsewhere.vault.azure.net"]; n != 0 {
			t.Errorf("the other host was asked %d times", n)
		}
	})
}

// After a stop nothing new is sent; what is out is ended or looked up within the grace.
func TestStop(t *testing.T) {
	t.Run("before it was sent", func(t *testing.T) {
		with(t, func(t *testing.T, b *bench) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := b.Set(ctx, "a-secret", newVersion("op1"))
			if !isKind(err, refusal.Cancelled) || b.count("a-secret") != 0 {
				t.Errorf("Set: %v with %d versions; want it cancelled and none", err, b.count("a-secret"))
			}
		})
	})
	for _, tc := range []struct {
		name  string
		fault emulator.Fault
		lists int // the warm-up, and the looks for what was not answered
	}{
		{"while the answer is slow", emulator.Fault{Operation: "set", Kind: emulator.Slow, Delay: 2 * time.Second}, 1},
		{
			"while the answer never comes",
			emulator.Fault{Operation: "set", Kind: emulator.Slow, Phase: emulator.After, Delay: time.Hour},
			2,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
					t.Fatal(err)
				}
				b.emulator.Fault(tc.fault)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				stored, err := b.Set(ctx, "a-secret", newVersion("op1"))
				if err != nil || stored.Version == "" {
					t.Errorf("Set: %v; want the version that was stored", err)
				}
				if lists := b.emulator.Requests()["versions"]; lists != tc.lists {
					t.Errorf("%d lists; want %d", lists, tc.lists)
				}
				if took := time.Since(start); took > 6*time.Second {
					t.Errorf("Set took %s after the stop; want at most 6 s", took)
				}
			})
		})
	}
	t.Run("while it is throttled", func(t *testing.T) {
		with(t, func(t *testing.T, b *bench) {
			b.emulator.Fault(throttled("set", "60", -1))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			_, err := b.Set(ctx, "a-secret", newVersion("op1"))
			if !isKind(err, refusal.Cancelled) || time.Since(start) > 2*time.Second {
				t.Errorf("Set: %v after %s; want it cancelled at once", err, time.Since(start))
			}
		})
	})
}

// A set that waits for its turn, or for a token, is not sent after a stop, though one that was sent would be answered.
func TestNothingIsSentAfterAStop(t *testing.T) {
	cancelled := func(t *testing.T, b *bench, ctx context.Context, name string) {
		t.Helper()
		before := b.emulator.Requests()["set"]
		_, err := b.Set(ctx, name, newVersion(name))
		if !isKind(err, refusal.Cancelled) {
			t.Errorf("Set: %v; want it cancelled", err)
		}
		if end, _ := ctx.Deadline(); time.Since(end) > 3*time.Second {
			t.Errorf("Set went on for %s after the stop; want it to end", time.Since(end))
		}
		time.Sleep(time.Minute)
		if sent := b.emulator.Requests()["set"] - before; sent != 0 || b.count(name) != 0 {
			t.Errorf("%d requests were sent, and the vault holds %d versions; want none", sent, b.count(name))
		}
	}
	t.Run("while it waits for its turn", func(t *testing.T) {
		with(t, func(t *testing.T, b *bench) {
			if _, err := b.Versions(t.Context(), "warm-up"); err != nil {
				t.Fatal(err)
			}
			first := time.Now()
			for i := range 270 {
				b.mustSet(t, fmt.Sprintf("secret-%d", i))
			}
			ctx, cancel := context.WithDeadline(t.Context(), first.Add(9*time.Second)) // a second before its turn
			defer cancel()
			cancelled(t, b, ctx, "one-too-many")
		})
	})
	t.Run("while the vault is paused", func(t *testing.T) {
		with(t, func(t *testing.T, b *bench) {
			b.emulator.Fault(throttled("versions", "10", 1))
			go func() { _, _ = b.Versions(t.Context(), "another") }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
			defer cancel()
			cancelled(t, b, ctx, "a-secret")
		})
	})
	t.Run("while it waits for a token", func(t *testing.T) {
		with(t, func(t *testing.T, b *bench) {
			b.emulator.Fault(emulator.Fault{Operation: "token", Kind: emulator.Slow, Delay: 2 * time.Second})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			cancelled(t, b, ctx, "a-secret")
		})
	})
}

// A name that does not resolve is told at once, not after four tries.
func TestNoSuchVault(t *testing.T) {
	withOptions(t, emulator.Options{}, "kv-exmaple", func(t *testing.T, b *bench) {
		_, err := b.Versions(t.Context(), "a-secret")
		const want = "there is no host kv-exmaple.vault.azure.net"
		if !isKind(err, refusal.Unreachable) || !strings.Contains(err.Error(), want) {
			t.Errorf("Versions: %v; want it to say that there is no such host", err)
		}
	})
}

// The vault's clock is read off its answers.
func TestNowIsTheVaults(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		b.emulator.Advance(100 * 24 * time.Hour)
		b.Client = b.client(t, b.network, vaultName) // of a new job: the first one's token has expired
		if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
			t.Fatal(err)
		}
		if off := b.Now().Sub(b.emulator.Now()).Abs(); off > time.Second {
			t.Errorf("Now is %s off the vault's clock", off)
		}
	})
}

// An explanation never holds what the vault said, and every refusal names the act, the vault and what to do.
func TestRefusalsAreExplained(t *testing.T) {
	for inner, want := range map[string]string{
		"ForbiddenByRbac": "no role here", "ForbiddenByPolicy": "access policies", "AccessDenied": "access policies",
		"ForbiddenByFirewall": "firewall", "ForbiddenByConnection": "private endpoint",
		"ObjectIsDeletedButRecoverable": "soft-deleted", "Unheard": "Azure Policy",
	} {
		t.Run(inner, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				status := 403
				if strings.HasPrefix(inner, "Object") {
					status = 409
				}
				fault := forbidden("set", inner, -1)
				fault.Status, fault.Message = status, "canary-of-the-body"
				b.emulator.Fault(fault)
				_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
					t.Fatalf("Set: %v; want %q and nothing of the body", err, want)
				}
				for _, part := range []string{"setting secret a-secret in vault kv-example: ", inner, "; "} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q is not in: %v", part, err)
					}
				}
				if refusal, ok := errors.AsType[*azcore.ResponseError](err); ok {
					t.Errorf("the SDK's error, which prints the body, can be reached: %d", refusal.StatusCode)
				}
			})
		})
	}
}

// A refusal for want of a permission names what the act needs, whatever the act, in the words of the vault's model: a
// data action where it uses roles, a permission where it uses access policies. Only there is set-policy offered, since
// it fails in the other vaults, with all that the run needs, since it replaces what is there.
func TestRemediesOfPermissions(t *testing.T) {
	ctx := context.Background()
	const lacks = "The user, group or application 'appid=x' does not have secrets list permission on key vault 'kv'."
	for operation, tc := range map[string]struct {
		ask        func(b *bench) error
		dataAction string
		permission string
	}{
		"set": {func(b *bench) error {
			_, err := b.Set(ctx, "a-secret", newVersion("op1"))
			return err
		}, "setSecret", "set"},
		"versions": {func(b *bench) error {
			_, err := b.Versions(ctx, "a-secret")
			return err
		}, "readMetadata", "list"},
		"list": {func(b *bench) error {
			_, _, err := b.Current(ctx, "a-secret")
			return err
		}, "readMetadata", "list"},
		"list-deleted": {func(b *bench) error {
			_, err := b.Deleted(ctx)
			return err
		}, "readMetadata", "list"},
		"update": {func(b *bench) error {
			return b.Disable(ctx, "a-secret", strings.Repeat("a", 32))
		}, "update", "set"},
		"recover": {func(b *bench) error { return b.Recover(ctx, "a-secret") }, "recover", "recover"},
	} {
		setPolicy := "az keyvault set-policy --name kv-example --spn " + emulator.DefaultClient +
			" --secret-permissions set list recover; this replaces"
		dataAction := "Microsoft.KeyVault/vaults/secrets/" + tc.dataAction + "/action"
		const assign = "az role assignment create --assignee " + emulator.DefaultClient
		const declare, permission = "declare expires and content-type", "the secret permission "
		for _, when := range []struct {
			inner, message string
			accessPolicies bool // of the vault
			declares       bool // the remedy of a set
			want, not      []string
		}{
			{"ForbiddenByRbac", "", false, false, []string{dataAction, assign}, []string{"set-policy"}},
			{"AccessDenied", lacks, true, false, []string{setPolicy}, []string{dataAction}},
			{"ForbiddenByPolicy", lacks, true, false, []string{setPolicy}, []string{dataAction}},
			{"ForbiddenByPolicy", "", false, true, []string{"Policy compliance"}, []string{"set-policy", permission}},
			{"ForbiddenByPolicy", "", true, true, []string{permission + tc.permission}, []string{"set-policy", "role"}},
			{"Unheard", "", false, true, []string{dataAction}, []string{"set-policy"}},
			{"", "", false, true, []string{dataAction}, []string{"set-policy"}},
		} {
			t.Run(fmt.Sprint(operation, " ", when.inner, " ", when.message, when.accessPolicies), func(t *testing.T) {
				with(t, func(t *testing.T, b *bench) {
					b.emulator.AddVault(emulator.VaultOptions{Name: vaultName, AccessPolicy: when.accessPolicies})
					b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.SetSecret, emulator.ReadMetadata)
					if operation != "versions" {
						_, _ = b.Versions(ctx, "a-secret") // a run has looked before it does anything else
					} else if _, err := b.Deleted(ctx); err != nil {
						t.Fatal(err)
					}
					fault := forbidden(operation, when.inner, -1)
					fault.Message = when.message
					b.emulator.Fault(fault)
					e, ok := errors.AsType[*keyvault.Error](tc.ask(b))
					if !ok || e.Kind != refusal.Forbidden || strings.ContainsAny(e.Remedy, "{}") {
						t.Fatalf("got %+v; want a refusal", e)
					}
					declares := strings.Contains(e.Remedy, declare)
					if declares != (when.declares && operation == "set") {
						t.Errorf("got %v; want it to say %q: %t", e, declare, !declares)
					}
					for _, part := range when.want {
						if !strings.Contains(e.Remedy, part) {
							t.Errorf("got %v; want %q in the remedy", e, part)
						}
					}
					for _, part := range when.not {
						if strings.Contains(e.Remedy, part) {
							t.Errorf("got %v; want no %q in the remedy", e, part)
						}
					}
				})
			})
		}
	}
}

// The remedy of a status is one for what was asked: a list has no value that could be too large.
func TestRemedyFitsTheAct(t *testing.T) {
	ctx := context.Background()
	set := func(b *bench) error {
		_, err := b.Set(ctx, "a-secret", newVersion("op1"))
		return err
	}
	versions := func(b *bench) error {
		_, err := b.Versions(ctx, "a-secret")
		return err
	}
	disable := func(b *bench) error { return b.Disable(ctx, "a-secret", strings.Repeat("a", 32)) }
	const size, news, meanwhile = "size of the value", "300 new versions", "deleted it meanwhile"
	for _, tc := range []struct {
		operation string
		ask       func(b *bench) error
		status    int
		code      string
		want, not string
	}{
		{"set", set, 400, "BadParameter", size, "look up"},
		{"versions", versions, 400, "BadParameter", "look up the code", size},
		{"update", disable, 400, "BadParameter", "look up the code", size},
		{"set", set, 429, "Throttled", news, "4,000"},
		{"versions", versions, 429, "Throttled", "4,000 requests", news},
		{"update", disable, 404, "SecretNotFound", meanwhile, "vault's name"},
	} {
		t.Run(fmt.Sprint(tc.operation, " ", tc.status), func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				b.emulator.Fault(emulator.Fault{
					Operation: tc.operation, Kind: emulator.Status, Status: tc.status, Code: tc.code, Times: -1,
				})
				e, ok := errors.AsType[*keyvault.Error](tc.ask(b))
				if !ok || !strings.Contains(e.Remedy, tc.want) || strings.Contains(e.Remedy, tc.not) {
					t.Errorf("got %+v; want a refusal with %q and no %q in its remedy", e, tc.want, tc.not)
				}
			})
		})
	}
}

// Facts of a known shape are told from a message that is otherwise never printed.
func TestFactsOfAMessage(t *testing.T) {
	const firewall, policy, role = "ForbiddenByFirewall", "ForbiddenByPolicy", "ForbiddenByRbac"
	const vault = "/subscriptions/2b0942f3-9bca-484b-a508-abdae2db5e64/resourcegroups/a-rg/providers/" +
		"microsoft.keyvault/vaults/kv-example"
	const shown = `--scope "$(az keyvault show --name kv-example --query id --output tsv)"`
	for _, tc := range []struct {
		inner, message string
		want           string // "": nothing of the message
	}{
		{firewall, "Client address: 203.0.113.7\r\nCaller: canary", "(203.0.113.7, as the vault saw it)"},
		{firewall, "Client address: 2001:db8::7\r\nCaller: canary", "(2001:db8::7, as the vault saw it)"},
		{firewall, "Client address: ::ffff:203.0.113.7, canary", "(203.0.113.7, as the vault saw it)"},
		{firewall, "Client address: 203.0.113.7:4711\ncanary", "(203.0.113.7, as the vault saw it)"},
		{firewall, "Client address: [2001:db8::7]:4711\ncanary", "(2001:db8::7, as the vault saw it)"},
		{firewall, "Client address: fe80::1%canary\r\n", "(fe80::1, as the vault saw it)"},
		{firewall, "Client address: canary\r\n", ""},
		{firewall, "Client address: 203.0.113.256 canary\r\n", ""},
		{firewall, "Client address: ", ""},
		{firewall, "canary", ""},
		{policy, "Operation was disallowed by policy: Secrets should have content type set.",
			"an Azure Policy forbids it (Secrets should have content type set)"},
		{policy, "Operation was disallowed by policy: Secrets should expire. canary",
			"an Azure Policy forbids it (Secrets should expire)"},
		{policy, "Resource 'x' was disallowed by policy 'No 1.5-year secrets'. canary",
			"an Azure Policy forbids it (No 1.5-year secrets)"},
		{"", `{"policyDefinitionDisplayName":"[Preview]: Secrets should expire","canary":1}`,
			"an Azure Policy forbids it ([Preview]: Secrets should expire)"},
		{policy, "disallowed by policy: canary-canary-canary-cana", ""},
		{policy, "disallowed by policy: ::add-mask::canary", ""},
		{policy, "disallowed by policy: <b>canary</b>", ""},
		{policy, "disallowed by policy: " + strings.Repeat("canary ", 30), ""},
		{role, "Resource: '" + vault + "/secrets/x'\r\ncanary", `--scope "` + vault + `"`},
		{role, "Resource: '" + vault + "-canary'", shown},
		{role, "canary", shown},
	} {
		for _, operation := range []string{"set", "versions"} {
			t.Run(operation+" "+tc.message, func(t *testing.T) {
				with(t, func(t *testing.T, b *bench) {
					fault := forbidden(operation, tc.inner, -1)
					fault.Message = tc.message
					b.emulator.Fault(fault)
					_, err := b.Versions(t.Context(), "a-secret")
					if err == nil {
						_, err = b.Set(t.Context(), "a-secret", newVersion("op1"))
					}
					told := fmt.Sprint(err)
					if !strings.Contains(told, tc.want) || strings.Contains(told, "canary") {
						t.Errorf("got %v; want %q and no more of the message", err, tc.want)
					}
				})
			})
		}
	}
}

// What is refused to every secret of the vault is told from what may be refused to one, and from what one answer does
// not prove.
func TestWholeVault(t *testing.T) {
	const one, likely, whole = 0, 1, 2
	status := func(operation string, status int) emulator.Fault {
		return emulator.Fault{Operation: operation, Kind: emulator.Status, Status: status, Times: -1}
	}
	readOnly := status("set", 503)
	readOnly.Message = "Operation \"SecretSet\" is unavailable: the service is currently in a read-only state."
	for _, tc := range []struct {
		name  string
		fault emulator.Fault
		want  int
	}{
		{"no answer", emulator.Fault{Operation: "versions", Kind: emulator.Cut, Times: -1}, whole},
		{"no token", emulator.Fault{Operation: "token", Kind: emulator.Status, Code: "AADSTS700016", Times: -1}, whole},
		{"token not accepted", emulator.Fault{Operation: "versions", Kind: emulator.StaleToken, Times: -1}, whole},
		{"list behind a firewall", forbidden("versions", "ForbiddenByFirewall", -1), whole},
		{"list by another connection", forbidden("versions", "ForbiddenByConnection", -1), whole},
		{"list without a role", forbidden("versions", "ForbiddenByRbac", -1), likely},
		{"list without a permission", forbidden("versions", "AccessDenied", -1), likely},
		{"list forbidden by a policy", forbidden("versions", "ForbiddenByPolicy", -1), likely},
		{"list unavailable", status("versions", 503), likely},
		{"list refused", status("versions", 400), one},
		{"set behind a firewall", forbidden("set", "ForbiddenByFirewall", -1), whole},
		{"set by another connection", forbidden("set", "ForbiddenByConnection", -1), whole},
		{"set while read-only", readOnly, whole},
		{"set without a permission", forbidden("set", "AccessDenied", -1), likely},
		{"set without a role", forbidden("set", "ForbiddenByRbac", -1), one},
		{"set forbidden by a policy", forbidden("set", "ForbiddenByPolicy", -1), one},
		{"set unavailable", status("set", 503), one}, // each may have been stored
		{"set refused", status("set", 400), one},
	} {
		t.Run(tc.name, func(t *testing.T) {
			with(t, func(t *testing.T, b *bench) {
				b.emulator.Fault(tc.fault)
				_, err := b.Versions(t.Context(), "a-secret")
				if err == nil {
					_, err = b.Set(t.Context(), "a-secret", newVersion("op1"))
				}
				e, ok := errors.AsType[*keyvault.Error](err)
				if !ok || e.WholeVault() != (tc.want == whole) ||
					!e.WholeVault() && e.MostLikelyWholeVault() != (tc.want == likely) {
					t.Errorf("got %v; want it to concern the whole vault: %d", err, tc.want)
				}
			})
		})
	}
}

// A vault that says that it is read-only stores nothing: the value is sent once, and nothing is searched for.
func TestReadOnly(t *testing.T) {
	for _, state := range []string{"a read-only state", "read only mode"} {
		with(t, func(t *testing.T, b *bench) {
			if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
				t.Fatal(err)
			}
			b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Update, emulator.Recover)
			for _, operation := range []string{"set", "update", "recover"} {
				b.emulator.Fault(emulator.Fault{
					Operation: operation, Kind: emulator.Status, Status: 503, Code: "ServiceUnavailable", Times: -1,
					Message: "Operation \"SecretSet\" is unavailable: the service is currently in " + state + ".",
				})
			}
			start := time.Now()
			_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
			told := fmt.Sprint(err)
			if !isKind(err, refusal.ReadOnly) ||
				!strings.Contains(told, "not stored: the vault is read-only because its region has failed over") ||
				!strings.Contains(told, "run the job again later") || strings.Contains(told, "SecretSet") {
				t.Errorf("Set: %v; want it said that the vault is read-only, in words of its own", err)
			}
			if err := b.Disable(t.Context(), "a-secret", strings.Repeat("a", 32)); !isKind(err, refusal.ReadOnly) {
				t.Errorf("Disable: %v; want it said that the vault is read-only", err)
			}
			if err := b.Recover(t.Context(), "a-secret"); !isKind(err, refusal.ReadOnly) {
				t.Errorf("Recover: %v; want it said that the vault is read-only", err)
			}
			n := b.emulator.Requests()
			if n["set"] != 1 || n["update"] != 1 || n["recover"] != 1 || n["versions"] != 1 {
				t.Errorf("%v; want each once, and no search", n)
			}
			if time.Since(start) > 100*time.Millisecond {
				t.Errorf("it took %s; want no wait", time.Since(start))
			}
		})
	}
}

// A version without the tag of its operation could not be found again: it is not sent.
func TestSetNeedsTheOperationsTag(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		_, err := b.Set(t.Context(), "a-secret", keyvault.NewVersion{Value: sensitive.New([]byte("value"))})
		if err == nil || !strings.Contains(err.Error(), "no tag operation") || b.count("a-secret") != 0 {
			t.Errorf("Set: %v; want a refusal", err)
		}
	})
}

// Lists are read to their end, over pages of 25 and short pages.
func TestListsAreWhole(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		for i := range 60 {
			b.plant(t, "a-secret", map[string]string{"n": fmt.Sprint(i)})
		}
		b.plant(t, "Another", map[string]string{"of": "another"})
		b.emulator.Fault(emulator.Fault{Operation: "versions", Kind: emulator.ShortPage, Nth: 2})
		versions, err := b.Versions(t.Context(), "A-Secret")
		if err != nil || len(versions) != 60 {
			t.Fatalf("Versions: %d, %v; want 60", len(versions), err)
		}
		seen := map[string]bool{}
		for _, v := range versions {
			seen[v.Tags["n"]] = true
		}
		if len(seen) != 60 {
			t.Errorf("%d different versions; want 60", len(seen))
		}
		tags, there, err := b.Current(t.Context(), "another")
		if err != nil || !there || tags["of"] != "another" {
			t.Errorf("Current: %v, %t, %v; want the tags of another", tags, there, err)
		}
		if _, there, err := b.Current(t.Context(), "absent"); there || err != nil {
			t.Errorf("Current of an absent secret: %t, %v", there, err)
		}
		if versions, err := b.Versions(t.Context(), "absent"); len(versions) != 0 || err != nil {
			t.Errorf("Versions of an absent secret: %d, %v; want none and no error", len(versions), err)
		}
	})
}

// The list of secrets has every one with its current version's attributes, whoever manages it, and the list of
// soft-deleted ones has dates.
func TestSecretsAreListed(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		expires := b.emulator.Now().Add(time.Hour).Truncate(time.Second)
		for i := range 60 {
			name := fmt.Sprintf("Secret-%d", i)
			b.plant(t, name, map[string]string{"old": "yes"})
			if _, err := b.emulator.Put(vaultName, name, emulator.Plant{
				Expires: expires, Managed: i == 7, Disabled: i == 8, Tags: map[string]string{"n": fmt.Sprint(i)},
				ContentType: "text", Created: b.emulator.Now().Add(time.Second),
			}); err != nil {
				t.Fatal(err)
			}
		}
		b.plant(t, "Gone", nil)
		if err := b.emulator.Remove(vaultName, "gone"); err != nil {
			t.Fatal(err)
		}
		b.emulator.Fault(emulator.Fault{Operation: "list", Kind: emulator.ShortPage, Nth: 2})
		last := 0
		listed, err := b.Secrets(t.Context(), func(reached int) { last = reached })
		if err != nil || len(listed) != 60 || last == 0 || last > 60 {
			t.Fatalf("Secrets: %d, %v, reached %d; want 60", len(listed), err, last)
		}
		for _, s := range listed {
			v, n := s.Version, strings.TrimPrefix(s.Name, "Secret-")
			if v.Tags["n"] != n || v.ID != "" || !v.Expires.Equal(expires) || v.Managed != (n == "7") ||
				v.Enabled != (n != "8") || v.ContentType != "text" || v.Created.IsZero() {
				t.Errorf("%s: %+v", s.Name, v)
			}
		}
		deleted, err := b.Deleted(t.Context())
		d := deleted["gone"]
		if err != nil || d.Name != "Gone" || d.Deleted.IsZero() || d.Purge.Sub(d.Deleted) != 90*24*time.Hour {
			t.Errorf("Deleted: %+v, %v", d, err)
		}
	})
}

// Of a list that ends early, what was read is returned with the error; and more versions than are read are told as
// that.
func TestListsThatEndEarly(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		for i := range 60 {
			b.plant(t, fmt.Sprintf("secret-%d", i), nil)
			b.plant(t, "secret-0", nil)
		}
		b.emulator.Fault(emulator.Fault{Operation: "list", Kind: emulator.ForeignLink, Nth: 2})
		listed, err := b.Secrets(t.Context(), func(int) {})
		if err == nil || len(listed) != 50 {
			t.Errorf("Secrets: %d, %v; want the 50 of two pages and an error", len(listed), err)
		}
		b.emulator.Fault(emulator.Fault{Operation: "versions", Kind: emulator.Endless, Times: -1})
		versions, err := b.Versions(t.Context(), "secret-0")
		if !isKind(err, refusal.TooMany) || len(versions) != 10_000 {
			t.Errorf("Versions: %d, %v; want as many as are read and kind TooMany", len(versions), err)
		}
	})
}

// A soft-deleted secret is listed once, recovered and waited for; then it can be set.
func TestRecover(t *testing.T) {
	withOptions(t, emulator.Options{Settle: 7 * time.Second}, vaultName, func(t *testing.T, b *bench) {
		b.plant(t, "a-secret", map[string]string{"generated-by": "keyvault-passwords"})
		if err := b.emulator.Remove(vaultName, "a-secret"); err != nil {
			t.Fatal(err)
		}
		deleted, err := b.Deleted(t.Context())
		if err != nil || deleted["a-secret"].Tags["generated-by"] != "keyvault-passwords" {
			t.Fatalf("Deleted: %v, %v", deleted, err)
		}
		if _, err := b.Deleted(t.Context()); err != nil || b.emulator.Requests()["list-deleted"] != 1 {
			t.Errorf("the list was read %d times; want once", b.emulator.Requests()["list-deleted"])
		}
		err = b.Recover(t.Context(), "a-secret")
		if !isKind(err, refusal.Forbidden) || !strings.Contains(err.Error(), "recover/action") {
			t.Fatalf("Recover without permission: %v; want the permission named", err)
		}
		b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Recover)
		if err := b.Recover(t.Context(), "a-secret"); err != nil {
			t.Fatalf("Recover: %v", err)
		}
		if _, err := b.Set(t.Context(), "a-secret", newVersion("op1")); err != nil {
			t.Errorf("Set after Recover: %v", err)
		}
	})
}

// Disabling needs a permission of its own, names it, and may be repeated.
func TestDisable(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		id := b.plant(t, "a-secret", nil)
		err := b.Disable(t.Context(), "a-secret", id)
		if !isKind(err, refusal.Forbidden) || !strings.Contains(err.Error(), "update/action") {
			t.Fatalf("Disable without permission: %v; want the permission named", err)
		}
		b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Update)
		for range 2 {
			if err := b.Disable(t.Context(), "a-secret", id); err != nil {
				t.Errorf("Disable: %v", err)
			}
		}
		if b.emulator.Holds()[0].Enabled {
			t.Error("the version is still enabled")
		}
	})
}

// A version gets other tags, and nothing else of it changes.
func TestTag(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		id := b.plant(t, "a-secret", map[string]string{"operation": "op1", "owner": "data"})
		tags := map[string]string{"operation": "op1", "owner": "data", "applied": "op1"}
		err := b.Tag(t.Context(), "a-secret", id, tags)
		if !isKind(err, refusal.Forbidden) || !strings.Contains(err.Error(), "update/action") {
			t.Fatalf("Tag without permission: %v; want the permission named", err)
		}
		b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Update)
		before := b.emulator.Holds()
		for range 2 {
			if err := b.Tag(t.Context(), "a-secret", id, tags); err != nil {
				t.Errorf("Tag: %v", err)
			}
		}
		before[0].Tags = tags
		if diff := cmp.Diff(before, b.emulator.Holds()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

func (b *bench) plant(t *testing.T, name string, tags map[string]string) string {
	t.Helper()
	id, err := b.emulator.Put(vaultName, name, emulator.Plant{Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// refusing is a network that refuses the first connections for sets.
type refusing struct {
	http.RoundTripper
	times int
}

func (r *refusing) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodPut && r.times > 0 {
		r.times--
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return r.RoundTripper.RoundTrip(request)
}

// What cannot have been sent is sent again without a look, and if it never can be, is told as that and not as a doubt.
func TestRefusedConnectionIsNoDoubt(t *testing.T) {
	for times, kind := range map[int]refusal.Kind{2: refusal.Other, 99: refusal.Unreachable} {
		with(t, func(t *testing.T, b *bench) {
			b.Client = b.client(t, &refusing{b.network, times}, vaultName)
			if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
				t.Fatal(err)
			}
			_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
			if kind == refusal.Other && err != nil || kind == refusal.Unreachable && !isKind(err, kind) {
				t.Errorf("Set after %d refusals: %v", times, err)
			}
			if lists := b.emulator.Requests()["versions"]; lists != 1 {
				t.Errorf("%d lists; want the warm-up alone", lists)
			}
		})
	}
}

// Of two versions of one second either may be the current one: neither is disabled.
func TestTieIsLeftAlone(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		b.emulator.Grant(emulator.DefaultClient, vaultName, emulator.Update)
		if _, err := b.Versions(t.Context(), "a-secret"); err != nil {
			t.Fatal(err)
		}
		b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Late, Delay: 2600 * time.Millisecond})
		slow := emulator.Fault{Operation: "set", Nth: 2, Kind: emulator.Slow, Phase: emulator.After, Delay: time.Second}
		b.emulator.Fault(slow)
		stored, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		held := b.emulator.Holds()
		if err != nil || len(held) != 2 || len(stored.Duplicates) != 1 || !held[0].Created.Equal(held[1].Created) {
			t.Fatalf("%v; %d versions, duplicates %v; want two of one second", err, len(held), stored.Duplicates)
		}
		for _, h := range held {
			if !h.Enabled {
				t.Error("one of two versions of one second was disabled")
			}
		}
	})
}

// A send that may yet be committed stays in doubt, whatever ends the next one.
func TestDoubtOutlivesARefusal(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{Operation: "set", Kind: emulator.Late, Delay: time.Minute})
		second := forbidden("set", "ForbiddenByRbac", 0)
		second.Nth = 2
		b.emulator.Fault(second)
		_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		if !isKind(err, refusal.Ambiguous) || !strings.Contains(err.Error(), "operation=op1") {
			t.Errorf("Set: %v; want it said that the end is not known", err)
		}
	})
}

func TestDisableStops(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		id := b.plant(t, "a-secret", nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := b.Disable(ctx, "a-secret", id)
		if !isKind(err, refusal.Cancelled) || b.emulator.Requests()["update"] != 0 {
			t.Errorf("Disable after a stop: %v after %d requests", err, b.emulator.Requests()["update"])
		}
	})
}

// answering is a network where something between the client and the vault answers, or breaks the connection with an
// error that quotes the vault.
type answering struct {
	http.RoundTripper
	response *http.Response
	err      error
	method   string
	times    int
}

func (s *answering) RoundTrip(request *http.Request) (*http.Response, error) {
	ofVault := strings.HasSuffix(request.URL.Host, ".vault.azure.net") && request.Header.Get("Authorization") != ""
	if ofVault && request.Method == s.method && s.times != 0 {
		s.times--
		return s.response, s.err
	}
	return s.RoundTripper.RoundTrip(request)
}

// The texts of net/http's errors quote what came, and Key Vault's answer to a set echoes the value.
func TestErrorsQuoteNoAnswer(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		quoting := errors.New(`malformed HTTP response "{\"value\":\"canary\"}"`)
		broken := &answering{RoundTripper: b.network, err: quoting, method: http.MethodPut, times: -1}
		b.Client = b.client(t, broken, vaultName)
		_, err := b.Set(t.Context(), "a-secret", newVersion("op1"))
		told := fmt.Sprint(err)
		if err == nil || strings.Contains(told, "canary") || !strings.Contains(told, "the answer was not HTTP") {
			t.Errorf("Set: %v; want an error in words of its own", err)
		}
	})
}

// Only the vault tells the vault's time.
func TestClockIsNotAProxys(t *testing.T) {
	with(t, func(t *testing.T, b *bench) {
		date := time.Now().Add(100 * 24 * time.Hour).UTC().Format(http.TimeFormat)
		future := &http.Response{StatusCode: 502, Header: http.Header{"Date": {date}}, Body: http.NoBody}
		proxy := &answering{RoundTripper: b.network, response: future, method: http.MethodGet, times: -1}
		b.Client = b.client(t, proxy, vaultName)
		if _, err := b.Versions(t.Context(), "a-secret"); err == nil {
			t.Fatal("Versions succeeds")
		}
		if off := time.Until(b.Now()).Abs(); off > time.Minute {
			t.Errorf("the clock went %s ahead with a proxy's", off)
		}
	})
}
