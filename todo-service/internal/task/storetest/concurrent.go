package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

const writers, changesEach = 16, 5

// changeTitles changes the task's title from all writers at once. It calls done with the
// result of each change.
func (s fixture) changeTitles(id int64, done func(error)) {
	concurrently(writers, func(w int) {
		for c := range changesEach {
			title := fmt.Sprintf("writer %d change %d", w, c)
			_, err := s.Update(s.Context(), id, apply(eventID(), task.Change{Title: &title}, start))
			done(err)
		}
	})
}

func testConcurrentChanges(s fixture) {
	first := s.create("0", 0)
	s.changeTitles(first.Task.ID, func(err error) {
		if err != nil {
			s.Error(err)
		}
	})

	events := s.history(first.Task.ID)
	if want := 1 + writers*changesEach; len(events) != want {
		s.Fatalf("got %d events, want %d", len(events), want)
	}
	titles := map[string]bool{}
	for i, e := range events {
		titles[e.Task.Title] = true
		if e.Task.Version != int64(i+1) {
			s.Errorf("event %d announces version %d", i, e.Task.Version)
		}
	}
	s.wantEqual("number of different titles", len(events), len(titles))
	s.wantStored(events[len(events)-1].Task, events...)
}

func testConcurrentCreations(s fixture) {
	var ids sync.Map
	concurrently(writers, func(int) {
		got, err := s.Create(s.Context(), s.created("Learn Go", 0, start), noKey)
		if _, taken := ids.LoadOrStore(got.ID, true); err != nil || taken {
			s.Errorf("id %d was assigned twice, error %v", got.ID, err)
		}
	})
	s.wantTasks(writers)
}

func testConcurrentRepeats(s fixture) {
	first := s.create("Learn Go", 0)
	creation, change := s.created("Learn more", 0, start), eventID()
	concurrently(writers, func(w int) {
		if _, err := s.Create(s.Context(), creation, noKey); err != nil {
			s.Error(err)
		}
		got, err := s.Update(s.Context(), first.Task.ID, apply(change, task.Change{Priority: new(1 + w)}, start))
		if err != nil || got.Version != 2 {
			s.Errorf("got %+v, error %v", got, err)
		}
	})
	s.wantTasks(2)
	s.wantEvents(s.store(creation, noKey).ID, 1)
	s.wantEvents(first.Task.ID, 2)
}

func testConcurrentKey(s fixture) {
	const requests = 50
	key := s.parseKey("k")
	answers := make([]task.Task, requests)
	concurrently(requests, func(i int) {
		var err error
		e := s.created("Learn Go", 1, start.Add(time.Duration(i)*time.Second))
		if answers[i], err = s.Create(s.Context(), e, key); err != nil {
			s.Error(err)
		}
	})
	s.wantEqual("tasks", slices.Repeat(answers[:1], requests), answers)
	s.wantTasks(1)
	events := s.history(answers[0].ID)
	s.wantStored(answers[0], events...)
	if len(events) != 1 || events[0].Task != answers[0] {
		s.Errorf("got events %+v, want one of %+v", events, answers[0])
	}
}

func testConcurrentDeletions(s fixture) {
	first := s.create("Learn Go", 0)
	outcomes := make(chan error, writers)
	concurrently(writers, func(int) {
		_, err := s.Update(s.Context(), first.Task.ID, remove(eventID(), start))
		outcomes <- err
	})
	close(outcomes)
	succeeded := 0
	for err := range outcomes {
		if err == nil {
			succeeded++
			continue
		}
		s.wantKind(err, apperr.NotFound)
	}
	s.wantEqual("number of deletions", 1, succeeded)
	s.wantEvents(first.Task.ID, 2)
}

func testDeletionAmongChanges(s fixture) {
	first := s.create("Learn Go", 0)
	changed := make(chan bool, writers*changesEach)
	var deletion sync.WaitGroup
	deletion.Go(func() {
		for range writers { // so that the deletion meets concurrent changes
			<-changed
		}
		if _, err := s.Update(s.Context(), first.Task.ID, remove(eventID(), start)); err != nil {
			s.Error(err)
		}
	})
	s.changeTitles(first.Task.ID, func(err error) {
		if err != nil {
			s.wantKind(err, apperr.NotFound)
			return
		}
		changed <- true
	})
	deletion.Wait()

	events := s.history(first.Task.ID)
	for i, e := range events {
		if last := i == len(events)-1; e.Task.Version != int64(i+1) || (e.Type == task.Deleted) != last {
			s.Errorf("event %d of %d is %s at version %d", i+1, len(events), e.Type, e.Task.Version)
		}
	}
	_, err := s.Get(s.Context(), first.Task.ID)
	s.wantKind(err, apperr.NotFound)
}
