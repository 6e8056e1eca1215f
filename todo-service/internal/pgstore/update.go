package pgstore

import (
	"context"
	"errors"

	"example.com/todo/todo-service/internal/task"
)

// Each change is one statement. The event's INSERT reads from what was done to the
// task, so there is no event without a change and no change without its event. Its
// pos is drawn when that row arrives, after the task's row lock. The statement compares
// the owner again, because Adopt may have come in between.
const (
	insertEvent = ` INSERT INTO events (task_id, title, priority, done, created_at, completed_at, version, id, type, at, user_id, traceparent)
		SELECT t.id, t.title, t.priority, t.done, t.created_at, t.completed_at, `

	updateTask = `WITH t AS (
			UPDATE tasks SET title = $8, priority = $9, done = $10, completed_at = $11, version = $12
			WHERE id = $6 AND version = $7 AND user_id IS NOT DISTINCT FROM $4::bigint RETURNING *
		)` + insertEvent + `t.version, $1::uuid, $2::text, $3::timestamptz, $4::bigint, $5::text FROM t`

	deleteTask = `WITH t AS (
			DELETE FROM tasks WHERE id = $6 AND version = $7 AND user_id IS NOT DISTINCT FROM $4::bigint RETURNING *
		)` + insertEvent + `$8::bigint, $1::uuid, $2::text, $3::timestamptz, $4::bigint, $5::text FROM t`
)

// Update changes a task as change says, in two round trips; see task.Store.
func (s *Store) Update(ctx context.Context, owner task.Owner, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	t, err := s.writeExactlyOnce(ctx, owner, func(d *dispatch) (task.Task, error) {
		before, err := s.Get(ctx, owner, id)
		if err != nil {
			return task.Task{}, err
		}
		draft := before
		e, err := change(&draft)
		if err != nil {
			return task.Task{}, err
		}
		if e == nil {
			return before, nil
		}
		return e.Task, s.replace(ctx, owner, before, *e, d)
	})
	if errors.Is(err, errConflict) {
		return task.Task{}, task.ContendedError(id)
	}
	return t, err
}

// replace stores e and its task over the task as it was before. It returns
// errConflict if the task is at another version or has another owner.
func (s *Store) replace(ctx context.Context, owner task.Owner, before task.Task, e task.Event, d *dispatch) error {
	query, t := updateTask, e.Task
	args := d.args(ctx, owner, e, before.ID, before.Version, t.Title, t.Priority, t.Done, t.CompletedAt, t.Version)
	if e.Type == task.Deleted {
		query = deleteTask
		args = d.args(ctx, owner, e, before.ID, before.Version, t.Version)
	}
	written, err := s.exec(ctx, query, args...)
	if err == nil && written == 0 {
		return errConflict
	}
	return err
}
