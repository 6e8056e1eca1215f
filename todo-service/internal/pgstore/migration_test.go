package pgstore_test

import (
	"context"
	"io/fs"
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
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

// A replica of the older version writes while the indexes are built. An index that was
// built with a lock would hold up every write until the open transaction ends.
func TestIndexesByPriorityAreBuiltWhileTasksAreWritten(t *testing.T) {
	t.Parallel()
	db := migratedBefore(t, "00005")
	writer := db.MustBegin()
	defer writer.Rollback()
	writer.MustExec(`INSERT INTO tasks (title, priority, done, created_at, version) VALUES ('Learn Go', 0, false, now(), 1)`)
	migrated := make(chan error, 1)
	go func() {
		migrated <- postgres.Migrate(t.Context(), db, pgstore.Migrations, slog.New(slog.DiscardHandler))
	}()
	testenv.Eventually(t, "the build waits for the open transaction", func() (waits bool) {
		err := db.Get(&waits, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock')`)
		return err == nil && waits
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := pgstore.New(db).Create(ctx, newEvent("Learn Go"), task.IdempotencyKey{}); err != nil {
		t.Errorf("a task that is created meanwhile: %v", err)
	}
	if err := writer.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	wantValidIndexes(t, db)
}

func TestIndexesByPriorityAreBuiltAgainAfterABuildThatFailed(t *testing.T) {
	t.Parallel()
	db := migratedBefore(t, "00005")
	db.MustExec(`CREATE INDEX tasks_done_priority_id ON tasks (done, priority, id)`)
	db.MustExec(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tasks_done_priority_id'::regclass`)
	migrate(t, db)
	wantValidIndexes(t, db)
}

func wantValidIndexes(t *testing.T, db *sqlx.DB) {
	t.Helper()
	var valid []string
	if err := db.Select(&valid, `SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'tasks'::regclass AND indisvalid ORDER BY indexrelid::regclass::text`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"tasks_done_id", "tasks_done_priority_desc_id", "tasks_done_priority_id", "tasks_pkey"}, valid); diff != "" {
		t.Errorf("valid indexes (-want +got):\n%s", diff)
	}
}
