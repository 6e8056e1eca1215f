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

func TestStoreKeepsTheContractOfTheNextStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) task.Store {
		return admission.New(memstore.New(), admission.Config{InFlight: 64, ConcurrentSearches: 1}, prometheus.NewRegistry())
	})
}

// blockingStore is a store whose methods return when release is closed.
type blockingStore struct {
	task.Store
	release chan struct{}
}

func (s blockingStore) wait(ctx context.Context, owner task.Owner) error {
	if owner != someone {
		return fmt.Errorf("the request is owner %d's", owner)
	}
	select {
	case <-s.release:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s blockingStore) Get(ctx context.Context, owner task.Owner, _ int64) (task.Task, error) {
	return task.Task{}, s.wait(ctx, owner)
}

func (s blockingStore) List(ctx context.Context, owner task.Owner, _ task.Query) ([]task.Task, error) {
	return nil, s.wait(ctx, owner)
}

func (s blockingStore) Count(ctx context.Context, owner task.Owner) (task.Counts, error) {
	return task.Counts{}, s.wait(ctx, owner)
}

func (s blockingStore) History(ctx context.Context, owner task.Owner, _, _ int64, _ int) ([]task.Event, error) {
	return nil, s.wait(ctx, owner)
}

func (s blockingStore) Create(ctx context.Context, owner task.Owner, _ task.Event, _ task.IdempotencyKey) (task.Task, error) {
	return task.Task{}, s.wait(ctx, owner)
}

func (s blockingStore) Update(ctx context.Context, owner task.Owner, _ int64, _ func(*task.Task) (*task.Event, error)) (task.Task, error) {
	return task.Task{}, s.wait(ctx, owner)
}

const someone task.Owner = 7

// requests are the calls of a store for someone, by name.
var requests = map[string]func(context.Context, *admission.Store) error{
	"get": func(ctx context.Context, s *admission.Store) error { _, err := s.Get(ctx, someone, 1); return err },
	"list": func(ctx context.Context, s *admission.Store) error {
		_, err := s.List(ctx, someone, task.Query{})
		return err
	},
	"count": func(ctx context.Context, s *admission.Store) error { _, err := s.Count(ctx, someone); return err },
	"history": func(ctx context.Context, s *admission.Store) error {
		_, err := s.History(ctx, someone, 1, 0, 1)
		return err
	},
	"search": func(ctx context.Context, s *admission.Store) error {
		_, err := s.List(ctx, someone, task.Query{Contains: "x"})
		return err
	},
	"create": func(ctx context.Context, s *admission.Store) error {
		_, err := s.Create(ctx, someone, task.Event{}, task.IdempotencyKey{})
		return err
	},
	"update": func(ctx context.Context, s *admission.Store) error {
		_, err := s.Update(ctx, someone, 1, nil)
		return err
	},
}

// fixture is a Store for 16 requests: at most 12 reads, 2 searches, 1 of them running.
type fixture struct {
	t       *testing.T
	store   *admission.Store
	metrics *prometheus.Registry
	release chan struct{}
}

func newFixture(t *testing.T) fixture {
	c := fixture{t: t, metrics: prometheus.NewRegistry(), release: make(chan struct{})}
	c.store = admission.New(blockingStore{release: c.release}, admission.Config{InFlight: 16, ConcurrentSearches: 1}, c.metrics)
	return c
}

// startRequests starts n requests, and wants all of them to be in flight.
func (c fixture) startRequests(n int, name string) {
	c.t.Helper()
	for range n {
		returned := make(chan error, 1)
		go func() { returned <- requests[name](context.Background(), c.store) }()
		synctest.Wait()
		select {
		case err := <-returned:
			c.t.Errorf("%s returned %v, want it in flight", name, err)
		default:
		}
	}
}

func (c fixture) wantRejected(names ...string) {
	c.t.Helper()
	for _, name := range names {
		var refusal *apperr.Error
		err := requests[name](context.Background(), c.store)
		if !errors.As(err, &refusal) || refusal.Kind != apperr.Unavailable || refusal.RetryAfter <= 0 {
			c.t.Errorf("%s got %v, want apperr.Unavailable", name, err)
		}
	}
}

// wantMetrics wants these gauges and counters. Rejections count by the kind of the
// request, not by the semaphore that was full.
func (c fixture) wantMetrics(inFlight, reads, searches, writes int) {
	c.t.Helper()
	want := fmt.Sprintf(`
		# HELP todo_admission_in_flight Requests that hold a slot of the store.
		# TYPE todo_admission_in_flight gauge
		todo_admission_in_flight %d
		# HELP todo_admission_refused_total Requests refused because too many were in flight, by kind.
		# TYPE todo_admission_refused_total counter
		todo_admission_refused_total{kind="read"} %d
		todo_admission_refused_total{kind="search"} %d
		todo_admission_refused_total{kind="write"} %d
	`, inFlight, reads, searches, writes)
	if err := testutil.GatherAndCompare(c.metrics, strings.NewReader(want)); err != nil {
		c.t.Error(err)
	}
}

func TestStoreRejectsReadsFirstAndKeepsAQuarterForWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFixture(t)
		c.startRequests(6, "get")
		c.startRequests(5, "list")
		c.startRequests(1, "count")
		c.wantRejected("get", "list", "count", "history", "search")
		c.startRequests(2, "create")
		c.startRequests(2, "update")
		c.wantRejected("create", "update", "get")
		c.wantMetrics(16, 5, 1, 2)
		close(c.release)
		synctest.Wait()
		for name, request := range requests {
			if err := request(context.Background(), c.store); err != nil {
				t.Errorf("%s when all slots are free again: %v", name, err)
			}
		}
	})
}

func TestStoreAdmitsWritesToEverySlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFixture(t)
		c.startRequests(16, "create")
		c.wantRejected("create", "get", "count", "search")
		c.wantMetrics(16, 2, 1, 1)
		close(c.release)
	})
}

func TestStoreLimitsSearchesBelowOtherReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFixture(t)
		c.startRequests(2, "search")
		c.wantRejected("search")
		c.startRequests(10, "get")
		c.wantRejected("get")
		c.wantMetrics(12, 1, 1, 0)
		close(c.release)
	})
}

func TestASearchWaitsForASlotUntilItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFixture(t)
		c.startRequests(1, "search")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := requests["search"](ctx, c.store); apperr.Of(err).Kind != apperr.Unavailable || ctx.Err() == nil {
			t.Errorf("the search got %v", err)
		}
		go close(c.release)
		if err := requests["search"](t.Context(), c.store); err != nil {
			t.Errorf("the next search got %v", err)
		}
	})
}

func TestASearchThatTimesOutIsUnavailableWithAHint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newFixture(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		refusal := apperr.Of(requests["search"](ctx, c.store))
		if refusal.Kind != apperr.Unavailable || refusal.RetryAfter <= 0 || !strings.Contains(refusal.Message, "narrow it") {
			t.Errorf("the search got %v", refusal)
		}
	})
}
