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
	// callBound is how long the handler may take over one call.
	callBound = time.Minute
	// callGrace is how long it may then take to bring what it has begun to its
	// end: a request to somebody else takes up to ten seconds.
	callGrace = 12 * time.Second
	// moments are what callGrace is made of: a process that was frozen loses one.
	moments = 10
	// stackBytes bounds what the log is told about a handler that hangs: no more of
	// the value "stack" is kept. allStackBytes are looked through for it.
	stackBytes    = 16 << 10
	allStackBytes = 16 << 20
	// everyone is how many calls of the handler there may be at once.
	everyone = 1 << 30
)

// errHung ends the process: its place is taken by one that does not hang.
var errHung = errors.New("the handler does not return")

// attempt gives the records to the handler, once it is written down that they
// are in hand. One that killed its process is handled while nothing else is:
// if the process dies again, it is that record's doing and no other's.
func (c *claim) attempt(records []Record) (count int, err error) {
	alone, weight := c.hand.deathsOf(records[0]) > 0, int64(1)
	if alone {
		weight = everyone
	}
	if err := c.group.room.Acquire(c.session, weight); err != nil {
		return 0, err
	}
	defer func() {
		if !errors.Is(err, errHung) { // what hangs is still in the room, and the process about to end
			c.group.room.Release(weight)
		}
	}()
	if alone {
		c.commit()
		if err := c.session.Err(); err != nil {
			return 0, err
		}
	}
	c.hand.Origin = records[0].Incarnation()
	if err := c.hand.take(c.session, records); err != nil {
		return 0, err
	}
	count, err = c.handle(records)
	if count > 0 {
		c.hand.passed(records[count-1].Offset + 1)
	}
	if alone || err != nil {
		c.takeBack(records[count:], err)
	}
	if count > 0 {
		failpoint.Hit(failpoint.AfterEffect, records[0].place())
	}
	return count, err
}

// takeBack notes that the handler gave the records back: whatever befalls the
// process from now on, they are not to blame.
func (c *claim) takeBack(rest []Record, err error) {
	switch {
	case errors.Is(err, errHung):
		return
	case err == nil, errors.Is(err, ErrFenced):
	case isPanic(err) && len(rest) > 1:
		c.hand.suspect(rest)
	default:
		c.hand.failed(rest[0], err)
	}
	if err := c.hand.release(c.session); err != nil {
		c.log.Debug("it could not be written down that nothing is in hand", "error", err)
	}
}

// handle calls the handler and holds it to its contract.
func (c *claim) handle(batch []Record) (int, error) {
	count, err := c.call(batch)
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

// answer is what the handler returned.
type answer struct {
	count int
	err   error
}

// call waits for the handler, but not for ever.
func (c *claim) call(batch []Record) (int, error) {
	ctx, cancel := context.WithTimeout(c.lasting, c.group.callBound)
	defer cancel()
	answers := make(chan answer, 1)
	go func() { answers <- c.shielded(ctx, batch) }()
	select {
	case a := <-answers:
		return a.count, a.err
	case <-ctx.Done():
	}
	ticker := time.NewTicker(callGrace / moments)
	defer ticker.Stop()
	for range moments {
		select {
		case a := <-answers:
			return a.count, a.err
		case <-ticker.C:
		}
	}
	c.group.instruments.hung.Inc()
	c.log.Error("the handler hangs: ending the process", "offset", batch[0].Offset, "records", len(batch), "stack", stacks())
	return 0, fmt.Errorf("%w: partition %d, from offset %d", errHung, batch[0].Partition, batch[0].Offset)
}

// stacks returns the stacks of the goroutines, stackBytes of them: first those in
// which a handler was called.
func stacks() string {
	all := make([]byte, allStackBytes)
	all = all[:runtime.Stack(all, true)]
	// A process may have thousands of goroutines, in any order.
	goroutines := strings.Split(string(all), "\n\n")
	calling := func(stack string) bool { return strings.Contains(stack, ".(*claim).shielded(") }
	handlers := slices.DeleteFunc(slices.Clone(goroutines), func(stack string) bool { return !calling(stack) })
	text := strings.Join(append(handlers, slices.DeleteFunc(goroutines, calling)...), "\n\n")
	return text[:min(len(text), stackBytes)]
}

// shielded turns the handler's panic into an error.
func (c *claim) shielded(ctx context.Context, batch []Record) (a answer) {
	defer func() {
		if value := recover(); value != nil {
			a = answer{err: &panicked{value: value, stack: debug.Stack()}}
		}
	}()
	failpoint.Hit(failpoint.BeforeEffect, batch[0].place())
	for _, record := range batch {
		failpoint.HitPoison(record.Value)
	}
	a.count, a.err = c.group.handler.Handle(ctx, batch)
	return a
}
