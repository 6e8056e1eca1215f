package rights

import (
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"

	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/scripts/internal/server"
)

// openPostgres returns the connections of the role of migrations and of the service's to a migrated database, and the
// server.
func openPostgres(t *testing.T) (migrate, service *sql.DB, p server.Postgres) {
	t.Helper()
	e := newEnvironment(t, "postgres/roles.sql", "todo_migrate", "todo_service")
	p, err := e.tools.Postgres(t.Context(), e.dir, e.ports[0])
	if err != nil {
		t.Fatal(err)
	}
	p.NoFsync, p.Security = true, e.security
	e.start(t, p.Part())
	if err := p.EnsureDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	var opened []*sql.DB
	for _, user := range e.security.Users {
		cfg := postgres.Defaults()
		cfg.DSN = config.Secret(p.DSNOf(user))
		cfg.ConnectTimeout = time.Minute // a loaded machine is no fault
		db, err := postgres.Open(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if user.Name == "todo_migrate" {
			migrations := os.DirFS(filepath.Join(root, "todo-service/internal/pgstore/migrations"))
			if err := postgres.Migrate(t.Context(), db, migrations, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
		}
		opened = append(opened, db.DB)
	}
	return opened[0], opened[1], p
}

func TestServiceHasTheRightsOfItsStatementsAndNoDDL(t *testing.T) {
	t.Parallel()
	migrate, service, p := openPostgres(t)
	if _, err := migrate.ExecContext(t.Context(), `CREATE TABLE coming (a integer)`); err != nil {
		t.Fatal(err)
	}
	// A new version of the service runs before the rights are listed again.
	if _, err := service.ExecContext(t.Context(), `INSERT INTO coming VALUES (1)`); err != nil {
		t.Errorf("a table of a new migration: %v", err)
	}
	if _, err := migrate.ExecContext(t.Context(), `DROP TABLE coming`); err != nil {
		t.Fatal(err)
	}
	if err := p.EnsureRights(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"tasks": "DELETE INSERT SELECT UPDATE", "events": "DELETE INSERT SELECT UPDATE", "idempotency_keys": "DELETE INSERT SELECT UPDATE",
		"stream": "SELECT UPDATE", "users": "INSERT SELECT UPDATE", "goose_db_version": "SELECT",
	}
	if diff := cmp.Diff(want, rightsOnTables(t, service)); diff != "" {
		t.Errorf("rights on the tables (-want +got):\n%s", diff)
	}
	for _, statement := range []string{
		`CREATE TABLE x (a integer)`, `CREATE TABLE pg_temp.x (a integer)`, `CREATE TEMP TABLE x (a integer)`, `CREATE SCHEMA x`,
		`CREATE FUNCTION x() RETURNS integer LANGUAGE sql AS 'SELECT 1'`, `CREATE INDEX ON tasks (title)`, `CREATE VIEW x AS SELECT 1`,
		`CREATE EXTENSION pg_trgm`, `CREATE ROLE x`, `CREATE DATABASE x`, `CREATE SEQUENCE x`, `CREATE TYPE x AS (a integer)`,
		`ALTER TABLE tasks ADD x integer`, `ALTER TABLE tasks OWNER TO todo_service`, `ALTER ROLE todo_service SUPERUSER`, `SET ROLE todo_migrate`,
		`DROP TABLE tasks`, `TRUNCATE tasks`, `ALTER SEQUENCE tasks_id_seq RESTART`, `SELECT setval('tasks_id_seq', 1)`,
		`DELETE FROM users`, `INSERT INTO stream DEFAULT VALUES`, `DELETE FROM goose_db_version`, `UPDATE goose_db_version SET is_applied = false`,
		`SELECT rolpassword FROM pg_authid`, `SELECT pg_read_file('/etc/passwd')`, `COPY tasks TO '/tmp/x'`, `COPY tasks TO PROGRAM 'id'`,
		`SELECT lo_create(0)`, `SELECT pg_reload_conf()`, `ALTER SYSTEM SET fsync = off`, `CREATE PUBLICATION x`, `SELECT pg_create_logical_replication_slot('x', 'pgoutput')`,
	} {
		_, err := service.ExecContext(t.Context(), statement)
		var refused *pq.Error
		if !errors.As(err, &refused) || !strings.HasPrefix(string(refused.Code), "42501") {
			t.Errorf("%s: got %v, want that it is refused", statement, err)
		}
	}
}

// rightsOnTables returns the rights of the connection's user on tables, in the order of the alphabet.
func rightsOnTables(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)
		FROM information_schema.role_table_grants WHERE grantee = current_user GROUP BY table_name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rights := map[string]string{}
	for rows.Next() {
		var table, privileges string
		if err := rows.Scan(&table, &privileges); err != nil {
			t.Fatal(err)
		}
		rights[table] = privileges
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return rights
}

func TestServiceUsesOneDatabaseAlone(t *testing.T) {
	t.Parallel()
	_, _, p := openPostgres(t)
	for _, user := range p.Security.Users {
		for _, database := range []string{"postgres", "template1"} {
			db, err := sql.Open("postgres", strings.Replace(p.DSNOf(user), "/todo?", "/"+database+"?", 1))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "permission denied for database") {
				t.Errorf("%s connects to %s: %v", user.Name, database, err)
			}
		}
		plain, err := sql.Open("postgres", strings.Replace(p.DSNOf(user), "verify-full", "disable", 1))
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		if err := plain.PingContext(t.Context()); err == nil || !strings.Contains(err.Error(), "no encryption") {
			t.Errorf("%s connects without TLS: %v", user.Name, err)
		}
	}
}
