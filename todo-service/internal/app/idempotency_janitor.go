package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/janitor"
	"example.com/todo/platform/lifecycle"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

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
