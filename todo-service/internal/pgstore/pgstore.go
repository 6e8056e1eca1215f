// Package pgstore keeps tasks and their events in PostgreSQL. One statement
// writes a change and the event that announces it; readers of the log follow
// seq, which is given to events after they are committed.
package pgstore

import (
	"context"
	"embed"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/postgres"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/task"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations makes the schema this package needs: *.sql files for
// postgres.Migrate and postgres.CheckSchema.
var Migrations = migrations()

func migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // only a malformed name makes it fail
	}
	return sub
}

const (
	// maxInFlight is how many statements that requests share are under way at the same
	// time: more than one, so that one on a dead connection does not hold up everybody.
	maxInFlight = 2
	// batchTimeout bounds a statement that may be shared, whatever its callers have left.
	batchTimeout = 5 * time.Second
)

// Store is a task.Store and the log of its events. It is safe for concurrent
// use by any number of processes on one database. Its errors are refusals
// (fault.Error) where waiting or another request may help; everything else is
// a defect.
type Store struct {
	db        *sqlx.DB
	prepared  sync.Map // query → *sqlx.Stmt
	replays   atomic.Int64
	lookups   sharing[int64, map[int64]task.Task]
	creations sharing[*pendingCreate, struct{}]
	numbering sharing[int, struct{}]
}

// New returns the store in db, which it does not ask anything yet.
func New(db *sqlx.DB) *Store {
	s := &Store{db: db}
	s.lookups.run, s.lookups.abreast = s.lookup, maxInFlight
	s.creations.run, s.creations.abreast, s.creations.toTheEnd = s.create, maxInFlight, true
	s.numbering.run, s.numbering.abreast = s.assignSequence, 1 // two would wait for the same row
	return s
}

// withPrepared gives do the prepared query, and calls it again as long as the server rolls it
// back because of another transaction and ctx lasts: the statement is a transaction of
// its own, and writes nothing a second time (see write).
func (s *Store) withPrepared(ctx context.Context, query string, do func(*sqlx.Stmt) error) error {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	delays := contentionBackoff.Delays()
	for {
		err := do(stmt)
		if !postgres.IsContended(err) || !retry.Wait(ctx, delays.NextBackOff()) {
			return err
		}
	}
}

// contentionBackoff is the pause before a statement that another transaction was in
// the way of is tried again.
var contentionBackoff = retry.Backoff{Min: 2 * time.Millisecond, Max: 100 * time.Millisecond}

// prepare returns the prepared query. Each is prepared once, on first use, and kept
// as long as the pool: otherwise lib/pq pays two round trips for a query with
// parameters.
func (s *Store) prepare(ctx context.Context, query string) (*sqlx.Stmt, error) {
	if kept, ok := s.prepared.Load(query); ok {
		return kept.(*sqlx.Stmt), nil
	}
	stmt, err := s.db.PreparexContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, taken := s.prepared.LoadOrStore(query, stmt); taken {
		_ = stmt.Close() //nolint:sqlclosecheck // only this one of two equals; the kept one is closed with the pool
		stmt = first.(*sqlx.Stmt)
	}
	return stmt, nil
}

func (s *Store) selectOne(ctx context.Context, into any, query string, args ...any) error {
	return s.withPrepared(ctx, query, func(stmt *sqlx.Stmt) error { return stmt.GetContext(ctx, into, args...) })
}

func (s *Store) selectAll(ctx context.Context, into any, query string, args ...any) error {
	return s.withPrepared(ctx, query, func(stmt *sqlx.Stmt) error { return stmt.SelectContext(ctx, into, args...) })
}

// exec returns how many rows the query changed.
func (s *Store) exec(ctx context.Context, query string, args ...any) (changed int64, err error) {
	err = s.withPrepared(ctx, query, func(stmt *sqlx.Stmt) error {
		result, err := stmt.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		changed, err = result.RowsAffected()
		return err
	})
	return changed, err
}
