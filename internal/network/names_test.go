package network_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/network"
)

// A nameServer is a DNS server on loopback. It answers by the name that it is asked for.
type nameServer func(name string) nameAnswer

// A nameAnswer is what a name server says.
type nameAnswer int

const (
	silence nameAnswer = iota
	address            // 127.0.0.1
	noSuchName
	serverFailure
)

// serve answers at port 53 of that address until the test ends.
func (s nameServer) serve(t *testing.T, ip string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", net.JoinHostPort(ip, "53"))
	if err != nil {
		t.Skipf("this machine lets nobody be a name server: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := s.answer(buffer[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
}

// answer returns the answer to a query: https://www.rfc-editor.org/rfc/rfc1035#section-4
func (s nameServer) answer(query []byte) []byte {
	const header = 12
	var labels []string
	end := header
	for end < len(query) && query[end] != 0 {
		n := int(query[end])
		labels = append(labels, string(query[end+1:end+1+n]))
		end += 1 + n
	}
	end += 5 // the root, type and class
	said := s(strings.Join(labels, "."))
	if said == silence {
		return nil
	}
	answer := bytes.Clone(query[:end])
	answer[2], answer[3] = 0x81, 0x80 // an answer, recursion wanted and available
	for i := 6; i < header; i++ {
		answer[i] = 0
	}
	switch isIPv4 := binary.BigEndian.Uint16(query[end-4:]) == 1; {
	case said == noSuchName:
		answer[3] |= 3
	case said == serverFailure:
		answer[3] |= 2
	case isIPv4:
		answer[7] = 1
		answer = append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return answer
}

// asChild is set in the process that runs with a resolv.conf of its own: the URL to get.
const asChild = "TEST_NAMES_URL"

// Names are resolved as getent, curl and Python resolve them: a silent server and a silent search domain are waited
// for. A name that cannot be resolved for the moment is told apart from one that does not exist.
func TestNamesAreWaitedFor(t *testing.T) {
	if url := os.Getenv(asChild); url != "" {
		get(url)
		return
	}
	if testing.Short() {
		t.Skip("it waits for silent name servers")
	}
	const host = "kv-example.vault.azure.net"
	always := func(answer nameAnswer) nameServer { return func(string) nameAnswer { return answer } }
	silentDomain := func(name string) nameAnswer {
		if name == host {
			return address
		}
		return silence
	}
	cases := []struct {
		name    string
		servers []nameServer
		options string
		want    string
	}{
		{"one that answers", []nameServer{always(address)}, "", "200"},
		{"the first is silent", []nameServer{always(silence), always(address)}, "", "200"},
		{"the first fails", []nameServer{always(serverFailure), always(address)}, "", "200"},
		{"a search domain is silent", []nameServer{silentDomain}, "search corp.example\noptions ndots:5\n", "200"},
		{"a search domain of two servers is silent", []nameServer{silentDomain, silentDomain},
			"search corp.example\noptions ndots:5\n", "200"},
		{"all are silent", []nameServer{always(silence)}, "",
			"the name could not be resolved: no name server answered in time, transient"},
		{"all are silent for longer than is waited",
			[]nameServer{always(silence), always(silence), always(silence)}, "",
			"the name could not be resolved: no name server answered in time, transient"},
		{"all fail", []nameServer{always(serverFailure)}, "",
			"the name could not be resolved: the name servers failed, transient"},
		{"there is no such name", []nameServer{always(noSuchName)}, "", "there is no such host, lasting"},
	}
	if err := exec.Command("unshare", "--mount", "true").Run(); err != nil {
		t.Skipf("this machine allows no mount namespace: %v", err)
	}
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer service.Close()
	_, port, _ := strings.Cut(service.Listener.Addr().String(), ":")
	url := "http://" + net.JoinHostPort(host, port)
	results := make([]chan string, len(cases)) // all at once: they wait, and do nothing else
	for i, tc := range cases {
		resolv := tc.options
		for j, server := range tc.servers {
			ip := fmt.Sprintf("127.0.%d.%d", 100+i, 1+j)
			server.serve(t, ip)
			resolv += "nameserver " + ip + "\n"
		}
		file := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(file, []byte(resolv), 0o600); err != nil {
			t.Fatal(err)
		}
		results[i] = make(chan string, 1)
		go func() { results[i] <- inNamespace(file, url) }()
	}
	for i, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := <-results[i]; got != tc.want {
				t.Errorf("got %q; want %q", got, tc.want)
			}
		})
	}
}

// get prints what a request to url ends in. It may take 8 seconds beside the time in which its name is looked up.
func get(url string) {
	ctx, cancel := network.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	client := network.NewClient(nil, nil)
	network.NameRoots(client, os.Getenv("SSL_CERT_FILE"))
	response, err := client.Do(request)
	if err != nil {
		lasts := map[bool]string{true: "transient", false: "lasting"}
		fmt.Printf("got: %s, %s\n", network.Describe(err), lasts[network.IsTransient(err)])
		return
	}
	_ = response.Body.Close()
	fmt.Printf("got: %d\n", response.StatusCode)
}

// inNamespace runs this test as a child with that file as resolv.conf, and returns what it prints.
func inNamespace(resolv, url string) string {
	child := exec.Command("unshare", "--mount", "sh", "-c", // #nosec G204 -- this program
		`mount --bind "$1" /etc/resolv.conf && exec "$2" -test.run='^TestNamesAreWaitedFor$'`, "sh", resolv, os.Args[0])
	child.Env = []string{asChild + "=" + url, "PATH=" + os.Getenv("PATH")}
	out, err := child.CombinedOutput()
	_, got, ok := strings.Cut(string(out), "got: ")
	if err != nil || !ok {
		return fmt.Sprintf("the child: %v\n%s", err, out)
	}
	got, _, _ = strings.Cut(got, "\n")
	return got
}
