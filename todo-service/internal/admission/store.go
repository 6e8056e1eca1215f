// Package admission stands before a store and bounds how many requests work on it at
// once, whichever transport they came by. What it refuses costs next to nothing
// and is answered at once, so that what it lets in is answered in time.
package admission

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// retryAfter is what who was refused is told to wait.
const retryAfter = time.Second

// Config is how much a Store lets in.
type Config struct {
	InFlight           int // requests at once, at least 4; a quarter is kept for writes, and searches get an eighth
	ConcurrentSearches int // searches that read at once, at least 1; the others wait their turn
}

// Store is a task.Store with a gate before it.
//
// Reads are refused first: so many of them may be in flight that a quarter of the
// gate is left for writes. A search (a List with Contains) may have to read
// every task there is. So few of them are let in, and fewer read at once, that
// they leave room and connections to everybody else.
type Store struct {
	next                 task.Store // not embedded: a new method must come by here
	all, reads, searches *share
	searchSlots          chan struct{}
	rejected             rejections
}

// rejections count those who were refused, by what they wanted.
type rejections struct{ writes, reads, searches prometheus.Counter }

// New returns store behind a gate as wide as cfg says.
func New(store task.Store, cfg Config, metrics prometheus.Registerer) *Store {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "todo_gate_refused_total",
		Help: "Requests refused because too many were being worked on, by kind.",
	}, []string{"kind"})
	s := &Store{
		next:        store,
		all:         newShare(cfg.InFlight),
		reads:       newShare(cfg.InFlight - cfg.InFlight/4),
		searches:    newShare(max(1, cfg.InFlight/8)),
		searchSlots: make(chan struct{}, cfg.ConcurrentSearches),
		rejected:    rejections{refused.WithLabelValues("write"), refused.WithLabelValues("read"), refused.WithLabelValues("search")},
	}
	metrics.MustRegister(refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "todo_gate_in_flight",
		Help: "Requests being worked on.",
	}, s.all.inUse))
	return s
}

// Get returns the task, or a refusal.
func (s *Store) Get(ctx context.Context, id int64) (task.Task, error) {
	return admit(func() (task.Task, error) { return s.next.Get(ctx, id) }, s.rejected.reads, s.reads, s.all)
}

// List returns the selected tasks, or a refusal. A search waits for its turn, for
// as long as ctx lets it.
func (s *Store) List(ctx context.Context, q task.Query) ([]task.Task, error) {
	if q.Contains == "" {
		return admit(func() ([]task.Task, error) { return s.next.List(ctx, q) }, s.rejected.reads, s.reads, s.all)
	}
	return admit(func() ([]task.Task, error) { return s.listWithSlot(ctx, q) }, s.rejected.searches, s.searches, s.reads, s.all)
}

// Count returns the number of tasks, or a refusal.
func (s *Store) Count(ctx context.Context, done *bool) (int64, error) {
	return admit(func() (int64, error) { return s.next.Count(ctx, done) }, s.rejected.reads, s.reads, s.all)
}

// History returns the task's events, or a refusal.
func (s *Store) History(ctx context.Context, id, after int64, limit int) ([]task.Event, error) {
	return admit(func() ([]task.Event, error) { return s.next.History(ctx, id, after, limit) }, s.rejected.reads, s.reads, s.all)
}

// Create stores a task, or refuses to.
func (s *Store) Create(ctx context.Context, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	return admit(func() (task.Task, error) { return s.next.Create(ctx, e, key) }, s.rejected.writes, s.all)
}

// Update changes a task, or refuses to.
func (s *Store) Update(ctx context.Context, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	return admit(func() (task.Task, error) { return s.next.Update(ctx, id, change) }, s.rejected.writes, s.all)
}

func (s *Store) listWithSlot(ctx context.Context, q task.Query) ([]task.Task, error) {
	select {
	case s.searchSlots <- struct{}{}:
	case <-ctx.Done():
		return nil, overloaded("too many are searching right now; try again").WithCause(ctx.Err())
	}
	defer func() { <-s.searchSlots }()
	tasks, err := s.next.List(ctx, q)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, overloaded("the search did not end in time; narrow it by done or after, or try again").WithCause(err)
	}
	return tasks, err
}

// admit works while it holds a place in each of the shares, the narrowest of
// which comes first. When one of them has none, that counts as refused.
func admit[T any](work func() (T, error), refused prometheus.Counter, shares ...*share) (T, error) {
	for _, s := range shares {
		if !s.enter() {
			refused.Inc()
			var none T
			return none, overloaded("the service has too much to do right now; try again")
		}
		defer s.leave()
	}
	return work()
}

func overloaded(message string) *apperr.Error {
	refused := apperr.New(apperr.Unavailable, "%s", message)
	refused.RetryAfter = retryAfter
	return refused
}
