package outbox_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/todo-service/internal/outbox"
)

func TestPurgerDeletesAllOldEventsOnceAMinuteUnderItsLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var events atomic.Int64
		var lockedElsewhere atomic.Bool
		events.Store(2500)
		purged := prometheus.NewCounter(prometheus.CounterOpts{Name: "purged"})
		p := outbox.Purger{
			Purge: func(_ context.Context, age time.Duration, limit int) (int, error) {
				if age != 72*time.Hour {
					t.Errorf("purged events older than %v", age)
				}
				n := min(events.Load(), int64(limit))
				events.Add(-n)
				return int(n), nil
			},
			WithLock: func(ctx context.Context, work func(context.Context) error) error {
				if lockedElsewhere.Load() {
					return nil
				}
				return work(ctx)
			},
			Age: 72 * time.Hour, Log: slog.New(slog.DiscardHandler), Purged: purged,
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		if left := events.Load(); left != 0 {
			t.Errorf("%d old events are left", left)
		}
		for locked, want := range map[bool]int64{true: 10, false: 0} {
			lockedElsewhere.Store(locked)
			events.Store(10)
			<-time.After(5 * time.Minute)
			if left := events.Load(); left != want {
				t.Errorf("%d old events are left while locked by another replica is %t, want %d", left, locked, want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if counted := testutil.ToFloat64(purged); counted != 2510 {
			t.Errorf("%v purged events are counted, want 2510", counted)
		}
	})
}
