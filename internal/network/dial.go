package network

import (
	"context"
	"net"
	"time"
)

const (
	// lookupTimeout bounds looking up a name. Go's resolver gives each name server 5 s, asks it twice, and asks for the
	// name in each search domain too. A silent search domain of two servers takes it 20 s to get past, as getent and
	// Python.
	lookupTimeout = 25 * time.Second
	// dialTimeout bounds connecting to the addresses of a host, after its name was looked up.
	dialTimeout = 5 * time.Second
	// attemptDelay is how long one address is tried alone before the next one is tried too:
	// https://www.rfc-editor.org/rfc/rfc8305#section-5
	attemptDelay = 250 * time.Millisecond
)

// dial connects to an address. Looking up the name and connecting are bounded apart: [net.Dialer] would take both from
// one bound, and a first name server that is silent would use it up.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := lookUp(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := &net.Dialer{KeepAlive: 30 * time.Second}
	return race(ctx, len(addresses), func(ctx context.Context, i int) (net.Conn, error) {
		return dialer.DialContext(ctx, network, net.JoinHostPort(addresses[i].String(), port))
	})
}

// lookUp returns the addresses of a host in the order in which to try them.
func lookUp(ctx context.Context, host string) ([]net.IPAddr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := (&net.Resolver{PreferGo: true}).LookupIPAddr(ctx, host)
	if err != nil {
		return nil, err
	}
	if len(addresses) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return alternate(addresses), nil
}

// alternate returns the addresses in their order, but so that IPv6 and IPv4 alternate: where one of the two leads
// nowhere, the second attempt is by the other.
func alternate(addresses []net.IPAddr) (mixed []net.IPAddr) {
	var first, other []net.IPAddr
	isV4 := func(a net.IPAddr) bool { return a.IP.To4() != nil }
	for _, a := range addresses {
		if isV4(a) == isV4(addresses[0]) {
			first = append(first, a)
		} else {
			other = append(other, a)
		}
	}
	for len(first) > 0 || len(other) > 0 {
		if len(first) > 0 {
			mixed, first = append(mixed, first[0]), first[1:]
		}
		if len(other) > 0 {
			mixed, other = append(mixed, other[0]), other[1:]
		}
	}
	return mixed
}

// A dialled is how an attempt to connect ended.
type dialled struct {
	conn net.Conn
	err  error
}

// closeLate closes what further attempts connect, on which nothing was sent.
func closeLate(results <-chan dialled, attempts int) {
	for range attempts {
		if r := <-results; r.err == nil {
			_ = r.conn.Close() // its error would change nothing
		}
	}
}

// race makes n attempts to connect, each when the one before has failed or has taken [attemptDelay]. It returns the
// first connection, or the first error.
func race(
	ctx context.Context, n int, attempt func(ctx context.Context, i int) (net.Conn, error),
) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialled, n)
	next := time.NewTimer(0)
	defer next.Stop()
	var first error
	started := 0
	for ended := 0; ended < n; {
		select {
		case <-next.C:
			if started == n {
				continue
			}
			go func(i int) {
				conn, err := attempt(ctx, i)
				results <- dialled{conn, err}
			}(started)
			started++
			next.Reset(attemptDelay)
		case r := <-results:
			ended++
			if r.err == nil {
				go closeLate(results, started-ended)
				return r.conn, nil
			}
			if first == nil {
				first = r.err
			}
			next.Reset(0)
		}
	}
	return nil, first
}
