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

// frozenLog answers nobody.
type frozenLog struct{}

func (frozenLog) After(ctx context.Context, _ int64, _ int) ([]task.Announcement, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (frozenLog) Bounds(ctx context.Context) (task.EventLogRange, error) {
	<-ctx.Done()
	return task.EventLogRange{}, ctx.Err()
}

func TestAWatchOfALogThatIsFrozenIsToldWithinSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hub := watch.NewHub(&lossyFeed{}, frozenLog{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		begun := time.Now()
		_, err := hub.Watch(t.Context(), "7")
		if took := time.Since(begun); apperr.Of(err).Kind != apperr.Unavailable || took > 10*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
