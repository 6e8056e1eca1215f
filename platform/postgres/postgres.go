// Package postgres opens PostgreSQL with bounds on everything, migrates it, and
// says which of its failures will pass.
package postgres

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

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

// Validate refuses a DSN that cannot be read, or that may lead to a server that takes no
// writes, without repeating it.
func (c Config) Validate() error {
	var errs []error
	if dsn, err := pq.NewConfig(c.DSN.Reveal()); err != nil {
		errs = append(errs, config.Invalid("dsn", "%s", errDSN))
	} else if err := checkTarget(dsn); err != nil {
		errs = append(errs, config.Invalid("dsn", "%s", err))
	}
	if c.MaxConns < 1 {
		errs = append(errs, config.Invalid("max_conns", "must be at least 1"))
	}
	if c.ConnectTimeout <= 0 {
		errs = append(errs, config.Invalid("connect_timeout", "must be positive"))
	}
	return errors.Join(errs...)
}

// errDSN replaces lib/pq's errors, which quote parts of the DSN.
var errDSN = errors.New("must be a PostgreSQL URL (with special characters of the password as %XX) or a list of key=value with known values")

// checkTarget refuses sessions in which the service could not write.
func checkTarget(dsn pq.Config) error {
	for _, host := range append([]string{dsn.Host}, names(dsn.Multi)...) {
		if strings.Contains(host, ":") && net.ParseIP(host) == nil { // lib/pq takes the port for a part of the name
			return errors.New("names ports among several hosts: write them apart, as in postgres://user@db1,db2/name?port=5432,5433")
		}
	}
	switch dsn.TargetSessionAttrs {
	case pq.TargetSessionAttrsReadWrite, pq.TargetSessionAttrsPrimary:
		return nil
	case "", pq.TargetSessionAttrsAny:
		if len(dsn.Multi) > 0 {
			return errors.New("names several hosts, of which one may be a standby: add target_session_attrs=read-write")
		}
		return nil
	default:
		return fmt.Errorf("must not ask for target_session_attrs=%s: the service writes; use read-write", dsn.TargetSessionAttrs)
	}
}

func names(hosts []pq.ConfigMultihost) (names []string) {
	for _, h := range hosts {
		names = append(names, h.Host)
	}
	return names
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
	dsn, err := pq.NewConfig(cfg.DSN.Reveal())
	if err != nil {
		return nil, errDSN
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
