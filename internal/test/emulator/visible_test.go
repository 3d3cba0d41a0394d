package emulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// A role, a firewall rule, a federated credential, an application and a vault's name are each seen by one server after
// the other, those that are asked in turn: before its time a server answers as if nothing had been made.
func TestSeenLater(t *testing.T) {
	role := func(t *testing.T, e *emulator.Emulator, delays emulator.Delays) func() string {
		e.Revoke("", "")
		e.GrantLater(delays, "", "kv-example", emulator.ReadMetadata)
		return list(direct{e, t})
	}
	admitted := func(o emulator.VaultOptions) func(*testing.T, *emulator.Emulator, emulator.Delays) func() string {
		return func(t *testing.T, e *emulator.Emulator, delays emulator.Delays) func() string {
			o.Name = "kv-example"
			e.AddVault(o)
			e.Admit(delays, o.Name)
			return list(direct{e, t})
		}
	}
	for _, tc := range []struct {
		name   string
		before string
		after  string
		make   func(t *testing.T, e *emulator.Emulator, delays emulator.Delays) func() string
	}{
		{"role", "ForbiddenByRbac", "200", role},
		{"firewall rule", "ForbiddenByFirewall", "200", admitted(emulator.VaultOptions{Firewall: true})},
		{"private endpoint", "ForbiddenByConnection", "200",
			admitted(emulator.VaultOptions{PublicAccessDisabled: true})},
		{"first credential", "AADSTS70025", "200", func(t *testing.T, e *emulator.Emulator,
			delays emulator.Delays) func() string {
			e.Distrust("")
			e.Trust(emulator.Credential{Seen: delays})
			return signIn(direct{e, t}, emulator.DefaultClient)
		}},
		{"further credential", "AADSTS700213", "200", func(t *testing.T, e *emulator.Emulator,
			delays emulator.Delays) func() string {
			e.Distrust("")
			e.Trust(emulator.Credential{Subject: "another"})
			e.Trust(emulator.Credential{Seen: delays})
			return signIn(direct{e, t}, emulator.DefaultClient)
		}},
		{"application", "AADSTS700016", "200", func(t *testing.T, e *emulator.Emulator,
			delays emulator.Delays) func() string {
			const client = "11111111-2222-3333-4444-555555555555"
			e.Trust(emulator.Credential{Client: client, Seen: delays})
			return signIn(direct{e, t}, client)
		}},
		{"name of a vault", "no such host", "<nil>", func(t *testing.T, e *emulator.Emulator,
			delays emulator.Delays) func() string {
			e.AddVault(emulator.VaultOptions{Name: "kv-new", Resolves: delays})
			return func() string { return fmt.Sprint(e.Connect(t.Context(), "kv-new.vault.azure.net:443")) }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ask := tc.make(t, emulator.New(emulator.Options{}), emulator.Delays{40 * time.Second, 20 * time.Second})
				seen := func() (n int) { // by how many of two servers
					for range 2 {
						switch answer := ask(); {
						case strings.HasPrefix(answer, tc.after):
							n++
						case !strings.Contains(answer, tc.before):
							t.Errorf("%q; want %q or %q", answer, tc.before, tc.after)
						}
					}
					return n
				}
				for i, at := range []time.Duration{20*time.Second - 1, 1, 20*time.Second - 1, 1} {
					time.Sleep(at)
					if got, want := seen(), []int{0, 1, 1, 2}[i]; got != want {
						t.Errorf("at time %d, %d servers see it; want %d", i+1, got, want)
					}
				}
			})
		})
	}
}

// list asks for a list of the vault, and returns status and body.
func list(d direct) func() string {
	token := d.token(emulator.DefaultTenant, emulator.DefaultClient)
	return func() string {
		a := d.do(http.MethodGet, listURL, token, "")
		return fmt.Sprint(a.status, " ", a.body)
	}
}

// signIn asks Entra for a token, and returns status and body.
func signIn(d direct, client string) func() string {
	return func() string {
		form := tokenForm(client, d.ask("api://AzureADTokenExchange"), nil)
		a := d.do(http.MethodPost, "https://login.microsoftonline.com/"+emulator.DefaultTenant+"/oauth2/v2.0/token", "",
			form)
		return fmt.Sprint(a.status, " ", a.body)
	}
}
