package report

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// headings are those of .github/TROUBLESHOOTING.md that are words of this action's messages. The test that makes the
// action say each of them holds this list against that file.
var headings = [...]string{
	"a federated credential matches the subject of the job's ID token except for letter case",
	"a policy forbids it: the vault's access policies lack the secret permission set, or an Azure Policy requires an " +
		"expiry or a content type",
	"a read-only lock forbids every change of the server",
	"an Azure Policy forbids it",
	"below the min-entropy of",
	"but this action did not make the current version",
	"cannot be certified",
	"did you mean",
	"in the workspace; check the path, and that a step before this one checks the repository out",
	"it is soft-deleted, so its name is taken",
	"it is not given, and the job's",
	"its newest version is disabled, so somebody has blocked it",
	"leaves no password",
	"neither file nor secrets is given",
	"no federated credential matches the audience of the job's ID token",
	"no federated credential matches the issuer of the job's ID token",
	"no federated credential matches the subject of the job's ID token",
	"no tag says which of its two logins the current version is for",
	"no vault is known for secret",
	"not stored: the vault is read-only because its region has failed over",
	"run with mode: rotate, which gives all its vaults one new value",
	"the answer is not in Key Vault's own form",
	"the identity has no role here that allows it",
	"the job may not request an ID token",
	"the server has accepted the new password, and it is not known whether it is set",
	"the server accepts no passwords, because it is set to Entra authentication only",
	"the target does not hold this version",
	"the tenant has no such application",
	"the vault accepts private endpoint connections only",
	"the vault belongs to tenant",
	"the vault is still throttled after all retries",
	"the vault's access policies do not give the identity the secret permission",
	"the vault's firewall does not admit the runner's address",
	"the version may have been stored",
	"there is no host",
}

// Help knows where the explanations of messages are. The zero Help knows of none.
type Help struct{ page string }

var (
	repositoryForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$`)
	})
	refForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`) })
)

// NewHelp returns the help for an action that a workflow uses from a repository (OWNER/NAME) at a ref of it, as the
// runner names them. A local action (uses: ./) has neither, and no help. Server is GitHub's address.
func NewHelp(server, repository, ref string) Help {
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "https" || base.Host == "" || !repositoryForm().MatchString(repository) ||
		!refForm().MatchString(ref) {
		return Help{}
	}
	return Help{page: "https://" + base.Host + "/" + repository + "/blob/" + ref + "/.github/TROUBLESHOOTING.md"}
}

// Link returns the address of what explains a message of this action; "" if nothing does.
func (h Help) Link(message string) string {
	best := ""
	for _, heading := range headings {
		if len(heading) > len(best) && strings.Contains(message, heading) {
			best = heading
		}
	}
	if h.page == "" || best == "" {
		return ""
	}
	return h.page + "#" + anchor(best)
}

// anchor returns a heading as GitHub turns it into an anchor.
func anchor(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z':
			return c
		case 'A' <= c && c <= 'Z':
			return c - 'A' + 'a'
		}
		return -1
	}, heading)
}
