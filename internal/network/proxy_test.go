package network_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/network"
)

// asProxied is set in the process that asks through a proxy: net/http reads the environment once.
const asProxied = "TEST_PROXY_URL"

// A proxy's failure is told as the proxy's, without its credentials, and it is said whether it lasts.
func TestFailuresOfProxies(t *testing.T) {
	if url := os.Getenv(asProxied); url != "" {
		get(url)
		return
	}
	answering := func(answer string) string { return proxy(t, answer) }
	closed := closedPort(t)
	const notFound = "there is no such host, lasting"
	for _, tc := range []struct {
		name  string
		proxy string
		want  string
	}{
		{"no such name", "http://user:pw@proxy.invalid:3128",
			"the proxy at proxy.invalid:3128: " + notFound},
		{"refused", "http://user:pw@" + closed, "the proxy at " + closed + ": the connection was refused, transient"},
		{"refused to SOCKS", "socks5://user:pw@" + closed,
			"the proxy at " + closed + ": the connection was refused, transient"},
		{"407", answering("407 x"), "the proxy at ADDRESS answered 407 Proxy Authentication Required, lasting"},
		{"403", answering("403 x"), "the proxy at ADDRESS answered 403 Forbidden, lasting"},
		{"405", answering("405 x"), "the proxy at ADDRESS answered 405 Method Not Allowed, lasting"},
		{"408", answering("408 x"), "the proxy at ADDRESS answered 408 Request Timeout, transient"},
		{"429", answering("429 x"), "the proxy at ADDRESS answered 429 Too Many Requests, transient"},
		{"503", answering("503 x"), "the proxy at ADDRESS answered 503 Service Unavailable, transient"},
		{"closed", answering(""), "the proxy at ADDRESS: the answer was cut off, transient"},
		{"connected, and closed", answering("200 x"), "the connection was closed without an answer, transient"},
		{"a password with a slash", "http://user.invalid:1/2@" + closed,
			"the proxy that HTTPS_PROXY names: " + notFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^TestFailuresOfProxies$") // #nosec G204 G702 -- this program
			child.Env = []string{
				"HTTPS_PROXY=" + tc.proxy, "PATH=" + os.Getenv("PATH"),
				asProxied + "=https://kv-example.vault.azure.net",
			}
			out, err := child.CombinedOutput()
			_, got, _ := strings.Cut(string(out), "got: ")
			got, _, _ = strings.Cut(got, "\n")
			want := strings.ReplaceAll(tc.want, "ADDRESS", strings.TrimPrefix(tc.proxy, "http://user:pw@"))
			// Where there is no name server, the name cannot be resolved for the moment.
			got = strings.Replace(got, unresolved(got), notFound, 1)
			if err != nil || got != want {
				t.Errorf("got %q, %v; want %q\n%s", got, err, want, out)
			}
		})
	}
}

// unresolved returns the end of text that says that a name cannot be resolved. If there is none, it returns
// what no text has.
func unresolved(text string) string {
	if i := strings.Index(text, "the name could not be resolved"); i >= 0 {
		return text[i:]
	}
	return "\x00"
}

// proxy returns the URL of a proxy that gives that answer to each request, or closes the connection where it is "".
func proxy(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			if answer != "" {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", answer)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = conn.Read(make([]byte, 4096))
			_ = conn.Close()
		}
	}()
	return "http://user:pw@" + listener.Addr().String()
}

// closedPort returns an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// A bound ends when it is over, and says so; while a name is looked up it stands still.
func TestWithTimeout(t *testing.T) {
	ctx, cancel := network.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if got := network.Describe(context.Cause(ctx)); got != "there was no answer in time" {
		t.Errorf("the cause is %q", got)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := network.NewClient(nil, nil).Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if got := network.Describe(err); got != "there was no answer in time" {
		t.Errorf("a request ends with %q", got)
	}
}
