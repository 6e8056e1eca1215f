package pgstore_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
	"example.com/todo/todo-service/internal/pgstore"
	"example.com/todo/todo-service/internal/task"
	"example.com/todo/todo-service/internal/task/storetest"
)

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) task.Store { return pgstore.New(migrated(t)) })
}

// addUsers creates these users, unless they exist.
func addUsers(db *sqlx.DB, owners ...task.Owner) {
	for _, owner := range owners {
		db.MustExec(`INSERT INTO users (id, email) OVERRIDING SYSTEM VALUE VALUES ($1, $1::bigint || '@example.com') ON CONFLICT DO NOTHING`, int64(owner))
	}
}

// writer makes the writes whose outcome is tested. Others are without an owner.
const writer = storetest.Owner

// migrated returns a database of the test's own, with the schema and the users of storetest.
func migrated(t testing.TB) *sqlx.DB {
	t.Helper()
	db := open(t, database(t))
	migrate(t, db)
	return db
}

// migrate migrates the database, and creates the users of storetest.
func migrate(t testing.TB, db *sqlx.DB) {
	t.Helper()
	if err := postgres.Migrate(t.Context(), db, pgstore.Migrations, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	addUsers(db, storetest.Owner, storetest.Other)
}

// database creates an empty database and returns its DSN.
func database(t testing.TB) *url.URL {
	t.Helper()
	server := testenv.RequireEnv(t, "TEST_POSTGRES_DSN")
	admin := open(t, parse(t, server))
	name := fmt.Sprintf("pgstore_%016x", rand.Uint64())
	admin.MustExec(`CREATE DATABASE ` + name)
	t.Cleanup(func() { admin.MustExec(`DROP DATABASE ` + name + ` WITH (FORCE)`) })
	dsn := parse(t, server)
	dsn.Path = "/" + name
	return dsn
}

func open(t testing.TB, dsn *url.URL) *sqlx.DB {
	t.Helper()
	cfg := postgres.Defaults()
	cfg.DSN = config.Secret(dsn.String())
	cfg.ConnectTimeout = time.Minute // a loaded machine is no fault
	db, err := postgres.Open(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func parse(t testing.TB, dsn string) *url.URL {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// newEvent returns the event of a task to create.
func newEvent(title string) task.Event {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return task.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Type: task.Created, At: now,
		Task: task.Task{Title: title, CreatedAt: now, Version: 1},
	}
}

// rename returns a change of the title, with one event id for all its calls.
func rename(title string) func(*task.Task) (*task.Event, error) {
	id := uuid.Must(uuid.NewV7()).String()
	return func(t *task.Task) (*task.Event, error) {
		if t.Title == title {
			return nil, nil
		}
		t.Title, t.Version = title, t.Version+1
		return &task.Event{ID: id, Type: task.Updated, Task: *t, At: t.CreatedAt}, nil
	}
}

func remove() func(*task.Task) (*task.Event, error) {
	id := uuid.Must(uuid.NewV7()).String()
	return func(t *task.Task) (*task.Event, error) {
		t.Version++
		return &task.Event{ID: id, Type: task.Deleted, Task: *t, At: t.CreatedAt}, nil
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the test that called it fails with the stack
	}
	return v
}
