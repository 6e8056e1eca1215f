// Package clientlimit implements concurrency limits for each client of a process, for
// connections, streams and other resources that are acquired and released. It also
// defines what one client is (ClientPrefix), and sets of addresses (Networks).
package clientlimit

import "sync"

// Limiter is a concurrency limiter with the same limit for each client. C identifies a
// client, such as the netip.Prefix of ClientPrefix. Its methods may be called concurrently.
type Limiter[C comparable] struct {
	limit int

	mu   sync.Mutex
	held map[C]int
}

// New returns a Limiter with the given limit for each client.
func New[C comparable](limit int) *Limiter[C] {
	return &Limiter[C]{limit: limit, held: make(map[C]int)}
}

// Acquire counts one more for the client. It reports whether the limit allows it; if so,
// the caller must call release once.
func (l *Limiter[C]) Acquire(client C) (release func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[client] >= l.limit {
		return nil, false
	}
	l.held[client]++
	return func() { l.release(client) }, true
}

func (l *Limiter[C]) release(client C) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[client]--
	if l.held[client] == 0 {
		delete(l.held, client)
	}
}
