package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/janitor"
	"example.com/todo/platform/retry"
)

// PurgerConfig holds the dependencies of a Purger.
type PurgerConfig struct {
	// Purge deletes at most limit events that are older than age and before all
	// cursors, and returns how many. Fewer than limit means that none is left.
	Purge func(ctx context.Context, age time.Duration, limit int) (int, error)
	// WithLock calls work while this replica holds a lock. It returns nil without a
	// call when another replica holds it.
	WithLock func(ctx context.Context, work func(context.Context) error) error
	Age      time.Duration // from which on an event is purged
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// Purger is the janitor of the event log. Without one the log grows for ever; the
// events are the tasks' history, and watchers catch up from them.
type Purger struct {
	cfg    PurgerConfig
	purged prometheus.Counter
}

// NewPurger returns a Purger. It purges while Run runs.
func NewPurger(cfg PurgerConfig) *Purger {
	p := &Purger{cfg: cfg, purged: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "todo_outbox_purged_events_total",
		Help: "Events removed from the database because of their age.",
	})}
	cfg.Metrics.MustRegister(p.purged)
	return p
}

// Run purges once a minute until ctx ends, and returns nil. A failed pass is repeated
// in a minute.
func (p *Purger) Run(ctx context.Context) error {
	outage := retry.NewOutage(p.cfg.Log, "outbox purger: deleting old events failed, retrying", "outbox purger: deleting old events again")
	return janitor.Run(ctx, outage, func(ctx context.Context) error { return p.cfg.WithLock(ctx, p.purge) })
}

func (p *Purger) purge(ctx context.Context) error {
	total, err := janitor.DeleteAll(ctx, func(ctx context.Context, limit int) (int, error) {
		n, err := p.cfg.Purge(ctx, p.cfg.Age, limit)
		if err == nil {
			p.purged.Add(float64(n))
		}
		return n, err
	})
	if err == nil && total > 0 {
		p.cfg.Log.InfoContext(ctx, "outbox purger: deleted old events", "events", total, "older_than", p.cfg.Age)
	}
	return err
}
