package prose_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// faults are what SECURITY.md's table goes through, in its words.
var faults = []struct {
	text  string
	fault emulator.Fault
}{
	{"GitHub's token service: 503", emulator.Fault{Operation: "oidc", Kind: emulator.Status, Status: 503}},
	{"GitHub's token service: connection cut", emulator.Fault{Operation: "oidc", Kind: emulator.Cut}},
	{"GitHub's token service: an answer without a token", emulator.Fault{Operation: "oidc", Kind: emulator.EmptyValue}},
	{"Entra: right credentials refused (AADSTS700213)", emulator.Fault{
		Operation: "token",
		Kind:      emulator.Status,
		Code:      "AADSTS700213",
	}},
	{"Entra: 503", emulator.Fault{Operation: "token", Kind: emulator.Status, Status: 503}},
	{"Entra: an answer without a token", emulator.Fault{Operation: "token", Kind: emulator.Empty}},
	{"Entra: an answer that holds workflow commands", emulator.Fault{Operation: "token", Kind: emulator.Injection}},
	{"vault: a malformed challenge", emulator.Fault{Operation: "challenge", Kind: emulator.BadChallenge}},
	{"vault: a token refused that is still valid", emulator.Fault{Operation: "versions", Kind: emulator.StaleToken}},
	{"list of versions: connection cut", emulator.Fault{Operation: "versions", Kind: emulator.Cut}},
	{"list of versions: 500", emulator.Fault{Operation: "versions", Kind: emulator.Status, Status: 500}},
	{"list of versions: 403", emulator.Fault{
		Operation: "versions",
		Kind:      emulator.Status,
		Status:    403,
		Code:      "Forbidden",
		Inner:     "ForbiddenByRbac",
	}},
	{"list of versions: cut in the middle", emulator.Fault{Operation: "versions", Kind: emulator.Truncated}},
	{"list of versions: leads to another host", emulator.Fault{Operation: "versions", Kind: emulator.ForeignLink}},
	{"list of versions: never ends", emulator.Fault{Operation: "versions", Kind: emulator.Endless}},
	{"list of versions: 16 MiB", emulator.Fault{Operation: "versions", Kind: emulator.BigBody}},
	{"set: connection cut before the vault stores it", emulator.Fault{Operation: "set", Kind: emulator.Cut}},
	{"set: connection cut after the vault stored it", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Cut,
		Phase:     emulator.After,
	}},
	{"set: 503 before the vault stores it", emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 503}},
	{"set: 503 after the vault stored it", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    503,
		Phase:     emulator.After,
	}},
	{"set: 408 after the vault stored it", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    408,
		Phase:     emulator.After,
	}},
	{"set: answer cut in the middle", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Truncated,
		Phase:     emulator.After,
	}},
	{"set: 200 without a body", emulator.Fault{Operation: "set", Kind: emulator.NoBody, Phase: emulator.After}},
	{"set: answer 20 s late", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Slow,
		Delay:     20 * time.Second,
		Phase:     emulator.After,
	}},
	{"set: 503, and stored only 4 s later", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Late,
		Delay:     4 * time.Second,
	}},
	{"set: 429", emulator.Fault{Operation: "set", Kind: emulator.Status, Status: 429, Code: "Throttled"}},
	{"set: 403", emulator.Fault{
		Operation: "set",
		Kind:      emulator.Status,
		Status:    403,
		Code:      "Forbidden",
		Inner:     "ForbiddenByRbac",
	}},
	{"set: redirected to another host", emulator.Fault{Operation: "set", Kind: emulator.Redirect}},
	{"set: an answer that holds workflow commands", emulator.Fault{Operation: "set", Kind: emulator.Injection}},
	{"set: headers of 16 MiB", emulator.Fault{Operation: "set", Kind: emulator.BigHeaders, Phase: emulator.After}},
}

// faultTable has the action make one secret under each fault, once and each time that it can happen, and tells what
// came of it.
func faultTable(t *testing.T) string {
	t.Helper()
	table := "| fault | once | every time |\n| --- | --- | --- |\n"
	for _, row := range faults {
		once, always := row.fault, row.fault
		always.Times = -1
		table += fmt.Sprintf("| %s | %s | %s |\n", row.text, survive(t, row.text, once), survive(t, row.text, always))
	}
	return table
}

// survive runs the action under a fault, holds what it left against the promises, and returns what it came to.
func survive(t *testing.T, name string, fault emulator.Fault) (outcome string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := get(t, trouble{world: func(e *emulator.Emulator) { e.Fault(fault) }})
			time.Sleep(time.Minute) // what is committed late is committed now
			if len(r.emulator.FaultLog()) == 0 {
				t.Error("the fault did not happen")
			}
			outcome = keeps(t, r, fault.Kind == emulator.Late || fault.Kind == emulator.Slow)
		})
	})
	return outcome
}

// keeps holds a run against the promises and returns what it came to.
func keeps(t *testing.T, r run, late bool) string {
	t.Helper()
	held, values := r.emulator.Holds(), r.emulator.Values()
	var told map[string]string
	if len(r.Outputs) > 0 {
		if err := r.Outputs.Decode("versions", &told); err != nil {
			t.Error(err)
		}
	}
	for _, value := range values {
		if value != values[0] {
			t.Error("two values were sent for one secret")
		}
	}
	if len(held) > 1 && !late {
		t.Errorf("one operation made %d versions", len(held))
	}
	for _, version := range told {
		if len(held) == 0 || version != held[0].Version && version != held[len(held)-1].Version {
			t.Errorf("the outputs name version %s, which the vault does not hold", version)
		}
	}
	unknown := strings.Contains(r.Log, "the version may have been stored")
	if len(held) > 0 && len(told) == 0 && !unknown {
		t.Error("what was stored is not in the outputs, and the log does not say that its end is unknown")
	}
	if (r.Status == 0) != (len(told) == 1) {
		t.Errorf("exit status %d with %d secrets in the outputs", r.Status, len(told))
	}
	if r.emulator.Requests()["get"] != 0 {
		t.Error("a value was read")
	}
	if found, err := r.job.Leaks(r.Result); found != nil || err != nil {
		t.Errorf("leaks: %v, %v", found, err)
	}
	if foreign := regexp.MustCompile(`(?m)^::(set-output|add-mask::e$)|##\[`).FindString(r.Log); foreign != "" {
		t.Errorf("the log issues the command %q", foreign)
	}
	return wording(r, len(held), unknown)
}

// wording says what a run came to.
func wording(r run, versions int, unknown bool) string {
	stored := [...]string{"nothing is stored", "one version", "two versions of one value"}[min(versions, 2)]
	if versions > 2 {
		stored = fmt.Sprintf("%d versions of one value", versions)
	}
	switch {
	case r.Status == 0:
		return stored
	case unknown:
		return "refused: the version may have been stored; " + stored
	}
	return "refused: " + stored
}
