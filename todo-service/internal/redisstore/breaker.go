package redisstore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

var (
	errLate = errors.New("redis did not answer in time")
	errAway = errors.New("redis did not answer a moment ago and is being asked in the background")
)

const (
	askAgain = 100 * time.Millisecond // between two questions to a Redis that is away
	patience = 2                      // failures in a row after which the first question waits too
	relapses = 5                      // so many times askAgain, at most
)

// breaker is open from the moment that Redis did not answer until it does: the
// trip that was late, or a PING that no request waits for. A Redis that answers
// PINGs and no trips is left alone for longer each time.
type breaker struct {
	client goredis.UniversalClient

	open   atomic.Bool
	asking atomic.Bool
	inARow atomic.Int64 // failures
}

func (b *breaker) isOpen() bool { return b.open.Load() }

func (b *breaker) worked() {
	if b.open.Load() || b.inARow.Load() > 0 {
		b.inARow.Store(0)
		b.open.Store(false)
	}
}

func (b *breaker) failed(ctx context.Context) {
	before := b.inARow.Add(1) - 1
	b.open.Store(true)
	if !b.asking.Swap(true) {
		go b.ask(ctx, askAgain*time.Duration(max(0, min(before-patience, relapses))))
	}
}

// ask waits, and closes the breaker once Redis answers. It gives up when the
// client is closed.
func (b *breaker) ask(ctx context.Context, wait time.Duration) {
	defer b.asking.Store(false)
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
