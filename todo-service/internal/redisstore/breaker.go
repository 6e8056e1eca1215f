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
	errCircuitOpen = errors.New("redis did not answer a moment ago and is being asked in the background")
)

const (
	probeInterval   = 100 * time.Millisecond // between two questions to a Redis that is away
	immediateProbes = 2                      // openings in a row after which the first question waits too
	maxProbeDelays  = 5                      // so many times probeInterval, at most
)

// breaker is open from the moment that Redis did not answer until it does: the
// trip that was late, or a PING that no request waits for. A Redis that answers
// PINGs and no trips is left alone for longer each time.
type breaker struct {
	client goredis.UniversalClient

	open atomic.Bool // is read without mu

	mu               sync.Mutex
	probing          bool // always while open: it begins and ends together with that
	consecutiveOpens int  // times it opened
}

func (b *breaker) isOpen() bool { return b.open.Load() }

func (b *breaker) onSuccess() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.Store(false)
	b.consecutiveOpens = 0
}

func (b *breaker) onFailure(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Swap(true) {
		return
	}
	wait := probeInterval * time.Duration(max(0, min(b.consecutiveOpens-immediateProbes, maxProbeDelays)))
	b.consecutiveOpens++
	if !b.probing {
		b.probing = true
		go b.probe(ctx, wait)
	}
}

// probe waits, and closes the breaker once Redis answers. It gives up when the
// client is closed.
func (b *breaker) probe(ctx context.Context, wait time.Duration) {
	for {
		<-time.After(wait)
		err := b.client.Ping(ctx).Err()
		if err == nil || errors.Is(err, goredis.ErrClosed) {
			b.close()
			return
		}
		wait = probeInterval
	}
}

func (b *breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.Store(false)
	b.probing = false
}
