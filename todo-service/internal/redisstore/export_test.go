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

// The bounds of what a process keeps.
const (
	MaxCopyBytes          = maxCopyBytes
	MaxFailedOwners       = maxFailedOwners
	MaxRememberedSessions = maxRememberedSessions
)

// CopyBytes returns the number and the bytes of the users' copies.
func (c *ListCache) CopyBytes() (copies, bytes int) {
	c.copies.mu.Lock()
	defer c.copies.mu.Unlock()
	for _, user := range c.copies.users.Keys() {
		local, _ := c.copies.users.Peek(user)
		bytes += local.size()
	}
	return c.copies.users.Len(), bytes
}

// FailedOwners returns how many owners have a failed invalidation of their own.
func (c *ListCache) FailedOwners() int {
	c.failed.mu.Lock()
	defer c.failed.mu.Unlock()
	return len(c.failed.owners)
}

// Remembered returns of how many sessions the user is remembered.
func (a *Authenticator) Remembered() int { return a.users.Len() }

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
