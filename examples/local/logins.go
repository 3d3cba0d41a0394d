package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyvault-passwords/internal/test/emulator"
	"keyvault-passwords/internal/test/pgserver"
)

// host is where the demo's server is reached, through the emulator's proxy.
const host = "pg-orders.postgres.database.azure.com"

// rotated is the declaration of the demo.
const rotated = `secrets:
  orders-login:
    login: [orders_a, orders_b]
    policy: azure-postgresql
    value: "${login}:${password}"
    apply: {postgresql: ` + host + `, as: gh-passwords}
    rotate: {after: 30d}
`

// roles are what examples/setup makes in a server, as far as a server that is not Azure's can have it.
const roles = `CREATE ROLE "gh-passwords" LOGIN CREATEROLE;
CREATE ROLE orders_owner NOLOGIN;
CREATE ROLE orders_a LOGIN;
CREATE ROLE orders_b LOGIN;
GRANT orders_owner TO orders_a, orders_b;
ALTER ROLE orders_a SET role TO orders_owner;
ALTER ROLE orders_b SET role TO orders_owner`

// grant is what the identity needs besides, since PostgreSQL 16.
const grant = `GRANT orders_a, orders_b TO "gh-passwords" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE`

// showLogins shows the first version and two rotations, and who can log in after each.
func (d *demo) showLogins(ctx context.Context) error {
	server, err := startServer()
	if err != nil {
		return err
	}
	defer server.Close()
	if _, err := server.ExecAs("postgres", roles); err != nil {
		return err
	}
	if server.Version != "15" {
		if _, err := server.ExecAs("postgres", grant); err != nil {
			return err
		}
	}
	d.declaration = filepath.Join(d.dir, "passwords.yml")
	if err := os.WriteFile(d.declaration, []byte(rotated), 0o600); err != nil {
		return err
	}
	if d.emulator, err = emulator.Start(emulator.Options{Dir: d.dir}); err != nil {
		return err
	}
	defer func() { _ = d.emulator.Close() }() // a listener on loopback that goes with the process anyway
	front, err := server.Open(d.emulator, host, map[string]string{"gh-passwords": emulator.DefaultClient})
	if err != nil {
		return err
	}
	defer front.Close()
	fmt.Fprintf(d.out, "PostgreSQL %s runs, and is reached as %s.\n", server.Version, host)
	for _, run := range []struct{ title, mode string }{
		{"Bootstrap: the first login gets a password", "mode=ensure"},
		{"Rotation: the login that is idle gets the next one", "mode=force"},
		{"Another rotation at once, as after a leak: the first password is void", "mode=force"},
	} {
		if _, err := d.runAction(ctx, run.title, run.mode); err != nil {
			return err
		}
		d.showReaders(front)
	}
	d.heading("What the server was sent (verifiers, and no password)")
	for _, statement := range front.Statements("gh-passwords") {
		if strings.HasPrefix(statement, "ALTER ROLE") {
			salt := strings.Index(statement, "$4096:") + len("$4096:")
			fmt.Fprintln(d.out, statement[:salt]+"...'")
		}
	}
	return nil
}

// startServer starts the newest version that is installed.
func startServer() (*pgserver.Server, error) {
	var missing []error
	for _, version := range slices.Backward(pgserver.Versions) {
		server, err := pgserver.Start(version)
		if _, ok := errors.AsType[*pgserver.MissingError](err); !ok {
			return server, err
		}
		missing = append(missing, err)
	}
	return nil, errors.Join(missing...)
}

// showReaders logs in with each value that the vault has held, as readers do that took it then.
func (d *demo) showReaders(front *pgserver.Front) {
	d.heading("Who can log in now")
	for i, value := range d.emulator.Values() {
		login, password, _ := strings.Cut(value, ":")
		outcome := "logs in"
		if front.LogIn(login, password) != nil {
			outcome = "is refused"
		}
		fmt.Fprintf(d.out, "a reader with version %d, which is for %s, %s\n", i+1, login, outcome)
	}
}
