package postgres

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// This file speaks PostgreSQL's protocol, as far as a target needs it: TLS, a token or a SCRAM exchange, and simple
// queries. https://www.postgresql.org/docs/current/protocol.html

// maxAnswer bounds what the server says to a login or to a query, in bytes. The longest that is asked for is the
// comment of a role.
const maxAnswer = 16 << 20

// What a connection may end with, besides what net and tls say.
var (
	errNoTLS   = errors.New("the server has no TLS")
	errEnded   = errors.New("the server refused the connection before TLS")
	errMethod  = errors.New("the server asks for another kind of authentication")
	errStrange = errors.New("the answer is not PostgreSQL's")
)

// A serverError is the server's refusal. Of its fields only the SQLSTATE is kept: the others may hold what was sent.
type serverError struct{ code string }

// Error returns the SQLSTATE.
func (e *serverError) Error() string { return "SQLSTATE " + e.code }

// A login is who logs in, and how: with a token, which is sent, or with a password, which is not.
type login struct {
	role, database string
	settings       map[string]string // of the session
	token          string
	password       string
}

// A conn is one connection. After an error of the connection itself it is lost.
type conn struct {
	net.Conn
	read   *bufio.Reader
	secure func(ctx context.Context) (net.Conn, error) // makes another connection, without login
	key    []byte                                      // by which another connection may cancel a statement
	status byte                                        // of the transaction, since the last answer
	left   uint32                                      // how many bytes the server may still say
	lost   bool
}

// inTransaction is the status of a transaction that has not failed.
const inTransaction = 'T'

// An attempt is how far a connection came.
type attempt struct {
	asked    bool // for a token or a password
	proven   bool // the server has proven that it knows the password
	accepted bool // the role was let in
}

// startTLS asks for TLS and verifies the server. Before that nothing else is sent.
func startTLS(ctx context.Context, raw net.Conn, config *tls.Config) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) }) // reading fails then
	defer stop()
	const code = 80877103
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, code)
	if _, err := raw.Write(request); err != nil {
		return nil, err
	}
	var answer [1]byte // and not one byte more: what follows is within TLS
	if _, err := io.ReadFull(raw, answer[:]); err != nil {
		return nil, err
	}
	switch answer[0] {
	case 'S':
	case 'N':
		return nil, errNoTLS
	case 'E': // what it says is not read: nobody knows who says it
		return nil, errEnded
	default:
		return nil, errStrange
	}
	secure := tls.Client(raw, config)
	err := secure.HandshakeContext(ctx)
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return nil, errStrange
	}
	return secure, err
}

// logIn begins the session of a login.
func (c *conn) logIn(ctx context.Context, who login, a *attempt) error {
	defer c.obey(ctx)()
	c.left = maxAnswer
	const version = 3 << 16
	message := binary.BigEndian.AppendUint32(make([]byte, 4), version)
	parameters := []string{"user", who.role, "database", who.database}
	for name, value := range who.settings {
		parameters = append(parameters, name, value)
	}
	for _, text := range parameters {
		if strings.Contains(text, "\x00") {
			return errStrange
		}
		message = append(append(message, text...), 0)
	}
	message = append(message, 0)
	binary.BigEndian.PutUint32(message, uint32(len(message))) // #nosec G115 -- names and settings are short
	if _, err := c.Write(message); err != nil {
		return err
	}
	exchange := &scramExchange{password: who.password}
	for {
		kind, body, err := c.next()
		if err != nil {
			return err
		}
		switch kind {
		case 'R':
			if err := c.authenticate(body, who, exchange, a); err != nil {
				return err
			}
		case 'E':
			return &serverError{codeIn(body)}
		case 'K':
			c.key = slices.Clone(body)
		case 'Z':
			if !a.accepted || !isStatus(body) {
				return errStrange
			}
			c.status = body[0]
			return nil
		case 'S', 'N', 'v': // a parameter, a notice, an older version of the protocol
		default:
			return errStrange
		}
	}
}

// The kinds of messages on authentication.
const (
	authOK = iota
	_
	_
	authCleartext
)

const (
	authSASL = iota + 10
	authSASLContinue
	authSASLFinal
)

// authenticate answers one message on authentication. What was not agreed on is refused: a token goes to a server that
// asks for it, and a password only into a SCRAM exchange.
func (c *conn) authenticate(body []byte, who login, exchange *scramExchange, a *attempt) error {
	if len(body) < 4 {
		return errStrange
	}
	asked, data := binary.BigEndian.Uint32(body), body[4:]
	a.asked = a.asked || asked != authOK
	switch {
	case asked == authCleartext && who.token != "":
		a.proven = true // that it is who it says: TLS has
		return c.send('p', append([]byte(who.token), 0))
	case asked == authSASL && who.token == "" && slices.Contains(strings.Split(string(data), "\x00"), mechanism):
		first := exchange.first()
		head := binary.BigEndian.AppendUint32([]byte(mechanism+"\x00"), uint32(len(first))) // #nosec G115 -- short
		return c.send('p', append(head, first...))
	case asked == authSASLContinue && exchange.begun():
		final, err := exchange.final(string(data))
		if err != nil {
			return err
		}
		return c.send('p', []byte(final))
	case asked == authSASLFinal && exchange.begun():
		if a.proven = exchange.isProvenBy(string(data)); !a.proven {
			return errStrange
		}
		return nil
	case asked == authOK && a.proven:
		a.accepted = true
		return nil
	}
	return errMethod
}

// A result is that of one statement.
type result struct {
	rows [][][]byte
	tag  string // what was done: "ALTER ROLE", "COMMIT"
}

// query sends statements, and returns the result of each. The server stops at the first that it refuses.
func (c *conn) query(ctx context.Context, sql string) (results []result, err error) {
	if c.lost {
		return nil, net.ErrClosed
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if strings.Contains(sql, "\x00") {
		return nil, errStrange
	}
	c.left = maxAnswer
	stop := c.obey(ctx)
	defer func() {
		stop()
		if c.lost && ctx.Err() != nil {
			err = context.Cause(ctx)
			go c.cancel()
		}
	}()
	if err := c.send('Q', append([]byte(sql), 0)); err != nil {
		return nil, c.lose(err)
	}
	return c.results()
}

// results reads the results of what was sent.
func (c *conn) results() (results []result, err error) {
	var refused error
	var current result
	for {
		kind, body, err := c.next()
		if err != nil {
			err = c.lose(err)
			if refused != nil { // the server's last word
				err = refused
			}
			return nil, err
		}
		switch kind {
		case 'D':
			row, ok := columns(body)
			if !ok {
				return nil, c.lose(errStrange)
			}
			current.rows = append(current.rows, row)
		case 'C':
			current.tag = strings.TrimSuffix(string(body), "\x00")
			results, current = append(results, current), result{}
		case 'I':
			results, current = append(results, current), result{}
		case 'E':
			if refused == nil {
				refused = &serverError{codeIn(body)}
			}
		case 'Z':
			if !isStatus(body) {
				return nil, c.lose(errStrange)
			}
			c.status = body[0]
			return results, refused
		case 'T', 'N', 'S', 'A': // what the columns are, a notice, a parameter, a notification
		default:
			return nil, c.lose(errStrange)
		}
	}
}

// isStatus reports whether body is the status of a transaction: none, one, or one that has failed.
func isStatus(body []byte) bool { return len(body) == 1 && strings.IndexByte("ITE", body[0]) >= 0 }

// obey makes reading and writing fail once ctx is done, until the function that it returns is called.
func (c *conn) obey(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	ended := context.AfterFunc(ctx, func() {
		_ = c.SetDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() {
		if !ended() {
			<-done
			_ = c.SetDeadline(time.Time{})
		}
	}
}

// lose notes that the connection is of no use any more: what the server did with what it was sent is not known.
func (c *conn) lose(err error) error {
	c.lost = true
	_ = c.Close() // it is given up
	return err
}

// cancel asks the server, by another connection, to give up what it does: it would see that this one has ended only
// once that is done, which may be a lock that another holds.
func (c *conn) cancel() {
	if len(c.key) < 8 {
		return
	}
	ctx, done := context.WithTimeout(context.Background(), connectTimeout)
	defer done()
	other, err := c.secure(ctx)
	if err != nil {
		return
	}
	defer func() { _ = other.Close() }() // nothing more is said
	const code = 80877102
	message := binary.BigEndian.AppendUint32(nil, uint32(8+len(c.key))) // #nosec G115 -- of 8 to 256 bytes
	_ = other.SetDeadline(time.Now().Add(closeTimeout))
	_, _ = other.Write(append(binary.BigEndian.AppendUint32(message, code), c.key...))
}

// leave says goodbye.
func (c *conn) leave() {
	if !c.lost {
		_ = c.SetDeadline(time.Now().Add(closeTimeout))
		_ = c.send('X', nil)
	}
	_ = c.lose(nil)
}

// send sends a message.
func (c *conn) send(kind byte, body []byte) error {
	message := binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))) // #nosec G115 -- what we send is short
	_, err := c.Write(append(message, body...))
	return err
}

// next reads a message.
func (c *conn) next() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.read, head[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > c.left {
		return 0, nil, errStrange
	}
	c.left -= length
	body = make([]byte, length-4)
	_, err = io.ReadFull(c.read, body)
	return head[0], body, err
}

// codeIn returns the SQLSTATE of a refusal, if it is of the form of one; "?????" if not.
func codeIn(body []byte) string {
	for field := range strings.SplitSeq(string(body), "\x00") {
		code, found := strings.CutPrefix(field, "C")
		if found && len(code) == 5 && strings.Trim(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
			return code
		}
	}
	return "?????"
}

// columns returns the columns of a row; nil for one that is NULL.
func columns(body []byte) (row [][]byte, ok bool) {
	if len(body) < 2 {
		return nil, false
	}
	count, rest := int(binary.BigEndian.Uint16(body)), body[2:]
	for range count {
		if len(rest) < 4 {
			return nil, false
		}
		length := int32(binary.BigEndian.Uint32(rest)) // #nosec G115 -- -1 is NULL
		rest = rest[4:]
		if length < 0 {
			row = append(row, nil)
			continue
		}
		if int(length) > len(rest) {
			return nil, false
		}
		row, rest = append(row, rest[:length]), rest[length:]
	}
	return row, len(rest) == 0
}
