package admission

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/ratelimit"
)

// ClientSlots is a keyed semaphore with the same number of slots for each client. A client
// that holds all of its slots waits, in the order of its calls.
type ClientSlots struct {
	perClient int64
	refusal   string // message for a client that waited in vain

	mu      sync.Mutex
	clients map[ratelimit.Client]*clientSemaphore // that hold a slot or wait for one
}

// clientSemaphore has the slots of one client.
type clientSemaphore struct {
	*semaphore.Weighted
	calls int // that hold a slot or wait for one; guarded by ClientSlots.mu
}

// NewSearchLocks returns one slot for each client, to be held during a search.
func NewSearchLocks() *ClientSlots {
	return newClientSlots(1, "another search of this client is still running; wait for its response, or narrow it")
}

// NewDocumentSlots returns two slots for each client, to be held while a document of the
// page is prepared. Two use both cores of a small machine.
func NewDocumentSlots() *ClientSlots {
	return newClientSlots(2, "other documents of this client are still being prepared; wait for their responses")
}

func newClientSlots(perClient int64, refusal string) *ClientSlots {
	return &ClientSlots{perClient: perClient, refusal: refusal, clients: make(map[ratelimit.Client]*clientSemaphore)}
}

// Acquire waits for a slot of the client. The caller must call release once. If ctx is
// canceled first, the error is ctx's; if its deadline passes first, the error is
// apperr.RateLimited.
func (s *ClientSlots) Acquire(ctx context.Context, client ratelimit.Client) (release func(), err error) {
	s.mu.Lock()
	slots := s.clients[client]
	if slots == nil {
		slots = &clientSemaphore{Weighted: semaphore.NewWeighted(s.perClient)}
		s.clients[client] = slots
	}
	slots.calls++
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if slots.calls--; slots.calls == 0 {
			delete(s.clients, client)
		}
	}

	err = slots.Acquire(ctx, 1)
	if err == nil {
		return func() { slots.Release(1); forget() }, nil
	}
	forget()
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	limited := apperr.New(apperr.RateLimited, "%s", s.refusal)
	limited.RetryAfter = retryAfter
	return nil, limited.WithCause(err)
}
