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
// client runs one search at a time, in the order of their calls.
type SearchLocks struct {
	mu     sync.Mutex
	latest map[netip.Prefix]chan struct{} // of the client's latest search; closed when it has ended
}

// NewSearchLocks returns locks that are all free.
func NewSearchLocks() *SearchLocks {
	return &SearchLocks{latest: make(map[netip.Prefix]chan struct{})}
}

// Acquire waits for the lock of the client at addr. The caller must call release
// once. If ctx is canceled first, the error is ctx's; if its deadline passes first,
// the error is apperr.RateLimited.
func (s *SearchLocks) Acquire(ctx context.Context, addr netip.Addr) (release func(), err error) {
	client, ended := clientlimit.ClientPrefix(addr), make(chan struct{})
	s.mu.Lock()
	previous := s.latest[client]
	s.latest[client] = ended
	s.mu.Unlock()
	finish := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.latest[client] == ended {
			delete(s.latest, client)
		}
		close(ended)
	}
	if previous == nil {
		return finish, nil
	}
	select {
	case <-previous:
		return finish, nil
	case <-ctx.Done():
	}
	// The search behind this one waits for it, and so for the one before it.
	go func() {
		<-previous
		finish()
	}()
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	limited := apperr.New(apperr.RateLimited, "another search of this client is still running; wait for its response, or narrow it")
	limited.RetryAfter = retryAfter
	return nil, limited.WithCause(ctx.Err())
}
