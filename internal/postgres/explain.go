package postgres

import (
	"context"
	"errors"
	"fmt"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
)

// An Error is why a password was not set, or not proven. It holds no text of the server's, no token and no verifier.
type Error struct {
	refusal.Refusal
	Code string // the SQLSTATE; "" if the server gave none
	Err  error  // the cause, if it is an error of ours; may be nil
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// newError returns a refusal of an act.
func (t *Target) newError(act, cause, remedy string) *Error {
	return &Error{Refusal: refusal.Refusal{Act: act, Cause: cause, Remedy: remedy}}
}

// of returns the refusal as one of that kind.
func (e *Error) of(kind refusal.Kind) *Error {
	e.Kind = kind
	return e
}

// on names the server that an act is done at.
func (t *Target) on(act string) string { return act + " at " + t.config.Host }

func cancelled(act string) *Error {
	return &Error{Refusal: refusal.Refusal{
		Act: act, Cause: "the run was stopped before this was done", Remedy: "run the job again",
		Kind: refusal.Cancelled,
	}}
}

// explainToken explains why there is no access token.
func (t *Target) explainToken(ctx context.Context, act string, err error) *Error {
	if ctx.Err() != nil {
		return cancelled(act)
	}
	return (&Error{Refusal: refusal.Of(err).Within(act), Err: err}).of(refusal.Identity)
}

// The SQLSTATEs that are told apart: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	invalidAuthorization  = "28000"
	invalidPassword       = "28P01"
	noDatabase            = "3D000"
	insufficientPrivilege = "42501"
	lockNotAvailable      = "55P03"
	queryCanceled         = "57014"
	readOnlyTransaction   = "25006"
	tooManyConnections    = "53300"
	cannotConnectNow      = "57P03"
	diskFull              = "53100"
	protocolViolation     = "08P01"
)

// codeOf returns the SQLSTATE of an error; "" if the server gave none.
func codeOf(err error) string {
	if refused, ok := errors.AsType[*serverError](err); ok {
		return refused.code
	}
	return ""
}

// explainConnect explains why the identity could not log in.
func (t *Target) explainConnect(ctx context.Context, act string, a *attempt, err error) *Error {
	if e := t.explainWay(ctx, act, a, err); e != nil {
		return e
	}
	code := codeOf(err)
	switch {
	case errors.Is(err, errMethod):
		return t.newError(act, "the server takes no access token for role "+t.config.As+": it asks for a password",
			t.makeIdentity()).of(refusal.Forbidden)
	case a.accepted && code == noDatabase:
		return t.refused(act, code, "there is no database "+t.config.Database,
			"correct the name of the database in the declaration; without one it is postgres").of(refusal.NotFound)
	case a.accepted && code == insufficientPrivilege:
		return t.refused(act, code, "role "+t.config.As+" may not connect to database "+t.config.Database,
			t.run("GRANT CONNECT ON DATABASE "+identifier(t.config.Database)+" TO "+identifier(t.config.As)+";")).
			of(refusal.Forbidden)
	case code == invalidAuthorization && !a.asked:
		// https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-public#firewall-rules
		return t.refused(act, code,
			"the server does not let the runner in: no rule of its firewall admits this address",
			t.letIn()).of(refusal.Forbidden)
	case code == invalidPassword, code == invalidAuthorization:
		return t.refused(act, code, "the server does not let role "+t.config.As+
			" in with the access token: there is no such role, or it is not the identity's", t.makeIdentity()).
			of(refusal.Forbidden)
	}
	return t.explainCode(act, code)
}

// explainWay explains what happened on the way to the server and back; nil if the server has answered.
func (t *Target) explainWay(ctx context.Context, act string, a *attempt, err error) *Error {
	host := t.config.Host
	why := t.config.Network.Explain(err)
	proxy, proxied := errors.AsType[*network.ProxyError](why)
	told, remedy := network.DescribeConnection(why), network.Remedy(why)
	switch {
	case ctx.Err() != nil:
		return cancelled(act)
	case codeOf(err) != "" || errors.Is(err, errMethod) || errors.Is(err, errStrange):
		return nil
	case a.asked:
		return t.newError(act, "the connection was lost: "+told, "run the job again").of(refusal.Unreachable)
	case errors.Is(err, errEnded):
		return t.newError(act, errEnded.Error(),
			"run the job again; if it fails again, check the server's state in the "+
				"portal").of(refusal.Unreachable)
	case errors.Is(err, errNoTLS):
		return t.newError(act, "the server does not offer TLS",
			"check the proxy and the DNS between the runner and "+host)
	case proxied && proxy.Status != 0:
		told = fmt.Sprintf("the proxy refused to connect to %s, port %d: %s", host, port, told)
		return t.newError(act, told, remedy).of(refusal.Unreachable)
	case proxied:
		return t.newError(act, "there is no way through the proxy: "+told, remedy).of(refusal.Unreachable)
	case network.IsNoHost(why):
		return t.newError(act, "there is no host "+host, "check the host in the declaration; "+
			"a server with private access resolves only inside its network").of(refusal.Unreachable)
	case remedy != "":
		return t.newError(act, "what answers is not trusted: "+told, remedy).of(refusal.Unreachable)
	}
	return t.newError(act, "no answer: "+told, "run the job again; if it fails again, "+t.letIn()).
		of(refusal.Unreachable)
}

// letIn is the remedy where the runner does not reach the server.
func (t *Target) letIn() string {
	return fmt.Sprintf("allow the runner to connect to %s, port %d: in the server's firewall, and in the runner's "+
		"network", t.config.Host, port)
}

// explainExec explains why a statement was not done. A wait that lock has for other runs ends as lockNotAvailable.
func (s *session) explainExec(ctx context.Context, act string, err error) *Error {
	code := codeOf(err)
	switch {
	case ctx.Err() != nil:
		return cancelled(act)
	case code == "" && !errors.Is(err, errStrange):
		return s.newError(act, "the connection was lost: "+network.DescribeConnection(err), "run the job again").
			of(refusal.Unreachable)
	}
	return s.explainCode(act, code)
}

// explainProof explains why the login could not be used.
func (t *Target) explainProof(ctx context.Context, act string, a *attempt, err error) *Error {
	if e := t.explainWay(ctx, act, a, err); e != nil {
		return e
	}
	code := codeOf(err)
	switch {
	case errors.Is(err, errMethod):
		return t.newError(act, "the server does not ask for SCRAM authentication", setAccepted).of(refusal.Forbidden)
	case code == invalidPassword:
		return t.refused(act, code, "the server does not take the password that was just set", setAccepted).
			of(refusal.Forbidden)
	case code == invalidAuthorization:
		return t.refused(act, code, "the server does not let the login in from here", setAccepted).of(refusal.Forbidden)
	}
	return t.explainCode(act, code)
}

// setAccepted is the remedy where the server takes no passwords.
const setAccepted = "turn on password authentication for the server, and add SCRAM-SHA-256 to its parameter " +
	"azure.accepted_password_auth_method"

// refused returns what the server refuses, with its code.
func (t *Target) refused(act, code, cause, remedy string) *Error {
	e := t.newError(act, cause+" (SQLSTATE "+code+")", remedy)
	e.Code = code
	return e
}

// explainCode explains a SQLSTATE that means the same whatever was done.
func (t *Target) explainCode(act, code string) *Error {
	switch code {
	case "":
		return t.newError(act, "the answer is not PostgreSQL's",
			"check the proxy and the DNS between the runner and "+t.config.Host)
	case insufficientPrivilege:
		return t.refused(act, code, "the server does not allow it to role "+t.config.As, t.seeSetup()).
			of(refusal.Forbidden)
	case lockNotAvailable:
		return t.refused(act, code, "another session holds it for longer than the action waits",
			"run the job again; if it fails again, look for the session: "+
				"SELECT DISTINCT pid, usename, application_name, state, xact_start "+
				"FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted AND (locktype = 'advisory' "+
				"OR relation = 'pg_authid'::regclass AND mode = 'RowExclusiveLock');")
	case queryCanceled:
		return t.refused(act, code, "the server did not do it in time", "run the job again").of(refusal.Unreachable)
	case readOnlyTransaction:
		return t.readOnly(act)
	case tooManyConnections:
		return t.refused(act, code, "no connection is left", "run the job again; if it fails again, look at "+
			"max_connections of the server, and at CONNECTION LIMIT of the database and the "+
			"role").of(refusal.Unreachable)
	case diskFull:
		return t.refused(act, code, "the server's disk is full", "give the server more storage").of(refusal.ReadOnly)
	case protocolViolation: // PgBouncer says this to settings that it does not know
		return t.refused(act, code,
			"what answers is not the server itself: it does not take what a session begins with",
			fmt.Sprintf("let %s, port %d, lead to the server itself: a pooler such as PgBouncer keeps no lock",
				t.config.Host, port))
	}
	switch code[:2] {
	case "57", "08", "25": // shut down, starting, a connection or a transaction ended
		return t.refused(act, code, "the server is restarting, or ended the connection", "run the job again").
			of(refusal.Unreachable)
	case "XX":
		return t.refused(act, code, "the server failed", "run the job again; if it fails again, ask Azure's support")
	}
	return t.refused(act, code, "the server refused it",
		"look it up at https://www.postgresql.org/docs/current/errcodes-appendix.html")
}

func (t *Target) readOnly(act string) *Error {
	return t.newError(act, "the server takes no writes: it is a read replica, or out of storage, or its parameter "+
		"default_transaction_read_only is on", "declare the host of the primary server, and check the server's state "+
		"and that parameter in the portal; the database and the role may set it, too").of(refusal.ReadOnly)
}
