package arm_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/arm"
	"keyvault-passwords/internal/azure"
	"keyvault-passwords/internal/identity"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/provision"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/runner"
	"keyvault-passwords/internal/sensitive"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

var _ provision.Target = (*arm.Target)(nil)

// A bench is a target of an emulator, in a bubble where waiting costs nothing.
type bench struct {
	*arm.Target
	emulator *emulator.Emulator
	network  *job.Network
	id       string
	access   *access.Wait // of targets that are made from now on

	mu    sync.Mutex
	notes []string
}

const (
	before   = "Before1!Before1!"
	password = `N3w<&>"\é password`
)

// with runs f in a bubble with a server.
func with(t *testing.T, o emulator.ServerOptions, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := emulator.New(emulator.Options{})
		if o.Name == "" {
			o.Name = "sql-prod"
		}
		o.Password = before
		b := &bench{emulator: e, network: job.NewNetwork(e), id: e.AddServer(o)}
		defer b.network.Close()
		b.Target = b.target(t, b.id, azure.Public(), b.network)
		f(t, b)
	})
}

// target returns a target of a server, as the identity that the emulator trusts, over that transport.
func (b *bench) target(t *testing.T, id string, cloud azure.Cloud, transport http.RoundTripper) *arm.Target {
	t.Helper()
	client := network.NewClient(transport, nil)
	r := runner.New(b.emulator.Getenv, t.Output(), client)
	credential, err := identity.New(identity.Config{
		Cloud: cloud, TenantID: emulator.DefaultTenant, ClientID: emulator.DefaultClient,
		Audience: cloud.Audience, IDToken: r.IDToken, HTTP: client,
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := azure.ParseServer(id)
	if err != nil {
		t.Fatal(err)
	}
	target, err := arm.New(arm.Config{
		Server: server, Cloud: cloud, Credential: credential, HTTP: client, ClientID: emulator.DefaultClient,
		Access: b.access,
		Note: func(text string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.notes = append(b.notes, text)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// set goes through what a run does with a target, for the password of the tests.
func (b *bench) set(ctx context.Context) error {
	if err := b.Lock(ctx, ""); err != nil {
		return err
	}
	defer b.Unlock()
	if err := b.Prepare(ctx, "", "operation", sensitive.New([]byte(password))); err != nil {
		return err
	}
	if err := b.Held(ctx); err != nil {
		return err
	}
	return b.Finish(ctx)
}

// holds tells which password opens the server: "before", "new" or neither.
func (b *bench) holds() string {
	for name, text := range map[string]string{"before": before, "new": password} {
		if b.emulator.LogsIn(b.id, "sqladmin", text) {
			return name
		}
	}
	return "neither"
}

// changes returns how often the server's password was changed.
func (b *bench) changes() int { return b.emulator.Servers()[0].Changes }

// noLeaks fails the test where a password or a token stands in what the target said.
func (b *bench) noLeaks(t *testing.T, err error) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	texts := map[string]string{"the error": fmt.Sprintf("%v %+v %#v", err, err, err), "the notes": fmt.Sprint(b.notes)}
	if e, ok := errors.AsType[*arm.Error](err); ok {
		texts["its parts"] = fmt.Sprintf("%+v", *e)
	}
	for _, found := range job.FindLeaks(slices.Concat(b.emulator.Values(), b.emulator.Tokens()), texts) {
		t.Error(found)
	}
}

// isKind reports whether err is the target's, of that kind.
func isKind(err error, kind refusal.Kind) bool {
	e, ok := errors.AsType[*arm.Error](err)
	return ok && e.Kind == kind
}

// kinds are the kinds of servers, with the API version that is asked for each.
var kinds = map[string]string{
	emulator.SQLServer: "2023-08-01", emulator.PostgreSQLServer: "2024-08-01", emulator.MySQLServer: "2023-12-30",
}

// Each kind of server gets the password, however it says that the change is done; nothing else of it is touched.
func TestPasswordIsSet(t *testing.T) {
	for kind := range kinds {
		for name, o := range map[string]emulator.ServerOptions{
			"followed by either header":        {Takes: 40 * time.Second},
			"followed by Azure-AsyncOperation": {Takes: 40 * time.Second, Headers: emulator.AsyncHeader},
			"followed by Location":             {Takes: 40 * time.Second, Headers: emulator.LocationHeader},
			"done at once":                     {Takes: -1},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				o.Kind = kind
				with(t, o, func(t *testing.T, b *bench) {
					start := time.Now()
					err := b.set(t.Context())
					if err != nil || b.holds() != "new" || b.changes() != 1 {
						t.Errorf("%v; the server holds the password %s after %d changes", err, b.holds(), b.changes())
					}
					if took := time.Since(start); o.Takes > 0 && (took < o.Takes || took > o.Takes+20*time.Second) {
						t.Errorf("a change of %s took %s", o.Takes, took)
					}
					want := []string{"properties.administratorLoginPassword"}
					if diff := gocmp.Diff(want, b.emulator.Servers()[0].Sent); diff != "" {
						t.Errorf("other properties are sent (-want +got):\n%s", diff)
					}
					b.noLeaks(t, err)
				})
			})
		}
	}
}

// A look changes nothing and tells of no operation.
func TestLookChangesNothing(t *testing.T) {
	with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
		for _, login := range []string{"", "sqladmin", "SQLADMIN"} {
			if operation, err := b.Look(t.Context(), login); operation != "" || err != nil {
				t.Errorf("Look(%q) = %q, %v", login, operation, err)
			}
		}
		if b.emulator.Requests()["update-server"] != 0 || b.holds() != "before" {
			t.Error("a look has changed the server")
		}
		b.emulator.Revoke("", "", emulator.WriteServer)
		if _, err := b.Look(t.Context(), ""); !isKind(err, refusal.Forbidden) {
			t.Errorf("a look without the permission to change: %v", err)
		}
		if err := b.Prepare(t.Context(), "", "", sensitive.New([]byte(password))); err != nil {
			t.Error(err)
		}
		if err := b.Undo(t.Context()); err != nil || b.emulator.Requests()["update-server"] != 0 {
			t.Errorf("Prepare and Undo: %v, %d changes", err, b.emulator.Requests()["update-server"])
		}
	})
}

// Whatever happens to one answer, the server ends with the password, and the run with success.
func TestOneFaultDoesNoHarm(t *testing.T) {
	for _, operation := range []string{"get-server", "update-server", "operation"} {
		for name, fault := range map[string]emulator.Fault{
			"cut before":        {Kind: emulator.Cut},
			"cut after":         {Kind: emulator.Cut, Phase: emulator.After},
			"500":               {Kind: emulator.Status, Status: 500},
			"503 after":         {Kind: emulator.Status, Status: 503, Phase: emulator.After},
			"408 after":         {Kind: emulator.Status, Status: 408, Phase: emulator.After},
			"429":               {Kind: emulator.Status, Status: 429, RetryAfter: "17"},
			"429 without":       {Kind: emulator.Status, Status: 429, Times: 3},
			"truncated":         {Kind: emulator.Truncated, Phase: emulator.After},
			"a stale token":     {Kind: emulator.StaleToken},
			"slow":              {Kind: emulator.Slow, Delay: time.Minute},
			"slow after":        {Kind: emulator.Slow, Delay: time.Minute, Phase: emulator.After},
			"empty":             {Kind: emulator.Empty},
			"no body":           {Kind: emulator.NoBody},
			"a page with 200":   {Kind: emulator.Between, Status: 200, Phase: emulator.After},
			"a page with 502":   {Kind: emulator.Between, Status: 502},
			"half a page":       {Kind: emulator.Between, Status: 503, Body: emulator.HalfPage, Phase: emulator.After},
			"a huge body":       {Kind: emulator.BigBody, Size: 2 << 20, Phase: emulator.After},
			"headers too large": {Kind: emulator.BigHeaders, Size: 1 << 20, Phase: emulator.After},
		} {
			t.Run(operation+" "+name, func(t *testing.T) {
				with(t, emulator.ServerOptions{Takes: 20 * time.Second}, func(t *testing.T, b *bench) {
					fault.Operation = operation
					b.emulator.Fault(fault)
					err := b.set(t.Context())
					if err != nil || b.holds() != "new" {
						t.Errorf("%v; the server holds the password %s", err, b.holds())
					}
					if len(b.emulator.FaultLog()) == 0 {
						t.Error("the fault did not happen")
					}
					b.noLeaks(t, err)
				})
			})
		}
	}
}

// A change that the service itself fails to do is asked for again, unless it is about the password.
func TestFailedChange(t *testing.T) {
	for _, x := range []struct {
		code   string
		times  int
		holds  string
		want   string
		remedy string
	}{
		{code: "OperationTimedOut", times: 1, holds: "new"},
		{code: "InternalServerError", times: 2, holds: "new"},
		{code: "InternalServerError", times: -1, holds: "before",
			want: "the service has failed; it also says so of a password that it does not accept: Failed " +
				"InternalServerError",
			remedy: "policy is azure-sql"},
		{code: "ServerIsNotReady", times: 1, holds: "new"},
		{code: "PasswordNotComplex", times: 1, holds: "before",
			want:   "the password does not have the characters that the server requires: Failed PasswordNotComplex",
			remedy: "declare the policy azure-sql"},
		{code: "SomethingElse", times: 1, holds: "before",
			want:   "the change was accepted and has failed: the server did not make it: Failed SomethingElse",
			remedy: "the server's Activity log in the portal"},
	} {
		for _, header := range []string{emulator.AsyncHeader, emulator.LocationHeader} {
			with(t, emulator.ServerOptions{Headers: header}, func(t *testing.T, b *bench) {
				b.emulator.Fault(emulator.Fault{
					Operation: "update-server", Kind: emulator.Failed, Code: x.code, Times: x.times,
				})
				err := b.set(t.Context())
				if b.holds() != x.holds || (err == nil) != (x.want == "") {
					t.Fatalf("%s by %s: %v; the server holds the password %s", x.code, header, err, b.holds())
				}
				if x.want == "" {
					return
				}
				r := refusal.Of(err)
				if !strings.Contains(r.Cause, x.want) || !strings.Contains(r.Remedy, x.remedy) ||
					r.Kind == refusal.Ambiguous {
					t.Errorf("%s by %s: %v (kind %d); want %q and %q", x.code, header, err, r.Kind, x.want, x.remedy)
				}
				b.noLeaks(t, err)
			})
		}
	}
}

// A server that another change keeps busy is waited for, before the password is drawn and after.
func TestBusyServer(t *testing.T) {
	for kind, code := range map[string]string{
		emulator.SQLServer:        "UpsertLogicalServerRequestAlreadyInProgress",
		emulator.PostgreSQLServer: "ServerIsBusy",
		emulator.MySQLServer:      "AConflictThatNobodyKnows",
	} {
		with(t, emulator.ServerOptions{Kind: kind}, func(t *testing.T, b *bench) {
			b.emulator.Fault(emulator.Fault{
				Operation: "update-server", Kind: emulator.Status, Status: 409, Code: code, Times: 6,
			})
			start := time.Now()
			if err := b.set(t.Context()); err != nil || b.holds() != "new" || time.Since(start) < 10*time.Second {
				t.Errorf("%s: %v after %s; the server holds the password %s", kind, err, time.Since(start), b.holds())
			}
			if want := "server sql-prod is busy (409 " + code +
				"): waiting up to 5m0s"; !slices.Contains(b.notes, want) {
				t.Errorf("%s: the log says %q; want %q", kind, b.notes, want)
			}
		})
	}
	with(t, emulator.ServerOptions{Kind: emulator.PostgreSQLServer, State: "Updating"}, func(t *testing.T, b *bench) {
		if _, err := b.Look(t.Context(), ""); err != nil {
			t.Errorf("a look at a server that is busy: %v", err)
		}
		start := time.Now()
		err := b.Lock(t.Context(), "")
		if want := "server sql-prod is busy: waiting up to 5m0s"; !slices.Equal(b.notes, []string{want}) {
			t.Errorf("the log says %q; want %q, once", b.notes, want)
		}
		if err == nil || !strings.Contains(err.Error(),
			"after 5m0s another change of the server was still under way") ||
			time.Since(start) > 6*time.Minute {
			t.Errorf("a server that stays busy: %v after %s", err, time.Since(start))
		}
	})
	with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{
			Operation: "update-server", Kind: emulator.Status, Status: 409, Code: "ConflictingServerOperation",
			Times: -1,
		})
		start := time.Now()
		err := b.set(t.Context())
		if err == nil || isKind(err, refusal.Ambiguous) || time.Since(start) > 6*time.Minute || b.holds() != "before" ||
			!strings.Contains(err.Error(), "another change of the server was still under way: 409") {
			t.Errorf("a server that stays busy: %v after %s", err, time.Since(start))
		}
	})
}

// A service that stays silent is asked again.
func TestSilence(t *testing.T) {
	for _, operation := range []string{"get-server", "update-server", "operation"} {
		with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
			b.emulator.Fault(emulator.Fault{
				Operation: operation, Kind: emulator.Slow, Delay: time.Hour, Phase: emulator.After,
			})
			start := time.Now()
			if err := b.set(t.Context()); err != nil || b.holds() != "new" || time.Since(start) > time.Minute {
				t.Errorf("%s: %v after %s; the server holds the password %s", operation, err, time.Since(start),
					b.holds())
			}
		})
	}
}

// A change that takes long is followed to its end, though every other answer is a failure.
func TestLongChangeWithFailures(t *testing.T) {
	with(t, emulator.ServerOptions{Takes: 10 * time.Minute}, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{
			Operation: "operation", Kind: emulator.Status, Status: 503, Every: 2, Times: -1,
		})
		if err := b.set(t.Context()); err != nil || b.holds() != "new" || b.changes() != 1 {
			t.Errorf("%v; the server holds the password %s after %d changes", err, b.holds(), b.changes())
		}
	})
}

// What a Location ends with must be the server. Where it is anything else, the server itself is looked at, or the
// change is asked for again.
func TestLocationWithoutServer(t *testing.T) {
	for kind := range kinds {
		for _, fault := range []emulator.Kind{emulator.Empty, emulator.NoBody} {
			o := emulator.ServerOptions{Kind: kind, Headers: emulator.LocationHeader, Takes: 30 * time.Second}
			with(t, o, func(t *testing.T, b *bench) {
				b.emulator.Fault(emulator.Fault{Operation: "operation", Kind: fault})
				if err := b.set(t.Context()); err != nil || b.holds() != "new" {
					t.Errorf("%s, %s: %v; the server holds the password %s", kind, fault, err, b.holds())
				}
			})
		}
	}
}

// An answer that accepts the change, and does not say where to ask how it ends, says nothing.
func TestAcceptedWithoutPlace(t *testing.T) {
	with(t, emulator.ServerOptions{Takes: -1}, func(t *testing.T, b *bench) {
		b.Target = b.target(t, b.id, azure.Public(), placeless{b.network})
		err := b.set(t.Context())
		if !isKind(err, refusal.Ambiguous) || !strings.Contains(err.Error(), "the password may have been set") {
			t.Errorf("%v", err)
		}
	})
}

// A placeless network makes a 202 of what is done, which says nowhere where to ask further.
type placeless struct{ http.RoundTripper }

func (p placeless) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.RoundTripper.RoundTrip(request)
	if err == nil && request.Method == http.MethodPatch {
		response.StatusCode = http.StatusAccepted
	}
	return response, err
}

// A second change that finds the first under way, because its answer was lost, waits for it.
func TestLostAnswerOfALongChange(t *testing.T) {
	with(t, emulator.ServerOptions{Takes: 50 * time.Second}, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{Operation: "update-server", Kind: emulator.Cut, Phase: emulator.After})
		if err := b.set(t.Context()); err != nil || b.holds() != "new" {
			t.Errorf("%v; the server holds the password %s", err, b.holds())
		}
	})
}

// Each refusal ends the run soon, with a sentence and a remedy, and leaves the password of before.
func TestRefusals(t *testing.T) {
	deny := func(list ...string) func(b *bench) {
		return func(b *bench) { b.emulator.Revoke("", "", list...) }
	}
	answers := func(operation string, status int, code string) func(b *bench) {
		return func(b *bench) {
			b.emulator.Fault(emulator.Fault{
				Operation: operation, Kind: emulator.Status, Status: status, Code: code, Times: -1,
			})
		}
	}
	for name, x := range map[string]struct {
		server emulator.ServerOptions
		asked  string // the name of the server that is looked for; "": that of server
		login  string
		before func(b *bench)
		kind   refusal.Kind
		cause  string
		remedy string
		sent   bool // the server was asked to change
		looks  int  // how often it was looked at; 0: once
	}{
		"no role to look": {
			before: deny(emulator.ReadServer, emulator.WriteServer), kind: refusal.Forbidden,
			cause: "the identity has no role here that allows it: 403 AuthorizationFailed",
			remedy: "the actions Microsoft.Sql/servers/read and Microsoft.Sql/servers/write at the server: az role " +
				"assignment create --assignee 8b0d5c1f-2e7a-4c93-8f46-1a9e3d7c5b24 --role ROLE --scope " +
				"\"/subscriptions/6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90/resourceGroups/rg-example/providers/Microsoft.Sql/servers/sql-prod\"",
		},
		"no role to change": {
			before: deny(emulator.WriteServer), kind: refusal.Forbidden,
			cause:  "the identity has no role here that lets it change the server",
			remedy: "--role ROLE --scope",
		},
		"no role to change, and none to see that": {
			before: deny(emulator.WriteServer, emulator.ReadPermissions), kind: refusal.Forbidden, sent: true,
			cause:  "the identity has no role here that allows it: 403 AuthorizationFailed",
			remedy: "--role ROLE --scope",
		},
		"SQL with Entra alone": {
			server: emulator.ServerOptions{EntraOnly: true},
			cause:  "the server accepts no passwords, because it is set to Entra authentication only",
			remedy: `let it take passwords: az sql server ad-only-auth disable --name sql-prod --resource-group "rg-example"; or remove apply from the declaration`,
		},
		"PostgreSQL with Entra alone": {
			server: emulator.ServerOptions{EntraOnly: true, Kind: emulator.PostgreSQLServer},
			cause:  "the server accepts no passwords", remedy: "az postgres flexible-server update",
		},
		"Entra alone since the look": {
			before: answers("update-server", 400, "AadOnlyAuthenticationIsEnabled"), sent: true,
			cause: "the server accepts no passwords", remedy: "ad-only-auth disable",
		},
		"another administrator": {
			server: emulator.ServerOptions{Login: "boss"}, login: "sqladmin",
			cause:  "the server's administrator has another login than the declared sqladmin: boss",
			remedy: "declare login: boss",
		},
		"an administrator in another case": {
			server: emulator.ServerOptions{Login: "Boss", Kind: emulator.PostgreSQLServer}, login: "boss",
			cause: "another login than the declared boss: Boss", remedy: "declare login: Boss",
		},
		"an administrator of a strange name": {
			server: emulator.ServerOptions{Login: "::add-mask::x\n"}, login: "sqladmin",
			cause:  "another login than the declared sqladmin",
			remedy: "the login that the server's page in the portal shows",
		},
		"a replica of PostgreSQL": {
			server: emulator.ServerOptions{Replica: true, Kind: emulator.PostgreSQLServer},
			cause:  "the server is a read replica", remedy: "declare the resource ID of that server",
		},
		"a replica of MySQL": {
			server: emulator.ServerOptions{Replica: true, Kind: emulator.MySQLServer},
			cause:  "the server is a read replica", remedy: "declare the resource ID of that server",
		},
		"a stopped server": {
			server: emulator.ServerOptions{State: "Stopped", Kind: emulator.MySQLServer},
			cause:  "the server is not ready, its state is Stopped",
			remedy: `start it: az mysql flexible-server start --name sql-prod --resource-group "rg-example"`,
		},
		"a disabled server": {
			server: emulator.ServerOptions{State: "Disabled"},
			cause:  "its state is Disabled", remedy: "the server's page in the portal",
		},
		"a lock": {
			server: emulator.ServerOptions{Locked: true}, kind: refusal.Forbidden,
			cause:  "a read-only lock forbids every change of the server",
			remedy: `az lock list --resource-group "rg-example" --output table`,
		},
		"a lock that the identity may not see": {
			server: emulator.ServerOptions{Locked: true}, before: deny(emulator.ReadLocks), kind: refusal.Forbidden,
			sent:   true,
			cause:  "a read-only lock forbids every change of the server: 409 ScopeLocked",
			remedy: `az lock list --resource-group "rg-example" --output table`,
		},
		"an Azure Policy": {
			server: emulator.ServerOptions{Policy: "No changes"}, kind: refusal.Forbidden, sent: true,
			cause:  "an Azure Policy forbids changes of the server (No changes): 403 RequestDisallowedByPolicy",
			remedy: "Policy compliance",
		},
		"an Azure Policy whose name could be a value": {
			server: emulator.ServerOptions{Policy: "aB3" + strings.Repeat("x", 30)}, kind: refusal.Forbidden,
			sent:  true,
			cause: "an Azure Policy forbids changes of the server: 403", remedy: "Policy compliance",
		},
		"a server that is not there": {
			asked: "gone", kind: refusal.NotFound,
			cause:  "there is no such server: 404 ResourceNotFound",
			remedy: "az resource list --name gone --resource-type Microsoft.Sql/servers --query \"[].id\" --output tsv",
		},
		"a subscription that is not there": {
			before: answers("get-server", 404, "SubscriptionNotFound"), kind: refusal.NotFound,
			cause: "there is no such subscription in the identity's tenant", remedy: "tenant-id",
		},
		"another tenant": {
			server: emulator.ServerOptions{Tenant: "a5f0c1d2-3b4e-4f60-8172-93a4b5c6d7e8"},
			cause:  "the access token belongs to another tenant than the server's subscription",
			remedy: "set tenant-id",
		},
		"no token at all": {
			before: func(b *bench) { b.emulator.Distrust("") }, kind: refusal.Identity,
			cause: "AADSTS", remedy: "",
		},
		"tokens that are never taken": {
			before: answers("get-server", 401, "InvalidAuthenticationToken"), looks: 2,
			cause: "accepts neither the access token nor a new one: 401", remedy: "check tenant-id and client-id",
		},
		"throttled for ever": {
			before: answers("update-server", 429, ""), sent: true,
			cause: "Resource Manager is still throttled after all retries: 429", remedy: "later",
		},
		"unavailable for ever": {
			before: answers("get-server", 503, "ServiceUnavailable"), looks: 5,
			cause: "Azure is temporarily unavailable: 503 ServiceUnavailable", remedy: "azure.status.microsoft",
		},
		"an unknown version": {
			before: answers("get-server", 400, "NoRegisteredProviderFound"),
			cause:  "does not know such a server", remedy: "cloud",
		},
		"a version that is not known": {
			before: answers("get-server", 400, "InvalidApiVersionParameter"),
			cause:  "or not by the version 2023-08-01 of its interface",
			remedy: "this cloud does not have that version",
		},
		"a look that is not accepted": {
			before: answers("get-server", 400, "NeverHeardOf"),
			cause:  "Resource Manager refused the request: 400 NeverHeardOf", remedy: "look up the code",
		},
		"a key that the server cannot use": {
			before: answers("update-server", 400, "CMKOperationNotAllowed"), sent: true,
			cause: "the server cannot use the key in Key Vault", remedy: "give the server access to the key",
		},
		"a provider that is not registered": {
			before: answers("update-server", 409, "MissingSubscriptionRegistration"), sent: true,
			cause:  "the subscription is not registered for such servers: 409",
			remedy: "az provider register --namespace Microsoft.Sql",
		},
		"a code that is not known": {
			before: answers("update-server", 400, "NeverHeardOf"), sent: true,
			cause: "the server does not accept the request: 400 NeverHeardOf", remedy: "declare the policy azure-sql",
		},
		"an answer that is workflow commands": {
			before: func(b *bench) {
				b.emulator.Fault(emulator.Fault{Operation: "update-server", Kind: emulator.Injection, Times: -1})
			}, sent: true,
			cause: "the server does not accept the request: 400 BadRequest", remedy: "",
		},
		"a redirect": {
			before: func(b *bench) {
				b.emulator.Fault(emulator.Fault{Operation: "update-server", Kind: emulator.Redirect, Times: -1})
			}, sent: true, kind: refusal.Ambiguous,
			cause: "the answer is a redirect, which is not followed: it would carry the access token to another " +
				"host: 307",
			remedy: "check the proxy and the DNS between the runner and management.azure.com",
		},
		"a page of something in between": {
			before: func(b *bench) {
				b.emulator.Fault(emulator.Fault{Operation: "update-server", Kind: emulator.Between, Times: -1})
			}, sent: true, kind: refusal.Ambiguous,
			cause: "it may be a proxy's: 403; the password may have been set", remedy: "check the proxy",
		},
		"a proxy that refuses": {
			before: func(b *bench) {
				b.emulator.Fault(emulator.Fault{
					Operation: "connect", Vault: "management", Kind: emulator.Status, Status: 403, Times: -1,
				})
			}, kind: refusal.Unreachable,
			cause: "the proxy refused to connect to management.azure.com", remedy: "allow management.azure.com",
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, x.server, func(t *testing.T, b *bench) {
				if x.asked != "" {
					id := strings.Replace(b.id, "sql-prod", x.asked, 1)
					b.Target = b.target(t, id, azure.Public(), b.network)
				}
				if x.before != nil {
					x.before(b)
				}
				start := time.Now()
				err := b.Lock(t.Context(), x.login)
				if err == nil {
					_ = b.Prepare(t.Context(), x.login, "", sensitive.New([]byte(password))) // it sends nothing
					err = b.Finish(t.Context())
				}
				if err == nil {
					t.Fatal("the password is set")
				}
				r := refusal.Of(err)
				if r.Kind != x.kind || !strings.Contains(r.Cause, x.cause) || !strings.Contains(r.Remedy, x.remedy) {
					t.Errorf("%v\nkind %d, cause %q\nremedy %q;\nwant kind %d, cause %q\nremedy %q", err, r.Kind,
						r.Cause,
						r.Remedy, x.kind, x.cause, x.remedy)
				}
				if server := cmp.Or(x.asked, "sql-prod"); !strings.HasSuffix(r.Act, " server "+server) {
					t.Errorf("the act is %q", r.Act)
				}
				if sent := b.emulator.Requests()["update-server"] > 0; sent != x.sent {
					t.Errorf("the server was asked to change: %t", sent)
				}
				// By default the SDK registers providers, which is a request to another path.
				if r := b.emulator.Requests(); r["other"] != 0 || r["get-server"] > cmp.Or(x.looks, 1) {
					t.Errorf("%d looks, and %d requests to other places", r["get-server"], r["other"])
				}
				if b.emulator.Servers()[0].Changes != 0 {
					t.Error("the password is another")
				}
				if took := time.Since(start); took > 30*time.Second && !strings.Contains(name, "for ever") &&
					x.kind != refusal.Identity && x.kind != refusal.Ambiguous {
					t.Errorf("the refusal came after %s", took)
				}
				b.noLeaks(t, err)
			})
		})
	}
}

// Whatever comes in place of the permissions or the locks, a server that can be changed is changed: only their lists
// say otherwise.
func TestPermissionsAndLocksAreAdvice(t *testing.T) {
	for name, fault := range map[string]emulator.Fault{
		"cut": {Kind: emulator.Cut}, "503": {Kind: emulator.Status, Status: 503}, "empty": {Kind: emulator.Empty},
		"no body": {Kind: emulator.NoBody}, "slow": {Kind: emulator.Slow, Delay: time.Hour},
		"404":    {Kind: emulator.Status, Status: 404, Code: "InvalidResourceType"},
		"a page": {Kind: emulator.Between, Status: 200},
	} {
		for _, operation := range []string{"permissions", "locks"} {
			with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
				fault.Operation, fault.Times = operation, -1
				b.emulator.Fault(fault)
				start := time.Now()
				err := b.set(t.Context())
				if err != nil || b.holds() != "new" || time.Since(start) > 20*time.Second {
					t.Errorf("%s, %s: %v after %s; the server holds the password %s", operation, name, err,
						time.Since(start), b.holds())
				}
				if len(b.emulator.FaultLog()) == 0 {
					t.Errorf("%s, %s: they were not asked for", operation, name)
				}
			})
		}
	}
}

// Each password that a service refuses leads to the preset that has its rules.
func TestRefusedPasswords(t *testing.T) {
	for kind, preset := range map[string]string{
		emulator.SQLServer: "azure-sql", emulator.PostgreSQLServer: "azure-postgresql",
		emulator.MySQLServer: "azure-mysql",
	} {
		for _, deferred := range []bool{false, true} {
			for _, refused := range []string{"Aa1!", "alllowercaseonly", "Sqladmin1!" + "sqladmin",
				strings.Repeat("Aa1!", 33)} {
				with(t, emulator.ServerOptions{Kind: kind, Deferred: deferred}, func(t *testing.T, b *bench) {
					_ = b.Prepare(t.Context(), "", "", sensitive.New([]byte(refused))) // it sends nothing
					err := b.Finish(t.Context())
					r := refusal.Of(err)
					if err == nil || !strings.Contains(r.Remedy, "declare the policy "+preset) ||
						b.holds() != "before" ||
						b.emulator.Requests()["update-server"] != 1 {
						t.Errorf("%s, a password of %d characters: %v; the server holds the password %s after %d "+
							"requests",
							kind, len(refused), err, b.holds(), b.emulator.Requests()["update-server"])
					}
					b.noLeaks(t, err)
				})
			}
		}
	}
}

// An identity that may not follow what it starts is told what it lacks, and that the password may be set.
func TestMayNotFollow(t *testing.T) {
	for _, header := range []string{emulator.AsyncHeader, emulator.LocationHeader} {
		with(t, emulator.ServerOptions{Headers: header, Kind: emulator.PostgreSQLServer}, func(t *testing.T, b *bench) {
			b.emulator.Revoke("", "", emulator.ReadOperations)
			err := b.set(t.Context())
			r := refusal.Of(err)
			if !isKind(err, refusal.Forbidden) ||
				!strings.Contains(r.Cause,
					"the server has accepted the new password, and it is not known whether it is set: "+
						"the identity has no role at the resource group that lets it see how a change ends: 403 "+
						"AuthorizationFailed") ||
				!strings.Contains(r.Remedy, "a role with the action Microsoft.DBforPostgreSQL/locations/*/read "+
					"at the resource group: az role assignment create --assignee "+emulator.DefaultClient+" --role "+
					"ROLE --scope "+
					`"/subscriptions/6e7b1a5c-93d2-4f08-8a1b-0c2d4e6f8a90/resourceGroups/rg-example",`) {
				t.Errorf("by %s: %v", header, err)
			}
			if b.emulator.Requests()["update-server"] != 1 {
				t.Errorf("by %s: the change was asked for %d times", header, b.emulator.Requests()["update-server"])
			}
			b.noLeaks(t, err)
		})
	}
}

// The token goes to no other host, whatever an answer says.
func TestOtherHost(t *testing.T) {
	for _, host := range []string{
		"evil.example", "management.azure.com.evil.example", "management.usgovcloudapi.net",
		"management.azure.com:8443",
	} {
		with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
			b.emulator.Fault(emulator.Fault{Operation: "update-server", Kind: emulator.ForeignLink, Host: host})
			err := b.set(t.Context())
			if !isKind(err, refusal.Ambiguous) ||
				!strings.Contains(err.Error(), "the answer pointed to another host, which was not contacted") {
				t.Errorf("%s: %v", host, err)
			}
			hosts := slices.Sorted(maps.Keys(b.emulator.Hosts()))
			want := []string{"login.microsoftonline.com", "management.azure.com",
				"vstoken.actions.githubusercontent.com"}
			for _, contacted := range hosts {
				if strings.HasSuffix(contacted, ".actions.githubusercontent.com") || slices.Contains(want, contacted) {
					continue
				}
				t.Errorf("%s: %s was contacted", host, contacted)
			}
			b.noLeaks(t, err)
		})
	}
}

// Each kind is asked with the API version that is known of it, at its cloud's Resource Manager.
func TestVersionsAndClouds(t *testing.T) {
	for _, name := range []string{"AzureCloud", "AzureUSGovernment", "AzureChinaCloud"} {
		cloud, err := azure.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		for kind, version := range kinds {
			with(t, emulator.ServerOptions{Kind: kind, Cloud: cloud.VaultDomain}, func(t *testing.T, b *bench) {
				seen := &recorder{RoundTripper: b.network}
				b.Target = b.target(t, b.id, cloud, seen)
				if err := b.set(t.Context()); err != nil || b.holds() != "new" {
					t.Errorf("%s in %s: %v; the server holds the password %s", kind, name, err, b.holds())
				}
				if len(seen.versions) < 3 {
					t.Errorf("%s in %s: %d requests", kind, name, len(seen.versions))
				}
				for _, got := range seen.versions {
					if got != cloud.Manager+" "+version {
						t.Errorf("%s in %s is asked by %q", kind, name, got)
					}
				}
			})
		}
	}
}

// A recorder notes host and API version of each request to a Resource Manager that is about a server.
type recorder struct {
	http.RoundTripper
	versions []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	if strings.HasPrefix(request.URL.Host, "management.") &&
		!strings.Contains(request.URL.Path, "/providers/Microsoft.Authorization/") {
		r.versions = append(r.versions, request.URL.Host+" "+request.URL.Query().Get("api-version"))
	}
	return r.RoundTripper.RoundTrip(request)
}

// Wherever the run is stopped, it is over within 7 seconds, and says what is known of the password.
func TestStopped(t *testing.T) {
	for _, x := range []struct {
		name  string
		o     emulator.ServerOptions
		fault emulator.Fault
		after time.Duration // the stop
		kind  refusal.Kind
		cause string
		holds string // right after
	}{
		{name: "while the server is looked at", fault: emulator.Fault{
			Operation: "get-server", Kind: emulator.Slow, Delay: time.Hour,
		}, after: time.Second, kind: refusal.Cancelled, cause: "the run was stopped before this was done",
			holds: "before"},
		{name: "while the server is busy", o: emulator.ServerOptions{State: "Updating", Kind: emulator.MySQLServer},
			after: 10 * time.Second, kind: refusal.Cancelled, cause: "stopped before this was done", holds: "before"},
		{name: "while a token is got", fault: emulator.Fault{Operation: "token", Kind: emulator.Slow, Delay: time.Hour},
			after: time.Second, kind: refusal.Cancelled, cause: "stopped before this was done", holds: "before"},
		{name: "while the change waits for its turn", fault: emulator.Fault{
			Operation: "update-server", Kind: emulator.Status, Status: 429, RetryAfter: "100",
		}, after: 10 * time.Second, kind: refusal.Cancelled, cause: "stopped before this was done", holds: "before"},
		{name: "while another change is under way", fault: emulator.Fault{
			Operation: "update-server", Kind: emulator.Status, Status: 409, Code: "ConflictingServerOperation",
			Times: -1,
		}, after: 10 * time.Second, kind: refusal.Cancelled, cause: "stopped before this was done", holds: "before"},
		{name: "while there is no answer to the change", fault: emulator.Fault{
			Operation: "update-server", Kind: emulator.Slow, Phase: emulator.After, Delay: time.Hour,
		}, after: time.Second, kind: refusal.Ambiguous, cause: "the password may have been set", holds: "new"},
		{name: "while the change is done", o: emulator.ServerOptions{Takes: time.Minute}, after: 10 * time.Second,
			kind: refusal.Ambiguous,
			cause: "the server has accepted the new password, and it is not known whether it is set: the run was " +
				"stopped",
			holds: "before"},
		{name: "while a change is done that ends soon", o: emulator.ServerOptions{Takes: 4 * time.Second},
			after: 2 * time.Second, holds: "new"},
		{name: "while the answer to the change comes", fault: emulator.Fault{
			Operation: "update-server", Kind: emulator.Slow, Phase: emulator.After, Delay: 2 * time.Second,
		}, after: time.Second, holds: "new"},
	} {
		t.Run(x.name, func(t *testing.T) {
			with(t, x.o, func(t *testing.T, b *bench) {
				if x.fault.Kind != "" {
					b.emulator.Fault(x.fault)
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				var stopped time.Time
				time.AfterFunc(x.after, func() { stopped = time.Now(); stop() })
				err := b.set(ctx)
				if took := time.Since(stopped); stopped.IsZero() || took > 7*time.Second {
					t.Errorf("it is over %s after the stop", took)
				}
				switch {
				case x.cause == "" && err != nil, x.cause != "" &&
					(!isKind(err, x.kind) || !strings.Contains(err.Error(), x.cause)):
					t.Errorf("%v; want kind %d and %q", err, x.kind, x.cause)
				}
				time.Sleep(time.Second)
				if b.holds() != x.holds {
					t.Errorf("the server holds the password %s; want %s", b.holds(), x.holds)
				}
				b.noLeaks(t, err)
			})
		})
	}
}

// A run that is stopped already sends nothing.
func TestStoppedBefore(t *testing.T) {
	with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		_ = b.Prepare(ctx, "", "", sensitive.New([]byte(password))) // it sends nothing
		_, look := b.Look(ctx, "")
		for _, err := range []error{look, b.Lock(ctx, ""), b.Finish(ctx)} {
			if !isKind(err, refusal.Cancelled) {
				t.Errorf("%v; want that the run was stopped", err)
			}
		}
		if got := b.emulator.Requests(); len(got) != 0 {
			t.Errorf("requests %v", got)
		}
	})
}

// What waits for its token when the run is stopped is not sent, though the token comes.
func TestStoppedBeforeTheToken(t *testing.T) {
	with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
		b.emulator.Fault(emulator.Fault{Operation: "token", Kind: emulator.Slow, Delay: 2 * time.Second})
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		_ = b.Prepare(ctx, "", "", sensitive.New([]byte(password))) // it sends nothing
		err := b.Finish(ctx)
		if r := b.emulator.Requests(); !isKind(err, refusal.Cancelled) || r["token"] != 1 || r["update-server"] != 0 {
			t.Errorf("%v after requests %v", err, r)
		}
	})
}

// A value that is prepared is forgotten when others are let in.
func TestUnlockForgets(t *testing.T) {
	with(t, emulator.ServerOptions{}, func(t *testing.T, b *bench) {
		_ = b.Prepare(t.Context(), "", "", sensitive.New([]byte(password))) // it sends nothing
		b.Unlock()
		if err := b.Finish(t.Context()); err == nil || b.emulator.Requests()["update-server"] != 0 {
			t.Errorf("%v after %d requests", err, b.emulator.Requests()["update-server"])
		}
	})
}
