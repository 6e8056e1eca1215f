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

// createIdempotent makes one task, with a key. The key's row comes first, and the task's
// reads from it: while the key stands for another creation there is nothing to
// read. A statement with the same key that is under way is waited for, and what
// it committed is then seen by the comparison, which PostgreSQL makes with the
// row as it is and not as it was when the statement began. A repetition
// draws an id for nothing, as a rollback does.
const createWithKey = `WITH k AS (
		INSERT INTO idempotency_keys AS k (key, event_id, task_id, title, priority, created_at)
		VALUES ($12::text, $1::uuid, nextval(pg_get_serial_sequence('tasks', 'id')), $6::text, $7::integer, $9::timestamptz)
		ON CONFLICT (key) DO UPDATE SET event_id = excluded.event_id, task_id = excluded.task_id,
			title = excluded.title, priority = excluded.priority, created_at = excluded.created_at
		WHERE k.created_at <= $13::timestamptz
		RETURNING *
	), t AS (
		INSERT INTO tasks (id, title, priority, done, created_at, completed_at, version) OVERRIDING SYSTEM VALUE
		SELECT task_id, title, priority, $8::boolean, created_at, $10::timestamptz, $11::bigint FROM k RETURNING *
	)` + insertEvent + `t.version, $1::uuid, $2::text, $3::timestamptz, $4::bigint, $5::text FROM t RETURNING task_id`

// errKeyExpired is of a key that stood for another creation a moment ago and is
// no longer there. The next try finds it free.
var errKeyExpired = apperr.New(apperr.Unavailable, "the Idempotency-Key is just being forgotten; try again")

// createIdempotent stores e.Task, e and the key, or returns the task of the creation
// that the key stands for.
func (s *Store) createIdempotent(ctx context.Context, e task.Event, key task.IdempotencyKey, out *dispatch) (task.Task, error) {
	t := e.Task
	args := out.args(ctx, e, t.Title, t.Priority, t.Done, t.CreatedAt, t.CompletedAt, t.Version,
		key.String(), e.At.Add(-task.IdempotencyKeyTTL))
	err := s.selectOne(ctx, &t.ID, createWithKey, args...)
	if !errors.Is(err, sql.ErrNoRows) {
		return t, err
	}
	// By now the row is committed, and a statement of its own sees it.
	var row struct {
		EventID string `db:"event_id"`
		taskRow
	}
	err = s.selectOne(ctx, &row, `SELECT event_id, task_id AS id, title, priority, created_at FROM idempotency_keys WHERE key = $1`, key.String())
	if errors.Is(err, sql.ErrNoRows) {
		return task.Task{}, errKeyExpired
	}
	if err != nil {
		return task.Task{}, err
	}
	if row.EventID != e.ID { // otherwise database/sql repeated a statement that had succeeded
		*out = dispatch{} // nothing of e is stored, by no try
		if row.Title == t.Title && row.Priority == t.Priority {
			s.replays.Add(1)
		}
	}
	first := row.task()
	first.Version = 1
	return first, nil
}

// IdempotentReplays returns how many creations were answered with that of an earlier
// request, since the process began.
func (s *Store) IdempotentReplays() int64 { return s.replays.Load() }

// DeleteExpiredKeys removes at most limit keys of creations from before that time, the
// oldest first, and returns how many.
func (s *Store) DeleteExpiredKeys(ctx context.Context, before time.Time, limit int) (int64, error) {
	// Another creation may just be taking the key over: with the lock the row is
	// looked at as it is now, and what is locked can wait.
	removed, err := s.exec(ctx, `DELETE FROM idempotency_keys WHERE key = ANY(ARRAY(
			SELECT key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
		))`, before, limit)
	return removed, postgres.Classify(err)
}
