package task

import (
	"cmp"
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
	MaxLimit  = 1_000   // tasks or events in one response, and the default
	MaxOffset = 100_000 // beyond it a client pages with After
	MaxSearch = 200     // characters of Contains
)

// Query selects tasks, in an order.
type Query struct {
	Done          *bool  // nil selects done and open tasks
	Contains      string // part of the title, compared in NFC and without regard to case; "" selects all
	Order         Order
	After         int64 // the id of the task after which the selection begins; 0 selects from the first
	AfterPriority int   // the priority of that task, where the order is by priority
	Offset        int   // tasks to skip, 0 to MaxOffset
	Limit         int   // 1 to MaxLimit; 0 means MaxLimit
}

// Counts are numbers of tasks. Their JSON form is part of the HTTP API.
type Counts struct {
	Total int64 `json:"total"`
	Open  int64 `json:"open"`
	Done  int64 `json:"done"`
}

// Store is the repository of tasks and their events. No method writes a task without its
// event: a store stores both, or neither. A store never stores an event id twice: the
// second attempt returns the task that the first one stored.
//
// Each method sees the owner's tasks, events and keys alone: a task of another owner does
// not exist for it. It sets the Owner of each event that it stores.
type Store interface {
	// Get returns the task, or NotFoundError.
	Get(ctx context.Context, owner Owner, id int64) (Task, error)
	// List returns the selected tasks in q.Order, at most q.Limit, which is positive
	// here. q.Contains is in NFC; the title of an older task may not be.
	List(ctx context.Context, owner Owner, q Query) ([]Task, error)
	// Count returns the numbers of tasks at one moment, so Total is Open and Done together.
	Count(ctx context.Context, owner Owner) (Counts, error)
	// Create stores e.Task under a new id, and e with that id, and returns the task as
	// stored. A key is stored with them. If the owner used the key less than
	// IdempotencyKeyTTL before e.At, Create stores nothing and returns the task as the
	// earlier creation stored it, even if it has changed since. Create waits for a
	// concurrent creation with the same key.
	Create(ctx context.Context, owner Owner, e Event, key IdempotencyKey) (Task, error)
	// Update loads the task, calls change on it, and stores the result with the event
	// that change returns. A Deleted event removes the task. If change returns no
	// event, nothing is stored. If another writer comes in between, Update starts over
	// and calls change again, so change must depend on its argument alone. Update
	// returns the task as stored, NotFoundError, ContendedError, or the error of
	// change; an error of change stores nothing.
	Update(ctx context.Context, owner Owner, id int64, change func(*Task) (*Event, error)) (Task, error)
	// History returns the task's events with a version greater than after, oldest
	// first, at most limit, which is positive here. A deleted task has its events; an
	// unknown task has an empty history.
	History(ctx context.Context, owner Owner, id, after int64, limit int) ([]Event, error)
}

// Service is the application service: it implements the use cases, and every transport
// calls it alone. Its methods may be called concurrently.
type Service struct {
	store       Store
	now         func() time.Time
	onCommitted func(ctx context.Context, owner Owner, eventID string)
}

// onCommittedTimeout bounds onCommitted, which runs between a commit and the response.
const onCommittedTimeout = time.Second

// NewService returns the application over store. It calls onCommitted with the owner and
// the event id after each committed change, before the writer gets its response. It also calls
// onCommitted when a write changes nothing, finds another version, or finds no task: the
// process that committed that state may have crashed before its own call. The event id
// is then "", or that of an event that was not stored.
//
// The context of onCommitted has its own deadline and outlives the request: readers must
// see the change even if the writer has disconnected. onCommitted returns no error, so
// it can not fail the request.
func NewService(store Store, now func() time.Time, onCommitted func(ctx context.Context, owner Owner, eventID string)) *Service {
	return &Service{store: store, now: now, onCommitted: onCommitted}
}

// Draft is the input of a creation.
type Draft struct {
	Title    string
	Priority int
	Key      IdempotencyKey // requests with the same key create one task
}

// Create stores a new task with its event. A repeated creation, identified by its key,
// returns the task of the first one and stores nothing. If the key was used for another
// title or priority, the error is apperr.Invalid.
func (s *Service) Create(ctx context.Context, owner Owner, d Draft) (Task, error) {
	draft, err := New(d.Title, d.Priority, s.now())
	if err != nil {
		return Task{}, err
	}
	eventID := newID()
	created, err := s.store.Create(ctx, owner, Event{ID: eventID, Type: Created, Task: draft, At: draft.CreatedAt}, d.Key)
	if err != nil {
		return Task{}, err
	}
	// Versions before NFC stored titles as they came, and their keys may still be valid.
	if normalizeNFC(created.Title) != draft.Title || created.Priority != draft.Priority {
		return Task{}, invalidKey("was used for another creation; use a new key for this one")
	}
	s.runOnCommitted(ctx, owner, eventID)
	return created, nil
}

// Get returns a task.
func (s *Service) Get(ctx context.Context, owner Owner, id int64) (Task, error) {
	if err := validateID(id); err != nil {
		return Task{}, err
	}
	return s.store.Get(ctx, owner, id)
}

// List returns the selected tasks, and whether a later page has more.
func (s *Service) List(ctx context.Context, owner Owner, q Query) (tasks []Task, more bool, err error) {
	q.Limit = cmp.Or(q.Limit, MaxLimit)
	q.Contains = normalizeNFC(q.Contains)
	if err := q.validate(); err != nil {
		return nil, false, err
	}
	limit := q.Limit
	q.Limit++ // the extra task only tells whether a later page exists
	tasks, err = s.store.List(ctx, owner, q)
	if err != nil || len(tasks) <= limit {
		return tasks, false, err
	}
	return tasks[:limit], true, nil
}

// Count returns the numbers of tasks, as the store knows them.
func (s *Service) Count(ctx context.Context, owner Owner) (Counts, error) {
	return s.store.Count(ctx, owner)
}

// Change applies a partial change and stores its event. A change that makes no
// difference returns the task and stores nothing. Unless expected is nil, the task must
// be at one of those versions, otherwise the error is apperr.PreconditionFailed.
func (s *Service) Change(ctx context.Context, owner Owner, id int64, c Change, expected []int64) (Task, error) {
	return s.update(ctx, owner, id, expected, func(t *Task, now time.Time) (EventType, error) {
		return t.Apply(c, now)
	})
}

// Delete removes a task and stores its event. expected is as for Change.
func (s *Service) Delete(ctx context.Context, owner Owner, id int64, expected []int64) error {
	_, err := s.update(ctx, owner, id, expected, func(t *Task, _ time.Time) (EventType, error) {
		t.Version++
		return Deleted, nil
	})
	return err
}

func (s *Service) update(ctx context.Context, owner Owner, id int64, expected []int64, apply func(*Task, time.Time) (EventType, error)) (Task, error) {
	if err := validateID(id); err != nil {
		return Task{}, err
	}
	eventID, announced := newID(), ""
	t, err := s.store.Update(ctx, owner, id, func(t *Task) (*Event, error) {
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
		s.runOnCommitted(ctx, owner, announced)
	}
	return t, err
}

// observesState reports whether a write with this error tells the writer the state of
// the task, or that it does not exist.
func observesState(err error) bool {
	if err == nil {
		return true
	}
	kind := apperr.Of(err).Kind
	return kind == apperr.NotFound || kind == apperr.PreconditionFailed
}

func (s *Service) runOnCommitted(ctx context.Context, owner Owner, eventID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), onCommittedTimeout)
	defer cancel()
	s.onCommitted(ctx, owner, eventID)
}

func (q Query) validate() error {
	var broken []apperr.Field
	require := func(valid bool, name, format string, args ...any) {
		if !valid {
			broken = append(broken, apperr.Field{Name: name, Problem: fmt.Sprintf(format, args...)})
		}
	}
	problem := q.orderProblem()
	require(problem == "", "sort", "%s", problem)
	require(q.After >= 0, "after", "must be from 0 to %d", int64(math.MaxInt64))
	require(q.Limit >= 1 && q.Limit <= MaxLimit, "limit", "must be from 1 to %d", MaxLimit)
	require(q.Offset >= 0 && q.Offset <= MaxOffset, "offset", "must be from 0 to %d", MaxOffset)
	require(utf8.RuneCountInString(q.Contains) <= MaxSearch, "q", "must be at most %d characters", MaxSearch)
	require(utf8.ValidString(q.Contains) && !strings.ContainsFunc(q.Contains, unicode.IsControl), "q", "must be valid UTF-8 without control characters")
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
