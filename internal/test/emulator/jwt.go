package emulator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
)

// signingKey is made once per process, since an RSA key takes tens of milliseconds, and RS256 is all that Entra accepts
// of an issuer. https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // unreachable: crypto/rand does not fail, and 2048 is an allowed size
	}
	return key
})

// Key IDs of GitHub's and of Entra's key. It is one key under two names: neither service accepts the other's.
const (
	githubKeyID = "38826b17-6a30-5f9b-b169-8beb8202f723"
	entraKeyID  = "HS23b7Do7TcaU1RoLHwpIq24VYg"
)

// signJWT returns the claims as a compact RS256 token. https://www.rfc-editor.org/rfc/rfc7515
func signJWT(keyID string, claims any) string {
	header := encodeSegment(map[string]string{"alg": "RS256", "kid": keyID, "typ": "JWT", "x5t": keyID})
	signed := header + "." + encodeSegment(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, signingKey(), crypto.SHA256, digest[:])
	if err != nil {
		panic(err) // unreachable: the key is sound and the digest has its length
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encodeSegment(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // unreachable: claims are strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// verifyJWT checks that a token is RS256 by the key of that ID and decodes its claims.
func verifyJWT(token, keyID string, claims any) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the token has not three parts")
	}
	var header struct{ Alg, Kid string }
	if err := decodeSegment(parts[0], &header); err != nil {
		return err
	}
	if header.Alg != "RS256" || header.Kid != keyID {
		return errors.New("the token's header names another algorithm or key")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return errors.New("the token's signature is not base64url")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&signingKey().PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		return errors.New("the token's signature does not verify")
	}
	return decodeSegment(parts[1], claims)
}

func decodeSegment(segment string, v any) error {
	data, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return errors.New("a part of the token is not base64url")
	}
	if json.Unmarshal(data, v) != nil {
		return errors.New("a part of the token is not JSON")
	}
	return nil
}

// keySet is the JSON Web Key Set under which an issuer publishes the key. https://www.rfc-editor.org/rfc/rfc7517
func keySet(keyID string) any {
	public := signingKey().PublicKey
	return map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": keyID, "x5t": keyID,
		"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
	}}}
}
