package watch_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/watch"
)

// frozenEventLog returns only when its context ends.
type frozenEventLog struct{}

func (frozenEventLog) After(ctx context.Context, _ int64, _ int) ([]task.Announcement, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (frozenEventLog) Bounds(ctx context.Context) (task.EventLogRange, error) {
	<-ctx.Done()
	return task.EventLogRange{}, ctx.Err()
}

func TestWatchFailsWithinSecondsWhenTheEventLogIsFrozen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := watch.NewHub(&lossyFeed{}, frozenEventLog{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		start := time.Now()
		_, err := hub.Watch(t.Context(), "7")
		if took := time.Since(start); apperr.Of(err).Kind != apperr.Unavailable || took > 10*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
