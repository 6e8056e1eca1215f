package postgres_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv/netproxy"
)

func TestSessionsHaveTheirRuntimeParameters(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	asURL := *dsn
	query := asURL.Query()
	query.Set("tcp_keepalives_idle", "60")
	query.Set("application_name", "mine")
	asURL.RawQuery = query.Encode()
	asList := fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable", dsn.Hostname(), dsn.Port(), dsn.User.Username(), strings.TrimPrefix(dsn.Path, "/"))
	if password, ok := dsn.User.Password(); ok {
		asList += " password=" + password
	}
	tests := map[string]struct{ dsn, idle, name string }{
		"a list":               {asList, "6", "postgres.test"},
		"a URL that overrides": {asURL.String(), "1min", "mine"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, test.dsn)
			want := map[string]string{
				"tcp_keepalives_idle": strings.ReplaceAll(test.idle, "1min", "60"), "tcp_keepalives_interval": "3", "tcp_keepalives_count": "3",
				"tcp_user_timeout": "15000", "idle_in_transaction_session_timeout": "15s", "application_name": test.name,
			}
			got := map[string]string{}
			for param := range want {
				var value string
				if err := db.GetContext(t.Context(), &value, "SHOW "+param); err != nil {
					t.Fatal(err)
				}
				got[param] = value
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpenDoesNotDialAndHidesTheDSN(t *testing.T) {
	t.Parallel()
	open(t, "postgres://u:hunter2@127.0.0.1:1/db?sslmode=disable")
	for _, dsn := range []string{"postgres://u:hunt#er2@h/db", "postgres://u:pw@h:hunter2/db", "host=h password=x hunter2", "host=h sslmode=hunter2", "port=hunter2"} {
		cfg := postgres.Defaults()
		cfg.DSN = config.Secret(dsn)
		_, err := postgres.Open(cfg, nil)
		if err == nil || strings.Contains(err.Error(), "unt") {
			t.Errorf("%s: got %v", dsn, err)
		}
		if err := cfg.Validate(); err == nil || strings.Contains(err.Error(), "unt") {
			t.Errorf("%s: got %v", dsn, err)
		}
	}
}

func TestValidateRejectsInvalidSettings(t *testing.T) {
	t.Parallel()
	cfg := struct {
		Postgres postgres.Config `config:"postgres"`
	}{postgres.Defaults()}
	if err := config.Load(&cfg, "", nil); err != nil {
		t.Error(err)
	}
	err := config.Load(&cfg, "", []string{"POSTGRES_DSN=sslmode=x", "POSTGRES_MAX_CONNS=0", "POSTGRES_CONNECT_TIMEOUT=0s"})
	for _, want := range []string{"postgres.dsn: [secret] from environment POSTGRES_DSN", "postgres.max_conns: ", "postgres.connect_timeout: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s in %v", want, err)
		}
	}
}

// waitingCalls are the calls in which a client waits for the server.
var waitingCalls = map[string]func(ctx context.Context, db *sqlx.DB, stmt *sqlx.Stmt, tx *sqlx.Tx) error{
	"a query": func(ctx context.Context, db *sqlx.DB, _ *sqlx.Stmt, _ *sqlx.Tx) error {
		var one int
		return db.GetContext(ctx, &one, "SELECT 1")
	},
	"a query with an argument": func(ctx context.Context, db *sqlx.DB, _ *sqlx.Stmt, _ *sqlx.Tx) error {
		_, err := db.ExecContext(ctx, "SELECT $1::int", 1)
		return err
	},
	"a prepared statement": func(ctx context.Context, _ *sqlx.DB, stmt *sqlx.Stmt, _ *sqlx.Tx) error {
		var seconds string
		return stmt.GetContext(ctx, &seconds, 0)
	},
	"BEGIN": func(ctx context.Context, db *sqlx.DB, _ *sqlx.Stmt, _ *sqlx.Tx) error {
		return postgres.InTx(ctx, db, func(*sqlx.Tx) error { return nil })
	},
	"a statement in a transaction": func(ctx context.Context, _ *sqlx.DB, _ *sqlx.Stmt, tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, "SELECT 1")
		return err
	},
	"a new connection": func(ctx context.Context, db *sqlx.DB, _ *sqlx.Stmt, _ *sqlx.Tx) error {
		db.SetMaxIdleConns(0) // closes the idle ones
		return db.PingContext(ctx)
	},
}

func TestCallsReturnAtTheirDeadlineWhenTheServerIsFrozen(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	for name, wait := range waitingCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, through := behindProxy(t, dsn)
			db := open(t, through)
			stmt, err := db.PreparexContext(t.Context(), "SELECT pg_sleep($1)::text")
			if err != nil {
				t.Fatal(err)
			}
			defer stmt.Close()
			tx, err := db.BeginTxx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.PingContext(t.Context()); err != nil { // a second connection, idle
				t.Fatal(err)
			}
			proxy.SetMode(netproxy.Stall)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			err = wait(ctx, db, stmt, tx)
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
			if f := apperr.Of(postgres.Classify(err)); err == nil || f.Kind != apperr.Unavailable {
				t.Errorf("got %v", err)
			}
			proxy.SetMode(netproxy.Forward)
			_ = tx.Rollback()
			if err := db.PingContext(t.Context()); err != nil {
				t.Errorf("after Stall: %v", err)
			}
		})
	}
}

// If the deadline passes just before a message is sent, lib/pq's error does not wrap it.
func TestDeadlineDuringTheHandshakeIsUnavailable(t *testing.T) {
	t.Parallel()
	db := open(t, database(t).String())
	db.SetMaxIdleConns(0)
	for timeout := time.Duration(0); timeout < 4*time.Millisecond; timeout += 8 * time.Microsecond {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		err := db.PingContext(ctx)
		cancel()
		if err != nil && apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable {
			t.Fatalf("within %v: %v (%[2]T)", timeout, err)
		}
	}
}

func TestConnectionIsUsableAfterACanceledStatement(t *testing.T) {
	t.Parallel()
	db := open(t, database(t).String())
	db.SetMaxOpenConns(1)
	stmt, err := db.PreparexContext(t.Context(), "SELECT pg_sleep($1)::text")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	pid := func() (pid int) {
		if err := db.GetContext(t.Context(), &pid, "SELECT pg_backend_pid()"); err != nil {
			t.Error(err)
		}
		return pid
	}
	before := pid()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var ignored string
	if err := stmt.GetContext(ctx, &ignored, 60); err == nil || apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable {
		t.Errorf("got %v", err)
	}
	if err := stmt.GetContext(t.Context(), &ignored, 0.7); err != nil { // longer than cancelTimeout
		t.Errorf("the next statement: %v", err)
	}
	if after := pid(); after != before {
		t.Errorf("the connection was lost: %d, then %d", before, after)
	}
}

func TestLostConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	db, other := open(t, dsn.String()), open(t, dsn.String())
	err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
		var pid int
		if err := tx.Get(&pid, "SELECT pg_backend_pid()"); err != nil {
			return err
		}
		other.MustExec("SELECT pg_terminate_backend($1)", pid)
		_, err := tx.Exec("SELECT 1")
		return err
	})
	if err == nil || apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable {
		t.Errorf("got %v", err)
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
	unreachable := open(t, "postgres://u@127.0.0.1:1/db?sslmode=disable")
	if err := unreachable.PingContext(t.Context()); apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable {
		t.Errorf("got %v", err)
	}
}

// countingArgument is an argument that counts how often its statement is sent.
type countingArgument struct{ n int }

func (s *countingArgument) Value() (driver.Value, error) {
	s.n++
	return int64(s.n), nil
}

// A statement that is sent on a dead connection has an unknown outcome.
func TestConnectionThatWasClosedInThePoolIsNotUsed(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	lone, other := open(t, dsn.String()), open(t, dsn.String())
	stmt, err := lone.PreparexContext(t.Context(), "SELECT $1::bigint")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for _, conns := range []int{1, 5} {
		var pool []*sqlx.Conn
		for range conns {
			conn, err := lone.Connx(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			pool = append(pool, conn)
		}
		for _, conn := range pool {
			conn.Close()
		}
		endSessions(t, other)
		sent := &countingArgument{}
		var got int
		if err := stmt.GetContext(t.Context(), &got, sent); err != nil || got != 1 {
			t.Errorf("with %d connections it was sent %d times, error %v", conns, got, err)
		}
	}
}

// endSessions ends all other sessions in the database.
func endSessions(t *testing.T, db *sqlx.DB) {
	t.Helper()
	db.MustExec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	for left := 1; left > 0; {
		if err := db.Get(&left, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInTxCommitsOrRollsBack(t *testing.T) {
	t.Parallel()
	db := open(t, database(t).String())
	db.MustExec("CREATE TABLE t (n int)")
	broken := errors.New("broken")
	insert := func(tx *sqlx.Tx) { tx.MustExec("INSERT INTO t VALUES (1)") }
	tests := []struct {
		name string
		fn   func(cancel func(), tx *sqlx.Tx) error
		want error
		rows int
	}{
		{"an error", func(_ func(), tx *sqlx.Tx) error { insert(tx); return broken }, broken, 0},
		{"a canceled context", func(cancel func(), tx *sqlx.Tx) error { insert(tx); cancel(); return nil }, context.Canceled, 0},
		{"a canceled context, after the rollback", func(cancel func(), tx *sqlx.Tx) error {
			insert(tx)
			cancel()
			for !errors.Is(tx.Rollback(), sql.ErrTxDone) { // until database/sql has rolled it back
				runtime.Gosched()
			}
			return nil
		}, context.Canceled, 0},
		{"a rollback by hand", func(_ func(), tx *sqlx.Tx) error { insert(tx); return tx.Rollback() }, nil, 0},
		{"success", func(_ func(), tx *sqlx.Tx) error { insert(tx); return nil }, nil, 1},
	}
	for _, test := range tests {
		ctx, cancel := context.WithCancel(t.Context())
		err := postgres.InTx(ctx, db, func(tx *sqlx.Tx) error { return test.fn(cancel, tx) })
		cancel()
		if test.name != "a rollback by hand" && !errors.Is(err, test.want) || (test.rows == 1) != (err == nil) {
			t.Errorf("%s: got %v", test.name, err)
		}
		expectRows(t, db, test.rows)
	}
	func() {
		defer func() {
			if recover() != "lost" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error { insert(tx); panic("lost") })
	}()
	expectRows(t, db, 1)
	if inUse := db.Stats().InUse; inUse != 0 {
		t.Errorf("%d connections still in use", inUse)
	}
}

func expectRows(t *testing.T, db *sqlx.DB, want int) {
	t.Helper()
	var rows int
	if err := db.Get(&rows, "SELECT count(*) FROM t"); err != nil || rows != want {
		t.Errorf("%d rows, want %d: %v", rows, want, err)
	}
}
