package job

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Encodings are the forms in which a value could leave without being recognised.
var Encodings = map[string]func(string) string{
	"raw":       func(s string) string { return s },
	"base64":    func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64+1":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) },
	"base64+2":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte("xy" + s)) },
	"base64url": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"hex":       func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":       func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"url":       url.QueryEscape,
	"path":      url.PathEscape,
	"json":      func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
	"html":      html.EscapeString,
	"quoted":    func(s string) string { q := strconv.Quote(s); return q[1 : len(q)-1] },
	"bytes":     func(s string) string { return strings.Trim(fmt.Sprint([]byte(s)), "[]") },
}

// shortest is the length of the shortest secret that is looked for: a shorter one stands in any log by chance.
const shortest = 8

// forms returns what to look for to find a secret in any of the encodings. Of shifted base64 the ends depend on what
// stands beside the secret, and are left away.
func forms(secret string) map[string]string {
	all := map[string]string{}
	for name, encode := range Encodings {
		form := encode(secret)
		switch name {
		case "base64", "base64url":
			form = form[:len(secret)/3*4]
		case "base64+1", "base64+2":
			form = form[4 : (len(secret)+int(name[7]-'0'))/3*4]
		}
		all[name] = form
	}
	return all
}

// FindLeaks returns where each secret stands, and how it is encoded; never the secret.
func FindLeaks(secrets []string, texts map[string]string) (found []string) {
	for i, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		for encoding, form := range forms(secret) {
			for place, text := range texts {
				if strings.Contains(text, form) {
					found = append(found, fmt.Sprintf("secret %d, %s, in %s", i, encoding, place))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}
