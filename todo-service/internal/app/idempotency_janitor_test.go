package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
)

func TestKeyJanitorDeletesAllExpiredKeys(t *testing.T) {
	t.Parallel()
	db := openDatabase(t, migratedDatabase(t))
	db.MustExec(`INSERT INTO idempotency_keys (key, event_id, task_id, title, priority, created_at)
		SELECT n::text, gen_random_uuid(), n, 'A', 0, $1::timestamptz - n * interval '1 second' FROM generate_series(1, 2500) AS n`,
		time.Now().Add(-keyRetention))
	db.MustExec(`INSERT INTO idempotency_keys (key, event_id, task_id, title, priority, created_at)
		VALUES ('valid', gen_random_uuid(), 1, 'A', 0, $1)`, time.Now().Add(-keyRetention+time.Minute))
	k := newKeyJanitor(pgstore.New(db), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	testenv.Eventually(t, "only the valid key is left", func() bool {
		var left []string
		err := db.Select(&left, `SELECT key FROM idempotency_keys`)
		return err == nil && len(left) == 1 && left[0] == "valid"
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
