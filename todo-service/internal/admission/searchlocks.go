package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/clientlimit"
)

// SearchLocks is a keyed mutex: one lock for each client, held during a search. So a
// client runs one search at a time.
type SearchLocks struct {
	mu      sync.Mutex
	clients map[netip.Prefix]*clientLock
}

// clientLock is the lock of one client. It exists while it has users.
type clientLock struct {
	slot  chan struct{} // holds an element while a search holds the lock
	users int           // searches that hold the lock or wait for it; guarded by SearchLocks.mu
}

// NewSearchLocks returns locks that are all free.
func NewSearchLocks() *SearchLocks {
	return &SearchLocks{clients: make(map[netip.Prefix]*clientLock)}
}

// Acquire waits for the lock of the client at addr. The caller must call release
// once. If ctx is canceled first, the error is ctx's; if its deadline passes first,
// the error is apperr.RateLimited.
func (s *SearchLocks) Acquire(ctx context.Context, addr netip.Addr) (release func(), err error) {
	client := clientlimit.ClientPrefix(addr)
	lock := s.retain(client)
	select {
	case lock.slot <- struct{}{}:
		return func() {
			<-lock.slot
			s.release(client, lock)
		}, nil
	case <-ctx.Done():
		s.release(client, lock)
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		limited := apperr.New(apperr.RateLimited, "another search of this client is still running; wait for its response, or narrow it")
		limited.RetryAfter = retryAfter
		return nil, limited.WithCause(ctx.Err())
	}
}

// retain returns the client's lock and counts the caller as its user.
func (s *SearchLocks) retain(client netip.Prefix) *clientLock {
	s.mu.Lock()
	defer s.mu.Unlock()
	lock := s.clients[client]
	if lock == nil {
		lock = &clientLock{slot: make(chan struct{}, 1)}
		s.clients[client] = lock
	}
	lock.users++
	return lock
}

// release deletes the lock with its last user, which bounds the map by the searches
// that are running or waiting.
func (s *SearchLocks) release(client netip.Prefix, lock *clientLock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lock.users--
	if lock.users == 0 {
		delete(s.clients, client)
	}
}
