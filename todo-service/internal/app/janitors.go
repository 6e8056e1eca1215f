package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	goredis "github.com/redis/go-redis/v9"

	"example.com/todo/platform/janitor"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/redis"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// newPurger returns the janitor of the event log. Without one the log grows for ever; the
// events are the tasks' history, and watchers catch up from them. The stage is empty where
// events are kept for ever.
func newPurger(cfg Config, store *pgstore.Store, state goredis.UniversalClient, log *slog.Logger, metrics prometheus.Registerer) lifecycle.Stage {
	if cfg.Outbox.PurgeAfter == 0 {
		return nil
	}
	outage := retry.NewOutage(log, "outbox purger: deleting old events failed, retrying", "outbox purger: deleting old events again")
	purge := newPurge(cfg, store, state, log, metrics)
	return lifecycle.Stage{lifecycle.Func(func(ctx context.Context) error { return janitor.Run(ctx, outage, purge) })}
}

// newPurge returns a function that deletes all old events while it holds a Redis lock. It
// does nothing if another replica holds the lock.
func newPurge(cfg Config, store *pgstore.Store, state goredis.UniversalClient, log *slog.Logger, metrics prometheus.Registerer) func(context.Context) error {
	purged := promauto.With(metrics).NewCounter(prometheus.CounterOpts{
		Name: "todo_outbox_purged_events_total",
		Help: "Events removed from the database because of their age.",
	})
	purge := func(ctx context.Context, _ string) error {
		total, err := janitor.DeleteAll(ctx, func(ctx context.Context, limit int) (int, error) {
			n, err := store.Purge(ctx, cfg.Outbox.PurgeAfter, limit)
			purged.Add(float64(n))
			return n, err
		})
		if err == nil && total > 0 {
			log.InfoContext(ctx, "outbox purger: deleted old events", "events", total, "older_than", cfg.Outbox.PurgeAfter)
		}
		return err
	}
	return func(ctx context.Context) error {
		err := redis.WithLock(ctx, state, cfg.Redis.KeyPrefix+"lock:purge", purge)
		if errors.As(err, new(*redis.LockedError)) {
			return nil
		}
		return err
	}
}

// keyRetention is the age from which on a key is deleted. It exceeds the TTL by an hour,
// so that a replica whose clock is behind does not miss a key that it still honours.
const keyRetention = task.IdempotencyKeyTTL + time.Hour

// newKeyJanitor returns the janitor of expired idempotency keys. It needs no lock: every
// replica runs one, and what one deletes the others do not find.
func newKeyJanitor(store *pgstore.Store, log *slog.Logger, metrics prometheus.Registerer) lifecycle.Part {
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "todo_idempotent_replays_total",
		Help: "Creations answered with the task that an earlier request with the same Idempotency-Key made.",
	}, func() float64 { return float64(store.IdempotentReplays()) }))
	outage := retry.NewOutage(log, "idempotency janitor: deleting expired keys failed, retrying", "idempotency janitor: deleting expired keys again")
	deleteExpired := func(ctx context.Context) error {
		_, err := janitor.DeleteAll(ctx, func(ctx context.Context, limit int) (int, error) {
			deleted, err := store.DeleteExpiredKeys(ctx, time.Now().Add(-keyRetention), limit)
			return int(deleted), err
		})
		return err
	}
	return lifecycle.Func(func(ctx context.Context) error { return janitor.Run(ctx, outage, deleteExpired) })
}
