package kafka

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// GroupConfig says what a Group reads.
type GroupConfig struct {
	Config
	Group string // the consumer group's name
	Topic string // what it reads
	DLQ   string // the topic for records that can not be handled
	// Quarantine finds out which record kills the process; none when it is nil.
	Quarantine QuarantineStore
}

// Group reads a topic as a member of a consumer group and has a Handler do the
// work. Each record is handled at least once, those of a partition in order;
// the group's offset moves only past what was handled or dead-lettered.
type Group struct {
	cfg            GroupConfig
	handler        Handler
	log            *slog.Logger
	metrics        *metrics
	membership     *membership
	dlqProducer    *Producer
	surveyor       *surveyor
	owner          string              // names this group, in this process, in its marks
	revisions      atomic.Int64        // numbers them
	exclusive      *semaphore.Weighted // for the calls of the handler
	handlerTimeout time.Duration       // of each of them
}

// NewGroup returns a group that joins when it is run. A handler that is a
// Ledger too decides where its partitions begin. The metrics registered carry
// the group's name, so one registry takes one group of a name.
func NewGroup(cfg GroupConfig, h Handler, log *slog.Logger, reg prometheus.Registerer) *Group {
	log = log.With("group", cfg.Group, "topic", cfg.Topic)
	// A batch of some kB may unpack to many MB, and each of its records to a letter.
	letters := NewProducer(cfg.Config)
	letters.codec = sarama.CompressionZSTD
	return &Group{
		cfg:            cfg,
		handler:        h,
		log:            log,
		metrics:        newMetrics(reg, cfg.Group),
		membership:     &membership{log: log},
		dlqProducer:    letters,
		surveyor:       newSurveyor(cfg.Config, cfg.Topic),
		owner:          rand.Text(),
		exclusive:      semaphore.NewWeighted(exclusiveWeight),
		handlerTimeout: handlerTimeout,
	}
}

// Run reads until ctx ends; it then finishes the batches in hand, within five
// seconds, commits, leaves the group (a static member stays, to be back soon)
// and returns nil. It waits for Kafka whenever that is away. Any other error is
// one that waiting does not cure: a *TopicError when the topic or the one for
// dead letters is missing at the start, or the topic has another number of
// partitions than configured, settings that make no sense, or a handler that does
// not return: the process must end, for that handler still holds what it holds.
// A Group runs once.
func (g *Group) Run(ctx context.Context) error {
	defer func() { _ = g.dlqProducer.Close() }()
	defer g.surveyor.close()
	defer g.trackLag(ctx)()
	var between pause
	for ctx.Err() == nil {
		err := g.runMembership(ctx, &between)
		if ctx.Err() != nil && !errors.Is(err, errHandlerStuck) {
			break
		}
		if IsFatal(err) {
			return fmt.Errorf("consumer group %q: %w", g.cfg.Group, err)
		}
		g.membership.left(err)
		if between.wait(ctx) != nil {
			break
		}
	}
	return nil
}

// Ready returns nil while the group is a member with its partitions assigned,
// and otherwise an error that says why it is not.
func (g *Group) Ready(context.Context) error { return g.membership.readyErr() }

// LogEndOffsets returns each partition's last stable offset: a reader is given no record
// from there on, for the next one is not written yet or its transaction is open.
// It works before and during Run, and asks Kafka each time.
func (g *Group) LogEndOffsets(ctx context.Context) (map[int32]int64, error) {
	return g.surveyor.ends(ctx)
}

func (g *Group) newTracker(partition int32, log PartitionLog) Tracker {
	return Tracker{
		State:        State{Owner: g.owner},
		store:        g.cfg.Quarantine,
		partition:    partition,
		log:          log,
		nextRevision: func() int64 { return g.revisions.Add(1) },
	}
}

// trackLag keeps the lag known, until the returned function is called.
func (g *Group) trackLag(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { g.metrics.lag.track(ctx, g.surveyor.ends) })
	return func() {
		cancel()
		following.Wait()
	}
}

// runMembership is a member of the group until ctx ends or the membership has to begin
// anew.
func (g *Group) runMembership(ctx context.Context, between *pause) error {
	conn, err := connectRefreshing(g.cfg.Config, metadataRefresh)
	if err != nil {
		return err
	}
	defer conn.close()
	farewell := &shutdownGuard{ctx: ctx, conn: conn}
	defer context.AfterFunc(ctx, farewell.closeWhenIdle)()
	if err := g.checkTopics(conn); err != nil {
		return err
	}
	// Its own client, which asks for the high-water mark: a group's offset may lie beyond the last stable one.
	members, err := sarama.NewConsumerGroupFromClient(g.cfg.Group, conn.Client)
	if err != nil {
		return err
	}
	defer func() { _ = members.Close() }()
	go g.logErrors(members.Errors())
	for ctx.Err() == nil {
		session := &session{group: g, conn: conn, consumerGroup: members, guard: farewell}
		err := members.Consume(ctx, []string{g.cfg.Topic}, session)
		switch {
		case errors.Is(session.endReason, errHandlerStuck):
			return session.endReason
		case ctx.Err() != nil:
			return nil
		case IsFatal(err), errors.Is(err, sarama.ErrFencedInstancedId), errors.Is(err, sarama.ErrClosedConsumerGroup):
			return err
		case err != nil && !errors.Is(err, context.Canceled):
			g.membership.left(err)
		case session.endReason != nil:
			g.log.Warn("the session was ended, to begin again", "reason", session.endReason)
		default: // a rebalance
			var breath pause
			_ = breath.wait(ctx)
			continue
		}
		if session.progressed {
			between.reset()
		}
		_ = between.wait(ctx)
	}
	return nil
}

// checkTopics looks for both topics. Without the one for dead letters the first
// of these would hold its partition for ever.
func (g *Group) checkTopics(conn *Client) error {
	if err := checkTopic(conn, g.cfg.Topic, g.cfg.Partitions); err != nil && !g.isTransientlyMissing(err) {
		return err
	}
	if err := checkTopic(conn, g.cfg.DLQ, 0); err != nil && !g.isTransientlyMissing(err) {
		return err
	}
	return nil
}

// isTransientlyMissing tells whether a topic that is missing now was there before: a
// broker that has just started may not know all topics yet.
func (g *Group) isTransientlyMissing(err error) bool {
	var wrong *TopicError
	return errors.As(err, &wrong) && wrong.Have == 0 && g.membership.hasJoined()
}

// IsFatal tells whether waiting is in vain.
func IsFatal(err error) bool {
	var wrong *TopicError
	var misconfigured sarama.ConfigurationError
	return errors.As(err, &wrong) || errors.As(err, &misconfigured) || errors.Is(err, errHandlerStuck)
}

// logErrors says what Sarama reports on the side. A connection that fails is a
// detail: should Kafka be away, the membership is lost too, and that is said
// once. All else is a warning, the same one once a minute, and the group is not
// ready, unless it is about the membership, which is known.
func (g *Group) logErrors(failures <-chan error) {
	var last string
	var at time.Time
	for err := range failures {
		if IsConnectionError(err) {
			g.log.Debug("a connection to Kafka fails", "error", err)
			continue
		}
		g.metrics.reported.Inc()
		if !isMembershipError(err) {
			g.membership.lastReport.Store(&reportedError{err: err, at: time.Now()})
		}
		if text := err.Error(); text != last || time.Since(at) > time.Minute {
			last, at = text, time.Now()
			g.log.Warn("Kafka or its client reports an error", "error", err)
		}
	}
}

// IsConnectionError tells whether the error is about reaching Kafka.
func IsConnectionError(err error) bool {
	var network net.Error
	var call syscall.Errno
	return errors.As(err, &network) || errors.As(err, &call) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, sarama.ErrOutOfBrokers) || errors.Is(err, sarama.ErrBrokerNotAvailable) ||
		errors.Is(err, sarama.ErrNotConnected) || errors.Is(err, sarama.ErrClosedClient)
}

// isMembershipError tells whether the error ends or delays a membership.
func isMembershipError(err error) bool {
	var refusal sarama.KError
	if !errors.As(err, &refusal) {
		return false
	}
	switch refusal {
	case sarama.ErrRebalanceInProgress, sarama.ErrIllegalGeneration, sarama.ErrUnknownMemberId, sarama.ErrFencedInstancedId,
		sarama.ErrNotCoordinatorForConsumer, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrOffsetsLoadInProgress:
		return true
	default:
		return false
	}
}
