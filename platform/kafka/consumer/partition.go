package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer/quarantine"
	"example.com/todo/platform/retry"
)

// partitionConsumer works through one partition for the length of one session.
type partitionConsumer struct {
	group          *Group
	log            *slog.Logger
	sessionCtx     context.Context // ends with the session, as the partitionConsumer does
	drainCtx       context.Context // ends drainTimeout later
	topicPartition kafka.TopicPartition
	markOffset     func(offset int64, incarnation string) // of the group; committed about every second
	commitOffsets  func()                                 // commits them now, which takes about 30 ms
	prefetch       func() (batches <-chan recordBatch, stop func())
	tracker        quarantine.Tracker

	partitionPosition
	currentTopicID func(context.Context) (string, error) // requests the id that the topic has now
	progressed     bool                                  // a record was done
}

const (
	// idleInterval is how often an idle partition verifies the stored offset.
	idleInterval = 5 * time.Second
	// drainTimeout is how long a batch in progress may continue after its session ended.
	drainTimeout = 5 * time.Second
	// maxPanics is how many times the handling of one record may panic before the record
	// is dead-lettered.
	maxPanics = 5
)

var errCrashed = fmt.Errorf("the process died while handling it, %d times in a row", quarantine.MaxCrashes)

// run works until the session ends, and then returns nil. An error ends the session.
func (c *partitionConsumer) run() error {
	if err := c.acquire(); err != nil || c.sessionCtx.Err() != nil {
		return err
	}
	err := c.consume()
	// A stuck handler's records stay in flight for the next owner, which isolates them.
	if errors.Is(err, errHandlerStuck) {
		return err
	}
	c.clearTracker()
	return err
}

// acquire makes the partition's quarantine state this session's, unless the session
// ends. The error is that another member acquired the partition.
func (c *partitionConsumer) acquire() error {
	var left quarantine.OffsetRange
	var corrupt bool
	outage := newOutage(c.log, "loading the in-flight marker", c.position)
	err := retry.Do(c.sessionCtx, retryBackoff, outage, func(ctx context.Context) (err error) {
		left, corrupt, err = c.tracker.Acquire(ctx, c.position, c.logAtStart.End)
		if errors.Is(err, quarantine.ErrLostOwnership) {
			return retry.Permanent(err)
		}
		return err
	})
	if errors.Is(err, quarantine.ErrLostOwnership) {
		return err
	}
	if err == nil && corrupt {
		c.log.Error("kafka consumer: the in-flight marker was overwritten from outside, earlier crashes may be forgotten", "log_end", c.logAtStart.End)
	}
	if err == nil && !left.IsEmpty() {
		c.log.Warn("kafka consumer: the partition's last reader crashed or froze with records in flight, handling them one by one",
			"from", left.From, "to", left.To, "crashes", c.tracker.Crashes[left.From])
	}
	return nil
}

func (c *partitionConsumer) consume() error {
	ticker := time.NewTicker(idleInterval)
	defer ticker.Stop()
	batches, stop := c.prefetch()
	defer stop()
	for {
		select {
		case <-c.sessionCtx.Done():
			return nil
		case batch := <-batches:
			if c.sessionCtx.Err() != nil {
				return nil
			}
			if batch.err != nil {
				return batch.err
			}
			if err := c.processBatch(batch); err != nil {
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

// onIdle does what a busy partition defers. Its error ends the session.
func (c *partitionConsumer) onIdle() error {
	c.clearTracker()
	store, ok := c.group.handler.(OffsetStore)
	if !ok {
		return nil
	}
	return errors.Join(c.reportSkipped(), c.verifyStoredOffset(store))
}

// clearTracker removes the in-flight marker. A marker that stays does no harm: this
// session replaces it, or the next owner finds nothing against any record in it.
func (c *partitionConsumer) clearTracker() {
	if err := c.tracker.Clear(c.sessionCtx); err != nil {
		c.log.Debug("kafka consumer: the in-flight marker was not removed", "error", err)
	}
}

// batchProgress is a batch that is being processed.
type batchProgress struct {
	remaining []kafka.Record
	// Of the first remaining record; nil until its handling fails.
	outage *retry.Outage
	delays *backoff.ExponentialBackOff
}

// processBatch returns when every record is handled, dead-lettered or skipped, or when
// the session has ended. Its error ends the session.
func (c *partitionConsumer) processBatch(batch recordBatch) error {
	for i := range batch.records {
		batch.records[i].TopicID = c.logAtStart.TopicID
	}
	total, incarnation := len(batch.records), c.incarnation
	if total > 0 {
		incarnation = c.incarnationAfter(batch.records[total-1])
	}
	remaining := slices.DeleteFunc(batch.records, func(record kafka.Record) bool { return !record.IsForGroup(c.group.cfg.Group) })
	c.group.metrics.count(skipped, total-len(remaining))
	b := &batchProgress{remaining: remaining}
	for len(b.remaining) > 0 {
		first := b.remaining[0]
		cause := first.Undecodable
		if cause == nil && c.tracker.CrashesOf(first) >= quarantine.MaxCrashes {
			cause = errCrashed
		}
		if cause != nil {
			if !c.deadLetter(b, cause) {
				return c.reportSkipped()
			}
			continue
		}
		chunk := c.tracker.NextChunk(b.remaining)
		if end := slices.IndexFunc(chunk, func(r kafka.Record) bool { return r.Undecodable != nil }); end > 0 {
			chunk = chunk[:end]
		}
		count, err := c.execute(chunk)
		if count > 0 {
			c.completeRecords(b, count)
		}
		if errors.Is(err, ErrFenced) || errors.Is(err, quarantine.ErrLostOwnership) || errors.Is(err, errHandlerStuck) {
			return err
		}
		if err != nil && !c.handleFailure(b, len(chunk)-count, err) {
			return c.reportSkipped()
		}
	}
	c.incarnation = incarnation
	c.advance(batch.next)
	return c.reportSkipped()
}

// completeRecords removes the first records, which the handler has handled.
func (c *partitionConsumer) completeRecords(b *batchProgress, count int) {
	if b.outage != nil {
		b.outage.Record(c.sessionCtx, nil)
		b.outage = nil
	}
	c.group.metrics.count(handled, count)
	last := b.remaining[count-1]
	c.lowestStored = last.Offset + 1
	c.advancePast(last)
	b.remaining = b.remaining[count:]
}

// handleFailure retries, isolates or dead-letters the first remaining record. inFlight
// is how many of the remaining records the failed call had. It returns false if the
// session has ended.
func (c *partitionConsumer) handleFailure(b *batchProgress, inFlight int, err error) bool {
	offset := b.remaining[0].Offset
	logPanic(c.log, "handling a record", offset, err)
	if b.outage == nil {
		b.outage, b.delays = newOutage(c.log, "handling a record", offset), retryBackoff.Delays()
	}
	switch {
	case isPanic(err) && inFlight > 1:
		// Any of the records may have panicked. They are suspects now, and come one at a
		// time; the first one's retries begin with its own failures.
		b.outage.Record(c.sessionCtx, err)
		b.outage = nil
	case isPermanent(err), isPanic(err) && c.tracker.Panics >= maxPanics:
		return c.deadLetter(b, err)
	default:
		b.outage.Record(c.sessionCtx, err)
		if !retry.Wait(c.sessionCtx, b.delays.NextBackOff()) {
			return false
		}
	}
	c.group.metrics.retries.Inc()
	return c.sessionCtx.Err() == nil
}

// deadLetter publishes the first remaining record as a dead letter and removes it. It
// returns false if the session has ended, or has to.
func (c *partitionConsumer) deadLetter(b *batchProgress, cause error) bool {
	record := b.remaining[0]
	if !c.publishDeadLetter(record, max(c.tracker.AttemptsOf(record), 1), cause) {
		return false
	}
	if record.Undecodable != nil {
		c.setUnreadable(nil)
	}
	b.outage = nil
	c.group.metrics.count(deadLettered, 1)
	c.advancePast(record)
	b.remaining = b.remaining[1:]
	// Another partition's record may crash the process at any moment, and this record's
	// crashes are forgotten already. Without a stored offset behind it, it would have to
	// crash its process five times again.
	return c.reportSkipped() == nil
}

func (c *partitionConsumer) advancePast(record kafka.Record) {
	c.incarnation = c.incarnationAfter(record)
	c.advance(record.Offset + 1)
}

// incarnationAfter is the incarnation to store beside the offset after the record. An
// undecodable record has no fingerprint by which it could be found again.
func (c *partitionConsumer) incarnationAfter(record kafka.Record) string {
	if record.Undecodable != nil {
		return c.incarnation
	}
	return record.Incarnation()
}

// advance moves the position, and marks it as the group's offset.
func (c *partitionConsumer) advance(position int64) {
	c.position = position
	c.progressed = true
	c.tracker.ForgetBelow(position)
	c.group.metrics.lag.setPosition(c.topicPartition.Partition, position)
	c.markOffset(position, c.incarnation)
}

// reportSkipped tells a SkipObserver the position, if it lies beyond the last handled
// record. Its error ends the session. After another failure, onIdle reports again.
func (c *partitionConsumer) reportSkipped() error {
	observer, ok := c.group.handler.(SkipObserver)
	if !ok || c.lowestStored == c.position {
		return nil
	}
	err := recoverPanic(func() error { return observer.Skipped(c.drainCtx, c.topicPartition.Partition, c.position) })
	switch {
	case err == nil:
		c.lowestStored = c.position
	case errors.Is(err, ErrFenced):
		return err
	default:
		c.log.Debug("kafka consumer: the skipped offsets were not stored, retrying when idle", "error", err)
	}
	return nil
}

// verifyStoredOffset returns an error if the stored offset is not one that this session
// left.
func (c *partitionConsumer) verifyStoredOffset(store OffsetStore) error {
	// A session of an earlier topic must not bind the store to that topic again.
	if id, err := c.currentTopicID(c.sessionCtx); err != nil {
		c.log.Debug("kafka consumer: the topic's id is not known, not verifying the stored offset", "error", err)
		return nil
	} else if isOtherTopic(c.logAtStart.TopicID, id) {
		return errTopicReplaced
	}
	log := c.logAtStart
	// The position may be newer than the end that was requested last.
	log.End = max(c.group.metrics.lag.logEnd(c.topicPartition.Partition), c.position)
	stored, err := callStartOffset(c.sessionCtx, store, c.topicPartition.Partition, log)
	switch {
	case err != nil:
		c.log.Debug("kafka consumer: the stored offset was not read, verifying it later", "error", err)
		return nil
	case stored < 0, c.lowestStored <= stored && stored <= c.position:
		return nil
	default:
		return fmt.Errorf("%w: it is %d, expected was %d to %d", ErrFenced, stored, c.lowestStored, c.position)
	}
}
