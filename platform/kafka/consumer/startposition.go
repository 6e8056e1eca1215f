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

// startPosition is where a partition begins in a session.
type startPosition struct {
	offset      int64  // the first record to read
	incarnation string // of the log, as far as it is known
	lowestValid int64  // the stored offset, or offset if there is none
	log         kafka.PartitionLog
}

// committedOffset is the group's offset of a partition, and the incarnation beside it.
type committedOffset struct {
	offset      int64 // -1 if there is none
	incarnation string
}

// fetchCommitted requests the group's offsets from the coordinator.
func (s *session) fetchCommitted(partitions []int32) (map[int32]committedOffset, error) {
	offsets := make(map[int32]committedOffset, len(partitions))
	if len(partitions) == 0 {
		return offsets, nil
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
		offsets[partition] = committedOffset{offset: block.Offset, incarnation: block.Metadata}
	}
	return offsets, nil
}

// resolveStart chooses the stored offset, otherwise the committed one, otherwise the
// log's start.
func (s *session) resolveStart(ctx context.Context, partition int32, committed committedOffset) (startPosition, error) {
	topic := s.group.cfg.Topic
	oldest, err := s.client.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return startPosition{}, err
	}
	newest, err := s.client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return startPosition{}, err
	}
	log := kafka.PartitionLog{Oldest: oldest, End: newest, TopicID: s.topicID, HasRecord: s.group.recordLookup(partition)}
	if committed, err = s.validateCommitted(ctx, log, partition, committed); err != nil {
		return startPosition{}, err
	}
	stored := int64(-1)
	if store, ok := s.group.handler.(OffsetStore); ok {
		if stored, err = s.askOffsetStore(ctx, store, partition, log); err != nil {
			return startPosition{}, err
		}
	}
	wanted := stored
	if stored < 0 {
		wanted = committed.offset
	}
	if wanted > newest {
		// The log may have grown while the store moved. Or a consumer that reads
		// uncommitted, such as an earlier version, committed inside an open transaction.
		if newest, err = s.client.Client.GetOffset(topic, partition, sarama.OffsetNewest); err != nil {
			return startPosition{}, err
		}
	}
	start := startPosition{offset: wanted, lowestValid: wanted, incarnation: cmp.Or(log.Incarnation(), committed.incarnation), log: log}
	switch {
	case wanted < 0:
		start.offset, start.lowestValid = oldest, oldest
	case wanted < oldest:
		s.group.metrics.lost.Add(float64(oldest - wanted))
		s.group.log.Error("kafka consumer: records were deleted before the group read them, continuing with the oldest one",
			"partition", partition, "wanted", wanted, "oldest", oldest)
		start.offset = oldest
	case wanted > newest && stored >= 0:
		return startPosition{}, fmt.Errorf("the stored offset is %d, but the log ends at %d", stored, newest)
	case wanted > newest:
		s.group.log.Error("kafka consumer: the committed offset lies beyond the log's end, so it is of another log: beginning at the start",
			"partition", partition, "wanted", wanted, "oldest", oldest, "newest", newest)
		start.offset, start.lowestValid = oldest, oldest
	}
	return start, nil
}

// validateCommitted drops the committed offset if it is of an earlier topic. Kafka
// deletes the offsets along with the topic, but a member that still reads commits its
// own afterwards.
func (s *session) validateCommitted(ctx context.Context, log kafka.PartitionLog, partition int32, committed committedOffset) (committedOffset, error) {
	if committed.offset < 0 {
		return committedOffset{offset: -1}, nil
	}
	matches, err := log.Matches(ctx, committed.incarnation)
	if err != nil || matches {
		return committed, err
	}
	s.group.metrics.replaced.Inc()
	s.group.log.Error("kafka consumer: the committed offset is of an earlier topic of this name, beginning at the log's start",
		"partition", partition, "committed", committed.offset, "stored_with", committed.incarnation, "topic_id", s.topicID)
	return committedOffset{offset: -1}, nil
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
			return false, fmt.Errorf("look for the record at %d of partition %d of topic %q: %w", offset, partition, at.Topic, err)
		}
		return has, nil
	}
}
