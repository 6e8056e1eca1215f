package pgstore

import (
	"context"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// History returns the task's events with a version greater than after, oldest first,
// also if the task has been deleted. For an unknown task, or one of another owner, it
// returns no events.
func (s *Store) History(ctx context.Context, owner task.Owner, id, after int64, limit int) ([]task.Event, error) {
	return selectConverted(ctx, s, eventRow.event,
		`SELECT `+eventColumns+` FROM events WHERE task_id = $1 AND version > $2 AND user_id IS NOT DISTINCT FROM $4 ORDER BY version LIMIT $3`,
		id, after, limit, owner.UserID())
}

// After returns the entries of the event log behind seq, of every owner, in order, at most
// limit. Events without a seq are not among them.
func (s *Store) After(ctx context.Context, seq int64, limit int) ([]task.Announcement, error) {
	return selectConverted(ctx, s, announcementRow.announcement,
		`SELECT `+announcementColumns+` FROM events WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
}

// AfterOf is After for the events of one owner. It also returns how far the log was purged
// when it was read: events up to that seq may be missing.
func (s *Store) AfterOf(ctx context.Context, owner task.Owner, seq int64, limit int) (next []task.Announcement, purgedThrough int64, err error) {
	query, args := afterOfQuery(owner, seq, limit)
	var rows []struct {
		PurgedThrough int64 `db:"purged_through"`
		announcementRow
	}
	err = s.selectAll(ctx, &rows, query, args...)
	if err != nil {
		return nil, 0, postgres.Classify(err)
	}
	if len(rows) == 0 {
		bounds, err := s.Bounds(ctx) // a later moment: what was purged before is included
		return nil, bounds.PurgedThrough, err
	}
	for _, row := range rows {
		next = append(next, row.announcement())
	}
	return next, rows[0].PurgedThrough, nil
}

func afterOfQuery(owner task.Owner, seq int64, limit int) (query string, args []any) {
	ofOwner, user := ownedBy(owner, 3)
	return `SELECT (SELECT purged_through FROM stream) AS purged_through, ` + announcementColumns + ` FROM events
		WHERE seq > $1 AND ` + ofOwner + ` ORDER BY ` + orderOf(owner, `seq`) + ` LIMIT $2`, append([]any{seq, limit}, user...)
}

// Bounds returns the name of the event log and the range of seq that can be read.
func (s *Store) Bounds(ctx context.Context) (task.EventLogRange, error) {
	var row struct {
		Log           string `db:"log"`
		PurgedThrough int64  `db:"purged_through"`
		Head          int64  `db:"head"`
	}
	err := s.selectOne(ctx, &row, `SELECT log, purged_through, head FROM stream`)
	return task.EventLogRange{Name: row.Log, PurgedThrough: row.PurgedThrough, Head: row.Head}, postgres.Classify(err)
}
