package retry

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Outage is an outage logger: it logs the first failure of a dependency and the recovery,
// and nothing in between. Its methods may be called concurrently.
type Outage struct {
	// Settle is the time without failures before a success ends the outage. Set it before use.
	Settle time.Duration

	log                             *slog.Logger
	failureMessage, recoveryMessage string

	failing  atomic.Bool // lets a success outside an outage skip the lock
	mu       sync.Mutex
	since    time.Time // of the first failure
	last     time.Time // of the latest failure
	attempts int       // that failed
}

// NewOutage returns an Outage of a dependency that is available. It logs failureMessage
// as a warning with "error", and recoveryMessage as info with "after", the duration of
// the outage, and "failed_attempts".
func NewOutage(log *slog.Logger, failureMessage, recoveryMessage string) *Outage {
	return &Outage{log: log, failureMessage: failureMessage, recoveryMessage: recoveryMessage}
}

// Record records the result of one attempt; nil is a success. The caller must not record
// an attempt that failed because its own context ended.
func (o *Outage) Record(ctx context.Context, err error) {
	if err == nil && !o.failing.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	switch {
	case err != nil:
		o.last = now
		if o.attempts++; o.attempts == 1 {
			o.since = now
			o.failing.Store(true)
			o.log.WarnContext(ctx, o.failureMessage, "error", err)
		}
	case o.attempts > 0 && now.Sub(o.last) >= o.Settle:
		o.log.InfoContext(ctx, o.recoveryMessage, "after", now.Sub(o.since).Round(time.Millisecond), "failed_attempts", o.attempts)
		o.attempts = 0
		o.failing.Store(false)
	}
}
