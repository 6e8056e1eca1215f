package storetest

import (
	"fmt"
	"sync"
	"testing"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/task"
)

const writers, changesEach = 16, 5

func testConcurrentChanges(t *testing.T, s task.Store) {
	first := create(t, s, "0", 0)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for c := range changesEach {
				title := fmt.Sprintf("writer %d change %d", w, c)
				if _, err := s.Update(t.Context(), first.Task.ID, apply(eventID(), task.Change{Title: &title}, start)); err != nil {
					t.Errorf("%s: %v", title, err)
				}
			}
		})
	}
	group.Wait()

	events := history(t, s, first.Task.ID)
	if want := 1 + writers*changesEach; len(events) != want {
		t.Fatalf("got %d events, want %d", len(events), want)
	}
	titles := map[string]bool{}
	for i, e := range events {
		titles[e.Task.Title] = true
		if e.Task.Version != int64(i+1) {
			t.Errorf("event %d announces version %d", i, e.Task.Version)
		}
	}
	if len(titles) != len(events) {
		t.Errorf("%d events announce %d different titles", len(events), len(titles))
	}
	wantTask(t, s, events[len(events)-1].Task)
}

func testConcurrentCreations(t *testing.T, s task.Store) {
	var group sync.WaitGroup
	var ids sync.Map
	for range writers {
		e := created(t, "Learn Go", 0)
		group.Go(func() {
			got, err := s.Create(t.Context(), e, task.IdempotencyKey{})
			if err != nil {
				t.Error(err)
				return
			}
			if _, taken := ids.LoadOrStore(got.ID, true); taken {
				t.Errorf("id %d was assigned twice", got.ID)
			}
		})
	}
	group.Wait()
	if n, err := s.Count(t.Context(), nil); err != nil || n != writers {
		t.Errorf("got %d tasks, want %d, error %v", n, writers, err)
	}
}

func testConcurrentRepeats(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 0)
	creation, change := created(t, "Learn more", 0), eventID()
	var group sync.WaitGroup
	var ids sync.Map
	for w := range writers {
		group.Go(func() {
			got, err := s.Create(t.Context(), creation, task.IdempotencyKey{})
			if err != nil {
				t.Error(err)
			}
			ids.Store(got.ID, true)
			got, err = s.Update(t.Context(), first.Task.ID, apply(change, task.Change{Priority: new(1 + w)}, start))
			if err != nil || got.Version != 2 {
				t.Errorf("got %+v, error %v", got, err)
			}
		})
	}
	group.Wait()
	created := 0
	for id := range ids.Range {
		created++
		if n := len(history(t, s, id.(int64))); n != 1 {
			t.Errorf("task %d has %d events, want 1", id, n)
		}
	}
	if created != 1 {
		t.Errorf("one creation stored %d tasks", created)
	}
	if n := len(history(t, s, first.Task.ID)); n != 2 {
		t.Errorf("the changed task has %d events, want 2", n)
	}
}

func testConcurrentDeletions(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 0)
	var group sync.WaitGroup
	outcomes := make(chan error, writers)
	for range writers {
		group.Go(func() {
			_, err := s.Update(t.Context(), first.Task.ID, remove(eventID(), start))
			outcomes <- err
		})
	}
	group.Wait()
	close(outcomes)
	succeeded := 0
	for err := range outcomes {
		if err == nil {
			succeeded++
			continue
		}
		wantKind(t, err, apperr.NotFound)
	}
	if succeeded != 1 {
		t.Errorf("%d deletions succeeded, want 1", succeeded)
	}
	if n := len(history(t, s, first.Task.ID)); n != 2 {
		t.Errorf("got %d events, want 2", n)
	}
}

func testDeletionAmongChanges(t *testing.T, s task.Store) {
	first := create(t, s, "Learn Go", 0)
	var group sync.WaitGroup
	changed := make(chan bool, writers*changesEach)
	for w := range writers {
		group.Go(func() {
			for c := range changesEach {
				title := fmt.Sprintf("writer %d change %d", w, c)
				_, err := s.Update(t.Context(), first.Task.ID, apply(eventID(), task.Change{Title: &title}, start))
				if err == nil {
					changed <- true
					continue
				}
				wantKind(t, err, apperr.NotFound)
			}
		})
	}
	for range writers { // so that the deletion meets concurrent changes
		<-changed
	}
	if _, err := s.Update(t.Context(), first.Task.ID, remove(eventID(), start)); err != nil {
		t.Error(err)
	}
	group.Wait()

	events := history(t, s, first.Task.ID)
	for i, e := range events {
		if last := i == len(events)-1; e.Task.Version != int64(i+1) || (e.Type == task.Deleted) != last {
			t.Errorf("event %d of %d is %s at version %d", i+1, len(events), e.Type, e.Task.Version)
		}
	}
	_, err := s.Get(t.Context(), first.Task.ID)
	wantKind(t, err, apperr.NotFound)
}
