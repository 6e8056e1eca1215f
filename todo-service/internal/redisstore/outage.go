package redisstore

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const settled = time.Second // without a failure, before the outage is over

// outage follows whether Redis serves one of its users. It logs the beginning and
// the end, not each failure.
type outage struct {
	log  *slog.Logger
	what string // what happens meanwhile, for the log

	failing atomic.Bool // spares the working case the lock
	mu      sync.Mutex
	last    time.Time // of the failures
}

func (o *outage) failed(ctx context.Context, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = time.Now()
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
	if time.Since(o.last) >= settled && o.failing.Swap(false) {
		o.log.InfoContext(ctx, "Redis works again, no longer: "+o.what)
	}
}
