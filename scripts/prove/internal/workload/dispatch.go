package workload

import (
	"context"
	"time"
)

const (
	// maxArrears is how far the calls may fall behind their pace before what they
	// missed is let go, so that no outage ends in a burst.
	maxArrears = time.Second
	// rateCheckInterval is how soon a change of the pace is noticed.
	rateCheckInterval = 200 * time.Millisecond
)

// dispatch gives out numbers at a pace that may change at any time.
func dispatch(ctx context.Context, numbers chan<- int, from, to int, pace func() float64) error {
	next := time.Now()
	for number := from; number < to; number++ {
		for {
			rate := pace()
			if rate <= 0 {
				next = time.Now()
				break
			}
			if ahead := time.Until(next); ahead <= 0 {
				next = later(next, time.Now().Add(-maxArrears)).Add(time.Duration(float64(time.Second) / rate))
				break
			}
			if !pause(ctx, min(time.Until(next), rateCheckInterval)) {
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

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// pause returns true after d, or false as soon as ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
