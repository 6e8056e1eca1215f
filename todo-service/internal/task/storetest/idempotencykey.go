package storetest

import (
	"time"

	"example.com/todo/todo-service/internal/task"
)

func testKey(s fixture) {
	first, key := s.created("Learn Go", 1, start), s.parseKey("k")
	answer := s.store(first, key)
	first.Task.ID = answer.ID
	s.wantEqual("task", first.Task, answer)
	s.wantStored(first.Task, first)

	again := s.created("Learn Go", 1, start.Add(task.IdempotencyKeyTTL-time.Microsecond))
	s.wantEqual("repetition", answer, s.store(again, key))

	// The service compares the two requests, so it needs the first task as it was stored.
	s.wantEqual("repetition of another creation", answer, s.store(s.created("Something else", 2, start), key))

	s.update(answer.ID, apply(eventID(), task.Change{Title: new("Learn more"), Done: new(true)}, start))
	s.wantEqual("repetition after a change", answer, s.store(again, key))
	s.update(answer.ID, remove(eventID(), start))
	s.wantEqual("repetition after the deletion", answer, s.store(again, key))
	s.wantTasks(0)
	s.wantEvents(answer.ID, 3)

	if other := s.store(again, s.parseKey("K")); other.ID == answer.ID {
		s.Errorf("another key got %+v", other)
	}
}

func testKeyLife(s fixture) {
	key, at := s.parseKey("k"), start
	for range 3 { // the key has expired each time
		e := s.created("Learn Go", 1, at)
		e.Task.ID = s.store(e, key).ID
		s.wantStored(e.Task, e)
		again := s.created("Learn Go", 1, at.Add(task.IdempotencyKeyTTL-time.Microsecond))
		s.wantEqual("repetition", e.Task, s.store(again, key))
		at = at.Add(task.IdempotencyKeyTTL)
	}
	s.wantTasks(3)
}

// An attempt whose response was lost is repeated with the same event.
func testKeyRepeat(s fixture) {
	e := s.created("Learn Go", 1, start)
	first := s.store(e, s.parseKey("k"))
	for _, key := range []task.IdempotencyKey{s.parseKey("k"), s.parseKey("another"), noKey} {
		s.wantEqual("repetition", first, s.store(e, key))
	}
	s.wantEvents(first.ID, 1)

	next := s.store(s.created("Learn Go", 1, start), s.parseKey("another"))
	if next.ID == first.ID {
		s.Errorf("the key of the repetition got %+v, want a new task", next)
	}
}

func (s fixture) parseKey(text string) task.IdempotencyKey {
	s.Helper()
	key, err := task.ParseIdempotencyKey([]string{text})
	if err != nil {
		s.Fatal(err)
	}
	return key
}
