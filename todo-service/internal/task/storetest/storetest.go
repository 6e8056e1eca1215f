// Package storetest is the contract test of task.Store: the tests that every store must
// pass, because the service relies on them.
package storetest

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

// Run runs the contract test. open returns an empty store for each subtest.
func Run(t *testing.T, open func(t *testing.T) task.Store) {
	for name, test := range map[string]func(*testing.T, task.Store){
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
		"List searches titles literally":                testSearch,
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
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

var start = time.Date(2026, 1, 15, 10, 0, 0, 123_456_000, time.UTC)

func eventID() string { return uuid.Must(uuid.NewV7()).String() }

func created(t *testing.T, title string, priority int) task.Event {
	t.Helper()
	draft, err := task.New(title, priority, start)
	if err != nil {
		t.Fatal(err)
	}
	return task.Event{ID: eventID(), Type: task.Created, Task: draft, At: start}
}

// create stores a task and returns its event as History returns it.
func create(t *testing.T, s task.Store, title string, priority int) task.Event {
	t.Helper()
	e := created(t, title, priority)
	stored, err := s.Create(t.Context(), e, task.IdempotencyKey{})
	if err != nil {
		t.Fatal(err)
	}
	e.Task.ID = stored.ID
	return e
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

func remove(id string, at time.Time) func(*task.Task) (*task.Event, error) {
	return func(t *task.Task) (*task.Event, error) {
		t.Version++
		return &task.Event{ID: id, Type: task.Deleted, Task: *t, At: at}, nil
	}
}

func wantTask(t *testing.T, s task.Store, want task.Task) {
	t.Helper()
	got, err := s.Get(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
}

func wantHistory(t *testing.T, s task.Store, id int64, want ...task.Event) {
	t.Helper()
	got := history(t, s, id)
	if diff := cmp.Diff(append([]task.Event{}, want...), got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func history(t *testing.T, s task.Store, id int64) []task.Event {
	t.Helper()
	events, err := s.History(t.Context(), id, 0, math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func wantKind(t *testing.T, err error, want apperr.Kind) {
	t.Helper()
	if err == nil || apperr.Of(err).Kind != want {
		t.Errorf("got error %v, want one of kind %d", err, want)
	}
}

var errRefused = errors.New("refused")
