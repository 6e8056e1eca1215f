// Package postgres is a PostgreSQL client: a connection pool whose statements are bounded by their contexts
// even when the server is frozen, error classification by SQLSTATE, transactions, and migrations.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"example.com/todo/platform/config"
	"example.com/todo/platform/metrics"
	"example.com/todo/platform/tlsconfig"
)

// Config is the address of the database and the size of the pool. DSN is a URL or a list of key=value, and
// should set sslmode. Keys unknown to lib/pq are sent to the server as run-time parameters.
type Config struct {
	DSN            config.Secret `config:"dsn"`
	MaxConns       int           `config:"max_conns"`
	ConnectTimeout time.Duration `config:"connect_timeout"` // for each host; connect_timeout in the DSN has precedence

	// Allow is called before each new connection is opened; its error is the result instead. It may be nil.
	Allow func() error

	Sources config.Sources // for errors
}

// Defaults returns a small pool on the local server.
func Defaults() Config {
	return Config{
		DSN:            "postgres://postgres@localhost:5432/postgres?sslmode=disable",
		MaxConns:       16,
		ConnectTimeout: 2 * time.Second,
		Sources:        config.Sources{Section: "postgres"},
	}
}

const (
	maxMaxConns       = 10_000 // the server has a process for each
	minConnectTimeout = 10 * time.Millisecond
	maxConnectTimeout = 5 * time.Minute
)

// Validate rejects a DSN that is invalid, that lib/pq would misread, or that may lead to a read-only server.
// It also rejects environment variables PG… that would change the DSN's meaning. Errors do not quote the DSN.
func (c Config) Validate() error {
	dsn, err := parseDSN(c.DSN.Reveal())
	if err == nil {
		err = checkTargetSession(dsn)
	}
	return errors.Join(
		err,
		config.CheckRange("max_conns", c.MaxConns, 1, maxMaxConns),
		config.CheckRange("connect_timeout", c.ConnectTimeout, minConnectTimeout, maxConnectTimeout),
	)
}

// TLSEndpoint describes the connections for a tlsconfig.Monitor. lib/pq reads the certificate files itself, for each
// connection. c must be valid.
func (c Config) TLSEndpoint() tlsconfig.Endpoint {
	dsn, _ := parseDSN(c.DSN.Reveal())
	switch dsn.SSLMode {
	case pq.SSLModeDisable, pq.SSLModeAllow, pq.SSLModePrefer: // the last two connect in plain text to a server that prefers it
	default:
		return tlsconfig.Endpoint{}
	}
	var addrs []string
	for _, h := range hosts(dsn) {
		addrs = append(addrs, hostOf(h))
	}
	return tlsconfig.PlaintextEndpoint(c.Sources.Section, "sslmode in "+c.Sources.Name(dsnKey), addrs...)
}

// runtimeParams make the server close the session of a frozen or disconnected client within 15 s, and
// release its locks. The DSN has precedence.
var runtimeParams = map[string]string{
	"tcp_keepalives_idle":                 "6",
	"tcp_keepalives_interval":             "3",
	"tcp_keepalives_count":                "3",
	"tcp_user_timeout":                    "15000", // milliseconds
	"idle_in_transaction_session_timeout": "15000", // milliseconds
}

// Open returns a pool of at most MaxConns connections, without dialing. Its error is about the DSN. A statement
// whose context ends returns within half a second, even when the server is frozen. Unless reg is
// nil, it gets the durations of the statements (postgres_statement_seconds) and the connections (go_sql_*).
func Open(cfg Config, reg prometheus.Registerer) (*sqlx.DB, error) {
	dsn, err := parseDSN(cfg.DSN.Reveal())
	if err != nil {
		return nil, err
	}
	for name, value := range runtimeParams {
		if _, given := dsn.Runtime[name]; !given {
			dsn.Runtime[name] = value
		}
	}
	if dsn.ConnectTimeout <= 0 {
		dsn.ConnectTimeout = cfg.ConnectTimeout
	}
	if dsn.ApplicationName == "" {
		dsn.ApplicationName = filepath.Base(os.Args[0])
	}
	db := sql.OpenDB(connector{dsn, cfg.Allow, cfg.Sources.Name(dsnKey), metrics.NewDurations(reg, "postgres_statement_seconds",
		"Duration of statements until their first row or their end.", nil)})
	db.SetMaxOpenConns(cfg.MaxConns)
	db.SetMaxIdleConns(cfg.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	if reg != nil {
		reg.MustRegister(collectors.NewDBStatsCollector(db, "postgres")) // go_sql_*
	}
	return sqlx.NewDb(db, "postgres"), nil
}

// InTx runs fn in a transaction and commits it. If fn returns an error or panics, or if ctx ends, it rolls
// back. After an error of the commit itself, the outcome is unknown. The isolation level is READ COMMITTED,
// whatever default_transaction_isolation says.
func InTx(ctx context.Context, db *sqlx.DB, fn func(tx *sqlx.Tx) error) error {
	tx, err := db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // no effect after the commit
	if err = fn(tx); err == nil {
		err = tx.Commit()
	}
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		return ctx.Err() // database/sql rolled back because of ctx
	}
	return err
}

// CheckWritable returns an apperr.Unavailable if a session of db is read-only, or if there is none. It closes
// that session, so that the next call uses a new one, perhaps of another primary.
func CheckWritable(ctx context.Context, db *sqlx.DB) error {
	conn, err := db.Connx(ctx)
	if err != nil {
		return Classify(err)
	}
	defer conn.Close()
	var readOnly bool
	if err := conn.GetContext(ctx, &readOnly, "SELECT current_setting('transaction_read_only')::bool"); err != nil {
		return Classify(err)
	}
	if !readOnly {
		return nil
	}
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // closes the session
	return Classify(errReadOnly)
}
