package admission

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/clientlimit"
)

// Searches is a lock for each client: one search of a client at a time.
type Searches struct {
	mu      sync.Mutex
	clients map[netip.Prefix]*turn
}

// turn is the lock of a client that searches.
type turn struct {
	held  chan struct{} // has an element while a search holds the lock
	users int           // searches that hold the lock or wait for it
}

// NewSearches returns the locks, all of them free.
func NewSearches() *Searches {
	return &Searches{clients: make(map[netip.Prefix]*turn)}
}

// Acquire waits for the lock of the client at addr. It must be released once. When
// ctx is canceled first the error is ctx's; when its deadline passes, the error is
// fault.Exhausted.
func (s *Searches) Acquire(ctx context.Context, addr netip.Addr) (release func(), err error) {
	client := clientlimit.ClientPrefix(addr)
	t := s.join(client)
	select {
	case t.held <- struct{}{}:
		return func() {
			<-t.held
			s.leave(client, t)
		}, nil
	case <-ctx.Done():
		s.leave(client, t)
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		refused := apperr.New(apperr.RateLimited, "another search of this client is still under way; wait for its answer, or narrow it")
		refused.RetryAfter = retryAfter
		return nil, refused.WithCause(ctx.Err())
	}
}

func (s *Searches) join(client netip.Prefix) *turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.clients[client]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		s.clients[client] = t
	}
	t.users++
	return t
}

func (s *Searches) leave(client netip.Prefix, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.users--
	if t.users == 0 {
		delete(s.clients, client)
	}
}
