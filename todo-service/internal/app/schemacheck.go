package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/retry"
	"example.com/todo/todo-service/internal/pgstore"
)

const (
	schemaTimeout     = 5 * time.Second  // of one check
	probeConnLifetime = 10 * time.Second // within which a probe sees settings that only new sessions get, such as default_transaction_read_only
)

// schemaBackoff is the wait between two attempts while the database cannot be used.
var schemaBackoff = retry.Backoff{Min: time.Second, Max: time.Second}

// schemaCheck is the readiness check of the database: it has the schema of this version,
// keeps prepared statements, and takes writes.
type schemaCheck struct {
	db      *sqlx.DB
	setting string // that names the database, with its source
	log     *slog.Logger
	// failure is the error of the latest check of sessions and schema; nil once they have
	// passed, because neither changes while the service runs.
	failure atomic.Pointer[error]
}

// openSchemaCheck returns a check with a pool of its own. It returns an error if the
// database is available and only a change of the settings can help.
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
	setting := cfg.Sources.Name("dsn")
	s := &schemaCheck{db: db, setting: setting, log: log.With("setting", setting)}
	if err := s.check(ctx); err != nil && !unavailable(err) {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// openPool returns a pool that opens no connection before sessions and schema have passed
// their check: on an older schema a statement fails, or stores incomplete data.
func (s *schemaCheck) openPool(cfg postgres.Config, registry *prometheus.Registry) (*sqlx.DB, error) {
	cfg.Allow = s.passed
	return postgres.Open(cfg, registry)
}

// passed returns nil if sessions and schema have passed their check, and otherwise the
// error of the latest check.
func (s *schemaCheck) passed() error {
	if failure := s.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// Ready returns nil if the database has the schema and takes writes.
func (s *schemaCheck) Ready(ctx context.Context) error {
	if err := s.passed(); err != nil {
		return err
	}
	return postgres.CheckWritable(ctx, s.db)
}

// check checks sessions and schema.
func (s *schemaCheck) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, schemaTimeout)
	defer cancel()
	err := postgres.CheckSessions(ctx, s.db)
	if err == nil {
		if err = postgres.CheckSchema(ctx, s.db, pgstore.Migrations, s.log); err != nil {
			err = fmt.Errorf("schema of the database in %s: %w", s.setting, err)
		}
	}
	if err != nil {
		s.failure.Store(&err)
		return err
	}
	s.failure.Store(nil)
	return nil
}

// Run retries the check until it has passed, and then waits for ctx to end. It returns an
// error if only a change of the settings can help.
func (s *schemaCheck) Run(ctx context.Context) error {
	outage := retry.NewOutage(s.log, "schema check: the database cannot be used yet, retrying; the service is not ready until the check passes", "schema check: passed")
	err := retry.Do(ctx, schemaBackoff, outage, func(ctx context.Context) error {
		if s.failure.Load() == nil {
			return nil
		}
		err := s.check(ctx)
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

func unavailable(err error) bool { return apperr.Of(err).Kind == apperr.Unavailable }
