package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/retry"
)

const (
	purgePause = time.Minute // between two looks at what has become old
	purgeLimit = 1000        // entries in one statement
	purgeTime  = 10 * time.Second
)

// PurgerConfig is what a Purger works with.
type PurgerConfig struct {
	// Purge removes at most limit entries older than age that all cursors have
	// passed, and returns how many: fewer than limit means that no more are left.
	Purge func(ctx context.Context, age time.Duration, limit int) (int, error)
	// WithLock does the work unless another replica is at it, which is no error.
	WithLock func(ctx context.Context, work func(context.Context) error) error
	Age      time.Duration // how old an entry has to be
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// Purger keeps the log from growing for ever, where an operator wants that: the
// events are also the tasks' history and what watchers catch up from.
type Purger struct {
	cfg    PurgerConfig
	purged prometheus.Counter
}

// NewPurger returns a purger that works when it is run.
func NewPurger(cfg PurgerConfig) *Purger {
	p := &Purger{cfg: cfg, purged: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "todo_outbox_purged_events_total",
		Help: "Events removed from the database because of their age.",
	})}
	cfg.Metrics.MustRegister(p.purged)
	return p
}

// Run purges once a minute until ctx ends, and returns nil. What fails is tried
// again the next time.
func (p *Purger) Run(ctx context.Context) error {
	outage := retry.NewOutage(p.cfg.Log, "old events can not be purged", "old events are purged again")
	for {
		err := p.cfg.WithLock(ctx, p.pass)
		if ctx.Err() == nil {
			outage.Record(ctx, err)
		}
		if !retry.Wait(ctx, purgePause) {
			return nil
		}
	}
}

func (p *Purger) pass(ctx context.Context) error {
	total := 0
	for n := purgeLimit; n == purgeLimit; {
		bounded, cancel := context.WithTimeout(ctx, purgeTime)
		var err error
		n, err = p.cfg.Purge(bounded, p.cfg.Age, purgeLimit)
		cancel()
		if err != nil {
			return err
		}
		p.purged.Add(float64(n))
		total += n
	}
	if total > 0 {
		p.cfg.Log.InfoContext(ctx, "purged old events", "events", total, "older_than", p.cfg.Age)
	}
	return nil
}
