package app

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
)

func TestPurgeDeletesAllOldEventsUnderItsLock(t *testing.T) {
	t.Parallel()
	cfg := withPostgresAndRedis(t)
	cfg.Outbox.PurgeAfter = 72 * time.Hour
	dsn, err := url.Parse(cfg.Postgres.DSN.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	db, registry := openDatabase(t, dsn), prometheus.NewRegistry()
	state, _, _ := openRedis(cfg, registry)
	defer state.Close()
	lock := cfg.Redis.KeyPrefix + "lock:purge"
	purge := newPurge(cfg, pgstore.New(db), state, slog.New(slog.DiscardHandler), registry)
	db.MustExec(`
		INSERT INTO events (id, seq, type, task_id, title, priority, done, created_at, version, at, traceparent)
		SELECT gen_random_uuid(), n, 'task.created', n, 'A', 0, false, now(), 1, now() - interval '73 hours', '' FROM generate_series(1, 2500) n;
		UPDATE stream SET head = 2500, kafka_seq = 2500, live_seq = 2500`)
	state.Set(t.Context(), lock, "another replica", time.Minute)
	for _, want := range []int{2500, 0} {
		if err := purge(t.Context()); err != nil {
			t.Error(err)
		}
		var left int
		if err := db.Get(&left, `SELECT count(*) FROM events`); err != nil || left != want {
			t.Errorf("%d events are left, want %d, error %v", left, want, err)
		}
		state.Del(t.Context(), lock)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader("# HELP todo_outbox_purged_events_total Events removed from the database because of their age.\n"+
		"# TYPE todo_outbox_purged_events_total counter\ntodo_outbox_purged_events_total 2500\n"), "todo_outbox_purged_events_total"); err != nil {
		t.Error(err)
	}
}

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
