package retry

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Outage logs an outage once: its first failure, and later that it is over. The
// failures in between log nothing. It may be used by several goroutines.
type Outage struct {
	// Settle is how long there must be no failure before a success ends the outage.
	Settle time.Duration

	log                             *slog.Logger
	failureMessage, recoveryMessage string

	failing  atomic.Bool // spares a success without an outage the lock
	mu       sync.Mutex
	since    time.Time // of the first failure
	last     time.Time // of the latest failure
	attempts int       // that failed
}

// NewOutage returns an Outage of a dependency that works so far. begins and ends
// are its two log lines: a warning with the error, and an information with the
// length of the outage and the number of failed attempts.
func NewOutage(log *slog.Logger, begins, ends string) *Outage {
	return &Outage{log: log, failureMessage: begins, recoveryMessage: ends}
}

// Record takes the result of one attempt: nil is a success. The caller leaves out
// an attempt that failed only because its context was cancelled.
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

// Attempts returns how many attempts have failed in the present outage; 0 when
// there is none.
func (o *Outage) Attempts() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attempts
}
