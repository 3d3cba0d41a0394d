package network_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/network"
)

// listen serves each connection to a free port of loopback until the test ends, and returns HOST:PORT.
func listen(t *testing.T, serve func(conn net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// echo answers what it is told, which begins with "hello".
func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// httpProxy is an HTTP proxy that wants this header, and leads to address whatever it is asked for.
func httpProxy(address, authorization string, status int, asked chan<- string) func(net.Conn) {
	return func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		asked <- request.Method + " " + request.Host
		answer := status
		if request.Header.Get("Proxy-Authorization") != authorization {
			answer = http.StatusProxyAuthRequired
		}
		fmt.Fprintf(conn, "HTTP/1.1 %d Whatever\r\nX-Odd: 1\r\n\r\n", answer)
		if answer == http.StatusOK {
			splice(conn, address)
		}
	}
}

func splice(conn net.Conn, address string) {
	behind, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer behind.Close()
	go func() { _, _ = io.Copy(behind, conn) }()
	_, _ = io.Copy(conn, behind)
}

// socksProxy is a SOCKS 5 proxy as RFC 1928 has it; with user it wants that one and the password "pass word".
func socksProxy(address, user string, code byte, asked chan<- string) func(net.Conn) {
	return func(conn net.Conn) {
		read := func(n int) []byte {
			b := make([]byte, n)
			_, _ = io.ReadFull(conn, b)
			return b
		}
		methods := read(int(read(2)[1]))
		if user != "" {
			if !strings.Contains(string(methods), "\x02") {
				_, _ = conn.Write([]byte{5, 0xff})
				return
			}
			_, _ = conn.Write([]byte{5, 2})
			name := string(read(int(read(2)[1])))
			if password := string(read(int(read(1)[0]))); name != user || password != "pass word" {
				_, _ = conn.Write([]byte{1, 1})
				return
			}
			_, _ = conn.Write([]byte{1, 0})
		} else {
			_, _ = conn.Write([]byte{5, 0})
		}
		var host string
		switch head := read(4); head[3] {
		case 1:
			host = net.IP(read(4)).String()
		case 3:
			host = string(read(int(read(1)[0])))
		case 4:
			host = net.IP(read(16)).String()
		}
		asked <- fmt.Sprintf("%s %d", host, binary.BigEndian.Uint16(read(2)))
		_, _ = conn.Write([]byte{5, code, 0, 3, 3, 'a', 'b', 'c', 0, 0})
		if code == 0 {
			splice(conn, address)
		}
	}
}

// A database is reached as curl would reach it.
func TestDialer(t *testing.T) {
	target := listen(t, echo)
	_, port, _ := net.SplitHostPort(target)
	asked := make(chan string, 1)
	plain := listen(t, httpProxy(target, "", 200, asked))
	guarded := listen(t, httpProxy(target, "Basic dXNlcjpwYXNzIHdvcmQ=", 200, asked))
	refusing := listen(t, httpProxy(target, "", 403, asked))
	failing := listen(t, httpProxy(target, "", 502, asked))
	socks := listen(t, socksProxy(target, "", 0, asked))
	guardedSOCKS := listen(t, socksProxy(target, "user", 0, asked))
	brokenSOCKS := listen(t, socksProxy(target, "", 5, asked))
	strange := listen(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "SSH-2.0-x\r\n") })
	for _, tc := range []struct {
		name  string
		env   string // NAME=VALUE, separated by ;
		host  string // "" is localhost
		asked string // what the proxy is asked for; "": it is not
		want  string // what is said of the failure; "": there is none
	}{
		{name: "direct"},
		{name: "HTTPS_PROXY is not for databases", env: "HTTPS_PROXY=http://" + refusing},
		{
			name: "an HTTP proxy", env: "ALL_PROXY=http://" + plain, host: "db.example",
			asked: "CONNECT db.example:" + port,
		},
		{name: "without scheme", env: "ALL_PROXY=" + plain, asked: "CONNECT localhost:" + port},
		{
			name: "small letters first", env: "all_proxy=http://" + plain + ";ALL_PROXY=http://" + refusing,
			asked: "CONNECT localhost:" + port,
		},
		{
			name: "with a password", env: "ALL_PROXY=http://user:pass%20word@" + guarded,
			asked: "CONNECT localhost:" + port,
		},
		{
			name: "with another password", env: "ALL_PROXY=http://user:x@" + guarded, asked: "CONNECT localhost:" +
				port,
			want: "the proxy at " + guarded + " answered 407 Proxy Authentication Required",
		},
		{
			name: "refused", env: "ALL_PROXY=http://" + refusing, asked: "CONNECT localhost:" + port,
			want: "the proxy at " + refusing + " answered 403 Forbidden",
		},
		{
			name: "failed", env: "ALL_PROXY=http://" + failing, asked: "CONNECT localhost:" + port,
			want: "the proxy at " + failing + " answered 502 Bad Gateway",
		},
		{
			name: "SOCKS, the proxy resolves", env: "ALL_PROXY=socks5h://" + socks, host: "db.example",
			asked: "db.example " + port,
		},
		{
			name: "SOCKS, resolved here", env: "ALL_PROXY=socks5://" + socks, host: "127.0.0.1",
			asked: "127.0.0.1 " + port,
		},
		{
			name: "SOCKS with a password", env: "ALL_PROXY=socks5h://user:pass%20word@" + guardedSOCKS,
			asked: "localhost " + port,
		},
		{
			name: "SOCKS with another password", env: "ALL_PROXY=socks5h://user:x@" + guardedSOCKS,
			want: "the proxy at " + guardedSOCKS + ": it does not accept the user name and the password",
		},
		{
			name: "SOCKS without the password", env: "ALL_PROXY=socks5h://" + guardedSOCKS,
			want: "the proxy at " + guardedSOCKS + ": it asks for a user name and a password",
		},
		{
			name: "SOCKS fails", env: "ALL_PROXY=socks5h://" + brokenSOCKS, asked: "localhost " + port,
			want: "the proxy at " + brokenSOCKS + ": the connection was refused beyond it",
		},
		{
			name: "no SOCKS", env: "ALL_PROXY=socks5h://" + strange,
			want: "the proxy at " + strange + ": it does not speak SOCKS 5",
		},
		{name: "NO_PROXY", env: "ALL_PROXY=http://" + refusing + ";NO_PROXY=other, LocalHost"},
		{name: "NO_PROXY of everything", env: "ALL_PROXY=http://" + refusing + ";no_proxy=*"},
		{
			name: "NO_PROXY of a domain", env: "ALL_PROXY=http://" + plain + ";NO_PROXY=.example,ocalhost",
			asked: "CONNECT localhost:" + port,
		},
		{
			name: "an odd proxy", env: "ALL_PROXY=socks4://secret@proxy",
			want: "the proxy that ALL_PROXY names: expected http://, https://, socks5:// or socks5h://, a host, and " +
				"a port",
		},
		{
			name: "no proxy there", env: "ALL_PROXY=http://127.0.0.1:1",
			want: "the proxy at 127.0.0.1:1: the connection was refused",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := map[string]string{}
			for pair := range strings.SplitSeq(tc.env, ";") {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
			d := network.NewDialer(func(name string) string { return env[name] })
			host := tc.host
			if host == "" {
				host = "localhost"
			}
			conn, err := d.Dial(t.Context(), net.JoinHostPort(host, port))
			got := ""
			select {
			case got = <-asked:
			default:
			}
			if got != tc.asked {
				t.Errorf("the proxy was asked for %q; want %q", got, tc.asked)
			}
			if err != nil {
				if told := network.DescribeConnection(err); told != tc.want {
					t.Errorf("got %q; want %q", told, tc.want)
				}
				if network.Remedy(err) == "" {
					t.Error("there is no remedy")
				}
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "hello\n")
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || line != "hello\n" || tc.want != "" {
				t.Errorf("connected, and got %q, %v; want %q", line, err, tc.want)
			}
		})
	}
}

// A proxy that says nothing is waited for as long as the caller wants.
func TestDialerGivesUp(t *testing.T) {
	silent := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, scheme := range []string{"http", "https", "socks5h"} {
		d := network.NewDialer(func(name string) string {
			return map[string]string{"ALL_PROXY": scheme + "://" + silent}[name]
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if _, err := d.Dial(ctx, "db.example:5432"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, stopped: %v", scheme, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := d.Dial(ctx, "db.example:5432")
		want := "the proxy at " + silent + ": there was no answer in time"
		if got := network.DescribeConnection(err); got != want {
			t.Errorf("%s: %q; want %q", scheme, got, want)
		}
		cancel()
	}
}
