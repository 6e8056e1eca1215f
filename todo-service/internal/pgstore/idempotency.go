package pgstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// createWithKey creates one task with an idempotency key. The key's row is written
// first and the task's reads from it: if the key stands for another creation, there
// is nothing to read. A concurrent statement with the same key is waited for, and
// the WHERE sees what it committed, because PostgreSQL evaluates it on the current
// row. A repetition uses up an id, as a rollback does.
const createWithKey = `WITH k AS (
		INSERT INTO idempotency_keys AS k (key, event_id, task_id, title, priority, created_at)
		VALUES ($12::text, $1::uuid, nextval(pg_get_serial_sequence('tasks', 'id')), $6::text, $7::integer, $9::timestamptz)
		ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, task_id = excluded.task_id,
			title = excluded.title, priority = excluded.priority, created_at = excluded.created_at
		WHERE k.created_at <= $13::timestamptz
		RETURNING *
	), t AS (
		INSERT INTO tasks (id, user_id, title, priority, done, created_at, completed_at, version) OVERRIDING SYSTEM VALUE
		SELECT task_id, $4::bigint, title, priority, $8::boolean, created_at, $10::timestamptz, $11::bigint FROM k RETURNING *
	)` + insertEvent + `t.version, $1::uuid, $2::text, $3::timestamptz, $4::bigint, $5::text FROM t RETURNING task_id`

// errKeyExpired means that the key stood for another creation a moment ago and was
// deleted since. The next attempt finds the key free.
var errKeyExpired = apperr.New(apperr.Unavailable, "the Idempotency-Key is just being forgotten; try again")

// createIdempotent stores e.Task, e and the key, or returns the task of the creation
// that the key stands for.
func (s *Store) createIdempotent(ctx context.Context, owner task.Owner, e task.Event, key task.IdempotencyKey, d *dispatch) (task.Task, error) {
	t := e.Task
	stored := keyText(owner, key)
	args := d.args(ctx, owner, e, t.Title, t.Priority, t.Done, t.CreatedAt, t.CompletedAt, t.Version,
		stored, e.At.Add(-task.IdempotencyKeyTTL))
	err := s.selectOne(ctx, &t.ID, createWithKey, args...)
	if !errors.Is(err, sql.ErrNoRows) {
		return t, err
	}
	// The key's row is committed by now. Only a second statement sees it.
	var row struct {
		EventID string `db:"event_id"`
		taskRow
	}
	err = s.selectOne(ctx, &row, `SELECT event_id, task_id AS id, title, priority, created_at FROM idempotency_keys WHERE key = $1`, stored)
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, errKeyExpired
	}
	if err != nil {
		return task.Task{}, err
	}
	// With the event's own id in the row, database/sql repeated a statement that had
	// succeeded. With another id, no attempt stored the event: nothing is ambiguous.
	if row.EventID != e.ID {
		*d = dispatch{}
		if row.Title == t.Title && row.Priority == t.Priority {
			s.replays.Add(1)
		}
	}
	first := row.task()
	first.Version = 1
	return first, nil
}

// IdempotentReplays returns how many creations were answered with that of an earlier
// request, since the process started.
func (s *Store) IdempotentReplays() int64 { return s.replays.Load() }

// DeleteExpiredKeys deletes at most limit keys of creations before that time, the
// oldest first, and returns how many.
func (s *Store) DeleteExpiredKeys(ctx context.Context, before time.Time, limit int) (int64, error) {
	// A concurrent creation may be taking a key over. FOR UPDATE compares the row as it is
	// now, and SKIP LOCKED leaves such a row for the next call.
	deleted, err := s.exec(ctx, `DELETE FROM idempotency_keys WHERE key = ANY(ARRAY(
			SELECT key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
		))`, before, limit)
	return deleted, postgres.Classify(err)
}
