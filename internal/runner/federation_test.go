package runner_test

import (
	"strings"
	"testing"

	"keyvault-passwords/internal/runner"
)

// The advice has both commands, quoted for a shell, and says which form the subject has.
func TestTrustAdvice(t *testing.T) {
	const plain, immutable = "has the plain form", "has the immutable form"
	for subject, want := range map[string]string{
		"repo:octo-org/octo-repo:ref:refs/heads/main":          plain,
		"repo:octo-org/octo-repo:environment:a@1/b@2":          plain,
		"repo:octo-org@123456/octo-repo:pull_request":          plain,
		"repo:octo-org@123456/octo-repo@789:ref:refs/tags/v1":  immutable,
		"repo:octo-org@123456/octo-repo@x:ref:refs/heads/main": plain,
		"octo-org@123456/octo-repo@789:ref:refs/heads/main":    plain,
		"": plain,
	} {
		claims := runner.Claims{Issuer: "https://issuer.example", Subject: subject, Audience: "api://x"}
		text := runner.TrustAdvice(claims, "client")
		for _, part := range []string{
			want,
			"\n  az identity federated-credential create --identity-name NAME --resource-group GROUP --name github " +
				"--issuer 'https://issuer.example' --subject '" + subject + "' --audiences 'api://x'\n",
			"\n  az ad app federated-credential create --id 'client' --parameters '{\"audiences\":[\"api://x\"]," +
				"\"issuer\":\"https://issuer.example\",\"name\":\"github\",\"subject\":\"" + subject + "\"}'\n",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("subject %q: %q is not in:\n%s", subject, part, text)
			}
		}
	}
	hostile := runner.TrustAdvice(runner.Claims{Subject: "repo:o/r:environment:it's"}, "client")
	if !strings.Contains(hostile, `--subject 'repo:o/r:environment:it'"'"'s' `) {
		t.Errorf("a quote in the subject is not escaped:\n%s", hostile)
	}
}
