package postgres_test

import (
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
)

func migrations(files ...string) fstest.MapFS {
	all := fstest.MapFS{
		"00001_one.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n int);\nSELECT pg_sleep(0.2);\n")},
		"00002_two.sql": {Data: []byte("-- +goose Up\nINSERT INTO t VALUES (1);\n")},
		"00003_bad.sql": {Data: []byte("-- +goose Up\nINSERT INTO nowhere VALUES (1);\n")},
	}
	chosen := fstest.MapFS{}
	for _, name := range files {
		chosen[name] = all[name]
	}
	return chosen
}

func TestConcurrentMigrationsApplyEachFileOnce(t *testing.T) {
	t.Parallel()
	dsn := database(t).String()
	both, log := migrations("00001_one.sql", "00002_two.sql"), slog.New(slog.DiscardHandler)
	var wg sync.WaitGroup
	for range 3 {
		db := open(t, dsn)
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), db, both, log); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	db := open(t, dsn)
	expectRows(t, db, 1)
	if err := postgres.Migrate(t.Context(), db, both, log); err != nil {
		t.Error(err)
	}
	expectRows(t, db, 1)
}

func TestCheckSchemaFailsWhenAMigrationIsPending(t *testing.T) {
	t.Parallel()
	db, log := open(t, database(t).String()), slog.New(slog.DiscardHandler)
	one, both := migrations("00001_one.sql"), migrations("00001_one.sql", "00002_two.sql")
	steps := []struct {
		name    string
		migrate fs.FS
		check   fs.FS
		want    string
	}{
		{"empty", nil, both, "00001_one.sql: run the migrate command"},
		{"behind", one, both, "00002_two.sql: run the migrate command"},
		{"level", both, both, ""},
		{"ahead", nil, one, ""},
	}
	for _, step := range steps {
		if step.migrate != nil {
			if err := postgres.Migrate(t.Context(), db, step.migrate, log); err != nil {
				t.Fatal(err)
			}
		}
		err := postgres.CheckSchema(t.Context(), db, step.check, log)
		if step.want == "" && err != nil || step.want != "" && (err == nil || !strings.Contains(err.Error(), step.want)) {
			t.Errorf("%s: got %v", step.name, err)
		}
	}
}

func TestCheckSchemaOnlyReads(t *testing.T) {
	t.Parallel()
	db := open(t, database(t).String())
	_ = postgres.CheckSchema(t.Context(), db, migrations("00001_one.sql"), slog.New(slog.DiscardHandler))
	var tables int
	if err := db.Get(&tables, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); err != nil || tables != 0 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

func TestFailedMigrationIsNamedAndRolledBack(t *testing.T) {
	t.Parallel()
	db := open(t, database(t).String())
	err := postgres.Migrate(t.Context(), db, migrations("00001_one.sql", "00003_bad.sql"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "00003_bad.sql") {
		t.Errorf("got %v", err)
	}
	if err := postgres.CheckSchema(t.Context(), db, migrations("00001_one.sql"), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}

func TestUnreachableDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	db := open(t, "postgres://u@127.0.0.1:1/db?sslmode=disable")
	ctx := context.WithoutCancel(t.Context())
	for name, err := range map[string]error{
		"Migrate":     postgres.Migrate(ctx, db, migrations("00001_one.sql"), slog.New(slog.DiscardHandler)),
		"CheckSchema": postgres.CheckSchema(ctx, db, migrations("00001_one.sql"), slog.New(slog.DiscardHandler)),
	} {
		if err == nil || apperr.Of(err).Kind != apperr.Unavailable {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
