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
)

const (
	// idleCheck is how often an idle partition asks the ledger for its place.
	idleCheck = 5 * time.Second
	// lasting is how long a batch in hand may go on after its session ended.
	lasting = 5 * time.Second
	// panicsAllowed is how often one record may panic before it is dead-lettered.
	panicsAllowed = 5
	// deathsAllowed is the same for processes that died with the record as the
	// only one in hand.
	deathsAllowed = 5
)

var errDied = fmt.Errorf("the process died while handling it, %d times in a row", deathsAllowed)

// claim is one partition for the length of one session.
type claim struct {
	group   *Group
	log     *slog.Logger
	session context.Context // a claim lives exactly as long
	lasting context.Context // the session's, and a little longer
	source  sarama.ConsumerGroupClaim
	mark    func(offset int64, origin string) // the group's offset, committed about every second
	commit  func()                            // commits it at once, in some 30 ms
	ahead   func() (portions <-chan portion, stop func())
	hand    hand

	found    PartitionLog                          // the log when the session began
	current  func(context.Context) (string, error) // asks for the id that the topic has now
	floor    int64                                 // the lowest offset that the ledger may give: where the handler was left
	position int64                                 // the offset of the first record not done with
	origin   string                                // of the log that the position belongs to
	progress bool                                  // a record was done with
}

// run works through the partition until the session ends, which is no error.
func (c *claim) run() error {
	if over, err := c.takeOver(); !over {
		return err
	}
	err := c.read()
	if errors.Is(err, errHung) {
		return err // the mark stays: it says what has to be handled one by one
	}
	if err := c.hand.leave(c.session); err != nil {
		c.log.Debug("the mark of what was in hand could not be removed", "error", err)
	}
	return err
}

// takeOver finds out what the partition's last reader left in hand. It is false
// when the session has ended, or, with an error, when another took the partition
// over meanwhile.
func (c *claim) takeOver() (bool, error) {
	held := holdup{log: c.log, what: "asking what the last reader had in hand", offset: c.position}
	for {
		left, spoiled, err := c.hand.takeOver(c.session, c.position, c.found.Newest)
		switch {
		case err == nil:
			held.over()
			if spoiled {
				c.log.Error("the mark of what was in hand was overwritten from outside: deaths before now may be forgotten", "log_end", c.found.Newest)
			}
			if !left.empty() {
				c.log.Warn("the partition's last reader died or was frozen with records in hand: handling them one by one",
					"from", left.From, "to", left.To, "deaths", c.hand.Deaths[left.From])
			}
			return true, nil
		case errors.Is(err, errTaken):
			return false, err
		}
		held.failed(err)
		if held.pause.wait(c.session) != nil {
			return false, nil //nolint:nilerr // a session's end is no error
		}
	}
}

func (c *claim) read() error {
	ticker := time.NewTicker(idleCheck)
	defer ticker.Stop()
	portions, stop := c.ahead()
	defer stop()
	for {
		select {
		case <-c.session.Done():
			return nil
		case portion := <-portions:
			if c.session.Err() != nil {
				return nil
			}
			if portion.err != nil {
				return portion.err
			}
			if err := c.work(portion); err != nil {
				return err
			}
			ticker.Reset(idleCheck)
		case <-ticker.C:
			if err := c.idle(); err != nil {
				return err
			}
		}
	}
}

// idle sees to what can wait. Its error asks for the session's end.
func (c *claim) idle() error {
	if err := c.hand.leave(c.session); err != nil {
		c.log.Debug("the mark of what was in hand could not be removed", "error", err)
	}
	ledger, ok := c.group.handler.(OffsetStore)
	if !ok {
		return nil
	}
	return errors.Join(c.tellFollower(), c.checkLedger(ledger))
}

// work is done when every record is handled, dead-lettered or passed over, or
// when the session ends. Its error asks for the session's end.
func (c *claim) work(p portion) error {
	for i := range p.records {
		p.records[i].TopicID = c.found.TopicID
	}
	all, origin := len(p.records), c.origin
	if all > 0 {
		origin = c.originAfter(p.records[all-1])
	}
	rest := slices.DeleteFunc(p.records, func(record Record) bool { return !record.IsForGroup(c.group.cfg.Group) })
	c.group.instruments.count(passedOver, all-len(rest))
	e := &effort{rest: rest, held: c.newHoldup()}
	for len(e.rest) > 0 {
		if bad := e.rest[0].Undecodable; bad != nil {
			if !c.putAside(e, bad) {
				return c.tellFollower()
			}
			c.readable()
			continue
		}
		if c.hand.deathsOf(e.rest[0]) >= deathsAllowed {
			if !c.putAside(e, errDied) {
				return c.tellFollower()
			}
			continue
		}
		chunk := decoded(c.hand.next(e.rest))
		count, err := c.attempt(chunk)
		if count > 0 {
			e.held.over()
			c.group.instruments.count(handled, count)
			c.floor = chunk[count-1].Offset + 1
			c.doneWith(chunk[count-1])
			e.rest = e.rest[count:]
		}
		if errors.Is(err, ErrFenced) || errors.Is(err, errTaken) || errors.Is(err, errHung) {
			return err
		}
		if err != nil && !c.cope(e, len(chunk)-count, err) {
			return c.tellFollower()
		}
	}
	c.origin = origin
	c.done(p.next)
	return c.tellFollower()
}

// decoded returns the records up to one that stands for what cannot be decoded.
func decoded(records []Record) []Record {
	for i, record := range records {
		if record.Undecodable != nil {
			return records[:i]
		}
	}
	return records
}

// tellFollower tells a ledger about the records passed since it was left. Its
// error asks for the session's end; another failure is made good later.
func (c *claim) tellFollower() error {
	follower, ok := c.group.handler.(SkipObserver)
	if !ok || c.floor == c.position {
		return nil
	}
	err := guard(func() error { return follower.Skipped(c.lasting, c.source.Partition(), c.position) })
	switch {
	case err == nil:
		c.floor = c.position
	case errors.Is(err, ErrFenced):
		return err
	default:
		c.log.Debug("the ledger could not follow", "error", err)
	}
	return nil
}

// effort is a batch being worked through.
type effort struct {
	rest []Record
	held holdup
}

func (c *claim) newHoldup() holdup { return holdup{log: c.log, what: "handling a record"} }

// cope deals with an error about the first of the records left, of which the
// handler had suspects in hand. It is false when the session has ended.
func (c *claim) cope(e *effort, suspects int, err error) bool {
	e.held.offset = e.rest[0].Offset
	switch {
	case isPanic(err) && suspects > 1:
		e.held.failed(err)
		e.held = c.newHoldup() // it may have been any of them
	case isPermanent(err), isPanic(err) && c.hand.Panics >= panicsAllowed:
		return c.putAside(e, err)
	default:
		e.held.failed(err)
		if e.held.pause.wait(c.session) != nil {
			return false
		}
	}
	c.group.instruments.retries.Inc()
	return c.session.Err() == nil
}

// putAside dead-letters the first of the records left, and tells a ledger. It is false
// when the session has ended, or has to.
func (c *claim) putAside(e *effort, cause error) bool {
	record := e.rest[0]
	if !c.bury(record, max(c.hand.tries(record), 1), cause) {
		return false
	}
	e.held = c.newHoldup()
	c.group.instruments.count(deadLettered, 1)
	c.doneWith(record)
	e.rest = e.rest[1:]
	// A record of another partition may kill the process at any moment. The deaths of this
	// one are forgotten already: begun again, it would have to kill as often once more.
	return c.tellFollower() == nil
}

func (c *claim) doneWith(record Record) {
	c.origin = c.originAfter(record)
	c.done(record.Offset + 1)
}

// originAfter is the origin of the position behind the record. What cannot be decoded
// has no fingerprint by which a later reader could find it.
func (c *claim) originAfter(record Record) string {
	if record.Undecodable != nil {
		return c.origin
	}
	return record.Incarnation()
}

func (c *claim) done(position int64) {
	c.position = position
	c.progress = true
	c.hand.passed(position)
	c.group.instruments.lag.reached(c.source.Partition(), position)
	c.mark(position, c.origin)
}

// checkLedger returns an error when the ledger is not where the handler was left.
func (c *claim) checkLedger(ledger OffsetStore) error {
	// A session of an earlier topic must not move the ledger back to that.
	if id, err := c.current(c.session); err != nil {
		c.log.Debug("Kafka could not be asked for the topic's id", "error", err)
		return nil
	} else if isAnother(c.found.TopicID, id) {
		return errReplaced
	}
	end, _ := c.group.instruments.lag.end(c.source.Partition()) // a position may be newer
	log := c.found
	log.Newest = max(end, c.position)
	answer, err := start(c.session, ledger, c.source.Partition(), log)
	switch {
	case err != nil:
		c.log.Debug("the ledger could not be asked", "error", err)
		return nil
	case answer < 0, c.floor <= answer && answer <= c.position:
		return nil
	default:
		return fmt.Errorf("%w: it says %d, expected was %d to %d", ErrFenced, answer, c.floor, c.position)
	}
}

// start asks the ledger; a panic becomes an error.
func start(ctx context.Context, ledger OffsetStore, partition int32, log PartitionLog) (offset int64, err error) {
	err = guard(func() error {
		offset, err = ledger.StartOffset(ctx, partition, log)
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
