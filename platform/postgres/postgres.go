// Package postgres stub.
package postgres

import (
	"context"
	"io/fs"
	"log/slog"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"

	"example.com/todo/platform/config"
)

type Config struct {
	DSN      config.Secret `config:"dsn"`
	MaxConns int           `config:"max_conns"`
}

func Defaults() Config                  { panic("soon") }
func Open(cfg Config) (*sqlx.DB, error) { panic("soon") }
func Migrate(ctx context.Context, db *sqlx.DB, migrations fs.FS, log *slog.Logger) error {
	panic("soon")
}
func CheckSchema(ctx context.Context, db *sqlx.DB, migrations fs.FS) error    { panic("soon") }
func InTx(ctx context.Context, db *sqlx.DB, fn func(tx *sqlx.Tx) error) error { panic("soon") }
func Fault(err error) error                                                   { panic("soon") }
