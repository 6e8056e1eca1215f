package pgstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/crashpoint"
	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// cursor is one reader's place in the log.
type cursor struct {
	column string // of the table stream
	lock   string // takes the right to move it, until the transaction ends
}

var cursors = map[string]cursor{
	"kafka": {column: "kafka_seq", lock: `SELECT pg_advisory_xact_lock(1953459311, 1)`}, // "todo" in ASCII
	"live":  {column: "live_seq", lock: `SELECT pg_advisory_xact_lock(1953459311, 2)`},
}

// Drain gives new events their place in the log, hands at most limit entries
// behind the cursor ("kafka" or "live") to send, in order, and moves the cursor
// behind them once send has returned nil. It returns how many were sent: fewer
// than limit means that everything committed before the call was sent.
//
// One caller at a time, of all processes, gets past the lock of its cursor; the
// others wait until ctx ends. The lock goes with the transaction: a caller that
// was frozen loses both (idle_in_transaction_session_timeout), another goes on
// from the same place, and the first can then no longer move the cursor. An
// entry may so be sent twice, and is never passed over.
func (s *Store) Drain(ctx context.Context, name string, limit int, send func(context.Context, []task.Announcement) error) (int, error) {
	c, ok := cursors[name]
	if !ok {
		return 0, fmt.Errorf("pgstore: no cursor %q", name)
	}
	if err := s.number(ctx, limit); err != nil {
		return 0, postgres.Fault(err)
	}
	sent := 0
	err := postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		from, batch, err := c.take(ctx, tx, limit)
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := send(ctx, batch); err != nil {
			return err
		}
		sent = len(batch)
		return c.move(ctx, tx, from, batch[sent-1].Seq)
	})
	if err != nil {
		return 0, postgres.Fault(err)
	}
	return sent, nil
}

// take waits for the cursor's lock and returns where the cursor is and what lies
// behind it. It reads that by statements of their own: the one that waited for
// the lock would see everything as it was before the wait.
func (c cursor) take(ctx context.Context, tx *sqlx.Tx, limit int) (from int64, batch []task.Announcement, err error) {
	if _, err := tx.ExecContext(ctx, c.lock); err != nil {
		return 0, nil, err
	}
	if err := tx.GetContext(ctx, &from, `SELECT `+c.column+` FROM stream`); err != nil {
		return 0, nil, err
	}
	var rows []announcementRow
	if err := tx.SelectContext(ctx, &rows, afterQuery, from, limit); err != nil {
		return 0, nil, err
	}
	return from, announcements(rows), nil
}

func (c cursor) move(ctx context.Context, tx *sqlx.Tx, from, to int64) error {
	result, err := tx.ExecContext(ctx, `UPDATE stream SET `+c.column+` = $2 WHERE `+c.column+` = $1`, from, to)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("pgstore: %s is no longer %d", c.column, from), err)
	}
	return nil
}

// number gives a place in the log to at most limit events that have none, in
// the order of pos. An event can be committed after one with a greater pos, but
// of one task's events the lesser pos is always committed first: so the order
// in the log is that of each task, and nothing is passed over.
//
// The row of stream is locked by a statement before the one that numbers, whose
// snapshot so shows all that the previous holder numbered. The transaction is
// short: nobody waits for Kafka while it holds the row.
func (s *Store) number(ctx context.Context, limit int) error {
	var pos int64
	err := s.get(ctx, &pos, `SELECT pos FROM events WHERE seq IS NULL ORDER BY pos LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	err = postgres.InTx(ctx, s.db, func(tx *sqlx.Tx) error {
		var head int64
		if err := tx.GetContext(ctx, &head, `SELECT head FROM stream FOR UPDATE`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			WITH numbered AS (
				UPDATE events SET seq = $1 + place.n
				FROM (
					SELECT pos, row_number() OVER (ORDER BY pos) AS n
					FROM (SELECT pos FROM events WHERE seq IS NULL ORDER BY pos LIMIT $2) AS unnumbered
				) AS place
				WHERE events.pos = place.pos
				RETURNING seq
			)
			UPDATE stream SET head = $1 + (SELECT count(*) FROM numbered)`, head, limit)
		return err
	})
	if err == nil {
		crashpoint.Reach(crashpoint.AfterNumber, "pos "+strconv.FormatInt(pos, 10))
	}
	return err
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
	err = s.get(ctx, &row, `
		SELECT head - `+c.column+` + (SELECT count(*) FROM events WHERE seq IS NULL) AS events,
			coalesce(
				(SELECT at FROM events WHERE seq > `+c.column+` ORDER BY seq LIMIT 1),
				(SELECT at FROM events WHERE seq IS NULL ORDER BY pos LIMIT 1)
			) AS oldest
		FROM stream`)
	return row.Events, row.Oldest.Time, postgres.Fault(err)
}
