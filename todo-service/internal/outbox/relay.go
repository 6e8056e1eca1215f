// Package outbox brings what is committed to those who wait for it: each event
// of the database's log goes to Kafka and to the live feed, in order, at least
// once, whatever fails in between.
package outbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/todo-service/internal/task"
)

// The cursors of the log. They move on their own: Kafka being away does not
// stop the live feed.
const (
	Kafka    = "kafka"
	LiveFeed = "live"
)

// EventLog is the database's log of events.
type EventLog interface {
	// Drain hands at most limit entries behind the cursor to send, in order, and
	// moves the cursor behind them once send has returned nil. One caller at a
	// time is let in, of all processes; the others wait. It returns how many
	// were sent; fewer than limit means that nothing committed before the call
	// is left.
	Drain(ctx context.Context, cursor string, limit int, send func(ctx context.Context, batch []task.Announcement) error) (int, error)
	// Backlog returns how many events lie behind the cursor, and when the oldest
	// of them happened (the zero time when there are none).
	Backlog(ctx context.Context, cursor string) (events int64, oldest time.Time, err error)
	// Number gives events that have none their place in the log, at most limit; so
	// does each Drain that gets that far.
	Number(ctx context.Context, limit int) error
}

// Sender brings entries, which come in order, to those behind one cursor. After
// an error the same ones come again.
type Sender interface {
	Send(ctx context.Context, batch []task.Announcement) error
}

// Config is what a Relay works with.
type Config struct {
	EventLog   EventLog
	Kafka      Sender
	CheckTopic func(context.Context) error // asked before the first entry goes to Kafka; a *kafka.TopicError is final
	Live       Sender
	Log        *slog.Logger
	Metrics    prometheus.Registerer
}

const (
	maxBatchSize   = 2000             // entries in one pass, some 13 MB when every title is as long and odd as it may be
	pollInterval   = time.Second      // finds what another process committed and did not live to announce
	sendTimeout    = 10 * time.Second // one batch; below the 15 s after which the database gives up on a silent relay
	stallTimeout   = 15 * time.Second // after which the relay gives up on a silent database: until it has a batch, and from then on
	backlogTimeout = 5 * time.Second  // one look at the backlog
	drainTimeout   = 3 * time.Second  // what a pass in hand gets to finish once the relay is told to stop
)

// Relay moves both cursors.
type Relay struct {
	cfg         Config
	kafka, live *forwarder
	oldest      *prometheus.GaugeVec
	backlog     *prometheus.GaugeVec
}

// NewRelay returns a relay that works when it is run.
func NewRelay(cfg Config) *Relay {
	r := &Relay{
		cfg:   cfg,
		kafka: newForwarder(Kafka, cfg.EventLog, cfg.Kafka, cfg.Log),
		live:  newForwarder(LiveFeed, cfg.EventLog, cfg.Live, cfg.Log),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "todo_outbox_oldest_seconds",
			Help: "Age of the oldest event not yet sent; 0 when all are.",
		}, []string{"cursor"}),
		backlog: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "todo_outbox_backlog_events",
			Help: "Events not yet sent.",
		}, []string{"cursor"}),
	}
	cfg.Metrics.MustRegister(r.oldest, r.backlog)
	return r
}

// Wake says that something was committed. It never blocks.
func (r *Relay) Wake() {
	r.kafka.wake()
	r.live.wake()
}

// Run relays until ctx ends, finishes the batches in hand, for a few seconds at
// most, and returns nil. It waits for the database and for Kafka when they are
// away. It returns a *kafka.TopicError when the topic is not what the
// configuration says, and has then sent nothing there.
func (r *Relay) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var others sync.WaitGroup
	others.Go(func() { _ = r.live.run(ctx) }) // only a topic makes a lane give up
	others.Go(func() { r.observeBacklog(ctx) })
	others.Go(func() { r.assignSequences(ctx) })
	defer others.Wait()
	defer cancel()

	if err := r.kafka.retry(ctx, r.cfg.CheckTopic); err != nil {
		return err
	}
	return r.kafka.run(ctx)
}

// assignSequences lets those who read the log go on while no lane gets through: Kafka and Redis
// are both away, or a replica that froze in a pass keeps all others waiting.
func (r *Relay) assignSequences(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_ = r.cfg.EventLog.Number(ctx, maxBatchSize) // the lanes say so
	}
}

// observeBacklog keeps the metrics fresh, also while a lane waits for an outage to end.
func (r *Relay) observeBacklog(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		for _, cursor := range []string{Kafka, LiveFeed} {
			events, oldest, err := r.readBacklog(ctx, cursor)
			if err != nil {
				continue // the lanes say so
			}
			age := 0.0
			if !oldest.IsZero() {
				age = max(0, time.Since(oldest).Seconds())
			}
			r.backlog.WithLabelValues(cursor).Set(float64(events))
			r.oldest.WithLabelValues(cursor).Set(age)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *Relay) readBacklog(ctx context.Context, cursor string) (events int64, oldest time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, backlogTimeout)
	defer cancel()
	return r.cfg.EventLog.Backlog(ctx, cursor)
}
