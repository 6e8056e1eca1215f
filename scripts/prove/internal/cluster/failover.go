package cluster

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"example.com/todo/platform/retry"
	"example.com/todo/scripts/internal/port"
	"example.com/todo/scripts/internal/server"
)

// AddStandby adds a synchronous standby to the database. The server is down for a moment while it
// is copied.
func (c *Cluster) AddStandby(ctx context.Context) error {
	primary := c.Node(Postgres)
	primary.StopAndHold(ctx)
	if err := errors.Join(c.Node(Standby).StartAndWait(ctx), primary.StartAndWait(ctx)); err != nil {
		return err
	}
	return c.postgres.AsSuperuser(func(db *sql.DB) error {
		// The standby then also shows every acknowledged change before it is promoted.
		err := execAll(ctx, db, `ALTER SYSTEM SET synchronous_commit = remote_apply`,
			`ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`)
		if err != nil {
			return err
		}
		return awaitCondition(ctx, db, `SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND flush_lsn >= pg_current_wal_lsn()`)
	})
}

// FailOver fences the primary off, kills it, points the proxy to the standby at once, and
// promotes the standby after the given time. Until the last step new sessions are read-only: the
// fence is a setting of the database, which the standby shares.
//
// FailOver calls loaded while the standby confirms nothing, before the kill; it returns once
// enough commits wait. It calls unpromoted before the promotion.
func (c *Cluster) FailOver(ctx context.Context, after time.Duration, loaded, unpromoted func()) error {
	err := c.postgres.AsSuperuser(func(db *sql.DB) error {
		return execAll(ctx, db, `ALTER DATABASE `+server.AppUser+` SET default_transaction_read_only = on`)
	})
	if err != nil {
		return err
	}
	c.Node(Standby).Freeze()
	loaded()
	c.Node(Postgres).Halt()
	c.Node(Standby).Resume()
	c.Proxy(Postgres).SetTarget(port.Addr(c.standby.Port))
	retry.Wait(ctx, after)
	unpromoted()
	return c.standby.AsSuperuser(func(db *sql.DB) error {
		if err := execAll(ctx, db, `SELECT pg_promote()`); err != nil {
			return err
		}
		// The service must give up these sessions, which are read-only.
		err := awaitCondition(ctx, db, `SELECT count(*) >= 2 FROM pg_stat_activity WHERE application_name = '`+Todo+`-1'`)
		if err != nil {
			return fmt.Errorf("await the sessions of %s-1: %w", Todo, err)
		}
		return execAll(ctx, db, `ALTER DATABASE `+server.AppUser+` RESET default_transaction_read_only`)
	})
}

func execAll(ctx context.Context, db *sql.DB, statements ...string) error {
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

const (
	// conditionTimeout bounds the wait for a state of a server.
	conditionTimeout = 20 * time.Second
	pollInterval     = 50 * time.Millisecond
)

func awaitCondition(ctx context.Context, db *sql.DB, query string) error {
	ctx, cancel := context.WithTimeout(ctx, conditionTimeout)
	defer cancel()
	for {
		var holds bool
		if err := db.QueryRowContext(ctx, query).Scan(&holds); err != nil || holds {
			return err
		}
		retry.Wait(ctx, pollInterval)
	}
}
