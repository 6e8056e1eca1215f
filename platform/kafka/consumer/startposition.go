package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/kafka/internal/fetch"
	"example.com/todo/platform/retry"
)

// partitionPosition is where a partition stands in a session.
type partitionPosition struct {
	position     int64              // the offset of the first record that is not done
	incarnation  string             // of the log that the position belongs to, as far as it is known
	lowestStored int64              // the lowest offset that the handler's store may have
	logAtStart   kafka.PartitionLog // as the session found it
}

// fetchCommitted requests the group's offsets from the coordinator.
func (s *session) fetchCommitted(partitions []int32) (map[int32]*sarama.OffsetFetchResponseBlock, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	topic, group := s.group.cfg.Topic, s.group.cfg.Group
	coordinator, err := s.client.Coordinator(group)
	if err != nil {
		return nil, err
	}
	request := sarama.NewOffsetFetchRequest(s.client.Config().Version, group, map[string][]int32{topic: partitions})
	response, err := coordinator.FetchOffset(request)
	if err != nil {
		return nil, err
	}
	offsets := make(map[int32]*sarama.OffsetFetchResponseBlock, len(partitions))
	for _, partition := range partitions {
		block := response.GetBlock(topic, partition)
		switch {
		case block == nil && response.Err != sarama.ErrNoError:
			return nil, response.Err
		case block == nil:
			return nil, sarama.ErrIncompleteResponse
		case block.Err != sarama.ErrNoError:
			return nil, block.Err
		}
		offsets[partition] = block
	}
	return offsets, nil
}

// resolveStart chooses the stored offset, otherwise the committed one, otherwise the
// log's start.
func (s *session) resolveStart(
	ctx context.Context, partition int32, committed *sarama.OffsetFetchResponseBlock,
) (start partitionPosition, err error) {
	topic := s.group.cfg.Topic
	oldest, err := s.client.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return start, err
	}
	newest, err := s.client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return start, err
	}
	log := kafka.PartitionLog{Oldest: oldest, End: newest, TopicID: s.topicID, HasRecord: s.group.recordLookup(partition)}
	if err := s.validateCommitted(ctx, log, partition, committed); err != nil {
		return start, err
	}
	stored := int64(-1)
	if store, ok := s.group.handler.(OffsetStore); ok {
		if stored, err = s.askOffsetStore(ctx, store, partition, log); err != nil {
			return start, err
		}
	}
	wanted := stored
	if stored < 0 {
		wanted = committed.Offset
	}
	if wanted > newest {
		// The log may have grown while the store moved. Or a consumer that reads
		// uncommitted, such as an earlier version, committed inside an open transaction.
		if newest, err = s.client.Client.GetOffset(topic, partition, sarama.OffsetNewest); err != nil {
			return start, err
		}
	}
	start = partitionPosition{
		position: wanted, lowestStored: wanted, incarnation: cmp.Or(log.Incarnation(), committed.Metadata), logAtStart: log,
	}
	switch {
	case wanted < 0:
		start.position, start.lowestStored = oldest, oldest
	case wanted < oldest:
		s.group.metrics.lost.Add(float64(oldest - wanted))
		s.group.log.Error("kafka consumer: records were deleted before the group read them, continuing with the oldest one",
			"partition", partition, "wanted", wanted, "oldest", oldest)
		start.position = oldest
	case wanted > newest && stored >= 0:
		return partitionPosition{}, fmt.Errorf("the stored offset is %d, but the log ends at %d", stored, newest)
	case wanted > newest:
		s.group.log.Error("kafka consumer: the committed offset lies beyond the log's end, so it is of another log: beginning at the start",
			"partition", partition, "wanted", wanted, "oldest", oldest, "newest", newest)
		start.position, start.lowestStored = oldest, oldest
	}
	return start, nil
}

// validateCommitted drops the committed offset if it is of an earlier topic. Kafka
// deletes the offsets along with the topic, but a member that still reads commits its
// own afterwards.
func (s *session) validateCommitted(
	ctx context.Context, log kafka.PartitionLog, partition int32, committed *sarama.OffsetFetchResponseBlock,
) error {
	matches, err := log.Matches(ctx, committed.Metadata)
	if err != nil || matches {
		return err
	}
	s.group.metrics.replaced.Inc()
	s.group.log.Error("kafka consumer: the committed offset is of an earlier topic of this name, beginning at the log's start",
		"partition", partition, "committed", committed.Offset, "stored_with", committed.Metadata, "topic_id", s.topicID)
	committed.Offset, committed.Metadata = -1, ""
	return nil
}

// askOffsetStore retries until the store answers or the session ends. The member's
// heartbeats continue meanwhile, so an unavailable store causes no rebalance.
func (s *session) askOffsetStore(ctx context.Context, store OffsetStore, partition int32, log kafka.PartitionLog) (offset int64, err error) {
	const operation = "reading the stored offset"
	logger := s.group.log.With("partition", partition)
	var last error
	err = retry.Do(ctx, retryBackoff, newOutage(logger, operation, log.Oldest), func(ctx context.Context) error {
		offset, last = callStartOffset(ctx, store, partition, log)
		logPanic(logger, operation, log.Oldest, last)
		return last
	})
	if err != nil {
		return 0, errors.Join(err, last)
	}
	return offset, nil
}

// recordLookup is kafka.PartitionLog.HasRecord for the partition. It is true as well if the
// log has deleted the record.
func (g *Group) recordLookup(partition int32) func(context.Context, int64, string) (bool, error) {
	at := kafka.TopicPartition{Topic: g.cfg.Topic, Partition: partition}
	return func(ctx context.Context, offset int64, fingerprint string) (has bool, err error) {
		err = g.requests.Do(ctx, func(c *client.Client) error {
			has, err = fetch.HasRecord(c, at, offset, fingerprint)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("look for the record at %d of %s:%d: %w", offset, at.Topic, partition, err)
		}
		return has, nil
	}
}
