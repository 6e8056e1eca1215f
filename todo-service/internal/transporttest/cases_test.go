package transporttest

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/todo/todo-service/internal/memstore"
	"example.com/todo/todo-service/internal/task"
)

// step is one request and what its client should learn.
type step struct {
	request func(context.Context, transport) outcome
	want    outcome
}

type scenario struct {
	name   string
	steps  []step
	events []task.Event // of the first three tasks, by task; without their ids
}

func create(title string, priority int) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.create(ctx, title, priority) }
}

func createOnce(key, title string, priority int) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.create(ctx, title, priority, key) }
}

func get(id int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.get(ctx, id) }
}

func list(onlyDone bool, limit int) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.list(ctx, onlyDone, limit) }
}

func change(id int64, change task.Change, expected ...int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.change(ctx, id, change, first(expected)) }
}

func complete(id int64, expected ...int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.complete(ctx, id, first(expected)) }
}

func remove(id int64, expected ...int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.remove(ctx, id, first(expected)) }
}

func history(id, after int64, limit int) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome {
		return c.history(ctx, id, task.Page{After: after, Limit: limit})
	}
}

func first(expected []int64) *int64 {
	if len(expected) == 0 {
		return nil
	}
	return &expected[0]
}

// made is a new task: the id-th, created at that reading of the clock.
func made(id int64, title string, priority, reading int) task.Task {
	return task.Task{ID: id, Title: title, Priority: priority, CreatedAt: at(reading), Version: 1}
}

// then is a task after one more change.
func then(t task.Task, alter func(*task.Task)) task.Task {
	t.Version++
	alter(&t)
	return t
}

func done(reading int) func(*task.Task) {
	return func(t *task.Task) { t.Done, t.CompletedAt = true, ptr(at(reading)) }
}

func reopened(t *task.Task) { t.Done, t.CompletedAt = false, nil }

func event(kind task.EventType, t task.Task, reading int) task.Event {
	return task.Event{Type: kind, Task: t, At: at(reading)}
}

var withoutIDs = cmpopts.IgnoreFields(task.Event{}, "ID")

func TestBothTransportsAgree(t *testing.T) {
	t.Parallel()
	for _, s := range append(lives(), refusals()...) {
		for name, serve := range transports {
			t.Run(s.name+" over "+name, func(t *testing.T) {
				t.Parallel()
				store := memstore.New()
				client := serve(t, application(store), &budget{left: math.MaxInt})
				for i, step := range s.steps {
					if diff := cmp.Diff(step.want, step.request(t.Context(), client), cmpopts.EquateEmpty(), withoutIDs); diff != "" {
						t.Errorf("step %d (-want +got):\n%s", i, diff)
					}
				}
				var events []task.Event
				for id := range int64(3) {
					stored, err := store.History(t.Context(), id+1, 0, task.MaxLimit)
					if err != nil {
						t.Fatal(err)
					}
					events = append(events, stored...)
				}
				if diff := cmp.Diff(s.events, events, withoutIDs); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestTheBudgetIsOneForBothTransports(t *testing.T) {
	t.Parallel()
	shared := &budget{left: 3}
	clients := map[string]transport{}
	for name, serve := range transports {
		clients[name] = serve(t, application(memstore.New()), shared)
	}
	for i, step := range []struct{ over, refusal string }{
		{"HTTP", ""}, {"gRPC", ""}, {"HTTP", ""}, {"gRPC", exhausted}, {"HTTP", exhausted},
	} {
		if got := clients[step.over].create(t.Context(), "A", 0); got.Refusal != step.refusal {
			t.Errorf("request %d over %s: refusal %q, want %q", i, step.over, got.Refusal, step.refusal)
		}
	}
}

func TestAKeyIsOneForBothTransports(t *testing.T) {
	t.Parallel()
	application := application(memstore.New())
	for name, serve := range transports {
		client := serve(t, application, &budget{left: math.MaxInt})
		for i, step := range []step{
			{createOnce("k", "A", 5), tasks(made(1, "A", 5, 1))},
			{createOnce("k", "B", 5), refused(invalid, "Idempotency-Key")},
		} {
			if diff := cmp.Diff(step.want, step.request(t.Context(), client), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("step %d over %s (-want +got):\n%s", i, name, diff)
			}
		}
	}
}

// lives are what can happen to a task.
func lives() []scenario {
	a, b := made(1, "A", 5, 1), made(2, "B", 0, 2)
	doneA := then(a, done(2))
	reopenedA := then(doneA, reopened)
	renamedA := then(a, func(t *task.Task) { t.Title = "B" })
	ofDeletedA := []task.Event{
		event(task.Created, a, 1), event(task.Completed, then(a, done(3)), 3),
		event(task.Deleted, then(then(a, done(3)), func(*task.Task) {}), 4),
	}
	return []scenario{
		{
			name: "created, trimmed, shown",
			steps: []step{
				{create("  A\t", 5), tasks(a)},
				{get(1), tasks(a)},
				{list(false, 1000), tasks(a)},
			},
			events: []task.Event{event(task.Created, a, 1)},
		},
		{
			name: "any title within the bounds",
			steps: []step{
				{create(strings.Repeat("界", 500), 100), tasks(made(1, strings.Repeat("界", 500), 100, 1))},
				{create(`"<script>" & 'e'`, 0), tasks(made(2, `"<script>" & 'e'`, 0, 2))},
			},
			events: []task.Event{
				event(task.Created, made(1, strings.Repeat("界", 500), 100, 1), 1),
				event(task.Created, made(2, `"<script>" & 'e'`, 0, 2), 2),
			},
		},
		{
			name:  "an empty list",
			steps: []step{{list(false, 10), tasks()}, {list(true, 10), tasks()}},
		},
		{
			name: "lists are in id order and bounded",
			steps: []step{
				{create("A", 5), tasks(a)},
				{create("B", 0), tasks(b)},
				{complete(2), tasks(then(b, done(3)))},
				{list(false, 1), tasks(a)},
				{list(false, 2), tasks(a, then(b, done(3)))},
				{list(true, 2), tasks(then(b, done(3)))},
			},
			events: []task.Event{event(task.Created, a, 1), event(task.Created, b, 2), event(task.Completed, then(b, done(3)), 3)},
		},
		{
			name: "completed twice, announced once",
			steps: []step{
				{create("A", 5), tasks(a)},
				{complete(1), tasks(doneA)},
				{complete(1), tasks(doneA)},
				{change(1, task.Change{Done: ptr(true)}), tasks(doneA)},
				{get(1), tasks(doneA)},
			},
			events: []task.Event{event(task.Created, a, 1), event(task.Completed, doneA, 2)},
		},
		{
			name: "completed, reopened, completed again",
			steps: []step{
				{create("A", 5), tasks(a)},
				{change(1, task.Change{Done: ptr(true)}), tasks(doneA)},
				{change(1, task.Change{Done: ptr(false)}), tasks(reopenedA)},
				{complete(1), tasks(then(reopenedA, done(4)))},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Completed, doneA, 2),
				event(task.Reopened, reopenedA, 3), event(task.Completed, then(reopenedA, done(4)), 4),
			},
		},
		{
			name: "changed and completed at once is one completion",
			steps: []step{
				{create("A", 5), tasks(a)},
				{change(1, task.Change{Title: ptr(" B "), Priority: ptr(0), Done: ptr(true)}), tasks(then(doneA, func(t *task.Task) {
					t.Title, t.Priority, t.Version = "B", 0, 2
				}))},
			},
			events: []task.Event{event(task.Created, a, 1), event(task.Completed, then(doneA, func(t *task.Task) {
				t.Title, t.Priority, t.Version = "B", 0, 2
			}), 2)},
		},
		{
			name: "a change of nothing is no change",
			steps: []step{
				{create("A", 5), tasks(a)},
				{change(1, task.Change{}), tasks(a)},
				{change(1, task.Change{Title: ptr(" A"), Priority: ptr(5), Done: ptr(false)}), tasks(a)},
			},
			events: []task.Event{event(task.Created, a, 1)},
		},
		{
			name: "created once under a key",
			steps: []step{
				{createOnce("k", "A", 5), tasks(a)},
				{createOnce("k", "A", 5), tasks(a)},
				{createOnce(`"k"`, " A\t", 5), tasks(a)},
				{createOnce("k", "B", 5), refused(invalid, "Idempotency-Key")},
				{createOnce("k", "A", 4), refused(invalid, "Idempotency-Key")},
				{createOnce("k", "", 101), refused(invalid, "title", "priority")},
				{createOnce("K", "A", 5), tasks(made(2, "A", 5, 7))},
				{create("A", 5), tasks(made(3, "A", 5, 8))},
				{list(false, 10), tasks(a, made(2, "A", 5, 7), made(3, "A", 5, 8))},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Created, made(2, "A", 5, 7), 7), event(task.Created, made(3, "A", 5, 8), 8),
			},
		},
		{
			name: "a repetition gets the first answer, whatever became of the task",
			steps: []step{
				{createOnce("k", "A", 5), tasks(a)},
				{complete(1), tasks(doneA)},
				{createOnce("k", "A", 5), tasks(a)},
				{remove(1), tasks()},
				{createOnce("k", "A", 5), tasks(a)},
				{get(1), refused(notFound)},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Completed, doneA, 2), event(task.Deleted, then(doneA, func(*task.Task) {}), 4),
			},
		},
		{
			name: "a key names nothing before its creation succeeded",
			steps: []step{
				{createOnce("k", "", 5), refused(invalid, "title")},
				{createOnce("k", "A", 5), tasks(made(1, "A", 5, 2))},
			},
			events: []task.Event{event(task.Created, made(1, "A", 5, 2), 2)},
		},
		{
			name: "deleted",
			steps: []step{
				{create("A", 5), tasks(a)},
				{remove(1), tasks()},
				{get(1), refused(notFound)},
				{remove(1), refused(notFound)},
				{list(false, 10), tasks()},
				{create("B", 0), tasks(made(2, "B", 0, 3))},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Deleted, then(a, func(*task.Task) {}), 2),
				event(task.Created, made(2, "B", 0, 3), 3),
			},
		},
		{
			name: "the history of a task that is gone",
			steps: []step{
				{create("A", 5), tasks(a)},
				{create("B", 0), tasks(b)},
				{complete(1), tasks(then(a, done(3)))},
				{remove(1), tasks()},
				{history(1, 0, 0), events(0, ofDeletedA...)},
				{history(1, 0, 3), events(0, ofDeletedA...)},
				{history(1, 0, 2), events(2, ofDeletedA[:2]...)},
				{history(1, 2, 2), events(0, ofDeletedA[2])},
				{history(1, 3, 2), events(0)},
				{history(1, math.MaxInt64, 1000), events(0)},
				{history(2, 0, 1), events(0, event(task.Created, b, 2))},
			},
			events: append(ofDeletedA, event(task.Created, b, 2)),
		},
		{
			name: "with the expected version",
			steps: []step{
				{create("A", 5), tasks(a)},
				{change(1, task.Change{Title: ptr("B")}, 1), tasks(renamedA)},
				{complete(1, 2), tasks(then(renamedA, done(3)))},
				{remove(1, 3), tasks()},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Updated, renamedA, 2), event(task.Completed, then(renamedA, done(3)), 3),
				event(task.Deleted, then(then(renamedA, done(3)), func(*task.Task) {}), 4),
			},
		},
	}
}

// refusals leave the task, which each of them creates first, as it is.
func refusals() []scenario {
	a := made(1, "A", 5, 1)
	var all []scenario
	for name, refusal := range map[string]step{
		"title: empty":               {create("", 0), refused(invalid, "title")},
		"title: blank":               {create(" \t\u3000", 0), refused(invalid, "title")},
		"title: nothing visible":     {create("\u200b\u202e\u3164", 0), refused(invalid, "title")},
		"change to an unseen title":  {change(1, task.Change{Title: ptr("\u2800")}), refused(invalid, "title")},
		"title: 501 characters":      {create(strings.Repeat("é", 501), 0), refused(invalid, "title")},
		"title: NUL":                 {create("A\x00B", 0), refused(invalid, "title")},
		"title: a line break":        {create("A\nB", 0), refused(invalid, "title")},
		"title: C1 control":          {create("A\u0085B", 0), refused(invalid, "title")},
		"priority: -1":               {create("B", -1), refused(invalid, "priority")},
		"priority: 101":              {create("B", 101), refused(invalid, "priority")},
		"priority: the least int32":  {create("B", math.MinInt32), refused(invalid, "priority")},
		"title and priority":         {create("", 101), refused(invalid, "title", "priority")},
		"limit: 1001":                {list(false, 1001), refused(invalid, "limit")},
		"limit: -1":                  {list(true, -1), refused(invalid, "limit")},
		"get 0":                      {get(0), refused(invalid, "id")},
		"get -1":                     {get(-1), refused(invalid, "id")},
		"get the least int64":        {get(math.MinInt64), refused(invalid, "id")},
		"get what is not there":      {get(2), refused(notFound)},
		"get the greatest int64":     {get(math.MaxInt64), refused(notFound)},
		"change 0":                   {change(0, task.Change{Done: ptr(true)}), refused(invalid, "id")},
		"change what is not there":   {change(2, task.Change{Done: ptr(true)}), refused(notFound)},
		"change to a blank title":    {change(1, task.Change{Title: ptr(" "), Done: ptr(true)}), refused(invalid, "title")},
		"change to priority 101":     {change(1, task.Change{Priority: ptr(101), Title: ptr("B")}), refused(invalid, "priority")},
		"change another version":     {change(1, task.Change{Done: ptr(true)}, 2), refused(stale)},
		"change version 0":           {change(1, task.Change{Done: ptr(true)}, 0), refused(stale)},
		"change nothing, but stale":  {change(1, task.Change{}, 2), refused(stale)},
		"complete 0":                 {complete(0), refused(invalid, "id")},
		"complete what is not there": {complete(2), refused(notFound)},
		"complete another version":   {complete(1, 7), refused(stale)},
		"delete -1":                  {remove(-1), refused(invalid, "id")},
		"delete what is not there":   {remove(2), refused(notFound)},
		"delete another version":     {remove(1, 2), refused(stale)},
		"history of 0":               {history(0, 0, 10), refused(invalid, "id")},
		"history of what never was":  {history(2, 0, 10), refused(notFound)},
		"history: limit -1":          {history(1, 0, -1), refused(invalid, "limit")},
		"history: limit 1001":        {history(1, 0, 1001), refused(invalid, "limit")},
		"history: after -1":          {history(1, -1, 10), refused(invalid, "after")},
		"history: both":              {history(1, math.MinInt64, 1001), refused(invalid, "after", "limit")},
	} {
		all = append(all, scenario{
			name:   name,
			steps:  []step{{create("A", 5), tasks(a)}, refusal, {get(1), tasks(a)}, {list(false, 10), tasks(a)}},
			events: []task.Event{event(task.Created, a, 1)},
		})
	}
	return all
}
