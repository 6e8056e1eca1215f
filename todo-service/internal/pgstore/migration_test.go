package pgstore_test

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
)

// migratedBefore returns a database with the schema as it was before that migration.
func migratedBefore(t *testing.T, file string) *sqlx.DB {
	t.Helper()
	older := fstest.MapFS{}
	for _, name := range must(fs.Glob(pgstore.Migrations, "*.sql")) {
		if name < file {
			older[name] = &fstest.MapFile{Data: must(fs.ReadFile(pgstore.Migrations, name))}
		}
	}
	db := open(t, database(t))
	if err := postgres.Migrate(t.Context(), db, older, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return db
}

// The statements of the versions before the owners.
const (
	createUnowned = `INSERT INTO tasks (title, priority, done, created_at, version) VALUES ('Learn Go', 0, false, now(), 1)`
	changeUnowned = `UPDATE tasks SET priority = priority + 1, version = version + 1`
)

// A replica of the older version writes while the migration waits for an open transaction.
// A migration that held a lock meanwhile would hold up every write until that ends.
func TestTasksAreWrittenWhileAMigrationWaits(t *testing.T) {
	t.Parallel()
	const holdSnapshot = `DECLARE held CURSOR FOR SELECT 1` // locks no table
	for name, test := range map[string]struct{ file, held, waiting string }{
		"for the indexes by priority": {"00005", createUnowned, `CREATE INDEX%`},
		"for the lock of the table":   {"00007", createUnowned, `%ALTER TABLE tasks%`},
		"for the indexes of owners":   {"00007", holdSnapshot, `CREATE INDEX%`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := migratedBefore(t, test.file)
			held := db.MustBegin()
			defer held.Rollback()
			held.MustExec(test.held)
			migrated := make(chan error, 1)
			go func() {
				migrated <- postgres.Migrate(t.Context(), db, pgstore.Migrations, slog.New(slog.DiscardHandler))
			}()
			testenv.Eventually(t, "the migration waits for the open transaction", func() (waits bool) {
				err := db.Get(&waits, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE $1 AND wait_event_type = 'Lock')`, test.waiting)
				return err == nil && waits
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			for _, statement := range []string{createUnowned, changeUnowned + ` WHERE id = (SELECT max(id) FROM tasks)`} {
				if _, err := db.ExecContext(ctx, statement); err != nil {
					t.Errorf("meanwhile %s: %v", statement, err)
				}
			}
			if err := held.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-migrated; err != nil {
				t.Fatal(err)
			}
			wantValidIndexes(t, db)
		})
	}
}

func TestIndexesOfTablesInUseAreBuiltConcurrently(t *testing.T) {
	t.Parallel()
	for _, name := range must(fs.Glob(pgstore.Migrations, "*.sql")) {
		text := string(must(fs.ReadFile(pgstore.Migrations, name)))
		if inUse := name >= "00005"; inUse && strings.Count(text, "CREATE INDEX ") != strings.Count(text, "CREATE INDEX CONCURRENTLY ") {
			t.Errorf("%s builds an index with a lock", name)
		}
	}
}

func TestIndexesAreBuiltAgainAfterABuildThatFailed(t *testing.T) {
	t.Parallel()
	for file, index := range map[string]string{
		"00005": `tasks_done_priority_id`,
		"00007": `tasks_user_done_id`,
	} {
		db := migratedBefore(t, file)
		db.MustExec(`CREATE INDEX ` + index + ` ON tasks (done, priority, id)`)
		db.MustExec(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass`, index)
		migrate(t, db)
		wantValidIndexes(t, db)
	}
}

// A step of the migration is repeated when the one behind it has failed.
func TestOwnersAreMigratedAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	db.MustExec(`DELETE FROM goose_db_version WHERE version_id >= 7`)
	migrate(t, db)
	wantValidIndexes(t, db)
}

func wantValidIndexes(t *testing.T, db *sqlx.DB) {
	t.Helper()
	var valid []string
	if err := db.Select(&valid, `SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'tasks'::regclass AND indisvalid ORDER BY indexrelid::regclass::text`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"tasks_done_id", "tasks_done_priority_desc_id", "tasks_done_priority_id", "tasks_pkey",
		"tasks_user_done_id", "tasks_user_done_priority_desc_id", "tasks_user_done_priority_id",
	}, valid); diff != "" {
		t.Errorf("valid indexes (-want +got):\n%s", diff)
	}
}
