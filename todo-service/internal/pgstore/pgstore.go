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
	"example.com/todo/todo-service/internal/coalesce"
	"example.com/todo/todo-service/internal/task"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations creates the schema that this package needs: *.sql files for
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
	// maxInFlight is how many batches of one kind run at the same time: two, so that one
	// on a dead connection does not hold up every call.
	maxInFlight = 2
	// batchTimeout bounds the statement of a batch, whatever deadlines its calls have.
	batchTimeout = 5 * time.Second
)

// Store is a task.Store and the event log. It is safe for concurrent use by any
// number of processes on one database. Its errors are an apperr.Error where another
// request or waiting may help; every other error is a defect.
type Store struct {
	db            *sqlx.DB
	prepared      sync.Map // query → *sqlx.Stmt
	replays       atomic.Int64
	getBatcher    coalesce.Batcher[ownedID, *task.Task]
	createBatcher coalesce.Batcher[*pendingCreate, int64]
	sequencer     coalesce.Batcher[int, struct{}]
}

// New returns the store in db. It sends no statement.
func New(db *sqlx.DB) *Store {
	s := &Store{db: db}
	s.getBatcher.Run, s.getBatcher.MaxInFlight = s.getBatch, maxInFlight
	s.createBatcher.Run, s.createBatcher.MaxInFlight, s.createBatcher.WaitForRunning = s.createBatch, maxInFlight, true
	s.sequencer.Run, s.sequencer.MaxInFlight = s.assignSequence, 1 // two would wait for the same row
	return s
}

// contentionBackoff is the delay before a statement that conflicted with another
// transaction is repeated.
var contentionBackoff = retry.Backoff{Min: 2 * time.Millisecond, Max: 100 * time.Millisecond}

// withPrepared passes the prepared query to do, and repeats do while the server rolls
// it back because of another transaction and ctx lasts.
func (s *Store) withPrepared(ctx context.Context, query string, do func(*sqlx.Stmt) error) error {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	delays := contentionBackoff.Delays()
	for {
		// Each statement is a transaction of its own, so a repetition writes nothing twice.
		err := do(stmt)
		if !postgres.IsContended(err) || !retry.Wait(ctx, delays.NextBackOff()) {
			return err
		}
	}
}

// prepare returns the prepared query. Each query is prepared on first use and kept as
// long as the pool: without that, lib/pq needs two round trips for a query with
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
		_ = stmt.Close() //nolint:sqlclosecheck // a duplicate; the one that is kept is closed with the pool
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

// selectConverted returns the converted rows of the query.
func selectConverted[Row, T any](ctx context.Context, s *Store, convert func(Row) T, query string, args ...any) ([]T, error) {
	var rows []Row
	err := s.selectAll(ctx, &rows, query, args...)
	return convertAll(rows, convert), postgres.Classify(err)
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
