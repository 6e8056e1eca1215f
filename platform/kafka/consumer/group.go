package consumer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/consumer/quarantine"
	"example.com/todo/platform/kafka/internal/client"
	"example.com/todo/platform/kafka/producer"
	"example.com/todo/platform/retry"
)

const (
	// metadataRefresh is how often a group looks for new partitions.
	metadataRefresh = time.Minute
	// leaveTimeout is how long the last commit and leaving the group may take.
	leaveTimeout = 2 * time.Second
)

// GroupConfig is what a Group reads, and where its dead letters go.
type GroupConfig struct {
	kafka.Config
	Group string // the consumer group's name
	Topic string // the topic to read
	DLQ   string // the topic for dead letters
	// Quarantine finds the record that crashes its process. It may be nil.
	Quarantine quarantine.Store
}

// Group reads a topic as a member of a consumer group and calls a Handler. It handles
// each record at least once, and those of a partition in order. The committed offset
// moves only past records that were handled, dead-lettered or skipped.
type Group struct {
	cfg            GroupConfig
	handler        Handler
	log            *slog.Logger
	metrics        *metrics
	membership     *membership
	dlqProducer    *producer.Producer
	connector      *client.Connector
	requests       *client.Lazy        // on the consumer's own connection they would wait behind its requests
	owner          string              // names this group, in this process, in the quarantine
	revisions      atomic.Int64        // of the quarantine's states
	exclusive      *semaphore.Weighted // shared by the calls of the handler, or held by one
	handlerTimeout time.Duration       // of one call
}

// NewGroup returns a group that joins when it runs. A handler that is an OffsetStore
// decides where its partitions begin. The registered metrics carry the group's name as
// a label: a registry accepts one group of a name.
func NewGroup(cfg GroupConfig, h Handler, log *slog.Logger, reg prometheus.Registerer) *Group {
	log = log.With("group", cfg.Group, "topic", cfg.Topic)
	connector := client.NewConnector(cfg.Config)
	return &Group{
		cfg:        cfg,
		handler:    h,
		log:        log,
		metrics:    newMetrics(reg, cfg.Group),
		membership: newMembership(log, cfg.Sources.Name("brokers")),
		// A batch of a few kB may unpack to many MB, and each of its records to a dead letter.
		dlqProducer:    producer.NewCompressing(cfg.Config),
		connector:      connector,
		requests:       connector.NewLazy(),
		owner:          rand.Text(),
		exclusive:      semaphore.NewWeighted(exclusiveWeight),
		handlerTimeout: handlerTimeout,
	}
}

// Run consumes until ctx ends. It then finishes the batches in progress, within five
// seconds, commits, leaves the group and returns nil; a static member stays in the
// group. It retries for as long as Kafka is unavailable.
//
// It returns an error that a retry does not cure: a *kafka.TopicError if the topic has
// another number of partitions than configured; a configuration error; or that the
// handler is stuck. It waits for a topic, or a dead-letter topic, that is missing. A
// stuck handler still holds its resources, so the process must end. A Group runs once.
func (g *Group) Run(ctx context.Context) error {
	defer func() { _ = g.dlqProducer.Close() }()
	defer g.requests.Close()
	delays := retryBackoff.Delays()
	for ctx.Err() == nil {
		err := g.runMembership(ctx, delays)
		if ctx.Err() != nil && !errors.Is(err, errHandlerStuck) {
			break
		}
		if isFatal(err) {
			return fmt.Errorf("consumer group %q: %w", g.cfg.Group, err)
		}
		g.membership.left(ctx, client.Explain(err, g.cfg.Config))
		if !retry.Wait(ctx, delays.NextBackOff()) {
			break
		}
	}
	return nil
}

// Ready returns nil while the group is a member and reads all of its partitions, and
// otherwise the reason.
func (g *Group) Ready(context.Context) error { return g.membership.readyErr() }

// runMembership joins the group and runs its sessions, until ctx ends or the member has
// to connect anew.
func (g *Group) runMembership(ctx context.Context, delays *backoff.ExponentialBackOff) error {
	conn, err := g.connector.Open(metadataRefresh)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	// Kafka may not respond to the last commit and LeaveGroup. They begin when no partition
	// has a batch in progress any more.
	var claims sync.RWMutex
	defer context.AfterFunc(ctx, func() {
		claims.Lock()
		defer claims.Unlock()
		time.AfterFunc(leaveTimeout, conn.Abort)
	})()
	if err := g.checkTopic(conn, g.cfg.Topic, g.cfg.Partitions); err != nil {
		return err
	}
	// Without the dead-letter topic the first dead letter would hold its partition for ever.
	if err := g.checkTopic(conn, g.cfg.DLQ, 0); err != nil {
		return err
	}
	// This client asks for the high watermark: a group's offset may lie beyond the last stable one.
	consumerGroup, err := sarama.NewConsumerGroupFromClient(g.cfg.Group, conn.Client)
	if err != nil {
		return err
	}
	defer func() { _ = consumerGroup.Close() }()
	go g.logErrors(consumerGroup.Errors())
	for ctx.Err() == nil {
		session := &session{group: g, client: conn, consumerGroup: consumerGroup, claims: &claims}
		err := consumerGroup.Consume(ctx, []string{g.cfg.Topic}, session)
		switch {
		case errors.Is(session.endReason, errHandlerStuck):
			return session.endReason
		case ctx.Err() != nil:
			return nil
		case isFatal(err), errors.Is(err, sarama.ErrFencedInstancedId), errors.Is(err, sarama.ErrClosedConsumerGroup):
			return err
		case err != nil && !errors.Is(err, context.Canceled):
			g.membership.left(ctx, client.Explain(err, g.cfg.Config))
		case session.endReason != nil:
			g.log.Warn("kafka consumer: the session ended, joining anew", "reason", session.endReason)
		default:
			// A rebalance is no failure: it does not count towards the backoff.
			retry.Wait(ctx, retryBackoff.Delays().NextBackOff())
			continue
		}
		if session.progressed {
			delays.Reset()
		}
		retry.Wait(ctx, delays.NextBackOff())
	}
	return nil
}

// checkTopic is Client.CheckTopic, unless the topic is missing now and existed before: a
// broker that has just started may not know all topics yet.
func (g *Group) checkTopic(conn *client.Client, topic string, partitions int) error {
	err := conn.CheckTopic(topic, partitions)
	var wrong *kafka.TopicError
	if errors.As(err, &wrong) && wrong.Have == 0 && g.membership.hasJoined() {
		return nil
	}
	return err
}

// isFatal reports whether no retry can succeed.
func isFatal(err error) bool {
	return client.IsFatal(err) && !kafka.IsMissing(err) || errors.Is(err, errHandlerStuck)
}

func (g *Group) newTracker(partition int32, log kafka.PartitionLog) quarantine.Tracker {
	return quarantine.NewTracker(g.cfg.Quarantine, g.owner, func() int64 { return g.revisions.Add(1) }, partition, log)
}

// LogEndOffsets requests each partition's last stable offset: a reader gets no record
// from there on, because the next one is not written yet or its transaction is open. It
// works before and during Run. The error joins ctx's, if that has ended.
func (g *Group) LogEndOffsets(ctx context.Context) (ends map[int32]int64, err error) {
	err = g.requests.Do(ctx, func(c *client.Client) error {
		ends, err = c.Offsets(g.cfg.Topic, sarama.OffsetNewest)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of topic %q: %w", g.cfg.Topic, client.Explain(err, g.cfg.Config))
	}
	return ends, nil
}

// currentTopicID requests the id that the topic has now.
func (g *Group) currentTopicID(ctx context.Context) (id string, err error) {
	err = g.requests.Do(ctx, func(c *client.Client) error {
		id, err = c.TopicID(g.cfg.Topic)
		return err
	})
	return id, err
}
