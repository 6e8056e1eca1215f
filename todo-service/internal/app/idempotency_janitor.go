package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

const (
	keyRetention = task.IdempotencyKeyTTL + time.Hour // no replica's clock is so far behind as to miss a key that is gone
	keysBatch    = 1000
	keysPause    = time.Minute
	keysTimeout  = 10 * time.Second // of one batch
)

// keyJanitor removes the Idempotency-Keys that no longer stand for anything. Every
// replica does: a batch is short, and what one removes the others do not find.
type keyJanitor struct {
	store *pgstore.Store
	log   *slog.Logger
}

func newKeyJanitor(store *pgstore.Store, log *slog.Logger, metrics prometheus.Registerer) *keyJanitor {
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "todo_idempotent_replays_total",
		Help: "Creations answered with the task that an earlier request with the same Idempotency-Key made.",
	}, func() float64 { return float64(store.Replays()) }))
	return &keyJanitor{store: store, log: log}
}

// Run removes them until ctx ends.
func (k *keyJanitor) Run(ctx context.Context) error {
	outage := retry.NewOutage(k.log, "old idempotency keys are not removed for now", "old idempotency keys are removed again")
	for {
		err := k.pass(ctx)
		if ctx.Err() == nil {
			outage.Record(ctx, err)
		}
		if !retry.Wait(ctx, keysPause) {
			return nil
		}
	}
}

func (k *keyJanitor) pass(ctx context.Context) error {
	for removed := int64(keysBatch); removed == keysBatch; {
		batch, cancel := context.WithTimeout(ctx, keysTimeout)
		var err error
		removed, err = k.store.ForgetKeys(batch, time.Now().Add(-keyRetention), keysBatch)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
