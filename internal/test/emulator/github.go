package emulator

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The numbers of owner, repository, actor and run in GitHub's tokens.
const (
	ownerID      = "123456"
	repositoryID = "456789"
	actorID      = "583231"
	runID        = "1658821493"
	checkRunID   = "4583027511"
)

// jobPath is the path under which this job's token is had, as the runner names it in ACTIONS_ID_TOKEN_REQUEST_URL.
const (
	tokenHost = "run-actions-1-azure-eastus" + githubDomain
	jobPath   = "/12//idtoken/5ba6d24a-7b8b-4e92-9c0b-2e6d6f4a8c11/12f1170f-54f2-53f3-20dd-22fc7dff55f9"
)

// Lifetimes of GitHub's token: five minutes, back-dated by ten. The documentation's sample shows both:
// https://docs.github.com/actions/concepts/security/openid-connect
const (
	idTokenLifetime = 5 * time.Minute
	idTokenBackdate = 10 * time.Minute
	// requestTokenLifetime is second-hand (azure-cli#28778): it bounds how long a job can ask for tokens.
	requestTokenLifetime = 6*time.Hour + 10*time.Minute
)

func routeGitHub(c *call) handler {
	path := "/" + strings.Join(c.path, "/")
	switch {
	case path == jobPath:
		c.operation = "oidc"
		return serveIDToken
	case strings.HasSuffix(path, "/.well-known/openid-configuration"):
		c.operation = "github-discovery"
		return serveGitHubDiscovery
	case strings.HasSuffix(path, "/.well-known/jwks"):
		c.operation = "github-keys"
		return func(*call) answer { return answer{status: http.StatusOK, body: keySet(githubKeyID)} }
	}
	c.operation = "other"
	return func(*call) answer { return githubRefusal(http.StatusNotFound, "The request path is not known.") }
}

// RequestURL is ACTIONS_ID_TOKEN_REQUEST_URL: where a job asks GitHub for a token.
func (e *Emulator) RequestURL() string { return "https://" + tokenHost + jobPath + "?api-version=2.0" }

// githubClaims are the claims of a job's token.
// https://docs.github.com/actions/reference/security/oidc#oidc-token-claims
type githubClaims struct {
	ID                   string `json:"jti"`
	Subject              string `json:"sub"`
	Audience             string `json:"aud"`
	Ref                  string `json:"ref"`
	SHA                  string `json:"sha"`
	Repository           string `json:"repository"`
	RepositoryOwner      string `json:"repository_owner"`
	RepositoryOwnerID    string `json:"repository_owner_id"`
	RunID                string `json:"run_id"`
	RunNumber            string `json:"run_number"`
	RunAttempt           string `json:"run_attempt"`
	RepositoryVisibility string `json:"repository_visibility"`
	RepositoryID         string `json:"repository_id"`
	ActorID              string `json:"actor_id"`
	Actor                string `json:"actor"`
	Workflow             string `json:"workflow"`
	HeadRef              string `json:"head_ref"`
	BaseRef              string `json:"base_ref"`
	EventName            string `json:"event_name"`
	RefProtected         string `json:"ref_protected"`
	RefType              string `json:"ref_type"`
	Environment          string `json:"environment,omitempty"`
	WorkflowRef          string `json:"workflow_ref"`
	WorkflowSHA          string `json:"workflow_sha"`
	JobWorkflowRef       string `json:"job_workflow_ref"`
	JobWorkflowSHA       string `json:"job_workflow_sha"`
	CheckRunID           string `json:"check_run_id"`
	RunnerEnvironment    string `json:"runner_environment"`
	Issuer               string `json:"iss"`
	NotBefore            int64  `json:"nbf"`
	Expires              int64  `json:"exp"`
	Issued               int64  `json:"iat"`
}

// Subject is the subject of the job's tokens.
// https://docs.github.com/actions/reference/security/oidc#example-subject-claims
func (e *Emulator) Subject() string {
	o := e.options
	repository := o.Repository
	if o.ImmutableSubject {
		owner, name, _ := strings.Cut(repository, "/")
		repository = owner + "@" + ownerID + "/" + name + "@" + repositoryID
	}
	prefix := "repo:" + repository + ":"
	switch {
	case o.Environment != "":
		return prefix + "environment:" + strings.ReplaceAll(o.Environment, ":", "%3A")
	case o.Event == "pull_request":
		return prefix + "pull_request"
	}
	return prefix + "ref:" + strings.ReplaceAll(o.Ref, ":", "%3A")
}

func (e *Emulator) claims(audience string, now time.Time) githubClaims {
	o := e.options
	owner, _, _ := strings.Cut(o.Repository, "/")
	const sha = "8f2b1c0d9e7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c"
	workflow := o.Repository + "/.github/workflows/passwords.yml@" + o.Ref
	return githubClaims{
		ID:                   e.ids.guid(),
		Subject:              e.Subject(),
		Audience:             audience,
		Ref:                  o.Ref,
		SHA:                  sha,
		Repository:           o.Repository,
		RepositoryOwner:      owner,
		RepositoryOwnerID:    ownerID,
		RepositoryID:         repositoryID,
		RepositoryVisibility: "private",
		RunID:                runID,
		RunNumber:            "10",
		RunAttempt:           "1",
		Actor:                "octocat",
		ActorID:              actorID,
		Workflow:             "passwords",
		EventName:            o.Event,
		RefProtected:         "true",
		RefType:              refType(o.Ref),
		Environment:          o.Environment,
		WorkflowRef:          workflow,
		WorkflowSHA:          sha,
		JobWorkflowRef:       workflow,
		JobWorkflowSHA:       sha,
		CheckRunID:           checkRunID,
		RunnerEnvironment:    "github-hosted",
		Issuer:               o.Issuer,
		NotBefore:            now.Add(-idTokenBackdate).Unix(),
		Expires:              now.Add(idTokenLifetime).Unix(),
		Issued:               now.Unix(),
	}
}

func refType(ref string) string {
	if strings.HasPrefix(ref, "refs/tags/") {
		return "tag"
	}
	return "branch"
}

// newRequestToken makes what the runner shows to get a token. Its form is GitHub's own affair: clients pass it on.
func (e *Emulator) newRequestToken() requestToken {
	expires := e.Now().Add(requestTokenLifetime)
	token := encodeSegment(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + encodeSegment(map[string]any{
		"jti": e.ids.guid(), "orchid": runID, "exp": expires.Unix(),
	}) + "." + encodeSegment(e.ids.guid()+e.ids.guid()+e.ids.guid())
	e.addToken(token)
	return requestToken{token, expires}
}

// A requestToken is what the runner gives a job to ask for ID tokens with.
type requestToken struct {
	token   string
	expires time.Time
}

// RequestToken is ACTIONS_ID_TOKEN_REQUEST_TOKEN: what a job shows there. It is another one when the last has expired,
// as another job's would be.
func (e *Emulator) RequestToken() string {
	e.jobMu.Lock()
	defer e.jobMu.Unlock()
	if !e.Now().Before(e.job.expires) {
		e.job = e.newRequestToken()
	}
	return e.job.token
}

// acceptsRequestToken tells whether a token is the job's, in time.
func (e *Emulator) acceptsRequestToken(token string, now time.Time) bool {
	e.jobMu.Lock()
	defer e.jobMu.Unlock()
	return token == e.job.token && now.Before(e.job.expires)
}

// serveIDToken is GET on the runner's request URL, with the audience in the query.
// https://docs.github.com/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
func serveIDToken(c *call) answer {
	if c.request.Method != http.MethodGet {
		return githubRefusal(http.StatusMethodNotAllowed, "The method is not allowed here.")
	}
	if !c.e.acceptsRequestToken(c.bearer(), c.now) {
		return githubRefusal(http.StatusUnauthorized, "The request token is missing, wrong or expired.")
	}
	if c.query.Get("api-version") != "2.0" {
		return githubRefusal(http.StatusBadRequest, "The api-version is not supported.")
	}
	audience := c.query.Get("audience")
	if audience == "" {
		owner, _, _ := strings.Cut(c.e.options.Repository, "/")
		audience = "https://github.com/" + owner
	}
	token := signJWT(githubKeyID, c.e.claims(audience, c.now))
	c.e.addToken(token)
	return answer{status: http.StatusOK, body: map[string]any{"count": len(token), "value": token}}
}

func serveGitHubDiscovery(c *call) answer {
	issuer := c.e.options.Issuer
	return answer{status: http.StatusOK, body: map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              issuer + "/.well-known/jwks",
		"subject_types_supported":               []string{"public", "pairwise"},
		"response_types_supported":              []string{"id_token"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid"},
	}}
}

// githubRefusal has the shape of the run service's errors; clients read the status alone.
func githubRefusal(status int, message string) answer {
	return answer{status: status, body: map[string]any{
		"source": "actions-run-service", "statusCode": status, "errorMessage": fmt.Sprintf("%d: %s", status, message),
	}}
}
