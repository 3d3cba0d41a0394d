package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/refusal"
	"keyvault-passwords/internal/sensitive"
)

// lock waits for other sessions that set one of the logins, and keeps them out until the session ends. Each login has a
// lock of its own, taken in the order of their names: two secrets that share one login wait for each other, and never
// for ever.
func (t *Target) lock(ctx context.Context, s *session) error {
	logins := slices.Sorted(slices.Values(t.config.Logins))
	act := t.on("waiting for other runs that set the password of login " + strings.Join(logins, " or "))
	sql := fmt.Sprintf("SET lock_timeout = %d; SET statement_timeout = 0; ", lockTimeout.Milliseconds())
	for _, login := range slices.Compact(logins) {
		sql += fmt.Sprintf("SELECT pg_advisory_lock(%d); ", lockKey(login))
	}
	if _, err := s.run(ctx, 2*lockTimeout+execTimeout, sql+"RESET lock_timeout; RESET statement_timeout"); err != nil {
		return s.explainExec(ctx, act, err)
	}
	return nil
}

// lockKey returns the advisory lock of a login. The text before the name keeps it apart from the locks of others, as
// far as 64 bits can.
func lockKey(login string) int64 {
	sum := sha256.Sum256([]byte("keyvault-passwords login " + login))
	return int64(binary.BigEndian.Uint64(sum[:])) // #nosec G115 -- any 64 bits are a key
}

// set begins a transaction, and in it gives the login the password and the marker.
func (t *Target) set(ctx context.Context) error {
	c, s := t.pending, t.session
	act := t.on("setting the password of login " + c.login)
	if !isOperation(c.operation) {
		return t.newError(act, "the operation has no ID", "")
	}
	results, err := s.run(ctx, execTimeout, "BEGIN; SELECT coalesce(shobj_description(oid, 'pg_authid'), '') "+
		"FROM pg_roles WHERE rolname = "+literal(c.login))
	if err != nil {
		return s.explainExec(ctx, act, err)
	}
	if len(results) != 2 || len(results[1].rows) != 1 {
		return t.missing(act, identity{}, []string{c.login}, nil)
	}
	comment := string(results[1].rows[0][0])
	c.before = markerOf(comment)
	salt := newSalt()
	statement := sensitive.Derive(func(parts [][]byte) []byte {
		verifier := newVerifier(parts[0], salt)
		if !isVerifier(verifier) {
			return nil
		}
		return []byte(s.statement(c, verifier))
	}, c.password)
	results, err = s.run(ctx, execTimeout, statement.Reveal()) // to the server, as a verifier
	if s.byFunction && codeOf(err) == insufficientPrivilege {
		return t.notListed(act, c.login)
	}
	if err != nil {
		return s.explainExec(ctx, act, err)
	}
	if len(results) == 0 || results[0].tag == "" {
		return t.newError(act, "no SCRAM verifier could be made of it", "")
	}
	if s.byFunction {
		return nil
	}
	_, err = s.exec(ctx, act, "COMMENT ON ROLE "+identifier(c.login)+" IS "+literal(withMarker(comment, c.operation)))
	return err
}

// statement returns what sets a verifier. The function sets the marker too.
func (s *session) statement(c *change, verifier string) string {
	if s.byFunction {
		return "SELECT " + functionName + "(" + literal(c.login) + ", " + literal(verifier) + ", " +
			literal(c.operation) + ")"
	}
	return "ALTER ROLE " + identifier(c.login) + " PASSWORD " + literal(verifier)
}

// pauses are the waits before a lost connection is made again.
var pauses = [...]time.Duration{
	250 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second,
}

// commit makes the pending change last. Where the connection is lost it may or may not have been done: the marker
// tells, and where it says that nothing was, the same password is set once more.
func (t *Target) commit(ctx context.Context) error {
	act := t.on("committing the password of login " + t.pending.login)
	err := t.commitOnce(ctx, act)
	for try := 0; err != nil && try < len(pauses) && network.Sleep(ctx.Done(), pauses[try]); try++ {
		err = t.settle(ctx, act)
		if failure := refusal.Of(err); err != nil && !isPassing(failure.Kind) {
			return err
		}
		if err == nil && !t.pending.committed {
			err = t.commitOnce(ctx, act)
		}
	}
	return err
}

// isPassing reports whether a refusal of that kind may pass by itself.
func isPassing(kind refusal.Kind) bool {
	return kind == refusal.Unreachable || kind == refusal.Ambiguous
}

func (t *Target) commitOnce(ctx context.Context, act string) error {
	rolledBack := t.newError(act, "the server rolled it back", "run the job again")
	if !t.session.isLost() && t.session.conn.status != inTransaction {
		return rolledBack // outside of one, COMMIT does nothing and says nothing
	}
	results, err := t.session.run(ctx, execTimeout, "COMMIT")
	if err == nil && len(results) == 1 && results[0].tag == "COMMIT" {
		t.pending.committed = true
		return nil
	}
	if err == nil { // the transaction had failed
		return rolledBack
	}
	failure := t.session.explainExec(ctx, act, err)
	if t.session.isLost() {
		failure.Kind = refusal.Ambiguous
		failure.Cause += "; whether it was done is not known"
	}
	return failure
}

// settle finds out whether the pending change was committed, and sets it again if it was not.
func (t *Target) settle(ctx context.Context, act string) error {
	c := t.pending
	if t.session.isLost() {
		s, err := t.connect(ctx)
		if err != nil {
			return err
		}
		if err := t.lock(ctx, s); err != nil {
			s.close()
			return err
		}
		t.session = s
	} else if _, err := t.session.exec(ctx, act, "ROLLBACK"); err != nil {
		return err
	}
	roles, err := t.check(ctx, t.session)
	if err != nil {
		return err
	}
	switch markerOf(roles[c.login].comment) {
	case c.operation:
		c.committed = true
		return nil
	case c.before:
		return t.set(ctx)
	}
	return t.newError(act, "another run has set the password of the login since", "run the job again")
}

// prove logs in with the new password.
func (t *Target) prove(ctx context.Context) error {
	for try := 0; ; try++ {
		err := t.proveOnce(ctx)
		if err == nil {
			return nil
		}
		if !isPassing(err.Kind) || try == len(pauses) || !network.Sleep(ctx.Done(), pauses[try]) {
			return err
		}
	}
}

// unproven is an operation that no version is of: the next run takes the login for one that does not hold what the
// vault holds, and sets it anew.
const unproven = "0"

// disown marks one login as unproven, where the server gave an answer that is no proof. It sets the same password with
// it, since this is all that some may do. Another finish then begins with the password. Should disown fail, the login
// is as it was.
func (t *Target) disown(ctx context.Context, err error) {
	kind := refusal.Of(err).Kind
	if len(t.config.Logins) > 1 || isPassing(kind) || kind == refusal.Cancelled {
		return
	}
	c := t.pending
	defer func() { t.pending = c }()
	t.pending = &change{login: c.login, operation: unproven, password: c.password}
	if t.set(ctx) == nil && t.commitOnce(ctx, "") == nil {
		c.before, c.committed = unproven, false
	}
}

func (t *Target) proveOnce(ctx context.Context) *Error {
	act := t.on("logging in as " + t.pending.login + ", as proof of the new password")
	a := &attempt{}
	who := login{role: t.pending.login, database: t.config.Database}
	who.password = t.pending.password.Reveal() // into a SCRAM exchange, which does not send it
	c, err := t.logIn(ctx, who, a)
	if err == nil {
		c.leave()
		return nil
	}
	if a.proven && a.accepted {
		return nil // the login has no right to this database, which it need not have
	}
	return t.explainProof(ctx, act, a, err)
}

// identifier quotes a name, literal a text, so that it stands for itself in SQL, whatever standard_conforming_strings
// is where the SQL of a remedy is run.
func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		quoted = "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
