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

// Whoever may make a schema in the database may make a function of that name. One that would run with the rights of the
// action's role is not called.
func TestForeignFunction(t *testing.T) {
	pgserver.Each(t, func(t *testing.T, s *pgserver.Server) {
		setUp(t, s)
		s.Exec(t, `ALTER ROLE "gh-passwords" NOCREATEROLE; CREATE ROLE somebody LOGIN;
CREATE TABLE public.caught (role text); GRANT INSERT ON public.caught TO PUBLIC;
GRANT CREATE ON DATABASE postgres TO somebody`)
		t.Cleanup(func() { s.Exec(t, `DROP TABLE public.caught; DROP OWNED BY somebody CASCADE; DROP ROLE somebody`) })
		_, err := s.ExecAs("somebody", `CREATE SCHEMA rotate; GRANT USAGE ON SCHEMA rotate TO PUBLIC;
CREATE FUNCTION rotate.set_verifier(login text, verifier text, operation text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO public.caught VALUES (current_user) $$`)
		must(t, err)
		_, err = two().Look(t.Context(), "orders_a")
		if seen := refused(t, err); !strings.Contains(seen.Cause, "may not set the password of login orders_a") {
			t.Errorf("%s", seen.Seen())
		}
		if caught := s.Query(t, "SELECT role FROM public.caught"); len(caught) != 0 {
			t.Errorf("the function was called with the rights of %q", caught)
		}
	})
}

// The file has the function that the refusal prints.
func TestExampleHasTheFunction(t *testing.T) {
	want := functionOf("orders_a", "orders_b") + "\n"
	if text := example(t, "postgresql-function.sql"); !strings.HasSuffix(text, "\n\n"+want) {
		t.Errorf("expected at the end of postgresql-function.sql:\n%s", want)
	}
}
