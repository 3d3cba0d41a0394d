package runner

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Claims are the claims of the job's ID token that a cloud compares with what it trusts.
type Claims struct {
	Issuer   string // https://token.actions.githubusercontent.com, or an enterprise's own
	Subject  string // repo:OWNER/REPO:ref:refs/heads/main
	Audience string // what the token was requested for
}

// TrustAdvice says how to make Entra trust a job with these claims as that client: both az commands, and what decides
// a job's subject. https://docs.github.com/actions/reference/security/oidc
func TrustAdvice(c Claims, clientID string) string {
	parameters, err := json.Marshal(map[string]any{
		"name": "github", "issuer": c.Issuer, "subject": c.Subject, "audiences": []string{c.Audience},
	})
	if err != nil {
		parameters = nil // unreachable: strings can always be encoded
	}
	return fmt.Sprintf(`If these are right, create a federated credential. For a user-assigned identity:
  az identity federated-credential create --identity-name NAME --resource-group GROUP --name github `+
		`--issuer %s --subject %s --audiences %s
For an app registration:
  az ad app federated-credential create --id %s --parameters %s
Entra compares the subject exactly, with its letter case. A job with an environment, a branch, a tag and a pull `+
		`request each have a different subject. %s. A new credential takes a few minutes to take effect`,
		quote(c.Issuer), quote(c.Subject), quote(c.Audience), quote(clientID), quote(string(parameters)),
		formOf(c.Subject))
}

// formOf says which of GitHub's two forms a subject has, since a credential for the other form does not match it.
func formOf(subject string) string {
	const plain, immutable = "repo:OWNER/REPO:...", "repo:OWNER@ID/REPO@ID:..."
	if isImmutable(subject) {
		return fmt.Sprintf("This subject has the immutable form with IDs (%s); "+
			"a credential for the plain form (%s) does not match it", immutable, plain)
	}
	return fmt.Sprintf("This subject has the plain form (%s); "+
		"a credential for the immutable form with IDs (%s) does not match it", plain, immutable)
}

// isImmutable reports whether a subject names owner and repository with their IDs, as GitHub does for repositories
// that were made, renamed or transferred after 2026-07-15: https://github.blog/changelog/ (2026-04-23).
func isImmutable(subject string) bool {
	repository, ok := strings.CutPrefix(subject, "repo:")
	if !ok {
		return false
	}
	repository, _, _ = strings.Cut(repository, ":")
	owner, name, _ := strings.Cut(repository, "/")
	return hasID(owner) && hasID(name)
}

// hasID reports whether text is a name, "@" and a number.
func hasID(text string) bool {
	name, id, _ := strings.Cut(text, "@")
	return name != "" && id != "" && strings.Trim(id, "0123456789") == ""
}

// quote returns text as one word of a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'"'"'`) + "'" }
