package redisstore

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Patience is for a test machine that is busy with other things: Redis is away
// only when it has not answered for so long.
const Patience = 10 * time.Second

// BePatient makes callers wait long for Redis.
func (s *AutoPipeline) BePatient() { s.timeout = Patience }

// Suspect makes subscriptions doubt a connection that is silent for so long.
func (f *Feed) Suspect(after time.Duration) { f.quiet = after }

// Committed returns how many events wait for an invalidation to leave.
func (c *ListCache) Committed() int {
	c.committed.mu.Lock()
	defer c.committed.mu.Unlock()
	return len(c.committed.ids)
}

// Waiting returns how many callers wait for the next trip.
func (s *AutoPipeline) Waiting() (callers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		for _, p := range s.next.parcels {
			callers += p.callers
		}
	}
	return callers
}

// Breaker is a breaker that no shuttle uses, whose every first question is asked at once.
type Breaker struct{ breaker }

// NewBreaker returns a closed one.
func NewBreaker(client goredis.UniversalClient) *Breaker {
	return &Breaker{breaker{client: client, inARow: -1 << 40}}
}

// Failed tells it that Redis did not answer.
func (b *Breaker) Failed(ctx context.Context) { b.failed(ctx) }

// IsOpen says that callers are turned away.
func (b *Breaker) IsOpen() bool { return b.isOpen() }
