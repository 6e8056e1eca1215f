// Package memstore is the in-memory fake of task.Store and account.Store, for tests without
// a database.
// Their contract tests hold it to the same contract as pgstore.
package memstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"

	"example.com/todo/todo-service/internal/task"
)

// Store is a task.Store in memory. It may be used by several goroutines.
type Store struct {
	mu     sync.Mutex
	tasks  map[ownedID]task.Task
	keys   map[ownedKey]task.Event // the creation that last used the key
	events []task.Event
	lastID int64
}

type (
	ownedID struct {
		owner task.Owner
		id    int64
	}
	ownedKey struct {
		owner task.Owner
		key   task.IdempotencyKey
	}
)

// New returns an empty store.
func New() *Store {
	return &Store{tasks: map[ownedID]task.Task{}, keys: map[ownedKey]task.Event{}}
}

// Get returns the task, or task.NotFoundError.
func (s *Store) Get(ctx context.Context, owner task.Owner, id int64) (task.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return task.Task{}, err
	}
	return s.get(owner, id)
}

// List returns the selected tasks in q.Order.
func (s *Store) List(ctx context.Context, owner task.Owner, q task.Query) ([]task.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	compare, last := comparison(q.Order), task.Task{ID: q.After, Priority: q.AfterPriority}
	tasks := []task.Task{}
	for key, t := range s.tasks {
		if key.owner == owner && (q.After == 0 || compare(t, last) > 0) && matchesDone(t, q.Done) && containsFold(t.Title, q.Contains) {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, compare)
	tasks = tasks[min(q.Offset, len(tasks)):]
	return tasks[:min(q.Limit, len(tasks))], nil
}

// Count returns the numbers of tasks.
func (s *Store) Count(ctx context.Context, owner task.Owner) (task.Counts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return task.Counts{}, err
	}
	var counts task.Counts
	for key, t := range s.tasks {
		switch {
		case key.owner != owner:
			continue
		case t.Done:
			counts.Done++
		default:
			counts.Open++
		}
		counts.Total++
	}
	return counts, nil
}

// Create stores e.Task under a new id, and e; once for each key.
func (s *Store) Create(ctx context.Context, owner task.Owner, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return task.Task{}, err
	}
	if first, ok := s.keys[ownedKey{owner, key}]; ok && e.At.Before(first.At.Add(task.IdempotencyKeyTTL)) {
		return first.Task, nil
	}
	e.Task.ID = s.lastID + 1
	stored, err := s.store(owner, e)
	if err == nil && stored.ID == e.Task.ID { // otherwise the event was stored before, perhaps under another key
		s.lastID++
		if key != (task.IdempotencyKey{}) {
			s.keys[ownedKey{owner, key}] = e
		}
	}
	return stored, err
}

// Update changes a task and stores its event. It holds the mutex while change runs, so it
// calls change once.
func (s *Store) Update(ctx context.Context, owner task.Owner, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return task.Task{}, err
	}
	before, err := s.get(owner, id)
	if err != nil {
		return task.Task{}, err
	}
	draft := before
	e, err := change(&draft)
	if err != nil {
		return task.Task{}, err
	}
	if e == nil {
		return before, nil
	}
	return s.store(owner, *e)
}

// History returns the task's events with a version greater than after, oldest first. A
// deleted task has its events.
func (s *Store) History(ctx context.Context, owner task.Owner, id, after int64, limit int) ([]task.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	events := []task.Event{}
	for _, e := range s.events {
		if e.Owner == owner && e.Task.ID == id && e.Task.Version > after && len(events) < limit {
			events = append(events, e)
		}
	}
	return events, nil
}

func (s *Store) get(owner task.Owner, id int64) (task.Task, error) {
	t, ok := s.tasks[ownedID{owner, id}]
	if !ok {
		return task.Task{}, task.NotFoundError(id)
	}
	return t, nil
}

// store stores the task of e, and e, unless e was stored before. It returns the task as
// it was stored. The id of another owner's event is an error.
func (s *Store) store(owner task.Owner, e task.Event) (task.Task, error) {
	if i := slices.IndexFunc(s.events, func(stored task.Event) bool { return stored.ID == e.ID }); i >= 0 {
		if s.events[i].Owner != owner {
			return task.Task{}, errors.New("memstore: the event id is taken")
		}
		return s.events[i].Task, nil
	}
	e.Owner = owner
	s.events = append(s.events, e)
	if e.Type == task.Deleted {
		delete(s.tasks, ownedID{owner, e.Task.ID})
	} else {
		s.tasks[ownedID{owner, e.Task.ID}] = e.Task
	}
	return e.Task, nil
}

// comparison returns the comparison of two tasks by their order.
func comparison(o task.Order) func(a, b task.Task) int {
	byID := func(a, b task.Task) int { return cmp.Compare(a.ID, b.ID) }
	switch o {
	case task.ByIDDescending:
		return func(a, b task.Task) int { return byID(b, a) }
	case task.ByPriority:
		return func(a, b task.Task) int { return cmp.Or(cmp.Compare(a.Priority, b.Priority), byID(a, b)) }
	case task.ByPriorityDescending:
		return func(a, b task.Task) int { return cmp.Or(cmp.Compare(b.Priority, a.Priority), byID(a, b)) }
	default:
		return byID
	}
}

func matchesDone(t task.Task, done *bool) bool { return done == nil || t.Done == *done }

func containsFold(title, part string) bool {
	return strings.Contains(strings.ToLower(norm.NFC.String(title)), strings.ToLower(part))
}
