package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/todo-service/internal/task"
)

func testKey(t *testing.T, s task.Store) {
	first, key := created(t, "Learn Go", 1), keyOf(t, "k")
	answer, err := s.Create(t.Context(), first, key)
	if err != nil {
		t.Fatal(err)
	}
	first.Task.ID = answer.ID
	if diff := cmp.Diff(first.Task, answer); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	wantTask(t, s, first.Task)
	wantHistory(t, s, first.Task.ID, first)

	again := created(t, "Learn Go", 1)
	again.At = start.Add(task.IdempotencyKeyTTL - time.Microsecond)
	again.Task.CreatedAt = again.At
	wantAnswer(t, s, again, key, first.Task)

	// The service compares the two requests, so it needs the first task as it was stored.
	wantAnswer(t, s, created(t, "Something else", 2), key, first.Task)

	if _, err := s.Update(t.Context(), first.Task.ID, apply(eventID(), task.Change{Title: new("Learn more"), Done: new(true)}, start)); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, s, again, key, first.Task)
	if _, err := s.Update(t.Context(), first.Task.ID, remove(eventID(), start)); err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, s, again, key, first.Task)
	wantTasks(t, s, 0)
	if n := len(history(t, s, first.Task.ID)); n != 3 {
		t.Errorf("got %d events, want 3", n)
	}

	other, err := s.Create(t.Context(), again, keyOf(t, "K"))
	if err != nil || other.ID == answer.ID {
		t.Errorf("another key got %+v, error %v", other, err)
	}
}

func testKeyLife(t *testing.T, s task.Store) {
	key := keyOf(t, "k")
	at := start
	var ids []int64
	for range 3 { // the key has expired each time
		e := created(t, "Learn Go", 1)
		e.At, e.Task.CreatedAt = at, at
		stored, err := s.Create(t.Context(), e, key)
		if err != nil {
			t.Fatal(err)
		}
		e.Task.ID = stored.ID
		wantTask(t, s, e.Task)
		wantHistory(t, s, stored.ID, e)
		again := created(t, "Learn Go", 1)
		again.At = at.Add(task.IdempotencyKeyTTL - time.Microsecond)
		wantAnswer(t, s, again, key, e.Task)
		ids, at = append(ids, stored.ID), at.Add(task.IdempotencyKeyTTL)
	}
	if ids[0] == ids[1] || ids[1] == ids[2] {
		t.Errorf("got tasks %v, want three", ids)
	}
	wantTasks(t, s, 3)
}

// An attempt whose response was lost is repeated with the same event.
func testKeyRepeat(t *testing.T, s task.Store) {
	e, key := created(t, "Learn Go", 1), keyOf(t, "k")
	first, err := s.Create(t.Context(), e, key)
	if err != nil {
		t.Fatal(err)
	}
	wantAnswer(t, s, e, key, first)
	wantAnswer(t, s, e, keyOf(t, "another"), first)
	wantAnswer(t, s, e, task.IdempotencyKey{}, first)
	if n := len(history(t, s, first.ID)); n != 1 {
		t.Errorf("got %d events, want 1", n)
	}

	next, err := s.Create(t.Context(), created(t, "Learn Go", 1), keyOf(t, "another"))
	if err != nil || next.ID == first.ID {
		t.Errorf("the key of the repetition got %+v, want a new task, error %v", next, err)
	}
}

func testConcurrentKey(t *testing.T, s task.Store) {
	const requests = 50
	key := keyOf(t, "k")
	answers := make([]task.Task, requests)
	var group sync.WaitGroup
	for i := range requests {
		e := created(t, "Learn Go", 1)
		e.At = start.Add(time.Duration(i) * time.Second)
		e.Task.CreatedAt = e.At
		group.Go(func() {
			var err error
			if answers[i], err = s.Create(t.Context(), e, key); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i, answer := range answers {
		if diff := cmp.Diff(answers[0], answer); diff != "" {
			t.Errorf("tasks 0 and %d differ (-0 +%d):\n%s", i, i, diff)
		}
	}
	wantTasks(t, s, 1)
	wantTask(t, s, answers[0])
	if events := history(t, s, answers[0].ID); len(events) != 1 || events[0].Task != answers[0] {
		t.Errorf("got events %+v, want one of %+v", events, answers[0])
	}
}

// wantAnswer creates a task and wants the one that was stored before.
func wantAnswer(t *testing.T, s task.Store, e task.Event, key task.IdempotencyKey, want task.Task) {
	t.Helper()
	got, err := s.Create(t.Context(), e, key)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("task of the repetition (-want +got):\n%s", diff)
	}
}

func wantTasks(t *testing.T, s task.Store, want int64) {
	t.Helper()
	if n, err := s.Count(t.Context(), nil); err != nil || n != want {
		t.Errorf("got %d tasks, want %d, error %v", n, want, err)
	}
}

func keyOf(t *testing.T, text string) task.IdempotencyKey {
	t.Helper()
	key, err := task.ParseIdempotencyKey([]string{text})
	if err != nil {
		t.Fatal(err)
	}
	return key
}
