package redisstore

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// LongTimeout is the callTimeout of tests on a machine that is busy with other work.
const LongTimeout = 10 * time.Second

// ExtendTimeout sets the time that callers wait for Redis to LongTimeout.
func (p *AutoPipeline) ExtendTimeout() { p.setTimeout(LongTimeout) }

// SetIdleTimeout sets how long a subscription may be silent before a PING.
func (f *Feed) SetIdleTimeout(d time.Duration) { f.idleTimeout = d }

// Committed returns how many events wait for an invalidation to be sent.
func (c *ListCache) Committed() int { return len(c.committed) }

// Collecting returns how many callers wait for the next round trip.
func (p *AutoPipeline) Collecting() int { return p.batcher.Collecting() }

// IsOpen reports whether calls fail at once.
func (p *AutoPipeline) IsOpen() bool { return p.breaker.isOpen() }

// Breaker is a circuit breaker without an AutoPipeline, whose first probes are immediate.
type Breaker struct{ breaker }

// NewBreaker returns a closed one.
func NewBreaker(client goredis.UniversalClient) *Breaker {
	return &Breaker{breaker{client: client, consecutiveOpens: -1 << 40}}
}

// RecordFailure records a round trip without an answer.
func (b *Breaker) RecordFailure(ctx context.Context) { b.onFailure(ctx) }

// IsOpen reports whether calls fail at once.
func (b *Breaker) IsOpen() bool { return b.isOpen() }
