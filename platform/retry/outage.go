package retry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// compareInterval is the time between two comparisons of a failure with the one logged
// last.
const compareInterval = time.Minute

// Outage is an outage logger: it logs the first failure of a dependency and the recovery.
// In between it logs a failure of another kind, such as a rejected password after a refused
// connection, within a minute and at most once a minute. Its methods may be called
// concurrently.
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
	compared time.Time // when a failure was compared last
	logged   string    // the kind of the failure that was logged last
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
		o.attempts++
		first := o.attempts == 1
		if first {
			o.since = now
			o.failing.Store(true)
		}
		if first || now.Sub(o.compared) >= compareInterval {
			o.compared = now
			if kind := kindOf(err); first || kind != o.logged {
				o.logged = kind
				o.log.WarnContext(ctx, o.failureMessage, "error", err)
			}
		}
	case o.attempts > 0 && now.Sub(o.last) >= o.Settle:
		o.log.InfoContext(ctx, o.recoveryMessage, "after", now.Sub(o.since).Round(time.Millisecond), "failed_attempts", o.attempts)
		o.attempts = 0
		o.failing.Store(false)
	}
}

// kindOf returns a text that two errors share if an operator would do the same about them.
func kindOf(err error) string {
	// A server that is away causes several errors in turn: refused, reset, timed out.
	if errors.As(err, new(net.Error)) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "network"
	}
	// Ports, ids and durations differ between attempts and have digits. A list of errors may
	// come in any order.
	words := slices.DeleteFunc(strings.Fields(err.Error()), func(word string) bool { return strings.ContainsAny(word, "0123456789") })
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}
