package pgstore

import (
	"context"
	"fmt"
	"strings"

	"example.com/todo/platform/postgres"
	"example.com/todo/todo-service/internal/task"
)

// List returns the selected tasks in id order. Beyond ASCII, whether Contains ignores
// case depends on the database's locale.
func (s *Store) List(ctx context.Context, q task.Query) ([]task.Task, error) {
	query, args := listQuery(q)
	return selectConverted(ctx, s, taskRow.task, query, args...)
}

// listQuery returns one text for each set of filters, so that each has its own plan.
func listQuery(q task.Query) (query string, args []any) {
	where := []string{`id > $1`}
	args = []any{q.After, q.Offset, q.Limit}
	add := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if q.Done != nil {
		add(`done = $%d`, *q.Done)
	}
	if q.Contains != "" {
		// A title of an older version may not be in NFC. The comparison normalizes it. It is
		// not rewritten: no consumer would see a change without an event and a version. A
		// title in ASCII is in NFC and skips the normalization.
		add(`(title ILIKE $%[1]d OR octet_length(title) > char_length(title) AND normalize(title, NFC) ILIKE $%[1]d)`,
			"%"+likeEscaper.Replace(q.Contains)+"%")
	}
	return `SELECT ` + taskColumns + ` FROM tasks WHERE ` + strings.Join(where, ` AND `) + ` ORDER BY id OFFSET $2 LIMIT $3`, args
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Count returns how many tasks are done, not done, or there at all (nil).
func (s *Store) Count(ctx context.Context, done *bool) (int64, error) {
	query, args := `SELECT count(*) FROM tasks`, []any{}
	if done != nil {
		query, args = query+` WHERE done = $1`, append(args, *done)
	}
	var n int64
	return n, postgres.Classify(s.selectOne(ctx, &n, query, args...))
}

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
