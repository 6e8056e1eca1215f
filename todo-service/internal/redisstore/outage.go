package redisstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	patience = 3                      // failures in a row before calls are skipped
	pause    = 500 * time.Millisecond // between calls that try again
	settled  = time.Second            // without a failure, before the outage is over
)

var errPaused = errors.New("redis has been failing and is tried again in a moment")

// outage follows whether Redis answers one of its users. It logs the beginning
// and the end, not each failure, and after a few failures in a row lets only one
// call per pause try, so that requests do not all wait for the same silence.
type outage struct {
	log  *slog.Logger
	what string // what happens meanwhile, for the log

	failing atomic.Bool // spares the working case the lock
	mu      sync.Mutex
	inARow  int
	last    time.Time // of the failures
	tryAt   time.Time
}

// paused says that a call should not be made now.
func (o *outage) paused() bool {
	if !o.failing.Load() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.inARow < patience {
		return false
	}
	if now.Before(o.tryAt) {
		return true
	}
	o.tryAt = now.Add(pause)
	return false
}

func (o *outage) failed(ctx context.Context, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inARow++
	o.last = time.Now()
	o.tryAt = o.last.Add(pause)
	if !o.failing.Swap(true) {
		o.log.WarnContext(ctx, "Redis fails: "+o.what, "error", err)
	}
}

func (o *outage) worked(ctx context.Context) {
	if !o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inARow = 0
	if time.Since(o.last) >= settled && o.failing.Swap(false) {
		o.log.InfoContext(ctx, "Redis works again, no longer: "+o.what)
	}
}
