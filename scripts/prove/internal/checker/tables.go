package checker

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lib/pq"

	"example.com/todo/scripts/prove/internal/history"
)

// readTables reads all tables in one snapshot.
func readTables(ctx context.Context, dsn string, run *history.Run) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	run.Tasks, err = queryRows(ctx, tx, `SELECT id, title, priority, done, version FROM tasks ORDER BY id`,
		func(t *history.Task) []any { return []any{&t.ID, &t.Title, &t.Priority, &t.Done, &t.Version} })
	if err != nil {
		return err
	}
	run.Events, err = queryRows(ctx, tx,
		`SELECT pos, coalesce(seq, 0), id, type, task_id, title, priority, version, done, at FROM events ORDER BY pos`,
		func(e *history.Event) []any {
			return []any{&e.Pos, &e.Seq, &e.ID, &e.Type, &e.TaskID, &e.Title, &e.Priority, &e.Version, &e.Done, &e.At}
		})
	if err != nil {
		return err
	}
	run.Keys, err = queryRows(ctx, tx, `SELECT key, event_id, task_id FROM idempotency_keys ORDER BY key`,
		func(k *history.Key) []any { return []any{&k.Key, &k.EventID, &k.TaskID} })
	if isUndefinedTable(err) {
		return nil // check "client-history" reports the missing keys
	}
	return err
}

func isUndefinedTable(err error) bool {
	var refused *pq.Error
	return errors.As(err, &refused) && refused.Code == "42P01"
}

// queryRows scans every row of a query into a T; columns returns pointers to its fields.
func queryRows[T any](ctx context.Context, tx *sql.Tx, query string, columns func(*T) []any) ([]T, error) {
	found, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []T
	for found.Next() {
		var one T
		if err := found.Scan(columns(&one)...); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, found.Err()
}
