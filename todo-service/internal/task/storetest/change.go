package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func testCreate(t *testing.T, s task.Store) {
	e := created(t, "Learn Gö 🐹", 100)
	e.UserID = new(int64(7))
	got, err := s.Create(t.Context(), e, task.IdempotencyKey{})
	if err != nil {
		t.Fatal(err)
	}
	if got.ID < 1 {
		t.Fatalf("got id %d", got.ID)
	}
	e.Task.ID = got.ID
	if diff := cmp.Diff(e.Task, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	wantTask(t, s, e.Task)
	wantHistory(t, s, got.ID, e)

	longest := create(t, s, strings.Repeat("🐹", task.MaxTitle), task.MaxPriority)
	wantTask(t, s, longest.Task)
	wantHistory(t, s, longest.Task.ID, longest)
}

func testUpdate(t *testing.T, s task.Store) {
	want := []task.Event{create(t, s, "Learn Go", 1)}
	other := create(t, s, "Another", 0)
	id := want[0].Task.ID
	for i, c := range []task.Change{
		{Title: new("Learn more Go"), Priority: new(2)},
		{Done: new(true)},
		{Done: new(false), Title: new("Learn Go")},
	} {
		at := start.Add(time.Duration(i+1) * time.Minute)
		next := want[i].Task
		kind, err := next.Apply(c, at)
		if err != nil {
			t.Fatal(err)
		}
		e := task.Event{ID: eventID(), Type: kind, Task: next, At: at}
		got, err := s.Update(t.Context(), id, apply(e.ID, c, at))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(next, got); diff != "" {
			t.Errorf("task of change %d (-want +got):\n%s", i, diff)
		}
		wantTask(t, s, next)
		want = append(want, e)
	}
	wantHistory(t, s, id, want...)
	wantTask(t, s, other.Task)
	wantHistory(t, s, other.Task.ID, other)
}

func testDelete(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 1)
	second := task.Event{ID: eventID(), Type: task.Deleted, Task: first.Task, At: start.Add(time.Minute), UserID: new(int64(7))}
	second.Task.Version = 2
	got, err := s.Update(t.Context(), first.Task.ID, func(draft *task.Task) (*task.Event, error) {
		draft.Version++
		e := second
		return &e, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(second.Task, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	_, err = s.Get(t.Context(), first.Task.ID)
	wantKind(t, err, apperr.NotFound)
	_, err = s.Update(t.Context(), first.Task.ID, remove(eventID(), start))
	wantKind(t, err, apperr.NotFound)
	wantHistory(t, s, first.Task.ID, first, second)
	if next := create(t, s, "Learn Go", 1); next.Task.ID <= first.Task.ID {
		t.Errorf("id %d came after %d", next.Task.ID, first.Task.ID)
	}
}

func testRefusal(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 1)
	_, err := s.Update(t.Context(), first.Task.ID, func(draft *task.Task) (*task.Event, error) {
		draft.Title, draft.Version = "lost", 2
		return nil, errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("got error %v, want the error of change", err)
	}
	wantTask(t, s, first.Task)
	wantHistory(t, s, first.Task.ID, first)
}

func testNoEvent(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 1)
	got, err := s.Update(t.Context(), first.Task.ID, func(draft *task.Task) (*task.Event, error) {
		draft.Title, draft.Version = "lost", 2
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Task, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	wantTask(t, s, first.Task)
	wantHistory(t, s, first.Task.ID, first)
}

func testRepeat(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 1)
	again := first
	again.Task.ID, again.Task.Title = 0, "Learn it twice"
	got, err := s.Create(t.Context(), again, task.IdempotencyKey{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Task, got); diff != "" {
		t.Errorf("task of the repeated creation (-want +got):\n%s", diff)
	}

	id := eventID()
	once, err := s.Update(t.Context(), first.Task.ID, apply(id, task.Change{Priority: new(2)}, start))
	if err != nil {
		t.Fatal(err)
	}
	twice, err := s.Update(t.Context(), first.Task.ID, apply(id, task.Change{Priority: new(3)}, start))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once, twice); diff != "" {
		t.Errorf("task of the repeated change (-want +got):\n%s", diff)
	}
	wantTask(t, s, once)
	if n, err := s.Count(t.Context(), nil); err != nil || n != 1 {
		t.Errorf("got %d tasks, error %v", n, err)
	}
	if n := len(history(t, s, first.Task.ID)); n != 2 {
		t.Errorf("got %d events, want 2", n)
	}
}

func testCancelled(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := s.Create(ctx, created(t, "Too late", 0), task.IdempotencyKey{})
	wantKind(t, err, apperr.Unavailable)
	_, err = s.Update(ctx, first.Task.ID, apply(eventID(), task.Change{Done: new(true)}, start))
	wantKind(t, err, apperr.Unavailable)
	_, err = s.Get(ctx, first.Task.ID)
	wantKind(t, err, apperr.Unavailable)
	_, err = s.List(ctx, task.Query{Limit: 1})
	wantKind(t, err, apperr.Unavailable)
	_, err = s.Count(ctx, nil)
	wantKind(t, err, apperr.Unavailable)
	_, err = s.History(ctx, first.Task.ID, 0, 1)
	wantKind(t, err, apperr.Unavailable)

	wantTask(t, s, first.Task)
	wantHistory(t, s, first.Task.ID, first)
	if n, err := s.Count(t.Context(), nil); err != nil || n != 1 {
		t.Errorf("got %d tasks, error %v", n, err)
	}
}

func testNotFound(t *testing.T, s task.Store) {
	const id = 1<<63 - 1
	_, err := s.Get(t.Context(), id)
	wantKind(t, err, apperr.NotFound)
	_, err = s.Update(t.Context(), id, func(*task.Task) (*task.Event, error) {
		t.Error("change was called for an unknown task")
		return nil, nil
	})
	wantKind(t, err, apperr.NotFound)
	wantHistory(t, s, id)
}

func testTimes(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 1)
	at := start.Add(time.Minute)
	if _, err := s.Update(t.Context(), first.Task.ID, apply(eventID(), task.Change{Done: new(true)}, at)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), first.Task.ID)
	if err != nil {
		t.Fatal(err)
	}
	events := history(t, s, first.Task.ID)
	for name, times := range map[string][2]time.Time{
		"created_at":              {got.CreatedAt, start},
		"completed_at":            {*got.CompletedAt, at},
		"the event":               {events[1].At, at},
		"created_at in the event": {events[1].Task.CreatedAt, start},
	} {
		if times[0] != times[1] { // also the same location, or JSON would show another offset
			t.Errorf("%s: got %#v, want %#v", name, times[0], times[1])
		}
	}
}
