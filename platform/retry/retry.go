// Package retry is what loops share that outlive an outage: they wait without
// holding up a stop, and tell the log of the outage once.
package retry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Wait returns true after d, or false as soon as ctx ends.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// Outage follows something that may fail for a while, and logs the first failure
// of each row and its end, not every try. It may be used by several goroutines.
type Outage struct {
	log          *slog.Logger
	begins, ends string

	mu    sync.Mutex
	since time.Time // zero while it works
}

// NewOutage returns the outage of something that works so far. begins and ends
// are the two lines in the log: a warning with the error, and an information
// with how long it took.
func NewOutage(log *slog.Logger, begins, ends string) *Outage {
	return &Outage{log: log, begins: begins, ends: ends}
}

// Note takes the outcome of one try: nil when it worked. A try that failed only
// because it was told to stop says nothing, and is the caller's to leave out.
func (o *Outage) Note(ctx context.Context, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil && o.since.IsZero():
		o.since = time.Now()
		o.log.WarnContext(ctx, o.begins, "error", err)
	case err == nil && !o.since.IsZero():
		o.log.InfoContext(ctx, o.ends, "after", time.Since(o.since).Round(time.Millisecond))
		o.since = time.Time{}
	}
}
