package job

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"keyvault-passwords/internal/network"
	"keyvault-passwords/internal/test/emulator"
)

// A Network is the services of one emulator, and nothing else. It is an [http.RoundTripper].
type Network struct {
	*http.Transport
	server *http.Server
	pipes  *pipes
	served chan struct{}
}

// NewNetwork serves e until Close, without TLS and proxy. A host that the emulator does not know is not found, as by
// DNS.
//
// Requests for the true host names end in memory. So it works inside a testing/synctest bubble, where waits cost no
// time, and a test can go through hours of retries.
func NewNetwork(e *emulator.Emulator) *Network {
	n := &Network{pipes: &pipes{opened: make(chan net.Conn), closed: make(chan struct{})}, served: make(chan struct{})}
	n.server = &http.Server{Handler: e.Handler(), ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	n.Transport = &http.Transport{
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 64 << 10,
		DialTLSContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			if err := e.Connect(ctx, address); err != nil {
				return nil, asClient(err)
			}
			return n.pipes.dial(ctx)
		},
	}
	go func() {
		_ = n.server.Serve(n.pipes) // ends with Close
		close(n.served)
	}()
	return n
}

// asClient is what net/http makes of a connection that failed, with the hook that the action's client has.
func asClient(err error) error {
	if refused, ok := errors.AsType[*emulator.ConnectError](err); ok {
		return &network.ProxyError{Status: refused.Status}
	}
	if unresolved, ok := errors.AsType[*net.DNSError](err); ok {
		return &net.OpError{Op: "dial", Net: "tcp", Err: unresolved}
	}
	return err
}

// Close ends the network and all its connections.
func (n *Network) Close() {
	n.CloseIdleConnections()
	_ = n.server.Close() // of a listener in memory
	<-n.served
}

// pipes is a net.Listener whose connections are made by dial.
type pipes struct {
	opened chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.opened <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements [net.Listener].
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.opened:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

// Addr implements [net.Listener].
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }
