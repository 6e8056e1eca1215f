package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
)

// sessionCtx is the group's membership from one rebalance to the next: Sarama's
// handler, made anew each time.
type session struct {
	group          *Group
	conn           *Client
	consumerGroup  sarama.ConsumerGroup
	guard          *shutdownGuard
	topicID        string                  // as Setup found it
	ctx            context.Context         // ends with the membership, or when the topic is replaced
	cancel         context.CancelFunc      // of ctx
	watcher        sync.WaitGroup          // of the topic
	startPositions map[int32]startPosition // written by Setup, which ends before the claims begin

	mu         sync.Mutex
	endReason  error // the first claim's reason to end the session
	progressed bool
}

// startPosition is where a claim begins.
type startPosition struct {
	offset      int64  // the first record to read
	incarnation string // of the log, as far as it is known
	lowestValid int64  // what the ledger said, or offset where it had no opinion
	log         PartitionLog
}

// Setup decides where each claim begins and moves the group's offset there.
func (s *session) Setup(members sarama.ConsumerGroupSession) error {
	s.ctx, s.cancel = context.WithCancel(members.Context())
	topic := s.group.cfg.Topic
	if err := checkPartitions(s.conn, topic, s.group.cfg.Partitions); err != nil {
		return err
	}
	// The id comes first: a topic that is replaced from here on is noticed, for
	// everything the session stores is bound to this id.
	id, err := topicID(s.conn, topic)
	if err != nil {
		return fmt.Errorf("ask for the topic's id: %w", err)
	}
	s.topicID = id
	partitions := members.Claims()[topic]
	committed, err := s.fetchCommitted(partitions)
	if err != nil {
		return fmt.Errorf("read the group's offsets: %w", err)
	}
	s.startPositions = make(map[int32]startPosition, len(partitions))
	for _, partition := range partitions {
		begin, err := s.resolveStart(members.Context(), partition, committed[partition])
		if err != nil {
			return fmt.Errorf("find where to begin in partition %d: %w", partition, err)
		}
		s.startPositions[partition] = begin
		// One of the two moves it: Reset only back, Mark only forward.
		members.ResetOffset(topic, partition, begin.offset, begin.incarnation)
		members.MarkOffset(topic, partition, begin.offset, begin.incarnation)
	}
	s.watcher.Go(s.watchTopic)
	s.group.membership.joined()
	s.group.log.Info("joined the group", "partitions", partitions, "generation", members.GenerationID())
	return nil
}

// Cleanup ends the watch of the topic: the claims leave their partitions in order.
func (s *session) Cleanup(sarama.ConsumerGroupSession) error {
	s.cancel()
	s.watcher.Wait()
	return nil
}

// ConsumeClaim works through one partition. Its return ends the session for all.
func (s *session) ConsumeClaim(members sarama.ConsumerGroupSession, source sarama.ConsumerGroupClaim) error {
	defer s.guard.track()()
	partition := source.Partition()
	// Sarama asks for all partitions of a broker at once, unpacks all that it is
	// given, and fails for all of them if it cannot: the claim reads by itself.
	s.consumerGroup.Pause(map[string][]int32{source.Topic(): {partition}})
	begin := s.startPositions[partition]
	afterwards, cancel := extend(s.ctx, drainTimeout)
	defer cancel()
	c := &partitionConsumer{
		group:      s.group,
		log:        s.group.log.With("partition", partition),
		sessionCtx: s.ctx,
		drainCtx:   afterwards,
		source:     source,
		markOffset: func(offset int64, origin string) {
			members.MarkOffset(source.Topic(), partition, offset, origin)
		},
		commitOffsets:  members.Commit,
		tracker:        s.group.newTracker(partition, begin.log),
		currentTopicID: s.group.surveyor.topicID,
		foundLog:       begin.log,
		lowestValid:    begin.lowestValid,
		position:       begin.offset,
		incarnation:    begin.incarnation,
	}
	c.prefetch = c.prefetchBatches
	s.group.metrics.lag.setPosition(partition, begin.offset)
	defer s.group.metrics.lag.removePartition(partition)
	err := c.run()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progressed = s.progressed || c.progressed
	if err != nil && (s.endReason == nil || errors.Is(err, errHandlerStuck)) {
		s.endReason = fmt.Errorf("partition %d: %w", partition, err)
	}
	return nil
}

// committedOffset is the group's offset of a partition, and the origin stored beside it.
type committedOffset struct {
	offset      int64 // -1 when there is none
	incarnation string
}

// fetchCommitted asks the coordinator for the group's offsets.
func (s *session) fetchCommitted(partitions []int32) (map[int32]committedOffset, error) {
	offsets := make(map[int32]committedOffset, len(partitions))
	if len(partitions) == 0 {
		return offsets, nil
	}
	topic, group := s.group.cfg.Topic, s.group.cfg.Group
	coordinator, err := s.conn.Coordinator(group)
	if err != nil {
		return nil, err
	}
	request := sarama.NewOffsetFetchRequest(s.conn.Config().Version, group, map[string][]int32{topic: partitions})
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

// resolveStart finds where the claim begins: where the ledger says, otherwise at the
// committed offset, otherwise at the log's start.
func (s *session) resolveStart(ctx context.Context, partition int32, group committedOffset) (startPosition, error) {
	oldest, newest, err := s.logBounds(partition)
	if err != nil {
		return startPosition{}, err
	}
	log := s.partitionLog(partition, oldest, newest)
	if group, err = s.validateCommitted(ctx, log, partition, group); err != nil {
		return startPosition{}, err
	}
	answer := int64(-1)
	if ledger, ok := s.group.handler.(OffsetStore); ok {
		if answer, err = s.askOffsetStore(ctx, ledger, partition, log); err != nil {
			return startPosition{}, err
		}
	}
	wanted := answer
	if answer < 0 {
		wanted = group.offset
	}
	if wanted > newest {
		// The log may have grown while the ledger moved, or a consumer that reads
		// uncommitted, such as an earlier version, left its place in an open transaction.
		if newest, err = s.conn.highWatermark(s.group.cfg.Topic, partition); err != nil {
			return startPosition{}, err
		}
	}
	found := startPosition{offset: wanted, lowestValid: wanted, incarnation: cmp.Or(log.Incarnation(), group.incarnation), log: log}
	switch {
	case wanted < 0:
		found.offset, found.lowestValid = oldest, oldest
	case wanted < oldest:
		s.group.metrics.lost.Add(float64(oldest - wanted))
		s.group.log.Error("records were deleted before they were read; going on with the oldest there is",
			"partition", partition, "wanted", wanted, "oldest", oldest)
		found.offset = oldest
	case wanted > newest && answer >= 0:
		return startPosition{}, fmt.Errorf("the ledger says %d, but the log ends at %d", answer, newest)
	case wanted > newest:
		s.group.log.Error("the group had read further than the log goes, which must be another log; beginning at its start",
			"partition", partition, "wanted", wanted, "oldest", oldest, "newest", newest)
		found.offset, found.lowestValid = oldest, oldest
	}
	return found, nil
}

// validateCommitted gives up the group's offset when it is of an earlier topic. Kafka deletes
// the offsets along with the topic, but a member that still reads commits its own.
func (s *session) validateCommitted(ctx context.Context, log PartitionLog, partition int32, group committedOffset) (committedOffset, error) {
	if group.offset < 0 {
		return committedOffset{offset: -1}, nil
	}
	owned, err := log.Matches(ctx, group.incarnation)
	if err != nil || owned {
		return group, err
	}
	s.group.metrics.replaced.Inc()
	s.group.log.Error("the group's offset is of an earlier topic of this name; beginning at the log's start",
		"partition", partition, "committed", group.offset, "stored_with", group.incarnation, "topic_id", s.topicID)
	return committedOffset{offset: -1}, nil
}

// askOffsetStore keeps asking until there is an answer or the session ends: the members
// heartbeat meanwhile, so nothing is rebalanced because a ledger is away.
func (s *session) askOffsetStore(ctx context.Context, ledger OffsetStore, partition int32, log PartitionLog) (int64, error) {
	held := holdup{log: s.group.log.With("partition", partition), what: "asking the ledger", offset: log.Oldest}
	for {
		answer, err := callStartOffset(ctx, ledger, partition, log)
		if err == nil {
			held.over()
			return answer, nil
		}
		held.failed(err)
		if ended := held.pause.wait(ctx); ended != nil {
			return 0, errors.Join(ended, err)
		}
	}
}

// logBounds are the log's start and its last stable offset.
func (s *session) logBounds(partition int32) (oldest, newest int64, err error) {
	if oldest, err = s.conn.GetOffset(s.group.cfg.Topic, partition, sarama.OffsetOldest); err != nil {
		return 0, 0, err
	}
	newest, err = s.conn.GetOffset(s.group.cfg.Topic, partition, sarama.OffsetNewest)
	return oldest, newest, err
}
