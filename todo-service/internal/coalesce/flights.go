package coalesce

import (
	"context"
	"sync"
	"time"
)

// Flights is single flight with freshness: calls with equal keys share one flight.
// Without FreshFor they share it while it runs. With FreshFor they share it, running
// or done, for that long after it began, unless it failed. The exported fields are
// set before the first call. It is safe for concurrent use.
type Flights[K comparable, R any] struct {
	// FreshFor is how old a result may be, counted from the beginning of its flight. A
	// result is kept for that long, so the memory is bounded by the flights that can begin
	// in that time.
	FreshFor time.Duration
	// Timeout bounds a flight, whatever deadlines its callers have.
	Timeout time.Duration

	mu      sync.Mutex
	flights map[K]*flight[R] // the latest of each key
}

type flight[R any] struct {
	began  time.Time
	done   chan struct{} // closed when the next two are valid
	result R
	err    error
}

// Do returns the result of fn, or of the fn of an earlier call whose flight this call
// shares. If ctx ends first, Do returns its error and the flight continues.
func (f *Flights[K, R]) Do(ctx context.Context, key K, fn func(context.Context) (R, error)) (result R, err error) {
	shared := f.join(ctx, key, fn)
	select {
	case <-shared.done:
		return shared.result, shared.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}

// join returns the flight that a call shares, and starts one if there is none.
func (f *Flights[K, R]) join(ctx context.Context, key K, fn func(context.Context) (R, error)) *flight[R] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if latest := f.flights[key]; latest != nil && (f.FreshFor == 0 || latest.isFresh(f.FreshFor)) {
		return latest
	}
	if f.flights == nil {
		f.flights = make(map[K]*flight[R])
	}
	started := &flight[R]{began: time.Now(), done: make(chan struct{})}
	f.flights[key] = started
	go func() {
		started.run(context.WithoutCancel(ctx), f.Timeout, fn)
		if f.FreshFor == 0 {
			f.forget(key, started) // before a caller has the result, and calls again
		} else {
			time.AfterFunc(f.FreshFor-time.Since(started.began), func() { f.forget(key, started) })
		}
		close(started.done)
	}()
	return started
}

// forget removes the flight, unless a later one of its key has taken its place.
func (f *Flights[K, R]) forget(key K, old *flight[R]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.flights[key] == old {
		delete(f.flights, key)
	}
}

func (fl *flight[R]) run(ctx context.Context, timeout time.Duration, fn func(context.Context) (R, error)) {
	defer Recover("a shared call", &fl.err)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	fl.result, fl.err = fn(ctx)
}

func (fl *flight[R]) isFresh(freshFor time.Duration) bool {
	select {
	case <-fl.done:
		if fl.err != nil { // the next may succeed
			return false
		}
	default:
	}
	return time.Since(fl.began) < freshFor
}
