package postgres_test

import (
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/access"
	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/postgres"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/pgserver"
)

// A server whose name is minutes old is waited for. Where it does not come, the refusal tells how long that was; where
// nothing is waited for, the remedy names the wait.
func TestHostIsWaitedFor(t *testing.T) {
	s := pgserver.Get(t, pgserver.Versions[0]) // which does not matter
	front := setUp(t, s)
	front.Close()
	var log []string
	note := func(line string) {
		if log = append(log, line); len(log) == 1 {
			s.Serve(t, azure, host, map[string]string{as: emulator.DefaultClient})
		}
	}
	target := newTarget(postgres.Config{
		Logins: []string{"orders_a", "orders_b"}, Access: access.New(t.Context(), time.Second, note),
	})
	_, err := target.Look(t.Context(), "orders_a")
	if err != nil || len(log) != 2 || !strings.HasPrefix(log[0], "waiting for access, up to 1s: server "+host+
		": the proxy refused to connect") || !strings.HasSuffix(log[1], ": server "+host) {
		t.Errorf("Look: %v; the log: %q", err, log)
	}

	direct := network.NewDialer(func(string) string { return "" })
	for _, tc := range []struct {
		access        *access.Wait
		cause, remedy string
	}{
		{nil, "there is no host does-not-exist.invalid",
			"; set wait-for-access: 10m, and timeout to more, to wait for what was made minutes ago"},
		{
			access.New(t.Context(), time.Second, func(string) {}),
			"there is no host does-not-exist.invalid, after waiting 1s for access", "resolves only inside its network",
		},
	} {
		target := newTarget(postgres.Config{
			Host: "does-not-exist.invalid", Logins: []string{"orders_a"}, Network: direct, Access: tc.access,
		})
		_, err := target.Look(t.Context(), "orders_a")
		if r := refusal.Of(err); r.Cause != tc.cause || !strings.HasSuffix(r.Remedy, tc.remedy) {
			t.Errorf("Look: %v", err)
		}
	}
}
