// Package storetest is the contract test of task.Store: the tests that every store must
// pass, because the service relies on them.
package storetest

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// Owner and Other are users of every store under test.
const (
	Owner task.Owner = 7
	Other task.Owner = 8
)

// Run runs the contract test, without an owner and for an owner, each beside the tasks of
// others. open returns an empty store for each subtest, with the users Owner and Other.
func Run(t *testing.T, open func(t *testing.T) task.Store) {
	owners := map[string][]task.Owner{ // the first is under test
		"without an owner": {task.NoOwner, Owner},
		"for an owner":     {Owner, Other, task.NoOwner},
	}
	for name, test := range tests() {
		for who, all := range owners {
			t.Run(name+"/"+who, func(t *testing.T) {
				t.Parallel()
				s := fixture{T: t, all: open(t), owner: all[0]}
				for _, other := range all[1:] {
					s.others = append(s.others, s.as(other))
				}
				before := s.fillOthers()
				test(s)
				s.wantEqual("tasks and events of others afterwards", before, s.readOthers())
			})
		}
	}
}

func tests() map[string]func(fixture) {
	return map[string]func(fixture){
		"Create stores the task and its event":          testCreate,
		"Update stores the task and its event":          testUpdate,
		"Delete removes the task and keeps its history": testDelete,
		"an error of change changes nothing":            testRefusal,
		"no event changes nothing":                      testNoEvent,
		"an event that is stored is never stored again": testRepeat,
		"a canceled request changes nothing":            testCancelled,
		"an unknown task is not found":                  testNotFound,
		"times are UTC microseconds":                    testTimes,
		"List selects in id order":                      testList,
		"List selects in every order":                   testOrder,
		"List searches titles literally":                testSearch,
		"Count counts open and done tasks":              testCount,
		"History returns pages":                         testHistoryPages,
		"concurrent changes lose nothing":               testConcurrentChanges,
		"concurrent creations get different ids":        testConcurrentCreations,
		"a key creates one task":                        testKey,
		"a key expires after a day":                     testKeyLife,
		"a repeated event is found under any key":       testKeyRepeat,
		"concurrent creations with one key are one":     testConcurrentKey,
		"one of concurrent attempts makes a change":     testConcurrentRepeats,
		"one deletion wins":                             testConcurrentDeletions,
		"a deletion among changes is the last event":    testDeletionAmongChanges,
		"another's task does not exist":                 testAnothersTask,
		"another's key is free":                         testAnothersKey,
		"another's event is not shown":                  testAnothersEvent,
	}
}

// fixture is a store under test, as its owner uses it.
type fixture struct {
	*testing.T
	all    task.Store
	owner  task.Owner
	others []fixture
}

// as returns the same store as another owner uses it.
func (s fixture) as(owner task.Owner) fixture { return fixture{T: s.T, all: s.all, owner: owner} }

func (s fixture) Get(ctx context.Context, id int64) (task.Task, error) {
	return s.all.Get(ctx, s.owner, id)
}

func (s fixture) List(ctx context.Context, q task.Query) ([]task.Task, error) {
	return s.all.List(ctx, s.owner, q)
}

func (s fixture) Count(ctx context.Context) (task.Counts, error) { return s.all.Count(ctx, s.owner) }

func (s fixture) Create(ctx context.Context, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	return s.all.Create(ctx, s.owner, e, key)
}

func (s fixture) Update(ctx context.Context, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	return s.all.Update(ctx, s.owner, id, change)
}

func (s fixture) History(ctx context.Context, id, after int64, limit int) ([]task.Event, error) {
	return s.all.History(ctx, s.owner, id, after, limit)
}

var (
	start = time.Date(2026, 1, 15, 10, 0, 0, 123_456_000, time.UTC)
	noKey task.IdempotencyKey
)

func eventID() string { return uuid.Must(uuid.NewV7()).String() }

// created returns the event of a creation, as the service makes it.
func (s fixture) created(title string, priority int, at time.Time) task.Event {
	s.Helper()
	draft, err := task.New(title, priority, at)
	if err != nil {
		s.Fatal(err)
	}
	return task.Event{ID: eventID(), Type: task.Created, Task: draft, Owner: s.owner, At: at}
}

// create stores a task and returns its event as History returns it.
func (s fixture) create(title string, priority int) task.Event {
	s.Helper()
	e := s.created(title, priority, start)
	e.Task.ID = s.store(e, noKey).ID
	return e
}

// store is Create, which must succeed.
func (s fixture) store(e task.Event, key task.IdempotencyKey) task.Task {
	s.Helper()
	stored, err := s.Create(s.Context(), e, key)
	if err != nil {
		s.Fatal(err)
	}
	return stored
}

// update is Update, which must succeed.
func (s fixture) update(id int64, change func(*task.Task) (*task.Event, error)) task.Task {
	s.Helper()
	changed, err := s.Update(s.Context(), id, change)
	if err != nil {
		s.Fatal(err)
	}
	return changed
}

// apply returns a change as the service makes it, with an event of that id.
func apply(id string, c task.Change, at time.Time) func(*task.Task) (*task.Event, error) {
	return func(t *task.Task) (*task.Event, error) {
		kind, err := t.Apply(c, at)
		if err != nil || kind == "" {
			return nil, err
		}
		return &task.Event{ID: id, Type: kind, Task: *t, At: at}, nil
	}
}

// remove returns a deletion as the service makes it.
func remove(id string, at time.Time) func(*task.Task) (*task.Event, error) {
	return func(t *task.Task) (*task.Event, error) {
		t.Version++
		return &task.Event{ID: id, Type: task.Deleted, Task: *t, At: at}, nil
	}
}

func (s fixture) wantEqual(what string, want, got any) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantStored wants the task as it is, and these events.
func (s fixture) wantStored(want task.Task, events ...task.Event) {
	s.Helper()
	got, err := s.Get(s.Context(), want.ID)
	if err != nil {
		s.Fatal(err)
	}
	s.wantEqual("task", want, got)
	s.wantEqual("history", events, s.history(want.ID))
}

func (s fixture) history(id int64) []task.Event {
	s.Helper()
	events, err := s.History(s.Context(), id, 0, math.MaxInt32)
	if err != nil {
		s.Fatal(err)
	}
	return events
}

// wantEvents wants a task to have that many events.
func (s fixture) wantEvents(id int64, want int) {
	s.Helper()
	s.wantEqual("number of events", want, len(s.history(id)))
}

// wantTasks wants that many tasks in all.
func (s fixture) wantTasks(want int64) {
	s.Helper()
	if n, err := s.Count(s.Context()); err != nil || n.Total != want {
		s.Errorf("got %d tasks, want %d, error %v", n.Total, want, err)
	}
}

func (s fixture) wantKind(err error, want apperr.Kind) {
	s.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		s.Errorf("got error %v, want one of kind %d", err, want)
	}
}

// concurrently calls do n times at once, with 0 to n-1, and waits for all calls.
func concurrently(n int, do func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}
