package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/todo-service/internal/outbox"
)

// fakePurge holds old events and the lock of the purge.
type fakePurge struct {
	mu              sync.Mutex
	oldEvents       int
	lockedElsewhere bool // another replica holds the lock
	err             error
	calls           int
}

func (a *fakePurge) purge(_ context.Context, _ time.Duration, limit int) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	n := min(a.oldEvents, limit)
	a.oldEvents -= n
	return n, a.err
}

func (a *fakePurge) withLock(ctx context.Context, work func(context.Context) error) error {
	a.mu.Lock()
	busy := a.lockedElsewhere
	a.mu.Unlock()
	if busy {
		return nil
	}
	return work(ctx)
}

// leftAfter sets the fields, and returns how many old events are left five minutes later.
func (a *fakePurge) leftAfter(old int, busy bool, fails error) (left int) {
	a.mu.Lock()
	a.oldEvents, a.lockedElsewhere, a.err = old, busy, fails
	a.mu.Unlock()
	<-time.After(5 * time.Minute)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.oldEvents
}

func TestPurgerDeletesAllOldEventsOnceAMinuteUnderItsLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &fakePurge{oldEvents: 2500}
		var logs bytes.Buffer
		registry := prometheus.NewRegistry()
		p := outbox.NewPurger(outbox.PurgerConfig{
			Purge: a.purge, WithLock: a.withLock, Age: 72 * time.Hour,
			Log: slog.New(slog.NewTextHandler(&logs, nil)), Metrics: registry,
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		if a.oldEvents != 0 || a.calls != 3 {
			t.Errorf("%d old events are left after %d calls", a.oldEvents, a.calls)
		}
		if left := a.leftAfter(10, true, nil); left != 10 {
			t.Error("purged while another replica holds the lock")
		}
		a.leftAfter(0, false, errors.New("away"))
		if left := a.leftAfter(7, false, nil); left != 0 {
			t.Errorf("%d old events are left after an outage", left)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if warned := strings.Count(logs.String(), "level=WARN"); warned != 1 {
			t.Errorf("want one warning for the outage, got:\n%s", &logs)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if purged := families[0].Metric[0].Counter.GetValue(); purged != 2507 {
			t.Errorf("%v purged events are counted, want 2507", purged)
		}
	})
}
