// Package postgres opens PostgreSQL with bounds on everything, migrates it, and
// says which of its failures will pass.
package postgres

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/config"
)

// Config says where the database is and how much of it may be used. DSN is a
// URL or a key=value list; write its sslmode. Keys that lib/pq does not know
// are sent to the server as run-time parameters.
type Config struct {
	DSN            config.Secret `config:"dsn"`
	MaxConns       int           `config:"max_conns"`
	ConnectTimeout time.Duration `config:"connect_timeout"` // where the DSN has no connect_timeout
}

// Defaults returns a small pool on the local server.
func Defaults() Config {
	return Config{
		DSN:            "postgres://postgres@localhost:5432/postgres?sslmode=disable",
		MaxConns:       16,
		ConnectTimeout: 2 * time.Second,
	}
}

const (
	maxMaxConns       = 10_000 // a server has a process for each
	minConnectTimeout = 10 * time.Millisecond
	maxConnectTimeout = 5 * time.Minute
)

// Validate refuses a DSN that cannot be read, that would be read otherwise than it is meant
// or that may lead to a server that takes no writes, without repeating it, and the PG…
// variables that change what it means.
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

// runtimeParams make the server drop a client that is frozen, or cut off,
// within 15 s, and with it the locks it holds. What the DSN says wins.
var runtimeParams = map[string]string{
	"tcp_keepalives_idle":                 "6",
	"tcp_keepalives_interval":             "3",
	"tcp_keepalives_count":                "3",
	"tcp_user_timeout":                    "15000", // milliseconds
	"idle_in_transaction_session_timeout": "15000", // milliseconds
}

// Open returns a pool of at most MaxConns connections. It does not dial; the
// error is about the DSN. A statement whose context ends returns within half a
// second, even when the server is frozen.
func Open(cfg Config) (*sqlx.DB, error) {
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
	db := sql.OpenDB(connector{dsn})
	db.SetMaxOpenConns(cfg.MaxConns)
	db.SetMaxIdleConns(cfg.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	db.SetConnMaxLifetime(time.Hour)
	return sqlx.NewDb(db, "postgres"), nil
}
