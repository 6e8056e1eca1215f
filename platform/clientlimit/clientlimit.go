// Package clientlimit limits what a client holds at once, in this process:
// connections, streams, or whatever else is acquired and released.
package clientlimit

import (
	"net/netip"
	"sync"
)

// ClientPrefix returns the client to which addr belongs: the IPv4 address itself, also
// where it is mapped into IPv6, or the /64 network of an IPv6 address. All invalid
// addresses belong to one client, the zero Prefix.
func ClientPrefix(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.Prefix(bits) // it drops the zone
	return network
}

// Networks is a set of addresses, such as those of trusted proxies.
type Networks []netip.Prefix

// NewNetworks returns the addresses of all prefixes. A prefix of IPv4 addresses
// that is written as IPv6 means these IPv4 addresses.
func NewNetworks(prefixes []netip.Prefix) Networks {
	networks := make(Networks, len(prefixes))
	for i, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		networks[i] = p
	}
	return networks
}

// Contains reports whether addr is in the set. A zone is ignored.
func (n Networks) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, prefix := range n {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Limiter is a concurrency limiter with a limit for each client.
type Limiter struct {
	limit int

	mu   sync.Mutex
	held map[netip.Prefix]int
}

// New returns a Limiter that lets each client hold at most limit at once.
func New(limit int) *Limiter {
	return &Limiter{limit: limit, held: make(map[netip.Prefix]int)}
}

// Acquire counts one more for the client of addr, and reports whether the limit
// allows it. If so, release must be called once.
func (l *Limiter) Acquire(addr netip.Addr) (release func(), ok bool) {
	client := ClientPrefix(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[client] >= l.limit {
		return nil, false
	}
	l.held[client]++
	return func() { l.release(client) }, true
}

func (l *Limiter) release(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[client]--
	if l.held[client] == 0 {
		delete(l.held, client)
	}
}
