package pgstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

// ownedTasks returns a database with 40,000 tasks and their events. user is the owner of
// task i as an expression, NULL for none.
func ownedTasks(t *testing.T, user string) *sqlx.DB {
	t.Helper()
	db := migrated(t)
	db.MustExec(`INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE SELECT i, i || '@example.com' FROM generate_series(1, 1000) i ON CONFLICT DO NOTHING`)
	db.MustExec(`INSERT INTO tasks (user_id, title, priority, done, created_at, completed_at, version)
		SELECT ` + user + `, 'Learn Go', CASE WHEN i / 500 % 4 < 2 THEN 0 ELSE i * 7 % 101 END, i / 500 % 10 > 0, now(), CASE WHEN i / 500 % 10 > 0 THEN now() END, 1
		FROM generate_series(1, 40000) i`)
	db.MustExec(`INSERT INTO events (id, seq, type, task_id, title, priority, done, created_at, version, at, user_id, traceparent)
		SELECT gen_random_uuid(), id, 'task.created', id, title, priority, false, created_at, 1, now(), user_id, '' FROM tasks`)
	db.MustExec(`UPDATE stream SET head = 40000`)
	db.MustExec(`VACUUM ANALYZE tasks`)
	db.MustExec(`VACUUM ANALYZE events`)
	return db
}

// Pages, numbers and event log of an owner are ranges of the indexes of owners: beside many
// owners, and for one with few tasks beside three with nearly all.
func TestOwnersReadTheirIndexesAndFewMoreRowsThanTheyGet(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		user   string
		owners []task.Owner
	}{
		"many": {`CASE i % 500 WHEN 0 THEN NULL ELSE i % 500 END`, []task.Owner{1, 250, 499}},
		"few":  {`CASE i % 4000 WHEN 7 THEN 4 ELSE 1 + i % 3 END`, []task.Owner{1, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := ownedTasks(t, test.user)
			for _, owner := range test.owners {
				for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
					wantOwnersPages(t, db, mode, owner)
					query, args := pgstore.AfterOfQuery(owner, many, page)
					log, text := explain(t, db, mode, query, args...)
					if read := log.read(); read > page+1 { // and the row of stream
						t.Errorf("the event log of owner %d, %s: read %d events:\n%s", owner, mode, read, text)
					}
					// Of few owners, each may have so many tasks that PostgreSQL counts them faster
					// from the whole table.
					if name == "few" {
						continue
					}
					query, args = pgstore.CountQuery(owner)
					counts, _ := explain(t, db, mode, query, args...)
					wantOwnersIndexes(t, fmt.Sprintf("the numbers of owner %d, %s", owner, mode), counts.indexes())
				}
			}
		})
	}
}

// wantOwnersPages wants pages in every order to be ranges of the indexes of owners.
func wantOwnersPages(t *testing.T, db *sqlx.DB, mode string, owner task.Owner) {
	t.Helper()
	for _, order := range []task.Order{task.ByID, task.ByIDDescending, task.ByPriority, task.ByPriorityDescending} {
		for name, q := range map[string]task.Query{
			"first":         {},
			"after a task":  {After: many},
			"by offset":     {Offset: 2 * page},
			"of done tasks": {Done: new(true), After: many},
			"of open tasks": {Done: new(false)},
			"of a search":   {Done: new(true), Contains: "learn"},
			"in the middle": {After: many, AfterPriority: 50},
		} {
			q.Order, q.Limit = order, page
			name := fmt.Sprintf("%s of owner %d in order %s, %s", name, owner, order, mode)
			most := 2 * (q.Offset + page)
			if mode == "force_custom_plan" {
				most *= 4 // it may read and sort the tenth of the owner's tasks that is open
			}
			wantOwnersIndexes(t, name, wantRead(t, db, mode, name, owner, q, int64(most)))
		}
	}
}

// wantOwnersIndexes wants only indexes of tasks with an owner.
func wantOwnersIndexes(t *testing.T, name string, indexes []string) {
	t.Helper()
	for _, index := range indexes {
		if !strings.HasPrefix(index, "tasks_user_") {
			t.Errorf("%s: reads the index %q", name, index)
		}
	}
}
