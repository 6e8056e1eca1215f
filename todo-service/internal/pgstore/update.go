package pgstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/retry"
	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/task"
)

// Each change is one statement: the event's INSERT reads from what was done to
// the task, so that there is no event without a change and no change without
// its event. Its pos is drawn when that row arrives, after the task's row lock.
const (
	insertEvent = ` INSERT INTO events (task_id, title, priority, done, created_at, completed_at, version, id, type, at, user_id, traceparent)
		SELECT t.id, t.title, t.priority, t.done, t.created_at, t.completed_at, `

	updateTask = `WITH t AS (
			UPDATE tasks SET title = $8, priority = $9, done = $10, completed_at = $11, version = $12
			WHERE id = $6 AND version = $7 RETURNING *
		)` + insertEvent + `t.version, $1::uuid, $2::text, $3::timestamptz, $4::bigint, $5::text FROM t`

	deleteTask = `WITH t AS (
			DELETE FROM tasks WHERE id = $6 AND version = $7 RETURNING *
		)` + insertEvent + `$8::bigint, $1::uuid, $2::text, $3::timestamptz, $4::bigint, $5::text FROM t`
)

// resolveTimeout bounds the search for an event whose writing has an unknown
// outcome. It comes on top of the caller's deadline.
const resolveTimeout = time.Second

// errConflict is of a try that met another writer. It is also the answer when each try did.
var errConflict = apperr.New(apperr.Unavailable, "other writers came first on every try; try again")

// Create stores e.Task, which is new (not done, at version 1), under a new id, and e,
// once for each key; see task.Store. Without a key it shares its statement with others.
func (s *Store) Create(ctx context.Context, e task.Event, key task.IdempotencyKey) (task.Task, error) {
	first := true
	return s.writeExactlyOnce(ctx, func(out *dispatch) (task.Task, error) {
		if key != (task.IdempotencyKey{}) {
			return s.createIdempotent(ctx, e, key, out)
		}
		c := newCreation(ctx, e, out)
		if first {
			first = false
			_, err := s.creations.do(ctx, c)
			if err == nil || c.batchSize < 2 || out.dispatched && retryable(err) {
				return c.task(), err
			}
			// None is stored, maybe for another's sake.
		}
		_, err := s.create(ctx, []*pendingCreate{c})
		return c.task(), err
	})
}

// Update changes a task as change says, in two round trips; see task.Store.
func (s *Store) Update(ctx context.Context, id int64, change func(*task.Task) (*task.Event, error)) (task.Task, error) {
	t, err := s.writeExactlyOnce(ctx, func(out *dispatch) (task.Task, error) {
		before, err := s.Get(ctx, id)
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
		return e.Task, s.replace(ctx, before, *e, out)
	})
	if errors.Is(err, errConflict) {
		return task.Task{}, task.ContendedError(id)
	}
	return t, err
}

// replace stores e over the task as it was before. It returns errConflict when
// it is no longer like that.
func (s *Store) replace(ctx context.Context, before task.Task, e task.Event, out *dispatch) error {
	query, t := updateTask, e.Task
	args := out.args(ctx, e, before.ID, before.Version, t.Title, t.Priority, t.Done, t.CompletedAt, t.Version)
	if e.Type == task.Deleted {
		query = deleteTask
		args = out.args(ctx, e, before.ID, before.Version, t.Version)
	}
	written, err := s.exec(ctx, query, args...)
	if err == nil && written == 0 {
		return errConflict
	}
	return err
}

// dispatch is the id of an event as an argument of the statement that writes it.
// It knows whether that statement may have left this process, and whether it may have
// been carried out.
type dispatch struct {
	eventID string
	dispatched    bool
	unacknowledged    int // how often it was sent without the server's word that it changed nothing
}

var _ postgres.Argument = (*dispatch)(nil)

// Value is asked for by database/sql once it holds a connection on which the
// statement is prepared, right before it sends that: not when dialing or
// preparing failed, and before each of its own repeats.
func (o *dispatch) Value() (driver.Value, error) {
	o.record()
	return o.eventID, nil
}

// RolledBack takes the server's word for the statement that was sent last.
func (o *dispatch) RolledBack() { o.unacknowledged-- }

func (o *dispatch) record() {
	o.dispatched = true
	o.unacknowledged++
}

func (o *dispatch) args(ctx context.Context, e task.Event, more ...any) []any {
	o.eventID = e.ID
	return append([]any{o, string(e.Type), e.At, e.UserID, tracing.Traceparent(ctx)}, more...)
}

// writeExactlyOnce tries until the outcome is known or ctx ends. One try returns the task
// to answer with, and gives the event to out if it has one to send.
//
// As long as no event was sent, an error is what it looks like, and is answered
// at once; so is the server's word that it takes no writes. What else the server rolled
// back is tried again. Whatever goes wrong without the server's word may hide a success:
// the connection broke before the answer came, or database/sql met a closed connection and
// repeated the statement by itself, whose second run then sees a conflict, the
// event's own id, or a database that is no longer there. So nothing is answered
// before the event was looked for, and a database that is away is waited for.
func (s *Store) writeExactlyOnce(ctx context.Context, try func(out *dispatch) (task.Task, error)) (task.Task, error) {
	delays := contentionBackoff.Delays()
	unsettled, conflict := "", false
	for {
		var out dispatch
		t, err := try(&out)
		if out.unacknowledged > 0 || out.dispatched && !retryable(err) { // the event's own id may be what was refused
			unsettled = out.eventID
		}
		if err == nil && out.dispatched {
			failpoint.Hit(failpoint.AfterCommit, out.eventID)
			return t, nil
		}
		if unsettled == "" && (!out.dispatched || postgres.IsReadOnly(err)) {
			return t, postgres.Classify(err)
		}
		conflict = conflict || errors.Is(err, errConflict) || postgres.IsContended(err)
		if retryable(err) && retry.Wait(ctx, delays.NextBackOff()) {
			continue
		}
		if unsettled != "" {
			stored, unfound := s.findByEventID(ctx, unsettled)
			if unfound == nil {
				return stored, nil
			}
			if !errors.Is(unfound, sql.ErrNoRows) { // a refusal would be a guess
				return task.Task{}, apperr.New(apperr.Unavailable,
					"the database is not available right now; whether the change was made is not known").WithCause(unfound)
			}
		}
		if conflict && ctx.Err() != nil {
			return task.Task{}, errConflict
		}
		return t, postgres.Classify(err)
	}
}

// findByEventID returns the task as it was announced by an event; sql.ErrNoRows says that
// the event is not stored. It asks even when ctx has ended, because the writer
// may still be answered. A server that takes no writes may be a standby that has not
// heard of the event yet: there, the lock makes an error of the question.
func (s *Store) findByEventID(ctx context.Context, eventID string) (task.Task, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	var row taskRow
	err := s.selectOne(ctx, &row, `SELECT `+eventTaskColumns+` FROM events WHERE id = $1 FOR KEY SHARE`, eventID)
	return row.task(), err
}

func retryable(err error) bool {
	return err != nil && apperr.Of(postgres.Classify(err)).Kind == apperr.Unavailable
}
