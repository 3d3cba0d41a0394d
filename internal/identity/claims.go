package identity

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"keyvault-passwords/internal/sensitive"
)

// claims are what a federated credential is matched by. They are no secret: anyone may read them off the workflow.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
}

// readClaims reads the claims of an ID token, unverified: Entra verifies them. What cannot be read is left empty.
func readClaims(token sensitive.Value) (c claims) {
	sensitive.Inspect(token, func(text []byte) {
		_, rest, _ := strings.Cut(string(text), ".")
		payload, _, _ := strings.Cut(rest, ".")
		decoded, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			return
		}
		if json.Unmarshal(decoded, &c) != nil {
			c = claims{}
		}
	})
	return c
}
