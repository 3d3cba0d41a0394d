package emulator_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"keyvault-passwords/internal/test/emulator"
)

// A tunnel leads to what listens behind it: that ends TLS with a certificate of the emulator's CA. Another port of the
// host, and another host, lead nowhere.
func TestTunnel(t *testing.T) {
	const host = "pg-prod.postgres.database.azure.com"
	e, err := emulator.Start(emulator.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	certificate, err := e.Certificate(host)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() { // echoes what one client says
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		server := tls.Server(conn, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		})
		_, _ = io.Copy(server, server) // until the client leaves
	}()
	e.Tunnel(host+":5432", listener.Addr().String())

	for _, address := range []string{host + ":6432", "x" + host + ":5432"} {
		if conn, status := connect(t, e, address); status != http.StatusBadGateway {
			t.Errorf("CONNECT %s: %d; want 502", address, status)
		} else {
			conn.Close()
		}
	}
	conn, status := connect(t, e, strings.ToUpper(host)+":5432")
	if status != http.StatusOK {
		t.Fatalf("CONNECT: %d", status)
	}
	roots := x509.NewCertPool()
	ca, err := os.ReadFile(e.CAFile())
	if err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no CA:", err)
	}
	client := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12})
	if _, err := io.WriteString(client, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(client).ReadString('\n'); line != "hello\n" {
		t.Errorf("the tunnel answers %q, %v", line, err)
	}
	client.Close()

	e.Tunnel(host+":5432", "")
	if _, status := connect(t, e, host+":5432"); status != http.StatusBadGateway {
		t.Errorf("CONNECT to a tunnel that is no more: %d; want 502", status)
	}
	e.Tunnel(host+":5432", listener.Addr().String())
	e.Fault(emulator.Fault{Operation: "connect", Kind: emulator.Status, Status: 503})
	if _, status := connect(t, e, host+":5432"); status != http.StatusServiceUnavailable {
		t.Errorf("CONNECT with a fault: %d; want 503", status)
	}
}

// connect asks the emulator's proxy for a connection.
func connect(t *testing.T, e *emulator.Emulator, address string) (net.Conn, int) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.Proxy(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address)
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	return conn, response.StatusCode
}
