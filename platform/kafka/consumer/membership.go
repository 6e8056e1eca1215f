package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/retry"
)

const (
	// reportTTL is how long the group is not ready after Sarama reported an error that
	// is not about the connection. An error that lasts is reported again within it.
	reportTTL = 10 * time.Second
	// reportInterval is how often the same reported error is logged.
	reportInterval = time.Minute
)

// membership knows whether the group is a member and reads its partitions.
type membership struct {
	outage *retry.Outage

	mu         sync.Mutex
	everJoined bool
	leaveErr   error           // nil while the group is a member
	reportErr  error           // that Sarama reported last
	reportedAt time.Time       // when it did
	unreadable map[int32]error // what keeps a partition from being read
}

// newMembership returns the state before the first join. brokers names their setting.
func newMembership(log *slog.Logger, brokers string) *membership {
	return &membership{
		outage: retry.NewOutage(log,
			"kafka consumer: not a member of the group, joining again", "kafka consumer: member of the group again"),
		leaveErr:   errors.New("the consumer group has not been joined yet; Kafka's address is from " + brokers),
		unreadable: make(map[int32]error),
	}
}

// left records why the group is not a member.
func (m *membership) left(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leaveErr = err
	m.outage.Record(ctx, err)
}

func (m *membership) joined(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.everJoined, m.leaveErr = true, nil
	m.outage.Record(ctx, nil)
}

func (m *membership) hasJoined() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.everJoined
}

// setUnreadable makes the group not ready for that reason; nil ends it.
func (m *membership) setUnreadable(partition int32, reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if reason == nil {
		delete(m.unreadable, partition)
	} else {
		m.unreadable[partition] = reason
	}
}

func (m *membership) reported(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reportErr, m.reportedAt = err, time.Now()
}

// readyErr returns nil while the group is a member and reads all of its partitions.
func (m *membership) readyErr() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaveErr != nil {
		return m.leaveErr
	}
	if time.Since(m.reportedAt) < reportTTL {
		return m.reportErr
	}
	for partition, reason := range m.unreadable {
		return fmt.Errorf("partition %d cannot be read: %w", partition, reason)
	}
	return nil
}

// logErrors logs what Sarama reports on its error channel, until that is closed.
func (g *Group) logErrors(failures <-chan error) {
	var last string
	var at time.Time
	for err := range failures {
		// If Kafka is unavailable the membership is lost too, and that is logged once.
		if client.IsConnectionError(err) {
			g.log.Debug("kafka consumer: a connection failed", "error", err)
			continue
		}
		g.metrics.reported.Inc()
		if !isMembershipError(err) {
			g.membership.reported(err)
		}
		if text := err.Error(); text != last || time.Since(at) > reportInterval {
			last, at = text, time.Now()
			g.log.Warn("kafka consumer: Kafka or its client reported an error", "error", err)
		}
	}
}

// isMembershipError reports whether the error ends or delays a membership, which is
// known without it.
func isMembershipError(err error) bool {
	return client.IsAny(err, sarama.ErrRebalanceInProgress, sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId,
		sarama.ErrFencedInstancedId, sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable,
		sarama.ErrOffsetsLoadInProgress)
}
