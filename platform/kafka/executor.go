package kafka

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"example.com/todo/platform/failpoint"
)

const (
	// handlerTimeout is how long the handler may take over one call.
	handlerTimeout = time.Minute
	// handlerGrace is how long it may then take to bring what it has begun to its
	// end: a request to somebody else takes up to ten seconds.
	handlerGrace = 12 * time.Second
	// graceTicks are what handlerGrace is made of: a process that was frozen loses one.
	graceTicks = 10
	// maxLoggedStack bounds what the log is told about a handler that hangs: no more of
	// the value "stack" is kept. maxCollectedStacks are looked through for it.
	maxLoggedStack     = 16 << 10
	maxCollectedStacks = 16 << 20
	// exclusiveWeight is how many calls of the handler there may be at once.
	exclusiveWeight = 1 << 30
)

// errHandlerStuck ends the process: its place is taken by one that does not hang.
var errHandlerStuck = errors.New("the handler does not return")

// execute gives the records to the handler, once it is written down that they
// are in hand. One that killed its process is handled while nothing else is:
// if the process dies again, it is that record's doing and no other's.
func (c *partitionConsumer) execute(records []Record) (count int, err error) {
	alone, weight := c.tracker.CrashesOf(records[0]) > 0, int64(1)
	if alone {
		weight = exclusiveWeight
	}
	if err := c.group.exclusive.Acquire(c.sessionCtx, weight); err != nil {
		return 0, err
	}
	defer func() {
		if !errors.Is(err, errHandlerStuck) { // what hangs is still in the room, and the process about to end
			c.group.exclusive.Release(weight)
		}
	}()
	if alone {
		c.commitOffsets()
		if err := c.sessionCtx.Err(); err != nil {
			return 0, err
		}
	}
	c.tracker.Incarnation = records[0].Incarnation()
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
		failpoint.Hit(failpoint.AfterEffect, records[0].position())
	}
	return count, err
}

// recordOutcome notes that the handler gave the records back: whatever befalls the
// process from now on, they are not to blame.
func (c *partitionConsumer) recordOutcome(rest []Record, err error) {
	switch {
	case errors.Is(err, errHandlerStuck):
		return
	case err == nil, errors.Is(err, ErrFenced):
	case isPanic(err) && len(rest) > 1:
		c.tracker.Isolate(rest)
	default:
		c.tracker.RecordFailure(rest[0], err)
	}
	if err := c.tracker.End(c.sessionCtx); err != nil {
		c.log.Debug("it could not be written down that nothing is in hand", "error", err)
	}
}

// callHandler calls the handler and holds it to its contract.
func (c *partitionConsumer) callHandler(batch []Record) (int, error) {
	count, err := c.callWithWatchdog(batch)
	switch {
	case count < 0 || count > len(batch):
		return 0, fmt.Errorf("the handler says it handled %d of %d records", count, len(batch))
	case err == nil && count == 0:
		return 0, errors.New("the handler handled no record and gave no error")
	case err != nil && count == len(batch) && !errors.Is(err, ErrFenced):
		c.log.Error("the handler gave an error about no record", "error", err)
		return count, nil
	}
	return count, err
}

// handlerResult is what the handler returned.
type handlerResult struct {
	handled int
	err     error
}

// callWithWatchdog waits for the handler, but not for ever.
func (c *partitionConsumer) callWithWatchdog(batch []Record) (int, error) {
	ctx, cancel := context.WithTimeout(c.drainCtx, c.group.handlerTimeout)
	defer cancel()
	answers := make(chan handlerResult, 1)
	go func() { answers <- c.callRecovering(ctx, batch) }()
	select {
	case a := <-answers:
		return a.handled, a.err
	case <-ctx.Done():
	}
	ticker := time.NewTicker(handlerGrace / graceTicks)
	defer ticker.Stop()
	for range graceTicks {
		select {
		case a := <-answers:
			return a.handled, a.err
		case <-ticker.C:
		}
	}
	c.group.metrics.stuck.Inc()
	c.log.Error("the handler hangs: ending the process", "offset", batch[0].Offset, "records", len(batch), "stack", handlerStacks())
	return 0, fmt.Errorf("%w: partition %d, from offset %d", errHandlerStuck, batch[0].Partition, batch[0].Offset)
}

// handlerStacks returns the stacks of the goroutines, maxLoggedStack of them: first those in
// which a handler was called.
func handlerStacks() string {
	all := make([]byte, maxCollectedStacks)
	all = all[:runtime.Stack(all, true)]
	// A process may have thousands of goroutines, in any order.
	goroutines := strings.Split(string(all), "\n\n")
	calling := func(stack string) bool { return strings.Contains(stack, ".(*partitionConsumer).callRecovering(") }
	handlers := slices.DeleteFunc(slices.Clone(goroutines), func(stack string) bool { return !calling(stack) })
	text := strings.Join(append(handlers, slices.DeleteFunc(goroutines, calling)...), "\n\n")
	return text[:min(len(text), maxLoggedStack)]
}

// callRecovering turns the handler's panic into an error.
func (c *partitionConsumer) callRecovering(ctx context.Context, batch []Record) (a handlerResult) {
	defer func() {
		if value := recover(); value != nil {
			a = handlerResult{err: &panicked{value: value, stack: debug.Stack()}}
		}
	}()
	failpoint.Hit(failpoint.BeforeEffect, batch[0].position())
	for _, record := range batch {
		failpoint.HitPoison(record.Value)
	}
	a.handled, a.err = c.group.handler.Handle(ctx, batch)
	return a
}
