package pgstore

import (
	"context"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// History returns the task's events with a version greater than after, oldest first,
// also if the task has been deleted. For an unknown task it returns no events.
func (s *Store) History(ctx context.Context, id, after int64, limit int) ([]task.Event, error) {
	return selectConverted(ctx, s, eventRow.event,
		`SELECT `+eventColumns+` FROM events WHERE task_id = $1 AND version > $2 ORDER BY version LIMIT $3`, id, after, limit)
}

// After returns the entries of the event log behind seq, in order, at most limit.
// Events without a seq are not among them.
func (s *Store) After(ctx context.Context, seq int64, limit int) ([]task.Announcement, error) {
	return selectConverted(ctx, s, announcementRow.announcement,
		`SELECT `+announcementColumns+` FROM events WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
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
