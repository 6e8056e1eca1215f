package coalesce

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTimeout is the error of calls whose batch was not done within Batcher.Timeout.
var ErrTimeout = errors.New("the batch was not done in time")

// Batcher combines concurrent calls into batches. Equal keys of a batch are one
// entry. The exported fields are set before the first call. It is safe for
// concurrent use.
type Batcher[K comparable, R any] struct {
	// Run answers a batch: one result for each entry, in their order, or one error
	// for all. It bounds itself: ctx has no deadline and is not cancelled.
	Run func(ctx context.Context, batch []Entry[K]) ([]R, error)
	// MaxInFlight is how many batches run at the same time, at most.
	MaxInFlight int
	// Linger is how long a batch waits for the one that runs before it starts beside
	// it. With 0 it does not wait while fewer than MaxInFlight run.
	Linger time.Duration
	// Timeout is how long callers wait for their batch, counted from the first of
	// them; 0 is no limit. Run continues afterwards.
	Timeout time.Duration
	// WaitForRunning makes Do wait until a batch that has started is done, even if its
	// ctx ends: the caller must know the outcome.
	WaitForRunning bool
	// OnDone, unless it is nil, is called once for each batch before its callers
	// return, with ErrTimeout if that came first. It must not call the Batcher.
	OnDone func(ctx context.Context, results []R, err error)

	mu       sync.Mutex
	next     *batch[K, R] // collects calls; nil without any
	inFlight int          // workers, each of which runs one batch at a time
}

// Entry is a key of a batch and the number of calls that gave it.
type Entry[K comparable] struct {
	Key   K
	Calls int
}

type batch[K comparable, R any] struct {
	entries map[K]*entry[K, R]
	order   []*entry[K, R]
	overdue bool // lingered for long enough
	linger  *time.Timer
	timeout *time.Timer

	settled atomic.Bool // done or timed out: the first of both answers the callers
	done    chan struct{}
	err     error
}

type entry[K comparable, R any] struct {
	Entry[K]
	result R
}

// Ticket is one call's part of a batch.
type Ticket[K comparable, R any] struct {
	// Index counts the calls with this key in this batch, from 0 on. Where calls of Do
	// leave early, an index may occur twice: a key for which Index counts is used with
	// Add alone.
	Index int

	batch *batch[K, R]
	entry *entry[K, R]
}

// Do returns the result for key from a batch that starts after this call. If ctx
// ends earlier, Do returns its error, and a batch that has not started runs without
// this call; see WaitForRunning for one that has.
func (b *Batcher[K, R]) Do(ctx context.Context, key K) (result R, err error) {
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	t := b.Add(ctx, key)
	select {
	case <-t.batch.done:
	case <-ctx.Done():
		if b.withdraw(t) || !b.WaitForRunning {
			return result, ctx.Err()
		}
		<-t.batch.done
	}
	return t.entry.result, t.batch.err
}

// Add puts key into the next batch and returns at once. ctx only hands its values
// on to the batch.
func (b *Batcher[K, R]) Add(ctx context.Context, key K) Ticket[K, R] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = b.newBatch(ctx)
	}
	e := b.next.entries[key]
	if e == nil {
		e = &entry[K, R]{Entry: Entry[K]{Key: key}}
		b.next.entries[key] = e
		b.next.order = append(b.next.order, e)
	}
	e.Calls++
	if b.inFlight == 0 || b.Linger == 0 {
		b.startWorker(ctx)
	}
	return Ticket[K, R]{e.Calls - 1, b.next, e}
}

// Wait returns the result of the call. ctx ends the waiting; the call stays in its
// batch.
func (t Ticket[K, R]) Wait(ctx context.Context) (result R, err error) {
	select {
	case <-t.batch.done:
		return t.entry.result, t.batch.err
	case <-ctx.Done():
		return result, ctx.Err()
	}
}

// withdraw takes the call out of its batch, unless that has started.
func (b *Batcher[K, R]) withdraw(t Ticket[K, R]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != t.batch {
		return false
	}
	t.entry.Calls--
	return true
}

// Collecting returns how many calls wait for the next batch.
func (b *Batcher[K, R]) Collecting() (calls int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		for _, e := range b.next.order {
			calls += e.Calls
		}
	}
	return calls
}

// newBatch returns an empty batch whose timers run. The caller holds mu.
func (b *Batcher[K, R]) newBatch(ctx context.Context) *batch[K, R] {
	next := &batch[K, R]{entries: make(map[K]*entry[K, R]), done: make(chan struct{})}
	ctx = context.WithoutCancel(ctx)
	if b.Linger > 0 {
		next.linger = time.AfterFunc(b.Linger, func() { b.expedite(ctx, next) })
	}
	if b.Timeout > 0 {
		// The timeout uses two consecutive timers. If the process was paused (garbage
		// collection, no CPU), Run gets to continue before the second timer fires. So a reply
		// that has arrived is not reported as a timeout.
		last := b.Timeout / 4
		next.timeout = time.AfterFunc(b.Timeout-last, func() { time.AfterFunc(last, func() { b.expire(ctx, next) }) })
	}
	return next
}

// expedite starts a batch that has lingered, beside those that run.
func (b *Batcher[K, R]) expedite(ctx context.Context, overdue *batch[K, R]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == overdue {
		overdue.overdue = true
		b.startWorker(ctx)
	}
}

// expire answers the callers of a batch that is not done with ErrTimeout.
func (b *Batcher[K, R]) expire(ctx context.Context, late *batch[K, R]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == late {
		b.next = nil
	}
	b.settle(ctx, late, nil, ErrTimeout)
}

// settle answers the callers of a batch, unless it is settled.
func (b *Batcher[K, R]) settle(ctx context.Context, finished *batch[K, R], results []R, err error) {
	if finished.settled.Swap(true) {
		return
	}
	if b.OnDone != nil {
		b.OnDone(ctx, results, err)
	}
	finished.err = err
	if err == nil {
		for i, result := range results {
			finished.order[i].result = result
		}
	}
	close(finished.done)
}

// startWorker starts a worker if there may be one more. The caller holds mu.
func (b *Batcher[K, R]) startWorker(ctx context.Context) {
	if b.inFlight < b.MaxInFlight {
		b.inFlight++
		go b.work(context.WithoutCancel(ctx))
	}
}

// work runs batches for as long as calls wait.
func (b *Batcher[K, R]) work(ctx context.Context) {
	for next := b.take(); next != nil; next = b.take() {
		results, err := b.run(ctx, next)
		if next.timeout != nil {
			next.timeout.Stop()
		}
		b.settle(ctx, next, results, err)
	}
}

// take returns the batch that a worker runs next, and nil when the worker ends.
func (b *Batcher[K, R]) take() *batch[K, R] {
	// Goroutines that are ready to run get to join the batch. Under load this is where
	// most of the batching comes from.
	runtime.Gosched()
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.next
	// Of several workers, one is enough for a batch that is not overdue: calls share one
	// batch again as soon as Run is fast.
	if next == nil || b.Linger > 0 && b.inFlight > 1 && !next.overdue {
		b.inFlight--
		return nil
	}
	if next.linger != nil {
		next.linger.Stop()
	}
	b.next = nil
	return next
}

// run answers one batch.
func (b *Batcher[K, R]) run(ctx context.Context, next *batch[K, R]) (results []R, err error) {
	defer Recover("a batch", &err)
	remaining := next.order[:0]
	batch := make([]Entry[K], 0, len(next.order))
	for _, e := range next.order {
		if e.Calls > 0 { // the others were withdrawn
			remaining = append(remaining, e)
			batch = append(batch, e.Entry)
		}
	}
	next.order = remaining
	if len(batch) == 0 {
		return nil, nil
	}
	results, err = b.Run(ctx, batch)
	if err == nil && len(results) != len(batch) {
		return nil, fmt.Errorf("%d results for a batch of %d", len(results), len(batch))
	}
	return results, err
}

// Keys returns the keys of a batch.
func Keys[K comparable](batch []Entry[K]) []K {
	keys := make([]K, len(batch))
	for i, e := range batch {
		keys[i] = e.Key
	}
	return keys
}
