package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/janitor"
	"example.com/todo/platform/retry"
)

// Purger is the janitor of the event log. Without one the log grows for ever; the
// events are the tasks' history, and watchers catch up from them.
type Purger struct {
	// Purge deletes at most limit events that are older than age and before all
	// cursors, and returns how many. Fewer than limit means that none is left.
	Purge func(ctx context.Context, age time.Duration, limit int) (int, error)
	// WithLock calls work while this replica holds a lock. It returns nil without a
	// call when another replica holds it.
	WithLock func(ctx context.Context, work func(context.Context) error) error
	Age      time.Duration // from which on an event is purged
	Log      *slog.Logger
	Purged   prometheus.Counter
}

// Run purges once a minute until ctx ends, and returns nil. A failed pass is repeated
// in a minute.
func (p Purger) Run(ctx context.Context) error {
	outage := retry.NewOutage(p.Log, "outbox purger: deleting old events failed, retrying", "outbox purger: deleting old events again")
	return janitor.Run(ctx, outage, func(ctx context.Context) error { return p.WithLock(ctx, p.purge) })
}

func (p Purger) purge(ctx context.Context) error {
	total, err := janitor.DeleteAll(ctx, func(ctx context.Context, limit int) (int, error) {
		n, err := p.Purge(ctx, p.Age, limit)
		if err == nil {
			p.Purged.Add(float64(n))
		}
		return n, err
	})
	if err == nil && total > 0 {
		p.Log.InfoContext(ctx, "outbox purger: deleted old events", "events", total, "older_than", p.Age)
	}
	return err
}
