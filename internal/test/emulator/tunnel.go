package emulator

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// Tunnel makes the proxy pass connections to hostport, such as pg.postgres.database.azure.com:5432, on to an address on
// loopback, byte for byte: what listens there ends TLS itself, with a certificate of [Emulator.Certificate]. Address ""
// ends that: the name then does not resolve. What happens to connections ([Fault], operation connect) happens to these
// too.
func (e *Emulator) Tunnel(hostport, address string) {
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	e.server.targets[strings.ToLower(hostport)] = address
}

// tunnelOf returns where connections to hostport are passed on to; "" if they are not.
func (e *Emulator) tunnelOf(hostport string) string {
	if e.server == nil {
		return ""
	}
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	return e.server.targets[strings.ToLower(hostport)]
}

// isTunnelled tells whether connections to some port of a host are passed on.
func (e *Emulator) isTunnelled(host string) bool {
	if e.server == nil {
		return false
	}
	e.server.mu.Lock()
	defer e.server.mu.Unlock()
	for hostport, address := range e.server.targets {
		if address != "" && hostOf(hostport) == host {
			return true
		}
	}
	return false
}

// Certificate returns a certificate for hosts by the CA of ca.pem. It needs a listener.
func (e *Emulator) Certificate(hosts ...string) (tls.Certificate, error) {
	if e.server == nil {
		return tls.Certificate{}, errors.New("an emulator without listener has no CA")
	}
	return e.server.ca.issue(hosts)
}

// connectThrough passes bytes between a client and an address until either ends.
func (s *server) connectThrough(client net.Conn, address string) {
	behind, err := net.Dial("tcp", address)
	if err != nil {
		client.Close()
		return
	}
	s.mu.Lock()
	s.through[client], s.through[behind] = true, true
	s.mu.Unlock()
	pass := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // whichever end breaks off, both are closed
		to.Close()
		from.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.through, from)
	}
	go pass(behind, client)
	go pass(client, behind)
}

// endThrough ends the connections that are passed on.
func (s *server) endThrough() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.through {
		conn.Close()
	}
}
