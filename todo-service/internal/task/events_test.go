package task_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/todo/platform/apperr"
	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/task"
)

func TestHistoryReturnsPagesAlsoOfADeletedTask(t *testing.T) {
	t.Parallel()
	s := newService()
	created, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go"})
	must(t, err)
	yes, no := true, false
	for _, done := range []*bool{&yes, &no} {
		_, err := s.Change(t.Context(), owner, created.ID, task.Change{Done: done}, nil)
		must(t, err)
	}
	must(t, s.Delete(t.Context(), owner, created.ID, nil)) // the history of a deleted task has the same pages
	for _, test := range []struct {
		after int64
		limit int
		want  []task.EventType
		more  bool
	}{
		{0, 0, []task.EventType{task.Created, task.Completed, task.Reopened, task.Deleted}, false},
		{0, 1, []task.EventType{task.Created}, true},
		{1, 2, []task.EventType{task.Completed, task.Reopened}, true},
		{2, 2, []task.EventType{task.Reopened, task.Deleted}, false},
		{4, 0, nil, false},
	} {
		events, more, err := s.History(t.Context(), owner, created.ID, test.after, test.limit)
		must(t, err)
		var kinds []task.EventType
		for _, e := range events {
			kinds = append(kinds, e.Type)
		}
		if diff := cmp.Diff(test.want, kinds); diff != "" || more != test.more {
			t.Errorf("%d after %d: more is %t, want %t; events (-want +got):\n%s", test.limit, test.after, more, test.more, diff)
		}
	}
}

func TestHistoryRefusesInvalidPagesAndUnknownTasks(t *testing.T) {
	t.Parallel()
	s := newService()
	created, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go"})
	must(t, err)
	for name, test := range map[string]struct {
		id    int64
		after int64
		limit int
		want  apperr.Kind
	}{
		"id 0":                   {0, 0, 0, apperr.Invalid},
		"limit -1":               {created.ID, 0, -1, apperr.Invalid},
		"limit 1001":             {created.ID, 0, 1001, apperr.Invalid},
		"after -1":               {created.ID, -1, 0, apperr.Invalid},
		"unknown task":           {99, 0, 0, apperr.NotFound},
		"unknown task, page two": {99, 1, 0, apperr.NotFound},
	} {
		if _, _, err := s.History(t.Context(), owner, test.id, test.after, test.limit); apperr.Of(err).Kind != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// purged is a store whose events were purged.
type purged struct{ *memstore.Store }

func (purged) History(context.Context, task.Owner, int64, int64, int) ([]task.Event, error) {
	return nil, nil
}

func TestHistoryOfATaskIsEmptyAfterThePurgeOfItsEvents(t *testing.T) {
	t.Parallel()
	s := task.NewService(purged{memstore.New()}, time.Now, func(context.Context, task.Owner, string) {})
	created, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go"})
	must(t, err)
	for _, after := range []int64{0, 1} {
		events, more, err := s.History(t.Context(), owner, created.ID, after, 0)
		if len(events) > 0 || more || err != nil {
			t.Errorf("after %d: %d events, more is %t, error %v", after, len(events), more, err)
		}
	}
	must(t, s.Delete(t.Context(), owner, created.ID, nil))
	if _, _, err := s.History(t.Context(), owner, created.ID, 0, 0); apperr.Of(err).Kind != apperr.NotFound {
		t.Errorf("a deleted task without events: %v, want NotFoundError", err)
	}
}
