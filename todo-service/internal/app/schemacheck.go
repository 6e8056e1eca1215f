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
	"example.com/todo/todo-service/internal/pgstore"
)

const (
	schemaTimeout  = 5 * time.Second
	schemaInterval = time.Second // between two tries
	// probeConnLifetime bounds for how long a probe goes by a session that is older than a setting
	// which new sessions begin with.
	probeConnLifetime = 10 * time.Second
)

// schemaCheck finds out whether the database is one this version works with, and whether it
// takes writes. The database may be away meanwhile, for however long.
type schemaCheck struct {
	db     *sqlx.DB
	log    *slog.Logger
	passed atomic.Bool   // that it is the right one
	lock   chan struct{} // has an element while a check holds the pool's connections
}

func newSchemaCheck(db *sqlx.DB, log *slog.Logger) *schemaCheck {
	return &schemaCheck{db: db, log: log, lock: make(chan struct{}, 1)}
}

// openSchemaCheck returns the schema over connections of its own: a probe must not
// wait behind requests, and so take a replica away when it has most to do. It is
// an error when the database is there and not the right one.
func openSchemaCheck(ctx context.Context, cfg postgres.Config, log *slog.Logger) (*schemaCheck, error) {
	cfg.MaxConns = 2 // which CheckSessions needs
	db, err := postgres.Open(cfg)
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

// Ready is the readiness check: the database takes writes, and has the schema.
func (s *schemaCheck) Ready(ctx context.Context) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	return postgres.CheckWritable(ctx, s.db)
}

// check asks for what does not change while the service runs, until it is known.
func (s *schemaCheck) check(ctx context.Context) error {
	if s.passed.Load() {
		return nil
	}
	// Two checks that hold one of the two connections each would wait for each other.
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

// Run asks until the answer is known, then waits for ctx to end. Its error says
// what is wrong with the database, and that waiting will not help.
func (s *schemaCheck) Run(ctx context.Context) error {
	pause := time.NewTicker(schemaInterval)
	defer pause.Stop()
	for waited := false; !s.passed.Load(); waited = true {
		err := s.checkWithTimeout(ctx)
		if err != nil && !unavailable(err) {
			return err
		}
		if err != nil && !waited {
			s.log.WarnContext(ctx, "PostgreSQL is away: its schema is not checked, and the service is not ready until it is back", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
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
