package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/todo-service/internal/task"
)

func testHistoryPages(t *testing.T, s task.Store) {
	all := []task.Event{create(t, s, "Learn Go", 0)}
	id := all[0].Task.ID
	create(t, s, "Another", 0)
	for i := range 4 {
		at := start.Add(time.Duration(i+1) * time.Minute)
		e := eventID()
		changed, err := s.Update(t.Context(), id, apply(e, task.Change{Priority: new(i + 1)}, at))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, task.Event{ID: e, Type: task.Updated, Task: changed, At: at})
	}
	deleted := task.Event{ID: eventID(), Type: task.Deleted, Task: all[4].Task, At: start.Add(time.Hour)}
	deleted.Task.Version++
	if _, err := s.Update(t.Context(), id, remove(deleted.ID, deleted.At)); err != nil {
		t.Fatal(err)
	}
	all = append(all, deleted)
	for _, page := range []struct {
		after int64
		limit int
		want  []task.Event
	}{
		{0, 2, all[:2]},
		{2, 2, all[2:4]},
		{4, 2, all[4:]},
		{4, 1, all[4:5]},
		{5, 100, all[5:]},
		{6, 1, nil},
		{math.MaxInt64, 1, nil},
	} {
		got, err := s.History(t.Context(), id, page.after, page.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]task.Event{}, page.want...), got); diff != "" {
			t.Errorf("%d after version %d (-want +got):\n%s", page.limit, page.after, diff)
		}
	}
}
