package network

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// describeCertificate says which of the three it is: the clock, the name or the root.
func describeCertificate(err *tls.CertificateVerificationError) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return describeValidity(invalid.Cert, time.Now())
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return "its certificate is for " + names(name.Certificate)
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "its certificate is not trusted here: this machine does not know its issuer" + issuer(unknown.Cert)
	}
	return "its certificate is not trusted here"
}

// describeValidity says which certificate of the chain is not valid, by its dates, and what the time is here.
func describeValidity(c *x509.Certificate, now time.Time) string {
	const minute = "2006-01-02 15:04 UTC"
	when := "is no longer valid"
	if now.Before(c.NotBefore) {
		when = "is not yet valid"
	}
	return fmt.Sprintf("its certificate %s: it is valid from %s to %s, and this machine's clock says %s", when,
		c.NotBefore.UTC().Format(minute), c.NotAfter.UTC().Format(minute), now.UTC().Format(minute))
}

// namesShown is how many names of a certificate are shown.
const namesShown = 3

// names returns the names that a certificate is for, if they are few and of the form of host names.
func names(c *x509.Certificate) string {
	const other = "another name"
	if c == nil || len(c.DNSNames) == 0 || len(c.DNSNames) > namesShown {
		return other
	}
	for _, name := range c.DNSNames {
		if !isMadeOf(strings.TrimPrefix(name, "*."), 80, "-.") {
			return other
		}
	}
	return other + " (" + strings.Join(c.DNSNames, ", ") + ")"
}

// issuer returns the common name of a certificate's issuer, if it is of a safe form.
func issuer(c *x509.Certificate) string {
	if c == nil || !isMadeOf(c.Issuer.CommonName, 64, " -._") {
		return ""
	}
	return " (" + c.Issuer.CommonName + ")"
}

// isMadeOf reports whether text has from one to most characters, each a letter or digit of ASCII or one of others.
func isMadeOf(text string, most int, others string) bool {
	if text == "" || len(text) > most {
		return false
	}
	for _, c := range text {
		isAlphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !isAlphanumeric && !strings.ContainsRune(others, c) {
			return false
		}
	}
	return true
}

// Remedy returns what to do about a failure that [Describe] has described, where that is known: about a certificate or
// about a proxy. For others it returns "".
func Remedy(err error) string {
	if untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return remedyOfCertificate(err, untrusted)
	}
	if proxy, ok := errors.AsType[*ProxyError](err); ok {
		return remedyOfProxy(proxy)
	}
	return ""
}

func remedyOfCertificate(err error, untrusted *tls.CertificateVerificationError) string {
	if roots, ok := errors.AsType[*rootsError](err); ok {
		return roots.remedy()
	}
	if _, ok := errors.AsType[x509.HostnameError](untrusted); ok {
		return "check the proxy and the DNS between the runner and it: something else answers at its address"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](untrusted); ok && invalid.Reason == x509.Expired {
		return "set the runner's clock right; if it is right, " +
			"whoever runs the server, or the proxy that terminates TLS, must renew the certificate"
	}
	return "if a proxy terminates TLS, set SSL_CERT_FILE to a file with its root certificate, " +
		"at its path inside the container"
}

func remedyOfProxy(err *ProxyError) string {
	check := "check " + err.variable() + " and NO_PROXY"
	_, socks := errors.AsType[socksError](err.Err)
	switch {
	case errors.Is(err.Err, errProxyURL):
		return "set " + err.variable() + " to a proxy, or unset it"
	case err.Status == http.StatusProxyAuthRequired, errors.Is(err.Err, socksNoMethod):
		return "set " + err.variable() + " with the user name and the password that the proxy asks for"
	case err.Status == 0 && !socks:
		return check + "; inside the container, localhost is the container and not the runner"
	case IsTransientStatus(err.Status):
		return "run the job again; if it fails again, " + check + ", and the proxy"
	}
	return check + ", and the proxy's rules"
}

// NameRoots makes the client say of a certificate whose issuer is not known that file has no certificate of a root,
// where that is so. The environment's SSL_CERT_FILE names it: Go then reads no other file, and says nothing where it
// cannot read this one.
func NameRoots(client *http.Client, file string) {
	if file != "" {
		client.Transport = rooted{client.Transport, file}
	}
}

// rooted explains failures to trust a certificate by the file of root certificates.
type rooted struct {
	http.RoundTripper
	file string
}

// RoundTrip implements [http.RoundTripper].
func (t rooted) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, explainRoots(err, t.file)
	}
	return response, nil
}

// explainRoots returns err, or, if it is that the issuer of a certificate is not known and file has no root, an error
// that says so. If file is "", there is none.
func explainRoots(err error, file string) error {
	untrusted, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || !isRoot(untrusted) || file == "" {
		return err
	}
	if why := checkRoots(file); why != "" {
		return &rootsError{file: file, why: why, err: err}
	}
	return err
}

// CloseIdleConnections closes the connections of the transport below.
func (t rooted) CloseIdleConnections() { closeIdle(t.RoundTripper) }

func isRoot(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, none := errors.AsType[x509.SystemRootsError](err)
	return unknown || none
}

// checkRoots returns what is wrong with a file of root certificates; "" if there is one in it.
func checkRoots(file string) string {
	text, err := os.ReadFile(file) // #nosec G304 G703 -- that Go reads too
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "names a file that does not exist in the container"
	case err != nil:
		return "names a file that cannot be read in the container"
	}
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			return "names a file without a certificate in PEM"
		}
		if block.Type == "CERTIFICATE" {
			return ""
		}
	}
}

// A rootsError is a certificate that is not trusted, because no root was read.
type rootsError struct {
	file, why string
	err       error
}

// Error returns what is wrong with the file.
func (e *rootsError) Error() string { return fmt.Sprintf("SSL_CERT_FILE (%s) %s", e.file, e.why) }

// Unwrap returns the failure.
func (e *rootsError) Unwrap() error { return e.err }

func (e *rootsError) remedy() string {
	return "set SSL_CERT_FILE to the path of the file inside the container " +
		"(the workspace is /github/workspace there), or unset it"
}
