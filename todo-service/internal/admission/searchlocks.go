package admission

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/ratelimit"
)

// SearchLocks is a keyed mutex: one lock for each client, held during a search. So a
// client runs one search at a time, in the order of their calls.
type SearchLocks struct {
	mu    sync.Mutex
	locks map[ratelimit.Client]*searchLock // of clients with a search
}

// searchLock is the lock of one client.
type searchLock struct {
	*semaphore.Weighted
	searches int // that hold the lock or wait for it; guarded by SearchLocks.mu
}

// NewSearchLocks returns locks that are all free.
func NewSearchLocks() *SearchLocks {
	return &SearchLocks{locks: make(map[ratelimit.Client]*searchLock)}
}

// Acquire waits for the lock of the client. The caller must call release once. If ctx is canceled first, the error is ctx's; if its deadline passes first,
// the error is apperr.RateLimited.
func (s *SearchLocks) Acquire(ctx context.Context, client ratelimit.Client) (release func(), err error) {
	s.mu.Lock()
	lock := s.locks[client]
	if lock == nil {
		lock = &searchLock{Weighted: semaphore.NewWeighted(1)}
		s.locks[client] = lock
	}
	lock.searches++
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if lock.searches--; lock.searches == 0 {
			delete(s.locks, client)
		}
	}

	err = lock.Acquire(ctx, 1)
	if err == nil {
		return func() { lock.Release(1); forget() }, nil
	}
	forget()
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	limited := apperr.New(apperr.RateLimited, "another search of this client is still running; wait for its response, or narrow it")
	limited.RetryAfter = retryAfter
	return nil, limited.WithCause(err)
}
