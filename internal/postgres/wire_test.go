package postgres

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// script is a connection on which a server says these bytes, and that keeps what it is told.
type script struct {
	net.Conn
	said io.Reader
	told bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)  { return s.said.Read(b) }
func (s *script) Write(b []byte) (int, error) { return s.told.Write(b) }
func (s *script) Close() error                { return nil }

// message is one of the server's.
func message(kind byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body)))) + body
}

// auth is a message on authentication.
func auth(code uint32, data string) string {
	return message('R', string(binary.BigEndian.AppendUint32(nil, code))+data)
}

// newScripted returns a connection to a server that says this.
func newScripted(said string) (*conn, *script) {
	s := &script{said: strings.NewReader(said)}
	return &conn{Conn: s, read: bufio.NewReader(s)}, s
}

// A server that does not ask for what was agreed on, or lets in without asking, gets nothing and is refused.
func TestAuthenticationThatWasNotAgreedOn(t *testing.T) {
	const ready = "I"
	token, password := login{role: "gh", token: "Canary"}, login{role: "app", password: "Canary"}
	for name, tc := range map[string]struct {
		who  login
		said string
		want error
	}{
		"a token, asked for":       {token, auth(authCleartext, "") + auth(authOK, "") + message('Z', ready), nil},
		"a token, not asked for":   {token, auth(authOK, "") + message('Z', ready), errMethod},
		"a token, asked for MD5":   {token, auth(5, "salt"), errMethod},
		"a token, asked for SCRAM": {token, auth(authSASL, "SCRAM-SHA-256\x00\x00"), errMethod},
		"a password, in clear":     {password, auth(authCleartext, ""), errMethod},
		"a password, as MD5":       {password, auth(5, "salt"), errMethod},
		"a password, not asked":    {password, auth(authOK, "") + message('Z', ready), errMethod},
		"another mechanism":        {password, auth(authSASL, "SCRAM-SHA-256-PLUS\x00\x00"), errMethod},
		"no exchange":              {password, auth(authSASLContinue, "r=x,s=eA==,i=1"), errMethod},
		"an end before the start":  {password, auth(authSASLFinal, "v=eA=="), errMethod},
		"let in half-way": {
			password, auth(authSASL, "SCRAM-SHA-256\x00\x00") + auth(authOK, "") + message('Z', ready), errMethod,
		},
		"a refusal":      {password, message('E', "SFATAL\x00C28P01\x00Mno\x00\x00"), &serverError{"28P01"}},
		"an odd refusal": {password, message('E', "C28P0\n\x00\x00"), &serverError{"?????"}},
		"ready at once":  {token, message('Z', ready), errStrange},
		"HTTP":           {token, "HTTP/1.1 400 Bad Request\r\n\r\n", errStrange},
	} {
		c, s := newScripted(tc.said)
		err := c.logIn(t.Context(), tc.who, &attempt{})
		if !errors.Is(err, tc.want) && (err == nil || tc.want == nil || err.Error() != tc.want.Error()) {
			t.Errorf("%s: %v; want %v", name, err, tc.want)
		}
		if sent := strings.Contains(s.told.String(), "Canary"); sent != (tc.want == nil) {
			t.Errorf("%s: what is secret was sent: %t", name, sent)
		}
	}
}

// Before TLS nothing is taken from the server but one byte, and what came behind it in clear is not taken for what
// comes within TLS.
func TestBeforeTLS(t *testing.T) {
	for name, tc := range map[string]struct {
		said string
		want error
	}{
		"no TLS":                    {"N", errNoTLS},
		"a refusal":                 {message('E', "SFATAL\x00C53300\x00Mx\x00\x00"), errEnded},
		"HTTP":                      {"HTTP/1.1 400 Bad Request\r\n\r\n", errStrange},
		"TLS, and a request for it": {"S" + auth(authCleartext, ""), errStrange},
		"nothing":                   {"", io.EOF},
	} {
		c, s := newScripted(tc.said)
		_, err := startTLS(t.Context(), c.Conn, &tls.Config{ServerName: "x", MinVersion: tls.VersionTLS12})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v; want %v", name, err, tc.want)
		}
		if sent := s.told.Len(); sent != 8 && tc.said[0] != 'S' {
			t.Errorf("%s: %d bytes were sent", name, sent)
		}
	}
}

// A connection that ends once the server has asked for a token or a password, and an answer that is none, are told
// apart: the first is worth another try.
func TestWhatEndsAConnection(t *testing.T) {
	const lost, strange = "the connection was lost: the connection was closed without an answer", "the answer is not " +
		"PostgreSQL's"
	const ready = "I"
	token, password := login{role: "gh", token: "x"}, login{role: "app", password: "x"}
	target := New(Config{Host: "pg.example", As: "gh", Logins: []string{"app"},
		Network: network.NewDialer(func(string) string { return "" })})
	for name, tc := range map[string]struct {
		who  login
		said string
		want string
		kind refusal.Kind
	}{
		"asked for a token, then cut": {token, auth(authCleartext, ""), lost, refusal.Unreachable},
		"let in, then cut": {token, auth(authCleartext, "") + auth(authOK, ""), lost,
			refusal.Unreachable},
		"asked for a password, then cut": {password, auth(authSASL, "SCRAM-SHA-256\x00\x00"), lost,
			refusal.Unreachable},
		"asked for a token, then HTTP": {token, auth(authCleartext, "") + "HTTP/1.1 400", strange, refusal.Other},
		"refused before anything was asked": {
			token, message('E', "C28000\x00\x00"),
			"the server does not let the runner in: no rule of its firewall admits this address (SQLSTATE 28000)",
			refusal.Forbidden,
		},
		"refused with the token": {
			token, auth(authCleartext, "") + message('E', "C28000\x00\x00"),
			"the server does not let role gh in with the access token: there is no such role, or it is not the " +
				"identity's (SQLSTATE 28000)", refusal.Forbidden,
		},
		"a statement, then cut": {
			token, auth(authCleartext, "") + auth(authOK, "") + message('Z', ready), lost, refusal.Unreachable,
		},
		"a statement, then COPY": {
			token, auth(authCleartext, "") + auth(authOK, "") + message('Z', ready) + message('G', "x"), strange,
			refusal.Other,
		},
	} {
		c, _ := newScripted(tc.said)
		a := &attempt{}
		err := c.logIn(t.Context(), tc.who, a)
		failure := target.explainConnect(t.Context(), "connecting", a, err)
		if err == nil {
			s := &session{Target: target, conn: c}
			_, err = s.exec(t.Context(), "asking", "SELECT 1")
			failure, _ = errors.AsType[*Error](err)
		}
		if failure == nil || failure.Cause != tc.want || failure.Kind != tc.kind || failure.Remedy == "" {
			t.Errorf("%s: %+v; want %q (%d)", name, failure, tc.want, tc.kind)
		}
	}
}

// A server that shows that it does not know the password has proven nothing.
func TestWrongSignature(t *testing.T) {
	exchange := &scramExchange{password: "right"}
	serverFirst, _ := scramServer(exchange.first(), "wrong")
	if _, err := exchange.final(serverFirst); err != nil {
		t.Fatal(err)
	}
	c, _ := newScripted("")
	a := &attempt{}
	signature := "v=" + base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	body := append(binary.BigEndian.AppendUint32(nil, authSASLFinal), signature...)
	if err := c.authenticate(body, login{password: "right"}, exchange, a); !errors.Is(err, errStrange) || a.proven {
		t.Errorf("%v, %t; want %v", err, a.proven, errStrange)
	}
}

// A long comment is read; rows without end are not.
func TestAnswerIsBounded(t *testing.T) {
	row := func(size int) string {
		length := binary.BigEndian.AppendUint32([]byte{0, 1}, uint32(size))
		return message('D', string(length)+strings.Repeat("x", size))
	}
	c, _ := newScripted(row(4<<20) + message('C', "SELECT 1\x00") + message('Z', "I"))
	if results, err := c.query(t.Context(), "SELECT 1"); err != nil || len(results) != 1 || c.lost {
		t.Errorf("a row of 4 MiB: %v", err)
	}
	c, _ = newScripted(strings.Repeat(row(1<<19), 33) + message('Z', "I"))
	if _, err := c.query(t.Context(), "SELECT 1"); !errors.Is(err, errStrange) || !c.lost {
		t.Errorf("17 MiB of rows: %v; want %v", err, errStrange)
	}
}

// scramServer answers as a server does that knows a password.
func scramServer(clientFirst, password string) (serverFirst string, verify func(final string) (string, bool)) {
	bare := strings.TrimPrefix(clientFirst, clientHeader)
	salt := []byte("0123456789abcdef")
	serverFirst = strings.TrimPrefix(bare, "n=,") + "more,s=" + base64.StdEncoding.EncodeToString(salt) + ",i=4096"
	_, keys, _ := strings.Cut(strings.TrimPrefix(newVerifier([]byte(password), salt), mechanism+"$"), "$")
	storedText, serverText, _ := strings.Cut(keys, ":")
	storedKey, _ := base64.StdEncoding.DecodeString(storedText)
	serverKey, _ := base64.StdEncoding.DecodeString(serverText)
	return serverFirst, func(final string) (string, bool) {
		without, proofText, _ := strings.Cut(final, ",p=")
		message := bare + "," + serverFirst + "," + without
		proof, _ := base64.StdEncoding.DecodeString(proofText)
		signature := keyed(storedKey, message)
		for i := range proof {
			proof[i] ^= signature[i]
		}
		shown := sha256.Sum256(proof)
		return "v=" + base64.StdEncoding.EncodeToString(keyed(serverKey, message)), hmac.Equal(shown[:], storedKey)
	}
}

// Both sides of the exchange must know the password, and the server must answer to this exchange.
func TestExchange(t *testing.T) {
	s := &scramExchange{password: "right"}
	serverFirst, verify := scramServer(s.first(), "right")
	final, err := s.final(serverFirst)
	if err != nil {
		t.Fatal(err)
	}
	serverFinal, ok := verify(final)
	if !ok || !s.isProvenBy(serverFinal) || strings.Contains(final, "right") {
		t.Error("an exchange of two that know the password fails")
	}
	for _, text := range []string{"", "v=", "e=other-error", "v=eA==", "x" + serverFinal,
		serverFinal[:len(serverFinal)-4]} {
		if s.isProvenBy(text) {
			t.Errorf("%q proves that the server knows the password", text)
		}
	}
	wrong := &scramExchange{password: "wrong"}
	serverFirst, verify = scramServer(wrong.first(), "right")
	if final, err = wrong.final(serverFirst); err != nil {
		t.Fatal(err)
	}
	if serverFinal, ok = verify(final); ok || wrong.isProvenBy(serverFinal) {
		t.Error("a wrong password is taken")
	}
	if (&scramExchange{}).isProvenBy("v=") {
		t.Error("no exchange proves something")
	}
	for _, text := range []string{
		"", "r=" + s.nonce + ",s=eA==,i=1", "r=other,s=eA==,i=4096", "r=" + s.nonce + "x,s=,i=4096",
		"r=" + s.nonce + "x,s=eA==,i=0", "r=" + s.nonce + "x,s=eA==,i=1048577", "r=" + s.nonce + "x,s=!,i=4096",
		"m=x,r=" + s.nonce + "x,s=eA==,i=4096", "r=" + s.nonce + "x,i=4096,s=eA==",
	} {
		if _, err := s.final(text); err == nil {
			t.Errorf("%q is taken for a server's first message", text)
		}
	}
}

// Whatever a server says, the connection is ready for the next statement or lost.
func FuzzResults(f *testing.F) {
	row := "\x00\x02\x00\x00\x00\x01x\xff\xff\xff\xff"
	f.Add(message('T', "") + message('D', row) + message('C', "SELECT 1\x00") + message('Z', "I"))
	f.Add(message('E', "SERROR\x00C42501\x00\x00") + message('Z', "E"))
	f.Add(message('I', "") + message('N', "x") + message('S', "x") + message('A', "x") + message('Z', "T"))
	f.Add(message('D', "\x00\x01\x00\x00\x00\x09x") + message('Z', "I"))
	f.Add(message('D', "\x00") + "Z\x00\x00\x00\x03")
	f.Add("Z\xff\xff\xff\xff")
	f.Add(message('Z', "\x00"))
	f.Fuzz(func(t *testing.T, said string) {
		c, _ := newScripted(said)
		results, err := c.query(t.Context(), "SELECT 1")
		if ready := c.status != 0; ready == c.lost {
			t.Errorf("ready %t, lost %t: %v", ready, c.lost, err)
		}
		if err != nil && results != nil && c.lost {
			t.Error("a lost connection has results")
		}
	})
}
