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
	"example.com/todo/todo-service/internal/task"
)

// RelayConns is how many connections must be left for two cursors that are drained at
// the same time: each holds one while it waits for what another statement does on a third.
const RelayConns = 3

// cursor is one reader's place in the log.
type cursor struct {
	column string // of the table stream
	lock   string // takes the right to move it, until the transaction ends
	selectPending   string // returns what lies behind it
	advance   string // moves it from one place to another
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

// ForwardBatch gives new events their place in the log, hands at most limit entries
// behind the cursor ("kafka" or "live") to send, in order, and moves the cursor
// behind them once send has returned nil. It returns how many were sent: fewer
// than limit means that everything committed before the call was sent.
//
// One caller at a time, of all processes, gets past the lock of its cursor; the
// others wait until ctx ends. The lock goes with a transaction, which a caller that
// was frozen loses (idle_in_transaction_session_timeout): another goes on from the
// same place, and once that one has moved the cursor, the first no longer can. An
// entry may so be sent twice, and is never passed over.
func (s *Store) ForwardBatch(ctx context.Context, name string, limit int, send func(context.Context, []task.Announcement) error) (int, error) {
	c, ok := cursors[name]
	if !ok {
		return 0, fmt.Errorf("pgstore: no cursor %q", name)
	}
	numbering := s.numbering.join(ctx, limit) // goes on while the transaction begins and waits for its turn
	take, err := s.prepare(ctx, c.selectPending)
	if err != nil {
		return 0, postgres.Classify(err)
	}
	sent := 0
	err = postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, c.lock); err != nil {
			return err
		}
		if _, err := s.numbering.await(ctx, numbering, limit); err != nil {
			return err
		}
		rows, err := c.pendingAfter(ctx, tx, take, limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		batch := announcements(rows)
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

// pendingAfter returns what lies behind the cursor, whose lock is held, by a statement of its
// own: the one that waited for the lock sees everything as it was before the wait.
func (c cursor) pendingAfter(ctx context.Context, tx *sqlx.Tx, take *sqlx.Stmt, limit int) (rows []announcementRow, err error) {
	err = tx.StmtxContext(ctx, take).SelectContext(ctx, &rows, limit) //nolint:sqlclosecheck // closed with the transaction
	return rows, err
}

// advance moves the cursor, unless it is no longer where it was. It is a transaction of
// its own: a caller that freezes must not hold the row, which everybody needs who
// numbers. Who has lost the cursor's lock may move it all the same: what lies before is sent.
func (s *Store) advance(ctx context.Context, c cursor, from, to int64) error {
	moved, err := s.exec(ctx, c.advance, from, to)
	if err == nil && moved != 1 {
		err = apperr.New(apperr.Unavailable, "another relay has moved %s", c.column)
	}
	return err
}

// AssignSequence gives events that have none their place in the log, at most limit. Each Drain
// does so too; this is for the time in which none gets that far.
func (s *Store) AssignSequence(ctx context.Context, limit int) error {
	_, err := s.numbering.do(ctx, limit)
	return postgres.Classify(err)
}

// assignSequence gives a place in the log to events that have none, to as many as the most
// demanding of the cursors can use; see the migration that makes number_events.
func (s *Store) assignSequence(ctx context.Context, limits []int) (struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	var last int64
	err := s.selectOne(ctx, &last, `SELECT number_events($1)`, slices.Max(limits))
	if err == nil && last > 0 {
		failpoint.Hit(failpoint.AfterNumber, "seq "+strconv.FormatInt(last, 10))
	}
	return struct{}{}, err
}

// Backlog returns how many events lie behind the cursor, also those without a
// place in the log yet, and when the oldest of them happened; the zero time when
// there are none.
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
