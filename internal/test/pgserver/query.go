package pgserver

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Exec runs statements as the superuser postgres.
func (s *Server) Exec(t testing.TB, sql string) {
	t.Helper()
	if _, err := s.query(sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// Query returns the rows of a query as the superuser postgres, their columns separated by |.
func (s *Server) Query(t testing.TB, sql string) []string {
	t.Helper()
	rows, err := s.query(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func (s *Server) query(sql string) (rows []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return query(s.admin, sql)
}

func query(conn *pgconn.PgConn, sql string) (rows []string, err error) {
	results, err := conn.Exec(context.Background(), sql).ReadAll()
	for _, result := range results {
		for _, row := range result.Rows {
			var columns []string
			for _, column := range row {
				columns = append(columns, string(column))
			}
			rows = append(rows, strings.Join(columns, "|"))
		}
	}
	return rows, err
}

// ExecAs runs statements as a role, whatever its password is.
func (s *Server) ExecAs(role, sql string) ([]string, error) {
	config := s.config.Copy()
	config.User = role
	conn, err := pgconn.ConnectConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.Background())
	return query(conn, sql)
}

// Statements returns all that pg_stat_statements has kept since the test began.
func (s *Server) Statements(t testing.TB) string {
	t.Helper()
	return strings.Join(s.Query(t, "SELECT query FROM pg_stat_statements"), "\n")
}

// clean drops what tests leave in a server: sessions, schemas, roles, settings, statistics.
var clean = []string{
	`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
	WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`,
	`DO $$
	DECLARE name text;
	BEGIN
		FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|public$|information_schema$)'
		LOOP EXECUTE format('DROP SCHEMA %I CASCADE', name); END LOOP;
		FOR name IN SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$|tokens$)'
		LOOP EXECUTE format('DROP OWNED BY %I CASCADE', name); END LOOP;
		FOR name IN SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$|tokens$)'
		LOOP EXECUTE format('DROP ROLE %I', name); END LOOP;
	END $$`,
	`ALTER SYSTEM RESET ALL`,
	`SELECT pg_reload_conf()`,
	`SELECT pg_stat_statements_reset()`,
}

// reset makes the server as new.
func (s *Server) reset(t testing.TB) {
	t.Helper()
	for _, database := range s.Query(t, "SELECT quote_ident(datname) FROM pg_database "+
		"WHERE NOT datistemplate AND datname <> 'postgres'") {
		s.Exec(t, "DROP DATABASE "+database+" WITH (FORCE)")
	}
	for _, statement := range clean { // each on its own: ALTER SYSTEM is in no transaction
		s.Exec(t, statement)
	}
	s.seen = int64(len(s.wholeLog()))
}
