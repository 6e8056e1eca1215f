package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/kafka"
)

const (
	// handlerTimeout is how long one call of the handler may take.
	handlerTimeout = time.Minute
	// handlerGrace is how long the call may then take to return: a request that it sent
	// to another service takes up to ten seconds.
	handlerGrace = 12 * time.Second
	// graceTicks is how many ticks the grace period is counted in. A process that was
	// suspended for an hour loses one tick, and not the whole period.
	graceTicks = 10
	// maxLoggedStack bounds the bytes of stacks in the log: a longer attribute is cut.
	maxLoggedStack = 16 << 10
	// maxCollectedStacks bounds the bytes of stacks in which the handler's are looked for.
	maxCollectedStacks = 16 << 20
	// exclusiveWeight is the semaphore's whole weight. A call that acquires all of it runs
	// alone in the process: a read-write lock whose wait a context can end.
	exclusiveWeight = 1 << 30
)

// errHandlerStuck ends the process; another process takes its place.
var errHandlerStuck = errors.New("the handler does not return")

// execute gives the records to the handler once the quarantine has them as in flight.
// It returns how many were handled, and the error about the next one.
func (c *partitionConsumer) execute(records []kafka.Record) (count int, err error) {
	// A record that was alone in flight at a crash runs while no other record of the
	// group does in this process: if the process crashes again, that record caused it.
	alone, weight := c.tracker.CrashesOf(records[0]) > 0, int64(1)
	if alone {
		weight = exclusiveWeight
	}
	if err := c.group.exclusive.Acquire(c.sessionCtx, weight); err != nil {
		return 0, err
	}
	defer func() {
		// A stuck call still runs, and the process is about to end.
		if !errors.Is(err, errHandlerStuck) {
			c.group.exclusive.Release(weight)
		}
	}()
	if alone {
		c.commitOffsets()
		if err := c.sessionCtx.Err(); err != nil {
			return 0, err
		}
	}
	if err := c.tracker.Begin(c.sessionCtx, records); err != nil {
		return 0, err
	}
	count, err = c.callHandler(records)
	if count > 0 {
		c.tracker.ForgetBelow(records[count-1].Offset + 1)
	}
	if alone || err != nil {
		c.recordOutcome(records[count:], err)
	}
	if count > 0 {
		failpoint.Hit(failpoint.AfterEffect, records[0].Position())
	}
	return count, err
}

// recordOutcome stores that the handler returned the remaining records, so that a later
// crash does not count against them.
func (c *partitionConsumer) recordOutcome(remaining []kafka.Record, err error) {
	switch {
	case errors.Is(err, errHandlerStuck):
		return
	case err == nil, errors.Is(err, ErrFenced):
	case isPanic(err) && len(remaining) > 1:
		c.tracker.Isolate(remaining)
	default:
		c.tracker.RecordFailure(remaining[0], isPanic(err))
	}
	if err := c.tracker.End(c.sessionCtx); err != nil {
		c.log.Debug("kafka consumer: the end of the call was not stored in the in-flight marker", "error", err)
	}
}

// callHandler calls the handler and checks its result against the Handler's contract.
func (c *partitionConsumer) callHandler(batch []kafka.Record) (int, error) {
	count, err := c.callWithWatchdog(batch)
	switch {
	case count < 0 || count > len(batch):
		return 0, fmt.Errorf("the handler says it handled %d of %d records", count, len(batch))
	case err == nil && count == 0:
		return 0, errors.New("the handler handled no record and gave no error")
	case err != nil && count == len(batch) && !errors.Is(err, ErrFenced):
		c.log.Error("kafka consumer: the handler returned an error about no record", "error", err)
		return count, nil
	}
	return count, err
}

type handlerResult struct {
	handled int
	err     error
}

// callWithWatchdog returns errHandlerStuck if the handler has not returned handlerGrace
// after its context ended.
func (c *partitionConsumer) callWithWatchdog(batch []kafka.Record) (int, error) {
	ctx, cancel := context.WithTimeout(c.drainCtx, c.group.handlerTimeout)
	defer cancel()
	results := make(chan handlerResult, 1)
	go func() { results <- c.callRecovering(ctx, batch) }()
	select {
	case r := <-results:
		return r.handled, r.err
	case <-ctx.Done():
	}
	// Scrapes find the call in the grace period: the process ends right after it.
	c.group.metrics.overdue.Inc()
	ticker := time.NewTicker(handlerGrace / graceTicks)
	defer ticker.Stop()
	for range graceTicks {
		select {
		case r := <-results:
			c.group.metrics.overdue.Dec()
			return r.handled, r.err
		case <-ticker.C:
		}
	}
	c.log.Error("kafka consumer: the handler is stuck, ending the process", "offset", batch[0].Offset, "records", len(batch), "stack", handlerStacks())
	return 0, fmt.Errorf("%w: partition %d, from offset %d", errHandlerStuck, batch[0].Partition, batch[0].Offset)
}

// callRecovering calls the handler; a panic becomes an error.
func (c *partitionConsumer) callRecovering(ctx context.Context, batch []kafka.Record) (r handlerResult) {
	r.err = recoverPanic(func() (err error) {
		failpoint.Hit(failpoint.BeforeEffect, batch[0].Position())
		for _, record := range batch {
			failpoint.HitPoison(record.Value)
		}
		start := time.Now()
		defer func() { c.group.metrics.handleTime.Observe(time.Since(start).Seconds()) }()
		r.handled, err = c.group.handler.Handle(ctx, batch)
		return err
	})
	return r
}

// handlerStacks returns the stacks of the goroutines, those that call a handler first,
// in at most maxLoggedStack bytes.
func handlerStacks() string {
	all := make([]byte, maxCollectedStacks)
	all = all[:runtime.Stack(all, true)]
	// A process may have thousands of goroutines, in any order.
	goroutines := strings.Split(string(all), "\n\n")
	callsHandler := func(stack string) bool { return strings.Contains(stack, ".(*partitionConsumer).callRecovering(") }
	handlers := slices.DeleteFunc(slices.Clone(goroutines), func(stack string) bool { return !callsHandler(stack) })
	text := strings.Join(append(handlers, slices.DeleteFunc(goroutines, callsHandler)...), "\n\n")
	return text[:min(len(text), maxLoggedStack)]
}
