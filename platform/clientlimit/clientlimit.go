// Package clientlimit implements concurrency limits for each client of a process, for
// connections, streams and other resources that are acquired and released. It also
// defines what one client is (ClientPrefix), and sets of addresses (Networks).
package clientlimit

import (
	"net/netip"
	"sync"
)

// Limiter is a concurrency limiter with the same limit for each client. Its methods may
// be called concurrently.
type Limiter struct {
	limit int

	mu   sync.Mutex
	held map[netip.Prefix]int
}

// New returns a Limiter with the given limit for each client.
func New(limit int) *Limiter {
	return &Limiter{limit: limit, held: make(map[netip.Prefix]int)}
}

// Acquire counts one more for the client of addr. It reports whether the limit allows it;
// if so, the caller must call release once.
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
