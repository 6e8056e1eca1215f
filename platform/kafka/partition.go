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
	// idleInterval is how often an idle partition asks the ledger for its place.
	idleInterval = 5 * time.Second
	// drainCtx is how long a batch in hand may go on after its session ended.
	drainTimeout = 5 * time.Second
	// maxPanics is how often one record may panic before it is dead-lettered.
	maxPanics = 5
	// MaxCrashes is the same for processes that died with the record as the
	// only one in hand.
	MaxCrashes = 5
)

var errCrashed = fmt.Errorf("the process died while handling it, %d times in a row", MaxCrashes)

// consumer is one partition for the length of one session.
type partitionConsumer struct {
	group         *Group
	log           *slog.Logger
	sessionCtx    context.Context // a claim lives exactly as long
	drainCtx      context.Context // the session's, and a little longer
	source        sarama.ConsumerGroupClaim
	markOffset    func(offset int64, origin string) // the group's offset, committed about every second
	commitOffsets func()                            // commits it at once, in some 30 ms
	prefetch      func() (portions <-chan recordBatch, stop func())
	tracker       Tracker

	foundLog       PartitionLog                          // the log when the session began
	currentTopicID func(context.Context) (string, error) // asks for the id that the topic has now
	lowestValid    int64                                 // the lowest offset that the ledger may give: where the handler was left
	position       int64                                 // the offset of the first record not done with
	incarnation    string                                // of the log that the position belongs to
	progressed     bool                                  // a record was done with
}

// run works through the partition until the session ends, which is no error.
func (c *partitionConsumer) run() error {
	if over, err := c.acquire(); !over {
		return err
	}
	err := c.consume()
	if errors.Is(err, errHandlerStuck) {
		return err // the mark stays: it says what has to be handled one by one
	}
	if err := c.tracker.Clear(c.sessionCtx); err != nil {
		c.log.Debug("the mark of what was in hand could not be removed", "error", err)
	}
	return err
}

// Acquire finds out what the partition's last reader left in hand. It is false
// when the session has ended, or, with an error, when another took the partition
// over meanwhile.
func (c *partitionConsumer) acquire() (bool, error) {
	held := holdup{log: c.log, what: "asking what the last reader had in hand", offset: c.position}
	for {
		left, spoiled, err := c.tracker.Acquire(c.sessionCtx, c.position, c.foundLog.Newest)
		switch {
		case err == nil:
			held.over()
			if spoiled {
				c.log.Error("the mark of what was in hand was overwritten from outside: deaths before now may be forgotten", "log_end", c.foundLog.Newest)
			}
			if !left.IsEmpty() {
				c.log.Warn("the partition's last reader died or was frozen with records in hand: handling them one by one",
					"from", left.From, "to", left.To, "deaths", c.tracker.Crashes[left.From])
			}
			return true, nil
		case errors.Is(err, ErrLostOwnership):
			return false, err
		}
		held.failed(err)
		if held.pause.wait(c.sessionCtx) != nil {
			return false, nil //nolint:nilerr // a session's end is no error
		}
	}
}

func (c *partitionConsumer) consume() error {
	ticker := time.NewTicker(idleInterval)
	defer ticker.Stop()
	portions, stop := c.prefetch()
	defer stop()
	for {
		select {
		case <-c.sessionCtx.Done():
			return nil
		case portion := <-portions:
			if c.sessionCtx.Err() != nil {
				return nil
			}
			if portion.err != nil {
				return portion.err
			}
			if err := c.processBatch(portion); err != nil {
				return err
			}
			ticker.Reset(idleInterval)
		case <-ticker.C:
			if err := c.onIdle(); err != nil {
				return err
			}
		}
	}
}

// onIdle sees to what can wait. Its error asks for the session's end.
func (c *partitionConsumer) onIdle() error {
	if err := c.tracker.Clear(c.sessionCtx); err != nil {
		c.log.Debug("the mark of what was in hand could not be removed", "error", err)
	}
	ledger, ok := c.group.handler.(OffsetStore)
	if !ok {
		return nil
	}
	return errors.Join(c.reportSkipped(), c.verifyStoredOffset(ledger))
}

// processBatch is done when every record is handled, dead-lettered or passed over, or
// when the session ends. Its error asks for the session's end.
func (c *partitionConsumer) processBatch(p recordBatch) error {
	for i := range p.records {
		p.records[i].TopicID = c.foundLog.TopicID
	}
	all, origin := len(p.records), c.incarnation
	if all > 0 {
		origin = c.incarnationAfter(p.records[all-1])
	}
	rest := slices.DeleteFunc(p.records, func(record Record) bool { return !record.IsForGroup(c.group.cfg.Group) })
	c.group.metrics.count(skipped, all-len(rest))
	e := &batchProgress{remaining: rest, outage: c.newOutage()}
	for len(e.remaining) > 0 {
		if bad := e.remaining[0].Undecodable; bad != nil {
			if !c.deadLetter(e, bad) {
				return c.reportSkipped()
			}
			c.clearUnreadable()
			continue
		}
		if c.tracker.CrashesOf(e.remaining[0]) >= MaxCrashes {
			if !c.deadLetter(e, errCrashed) {
				return c.reportSkipped()
			}
			continue
		}
		chunk := untilUndecodable(c.tracker.NextChunk(e.remaining))
		count, err := c.execute(chunk)
		if count > 0 {
			e.outage.over()
			c.group.metrics.count(handled, count)
			c.lowestValid = chunk[count-1].Offset + 1
			c.advancePast(chunk[count-1])
			e.remaining = e.remaining[count:]
		}
		if errors.Is(err, ErrFenced) || errors.Is(err, ErrLostOwnership) || errors.Is(err, errHandlerStuck) {
			return err
		}
		if err != nil && !c.handleFailure(e, len(chunk)-count, err) {
			return c.reportSkipped()
		}
	}
	c.incarnation = origin
	c.advance(p.next)
	return c.reportSkipped()
}

// untilUndecodable returns the records up to one that stands for what cannot be decoded.
func untilUndecodable(records []Record) []Record {
	for i, record := range records {
		if record.Undecodable != nil {
			return records[:i]
		}
	}
	return records
}

// reportSkipped tells a ledger about the records passed since it was left. Its
// error asks for the session's end; another failure is made good later.
func (c *partitionConsumer) reportSkipped() error {
	follower, ok := c.group.handler.(SkipObserver)
	if !ok || c.lowestValid == c.position {
		return nil
	}
	err := recoverPanic(func() error { return follower.Skipped(c.drainCtx, c.source.Partition(), c.position) })
	switch {
	case err == nil:
		c.lowestValid = c.position
	case errors.Is(err, ErrFenced):
		return err
	default:
		c.log.Debug("the ledger could not follow", "error", err)
	}
	return nil
}

// batchProgress is a batch being worked through.
type batchProgress struct {
	remaining []Record
	outage    holdup
}

func (c *partitionConsumer) newOutage() holdup { return holdup{log: c.log, what: "handling a record"} }

// handleFailure deals with an error about the first of the records left, of which the
// handler had suspects in hand. It is false when the session has ended.
func (c *partitionConsumer) handleFailure(e *batchProgress, suspects int, err error) bool {
	e.outage.offset = e.remaining[0].Offset
	switch {
	case isPanic(err) && suspects > 1:
		e.outage.failed(err)
		e.outage = c.newOutage() // it may have been any of them
	case isPermanent(err), isPanic(err) && c.tracker.Panics >= maxPanics:
		return c.deadLetter(e, err)
	default:
		e.outage.failed(err)
		if e.outage.pause.wait(c.sessionCtx) != nil {
			return false
		}
	}
	c.group.metrics.retries.Inc()
	return c.sessionCtx.Err() == nil
}

// deadLetter dead-letters the first of the records left, and tells a ledger. It is false
// when the session has ended, or has to.
func (c *partitionConsumer) deadLetter(e *batchProgress, cause error) bool {
	record := e.remaining[0]
	if !c.publishDeadLetter(record, max(c.tracker.AttemptsOf(record), 1), cause) {
		return false
	}
	e.outage = c.newOutage()
	c.group.metrics.count(deadLettered, 1)
	c.advancePast(record)
	e.remaining = e.remaining[1:]
	// A record of another partition may kill the process at any moment. The deaths of this
	// one are forgotten already: begun again, it would have to kill as often once more.
	return c.reportSkipped() == nil
}

func (c *partitionConsumer) advancePast(record Record) {
	c.incarnation = c.incarnationAfter(record)
	c.advance(record.Offset + 1)
}

// incarnationAfter is the origin of the position behind the record. What cannot be decoded
// has no fingerprint by which a later reader could find it.
func (c *partitionConsumer) incarnationAfter(record Record) string {
	if record.Undecodable != nil {
		return c.incarnation
	}
	return record.Incarnation()
}

func (c *partitionConsumer) advance(position int64) {
	c.position = position
	c.progressed = true
	c.tracker.ForgetBelow(position)
	c.group.metrics.lag.setPosition(c.source.Partition(), position)
	c.markOffset(position, c.incarnation)
}

// verifyStoredOffset returns an error when the ledger is not where the handler was left.
func (c *partitionConsumer) verifyStoredOffset(ledger OffsetStore) error {
	// A session of an earlier topic must not move the ledger back to that.
	if id, err := c.currentTopicID(c.sessionCtx); err != nil {
		c.log.Debug("Kafka could not be asked for the topic's id", "error", err)
		return nil
	} else if isOtherTopic(c.foundLog.TopicID, id) {
		return errTopicReplaced
	}
	end, _ := c.group.metrics.lag.logEnd(c.source.Partition()) // a position may be newer
	log := c.foundLog
	log.Newest = max(end, c.position)
	answer, err := callStartOffset(c.sessionCtx, ledger, c.source.Partition(), log)
	switch {
	case err != nil:
		c.log.Debug("the ledger could not be asked", "error", err)
		return nil
	case answer < 0, c.lowestValid <= answer && answer <= c.position:
		return nil
	default:
		return fmt.Errorf("%w: it says %d, expected was %d to %d", ErrFenced, answer, c.lowestValid, c.position)
	}
}

// callStartOffset asks the ledger; a panic becomes an error.
func callStartOffset(ctx context.Context, ledger OffsetStore, partition int32, log PartitionLog) (offset int64, err error) {
	err = recoverPanic(func() error {
		offset, err = ledger.StartOffset(ctx, partition, log)
		return err
	})
	return offset, err
}

// recoverPanic turns a panic into an error.
func recoverPanic(call func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicked{value: value, stack: debug.Stack()}
		}
	}()
	return call()
}

// extend returns a context that ends some time after ctx does.
func extend(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
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
