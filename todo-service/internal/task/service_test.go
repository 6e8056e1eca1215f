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

func TestServiceCallsOnCommittedForEachWriteAndStoresOneEventForEachChange(t *testing.T) {
	t.Parallel()
	s := newService()
	yes, no, title := true, false, "Learn more Go"
	created, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go", Priority: 1})
	must(t, err)
	for _, c := range []task.Change{{Done: &yes}, {Done: &yes}, {}, {Done: &no, Title: &title}, {Title: &title}} {
		_, err = s.Change(t.Context(), owner, created.ID, c, nil)
		must(t, err)
	}
	must(t, s.Delete(t.Context(), owner, created.ID, nil))

	var kinds []task.EventType
	var versions []int64
	var ids []string
	for _, e := range s.history(t, created.ID) {
		kinds, versions, ids = append(kinds, e.Type), append(versions, e.Task.Version), append(ids, e.ID)
	}
	if diff := cmp.Diff([]task.EventType{task.Created, task.Completed, task.Reopened, task.Deleted}, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{1, 2, 3, 4}, versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if s.onCommittedCalls != 7 {
		t.Errorf("onCommitted was called %d times, want 7, one for each request", s.onCommittedCalls)
	}
	if diff := cmp.Diff(ids, s.committedIDs); diff != "" {
		t.Errorf("event ids (-stored +passed to onCommitted):\n%s", diff)
	}
}

func TestServiceChangesNothingWhenARequestIsInvalid(t *testing.T) {
	t.Parallel()
	s := newService()
	created, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go", Priority: 1})
	must(t, err)
	empty, title := "", "Learn more Go"
	for name, tt := range map[string]struct {
		want apperr.Kind
		do   func() error
	}{
		"create with a bad title": {apperr.Invalid, func() error { _, err := s.Create(t.Context(), owner, task.Draft{Title: " ", Priority: 1}); return err }},
		"get id 0":                {apperr.Invalid, func() error { _, err := s.Get(t.Context(), owner, 0); return err }},
		"get a negative id":       {apperr.Invalid, func() error { _, err := s.Get(t.Context(), owner, -1); return err }},
		"get an unknown task":     {apperr.NotFound, func() error { _, err := s.Get(t.Context(), owner, 99); return err }},
		"change id 0":             {apperr.Invalid, func() error { _, err := s.Change(t.Context(), owner, 0, task.Change{}, nil); return err }},
		"change to a bad title": {apperr.Invalid, func() error {
			_, err := s.Change(t.Context(), owner, created.ID, task.Change{Title: &empty}, nil)
			return err
		}},
		"change another version": {apperr.PreconditionFailed, func() error {
			_, err := s.Change(t.Context(), owner, created.ID, task.Change{Title: &title}, []int64{0})
			return err
		}},
		"delete another version": {apperr.PreconditionFailed, func() error { return s.Delete(t.Context(), owner, created.ID, []int64{0}) }},
		"delete an unknown task": {apperr.NotFound, func() error { return s.Delete(t.Context(), owner, 99, nil) }},
	} {
		if err := tt.do(); err == nil || apperr.Of(err).Kind != tt.want {
			t.Errorf("%s: got %v, want kind %d", name, err, tt.want)
		}
	}
	got, err := s.Get(t.Context(), owner, created.ID)
	must(t, err)
	if diff := cmp.Diff(created, got); diff != "" {
		t.Errorf("task (-want +got):\n%s", diff)
	}
	if n := len(s.history(t, created.ID)); n != 1 {
		t.Errorf("got %d events, want 1", n)
	}
}

// The process that made a change may have crashed before it invalidated the cached list.
func TestServiceCallsOnCommittedBeforeAWriterLearnsTheStateOfATask(t *testing.T) {
	t.Parallel()
	s := newService()
	crashed := task.NewService(s.store, time.Now, func(context.Context, task.Owner, string) {})
	created, err := crashed.Create(t.Context(), owner, task.Draft{Title: "Learn Go", Priority: 1})
	must(t, err)
	done, empty := true, ""
	_, err = crashed.Change(t.Context(), owner, created.ID, task.Change{Done: &done}, nil)
	must(t, err)
	repeat := func(c task.Change, expected []int64) func() error {
		return func() error { _, err := s.Change(t.Context(), owner, created.ID, c, expected); return err }
	}
	for _, tt := range []struct {
		name  string
		calls int // of onCommitted, without an event id, as nothing was stored
		do    func() error
	}{
		{"the change again", 1, repeat(task.Change{Done: &done}, nil)},
		{"the change of that version again", 1, repeat(task.Change{Done: &done}, []int64{created.Version})},
		{"an invalid change", 0, repeat(task.Change{Title: &empty}, nil)},
		{"a deletion of another version", 1, func() error { return s.Delete(t.Context(), owner, created.ID, []int64{created.Version}) }},
		{"the deletion again", 1, func() error {
			must(t, crashed.Delete(t.Context(), owner, created.ID, nil))
			return s.Delete(t.Context(), owner, created.ID, nil)
		}},
		{"a change of a deleted task", 1, repeat(task.Change{Done: &done}, nil)},
	} {
		before := s.onCommittedCalls
		err := tt.do()
		if got := s.onCommittedCalls - before; got != tt.calls {
			t.Errorf("%s: onCommitted was called %d times, want %d (error %v)", tt.name, got, tt.calls, err)
		}
	}
	if len(s.committedIDs) > 0 {
		t.Errorf("onCommitted got the event ids %q, want none, as this service stored no event", s.committedIDs)
	}
}

func TestServiceChangesATaskAtTheExpectedVersion(t *testing.T) {
	t.Parallel()
	s := newService()
	created, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go", Priority: 1})
	must(t, err)
	title := "Learn more Go"
	changed, err := s.Change(t.Context(), owner, created.ID, task.Change{Title: &title}, []int64{created.Version})
	must(t, err)
	must(t, s.Delete(t.Context(), owner, created.ID, []int64{changed.Version}))
}

func TestServiceStoresARepeatedCreationOnce(t *testing.T) {
	t.Parallel()
	s := newService()
	key, err := task.ParseIdempotencyKey([]string{"k"})
	must(t, err)
	first, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go", Priority: 1, Key: key})
	must(t, err)
	again, err := s.Create(t.Context(), owner, task.Draft{Title: " Learn Go ", Priority: 1, Key: key})
	must(t, err)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("tasks (-first +second):\n%s", diff)
	}
	// onCommitted runs twice: the first process may have crashed before its own call.
	if n := len(s.history(t, first.ID)); n != 1 || s.onCommittedCalls != 2 {
		t.Errorf("got %d events and %d calls of onCommitted, want 1 and 2", n, s.onCommittedCalls)
	}

	for _, other := range []task.Draft{{Title: "Learn Go", Priority: 2, Key: key}, {Title: "Learn", Priority: 1, Key: key}} {
		_, err := s.Create(t.Context(), owner, other)
		refusal := apperr.Of(err)
		if err == nil || refusal.Kind != apperr.Invalid || len(refusal.Fields) != 1 || refusal.Fields[0].Name != "Idempotency-Key" {
			t.Errorf("%+v: got %v", other, err)
		}
	}
	if n, err := s.Count(t.Context(), owner); err != nil || n.Total != 1 || s.onCommittedCalls != 2 {
		t.Errorf("got %d tasks and %d calls of onCommitted, error %v", n.Total, s.onCommittedCalls, err)
	}
}

func TestListChecksItsBoundsAndTellsOfALaterPage(t *testing.T) {
	t.Parallel()
	s := newService()
	for range 3 {
		_, err := s.Create(t.Context(), owner, task.Draft{Title: "Learn Go", Priority: 1})
		must(t, err)
	}
	for name, tt := range map[string]struct {
		q     task.Query
		field string // the invalid one
		n     int
		more  bool
	}{
		"everything by default":       {q: task.Query{}, n: 3},
		"exactly as many":             {q: task.Query{Limit: 3}, n: 3},
		"one fewer":                   {q: task.Query{Limit: 2}, n: 2, more: true},
		"the largest limit":           {q: task.Query{Limit: task.MaxLimit}, n: 3},
		"over the largest limit":      {q: task.Query{Limit: task.MaxLimit + 1}, field: "limit"},
		"a negative limit":            {q: task.Query{Limit: -1}, field: "limit"},
		"a negative cursor":           {q: task.Query{After: -1}, field: "after"},
		"the largest offset":          {q: task.Query{Offset: task.MaxOffset}},
		"over the largest offset":     {q: task.Query{Offset: task.MaxOffset + 1}, field: "offset"},
		"a negative offset":           {q: task.Query{Offset: -1}, field: "offset"},
		"NUL in the search":           {q: task.Query{Contains: "a\x00"}, field: "q"},
		"invalid UTF-8 in the search": {q: task.Query{Contains: "\xff"}, field: "q"},
	} {
		tasks, more, err := s.List(t.Context(), owner, tt.q)
		if tt.field != "" {
			if refusal := apperr.Of(err); err == nil || len(refusal.Fields) != 1 || refusal.Fields[0].Name != tt.field {
				t.Errorf("%s: got %v, want an error about %s", name, err, tt.field)
			}
			continue
		}
		if err != nil || len(tasks) != tt.n || more != tt.more {
			t.Errorf("%s: got %d tasks, more %t, error %v", name, len(tasks), more, err)
		}
	}
}

func TestListComparesTitlesInNFC(t *testing.T) {
	t.Parallel()
	s := newService()
	made, err := s.Create(t.Context(), owner, task.Draft{Title: "Cafe\u0301 au lait"})
	must(t, err)
	for _, part := range []string{"Caf\u00e9", "Cafe\u0301", "\u00e9 AU"} {
		found, _, err := s.List(t.Context(), owner, task.Query{Contains: part})
		if err != nil || len(found) != 1 || found[0].ID != made.ID {
			t.Errorf("%+q found %v, error %v", part, found, err)
		}
	}
}

// The key is of a creation from before titles were stored in NFC.
func TestARepeatedCreationMatchesATitleThatWasStoredDecomposed(t *testing.T) {
	t.Parallel()
	s := newService()
	key, err := task.ParseIdempotencyKey([]string{"k"})
	must(t, err)
	const old = "Cafe\u0301"
	now := time.Now()
	first, err := s.store.Create(t.Context(), owner, task.Event{ID: "00000000-0000-7000-8000-000000000001", Type: task.Created, Task: task.Task{Title: old, CreatedAt: now, Version: 1}, At: now}, key)
	must(t, err)
	again, err := s.Create(t.Context(), owner, task.Draft{Title: old, Key: key})
	if err != nil || again.ID != first.ID || again.Title != old {
		t.Errorf("got %+v, error %v, want the first task, %+v", again, err, first)
	}
}

// The writer's deadline may pass, or the writer disconnect, between the commit and the
// response. All readers must still see the change.
func TestOnCommittedRunsWithItsOwnDeadlineAfterTheWriterHasLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var left time.Duration
	var cause error
	onCommitted := func(ctx context.Context, _ task.Owner, _ string) {
		cancel()
		cause = ctx.Err()
		if deadline, ok := ctx.Deadline(); ok {
			left = time.Until(deadline)
		}
	}
	if _, err := task.NewService(memstore.New(), time.Now, onCommitted).Create(ctx, owner, task.Draft{Title: "Learn Go", Priority: 1}); err != nil {
		t.Fatal(err)
	}
	if cause != nil || left <= 0 || left > time.Second {
		t.Errorf("onCommitted had %v left and a context with error %v", left, cause)
	}
}

// owner makes every request of these tests.
const owner task.Owner = 7

type service struct {
	*task.Service
	store            *memstore.Store
	onCommittedCalls int      // with the owner
	committedIDs     []string // the ids of the events
}

func newService() *service {
	s := &service{store: memstore.New()}
	s.Service = task.NewService(s.store, time.Now, func(_ context.Context, committer task.Owner, eventID string) {
		if committer != owner {
			return
		}
		s.onCommittedCalls++
		if eventID != "" {
			s.committedIDs = append(s.committedIDs, eventID)
		}
	})
	return s
}

func (s *service) history(t *testing.T, id int64) []task.Event {
	t.Helper()
	events, err := s.store.History(t.Context(), owner, id, 0, task.MaxLimit)
	must(t, err)
	return events
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
