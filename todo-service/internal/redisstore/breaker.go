package redisstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

var (
	errTimeout     = errors.New("redis did not answer in time")
	errCircuitOpen = errors.New("redis did not answer a moment ago; calls fail at once until it does")
)

const (
	probeInterval   = 100 * time.Millisecond // between two PINGs to a Redis that does not answer
	immediateProbes = 3                      // after more consecutive openings, the first PING is delayed, too
	maxProbeDelays  = 5                      // the longest delay of a first PING, in probeIntervals
)

// breaker is a circuit breaker. It opens when Redis does not answer, and closes when
// the round trip that was late ends, or a PING in the background is answered. So no
// request pays for a probe. A Redis that answers PINGs and no round trips is left
// alone for longer each time.
type breaker struct {
	client goredis.UniversalClient

	open atomic.Bool // written with mu, read without

	mu               sync.Mutex
	probing          bool // true while open: both start and end together
	consecutiveOpens int  // without a round trip that succeeded in between
}

func (b *breaker) isOpen() bool { return b.open.Load() }

// onSuccess closes the breaker after a round trip with an answer.
func (b *breaker) onSuccess() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.Store(false)
	b.consecutiveOpens = 0
}

// onFailure opens the breaker and starts the probe, unless it is open.
func (b *breaker) onFailure(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Swap(true) {
		return
	}
	b.consecutiveOpens++
	delay := probeInterval * time.Duration(max(0, min(b.consecutiveOpens-immediateProbes, maxProbeDelays)))
	if !b.probing {
		b.probing = true
		go b.probe(ctx, delay)
	}
}

// probe sends PINGs, the first after the delay, and closes the breaker when one is
// answered. It ends, too, when the client is closed.
func (b *breaker) probe(ctx context.Context, delay time.Duration) {
	for {
		<-time.After(delay)
		err := b.client.Ping(ctx).Err()
		if err == nil || errors.Is(err, goredis.ErrClosed) {
			b.close()
			return
		}
		delay = probeInterval
	}
}

func (b *breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.Store(false)
	b.probing = false
}
