package scenarios

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/action"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/job"
)

// A setting is an environment that was made a moment ago, and how long each part of it takes to be seen. Nil: at once.
type setting struct {
	credential, firewall, name emulator.Delays
	list, set                  emulator.Delays // what the role allows
}

// bootstrapSetting is the whole of it at once: the two front ends of the vault learn of the role half a minute apart.
var bootstrapSetting = setting{
	credential: emulator.Delays{40 * time.Second},
	firewall:   emulator.Delays{30 * time.Second},
	name:       emulator.Delays{20 * time.Second},
	list:       emulator.Delays{90 * time.Second, 120 * time.Second},
	set:        emulator.Delays{90 * time.Second, 120 * time.Second},
}

const (
	bootstrapVault = "kv-new"
	never          = 1000 * time.Hour
)

// make makes it.
func (s setting) make() *emulator.Emulator {
	e := emulator.New(emulator.Options{Seed: 1, Vaults: []string{}})
	e.Distrust("")
	e.Revoke("", "")
	e.Trust(emulator.Credential{Seen: s.credential})
	e.AddVault(emulator.VaultOptions{Name: bootstrapVault, Firewall: true, Resolves: s.name})
	e.Admit(s.firewall, bootstrapVault)
	e.GrantLater(s.list, "", bootstrapVault, emulator.ReadMetadata)
	e.GrantLater(s.set, "", bootstrapVault, emulator.SetSecret)
	return e
}

// bootstrapSecrets are twenty, more than are in flight at once.
const bootstrapSecrets = `vault: kv-new
secrets: {a: default, b: default, c: default, d: default, e: default, f: default, g: default, h: default, i: default,
  j: default, k: default, l: default, m: default, n: default, o: default, p: default, q: default, r: default,
  s: default, t: default}
`

// A bootstrapping is how a run ended.
type bootstrapping struct {
	*job.Result
	e    *emulator.Emulator
	took time.Duration
}

// bootstrap runs the action on a setting, in a bubble where waiting costs no time.
func bootstrap(ctx context.Context, t *testing.T, e *emulator.Emulator, inputs ...string) bootstrapping {
	t.Helper()
	return bootstrapOf(ctx, t, e, bootstrapSecrets, inputs...)
}

// bootstrapOf does the same with another declaration.
func bootstrapOf(ctx context.Context, t *testing.T, e *emulator.Emulator, declared string,
	inputs ...string) bootstrapping {
	t.Helper()
	network := job.NewNetwork(e)
	defer network.Close()
	j := job.New(e, t.TempDir())
	if err := j.Declare(declared); err != nil {
		t.Fatal(err)
	}
	j.Input(inputs...)
	start := time.Now()
	r, err := j.Run(ctx, network)
	if err != nil {
		t.Fatal(err)
	}
	b := bootstrapping{Result: r, e: e, took: time.Since(start)}
	if found, err := j.Leaks(r); err != nil || len(found) > 0 {
		t.Errorf("leaks: %v, %v", found, err)
	}
	return b
}

// checkMade looks whether so many secrets were made, each once, and each is in the outputs.
func (b bootstrapping) checkMade(t *testing.T, want int) {
	t.Helper()
	made := map[string]int{}
	for _, held := range b.e.Holds() {
		if made[held.Name]++; made[held.Name] > 1 {
			t.Errorf("%s was made more than once", held.Name)
		}
	}
	var changed []string
	if err := json.Unmarshal([]byte(b.Outputs.Get("changed")), &changed); err != nil {
		t.Error(err)
	}
	if len(made) != want || len(changed) != want {
		t.Errorf("%d secrets were made, %d are in the outputs; want %d\n%s", len(made), len(changed), want, b.Log)
	}
}

// checkPace looks whether neither Entra nor the vault were hammered.
func (b bootstrapping) checkPace(t *testing.T) {
	t.Helper()
	requests := b.e.Requests()
	if got, most := requests["token"], 2+int(b.took/(10*time.Second)); got > most {
		t.Errorf("%d token requests in %s; want one in 10 s at most", got, b.took)
	}
	// Twenty lists and twenty sets are let through; each refused set is looked for once, as ever.
	needed, inFlight := 2*20+1, 8
	asked := requests["versions"] + requests["set"] + requests["list-deleted"]
	if most := needed + 2*inFlight*(2+int(b.took/(5*time.Second))); asked > most {
		t.Errorf("%d requests to the vault in %s; want %d at most", asked, b.took, most)
	}
}

// checkTold looks whether the log tells often enough what is waited for, and no more than that.
func (b bootstrapping) checkTold(t *testing.T, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(b.Log, want) {
			t.Errorf("%q is not in the log:\n%s", want, b.Log)
		}
	}
	told := len(regexp.MustCompile(`(?m)^waiting for access`).FindAllString(b.Log, -1))
	if most := 1 + int(b.took/(15*time.Second)); told > most {
		t.Errorf("the log tells %d times in %s what is waited for; want one in 15 s at most:\n%s", told, b.took, b.Log)
	}
}

// Each secret is made exactly once, whatever of the set-up is seen only later, and by whichever front end first.
func TestBootstrap(t *testing.T) {
	const role = "the identity has no role here that allows it: 403 Forbidden ForbiddenByRbac"
	seconds := func(numbers ...int) (delays emulator.Delays) {
		for _, n := range numbers {
			delays = append(delays, time.Duration(n)*time.Second)
		}
		return delays
	}
	for _, tc := range []struct {
		name    string
		setting setting
		until   time.Duration
		told    []string
	}{
		{"everything at once", bootstrapSetting, 120 * time.Second, []string{
			"waiting for access, up to 10m0s: vault kv-new (readMetadata/action): there is no host kv-new.",
			"\nwaiting for access, 30s of 10m0s: Entra, as client ID " + emulator.DefaultClient +
				": the application has no federated credential: AADSTS70025\n",
			"\naccess after 40s: Entra, as client ID " + emulator.DefaultClient + "\n",
			"\nwaiting for access, 1m30s of 10m0s: vault kv-new (readMetadata/action): " + role + "\n",
			"\naccess after 1m35s: vault kv-new (readMetadata/action)\n",
			"\naccess after 2m0s: vault kv-new (readMetadata/action)\n",
		}},
		{"the firewall last", setting{firewall: seconds(60, 75), set: seconds(30)}, 75 * time.Second, []string{
			"up to 10m0s: vault kv-new (readMetadata/action): the vault's firewall does not admit",
			"access after 1m",
		}},
		{"the role to set last", setting{set: seconds(90, 120)}, 120 * time.Second, []string{
			"waiting for access, up to 10m0s: vault kv-new (setSecret/action): " + role,
			"access after 2m0s: vault kv-new (setSecret/action)",
		}},
		{"one of three front ends", setting{list: seconds(0, 50, 0), set: seconds(0, 50, 0)}, 0, []string{role}},
		{"nothing", setting{}, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bootstrap(t.Context(), t, tc.setting.make(), "wait-for-access=10m", "timeout=15m")
				if b.Status != action.StatusOK {
					t.Fatalf("status %d after %s:\n%s", b.Status, b.took, b.Log)
				}
				b.checkMade(t, 20)
				b.checkPace(t)
				b.checkTold(t, tc.told...)
				if b.took < tc.until || b.took > tc.until+time.Minute {
					t.Errorf("it took %s; want little more than %s", b.took, tc.until)
				}
				if strings.Contains(b.Log, " 0.0/s, ") {
					t.Errorf("what is left is judged by a wait that is over:\n%s", b.Log)
				}
				if waited := len(tc.told) > 0; waited != strings.Contains(b.Files["GITHUB_STEP_SUMMARY"],
					"- Access after ") {
					t.Errorf("the summary tells of a wait: %t", !waited)
				}
			})
		})
	}
}

// A database server was made with the rest, and its role is seen last: the password is set in the vault and at the
// server, once. The second sign-in, for Resource Manager, keeps to the pace of the first.
func TestBootstrapWithServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bootstrapSetting
		s.credential = emulator.Delays{40 * time.Second, 55 * time.Second}
		e := s.make()
		id := e.AddServer(emulator.ServerOptions{Name: "sql-new", Takes: 10 * time.Second})
		e.Revoke("", "sql-new")
		seen := emulator.Delays{130 * time.Second, 160 * time.Second, 190 * time.Second}
		e.GrantLater(seen, "", "sql-new", emulator.ReadServer, emulator.WriteServer, emulator.ReadOperations)
		e.GrantLater(emulator.Delays{90 * time.Second, 120 * time.Second}, "", bootstrapVault, emulator.Update)
		b := bootstrapOf(t.Context(), t, e,
			"vault: kv-new\nsecrets:\n  sql-admin: {login: sqladmin, policy: azure-sql, "+
				"apply: {azure: "+id+"}}\n", "wait-for-access=10m", "timeout=15m")
		if b.Status != action.StatusOK || b.took < 130*time.Second || b.took > 5*time.Minute {
			t.Fatalf("status %d after %s:\n%s", b.Status, b.took, b.Log)
		}
		b.checkMade(t, 1)
		b.checkPace(t)
		b.checkTold(t, "server sql-new (Microsoft.Sql/servers/read): the identity has no role here", "\naccess after ")
		server := e.Servers()[0]
		if !e.LogsIn(server.ID, "sqladmin", e.Values()[len(e.Values())-1]) || server.Changes != 1 {
			t.Errorf("%d changes of the server; want one, to what the vault holds:\n%s", server.Changes, b.Log)
		}
	})
}

// An audit waits too: it tells what the vault lacks, and not that it could not be listed.
func TestBootstrapAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bootstrap(t.Context(), t, bootstrapSetting.make(), "mode=audit", "wait-for-access=10m", "timeout=15m")
		if b.Status != action.StatusFailed || b.took < 90*time.Second || b.took > 3*time.Minute {
			t.Errorf("status %d after %s; want %d after about 2 minutes", b.Status, b.took, action.StatusFailed)
		}
		b.checkTold(t, "\naccess after 1m", "missing")
		if !strings.Contains(b.Files["GITHUB_STEP_SUMMARY"], "- Access after 1m") {
			t.Errorf("the summary does not tell of the wait:\n%s", b.Files["GITHUB_STEP_SUMMARY"])
		}
		if strings.Contains(b.Log, "ForbiddenByRbac (") || b.e.Requests()["set"] != 0 {
			t.Errorf("the vault was not listed whole, or something was written:\n%s", b.Log)
		}
	})
}

// What does not pass ends with the refusal as without the wait, and the time waited; nothing is written.
func TestBootstrapInVain(t *testing.T) {
	for _, tc := range []struct {
		name    string
		setting setting
		wait    string
		took    time.Duration // at most a try longer
		want    string
	}{
		{"role", setting{list: emulator.Delays{never}}, "2m", 2 * time.Minute,
			"the identity has no role here that allows it: 403 Forbidden ForbiddenByRbac, after waiting 2m0s for " +
				"access (request ID "},
		{"role to set", setting{set: emulator.Delays{never}}, "2m", 2 * time.Minute,
			"setting it: the identity has no role here that allows it: 403 Forbidden ForbiddenByRbac, " +
				"after waiting 2m0s for access"},
		{"firewall", setting{firewall: emulator.Delays{never}}, "3s", 3 * time.Second, ", after waiting 3s for access"},
		{"credential", setting{credential: emulator.Delays{never}}, "1m", time.Minute,
			"the application has no federated credential: AADSTS70025, after waiting 1m0s for access (correlation ID "},
		{"name", setting{name: emulator.Delays{never}}, "1m", time.Minute,
			"there is no host kv-new.vault.azure.net, after waiting 1m0s for access; check the vault's name"},
		{"the timeout comes first", setting{list: emulator.Delays{never}}, "5m", 290 * time.Second,
			"ForbiddenByRbac, after waiting 4m50s for access"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bootstrap(t.Context(), t, tc.setting.make(), "wait-for-access="+tc.wait, "timeout=5m")
				if b.Status != action.StatusFailed || b.took < tc.took || b.took >= tc.took+5*time.Second {
					t.Errorf("status %d after %s; want %d after %s", b.Status, b.took, action.StatusFailed, tc.took)
				}
				if !regexp.MustCompile(strings.ReplaceAll(tc.want, " (", ` \(`)).MatchString(b.Log) {
					t.Errorf("%q is not in the log:\n%s", tc.want, b.Log)
				}
				if strings.Contains(b.Log, "set wait-for-access") || strings.Contains(b.Log, "timeout is over") {
					t.Errorf("the log advises what was done, or lacks the refusal:\n%s", b.Log)
				}
				if n := strings.Count(b.Log, "\n::error"); n != 1 {
					t.Errorf("%d problems; want one of all secrets:\n%s", n, b.Log)
				}
				b.checkMade(t, 0)
				b.checkPace(t)
				b.checkTold(t)
			})
		})
	}
}

// A secret that is refused for good, as by a condition of the role, holds up no other, and those that are let through
// do not make it ask more often.
func TestBootstrapWithOneRefusedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := setting{}.make()
		e.Fault(emulator.Fault{
			Operation: "set", Secret: "c", Times: -1,
			Kind: emulator.Status, Status: 403, Code: "Forbidden", Inner: "ForbiddenByRbac",
		})
		e.Fault(emulator.Fault{Operation: "set", Kind: emulator.Slow, Delay: time.Second, Times: -1})
		b := bootstrap(t.Context(), t, e, "wait-for-access=1m", "timeout=2m", "concurrency=2")
		if b.Status != action.StatusFailed || b.took < time.Minute || b.took > 70*time.Second {
			t.Errorf("status %d after %s; want %d after a minute", b.Status, b.took, action.StatusFailed)
		}
		b.checkMade(t, 19)
		if got := e.Requests()["set"]; got > 19+2+60/5 {
			t.Errorf("%d sets; want the 19, and one in 5 s", got)
		}
	})
}

// A stop ends a wait at once, before whatever it is.
func TestBootstrapStopped(t *testing.T) {
	for name, s := range map[string]setting{
		"sign-in": {credential: emulator.Delays{never}}, "list": {list: emulator.Delays{never}},
		"set": {set: emulator.Delays{never}}, "name": {name: emulator.Delays{never}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(33*time.Second, cancel)
				b := bootstrap(ctx, t, s.make(), "wait-for-access=10m")
				if b.Status != action.StatusFailed || b.took != 33*time.Second {
					t.Errorf("status %d after %s; want %d after 33s\n%s", b.Status, b.took, action.StatusFailed, b.Log)
				}
				b.checkMade(t, 0)
				b.checkTold(t, "the run was stopped")
				if strings.Contains(b.Log, "for access;") {
					t.Errorf("the log tells of a wait that ended:\n%s", b.Log)
				}
			})
		})
	}
}

// What passes by itself is tried again after a long wait as well as at the start.
func TestBootstrapThenAServerError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bootstrapSetting.make()
		for _, operation := range []string{"versions", "list-deleted", "set"} {
			e.Fault(emulator.Fault{Operation: operation, Kind: emulator.Status, Status: 503, Times: 2})
		}
		b := bootstrap(t.Context(), t, e, "wait-for-access=10m")
		if b.Status != action.StatusOK {
			t.Errorf("status %d:\n%s", b.Status, b.Log)
		}
		b.checkMade(t, 20)
	})
}
