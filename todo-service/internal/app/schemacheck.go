package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/pgstore"
)

const (
	schemaTimeout     = 5 * time.Second  // of one check
	probeConnLifetime = 10 * time.Second // within which a probe sees settings that only new sessions get, such as default_transaction_read_only
)

// schemaBackoff is the wait between two attempts while PostgreSQL is unavailable.
var schemaBackoff = retry.Backoff{Min: time.Second, Max: time.Second}

// schemaCheck is the readiness check of the database: it has the schema of this version,
// keeps prepared statements, and takes writes. Its methods may be called concurrently.
type schemaCheck struct {
	db     *sqlx.DB
	log    *slog.Logger
	passed atomic.Bool   // sessions and schema are right; neither changes while the service runs
	lock   chan struct{} // a mutex with a context: holds an element during a check
}

func newSchemaCheck(db *sqlx.DB, log *slog.Logger) *schemaCheck {
	return &schemaCheck{db: db, log: log, lock: make(chan struct{}, 1)}
}

// openSchemaCheck returns a check with a pool of its own. It returns an error if the
// database is available and has another schema.
func openSchemaCheck(ctx context.Context, cfg postgres.Config, log *slog.Logger) (*schemaCheck, error) {
	// In the pool of the requests a probe would wait for them, and make a busy replica
	// unready.
	cfg.MaxConns = 2 // which CheckSessions needs
	db, err := postgres.Open(cfg, nil)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(probeConnLifetime)
	s := newSchemaCheck(db, log)
	if err := s.checkWithTimeout(ctx); err != nil && !unavailable(err) {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// Ready returns nil if the database has the schema and takes writes.
func (s *schemaCheck) Ready(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	return postgres.CheckWritable(ctx, s.db)
}

// check checks sessions and schema, unless they have passed before.
func (s *schemaCheck) check(ctx context.Context) error {
	if s.passed.Load() {
		return nil
	}
	// A check uses two connections. Two concurrent checks with one each would deadlock.
	select {
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.passed.Load() {
		return nil
	}
	if err := postgres.CheckSessions(ctx, s.db); err != nil {
		return err
	}
	err := postgres.CheckSchema(ctx, s.db, pgstore.Migrations)
	if err == nil {
		s.passed.Store(true)
	}
	return err
}

// Run retries the check until it has passed, and then waits for ctx to end. It returns an
// error if the database is available and a retry can not help.
func (s *schemaCheck) Run(ctx context.Context) error {
	outage := retry.NewOutage(s.log, "schema check: PostgreSQL is unavailable, retrying; the service is not ready until the check passes", "schema check: passed")
	err := retry.Do(ctx, schemaBackoff, outage, func(ctx context.Context) error {
		err := s.checkWithTimeout(ctx)
		if err != nil && !unavailable(err) {
			return retry.Permanent(err)
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (s *schemaCheck) checkWithTimeout(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	return s.check(ctx)
}

func unavailable(err error) bool { return apperr.Of(err).Kind == apperr.Unavailable }
