// Package admission implements admission control for task.Store: it limits concurrent
// requests over both transports, keeps a quarter of the slots for writes, and rejects
// the rest at once with apperr.Unavailable. A rejection costs no database time, so the
// admitted requests meet their deadlines.
package admission

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/semaphore"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// retryAfter is the Retry-After of every rejection.
const retryAfter = time.Second

// Config holds the limits of a Store.
type Config struct {
	InFlight           int // requests at once, at least 4; a quarter is kept for writes, an eighth is for searches
	ConcurrentSearches int // searches at once in the database, at least 1; others wait
}

// Store is a task.Store that admits a limited number of requests to the next one.
// A request needs a slot of each semaphore that covers its kind:
//
//	write           all
//	read            reads (three quarters of all), all
//	search          searches (an eighth of all), reads, all
//
// Under load reads are rejected first. A search (a List with Contains) may read every
// task, so searches have few slots, and fewer run in the database at once: the other
// requests keep slots and connections.
type Store struct {
	next                 task.Store // not embedded: each new method of task.Store must be admitted here
	all, reads, searches *semaphore.Weighted
	searchSlots          *semaphore.Weighted
	inFlight             prometheus.Gauge
	rejected             rejections
}

// rejections count rejected requests by their kind.
type rejections struct{ writes, reads, searches prometheus.Counter }

// New returns store behind admission control with the limits of cfg.
func New(store task.Store, cfg Config, metrics prometheus.Registerer) *Store {
	registered := promauto.With(metrics)
	rejected := registered.NewCounterVec(prometheus.CounterOpts{
		Name: "todo_admission_refused_total",
		Help: "Requests refused because too many were in flight, by kind.",
	}, []string{"kind"})
	return &Store{
		next:        store,
		all:         semaphore.NewWeighted(int64(cfg.InFlight)),
		reads:       semaphore.NewWeighted(int64(cfg.InFlight - cfg.InFlight/4)),
		searches:    semaphore.NewWeighted(int64(max(1, cfg.InFlight/8))),
		searchSlots: semaphore.NewWeighted(int64(cfg.ConcurrentSearches)),
		inFlight:    registered.NewGauge(prometheus.GaugeOpts{Name: "todo_admission_in_flight", Help: "Requests that hold a slot of the store."}),
		rejected:    rejections{rejected.WithLabelValues("write"), rejected.WithLabelValues("read"), rejected.WithLabelValues("search")},
	}
}

// Get returns the task, or rejects the request.
func (s *Store) Get(ctx context.Context, owner task.Owner, id int64) (task.Task, error) {
	return admit(s, func() (task.Task, error) { return s.next.Get(ctx, owner, id) }, s.rejected.reads, s.reads, s.all)
}

// List returns the selected tasks, or rejects the request. An admitted search waits
// for a search slot until ctx ends.
func (s *Store) List(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	if q.Contains == "" {
		return admit(s, func() ([]task.Task, error) { return s.next.List(ctx, owner, q) }, s.rejected.reads, s.reads, s.all)
	}
	return admit(s, func() ([]task.Task, error) { return s.listWithSlot(ctx, owner, q) }, s.rejected.searches, s.searches, s.reads, s.all)
}

// Count returns the numbers of tasks, or rejects the request.
func (s *Store) Count(ctx context.Context, owner task.Owner) (task.Counts, error) {
	return admit(s, func() (task.Counts, error) { return s.next.Count(ctx, owner) }, s.rejected.reads, s.reads, s.all)
}

// History returns the task's events, or rejects the request.
func (s *Store) History(ctx context.Context, owner task.Owner, id, after int64, limit int) ([]task.Event, error) {
	return admit(s, func() ([]task.Event, error) { return s.next.History(ctx, owner, id, after, limit) }, s.rejected.reads, s.reads, s.all)
}

// Create stores a task, or rejects the request.
func (s *Store) Create(ctx context.Context, owner task.Owner, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	return admit(s, func() (task.Task, error) { return s.next.Create(ctx, owner, e, key) }, s.rejected.writes, s.all)
}

// Update changes a task, or rejects the request.
func (s *Store) Update(ctx context.Context, owner task.Owner, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	return admit(s, func() (task.Task, error) { return s.next.Update(ctx, owner, id, change) }, s.rejected.writes, s.all)
}

func (s *Store) listWithSlot(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	if err := s.searchSlots.Acquire(ctx, 1); err != nil {
		return nil, overloaded("too many searches are running; try again").WithCause(err)
	}
	defer s.searchSlots.Release(1)
	tasks, err := s.next.List(ctx, owner, q)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, overloaded("the search did not end in time; narrow it by done or after, or try again").WithCause(err)
	}
	return tasks, err
}

// admit runs work while it holds a slot of each semaphore. If one has no free slot,
// admit counts the request as rejected and returns apperr.Unavailable.
func admit[T any](s *Store, work func() (T, error), rejected prometheus.Counter, semaphores ...*semaphore.Weighted) (T, error) {
	// The caller passes the smallest semaphore first: a rejected search then takes no
	// slot of the others, not even for a moment.
	for _, slots := range semaphores {
		if !slots.TryAcquire(1) {
			rejected.Inc()
			var zero T
			return zero, overloaded("the service is overloaded; try again")
		}
		defer slots.Release(1)
	}
	s.inFlight.Inc()
	defer s.inFlight.Dec()
	return work()
}

func overloaded(message string) *apperr.Error {
	err := apperr.New(apperr.Unavailable, "%s", message)
	err.RetryAfter = retryAfter
	return err
}
