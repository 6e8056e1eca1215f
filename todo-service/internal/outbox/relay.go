package outbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/task"
)

// The cursors of the event log. Each has its own forwarder: an outage of Kafka does
// not stop the live feed.
const (
	Kafka    = "kafka"
	LiveFeed = "live"
)

// EventLog is the event log of the database, with its cursors.
type EventLog interface {
	// ForwardBatch passes at most limit events after the cursor to send, in order, and
	// advances the cursor once send has returned nil. It lets in one caller at a
	// time, over all processes; the others wait. It returns how many events were
	// sent. Fewer than limit means that nothing committed before the call is left.
	ForwardBatch(ctx context.Context, cursor string, limit int, send func(ctx context.Context, batch []task.Announcement) error) (int, error)
	// Backlog returns how many events are after the cursor, and the time of the
	// oldest of them (the zero time when there is none).
	Backlog(ctx context.Context, cursor string) (events int64, oldest time.Time, err error)
	// AssignSequence assigns a seq to at most limit events that have none. ForwardBatch does
	// the same before it reads.
	AssignSequence(ctx context.Context, limit int) error
}

// Sender publishes announcements to the receivers of one cursor. Batches come in seq
// order; after an error the same announcements come again.
type Sender func(ctx context.Context, batch []task.Announcement) error

// Config holds the dependencies of a Relay.
type Config struct {
	EventLog   EventLog
	Kafka      Sender
	CheckTopic func(context.Context) error // called before the first batch goes to Kafka; another number of partitions ends the relay
	Live       Sender
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

const (
	maxBatchSize   = 2000             // events in one batch: some 13 MB if every title has the largest size
	pollInterval   = time.Second      // between two polls for events of processes that died before they woke their relay
	sendTimeout    = 10 * time.Second // of one batch; below the 15 s after which the database ends an idle transaction
	stallTimeout   = 15 * time.Second // for the database to return a batch, and again to advance the cursor after sending
	backlogTimeout = 5 * time.Second  // of one measurement of a backlog
	drainTimeout   = 3 * time.Second  // for the batch in flight when the relay stops
)

// Relay forwards the event log to Kafka and to the live feed.
type Relay struct {
	cfg         Config
	kafka, live *forwarder
	oldest      *prometheus.GaugeVec
	backlog     *prometheus.GaugeVec
}

// NewRelay returns a Relay. It forwards while Run runs.
func NewRelay(cfg Config) *Relay {
	metrics := promauto.With(cfg.Metrics)
	return &Relay{
		cfg:   cfg,
		kafka: newForwarder(Kafka, cfg.EventLog, cfg.Kafka, cfg.Log),
		live:  newForwarder(LiveFeed, cfg.EventLog, cfg.Live, cfg.Log),
		oldest: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "todo_outbox_oldest_seconds",
			Help: "Age of the oldest event not yet sent; 0 when all are.",
		}, []string{"cursor"}),
		backlog: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "todo_outbox_backlog_events",
			Help: "Events not yet sent.",
		}, []string{"cursor"}),
	}
}

// Wake makes both forwarders look for new events. It never blocks, and may be called
// by several goroutines.
func (r *Relay) Wake() {
	r.kafka.wake()
	r.live.wake()
}

// Run forwards until ctx ends, finishes the batches in flight within drainTimeout,
// and returns nil. It retries while the database or Kafka is unavailable. It returns
// a *kafka.TopicError if the topic has another number of partitions; no record was sent then.
func (r *Relay) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { _ = r.live.run(ctx) }) // returns no error: only Kafka has a topic
	loops.Go(func() { poll(ctx, r.observeBacklog) })
	loops.Go(func() {
		// Readers of the event log need the seqs also while no forwarder gets through: while
		// Kafka and Redis are both unavailable, or a frozen replica holds the cursors.
		poll(ctx, func(ctx context.Context) { _ = r.cfg.EventLog.AssignSequence(ctx, maxBatchSize) }) // the forwarders log an outage of the database
	})
	defer loops.Wait()
	defer cancel()

	if err := r.kafka.retry(ctx, r.cfg.CheckTopic); err != nil {
		return err
	}
	return r.kafka.run(ctx)
}

// observeBacklog updates the metrics, also while a forwarder waits for the end of an outage.
func (r *Relay) observeBacklog(ctx context.Context) {
	for _, cursor := range []string{Kafka, LiveFeed} {
		events, oldest, err := r.readBacklog(ctx, cursor)
		if err != nil {
			continue // the forwarders log an outage of the database
		}
		age := 0.0
		if !oldest.IsZero() {
			age = max(0, time.Since(oldest).Seconds())
		}
		r.backlog.WithLabelValues(cursor).Set(float64(events))
		r.oldest.WithLabelValues(cursor).Set(age)
	}
}

// poll calls fn at once, and then every pollInterval until ctx ends.
func poll(ctx context.Context, fn func(context.Context)) {
	for running := true; running; running = retry.Wait(ctx, pollInterval) {
		fn(ctx)
	}
}

func (r *Relay) readBacklog(ctx context.Context, cursor string) (events int64, oldest time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	return r.cfg.EventLog.Backlog(ctx, cursor)
}
