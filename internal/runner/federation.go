package runner

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Claims are the claims of the job's ID token that a cloud compares with what it trusts.
type Claims struct {
	Issuer   string // https://token.actions.githubusercontent.com, or an enterprise's own
	Subject  string // repo:OWNER/REPO:ref:refs/heads/main
	Audience string // what the token was requested for
}

// TrustAdvice says how to make Entra trust a job with these claims as that client: the az commands, and what decides a
// job's subject. None of the commands replaces a credential that is there. Where the subject does not stay, or
// everybody who may open a pull request has it, the advice is to give the job an environment, and to trust that.
// https://docs.github.com/actions/reference/security/oidc
func (r *Runner) TrustAdvice(c Claims, clientID string) string {
	text := "If these are right, create a federated credential"
	if why := r.passing(c.Subject); why != "" {
		repository, _, known := cutSubject(c.Subject)
		if !known {
			return why + ". Do not trust it: add \"environment: passwords\" to the job and run it again, " +
				"and create a federated credential for the subject that it presents then"
		}
		c.Subject = repository + ":environment:passwords"
		text = why + ". Do not trust it: add \"environment: passwords\" to the job, which makes its subject " +
			c.Subject +
			"; in the repository's settings, name the branches that may use the environment; " +
			"and create a federated credential for that subject"
	}
	parameters, err := json.Marshal(map[string]any{
		"name": credentialName(c), "issuer": c.Issuer, "subject": c.Subject, "audiences": []string{c.Audience},
	})
	if err != nil {
		parameters = nil // unreachable: strings can always be encoded
	}
	return text + fmt.Sprintf(`. For a user-assigned identity, whose NAME and GROUP the first command shows:
  az identity list --query %s --output tsv
  az identity federated-credential create --identity-name NAME --resource-group GROUP --name %s `+
		`--issuer %s --subject %s --audiences %s
For an app registration:
  az ad app federated-credential create --id %s --parameters %s
Entra compares the subject exactly, with its letter case. A job with an environment, a branch, a tag and a pull `+
		`request each have a different subject. %s. A new credential takes a few minutes to take effect`,
		quote("[?clientId=='"+strings.ToLower(clientID)+"'].[name, resourceGroup]"), credentialName(c),
		quote(c.Issuer), quote(c.Subject), quote(c.Audience), quote(clientID), quote(string(parameters)),
		formOf(c.Subject))
}

// credentialName is the name of a federated credential for these claims. It is made from them, because az replaces an
// identity's credential of the same name.
func credentialName(c Claims) string {
	sum := sha256.Sum256([]byte(c.Issuer + "\n" + c.Subject + "\n" + c.Audience))
	return fmt.Sprintf("github-%x", sum[:6])
}

// cutSubject cuts a subject of one of GitHub's own forms, after the repository. Organisations can have other forms.
func cutSubject(subject string) (repository, context string, known bool) {
	rest, ok := strings.CutPrefix(subject, "repo:")
	name, context, found := strings.Cut(rest, ":")
	owner, _, slash := strings.Cut(name, "/")
	if !ok || !found || !slash || owner == "" {
		return "", "", false
	}
	if context != "pull_request" && !strings.HasPrefix(context, "ref:refs/") &&
		!strings.HasPrefix(context, "environment:") || strings.Contains(context, ":job_workflow_ref:") {
		return "", "", false
	}
	return "repo:" + name, context, true
}

// passing says why a subject is not one to trust: it is of one run, one release or one change, or it is everybody's.
// It returns "" for a subject that stays, as far as the job's environment says.
func (r *Runner) passing(subject string) string {
	_, context, known := cutSubject(subject)
	if !known {
		context = subject
	}
	has := func(part string) bool { return strings.Contains(":"+context+":", part) }
	switch {
	case strings.HasPrefix(context, "environment:"), has(":environment:"):
		return ""
	case has(":ref:refs/heads/gh-readonly-queue/"):
		return "This subject is of one merge only: the merge queue makes a branch for each"
	case has(":pull_request:"), has(":ref:refs/pull/"):
		return "This subject is the same for every pull request, whoever opens it"
	case has(":ref:refs/tags/"):
		return "This subject is of one tag only"
	}
	_, branch, ok := strings.Cut(context, "ref:refs/heads/")
	if !ok {
		return ""
	}
	for _, bot := range [...]string{"dependabot/", "renovate/"} {
		if strings.HasPrefix(branch, bot) {
			return "This subject is of one branch that lasts as long as one update"
		}
	}
	if known && r.isUnprotected(branch) {
		return "This subject is of a branch that is neither protected nor the default branch, " +
			"as far as the job's environment says, so that whoever may push may have it, and it may not stay"
	}
	return ""
}

// isUnprotected reports whether the job's environment says that this is the job's branch, and that it is neither
// protected nor the default branch. If it does not say so, the branch may be either.
func (r *Runner) isUnprotected(branch string) bool {
	if r.getenv("GITHUB_REF_PROTECTED") != "false" || r.getenv("GITHUB_REF") != "refs/heads/"+branch {
		return false
	}
	path := r.getenv("GITHUB_EVENT_PATH")
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false // reading a pipe would wait for its writer
	}
	text, err := os.ReadFile(path) // #nosec G304 G703 -- the runner's own file
	if err != nil {
		return false
	}
	var event struct {
		Repository struct {
			DefaultBranch string `json:"default_branch"`
		}
	}
	if json.Unmarshal(text, &event) != nil || event.Repository.DefaultBranch == "" {
		return false
	}
	return event.Repository.DefaultBranch != branch
}

// formOf says which of GitHub's two forms a subject has, or that it has neither, since a credential for the other form
// does not match it.
func formOf(subject string) string {
	const plain, immutable = "repo:OWNER/REPO:...", "repo:OWNER@ID/REPO@ID:..."
	if isImmutable(subject) {
		return fmt.Sprintf("This subject has the immutable form with IDs (%s); "+
			"a credential for the plain form (%s) does not match it", immutable, plain)
	}
	if !strings.HasPrefix(subject, "repo:") {
		return "This subject has another form than GitHub's own: the repository or the organisation customises it"
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
