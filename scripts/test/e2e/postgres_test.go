package e2e

import (
	"database/sql"
	"testing"

	_ "github.com/lib/pq" // the driver
)

// lockTasks makes every query of the table wait until unlock is called: what is
// answered meanwhile did not ask PostgreSQL for tasks.
func lockTasks(t *testing.T) (unlock func()) {
	t.Helper()
	db, err := sql.Open("postgres", system.env["POSTGRES_DSN"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback() }
}
