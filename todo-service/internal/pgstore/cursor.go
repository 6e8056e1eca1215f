package pgstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/failpoint"
	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

// RelayConns is how many connections two concurrent calls of ForwardBatch need, one
// for each cursor: each holds one while it waits for the sequencer on a third.
const RelayConns = 3

// cursor is how far one downstream has been sent: its column of the table stream,
// and the statements that work on it.
type cursor struct {
	column        string
	lock          string // locks the cursor until the transaction ends
	selectPending string // returns what lies behind it
	advance       string // moves it from one position to another
}

var cursors = map[string]cursor{
	"kafka": newCursor("kafka_seq", `SELECT pg_advisory_xact_lock(1953459311, 1)`), // "todo" in ASCII
	"live":  newCursor("live_seq", `SELECT pg_advisory_xact_lock(1953459311, 2)`),
}

func newCursor(column, lock string) cursor {
	return cursor{
		column: column,
		lock:   lock,
		selectPending: `SELECT (SELECT log FROM stream) AS log, (SELECT ` + column + ` FROM stream) AS cursor, ` + announcementColumns + ` FROM events
			WHERE seq > (SELECT ` + column + ` FROM stream) ORDER BY seq LIMIT $1`,
		advance: `UPDATE stream SET ` + column + ` = $2 WHERE ` + column + ` = $1`,
	}
}

// ForwardBatch assigns seq to new events and passes at most limit entries behind the
// cursor ("kafka" or "live") to send, in order. When send returns nil, it advances the
// cursor past them. It returns how many were sent: fewer than limit means that
// everything committed before the call was sent.
//
// Of all processes, one caller at a time holds the cursor's lock; the others wait
// until ctx ends. An entry may be sent twice, and is never passed over.
func (s *Store) ForwardBatch(ctx context.Context, name string, limit int, send func(context.Context, []task.Announcement) error) (int, error) {
	c, ok := cursors[name]
	if !ok {
		return 0, fmt.Errorf("pgstore: no cursor %q", name)
	}
	// The sequencer works while the transaction begins and waits for the lock.
	numbered := s.sequencer.Add(ctx, limit)
	pending, err := s.prepare(ctx, c.selectPending)
	if err != nil {
		return 0, postgres.Classify(err)
	}
	sent := 0
	err = postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		// The lock belongs to the transaction. A frozen process loses both after
		// idle_in_transaction_session_timeout, and another one continues from the same position.
		if _, err := tx.ExecContext(ctx, c.lock); err != nil {
			return err
		}
		if _, err := numbered.Wait(ctx); err != nil {
			return err
		}
		rows, err := pendingAfter(ctx, tx, pending, limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		batch := convertAll(rows, announcementRow.announcement)
		if err := send(ctx, batch); err != nil {
			return err
		}
		sent = len(batch)
		return s.advance(ctx, c, rows[0].Cursor, batch[sent-1].Seq)
	})
	if err != nil {
		return 0, postgres.Classify(err)
	}
	return sent, nil
}

// pendingAfter returns what lies behind the cursor. It is a statement of its own: the
// one that waited for the lock sees everything as it was before the wait.
func pendingAfter(ctx context.Context, tx *sqlx.Tx, pending *sqlx.Stmt, limit int) (rows []announcementRow, err error) {
	err = tx.StmtxContext(ctx, pending).SelectContext(ctx, &rows, limit) //nolint:sqlclosecheck // closed with the transaction
	return rows, err
}

// advance is a compare-and-set on the cursor. It is safe without the cursor's lock:
// everything up to the new position has been sent.
func (s *Store) advance(ctx context.Context, c cursor, from, to int64) error {
	// A transaction of its own, so that a process that freezes here does not hold the row
	// that the sequencer needs.
	moved, err := s.exec(ctx, c.advance, from, to)
	if err == nil && moved != 1 {
		err = apperr.New(apperr.Unavailable, "another relay has moved %s", c.column)
	}
	return err
}

// AssignSequence gives at most limit committed events their seq. Each ForwardBatch
// does so too; this is for times in which no call gets that far.
func (s *Store) AssignSequence(ctx context.Context, limit int) error {
	_, err := s.sequencer.Do(ctx, limit)
	return postgres.Classify(err)
}

// assignSequence serves the call with the greatest limit, and so all of them. Its
// rules are in the migration that creates number_events.
func (s *Store) assignSequence(ctx context.Context, limits []coalesce.Entry[int]) ([]struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	var last int64
	err := s.selectOne(ctx, &last, `SELECT number_events($1)`, slices.Max(coalesce.Keys(limits)))
	if err == nil && last > 0 {
		failpoint.Hit(failpoint.AfterNumber, "seq "+strconv.FormatInt(last, 10))
	}
	return make([]struct{}, len(limits)), err
}

// Backlog returns how many events lie behind the cursor, with or without a seq, and
// when the oldest of them happened; the zero time when there is no such event.
func (s *Store) Backlog(ctx context.Context, name string) (events int64, oldest time.Time, err error) {
	c, ok := cursors[name]
	if !ok {
		return 0, time.Time{}, fmt.Errorf("pgstore: no cursor %q", name)
	}
	var row struct {
		Events int64        `db:"events"`
		Oldest sql.NullTime `db:"oldest"`
	}
	err = s.selectOne(ctx, &row, `
		SELECT head - `+c.column+` + (SELECT count(*) FROM events WHERE seq IS NULL) AS events,
			coalesce(
				(SELECT at FROM events WHERE seq > `+c.column+` ORDER BY seq LIMIT 1),
				(SELECT at FROM events WHERE seq IS NULL ORDER BY pos LIMIT 1)
			) AS oldest
		FROM stream`)
	return row.Events, row.Oldest.Time, postgres.Classify(err)
}
