package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
)

// A socksError is what a SOCKS proxy answered in place of a connection: a code of
// https://www.rfc-editor.org/rfc/rfc1928#section-6, or one of those below.
type socksError int

// What a proxy may answer besides its own codes.
const (
	socksNotSpoken     socksError = 0x100 + iota // no answer of SOCKS 5
	socksNoMethod                                // it wants a user name and a password, or more than that
	socksWrongPassword                           // it does not take them
)

// Error returns what the proxy answered.
func (e socksError) Error() string {
	switch e {
	case 2:
		return "its rules do not allow the connection"
	case 3, 4:
		return "it has no route to the host"
	case 5:
		return "the connection was refused beyond it"
	case 6:
		return "there was no answer beyond it in time"
	case socksNotSpoken:
		return "it does not speak SOCKS 5"
	case socksNoMethod:
		return "it asks for a user name and a password"
	case socksWrongPassword:
		return "it does not accept the user name and the password"
	}
	return fmt.Sprintf("it failed to connect (SOCKS error %d)", int(e))
}

// passSOCKS asks a SOCKS 5 proxy to connect to an address: https://www.rfc-editor.org/rfc/rfc1928. Without resolve the
// proxy looks up the name.
func passSOCKS(
	ctx context.Context, conn net.Conn, user *url.Userinfo, address string,
	resolve func(ctx context.Context, host string) ([]net.IPAddr, error),
) error {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return err
	}
	target := append([]byte{3, byte(len(host))}, host...)
	if len(host) > 255 {
		return errors.New("the host is too long for SOCKS")
	}
	if resolve != nil {
		addresses, err := resolve(ctx, host)
		if err != nil {
			return err
		}
		target = append([]byte{4}, addresses[0].IP.To16()...)
		if v4 := addresses[0].IP.To4(); v4 != nil {
			target = append([]byte{1}, v4...)
		}
	}
	if err := greetSOCKS(conn, user); err != nil {
		return err
	}
	request := binary.BigEndian.AppendUint16(append([]byte{5, 1, 0}, target...), uint16(port))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	return readSOCKS(conn)
}

// greetSOCKS agrees on who we are: nobody, or a user with a password (https://www.rfc-editor.org/rfc/rfc1929).
func greetSOCKS(conn net.Conn, user *url.Userinfo) error {
	methods := []byte{5, 1, 0}
	if user != nil {
		methods = []byte{5, 2, 0, 2}
	}
	answer, err := exchange(conn, methods)
	switch {
	case err != nil:
		return err
	case answer[0] != 5:
		return socksNotSpoken
	case answer[1] == 0:
		return nil
	case answer[1] != 2 || user == nil:
		return socksNoMethod
	}
	password, _ := user.Password()
	name := user.Username()
	if len(name) > 255 || len(password) > 255 {
		return socksWrongPassword
	}
	message := append([]byte{1, byte(len(name))}, name...)
	message = append(append(message, byte(len(password))), password...)
	answer, err = exchange(conn, message)
	if err == nil && answer[1] != 0 {
		err = socksWrongPassword
	}
	return err
}

// exchange sends a message and reads the two bytes of its answer.
func exchange(conn net.Conn, message []byte) (answer [2]byte, err error) {
	if _, err = conn.Write(message); err != nil {
		return answer, err
	}
	_, err = io.ReadFull(conn, answer[:])
	return answer, err
}

// readSOCKS reads whether the proxy has connected, and from which address, which is of no use.
func readSOCKS(conn net.Conn) error {
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	if head[0] != 5 {
		return socksNotSpoken
	}
	if head[1] != 0 {
		return socksError(head[1])
	}
	rest := map[byte]int{1: 3, 3: int(head[4]), 4: 15}[head[3]] + 2
	_, err := io.CopyN(io.Discard, conn, int64(rest))
	return err
}
