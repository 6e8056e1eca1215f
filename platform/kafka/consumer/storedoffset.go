// How a partition keeps the handler's own offsets right: it reports skipped records, and
// verifies the stored offset when idle.

package consumer

import (
	"errors"
	"fmt"
)

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
	end, _ := c.group.metrics.lag.logEnd(c.topicPartition.Partition)
	log := c.logAtStart
	log.End = max(end, c.position) // the position may be newer than the end that was requested last
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
