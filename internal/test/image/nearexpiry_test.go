package image

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/test/emulator"
)

// dispatched is the event that a dispatch of examples/near-expiry/logic-app.json becomes, with this client_payload.
// https://docs.github.com/webhooks/webhook-events-and-payloads#repository_dispatch
func dispatched(t *testing.T, payload any) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"action": "secret-near-expiry", "branch": "main", "client_payload": payload,
		"repository": map[string]any{"full_name": "OWNER/REPO", "name": "REPO", "default_branch": "main"},
		"sender":     map[string]any{"login": "passwords-dispatcher"},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "event.json")
	write(t, path, string(text))
	return path
}

// The secret that the event names gets a new version when it is due, and only then; the same event a second time makes
// none, and no event touches another secret.
func TestWorkflowNearExpiry(t *testing.T) {
	w := newWorkflow(t, "near-expiry")
	if _, err := w.services.Put(vaultName, "sql-admin-password", emulator.Plant{}); err != nil {
		t.Fatal(err)
	}
	state := stored(w.services)
	made := []string{"redis-password"}
	for _, round := range []struct {
		name  string
		after time.Duration
		event string
		want  []string
	}{
		{"it is not there yet", 0, "redis-password", made},
		{"32 days left", 58 * 24 * time.Hour, "redis-password", nil},
		{"30 days left", 2 * 24 * time.Hour, "Redis-Password", made},
		{"the same event again", time.Minute, "redis-password", nil},
	} {
		w.services.Advance(round.after)
		log, err := w.try(t, "repository_dispatch", "--eventpath",
			dispatched(t, map[string]any{"vault": vaultName, "name": round.event}))
		now := stored(w.services)
		if got := changed(state, now); err != nil || !slices.Equal(got, round.want) {
			t.Fatalf("%s: %v, new versions of %q, want %q\n%s", round.name, err, got, round.want, log)
		}
		if ran := strings.Contains(log, "| restart the readers of "); ran != (len(round.want) > 0) {
			t.Errorf("%s: the step that restarts the readers ran: %t\n%s", round.name, ran, log)
		}
		state = now
	}
}

// What an event says that is no declared secret of this vault ends the job before anything is contacted.
func TestWorkflowNearExpiryRefuses(t *testing.T) {
	w := newWorkflow(t, "near-expiry")
	if _, err := w.services.Put(vaultName, "not-declared",
		emulator.Plant{Expires: w.services.Now().Add(20 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	before, asked := stored(w.services), w.services.Requests()
	for name, payload := range map[string]any{
		"a name that is not declared": map[string]any{"vault": vaultName, "name": "not-declared"},
		"a pattern":                   map[string]any{"vault": vaultName, "name": "*"},
		"a command": map[string]any{"vault": vaultName,
			"name": `"; echo RAN-$((6*7)); $(echo RAN-$((6*7)) >&2) #`},
		"a list":        map[string]any{"vault": vaultName, "name": []string{"redis-password"}},
		"no name":       map[string]any{"vault": vaultName},
		"another vault": map[string]any{"vault": "kv-other", "name": "redis-password"},
		"nothing":       nil,
	} {
		log, err := w.try(t, "repository_dispatch", "--eventpath", dispatched(t, payload))
		if err == nil || strings.Contains(log, "RAN-42") {
			t.Errorf("%s: the job ended with %v\n%s", name, err, log)
		}
		if got := changed(before, stored(w.services)); len(got) != 0 {
			t.Errorf("%s: new versions of %q\n%s", name, got, log)
		}
		if got := w.services.Requests(); !maps.Equal(got, asked) {
			t.Errorf("%s: the services were asked: %v, before %v\n%s", name, got, asked, log)
		}
	}
}
