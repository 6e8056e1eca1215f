package e2e

import (
	"database/sql"
	"testing"

	_ "github.com/lib/pq" // the driver
)

// lockTasks blocks every query of the table until unlock. A response in the meantime came without PostgreSQL.
func lockTasks(t *testing.T) (unlock func()) {
	t.Helper()
	db, err := sql.Open("postgres", postgresDSN())
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
