package admission_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/admission"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/task/storetest"
)

func TestAStoreKeepsItsContractBehindTheGate(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) task.Store {
		return admission.New(memstore.New(), admission.Config{InFlight: 64, ConcurrentSearches: 1}, prometheus.NewRegistry())
	})
}

// slow is a store that answers nobody before release is closed.
type slow struct {
	task.Store
	release chan struct{}
}

func (s slow) wait(ctx context.Context) error {
	select {
	case <-s.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slow) Get(ctx context.Context, _ int64) (task.Task, error) { return task.Task{}, s.wait(ctx) }

func (s slow) List(ctx context.Context, _ task.Query) ([]task.Task, error) { return nil, s.wait(ctx) }

func (s slow) Count(ctx context.Context, _ *bool) (int64, error) { return 0, s.wait(ctx) }

func (s slow) History(ctx context.Context, _, _ int64, _ int) ([]task.Event, error) {
	return nil, s.wait(ctx)
}

func (s slow) Create(ctx context.Context, _ task.Event, _ task.IdempotencyKey) (task.Task, error) {
	return task.Task{}, s.wait(ctx)
}

func (s slow) Update(ctx context.Context, _ int64, _ func(*task.Task) (*task.Event, error)) (task.Task, error) {
	return task.Task{}, s.wait(ctx)
}

// requests are what a store can be asked, by name.
var requests = map[string]func(context.Context, *admission.Store) error{
	"get":   func(ctx context.Context, s *admission.Store) error { _, err := s.Get(ctx, 1); return err },
	"list":  func(ctx context.Context, s *admission.Store) error { _, err := s.List(ctx, task.Query{}); return err },
	"count": func(ctx context.Context, s *admission.Store) error { _, err := s.Count(ctx, nil); return err },
	"history": func(ctx context.Context, s *admission.Store) error {
		_, err := s.History(ctx, 1, 0, 1)
		return err
	},
	"search": func(ctx context.Context, s *admission.Store) error {
		_, err := s.List(ctx, task.Query{Contains: "x"})
		return err
	},
	"create": func(ctx context.Context, s *admission.Store) error {
		_, err := s.Create(ctx, task.Event{}, task.IdempotencyKey{})
		return err
	},
	"update": func(ctx context.Context, s *admission.Store) error { _, err := s.Update(ctx, 1, nil); return err },
}

// crowd is a gate for 16 requests, of which 12 may read and 2 search, 1 at once.
type crowd struct {
	t       *testing.T
	store   *admission.Store
	metrics *prometheus.Registry
	release chan struct{}
}

func newCrowd(t *testing.T) crowd {
	c := crowd{t: t, metrics: prometheus.NewRegistry(), release: make(chan struct{})}
	c.store = admission.New(slow{release: c.release}, admission.Config{InFlight: 16, ConcurrentSearches: 1}, c.metrics)
	return c
}

// enter sends a request for each name, and wants all of them to be in flight.
func (c crowd) enter(n int, name string) {
	c.t.Helper()
	for range n {
		answered := make(chan error, 1)
		go func() { answered <- requests[name](context.Background(), c.store) }()
		synctest.Wait()
		select {
		case err := <-answered:
			c.t.Errorf("%s was answered: %v", name, err)
		default:
		}
	}
}

func (c crowd) refused(names ...string) {
	c.t.Helper()
	for _, name := range names {
		var refusal *apperr.Error
		err := requests[name](context.Background(), c.store)
		if !errors.As(err, &refusal) || refusal.Kind != apperr.Unavailable || refusal.RetryAfter <= 0 {
			c.t.Errorf("%s was not refused but got %v", name, err)
		}
	}
}

// counted wants so many to be in flight, and so many to have been refused, by what
// they wanted and not by what was full.
func (c crowd) counted(inFlight, reads, searches, writes int) {
	c.t.Helper()
	want := fmt.Sprintf(`
		# HELP todo_gate_in_flight Requests being worked on.
		# TYPE todo_gate_in_flight gauge
		todo_gate_in_flight %d
		# HELP todo_gate_refused_total Requests refused because too many were being worked on, by kind.
		# TYPE todo_gate_refused_total counter
		todo_gate_refused_total{kind="read"} %d
		todo_gate_refused_total{kind="search"} %d
		todo_gate_refused_total{kind="write"} %d
	`, inFlight, reads, searches, writes)
	if err := testutil.GatherAndCompare(c.metrics, strings.NewReader(want)); err != nil {
		c.t.Error(err)
	}
}

func TestReadsAreRefusedFirstAndWritesLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.enter(6, "get")
		c.enter(5, "list")
		c.enter(1, "count")
		c.refused("get", "list", "count", "history", "search")
		c.enter(2, "create")
		c.enter(2, "update")
		c.refused("create", "update", "get")
		c.counted(16, 5, 1, 2)
		close(c.release)
		synctest.Wait()
		for name, ask := range requests {
			if err := ask(context.Background(), c.store); err != nil {
				t.Errorf("%s when there is room again: %v", name, err)
			}
		}
	})
}

func TestWritesMayFillTheGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.enter(16, "create")
		c.refused("create", "get", "count", "search")
		c.counted(16, 2, 1, 1)
		close(c.release)
	})
}

func TestSearchesLeaveRoomToOtherReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.enter(2, "search")
		c.refused("search")
		c.enter(10, "get")
		c.refused("get")
		c.counted(12, 1, 1, 0)
		close(c.release)
	})
}

func TestASearchWaitsForItsTurnAndNoLongerThanItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.enter(1, "search")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := requests["search"](ctx, c.store); apperr.Of(err).Kind != apperr.Unavailable || ctx.Err() == nil {
			t.Errorf("the search got %v", err)
		}
		go close(c.release)
		if err := requests["search"](t.Context(), c.store); err != nil {
			t.Errorf("the search whose turn it is got %v", err)
		}
	})
}

func TestASearchThatDoesNotEndInTimeSaysWhatToTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		refusal := apperr.Of(requests["search"](ctx, c.store))
		if refusal.Kind != apperr.Unavailable || refusal.RetryAfter <= 0 || !strings.Contains(refusal.Message, "narrow it") {
			t.Errorf("the search got %v", refusal)
		}
	})
}
