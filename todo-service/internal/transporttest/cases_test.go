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

// step is a request and its outcome.
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
	return func(ctx context.Context, c transport) outcome { return c.list(ctx, onlyDone, "", limit) }
}

func listSorted(sort string, onlyDone bool, limit int) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.list(ctx, onlyDone, sort, limit) }
}

func count() func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.count(ctx) }
}

func change(id int64, change task.Change, expected ...int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.change(ctx, id, change, firstOrNil(expected)) }
}

func complete(id int64, expected ...int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.complete(ctx, id, firstOrNil(expected)) }
}

func remove(id int64, expected ...int64) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome { return c.remove(ctx, id, firstOrNil(expected)) }
}

func history(id, after int64, limit int) func(context.Context, transport) outcome {
	return func(ctx context.Context, c transport) outcome {
		return c.history(ctx, id, after, limit)
	}
}

func firstOrNil(expected []int64) *int64 {
	if len(expected) == 0 {
		return nil
	}
	return &expected[0]
}

// newTask returns a task that was created at that reading of the clock.
func newTask(id int64, title string, priority, reading int) task.Task {
	return task.Task{ID: id, Title: title, Priority: priority, CreatedAt: timeOfReading(reading), Version: 1}
}

// changedTask returns a task after one more change.
func changedTask(t task.Task, alter func(*task.Task)) task.Task {
	t.Version++
	alter(&t)
	return t
}

func completedAtReading(reading int) func(*task.Task) {
	return func(t *task.Task) { t.Done, t.CompletedAt = true, new(timeOfReading(reading)) }
}

func reopened(t *task.Task) { t.Done, t.CompletedAt = false, nil }

func event(kind task.EventType, t task.Task, reading int) task.Event {
	return task.Event{Type: kind, Task: t, At: timeOfReading(reading)}
}

// sameChange compares events that a test makes with those of the service.
var sameChange = cmpopts.IgnoreFields(task.Event{}, "ID", "Owner")

func TestHTTPAndGRPCHaveTheSameOutcomes(t *testing.T) {
	t.Parallel()
	for _, s := range append(lifecycles(), refusals()...) {
		for name, serve := range transports {
			for who, owner := range map[string]task.Owner{"without an owner": task.NoOwner, "for a user": 7} {
				t.Run(s.name+" over "+name+" "+who, func(t *testing.T) {
					t.Parallel()
					store := memstore.New()
					s.run(t, store, serve(t, newApplication(store), owner, &sharedLimiter{remaining: math.MaxInt}), owner)
				})
			}
		}
	}
}

// run sends the requests, and wants their outcomes and the events, which are the owner's.
func (s scenario) run(t *testing.T, store task.Store, client transport, owner task.Owner) {
	t.Helper()
	var events []task.Event
	for i, step := range s.steps {
		got := step.request(t.Context(), client)
		if diff := cmp.Diff(step.want, got, cmpopts.EquateEmpty(), sameChange); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
		events = append(events, got.Events...)
	}
	shown := len(events)
	for id := range int64(3) {
		stored, err := store.History(t.Context(), owner, id+1, 0, task.MaxLimit)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, stored...)
	}
	if diff := cmp.Diff(s.events, events[shown:], sameChange); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	for _, e := range events {
		if e.Owner != owner {
			t.Errorf("the event of version %d is of owner %d, want %d", e.Task.Version, e.Owner, owner)
		}
	}
}

func TestHTTPAndGRPCShareOneRateLimit(t *testing.T) {
	t.Parallel()
	shared := &sharedLimiter{remaining: 3}
	clients := map[string]transport{}
	for name, serve := range transports {
		clients[name] = serve(t, newApplication(memstore.New()), task.NoOwner, shared)
	}
	for i, step := range []struct{ over, refusal string }{
		{"HTTP", ""}, {"gRPC", ""}, {"HTTP", ""}, {"gRPC", rateLimited}, {"HTTP", rateLimited},
	} {
		if got := clients[step.over].create(t.Context(), "A", 0); got.Refusal != step.refusal {
			t.Errorf("request %d over %s: refusal %q, want %q", i, step.over, got.Refusal, step.refusal)
		}
	}
}

func TestHTTPAndGRPCShareIdempotencyKeys(t *testing.T) {
	t.Parallel()
	application := newApplication(memstore.New())
	for name, serve := range transports {
		client := serve(t, application, task.NoOwner, &sharedLimiter{remaining: math.MaxInt})
		for i, step := range []step{
			{createOnce("k", "A", 5), wantTasks(newTask(1, "A", 5, 1))},
			{createOnce("k", "B", 5), refusal(invalid, "Idempotency-Key")},
		} {
			if diff := cmp.Diff(step.want, step.request(t.Context(), client), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("step %d over %s (-want +got):\n%s", i, name, diff)
			}
		}
	}
}

// lifecycles returns the scenarios in which tasks are created, changed and deleted.
func lifecycles() []scenario {
	a, b, c := newTask(1, "A", 5, 1), newTask(2, "B", 0, 2), newTask(3, "C", 5, 3)
	doneA := changedTask(a, completedAtReading(2))
	reopenedA := changedTask(doneA, reopened)
	renamedA := changedTask(a, func(t *task.Task) { t.Title = "B" })
	ofDeletedA := []task.Event{
		event(task.Created, a, 1), event(task.Completed, changedTask(a, completedAtReading(3)), 3),
		event(task.Deleted, changedTask(changedTask(a, completedAtReading(3)), func(*task.Task) {}), 4),
	}
	return []scenario{
		{
			name: "created, trimmed, shown",
			steps: []step{
				{create("  A\t", 5), wantTasks(a)},
				{get(1), wantTasks(a)},
				{list(false, 1000), wantTasks(a)},
			},
			events: []task.Event{event(task.Created, a, 1)},
		},
		{
			name: "any title within the bounds",
			steps: []step{
				{create(strings.Repeat("界", 500), 100), wantTasks(newTask(1, strings.Repeat("界", 500), 100, 1))},
				{create(`"<script>" & 'e'`, 0), wantTasks(newTask(2, `"<script>" & 'e'`, 0, 2))},
			},
			events: []task.Event{
				event(task.Created, newTask(1, strings.Repeat("界", 500), 100, 1), 1),
				event(task.Created, newTask(2, `"<script>" & 'e'`, 0, 2), 2),
			},
		},
		{
			name:  "an empty list",
			steps: []step{{list(false, 10), wantTasks()}, {list(true, 10), wantTasks()}},
		},
		{
			name: "lists are in id order and bounded",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{create("B", 0), wantTasks(b)},
				{complete(2), wantTasks(changedTask(b, completedAtReading(3)))},
				{list(false, 1), wantTasks(a)},
				{list(false, 2), wantTasks(a, changedTask(b, completedAtReading(3)))},
				{list(true, 2), wantTasks(changedTask(b, completedAtReading(3)))},
			},
			events: []task.Event{event(task.Created, a, 1), event(task.Created, b, 2), event(task.Completed, changedTask(b, completedAtReading(3)), 3)},
		},
		{
			name: "lists in every order, and counts",
			steps: []step{
				{count(), outcome{}},
				{create("A", 5), wantTasks(a)},
				{create("B", 0), wantTasks(b)},
				{create("C", 5), wantTasks(c)},
				{complete(3), wantTasks(changedTask(c, completedAtReading(4)))},
				{listSorted("id", false, 3), wantTasks(a, b, changedTask(c, completedAtReading(4)))},
				{listSorted("-id", false, 2), wantTasks(changedTask(c, completedAtReading(4)), b)},
				{listSorted("priority", false, 3), wantTasks(b, a, changedTask(c, completedAtReading(4)))},
				{listSorted("-priority", false, 3), wantTasks(a, changedTask(c, completedAtReading(4)), b)},
				{listSorted("-priority", false, 1), wantTasks(a)},
				{listSorted("-priority", true, 3), wantTasks(changedTask(c, completedAtReading(4)))},
				{count(), outcome{Counts: task.Counts{Total: 3, Open: 2, Done: 1}}},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Created, b, 2),
				event(task.Created, c, 3), event(task.Completed, changedTask(c, completedAtReading(4)), 4),
			},
		},
		{
			name: "completed twice, one event",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{complete(1), wantTasks(doneA)},
				{complete(1), wantTasks(doneA)},
				{change(1, task.Change{Done: new(true)}), wantTasks(doneA)},
				{get(1), wantTasks(doneA)},
			},
			events: []task.Event{event(task.Created, a, 1), event(task.Completed, doneA, 2)},
		},
		{
			name: "completed, reopened, completed again",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{change(1, task.Change{Done: new(true)}), wantTasks(doneA)},
				{change(1, task.Change{Done: new(false)}), wantTasks(reopenedA)},
				{complete(1), wantTasks(changedTask(reopenedA, completedAtReading(4)))},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Completed, doneA, 2),
				event(task.Reopened, reopenedA, 3), event(task.Completed, changedTask(reopenedA, completedAtReading(4)), 4),
			},
		},
		{
			name: "changed and completed at once is one completion",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{change(1, task.Change{Title: new(" B "), Priority: new(0), Done: new(true)}), wantTasks(changedTask(doneA, func(t *task.Task) {
					t.Title, t.Priority, t.Version = "B", 0, 2
				}))},
			},
			events: []task.Event{event(task.Created, a, 1), event(task.Completed, changedTask(doneA, func(t *task.Task) {
				t.Title, t.Priority, t.Version = "B", 0, 2
			}), 2)},
		},
		{
			name: "a change of nothing is no change",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{change(1, task.Change{}), wantTasks(a)},
				{change(1, task.Change{Title: new(" A"), Priority: new(5), Done: new(false)}), wantTasks(a)},
			},
			events: []task.Event{event(task.Created, a, 1)},
		},
		{
			name: "created once under a key",
			steps: []step{
				{createOnce("k", "A", 5), wantTasks(a)},
				{createOnce("k", "A", 5), wantTasks(a)},
				{createOnce(`"k"`, " A\t", 5), wantTasks(a)},
				{createOnce("k", "B", 5), refusal(invalid, "Idempotency-Key")},
				{createOnce("k", "A", 4), refusal(invalid, "Idempotency-Key")},
				{createOnce("k", "", 101), refusal(invalid, "title", "priority")},
				{createOnce("K", "A", 5), wantTasks(newTask(2, "A", 5, 7))},
				{create("A", 5), wantTasks(newTask(3, "A", 5, 8))},
				{list(false, 10), wantTasks(a, newTask(2, "A", 5, 7), newTask(3, "A", 5, 8))},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Created, newTask(2, "A", 5, 7), 7), event(task.Created, newTask(3, "A", 5, 8), 8),
			},
		},
		{
			name: "a repeated creation gets the first task, even if it has changed",
			steps: []step{
				{createOnce("k", "A", 5), wantTasks(a)},
				{complete(1), wantTasks(doneA)},
				{createOnce("k", "A", 5), wantTasks(a)},
				{remove(1), wantTasks()},
				{createOnce("k", "A", 5), wantTasks(a)},
				{get(1), refusal(notFound)},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Completed, doneA, 2), event(task.Deleted, changedTask(doneA, func(*task.Task) {}), 4),
			},
		},
		{
			name: "a failed creation leaves its key free",
			steps: []step{
				{createOnce("k", "", 5), refusal(invalid, "title")},
				{createOnce("k", "A", 5), wantTasks(newTask(1, "A", 5, 2))},
			},
			events: []task.Event{event(task.Created, newTask(1, "A", 5, 2), 2)},
		},
		{
			name: "deleted",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{remove(1), wantTasks()},
				{get(1), refusal(notFound)},
				{remove(1), refusal(notFound)},
				{list(false, 10), wantTasks()},
				{create("B", 0), wantTasks(newTask(2, "B", 0, 3))},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Deleted, changedTask(a, func(*task.Task) {}), 2),
				event(task.Created, newTask(2, "B", 0, 3), 3),
			},
		},
		{
			name: "the history of a deleted task",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{create("B", 0), wantTasks(b)},
				{complete(1), wantTasks(changedTask(a, completedAtReading(3)))},
				{remove(1), wantTasks()},
				{history(1, 0, 0), wantEvents(0, ofDeletedA...)},
				{history(1, 0, 3), wantEvents(0, ofDeletedA...)},
				{history(1, 0, 2), wantEvents(2, ofDeletedA[:2]...)},
				{history(1, 2, 2), wantEvents(0, ofDeletedA[2])},
				{history(1, 3, 2), wantEvents(0)},
				{history(1, math.MaxInt64, 1000), wantEvents(0)},
				{history(2, 0, 1), wantEvents(0, event(task.Created, b, 2))},
			},
			events: append(ofDeletedA, event(task.Created, b, 2)),
		},
		{
			name: "with the expected version",
			steps: []step{
				{create("A", 5), wantTasks(a)},
				{change(1, task.Change{Title: new("B")}, 1), wantTasks(renamedA)},
				{complete(1, 2), wantTasks(changedTask(renamedA, completedAtReading(3)))},
				{remove(1, 3), wantTasks()},
			},
			events: []task.Event{
				event(task.Created, a, 1), event(task.Updated, renamedA, 2), event(task.Completed, changedTask(renamedA, completedAtReading(3)), 3),
				event(task.Deleted, changedTask(changedTask(renamedA, completedAtReading(3)), func(*task.Task) {}), 4),
			},
		},
	}
}

// refusals returns scenarios with one task and a refused request that changes nothing.
func refusals() []scenario {
	a := newTask(1, "A", 5, 1)
	var all []scenario
	for name, refusal := range map[string]step{
		"title: empty":                      {create("", 0), refusal(invalid, "title")},
		"title: blank":                      {create(" \t\u3000", 0), refusal(invalid, "title")},
		"title: invisible":                  {create("\u200b\u202e\u3164", 0), refusal(invalid, "title")},
		"change to an invisible title":      {change(1, task.Change{Title: new("\u2800")}), refusal(invalid, "title")},
		"title: 501 characters":             {create(strings.Repeat("é", 501), 0), refusal(invalid, "title")},
		"title: NUL":                        {create("A\x00B", 0), refusal(invalid, "title")},
		"title: a line break":               {create("A\nB", 0), refusal(invalid, "title")},
		"title: C1 control":                 {create("A\u0085B", 0), refusal(invalid, "title")},
		"priority: -1":                      {create("B", -1), refusal(invalid, "priority")},
		"priority: 101":                     {create("B", 101), refusal(invalid, "priority")},
		"priority: the lowest int32":        {create("B", math.MinInt32), refusal(invalid, "priority")},
		"title and priority":                {create("", 101), refusal(invalid, "title", "priority")},
		"limit: 1001":                       {list(false, 1001), refusal(invalid, "limit")},
		"limit: -1":                         {list(true, -1), refusal(invalid, "limit")},
		"sort: unknown":                     {listSorted("title", false, 10), refusal(invalid, "sort")},
		"sort: another case":                {listSorted("-Priority", true, 10), refusal(invalid, "sort")},
		"get 0":                             {get(0), refusal(invalid, "id")},
		"get -1":                            {get(-1), refusal(invalid, "id")},
		"get the lowest int64":              {get(math.MinInt64), refusal(invalid, "id")},
		"get an unknown task":               {get(2), refusal(notFound)},
		"get the highest int64":             {get(math.MaxInt64), refusal(notFound)},
		"change 0":                          {change(0, task.Change{Done: new(true)}), refusal(invalid, "id")},
		"change an unknown task":            {change(2, task.Change{Done: new(true)}), refusal(notFound)},
		"change to a blank title":           {change(1, task.Change{Title: new(" "), Done: new(true)}), refusal(invalid, "title")},
		"change to priority 101":            {change(1, task.Change{Priority: new(101), Title: new("B")}), refusal(invalid, "priority")},
		"change another version":            {change(1, task.Change{Done: new(true)}, 2), refusal(preconditionFailed)},
		"change version 0":                  {change(1, task.Change{Done: new(true)}, 0), refusal(preconditionFailed)},
		"change nothing of another version": {change(1, task.Change{}, 2), refusal(preconditionFailed)},
		"complete 0":                        {complete(0), refusal(invalid, "id")},
		"complete an unknown task":          {complete(2), refusal(notFound)},
		"complete another version":          {complete(1, 7), refusal(preconditionFailed)},
		"delete -1":                         {remove(-1), refusal(invalid, "id")},
		"delete an unknown task":            {remove(2), refusal(notFound)},
		"delete another version":            {remove(1, 2), refusal(preconditionFailed)},
		"history of 0":                      {history(0, 0, 10), refusal(invalid, "id")},
		"history of an unknown task":        {history(2, 0, 10), refusal(notFound)},
		"history: limit -1":                 {history(1, 0, -1), refusal(invalid, "limit")},
		"history: limit 1001":               {history(1, 0, 1001), refusal(invalid, "limit")},
		"history: after -1":                 {history(1, -1, 10), refusal(invalid, "after")},
		"history: both":                     {history(1, math.MinInt64, 1001), refusal(invalid, "after", "limit")},
	} {
		all = append(all, scenario{
			name:   name,
			steps:  []step{{create("A", 5), wantTasks(a)}, refusal, {get(1), wantTasks(a)}, {list(false, 10), wantTasks(a)}},
			events: []task.Event{event(task.Created, a, 1)},
		})
	}
	return all
}
