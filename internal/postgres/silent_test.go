package postgres

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// silentServer is a connection to a server that takes all and says nothing.
func silentServer() (net.Conn, error) {
	client, server := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, server) }() // until the client gives up
	return client, nil
}

// A server that says nothing is waited for in bounds, and then told apart from a run that was stopped.
func TestSilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := New(Config{
			Host: "pg.postgres.database.azure.com", As: "gh", Logins: []string{"app"},
			Network: network.NewDialer(func(string) string { return "" }),
		})
		pipe, _ := silentServer()
		c := &conn{
			Conn: pipe, read: bufio.NewReader(pipe), key: make([]byte, 8),
			secure: func(context.Context) (net.Conn, error) { return silentServer() },
		}
		ctx, cancel := network.WithTimeout(t.Context(), connectTimeout)
		defer cancel()
		a := &attempt{}
		if err := c.logIn(ctx, login{role: "gh", token: "x"}, a); err == nil || ctx.Err() == nil {
			t.Fatalf("logging in: %v", err)
		}
		failure := target.explainConnect(t.Context(), "connecting", a, context.Cause(ctx))
		if failure.Cause != "no answer: there was no answer in time" || failure.Kind != refusal.Unreachable {
			t.Errorf("logging in: %+v", failure.Refusal)
		}

		s := &session{Target: target, conn: c}
		_, err := s.exec(t.Context(), "asking", "SELECT 1")
		const want = "the connection was lost: there was no answer in time"
		if failure := refusal.Of(err); failure.Cause != want || failure.Kind != refusal.Unreachable {
			t.Errorf("a statement: %+v", failure)
		}
		if !s.isLost() {
			t.Error("the session goes on")
		}
	})
}
