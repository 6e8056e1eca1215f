package pgstore

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/task"
)

// createTasks writes new tasks, which are not done and at version 1, and the events
// that announce them.
const createTasks = `WITH n AS (
		SELECT nextval(pg_get_serial_sequence('tasks', 'id')) AS id, e.*
		FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
			AS e (event_id, at, user_id, traceparent, title, priority, created_at)
	), t AS (
		INSERT INTO tasks (id, title, priority, done, created_at, version) OVERRIDING SYSTEM VALUE
		SELECT id, title, priority, false, created_at, 1 FROM n
	)
	INSERT INTO events (id, type, at, user_id, traceparent, task_id, title, priority, done, created_at, version)
	SELECT event_id, 'task.created', at, user_id, traceparent, id, title, priority, false, created_at, 1 FROM n
	RETURNING id AS event_id, task_id`

// pendingCreate is a task that is to be created.
type pendingCreate struct {
	event       task.Event
	traceparent string
	deadline    time.Time // zero for none
	dispatch         *dispatch

	batchSize int   // how many share its statement, once there is one
	id      int64 // the task's, once it is stored
}

func newCreation(ctx context.Context, e task.Event, out *dispatch) *pendingCreate {
	out.eventID = e.ID
	deadline, _ := ctx.Deadline()
	return &pendingCreate{event: e, traceparent: tracing.Traceparent(ctx), deadline: deadline, dispatch: out}
}

func (c *pendingCreate) task() task.Task {
	t := c.event.Task
	t.ID = c.id
	return t
}

// create stores all of the tasks or none of them, before the first of their
// deadlines.
func (s *Store) create(ctx context.Context, all []*pendingCreate) (struct{}, error) {
	ends := time.Now().Add(batchTimeout)
	byEvent := make(map[string]*pendingCreate, len(all))
	for _, c := range all {
		c.batchSize = len(all)
		byEvent[c.event.ID] = c
		if !c.deadline.IsZero() && c.deadline.Before(ends) {
			ends = c.deadline
		}
	}
	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()
	var rows []struct {
		EventID string `db:"event_id"`
		TaskID  int64  `db:"task_id"`
	}
	err := s.selectAll(ctx, &rows, createTasks, columns(all)...)
	if err != nil {
		return struct{}{}, err
	}
	for _, r := range rows {
		byEvent[r.EventID].id = r.TaskID
	}
	return struct{}{}, nil
}

func columns(all []*pendingCreate) []any {
	n := len(all)
	at, created := make(pq.StringArray, n), make(pq.StringArray, n)
	traceparents, titles := make(pq.StringArray, n), make(pq.StringArray, n)
	users, priorities := make([]*int64, n), make(pq.Int64Array, n)
	for i, c := range all {
		at[i], created[i] = string(pq.FormatTimestamp(c.event.At)), string(pq.FormatTimestamp(c.event.Task.CreatedAt))
		traceparents[i], titles[i] = c.traceparent, c.event.Task.Title
		users[i], priorities[i] = c.event.UserID, int64(c.event.Task.Priority)
	}
	return []any{dispatchedIDs(all), at, pq.Array(users), traceparents, titles, priorities, created}
}

// dispatchedIDs is the ids of the events as an argument of the statement that writes
// them; see outgoing.
type dispatchedIDs []*pendingCreate

// Value tells all of them that they may be leaving.
func (d dispatchedIDs) Value() (driver.Value, error) {
	ids := make(pq.StringArray, len(d))
	for i, c := range d {
		c.dispatch.record()
		ids[i] = c.event.ID
	}
	return ids.Value()
}

// RolledBack tells all of them that the statement changed nothing.
func (d dispatchedIDs) RolledBack() {
	for _, c := range d {
		c.dispatch.RolledBack()
	}
}
