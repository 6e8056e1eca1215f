// Package pgstore keeps tasks and their events in PostgreSQL. One statement
// writes a change and the event that announces it; readers of the log follow
// seq, which is given to events after they are committed.
package pgstore

import (
	"context"
	"embed"
	"io/fs"
	"sync"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/postgres"
)

//go:embed migrations/*.sql
var files embed.FS

// Migrations makes the schema this package needs: *.sql files for
// postgres.Migrate and postgres.CheckSchema.
var Migrations = migrations()

func migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // only a malformed name makes it fail
	}
	return sub
}

// Store is a task.Store and the log of its events. It is safe for concurrent
// use by any number of processes on one database. Its errors are refusals
// (fault.Error) where waiting or another request may help; everything else is
// a defect.
type Store struct {
	db       *sqlx.DB
	prepared sync.Map // query → *sqlx.Stmt
}

// New returns the store in db, which it does not ask anything yet.
func New(db *sqlx.DB) *Store { return &Store{db: db} }

// statement prepares the query once, on first use: otherwise lib/pq pays two
// round trips for each query with parameters.
func (s *Store) statement(ctx context.Context, query string) (*sqlx.Stmt, error) {
	if prepared, ok := s.prepared.Load(query); ok {
		return prepared.(*sqlx.Stmt), nil
	}
	stmt, err := s.db.PreparexContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, taken := s.prepared.LoadOrStore(query, stmt); taken {
		stmt.Close()
		return first.(*sqlx.Stmt), nil
	}
	return stmt, nil
}

func (s *Store) get(ctx context.Context, into any, query string, args ...any) error {
	stmt, err := s.statement(ctx, query)
	if err != nil {
		return err
	}
	return stmt.GetContext(ctx, into, args...)
}

func (s *Store) selectAll(ctx context.Context, into any, query string, args ...any) error {
	stmt, err := s.statement(ctx, query)
	if err == nil {
		err = stmt.SelectContext(ctx, into, args...)
	}
	return postgres.Fault(err)
}
