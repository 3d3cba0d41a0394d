package identity

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"keyvault-passwords/internal/sensitive"
)

// Claims are what Entra compares with a federated credential. They are not secret: the workflow shows them to anyone.
type Claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
}

// readClaims reads the claims of an ID token without verifying it, which is Entra's task. If the token cannot be read,
// the claims are empty.
func readClaims(token sensitive.Value) (c Claims) {
	sensitive.Inspect(token, func(text []byte) {
		_, rest, _ := strings.Cut(string(text), ".")
		payload, _, _ := strings.Cut(rest, ".")
		decoded, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			return
		}
		if json.Unmarshal(decoded, &c) != nil {
			c = Claims{}
		}
	})
	return c
}
