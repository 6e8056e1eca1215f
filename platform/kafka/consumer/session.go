package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/retry"
)

// watchInterval is how often a session requests the topic's id and the logs' ends.
const watchInterval = 2 * time.Second

var errTopicReplaced = errors.New("the topic was deleted and created again")

// session is the membership from one rebalance to the next. It implements
// sarama.ConsumerGroupHandler and is used once.
type session struct {
	group          *Group
	client         *client.Client
	consumerGroup  sarama.ConsumerGroup
	claims         *sync.RWMutex   // read-locked while a partition may have a batch in progress
	topicID        string          // as Setup found it
	ctx            context.Context // ends with the session, or when the topic is replaced
	cancel         context.CancelFunc
	watcher        sync.WaitGroup              // of the topic
	startPositions map[int32]partitionPosition // written by Setup, which ends before any ConsumeClaim

	mu         sync.Mutex
	endReason  error // of the first partition that ended the session
	progressed bool
}

// Setup implements sarama.ConsumerGroupHandler. It resolves where each partition begins
// and moves the group's offset there.
func (s *session) Setup(members sarama.ConsumerGroupSession) error {
	s.ctx, s.cancel = context.WithCancel(members.Context())
	topic := s.group.cfg.Topic
	if err := s.client.CheckPartitions(topic, s.group.cfg.Partitions); err != nil {
		return err
	}
	// The id comes first. Everything that the session stores is bound to it, so a topic
	// that is replaced from here on is noticed.
	id, err := s.client.TopicID(topic)
	if err != nil {
		return fmt.Errorf("ask for the topic's id: %w", err)
	}
	s.topicID = id
	partitions := members.Claims()[topic]
	committed, err := s.fetchCommitted(partitions)
	if err != nil {
		return fmt.Errorf("read the group's offsets: %w", err)
	}
	s.startPositions = make(map[int32]partitionPosition, len(partitions))
	for _, partition := range partitions {
		start, err := s.resolveStart(members.Context(), partition, committed[partition])
		if err != nil {
			return fmt.Errorf("find where to begin in partition %d: %w", partition, err)
		}
		s.startPositions[partition] = start
		// One of the two takes effect: ResetOffset moves only back, MarkOffset only forward.
		members.ResetOffset(topic, partition, start.position, start.incarnation)
		members.MarkOffset(topic, partition, start.position, start.incarnation)
	}
	s.watcher.Go(s.watchTopic)
	s.group.membership.joined(s.ctx)
	s.group.log.Info("kafka consumer: joined the group", "partitions", partitions, "generation", members.GenerationID())
	return nil
}

// Cleanup implements sarama.ConsumerGroupHandler. It stops watching the topic.
func (s *session) Cleanup(sarama.ConsumerGroupSession) error {
	s.cancel()
	s.watcher.Wait()
	return nil
}

// ConsumeClaim implements sarama.ConsumerGroupHandler. It works through one partition.
// When it returns, the session ends for all partitions.
func (s *session) ConsumeClaim(members sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	s.claims.RLock()
	defer s.claims.RUnlock()
	topic, partition := claim.Topic(), claim.Partition()
	// Sarama fetches all partitions of a broker at once, unpacks every batch, and fails
	// for all of them if one cannot be decoded. So the partition fetches for itself.
	s.consumerGroup.Pause(map[string][]int32{topic: {partition}})
	start := s.startPositions[partition]
	drainCtx, cancel := extend(s.ctx, drainTimeout)
	defer cancel()
	c := &partitionConsumer{
		group:          s.group,
		log:            s.group.log.With("partition", partition),
		sessionCtx:     s.ctx,
		drainCtx:       drainCtx,
		topicPartition: kafka.TopicPartition{Topic: topic, Partition: partition},
		markOffset: func(offset int64, incarnation string) {
			members.MarkOffset(topic, partition, offset, incarnation)
		},
		commitOffsets:  members.Commit,
		tracker:        s.group.newTracker(partition, start.logAtStart),
		currentTopicID: s.group.currentTopicID,

		partitionPosition: start,
	}
	c.prefetch = c.prefetchBatches
	s.group.metrics.lag.setPosition(partition, start.position)
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

// watchTopic keeps the logs' ends current for the lag, and ends the session when the
// topic's id changes. If a request fails, the next round sends it again.
func (s *session) watchTopic() {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		ctx, cancel := context.WithTimeout(s.ctx, watchInterval)
		id, err := s.group.currentTopicID(ctx)
		ends, endsErr := s.group.LogEndOffsets(ctx)
		cancel()
		if err == nil && isOtherTopic(s.topicID, id) {
			s.endReplaced(id)
		}
		if endsErr == nil {
			s.group.metrics.lag.setEnds(ends)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// endReplaced ends the session. What it stored stays bound to the old id, so the next
// session recognises it as another topic's.
func (s *session) endReplaced(id string) {
	s.group.metrics.replaced.Inc()
	s.group.log.Error("kafka consumer: the topic was deleted and created again during the session, joining anew",
		"topic_id", s.topicID, "new_topic_id", id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endReason == nil {
		s.endReason = errTopicReplaced
	}
	s.cancel()
}

// isOtherTopic compares two topic ids. An empty one, from a broker that gives topics no
// id, proves nothing.
func isOtherTopic(known, now string) bool { return known != "" && now != "" && known != now }

// extend returns a context that ends some time after ctx does.
func extend(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	extended, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		retry.Wait(extended, by)
		cancel()
	})
	return extended, func() { stop(); cancel() }
}
