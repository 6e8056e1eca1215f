package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/IBM/sarama"
)

// session is the group's membership from one rebalance to the next: Sarama's
// handler, made anew each time.
type session struct {
	group    *Group
	conn     *connection
	members  sarama.ConsumerGroup
	farewell *farewell
	topicID  string             // as Setup found it
	ctx      context.Context    // ends with the membership, or when the topic is replaced
	end      context.CancelFunc // of ctx
	watch    sync.WaitGroup     // of the topic
	starts   map[int32]begin    // written by Setup, which ends before the claims begin

	mu       sync.Mutex
	why      error // the first claim's reason to end the session
	progress bool
}

// begin is where a claim begins.
type begin struct {
	offset int64  // the first record to read
	origin string // of the log, as far as it is known
	floor  int64  // what the ledger said, or offset where it had no opinion
	found  PartitionLog
}

// Setup decides where each claim begins and moves the group's offset there.
func (s *session) Setup(members sarama.ConsumerGroupSession) error {
	s.ctx, s.end = context.WithCancel(members.Context())
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
	s.starts = make(map[int32]begin, len(partitions))
	for _, partition := range partitions {
		begin, err := s.locate(members.Context(), partition, committed[partition])
		if err != nil {
			return fmt.Errorf("find where to begin in partition %d: %w", partition, err)
		}
		s.starts[partition] = begin
		// One of the two moves it: Reset only back, Mark only forward.
		members.ResetOffset(topic, partition, begin.offset, begin.origin)
		members.MarkOffset(topic, partition, begin.offset, begin.origin)
	}
	s.watch.Go(s.watchTopic)
	s.group.presence.here()
	s.group.log.Info("joined the group", "partitions", partitions, "generation", members.GenerationID())
	return nil
}

// Cleanup ends the watch of the topic: the claims leave their partitions in order.
func (s *session) Cleanup(sarama.ConsumerGroupSession) error {
	s.end()
	s.watch.Wait()
	return nil
}

// ConsumeClaim works through one partition. Its return ends the session for all.
func (s *session) ConsumeClaim(members sarama.ConsumerGroupSession, source sarama.ConsumerGroupClaim) error {
	defer s.farewell.hold()()
	partition := source.Partition()
	// Sarama asks for all partitions of a broker at once, unpacks all that it is
	// given, and fails for all of them if it cannot: the claim reads by itself.
	s.members.Pause(map[string][]int32{source.Topic(): {partition}})
	begin := s.starts[partition]
	afterwards, cancel := outlive(s.ctx, lasting)
	defer cancel()
	c := &claim{
		group:   s.group,
		log:     s.group.log.With("partition", partition),
		session: s.ctx,
		lasting: afterwards,
		source:  source,
		mark: func(offset int64, origin string) {
			members.MarkOffset(source.Topic(), partition, offset, origin)
		},
		commit:   members.Commit,
		hand:     s.group.newHand(partition, begin.found),
		current:  s.group.surveyor.topicID,
		found:    begin.found,
		floor:    begin.floor,
		position: begin.offset,
		origin:   begin.origin,
	}
	c.ahead = c.readAhead
	s.group.instruments.lag.reached(partition, begin.offset)
	defer s.group.instruments.lag.drop(partition)
	err := c.run()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress = s.progress || c.progress
	if err != nil && (s.why == nil || errors.Is(err, errHung)) {
		s.why = fmt.Errorf("partition %d: %w", partition, err)
	}
	return nil
}

// committed is the group's offset of a partition, and the origin stored beside it.
type committed struct {
	offset int64 // -1 when there is none
	origin string
}

// fetchCommitted asks the coordinator for the group's offsets.
func (s *session) fetchCommitted(partitions []int32) (map[int32]committed, error) {
	offsets := make(map[int32]committed, len(partitions))
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
		offsets[partition] = committed{offset: block.Offset, origin: block.Metadata}
	}
	return offsets, nil
}

// locate finds where the claim begins: where the ledger says, otherwise at the
// committed offset, otherwise at the log's start.
func (s *session) locate(ctx context.Context, partition int32, group committed) (begin, error) {
	oldest, newest, err := s.ends(partition)
	if err != nil {
		return begin{}, err
	}
	log := s.log(partition, oldest, newest)
	if group, err = s.check(ctx, log, partition, group); err != nil {
		return begin{}, err
	}
	answer := int64(-1)
	if ledger, ok := s.group.handler.(OffsetStore); ok {
		if answer, err = s.ask(ctx, ledger, partition, log); err != nil {
			return begin{}, err
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
			return begin{}, err
		}
	}
	found := begin{offset: wanted, floor: wanted, origin: cmp.Or(log.Incarnation(), group.origin), found: log}
	switch {
	case wanted < 0:
		found.offset, found.floor = oldest, oldest
	case wanted < oldest:
		s.group.instruments.gone.Add(float64(oldest - wanted))
		s.group.log.Error("records were deleted before they were read; going on with the oldest there is",
			"partition", partition, "wanted", wanted, "oldest", oldest)
		found.offset = oldest
	case wanted > newest && answer >= 0:
		return begin{}, fmt.Errorf("the ledger says %d, but the log ends at %d", answer, newest)
	case wanted > newest:
		s.group.log.Error("the group had read further than the log goes, which must be another log; beginning at its start",
			"partition", partition, "wanted", wanted, "oldest", oldest, "newest", newest)
		found.offset, found.floor = oldest, oldest
	}
	return found, nil
}

// check gives up the group's offset when it is of an earlier topic. Kafka deletes
// the offsets along with the topic, but a member that still reads commits its own.
func (s *session) check(ctx context.Context, log PartitionLog, partition int32, group committed) (committed, error) {
	if group.offset < 0 {
		return committed{offset: -1}, nil
	}
	owned, err := log.Matches(ctx, group.origin)
	if err != nil || owned {
		return group, err
	}
	s.group.instruments.replaced.Inc()
	s.group.log.Error("the group's offset is of an earlier topic of this name; beginning at the log's start",
		"partition", partition, "committed", group.offset, "stored_with", group.origin, "topic_id", s.topicID)
	return committed{offset: -1}, nil
}

// ask keeps asking until there is an answer or the session ends: the members
// heartbeat meanwhile, so nothing is rebalanced because a ledger is away.
func (s *session) ask(ctx context.Context, ledger OffsetStore, partition int32, log PartitionLog) (int64, error) {
	held := holdup{log: s.group.log.With("partition", partition), what: "asking the ledger", offset: log.Oldest}
	for {
		answer, err := start(ctx, ledger, partition, log)
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

// ends are the log's start and its last stable offset.
func (s *session) ends(partition int32) (oldest, newest int64, err error) {
	if oldest, err = s.conn.GetOffset(s.group.cfg.Topic, partition, sarama.OffsetOldest); err != nil {
		return 0, 0, err
	}
	newest, err = s.conn.GetOffset(s.group.cfg.Topic, partition, sarama.OffsetNewest)
	return oldest, newest, err
}
