package storetest

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

func testCreate(s fixture) {
	e := s.created("Learn Gö 🐹", 100, start)
	got := s.store(e, noKey)
	if got.ID < 1 {
		s.Fatalf("got id %d", got.ID)
	}
	e.Task.ID = got.ID
	s.wantEqual("task", e.Task, got)
	s.wantStored(e.Task, e)

	longest := s.create(strings.Repeat("🐹", task.MaxTitle), task.MaxPriority)
	s.wantStored(longest.Task, longest)
}

func testUpdate(s fixture) {
	want := []task.Event{s.create("Learn Go", 1)}
	other := s.create("Another", 0)
	for i, c := range []task.Change{
		{Title: new("Learn more Go"), Priority: new(2)},
		{Done: new(true)},
		{Done: new(false), Title: new("Learn Go")},
	} {
		at := start.Add(time.Duration(i+1) * time.Minute)
		next := want[i].Task
		kind, err := next.Apply(c, at)
		if err != nil {
			s.Fatal(err)
		}
		e := task.Event{ID: eventID(), Type: kind, Task: next, Owner: s.owner, At: at}
		s.wantEqual("changed task", next, s.update(next.ID, apply(e.ID, c, at)))
		want = append(want, e)
		s.wantStored(next, want...)
	}
	s.wantStored(other.Task, other)
}

func testDelete(s fixture) {
	first := s.create("Learn Go", 1)
	id := first.Task.ID
	second := task.Event{ID: eventID(), Type: task.Deleted, Task: first.Task, At: start.Add(time.Minute), Owner: s.owner}
	second.Task.Version = 2
	got := s.update(id, func(draft *task.Task) (*task.Event, error) {
		draft.Version++
		return new(second), nil
	})
	s.wantEqual("task", second.Task, got)
	_, err := s.Get(s.Context(), id)
	s.wantKind(err, apperr.NotFound)
	_, err = s.Update(s.Context(), id, remove(eventID(), start))
	s.wantKind(err, apperr.NotFound)
	s.wantEqual("history", []task.Event{first, second}, s.history(id))
	if next := s.create("Learn Go", 1); next.Task.ID <= id {
		s.Errorf("id %d came after %d", next.Task.ID, id)
	}
}

// discarded is a change that a store must not store.
func discarded(err error) func(*task.Task) (*task.Event, error) {
	return func(draft *task.Task) (*task.Event, error) {
		draft.Title, draft.Version = "lost", 2
		return nil, err
	}
}

func testRefusal(s fixture) {
	first, errRefused := s.create("Learn Go", 1), errors.New("refused")
	if _, err := s.Update(s.Context(), first.Task.ID, discarded(errRefused)); !errors.Is(err, errRefused) {
		s.Errorf("got error %v, want the error of change", err)
	}
	s.wantStored(first.Task, first)
}

func testNoEvent(s fixture) {
	first := s.create("Learn Go", 1)
	s.wantEqual("task", first.Task, s.update(first.Task.ID, discarded(nil)))
	s.wantStored(first.Task, first)
}

func testRepeat(s fixture) {
	first := s.create("Learn Go", 1)
	again := first
	again.Task.ID, again.Task.Title = 0, "Learn it twice"
	s.wantEqual("task of the repeated creation", first.Task, s.store(again, noKey))

	id := eventID()
	once := s.update(first.Task.ID, apply(id, task.Change{Priority: new(2)}, start))
	twice := s.update(first.Task.ID, apply(id, task.Change{Priority: new(3)}, start))
	s.wantEqual("task of the repeated change", once, twice)
	s.wantStored(once, first, task.Event{ID: id, Type: task.Updated, Task: once, Owner: s.owner, At: start})
	s.wantTasks(1)
}

func testCancelled(s fixture) {
	first := s.create("Learn Go", 1)
	id := first.Task.ID
	ctx, cancel := context.WithCancel(s.Context())
	cancel()

	_, err := s.Create(ctx, s.created("Too late", 0, start), noKey)
	s.wantKind(err, apperr.Unavailable)
	_, err = s.Update(ctx, id, apply(eventID(), task.Change{Done: new(true)}, start))
	s.wantKind(err, apperr.Unavailable)
	_, err = s.Get(ctx, id)
	s.wantKind(err, apperr.Unavailable)
	_, err = s.List(ctx, task.Query{Limit: 1})
	s.wantKind(err, apperr.Unavailable)
	_, err = s.Count(ctx)
	s.wantKind(err, apperr.Unavailable)
	_, err = s.History(ctx, id, 0, 1)
	s.wantKind(err, apperr.Unavailable)

	s.wantStored(first.Task, first)
	s.wantTasks(1)
}

func testNotFound(s fixture) {
	_, err := s.Get(s.Context(), math.MaxInt64)
	s.wantKind(err, apperr.NotFound)
	_, err = s.Update(s.Context(), math.MaxInt64, func(*task.Task) (*task.Event, error) {
		s.Error("change was called for an unknown task")
		return nil, nil
	})
	s.wantKind(err, apperr.NotFound)
	s.wantEqual("history", []task.Event{}, s.history(math.MaxInt64))
}

func testTimes(s fixture) {
	first := s.create("Learn Go", 1)
	at := start.Add(time.Minute)
	s.update(first.Task.ID, apply(eventID(), task.Change{Done: new(true)}, at))
	got, err := s.Get(s.Context(), first.Task.ID)
	if err != nil {
		s.Fatal(err)
	}
	events := s.history(first.Task.ID)
	for name, times := range map[string][2]time.Time{
		"created_at":              {got.CreatedAt, start},
		"completed_at":            {*got.CompletedAt, at},
		"the event":               {events[1].At, at},
		"created_at in the event": {events[1].Task.CreatedAt, start},
	} {
		if times[0] != times[1] { // also the same location, or JSON would show another offset
			s.Errorf("%s: got %#v, want %#v", name, times[0], times[1])
		}
	}
}
