package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/clientlimit"
)

// SearchLocks is a lock for each client: one search of a client at a time.
type SearchLocks struct {
	mu      sync.Mutex
	clients map[netip.Prefix]*clientLock
}

// clientLock is the lock of a client that searches.
type clientLock struct {
	slot  chan struct{} // has an element while a search holds the lock
	users int           // searches that hold the lock or wait for it
}

// NewSearchLocks returns the locks, all of them free.
func NewSearchLocks() *SearchLocks {
	return &SearchLocks{clients: make(map[netip.Prefix]*clientLock)}
}

// Acquire waits for the lock of the client at addr. It must be released once. When
// ctx is canceled first the error is ctx's; when its deadline passes, the error is
// fault.Exhausted.
func (s *SearchLocks) Acquire(ctx context.Context, addr netip.Addr) (release func(), err error) {
	client := clientlimit.ClientPrefix(addr)
	t := s.retain(client)
	select {
	case t.slot <- struct{}{}:
		return func() {
			<-t.slot
			s.release(client, t)
		}, nil
	case <-ctx.Done():
		s.release(client, t)
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		refused := apperr.New(apperr.RateLimited, "another search of this client is still under way; wait for its answer, or narrow it")
		refused.RetryAfter = retryAfter
		return nil, refused.WithCause(ctx.Err())
	}
}

func (s *SearchLocks) retain(client netip.Prefix) *clientLock {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.clients[client]
	if t == nil {
		t = &clientLock{slot: make(chan struct{}, 1)}
		s.clients[client] = t
	}
	t.users++
	return t
}

func (s *SearchLocks) release(client netip.Prefix, t *clientLock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.users--
	if t.users == 0 {
		delete(s.clients, client)
	}
}
