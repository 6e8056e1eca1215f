package redisstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

var errAway = errors.New("redis did not answer a moment ago and is being asked in the background")

const (
	askAgain = 100 * time.Millisecond // between two questions to a Redis that is away
	relapses = 5                      // so many times askAgain, at most, before the first question
)

// breaker is open from the moment that Redis did not answer until it answers a
// PING, which no request waits for. A Redis that answers that and then nothing
// else is left alone for longer each time.
type breaker struct {
	client goredis.UniversalClient

	open atomic.Bool

	mu     sync.Mutex
	inARow int // trips that were not answered
}

func (b *breaker) isOpen() bool { return b.open.Load() }

// note takes the outcome of a trip.
func (b *breaker) note(ctx context.Context, silence error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if silence == nil {
		b.inARow = 0
		return
	}
	b.inARow++
	if !b.open.Swap(true) {
		go b.ask(ctx, askAgain*time.Duration(min(b.inARow-1, relapses)))
	}
}

// ask waits, and closes the breaker once Redis answers. It gives up when the
// client is closed.
func (b *breaker) ask(ctx context.Context, wait time.Duration) {
	for {
		<-time.After(wait)
		err := b.client.Ping(ctx).Err()
		if err == nil || errors.Is(err, goredis.ErrClosed) {
			b.open.Store(false)
			return
		}
		wait = askAgain
	}
}
