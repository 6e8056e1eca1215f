package redisstore

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// LongTimeout is for a test machine that is busy with other things: Redis is away
// only when it has not answered for so long.
const LongTimeout = 10 * time.Second

// ExtendTimeout makes callers wait long for Redis.
func (s *AutoPipeline) ExtendTimeout() { s.timeout = LongTimeout }

// SetIdleTimeout makes subscriptions doubt a connection that is silent for so long.
func (f *Feed) SetIdleTimeout(after time.Duration) { f.idleTimeout = after }

// Committed returns how many events wait for an invalidation to leave.
func (c *ListCache) Committed() int {
	c.committed.mu.Lock()
	defer c.committed.mu.Unlock()
	return len(c.committed.ids)
}

// Collecting returns how many callers wait for the next trip.
func (s *AutoPipeline) Collecting() (callers int) {
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
	return &Breaker{breaker{client: client, consecutiveOpens: -1 << 40}}
}

// RecordFailure tells it that Redis did not answer.
func (b *Breaker) RecordFailure(ctx context.Context) { b.onFailure(ctx) }

// IsOpen says that callers are turned away.
func (b *Breaker) IsOpen() bool { return b.isOpen() }
