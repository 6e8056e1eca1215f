package postgres_test

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/config"
	"example.com/todo/platform/postgres"
	"example.com/todo/platform/testenv"
)

// openWithIdleSessions opens a pool with idle sessions, each of which has prepared the query.
func openWithIdleSessions(t *testing.T, dsn *url.URL, sessions int, query string) (*sqlx.DB, *sqlx.Stmt) {
	t.Helper()
	db := open(t, dsn.String())
	stmt, err := db.PreparexContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stmt.Close() })
	var busy []*sql.Tx
	for range sessions {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.StmtContext(t.Context(), stmt.Stmt).Exec(); err != nil { //nolint:sqlclosecheck // closed with the transaction
			t.Fatal(err)
		}
		busy = append(busy, tx)
	}
	for _, tx := range busy {
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	if got := db.Stats().Idle; got != sessions {
		t.Fatalf("%d idle sessions, want %d", got, sessions)
	}
	return db, stmt
}

const sessions = 6

func TestStatementIsRepeatedOnAnotherSessionWhenItsOwnBecameUnusable(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *sqlx.DB, *sqlx.DB){
		"the columns of its result have changed": func(_ *testing.T, other, _ *sqlx.DB) {
			other.MustExec("ALTER TABLE t ALTER COLUMN n TYPE bigint")
		},
		"it is no longer prepared": func(t *testing.T, _, db *sqlx.DB) {
			eachSession(t, db, "DEALLOCATE ALL")
		},
		"the session is read-only": func(t *testing.T, _, db *sqlx.DB) {
			waitUntilNotFresh(t)
			eachSession(t, db, "SET default_transaction_read_only = on")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := database(t)
			other := open(t, dsn.String())
			other.MustExec("CREATE TABLE t (n int)")
			db, stmt := openWithIdleSessions(t, dsn, sessions, "INSERT INTO t VALUES (1) RETURNING *") //nolint:sqlclosecheck // closed by pool
			spoil(t, other, db)
			for range 2 * sessions {
				var n int
				if err := stmt.GetContext(t.Context(), &n); err != nil || n != 1 {
					t.Errorf("got %d, %v", n, err)
				}
			}
		})
	}
}

// waitUntilNotFresh waits until the sessions are older than freshSessionAge.
func waitUntilNotFresh(t *testing.T) {
	t.Helper()
	start := time.Now()
	testenv.Eventually(t, "the sessions are old", func() bool { return time.Since(start) > 1100*time.Millisecond })
}

// eachSession executes a statement in each idle session.
func eachSession(t *testing.T, db *sqlx.DB, query string) {
	t.Helper()
	var taken []*sqlx.Conn
	for range db.Stats().Idle {
		conn, err := db.Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, conn)
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range taken {
		conn.Close()
	}
}

// recordingArgument counts the calls of an Argument.
type recordingArgument struct{ sent, rolledBack int }

func (a *recordingArgument) Value() (driver.Value, error) { a.sent++; return int64(7), nil }
func (a *recordingArgument) RolledBack()                  { a.rolledBack++ }

func TestArgumentLearnsThatItsStatementWasRolledBack(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	db, other := open(t, dsn.String()), open(t, dsn.String())
	db.MustExec("CREATE TABLE t (n int UNIQUE CHECK (n > 5))")
	stmt, err := db.Preparex("INSERT INTO t VALUES ($1)")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	stored := &recordingArgument{}
	if _, err := stmt.Exec(stored); err != nil || *stored != (recordingArgument{1, 0}) {
		t.Errorf("stored: %+v, %v", stored, err)
	}
	refused := &recordingArgument{}
	if _, err := stmt.Exec(refused); err == nil || *refused != (recordingArgument{1, 1}) {
		t.Errorf("refused: %+v, %v", refused, err)
	}
	lost := &recordingArgument{}
	if _, err := db.Exec("SELECT pg_terminate_backend(pg_backend_pid()), $1::int", lost); err == nil || lost.rolledBack != 0 || lost.sent == 0 {
		t.Errorf("lost: %+v, %v", lost, err)
	}
	eachSession(t, db, "DEALLOCATE ALL")
	other.MustExec("TRUNCATE t")
	moved := &recordingArgument{}
	if _, err := stmt.Exec(moved); err != nil || moved.sent-moved.rolledBack != 1 {
		t.Errorf("repeated elsewhere: %+v, %v", moved, err)
	}
}

// A statement of a transaction cannot be repeated on another session.
func TestUnusableSessionIsClosedAfterItsTransaction(t *testing.T) {
	t.Parallel()
	db := open(t, database(t).String())
	db.MustExec("CREATE TABLE t (n int)")
	for _, query := range []string{"SET TRANSACTION READ ONLY; INSERT INTO t VALUES (1)", "EXECUTE nothing"} {
		var before, after int
		tx := db.MustBegin()
		if err := tx.Get(&before, "SELECT pg_backend_pid()"); err != nil {
			t.Fatal(err)
		}
		waitUntilNotFresh(t)
		_, err := tx.Exec(query)
		var answer *pq.Error
		if !errors.As(err, &answer) || errors.Is(err, sql.ErrConnDone) || apperr.Of(postgres.Classify(err)).Kind != apperr.Unavailable {
			t.Errorf("%s: %v", query, err)
		}
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		if err := db.Get(&after, "SELECT pg_backend_pid()"); err != nil || after == before {
			t.Errorf("%s: session %d, then %d, %v", query, before, after, err)
		}
	}
}

func TestCheckWritableFollowsTheServer(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	admin, db := open(t, dsn.String()), open(t, dsn.String())
	name := strings.TrimPrefix(dsn.Path, "/")
	steps := []struct {
		set  string
		want bool
	}{
		{"RESET default_transaction_read_only", true},
		{"SET default_transaction_read_only = on", false},
		{"RESET default_transaction_read_only", true},
	}
	for _, step := range steps {
		admin.MustExec("ALTER DATABASE " + name + " " + step.set)
		endSessions(t, admin)
		for range 2 {
			err := postgres.CheckWritable(t.Context(), db)
			if (err == nil) != step.want || err != nil && apperr.Of(err).Kind != apperr.Unavailable {
				t.Errorf("%s: %v", step.set, err)
			}
		}
		var n int
		if err := db.Get(&n, "SELECT 1"); err != nil {
			t.Errorf("%s: reading: %v", step.set, err)
		}
	}
	// The server does not end a read-only session. CheckWritable must not use it a second time.
	eachSession(t, db, "SET default_transaction_read_only = on")
	if err := postgres.CheckWritable(t.Context(), db); err == nil {
		t.Error("a read-only session is writable")
	}
	if err := postgres.CheckWritable(t.Context(), db); err != nil {
		t.Error(err)
	}
}

// A statement must see what was committed while the transaction waited for a lock.
func TestInTxIsReadCommittedWhateverTheDefaultIs(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"repeatable read", "serializable"} {
		dsn := database(t)
		query := dsn.Query()
		query.Set("default_transaction_isolation", level)
		dsn.RawQuery = query.Encode()
		db := open(t, dsn.String())
		db.MustExec("CREATE TABLE t (n int)")
		err := postgres.InTx(t.Context(), db, func(tx *sqlx.Tx) error {
			var before, after int
			if err := tx.Get(&before, "SELECT count(*) FROM t"); err != nil {
				return err
			}
			db.MustExec("INSERT INTO t VALUES (1)")
			if err := tx.Get(&after, "SELECT count(*) FROM t"); err != nil || after != before+1 {
				t.Errorf("%s: %d rows, then %d, %v", level, before, after, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestFailedConnectionIsUnavailableForRequestsAndPermanentAtTheStart(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	away := *dsn
	away.Host = "127.0.0.1:1"
	readOnly := *dsn
	readOnly.Path = database(t).Path
	open(t, readOnly.String()).MustExec("ALTER DATABASE " + strings.TrimPrefix(readOnly.Path, "/") + " SET default_transaction_read_only = on")
	readOnly.RawQuery += "&target_session_attrs=read-write"
	unknownHost := *dsn
	unknownHost.Host = "host.invalid:5432"
	wrongUser := *dsn
	wrongUser.User = url.UserPassword("nobody_"+strings.TrimPrefix(dsn.Path, "/"), "hunter2")
	wrongPassword := *dsn
	wrongPassword.User = url.UserPassword(dsn.User.Username(), "hunter2")
	noDatabase := *dsn
	noDatabase.Path = "/nowhere"
	withTLS := *dsn // which the server has not
	withTLS.RawQuery = "sslmode=require"
	for name, test := range map[string]struct {
		dsn    url.URL
		passes bool   // a retry may succeed
		want   string // in the error
	}{
		"no server":                      {away, true, "is it running, and does postgres.dsn name it?"},
		"a name that does not resolve":   {unknownHost, true, "is it running, and does postgres.dsn name it?"},
		"read-only server":               {readOnly, true, "postgres.dsn"},
		"no such user":                   {wrongUser, true, "correct user and password in postgres.dsn"},
		"wrong password":                 {wrongPassword, true, "correct user and password in postgres.dsn"},
		"no such database":               {noDatabase, true, "create the database, or correct postgres.dsn"},
		"no TLS":                         {withTLS, false, "SSL is not enabled on the server: correct postgres.dsn"},
		"several hosts, all unreachable": {withHosts(*dsn, away.Host, away.Host), true, "does postgres.dsn name it?"},
		"several hosts, one denies":      {withHosts(wrongUser, dsn.Host, away.Host), true, "postgres.dsn"},
		"several hosts, all deny":        {withHosts(wrongUser, dsn.Host, dsn.Host), true, "postgres.dsn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, test.dsn.String())
			if f := apperr.Of(postgres.Classify(db.PingContext(t.Context()))); f == nil || f.Kind != apperr.Unavailable {
				t.Errorf("a request: %v", f)
			}
			f := apperr.Of(postgres.CheckSchema(t.Context(), db, migrations("00001_one.sql"), slog.New(slog.DiscardHandler)))
			if f == nil || (f.Kind == apperr.Unavailable) != test.passes || !strings.Contains(f.Error(), test.want) || strings.Contains(f.Error(), "hunter2") {
				t.Errorf("the start: %v", f)
			}
		})
	}
	db := open(t, func() string { u := withHosts(*dsn, away.Host, dsn.Host); return u.String() }())
	if err := db.PingContext(t.Context()); err != nil {
		t.Errorf("the second host: %v", err)
	}
}

// withHosts returns dsn with these hosts and target_session_attrs=read-write.
func withHosts(dsn url.URL, hosts ...string) url.URL {
	query := dsn.Query()
	var names, ports []string
	for _, host := range hosts {
		name, port, _ := strings.Cut(host, ":")
		names, ports = append(names, name), append(ports, port)
	}
	query.Set("port", strings.Join(ports, ","))
	query.Set("target_session_attrs", "read-write")
	dsn.Host, dsn.RawQuery = strings.Join(names, ","), query.Encode()
	return dsn
}

func TestValidateRejectsADSNThatMayLeadToAStandby(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u@a/db": "", "postgres://u@a/db?target_session_attrs=any": "", "postgres://u@a/db?target_session_attrs=read-write": "",
		"postgres://u@a,b/db?target_session_attrs=read-write": "", "postgres://u@a,b/db?target_session_attrs=primary": "",
		"postgres://u@a,b/db?port=1,2&target_session_attrs=read-write": "", "host=a,b port=1,2 target_session_attrs=read-write": "",
		"postgres://u@[::1]:5432/db": "", "postgres://u@a:1,b:2/db?target_session_attrs=read-write": "ports", "host=a:1 user=u": "ports",
		"postgres://u@a,b/db": "several hosts", "host=a,b": "several hosts", "postgres://u@a,b/db?target_session_attrs=any": "several hosts",
		"postgres://u@a/db?target_session_attrs=read-only":        "target_session_attrs=read-only",
		"postgres://u@a,b/db?target_session_attrs=standby":        "target_session_attrs=standby",
		"postgres://u@a,b/db?target_session_attrs=prefer-standby": "target_session_attrs=prefer-standby",
	} {
		cfg := postgres.Defaults()
		cfg.DSN = config.Secret(dsn)
		if err := cfg.Validate(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", dsn, err)
		}
	}
}

func TestServerWideErrorsDoNotReconnectForEachStatement(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"25006", "58030", "XX000"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			db := open(t, database(t).String())
			session := func() (pid int) {
				if err := db.GetContext(t.Context(), &pid, "SELECT pg_backend_pid()"); err != nil {
					t.Fatal(err)
				}
				return pid
			}
			used := map[int]bool{}
			start := time.Now()
			const statements = 50
			for range statements {
				used[session()] = true
				if _, err := db.ExecContext(t.Context(), "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '"+code+"'; END $$"); err == nil {
					t.Fatal("the statement succeeded")
				}
			}
			if most := 3 + 3*int(time.Since(start).Seconds()); len(used) > most {
				t.Errorf("%d statements took %d sessions, want at most %d", statements, len(used), most)
			}
			testenv.Eventually(t, "a session that is not fresh is closed", func() bool {
				_, _ = db.ExecContext(t.Context(), "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '"+code+"'; END $$")
				return !used[session()]
			})
		})
	}
}
