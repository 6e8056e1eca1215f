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

// attic is a log with old entries, and whether they may be taken out.
type attic struct {
	mu    sync.Mutex
	old   int
	busy  bool // another replica is at it
	fails error
	calls int
}

func (a *attic) purge(_ context.Context, _ time.Duration, limit int) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	n := min(a.old, limit)
	a.old -= n
	return n, a.fails
}

func (a *attic) alone(ctx context.Context, work func(context.Context) error) error {
	a.mu.Lock()
	busy := a.busy
	a.mu.Unlock()
	if busy {
		return nil
	}
	return work(ctx)
}

// is makes the attic so and tells what is left in it some minutes later.
func (a *attic) is(old int, busy bool, fails error) (left int) {
	a.mu.Lock()
	a.old, a.busy, a.fails = old, busy, fails
	a.mu.Unlock()
	<-time.After(5 * time.Minute)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.old
}

func TestPurgerTakesAllThatIsOldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &attic{old: 2500}
		var said bytes.Buffer
		registry := prometheus.NewRegistry()
		p := outbox.NewPurger(outbox.PurgerConfig{
			Purge: a.purge, WithLock: a.alone, Age: 72 * time.Hour,
			Log: slog.New(slog.NewTextHandler(&said, nil)), Metrics: registry,
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		if a.old != 0 || a.calls != 3 {
			t.Errorf("%d are left after %d calls", a.old, a.calls)
		}
		if left := a.is(10, true, nil); left != 10 {
			t.Error("purged although another replica is at it")
		}
		a.is(0, false, errors.New("away"))
		if left := a.is(7, false, nil); left != 0 {
			t.Errorf("%d are left after an outage", left)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if warned := strings.Count(said.String(), "level=WARN"); warned != 1 {
			t.Errorf("an outage should be said once, not:\n%s", &said)
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if counted := families[0].Metric[0].Counter.GetValue(); counted != 2507 {
			t.Errorf("%v are counted, want 2507", counted)
		}
	})
}
