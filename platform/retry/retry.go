// Package retry implements retries with exponential backoff, and an outage logger that
// writes few log lines for each outage of a dependency.
package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Backoff is exponential backoff with jitter. The delays double from Min to Max. Each is
// drawn from 0.5 to 1.5 times its value, so that callers that failed at the same time
// retry at different times.
type Backoff struct{ Min, Max time.Duration }

// Delays returns a new sequence of delays that starts with Min. It must not be used
// concurrently.
func (b Backoff) Delays() *backoff.ExponentialBackOff {
	delays := &backoff.ExponentialBackOff{InitialInterval: b.Min, MaxInterval: b.Max, Multiplier: 2, RandomizationFactor: 0.5}
	delays.Reset()
	return delays
}

// Permanent wraps an error that must not be retried. errors.Is and errors.As work on the
// wrapped error.
func Permanent(err error) error { return backoff.Permanent(err) }

// Do calls fn until it succeeds, with the delays of b between the calls. It returns nil,
// or the error of fn, unwrapped, when that is Permanent, or the cause of ctx when ctx
// ends. The outage records each result, except a Permanent error and a result after the
// end of ctx.
func Do(ctx context.Context, b Backoff, outage *Outage, fn func(context.Context) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := fn(ctx)
		if ctx.Err() == nil && !errors.As(err, new(*backoff.PermanentError)) {
			outage.Record(ctx, err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b.Delays()), backoff.WithMaxElapsedTime(0))
	return err
}

// Wait sleeps for d and returns true. When ctx ends before, it returns false at once.
func Wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return ctx.Err() == nil
	}
}
