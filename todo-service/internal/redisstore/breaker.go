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
	errLate = errors.New("redis did not answer in time")
	errAway = errors.New("redis did not answer a moment ago and is being asked in the background")
)

const (
	askAgain = 100 * time.Millisecond // between two questions to a Redis that is away
	patience = 2                      // openings in a row after which the first question waits too
	relapses = 5                      // so many times askAgain, at most
)

// breaker is open from the moment that Redis did not answer until it does: the
// trip that was late, or a PING that no request waits for. A Redis that answers
// PINGs and no trips is left alone for longer each time.
type breaker struct {
	client goredis.UniversalClient

	open atomic.Bool // is read without mu

	mu     sync.Mutex
	asking bool // always while open: it begins and ends together with that
	inARow int  // times it opened
}

func (b *breaker) isOpen() bool { return b.open.Load() }

func (b *breaker) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.Store(false)
	b.inARow = 0
}

func (b *breaker) failed(ctx context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Swap(true) {
		return
	}
	wait := askAgain * time.Duration(max(0, min(b.inARow-patience, relapses)))
	b.inARow++
	if !b.asking {
		b.asking = true
		go b.ask(ctx, wait)
	}
}

// ask waits, and closes the breaker once Redis answers. It gives up when the
// client is closed.
func (b *breaker) ask(ctx context.Context, wait time.Duration) {
	for {
		<-time.After(wait)
		err := b.client.Ping(ctx).Err()
		if err == nil || errors.Is(err, goredis.ErrClosed) {
			b.answered()
			return
		}
		wait = askAgain
	}
}

func (b *breaker) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open.Store(false)
	b.asking = false
}
