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

const (
	iterations = 4096 // PostgreSQL's own number: SCRAM_SHA_256_DEFAULT_ITERATIONS
	saltSize   = 16   // likewise
	mechanism  = "SCRAM-SHA-256"
)

// newSalt draws the salt of a verifier.
func newSalt() []byte {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: https://pkg.go.dev/crypto/rand#Read
	return salt
}

// newVerifier returns what PostgreSQL stores of a password, by which it can check the password but not become it:
// https://www.postgresql.org/docs/current/catalog-pg-authid.html, https://www.rfc-editor.org/rfc/rfc5802#section-3. A
// password of ASCII characters is its own SASLprep.
func newVerifier(password, salt []byte) string {
	salted, err := pbkdf2.Key(sha256.New, string(password), salt, iterations, sha256.Size)
	if err != nil {
		return "" // in FIPS mode, for a salt that is too short; "" is no verifier, and is refused as such
	}
	storedKey := sha256.Sum256(keyed(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return mechanism + "$" + strconv.Itoa(iterations) + ":" + encode(salt) + "$" + encode(storedKey[:]) + ":" +
		encode(keyed(salted, "Server Key"))
}

func keyed(key []byte, message string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(message)) // never fails
	return mac.Sum(nil)
}

// isVerifier reports whether text is a verifier. PostgreSQL stores what is none as a password, without a word.
func isVerifier(text string) bool {
	rest, found := strings.CutPrefix(text, mechanism+"$"+strconv.Itoa(iterations)+":")
	salt, keys, separated := strings.Cut(rest, "$")
	stored, server, both := strings.Cut(keys, ":")
	return found && separated && both && isBase64(salt, saltSize) && isBase64(stored, sha256.Size) &&
		isBase64(server, sha256.Size)
}

// isBase64 reports whether text is so many bytes in base64.
func isBase64(text string, size int) bool {
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(decoded) == size && len(text) == base64.StdEncoding.EncodedLen(size)
}
