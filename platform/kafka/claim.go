package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/crashpoint"
)

const (
	// idleCheck is how often an idle partition asks the ledger for its place.
	idleCheck = 5 * time.Second
	// lasting is how long a batch in hand may go on after its session ended.
	lasting = 5 * time.Second
	// panicsAllowed is how often one record may panic before it is dead-lettered.
	panicsAllowed = 5
)

// claim is one partition for the length of one session.
type claim struct {
	group   *Group
	log     *slog.Logger
	session context.Context // a claim lives exactly as long
	lasting context.Context // the session's, and a little longer
	source  sarama.ConsumerGroupClaim
	mark    func(offset int64) // the group's offset, committed about every second

	oldest   int64 // the log's start when the session began
	floor    int64 // the lowest offset that the ledger may give: where the handler was left
	position int64 // the offset of the first record not done with
	progress bool  // a record was done with
}

// run works through the partition until the session ends, which is no error.
func (c *claim) run() error {
	ledger, hasLedger := c.group.handler.(Ledger)
	ticker := time.NewTicker(idleCheck)
	defer ticker.Stop()
	gathering, stop := context.WithCancel(c.session)
	defer stop()
	batches := gather(gathering, c.source.Messages())
	busy := false
	for {
		select {
		case <-c.session.Done():
			return nil
		case batch, open := <-batches:
			if c.session.Err() != nil {
				return nil
			}
			if !open {
				return errors.New("the partition was closed to this reader")
			}
			busy = true
			if err := c.work(batch); err != nil {
				return err
			}
		case <-ticker.C:
			if hasLedger && !busy {
				if err := errors.Join(c.tellFollower(), c.checkLedger(ledger)); err != nil {
					return err
				}
			}
			busy = false
		}
	}
}

// work is done when every record is handled, dead-lettered or passed over, or
// when the session ends. Its error asks for the session's end.
func (c *claim) work(batch []Record) error {
	end, all := batch[len(batch)-1].Offset+1, len(batch)
	rest := slices.DeleteFunc(batch, func(record Record) bool { return !record.MeantFor(c.group.cfg.Group) })
	c.group.instruments.count(passedOver, all-len(rest))
	e := &effort{rest: rest, held: c.newHoldup()}
	for len(e.rest) > 0 {
		chunk := e.next()
		count, err := c.handle(chunk)
		if count > 0 {
			e.held.over()
			c.group.instruments.count(handled, count)
			c.floor = chunk[count-1].Offset + 1
			c.done(c.floor)
			e.rest = e.rest[count:]
		}
		if errors.Is(err, Fenced) {
			return err
		}
		if err != nil && !c.cope(e, len(chunk)-count, err) {
			return c.tellFollower()
		}
	}
	c.done(end)
	return c.tellFollower()
}

// tellFollower tells a ledger about the records passed since it was left. Its
// error asks for the session's end; another failure is made good later.
func (c *claim) tellFollower() error {
	follower, ok := c.group.handler.(Follower)
	if !ok || c.floor == c.position {
		return nil
	}
	err := guard(func() error { return follower.Passed(c.lasting, c.source.Partition(), c.position) })
	switch {
	case err == nil:
		c.floor = c.position
	case errors.Is(err, Fenced):
		return err
	default:
		c.log.Debug("the ledger could not follow", "error", err)
	}
	return nil
}

// effort is a batch being worked through.
type effort struct {
	rest     []Record
	oneByOne bool // since a batch panicked: to find the record that did it
	held     holdup
}

func (e *effort) next() []Record {
	if e.oneByOne {
		return e.rest[:1]
	}
	return e.rest
}

func (c *claim) newHoldup() holdup { return holdup{log: c.log, what: "handling a record"} }

// cope deals with an error about the first of the records left, of which the
// handler had suspects in hand. It is false when the session has ended.
func (c *claim) cope(e *effort, suspects int, err error) bool {
	e.held.offset = e.rest[0].Offset
	if isPanic(err) && suspects > 1 {
		e.held.failed(err)
		e.held = c.newHoldup()
		e.oneByOne = true
		c.group.instruments.retries.Inc()
		return c.session.Err() == nil
	}
	lastPanic := isPanic(err) && e.held.panics+1 == panicsAllowed
	if !isPermanent(err) && !lastPanic {
		e.held.failed(err)
		if e.held.pause.wait(c.session) != nil {
			return false
		}
		c.group.instruments.retries.Inc()
		return true
	}
	if !c.bury(e.rest[0], e.held.attempts+1, err) {
		return false
	}
	e.held = c.newHoldup()
	c.group.instruments.count(deadLettered, 1)
	c.done(e.rest[0].Offset + 1)
	e.rest = e.rest[1:]
	return true
}

func (c *claim) done(position int64) {
	c.position = position
	c.progress = true
	c.group.instruments.lag.reached(c.source.Partition(), position)
	c.mark(position)
}

// handle calls the handler and holds it to its contract.
func (c *claim) handle(batch []Record) (count int, err error) {
	defer func() {
		if value := recover(); value != nil {
			count, err = 0, &panicked{value: value, stack: debug.Stack()}
		}
	}()
	crashpoint.Reach(crashpoint.BeforeEffect, batch[0].place())
	for _, record := range batch {
		crashpoint.Poison(record.Value)
	}
	count, err = c.group.handler.Handle(c.lasting, batch)
	if count > 0 {
		crashpoint.Reach(crashpoint.AfterEffect, batch[0].place())
	}
	switch {
	case count < 0 || count > len(batch):
		return 0, fmt.Errorf("the handler says it handled %d of %d records", count, len(batch))
	case err == nil && count < len(batch):
		return count, fmt.Errorf("the handler stopped at %d of %d records and gave no error", count, len(batch))
	case err != nil && count == len(batch) && !errors.Is(err, Fenced):
		c.log.Error("the handler gave an error about no record", "error", err)
		return count, nil
	}
	return count, err
}

// checkLedger returns an error when the ledger is not where the handler was left.
func (c *claim) checkLedger(ledger Ledger) error {
	newest := max(c.source.HighWaterMarkOffset(), c.position)
	answer, err := start(c.session, ledger, c.source.Partition(), c.oldest, newest)
	switch {
	case err != nil:
		c.log.Debug("the ledger could not be asked", "error", err)
		return nil
	case answer < 0, c.floor <= answer && answer <= c.position:
		return nil
	default:
		return fmt.Errorf("%w: it says %d, expected was %d to %d", Fenced, answer, c.floor, c.position)
	}
}

// start asks the ledger; a panic becomes an error.
func start(ctx context.Context, ledger Ledger, partition int32, oldest, newest int64) (offset int64, err error) {
	err = guard(func() error {
		offset, err = ledger.Start(ctx, partition, oldest, newest)
		return err
	})
	return offset, err
}

// guard turns a panic into an error.
func guard(call func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicked{value: value, stack: debug.Stack()}
		}
	}()
	return call()
}

// outlive returns a context that ends some time after ctx does.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	outliving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-outliving.Done():
		}
	})
	return outliving, func() { stop(); cancel() }
}
