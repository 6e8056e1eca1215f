package task

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/todo/platform/apperr"
)

// The bounds of a list.
const (
	MaxLimit  = 1_000   // tasks or events in one answer, and the default
	MaxOffset = 100_000 // past it only After reaches
	MaxSearch = 200     // characters of Contains
)

// Query selects tasks, in id order.
type Query struct {
	Done     *bool  // nil: both
	Contains string // part of the title, in upper or lower case, compared in NFC; "" for all
	After    int64  // only ids greater than this
	Offset   int    // tasks passed over, 0 to MaxOffset
	Limit    int    // at most this many, 1 to MaxLimit; 0 means MaxLimit
}

// Store keeps tasks. It has no method that writes a task without the event that
// announces it: both are stored, or neither is. An event that is already stored
// is never stored again: its change went through, and the task that it announced
// is the answer.
type Store interface {
	// Get returns the task, or NotFoundError.
	Get(ctx context.Context, id int64) (Task, error)
	// List returns the selected tasks in id order, at most q.Limit, which is
	// positive here. q.Contains is in NFC; the title of an older task may not be.
	List(ctx context.Context, q Query) ([]Task, error)
	// Count returns how many tasks are done, not done, or there at all (nil).
	Count(ctx context.Context, done *bool) (int64, error)
	// Create stores e.Task under a new id, and e with that id; it returns the
	// task as stored. With a key it stores that beside them, or nothing at all:
	// when the key stands for an earlier creation, less than IdempotencyKeyTTL before e.At,
	// the answer is the task as that creation stored it, whatever has become of
	// it since. A creation under way with the same key is waited for.
	Create(ctx context.Context, e Event, key IdempotencyKey) (Task, error)
	// Update loads the task, lets change alter it, and stores the outcome with
	// the event that change returns: a Deleted event removes the task. No event
	// means no change. Another writer in between starts it over, so change may
	// be called again and must depend on nothing but its argument. Update
	// returns the task as it is afterwards, NotFoundError, Contended, or the error
	// of change, which then changed nothing.
	Update(ctx context.Context, id int64, change func(*Task) (*Event, error)) (Task, error)
	// History returns the task's events whose version is greater than after,
	// oldest first, at most limit, which is positive here; also those of a task
	// that has been deleted, and none of a task that never was.
	History(ctx context.Context, id, after int64, limit int) ([]Event, error)
}

// Service is the application: every transport calls it and nothing else.
type Service struct {
	store       Store
	now         func() time.Time
	onCommitted func(ctx context.Context, eventID string)

	all, open, done total
}

// onCommittedTimeout bounds what happens between a commit and its writer's answer.
const onCommittedTimeout = time.Second

// NewService returns the application over store. committed is called with the id of
// the event after each committed change and before its writer is answered, and also
// before a writer learns what the task is like already, or that there is none: who
// made that so may have died before the call. The id is then "", or that of an event
// that was not stored. Its context has a deadline of its own and outlives the writer,
// whose change other readers must see even when it has gone away meanwhile. What
// committed can not do must not fail the request.
func NewService(store Store, now func() time.Time, committed func(ctx context.Context, eventID string)) *Service {
	return &Service{store: store, now: now, onCommitted: committed}
}

// Draft is a task as its creator wants it.
type Draft struct {
	Title    string
	Priority int
	Key      IdempotencyKey // the same key makes the task once, however often it is asked for
}

// Create stores a new task and announces it. The repetition of a creation, by
// its key, gets the answer of the first time and announces nothing; a key that
// stands for another creation is refused (fault.Invalid).
func (s *Service) Create(ctx context.Context, d Draft) (Task, error) {
	draft, err := New(d.Title, d.Priority, s.now())
	if err != nil {
		return Task{}, err
	}
	eventID := newID()
	created, err := s.store.Create(ctx, Event{ID: eventID, Type: Created, Task: draft, At: draft.CreatedAt}, d.Key)
	if err != nil {
		return Task{}, err
	}
	// A key that is older than this version may stand for a title that was not composed.
	if normalizeNFC(created.Title) != draft.Title || created.Priority != draft.Priority {
		return Task{}, keyReused()
	}
	s.runOnCommitted(ctx, eventID)
	return created, nil
}

// Get returns a task.
func (s *Service) Get(ctx context.Context, id int64) (Task, error) {
	if err := validateID(id); err != nil {
		return Task{}, err
	}
	return s.store.Get(ctx, id)
}

// List returns the selected tasks, and whether there are more behind them.
func (s *Service) List(ctx context.Context, q Query) (tasks []Task, more bool, err error) {
	if q.Limit == 0 {
		q.Limit = MaxLimit
	}
	q.Contains = normalizeNFC(q.Contains)
	if err := q.validate(); err != nil {
		return nil, false, err
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there are more
	tasks, err = s.store.List(ctx, q)
	if err != nil || len(tasks) <= limit {
		return tasks, false, err
	}
	return tasks[:limit], true, nil
}

// Count returns how many tasks are done, not done, or there at all (nil), as of
// a second before the call or later. However many ask, each of the three is
// counted at most once a second.
func (s *Service) Count(ctx context.Context, done *bool) (int64, error) {
	total := &s.all
	switch {
	case done != nil && *done:
		total = &s.done
	case done != nil:
		total = &s.open
	}
	return total.get(ctx, func(ctx context.Context) (int64, error) { return s.store.Count(ctx, done) })
}

// Change makes a partial change and announces it, once. A change that makes no
// difference returns the task as it is and announces nothing. Unless expected is
// nil, the task must be at one of those versions, otherwise the change is refused
// (fault.Stale).
func (s *Service) Change(ctx context.Context, id int64, c Change, expected []int64) (Task, error) {
	return s.update(ctx, id, expected, func(t *Task, now time.Time) (EventType, error) {
		return t.Apply(c, now)
	})
}

// Delete removes a task and announces it.
func (s *Service) Delete(ctx context.Context, id int64, expected []int64) error {
	_, err := s.update(ctx, id, expected, func(t *Task, _ time.Time) (EventType, error) {
		t.Version++
		return Deleted, nil
	})
	return err
}

func (s *Service) update(ctx context.Context, id int64, expected []int64, apply func(*Task, time.Time) (EventType, error)) (Task, error) {
	if err := validateID(id); err != nil {
		return Task{}, err
	}
	eventID, announced := newID(), ""
	t, err := s.store.Update(ctx, id, func(t *Task) (*Event, error) {
		announced = ""
		if expected != nil && !slices.Contains(expected, t.Version) {
			return nil, versionMismatch(*t, expected)
		}
		now := normalizeTime(s.now())
		kind, err := apply(t, now)
		if err != nil || kind == "" {
			return nil, err
		}
		announced = eventID
		return &Event{ID: eventID, Type: kind, Task: *t, At: now}, nil
	})
	if err != nil {
		announced = ""
	}
	if observesState(err) {
		s.runOnCommitted(ctx, announced)
	}
	return t, err
}

// observesState says that a writer learns from this outcome what the task is like, or
// that there is none.
func observesState(err error) bool {
	if err == nil {
		return true
	}
	kind := apperr.Of(err).Kind
	return kind == apperr.NotFound || kind == apperr.PreconditionFailed
}

func (s *Service) runOnCommitted(ctx context.Context, eventID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onCommittedTimeout)
	defer cancel()
	s.onCommitted(ctx, eventID)
}

func (q Query) validate() error {
	var broken []apperr.Field
	if q.After < 0 {
		broken = append(broken, apperr.Field{Name: "after", Problem: fmt.Sprintf("must be from 0 to %d", int64(math.MaxInt64))})
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		broken = append(broken, apperr.Field{Name: "limit", Problem: fmt.Sprintf("must be from 1 to %d", MaxLimit)})
	}
	if q.Offset < 0 || q.Offset > MaxOffset {
		broken = append(broken, apperr.Field{Name: "offset", Problem: fmt.Sprintf("must be from 0 to %d", MaxOffset)})
	}
	if utf8.RuneCountInString(q.Contains) > MaxSearch {
		broken = append(broken, apperr.Field{Name: "q", Problem: fmt.Sprintf("must be at most %d characters", MaxSearch)})
	}
	if !utf8.ValidString(q.Contains) || strings.ContainsFunc(q.Contains, unicode.IsControl) {
		broken = append(broken, apperr.Field{Name: "q", Problem: "must be valid UTF-8 without control characters"})
	}
	if len(broken) > 0 {
		return apperr.InvalidFields(broken...)
	}
	return nil
}

func validateID(id int64) error {
	if id < 1 {
		return apperr.InvalidFields(apperr.Field{Name: "id", Problem: "must be positive"})
	}
	return nil
}
