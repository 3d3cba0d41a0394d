package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
)

// A scramExchange is the client's side of SCRAM-SHA-256 without channel binding: TLS has verified the server. The
// server's name for the user is the one of the session, so that none is given here. It proves that both know the
// password, and sends it in no form. https://www.rfc-editor.org/rfc/rfc5802#section-3
type scramExchange struct {
	password string

	nonce     string
	signature []byte // that the server must show
}

const (
	clientHeader   = "n,,"  // no channel binding, no other user
	clientBinding  = "biws" // the same in base64
	mostIterations = 1 << 20
)

// begun reports whether the first message was sent.
func (s *scramExchange) begun() bool { return s.nonce != "" }

// first returns the client's first message.
func (s *scramExchange) first() string {
	var nonce [18]byte
	_, _ = rand.Read(nonce[:]) // never fails
	s.nonce = base64.StdEncoding.EncodeToString(nonce[:])
	return clientHeader + s.bare()
}

func (s *scramExchange) bare() string { return "n=,r=" + s.nonce }

// final returns the client's last message, in answer to the server's first.
func (s *scramExchange) final(serverFirst string) (string, error) {
	parts := strings.SplitN(serverFirst, ",", 4)
	if len(parts) < 3 {
		return "", errStrange
	}
	nonce, hasNonce := strings.CutPrefix(parts[0], "r=")
	saltText, hasSalt := strings.CutPrefix(parts[1], "s=")
	countText, hasCount := strings.CutPrefix(parts[2], "i=")
	salt, saltErr := base64.StdEncoding.DecodeString(saltText)
	count, countErr := strconv.Atoi(countText)
	extended := strings.HasPrefix(nonce, s.nonce) && len(nonce) > len(s.nonce)
	if !hasNonce || !hasSalt || !hasCount || saltErr != nil || countErr != nil || !extended ||
		len(salt) == 0 || count < 1 || count > mostIterations {
		return "", errStrange
	}
	salted, err := pbkdf2.Key(sha256.New, s.password, salt, count, sha256.Size)
	if err != nil {
		return "", errStrange
	}
	withoutProof := "c=" + clientBinding + ",r=" + nonce
	message := s.bare() + "," + serverFirst + "," + withoutProof
	clientKey := keyed(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	proof := keyed(storedKey[:], message)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	s.signature = keyed(keyed(salted, "Server Key"), message)
	return withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof), nil
}

// isProvenBy reports whether the server's last message shows that it knows the password.
func (s *scramExchange) isProvenBy(serverFinal string) bool {
	text, found := strings.CutPrefix(serverFinal, "v=")
	shown, err := base64.StdEncoding.DecodeString(text)
	return found && err == nil && s.signature != nil && hmac.Equal(shown, s.signature)
}
