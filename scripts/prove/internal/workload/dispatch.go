package workload

import (
	"context"
	"time"

	"example.com/todo/platform/retry"
)

const (
	// maxArrears is how far the calls may fall behind their rate. The client does not catch up
	// on more, so that no outage ends in a burst.
	maxArrears = time.Second
	// rateCheckInterval is how soon a change of the rate takes effect.
	rateCheckInterval = 200 * time.Millisecond
)

// dispatch sends the numbers at a rate per second that may change at any time. A rate of 0 or
// less is no limit.
func dispatch(ctx context.Context, numbers chan<- int, from, to int, rate func() float64) error {
	next := time.Now()
	for number := from; number < to; number++ {
		for {
			perSecond := rate()
			if perSecond <= 0 {
				next = time.Now()
				break
			}
			if now := time.Now(); !next.After(now) {
				if earliest := now.Add(-maxArrears); next.Before(earliest) {
					next = earliest
				}
				next = next.Add(time.Duration(float64(time.Second) / perSecond))
				break
			}
			if !retry.Wait(ctx, min(time.Until(next), rateCheckInterval)) {
				return ctx.Err()
			}
		}
		select {
		case numbers <- number:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
