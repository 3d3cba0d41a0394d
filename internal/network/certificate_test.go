package network_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyvault-passwords/internal/network"
)

// asTrusting is set in the process that reads root certificates: Go reads SSL_CERT_FILE once.
const asTrusting = "TEST_CERTIFICATE_URL"

// A failure to trust a certificate says which it is: the clock, the name, the root, or the file of roots.
func TestCertificates(t *testing.T) {
	if url := os.Getenv(asTrusting); url != "" {
		get(url)
		return
	}
	const (
		day  = 24 * time.Hour
		date = `\d{4}-\d\d-\d\d \d\d:\d\d UTC`
	)
	ours, foreign := newRoot(t, "Contoso Inspection CA 2"), newRoot(t, "evil\n::error::x")
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	roots := file("roots.pem", ours.pem())
	empty := file("empty.pem", "no certificate")
	missing := filepath.Join(folder, "missing.pem")
	for _, tc := range []struct {
		name        string
		root        *root
		from, until time.Duration
		names       []string
		roots       string
		want        string // a regular expression
	}{
		{"trusted", ours, -day, day, []string{"localhost"}, roots, "200"},
		{"no longer valid", ours, -2 * day, -day, []string{"localhost"}, roots,
			"its certificate is no longer valid: it is valid from " + date + " to " + date +
				", and this machine's clock says " + date + ", lasting"},
		{"not yet valid", ours, day, 2 * day, []string{"localhost"}, roots,
			"its certificate is not yet valid: it is valid from .*, lasting"},
		{"another name", ours, -day, day, []string{"a.example", "*.b.example"}, roots,
			`its certificate is for another name \(a\.example, \*\.b\.example\), lasting`},
		{"many names", ours, -day, day, []string{"a.example", "b.example", "c.example", "d.example"}, roots,
			"its certificate is for another name, lasting"},
		{"odd names", ours, -day, day, []string{"a.example", "::error::x"}, roots,
			"its certificate is for another name, lasting"},
		{"another root", newRoot(t, "Contoso Inspection CA 3"), -day, day, []string{"localhost"}, roots,
			"its certificate is not trusted here: this machine does not know its issuer " +
				`\(Contoso Inspection CA 3\), lasting`},
		{"a root of an odd name", foreign, -day, day, []string{"localhost"}, roots,
			"its certificate is not trusted here: this machine does not know its issuer, lasting"},
		{"no file of roots", ours, -day, day, []string{"localhost"}, missing,
			"its certificate is not trusted here: SSL_CERT_FILE " + regexp.QuoteMeta("("+missing+")") +
				" names a file that does not exist in the container, lasting"},
		{"a folder as file of roots", ours, -day, day, []string{"localhost"}, folder,
			"its certificate is not trusted here: SSL_CERT_FILE " + regexp.QuoteMeta("("+folder+")") +
				" names a file that cannot be read in the container, lasting"},
		{"a file of roots without any", ours, -day, day, []string{"localhost"}, empty,
			"its certificate is not trusted here: SSL_CERT_FILE " + regexp.QuoteMeta("("+empty+")") +
				" names a file without a certificate in PEM, lasting"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			service := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			service.Config.ErrorLog = log.New(io.Discard, "", 0)
			service.TLS = &tls.Config{
				Certificates: []tls.Certificate{tc.root.sign(t, tc.from, tc.until, tc.names)},
				MinVersion:   tls.VersionTLS12,
			}
			service.StartTLS()
			defer service.Close()
			_, port, _ := net.SplitHostPort(service.Listener.Addr().String())
			child := exec.Command(os.Args[0], "-test.run=^TestCertificates$") // #nosec G204 G702 -- this program
			child.Env = []string{"SSL_CERT_FILE=" + tc.roots, asTrusting + "=https://localhost:" + port}
			out, err := child.CombinedOutput()
			_, got, _ := strings.Cut(string(out), "got: ")
			got, _, _ = strings.Cut(got, "\n")
			if err != nil || !regexp.MustCompile("^"+tc.want+"$").MatchString(got) {
				t.Errorf("got %q, %v; want %q\n%s", got, err, tc.want, out)
			}
		})
	}
}

// Each failure whose cause is known has a remedy of its own.
func TestRemedies(t *testing.T) {
	verification := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	for _, tc := range []struct {
		err  error
		want string
	}{
		{verification(x509.UnknownAuthorityError{}), "set SSL_CERT_FILE"},
		{verification(x509.HostnameError{}), "something else answers"},
		{verification(x509.CertificateInvalidError{Reason: x509.Expired}), "set the runner's clock right"},
		{&network.ProxyError{Proxy: "p:1", Status: 407}, "user name"},
		{&network.ProxyError{Proxy: "p:1", Status: 503}, "run the job again"},
		{&network.ProxyError{Proxy: "p:1", Status: 403}, "the proxy's rules"},
		{&network.ProxyError{Proxy: "p:1", Err: io.EOF}, "localhost is the container"},
		{io.EOF, ""},
	} {
		if got := network.Remedy(tc.err); !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("the remedy of %v is %q; want %q in it", tc.err, got, tc.want)
		}
	}
}

// A root signs certificates.
type root struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newRoot(t *testing.T, name string) *root {
	t.Helper()
	r := &root{
		certificate: &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		},
		key: newKey(t),
	}
	der, err := x509.CreateCertificate(rand.Reader, r.certificate, r.certificate, r.key.Public(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	r.certificate, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (r *root) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.certificate.Raw}))
}

// sign returns a certificate for these names that is valid between these times from now.
func (r *root) sign(t *testing.T, from, until time.Duration, names []string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names,
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
	}, r.certificate, key.Public(), r.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
