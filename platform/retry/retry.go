// Package retry implements retries with exponential backoff for calls whose
// dependency may be away for a while, and one pair of log lines for each outage.
package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Backoff is exponential backoff with jitter: the delays double from Min to Max,
// and each is drawn from half to one and a half times that, so that callers that
// failed together do not retry together.
type Backoff struct{ Min, Max time.Duration }

// Delays returns a new sequence of delays, from Min on. It is for one goroutine.
func (b Backoff) Delays() *backoff.ExponentialBackOff {
	delays := &backoff.ExponentialBackOff{InitialInterval: b.Min, MaxInterval: b.Max, Multiplier: 2, RandomizationFactor: 0.5}
	delays.Reset()
	return delays
}

// Permanent marks an error that Do returns at once. errors.Is and errors.As see
// through the mark.
func Permanent(err error) error { return backoff.Permanent(err) }

// Do calls fn until it succeeds, fails with a Permanent error, which Do returns
// without the mark, or ctx ends, whose cause Do returns. Between the calls it
// waits by the backoff. The outage records each result but a Permanent error, as
// long as ctx has not ended.
func Do(ctx context.Context, b Backoff, outage *Outage, fn func(context.Context) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := fn(ctx)
		if ctx.Err() == nil && !isPermanent(err) {
			outage.Record(ctx, err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b.Delays()), backoff.WithMaxElapsedTime(0))
	return err
}

func isPermanent(err error) bool {
	var permanent *backoff.PermanentError
	return errors.As(err, &permanent)
}

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
