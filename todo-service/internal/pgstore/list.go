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
