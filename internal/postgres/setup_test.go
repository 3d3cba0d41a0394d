package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/pgserver"
)

// example returns a file of examples/setup.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "setup", name))
	must(t, err)
	return string(text)
}

// The SQL of examples/setup makes what is needed of a server that has nothing, in both ways.
func TestExamplesOfSetup(t *testing.T) {
	roles, rights, found := strings.Cut(example(t, "postgresql.sql"), "-- 3. ")
	if !found {
		t.Fatal("postgresql.sql has no part 3")
	}
	for name, text := range map[string]string{
		"by roles": "-- " + rights, "by a function": example(t, "postgresql-function.sql"),
	} {
		t.Run(name, func(t *testing.T) {
			pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
				makeAdministrator(t, s)
				stub(t, s)
				front := s.Serve(t, azure, host, map[string]string{as: emulator.DefaultClient})
				administer(t, s, roles)
				_, err := two().Look(t.Context(), "orders_a")
				if seen := refused(t, err); !strings.Contains(seen.Cause, "may not set the password of login") {
					t.Errorf("without part 3: %s", seen.Seen())
				}
				administer(t, s, text)
				must(t, lockPrepareFinish(t, two(), "orders_b", "new"))
				must(t, lockPrepareFinish(t, one(), "orders_a", "newer"))
				if !takes(front, "orders_b", "new") || !takes(front, "orders_a", "newer") {
					t.Error("the passwords were not set")
				}
				s.Exec(t, "CREATE SCHEMA app AUTHORIZATION orders_owner")
				_, created := s.ExecAs("orders_a", "CREATE TABLE app.t ()")
				_, dropped := s.ExecAs("orders_b", "DROP TABLE app.t")
				if created != nil || dropped != nil {
					t.Errorf("what one login creates the other cannot drop: %v, %v", created, dropped)
				}
			})
		})
	}
}

// The file has the function that the refusal prints.
func TestExampleHasTheFunction(t *testing.T) {
	want := functionOf("orders_a", "orders_b") + "\n"
	if text := example(t, "postgresql-function.sql"); !strings.HasSuffix(text, "\n\n"+want) {
		t.Errorf("expected at the end of postgresql-function.sql:\n%s", want)
	}
}
