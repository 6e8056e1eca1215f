package pgstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/retry"
	"example.com/todo/platform/tracing"
	"example.com/todo/todo-service/internal/task"
)

// resolveTimeout bounds the query for an event whose outcome is unknown. It comes on
// top of the caller's deadline.
const resolveTimeout = time.Second

// errConflict is the error of an attempt that met another writer, and of a write
// whose every attempt did.
var errConflict = apperr.New(apperr.Unavailable, "other writers came first on every try; try again")

// dispatch tracks whether the statement that writes an event may have left this
// process, and whether the server may have executed it. It is the statement's first
// argument, the event's id.
type dispatch struct {
	eventID        string
	dispatched     bool
	unacknowledged int // statements sent that the server has not reported as rolled back
}

var _ postgres.OutcomeObserver = (*dispatch)(nil)

// Value returns the event's id and records that the statement is being sent.
// database/sql calls it once it holds a connection on which the statement is
// prepared: not when dialing or preparing failed, and before each of its own repeats.
func (d *dispatch) Value() (driver.Value, error) {
	d.record()
	return d.eventID, nil
}

// RolledBack records that the server rolled back the statement that was sent last.
func (d *dispatch) RolledBack() { d.unacknowledged-- }

func (d *dispatch) record() {
	d.dispatched = true
	d.unacknowledged++
}

// args returns the arguments of a statement that writes e, an event of the owner: d
// first, then e, then more.
func (d *dispatch) args(ctx context.Context, owner task.Owner, e task.Event, more ...any) []any {
	d.eventID = e.ID
	return append([]any{d, string(e.Type), e.At, owner.UserID(), tracing.Traceparent(ctx)}, more...)
}

// dispatchedIDs is the dispatch of a batch: the events' ids as one argument.
type dispatchedIDs []*pendingCreate

// Value is that of each dispatch.
func (ids dispatchedIDs) Value() (driver.Value, error) {
	texts := make(pq.StringArray, len(ids))
	for i, c := range ids {
		c.dispatch.record()
		texts[i] = c.event.ID
	}
	return texts.Value()
}

// RolledBack is that of each dispatch.
func (ids dispatchedIDs) RolledBack() {
	for _, c := range ids {
		c.dispatch.RolledBack()
	}
}

// writeExactlyOnce calls attempt until the outcome of the write is known or ctx ends.
// An attempt returns the owner's task as it is then, and makes its dispatch the argument of
// the statement that writes an event, if it has one to write.
func (s *Store) writeExactlyOnce(ctx context.Context, owner task.Owner, attempt func(*dispatch) (task.Task, error)) (task.Task, error) {
	delays := contentionBackoff.Delays()
	ambiguous := "" // the id of an event that an attempt may have stored
	conflict := false
	for {
		var d dispatch
		t, err := attempt(&d)
		if err == nil && d.dispatched {
			failpoint.Hit(failpoint.AfterCommit, d.eventID)
			return t, nil
		}

		// An error after the dispatch may hide a success: the connection broke before the
		// response, or database/sql repeated the statement over a new connection. The repeat
		// then meets a conflict, the event's own id, or a database that is gone. Only a
		// rollback of every statement sent is unambiguous.
		if d.unacknowledged > 0 || d.dispatched && !retryable(err) {
			ambiguous = d.eventID
		}

		// Nothing was dispatched, or the server accepts no writes: the error means what it says.
		if ambiguous == "" && (!d.dispatched || postgres.IsReadOnly(err)) {
			return t, postgres.Classify(err)
		}

		// The server rolled the statement back, or it cannot be reached. A database that is
		// away is waited for, because its event log has the outcome.
		conflict = conflict || errors.Is(err, errConflict) || postgres.IsContended(err)
		if retryable(err) && retry.Wait(ctx, delays.NextBackOff()) {
			continue
		}

		// No attempt is left. The event log says whether an ambiguous one succeeded.
		if ambiguous != "" {
			stored, findErr := s.findByEventID(ctx, owner, ambiguous)
			if findErr == nil {
				return stored, nil
			}
			if !errors.Is(findErr, sql.ErrNoRows) { // a refusal would be a guess
				return task.Task{}, apperr.New(apperr.Unavailable,
					"the database is not available right now; whether the change was made is not known").WithCause(findErr)
			}
		}
		if conflict && ctx.Err() != nil {
			return task.Task{}, errConflict
		}
		return t, postgres.Classify(err)
	}
}

// findByEventID returns the task as an event announced it, or sql.ErrNoRows if the owner
// has no such event. It may take resolveTimeout after ctx has ended.
func (s *Store) findByEventID(ctx context.Context, owner task.Owner, eventID string) (task.Task, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveTimeout)
	defer cancel()
	var row taskRow
	// A server that accepts no writes may be a standby that has not received the event
	// yet. The row lock makes this query fail there.
	err := s.selectOne(ctx, &row, `SELECT `+eventTaskColumns+` FROM events WHERE id = $1 AND user_id IS NOT DISTINCT FROM $2 FOR KEY SHARE`, eventID, owner.UserID())
	return row.task(), err
}

// retryable reports whether another attempt may succeed.
func retryable(err error) bool {
	return err != nil && apperr.Of(postgres.Classify(err)).Kind == apperr.Unavailable
}
