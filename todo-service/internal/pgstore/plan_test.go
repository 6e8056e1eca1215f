package pgstore_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
)

const (
	many = 20_000
	page = 100
)

// A session that called number_events while there were few events keeps its plan, which
// must not read every event.
func TestNumberEventsReadsFewRowsOfALogThatHasGrown(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	db.SetMaxOpenConns(1)
	db.MustExec(`ALTER TABLE events SET (autovacuum_enabled = false)`)
	s := pgstore.New(db)
	for range 30 {
		must(s.Create(t.Context(), task.NoOwner, newEvent("Learn Go"), task.IdempotencyKey{}))
		db.MustExec(`SELECT number_events(10)`)
	}
	db.MustExec(`
		INSERT INTO events (id, seq, type, task_id, title, priority, done, created_at, version, at, traceparent)
		SELECT gen_random_uuid(), head + i, 'task.created', 1000 + i, 'Learn Go', 0, false, now(), 1, now(), ''
		FROM stream, generate_series(1, 20000) i`)
	db.MustExec(`UPDATE stream SET head = head + 20000`)
	must(s.Create(t.Context(), task.NoOwner, newEvent("Learn Go"), task.IdempotencyKey{}))
	tx := db.MustBegin()
	defer tx.Rollback()
	var last, read int64
	if err := tx.Get(&last, `SELECT number_events(10)`); err != nil || last != 30+many+1 {
		t.Errorf("the last is %d, error %v", last, err)
	}
	if err := tx.Get(&read, `SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'events'`); err != nil || read > 100 {
		t.Errorf("%d events were read by sequential scans, error %v", read, err)
	}
}

// A page is read in the order of an index: its rows and those that it skips on the way.
// Only a search for a rare or missing title reads every row.
func TestListReadsFewMoreRowsThanItReturns(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	db.MustExec(`INSERT INTO tasks (title, priority, done, created_at, completed_at, version)
		SELECT CASE WHEN i % 5 = 0 THEN 'Learn Go ' ELSE 'Write it down ' END || i, CASE i % 2 WHEN 0 THEN 0 ELSE i * 7 % 101 END, i % 3 = 0, now(), CASE WHEN i % 3 = 0 THEN now() END, 1
		FROM generate_series(1, $1) i`, many)
	rare := migrated(t)
	rare.MustExec(`INSERT INTO tasks (title, priority, done, created_at, completed_at, version)
		SELECT 'Learn Go', 0, i > $1 - 10, now(), CASE WHEN i > $1 - 10 THEN now() END, 1 FROM generate_series(1, $1) i`, many)
	for _, one := range []*sqlx.DB{db, rare} {
		one.MustExec(`VACUUM ANALYZE tasks`)
	}
	for name, test := range map[string]struct {
		db   *sqlx.DB
		q    task.Query
		most int64
	}{
		"the first":                   {db, task.Query{}, page},
		"a late one":                  {db, task.Query{After: many * 9 / 10}, page},
		"by offset":                   {db, task.Query{Offset: 5000}, 5000 + page},
		"of a third that is done":     {db, task.Query{Done: new(true), After: many / 2}, 4 * page},
		"of the few that are done":    {rare, task.Query{Done: new(true)}, page},
		"of all but few":              {rare, task.Query{Done: new(false), After: many / 2}, page},
		"of what is found everywhere": {db, task.Query{Contains: "learn g", After: many / 2}, 6 * page},
		"of that and done":            {db, task.Query{Contains: "learn g", Done: new(true)}, 20 * page},
	} {
		test.q.Limit = page
		wantRead(t, test.db, "auto", name, task.NoOwner, test.q, test.most)
	}
}

// A page in every order is a range of an index, also in the middle of half the tasks, which
// have one priority, and with a plan that knows no arguments: a server makes one for a
// statement that is executed often.
func TestListReadsAPageInEveryOrderFromAnIndex(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	db.MustExec(`INSERT INTO tasks (title, priority, done, created_at, completed_at, version)
		SELECT 'Learn Go', CASE i % 2 WHEN 0 THEN 0 ELSE i * 7 % 101 END, i % 100 <> 1, now(), CASE WHEN i % 100 <> 1 THEN now() END, 1
		FROM generate_series(1, $1) i`, many)
	db.MustExec(`VACUUM ANALYZE tasks`)
	middle := task.Query{After: many / 2}
	for _, order := range []task.Order{task.ByID, task.ByIDDescending, task.ByPriority, task.ByPriorityDescending} {
		for name, q := range map[string]task.Query{
			"first":             {},
			"after a task of 0": middle,
			"by offset":         {Offset: 5 * page},
			"of done tasks":     {Done: new(true), After: middle.After},
			"of open tasks":     {Done: new(false)},
		} {
			q.Order, q.Limit = order, page
			for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
				wantRead(t, db, mode, fmt.Sprintf("%s in order %s, %s", name, order, mode), task.NoOwner, q, 2*int64(q.Offset+page))
			}
		}
	}
}

// From the sixth execution on, PostgreSQL makes no more plans for a page by id.
func TestListPlansAPageByIDOnce(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	db.MustExec(`INSERT INTO tasks (title, priority, done, created_at, version) SELECT 'Learn Go', 0, false, now(), 1 FROM generate_series(1, $1) i`, many)
	db.MustExec(`VACUUM ANALYZE tasks`)
	for _, order := range []task.Order{task.ByID, task.ByIDDescending} {
		for _, done := range []*bool{nil, new(false), new(true)} {
			for _, limit := range []int{51, 101, 102, task.MaxLimit + 1} {
				q := task.Query{Order: order, Done: done, Limit: limit}
				tx := db.MustBegin()
				query, args := pgstore.ListQuery(task.NoOwner, q)
				execute := prepare(tx, query, args)
				for range 10 {
					read, err := tx.MustExec(execute).RowsAffected()
					if want := int64(limit); err != nil || read != want && (done == nil || !*done) {
						t.Fatalf("read %d tasks, want %d, error %v: %s", read, want, err, query)
					}
				}
				var kept int
				if err := tx.Get(&kept, `SELECT generic_plans FROM pg_prepared_statements WHERE name = 'page'`); err != nil || kept != 5 {
					t.Errorf("%d executions of 10 used the plan that is kept, want 5, error %v: %s", kept, err, query)
				}
				tx.MustExec(`DEALLOCATE page`)
				_ = tx.Rollback()
			}
		}
	}
}

// wantRead wants the query to read at most that many tasks, with a plan of that
// plan_cache_mode. It returns the indexes that the plan reads.
func wantRead(t *testing.T, db *sqlx.DB, mode, name string, owner task.Owner, q task.Query, most int64) (indexes []string) {
	t.Helper()
	query, args := pgstore.ListQuery(owner, q)
	plan, text := explain(t, db, mode, query, args...)
	if read := plan.read(); read > most {
		t.Errorf("the page %s: read %d tasks, want at most %d:\n%s", name, read, most, text)
	}
	return plan.indexes()
}

// explain executes the query with a plan of that plan_cache_mode, which it returns.
func explain(t *testing.T, db *sqlx.DB, mode, query string, args ...any) (n node, text string) {
	t.Helper()
	tx := db.MustBegin()
	defer tx.Rollback()
	tx.MustExec(`SET LOCAL plan_cache_mode = ` + mode)
	execute := prepare(tx, query, args)
	defer tx.MustExec(`DEALLOCATE page`)
	var plan []byte
	if err := tx.Get(&plan, `EXPLAIN (ANALYZE, FORMAT JSON) `+execute); err != nil {
		t.Fatal(err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(plan, &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan, string(plan)
}

// prepare prepares the query under the name page, and returns the statement that executes it.
func prepare(tx *sqlx.Tx, query string, args []any) (execute string) {
	tx.MustExec(`PREPARE page AS ` + query)
	literals := make([]string, len(args))
	for i, arg := range args {
		literals[i] = pq.QuoteLiteral(fmt.Sprint(arg))
	}
	return `EXECUTE page (` + strings.Join(literals, `, `) + `)`
}

// node is a node of a plan in the output of EXPLAIN.
type node struct {
	Rows    float64 `json:"Actual Rows"`
	Removed float64 `json:"Rows Removed by Filter"`
	Loops   float64 `json:"Actual Loops"`
	Type    string  `json:"Node Type"`
	Index   string  `json:"Index Name"`
	Plans   []node
}

// indexes returns the index of each leaf node, "" for a leaf that reads none.
func (n node) indexes() (names []string) {
	if len(n.Plans) == 0 {
		return []string{n.Index}
	}
	for _, inner := range n.Plans {
		names = append(names, inner.indexes()...)
	}
	return names
}

// read returns how many rows the leaf nodes read.
func (n node) read() (rows int64) {
	if len(n.Plans) == 0 {
		return int64((n.Rows + n.Removed) * n.Loops)
	}
	for _, inner := range n.Plans {
		rows += inner.read()
	}
	return rows
}
