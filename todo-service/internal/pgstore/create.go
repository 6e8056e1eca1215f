package pgstore

import (
	"context"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

// createTasks writes new tasks, which are not done and at version 1, and the events
// that announce them.
const createTasks = `WITH n AS (
		SELECT nextval(pg_get_serial_sequence('tasks', 'id')) AS id, e.*
		FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
			AS e (event_id, at, user_id, traceparent, title, priority, created_at)
	), t AS (
		INSERT INTO tasks (id, user_id, title, priority, done, created_at, version) OVERRIDING SYSTEM VALUE
		SELECT id, user_id, title, priority, false, created_at, 1 FROM n
	)
	INSERT INTO events (id, type, at, user_id, traceparent, task_id, title, priority, done, created_at, version)
	SELECT event_id, 'task.created', at, user_id, traceparent, id, title, priority, false, created_at, 1 FROM n
	RETURNING id AS event_id, task_id`

// Create stores e.Task, which is new (not done, at version 1), under a new id, and e.
// With a key it does so once for that key; see task.Store.
func (s *Store) Create(ctx context.Context, owner task.Owner, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	batched := false
	return s.writeExactlyOnce(ctx, owner, func(d *dispatch) (task.Task, error) {
		// A key may have to wait for another process, so its statement is not shared.
		if key != (task.IdempotencyKey{}) {
			return s.createIdempotent(ctx, owner, e, key, d)
		}
		c := newPendingCreate(ctx, owner, e, d)
		if !batched {
			batched = true
			id, err := s.createBatcher.Do(ctx, c)
			if err == nil || c.batchSize < 2 || d.dispatched && retryable(err) {
				return c.task(id), err
			}
			// The batch stored no task, perhaps because of another one's text or deadline. The
			// statement of this task alone tells.
		}
		ids, err := s.createAll(ctx, []*pendingCreate{c})
		if err != nil {
			return task.Task{}, err
		}
		return c.task(ids[0]), nil
	})
}

// pendingCreate is a task that is to be created.
type pendingCreate struct {
	owner       task.Owner
	event       task.Event
	traceparent string
	deadline    time.Time // zero for none
	dispatch    *dispatch
	batchSize   int // tasks in its statement; 0 before that begins
}

func newPendingCreate(ctx context.Context, owner task.Owner, e task.Event, d *dispatch) *pendingCreate {
	d.eventID = e.ID
	deadline, _ := ctx.Deadline()
	return &pendingCreate{owner: owner, event: e, traceparent: tracing.Traceparent(ctx), deadline: deadline, dispatch: d}
}

// task returns the task as it is stored under id.
func (c *pendingCreate) task(id int64) task.Task {
	t := c.event.Task
	t.ID = id
	return t
}

func (s *Store) createBatch(ctx context.Context, batch []coalesce.Entry[*pendingCreate]) ([]int64, error) {
	return s.createAll(ctx, coalesce.Keys(batch))
}

// createAll stores all of the tasks or none of them, and returns their ids. It takes
// until the first of their deadlines, and batchTimeout at most.
func (s *Store) createAll(ctx context.Context, all []*pendingCreate) ([]int64, error) {
	deadline := time.Now().Add(batchTimeout)
	index := make(map[string]int, len(all))
	for i, c := range all {
		c.batchSize = len(all)
		index[c.event.ID] = i
		if !c.deadline.IsZero() && c.deadline.Before(deadline) {
			deadline = c.deadline
		}
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var rows []struct {
		EventID string `db:"event_id"`
		TaskID  int64  `db:"task_id"`
	}
	if err := s.selectAll(ctx, &rows, createTasks, createArgs(all)...); err != nil {
		return nil, err
	}
	ids := make([]int64, len(all))
	for _, r := range rows {
		ids[index[r.EventID]] = r.TaskID
	}
	return ids, nil
}

// createArgs returns the arguments of createTasks: one array for each column.
func createArgs(all []*pendingCreate) []any {
	n := len(all)
	at, created := make(pq.StringArray, n), make(pq.StringArray, n)
	traceparents, titles := make(pq.StringArray, n), make(pq.StringArray, n)
	users, priorities := make([]*int64, n), make(pq.Int64Array, n)
	for i, c := range all {
		at[i], created[i] = string(pq.FormatTimestamp(c.event.At)), string(pq.FormatTimestamp(c.event.Task.CreatedAt))
		traceparents[i], titles[i] = c.traceparent, c.event.Task.Title
		users[i], priorities[i] = c.owner.UserID(), int64(c.event.Task.Priority)
	}
	return []any{dispatchedIDs(all), at, pq.Array(users), traceparents, titles, priorities, created}
}
