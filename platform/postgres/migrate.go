package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"example.com/todo/platform/apperr"
)

// Migrate applies the pending migrations, which are goose files (00001_name.sql) at the root of migrations.
// One process migrates at a time; others wait for up to five minutes. It needs two connections of db.
func Migrate(ctx context.Context, db *sqlx.DB, migrations fs.FS, log *slog.Logger) error {
	shared, err := hasSharedSessions(ctx, db)
	if err != nil {
		return err
	}
	if shared {
		return errSessionLock
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	provider, err := newProvider(db, migrations, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		return classifyStartup(fmt.Errorf("migration %s: %w", partial.Failed.Source.Path, partial.Err))
	}
	if err != nil {
		return classifyStartup(fmt.Errorf("migrate: %w", err))
	}
	for _, r := range results {
		log.InfoContext(ctx, "migration applied", "file", r.Source.Path, "duration", r.Duration.String())
	}
	log.InfoContext(ctx, "the schema is up to date", "applied_now", len(results))
	return CheckSchema(ctx, db, migrations, log)
}

// CheckSchema returns an apperr.Unavailable if a migration is pending, because the migrate command may be about to
// run. It only reads. A schema that is newer is no error, because a newer version of the service may be running
// too, or may have been rolled back: CheckSchema logs a warning.
func CheckSchema(ctx context.Context, db *sqlx.DB, migrations fs.FS, log *slog.Logger) error {
	provider, err := newProvider(db, migrations)
	if err != nil {
		return err
	}
	var versions []int64
	err = db.SelectContext(ctx, &versions, "SELECT version_id FROM "+goose.DefaultTablename+" WHERE is_applied")
	var missingTable *pq.Error
	if errors.As(err, &missingTable) && missingTable.Code == "42P01" {
		err = nil
	}
	if err != nil {
		return classifyStartup(fmt.Errorf("read the schema's version: %w", err))
	}
	newest := int64(0) // that this program knows
	for _, source := range provider.ListSources() {
		if !slices.Contains(versions, source.Version) {
			return apperr.New(apperr.Unavailable, "the database has an older schema; try again").
				WithCause(fmt.Errorf("the database lacks the migration %s: run the migrate command", source.Path))
		}
		newest = max(newest, source.Version)
	}
	if len(versions) > 0 && slices.Max(versions) > newest {
		log.WarnContext(ctx, "the database's schema is newer than this program and is used as it is, because migrations only add: "+
			"after a rollback of more than one release, deploy the newer version again",
			"schema_version", slices.Max(versions), "known_version", newest)
	}
	return nil
}

func newProvider(db *sqlx.DB, migrations fs.FS, options ...goose.ProviderOption) (*goose.Provider, error) {
	options = append(options, goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(goose.DialectPostgres, db.DB, migrations, options...)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}
