package postgres

import (
	"context"
	"database/sql/driver"

	"github.com/jmoiron/sqlx"
)

// CheckWritable returns a fault.Unavailable when a session of db takes no writes, or
// cannot be had. The next call asks another session: a setting may have been taken back,
// or another server may be the primary by then.
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
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // which closes it
	return Classify(errReadOnly)
}
