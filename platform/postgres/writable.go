package postgres

import (
	"context"
	"database/sql/driver"

	"github.com/jmoiron/sqlx"
)

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
