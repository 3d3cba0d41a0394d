package postgres

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/jackc/pgx/v5/pgproto3"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// silentServer is a connection to a server that lets everybody in and then says nothing; or not even that.
func silentServer(lets bool) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			backend := pgproto3.NewBackend(server, server)
			if _, err := backend.ReceiveStartupMessage(); err != nil {
				return
			}
			if lets {
				backend.Send(&pgproto3.AuthenticationOk{})
				backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				if backend.Flush() != nil {
					return
				}
			}
			_, _ = io.Copy(io.Discard, server) // until the client gives up
		}()
		return client, nil
	}
}

// A server that says nothing is waited for in bounds, and then told apart from a run that was stopped.
func TestSilentServer(t *testing.T) {
	for _, lets := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			target := New(Config{
				Host: "pg.postgres.database.azure.com", As: "gh", Logins: []string{"app"},
				Network: network.NewDialer(func(string) string { return "" }),
			})
			a := &attempt{}
			config, err := target.configure("gh", a)
			if err != nil {
				t.Fatal(err)
			}
			config.TLSConfig, config.DialFunc, config.RequireAuth = nil, silentServer(lets), "none"
			conn, err := a.connect(t.Context(), config)
			if !lets {
				failure := target.explainConnect(t.Context(), "connecting", a, err)
				if failure.Cause != "no answer: there was no answer in time" || failure.Kind != refusal.Unreachable {
					t.Errorf("connecting: %+v", failure.Refusal)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s := &session{Target: target, conn: conn}
			_, err = s.exec(t.Context(), "asking", "SELECT 1")
			const want = "the connection was lost: there was no answer in time"
			if failure := refusal.Of(err); failure.Cause != want || failure.Kind != refusal.Unreachable {
				t.Errorf("a statement: %+v", failure)
			}
			if !s.isLost() {
				t.Error("the session goes on")
			}
			<-conn.CleanupDone()
		})
	}
}
