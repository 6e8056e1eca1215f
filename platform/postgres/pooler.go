package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// What a pooler must do, or have done for it. Each is the one line that a start ends with.
var (
	errStartupParameters = errors.New("the connection pooler refuses startup parameters: have it ignore them " +
		"(PgBouncer: ignore_startup_parameters = tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count, " +
		"tcp_user_timeout, idle_in_transaction_session_timeout) and set the last of them for the role: " +
		"ALTER ROLE … SET idle_in_transaction_session_timeout = '15s'")
	errNoIdleTimeout = errors.New("idle_in_transaction_session_timeout is off: a process that freezes would hold its transaction, " +
		"and what waits for it, without end; set it for the role: ALTER ROLE … SET idle_in_transaction_session_timeout = '15s'")
	errNoWarnings = errors.New("client_min_messages hides warnings, and with them that a synchronous standby did not confirm a commit, " +
		"which would be answered as done: set it to warning or lower for the role")
	errPreparedStatements = errors.New("the connection pooler gives one server session to several clients and does not keep their " +
		"prepared statements apart: use its session mode, or PgBouncer 1.21 or newer with max_prepared_statements")
	errTransactions = errors.New("the connection pooler ends the connection at BEGIN: use its session mode, not that of single statements")
	errSessionLock  = errors.New("the connection pooler gives one server session to several clients, so that the lock of a migration would " +
		"not be let go: migrate over a direct connection, or in the pooler's session mode")
)

// asStartupParameterError replaces PgBouncer's refusal of a parameter, which it gives a code of
// class 08, by one that says what to do.
func asStartupParameterError(err error) error {
	var answer *pq.Error
	if errors.As(err, &answer) && strings.HasPrefix(answer.Message, "unsupported startup parameter") {
		return fmt.Errorf("%w (%s)", errStartupParameters, answer.Message)
	}
	return err
}

// CheckSessions returns an error when the way to the server has no sessions to rely on:
// a pooler between does not keep prepared statements, nothing ends a transaction whose
// process is frozen, or the server's warnings are not sent. It needs two connections of
// db at once.
func CheckSessions(ctx context.Context, db *sqlx.DB) error {
	var settings struct {
		IdleTimeout string `db:"idle_timeout"`
		Messages    string `db:"messages"`
	}
	err := db.GetContext(ctx, &settings, `SELECT current_setting('idle_in_transaction_session_timeout') AS idle_timeout,
		current_setting('client_min_messages') AS messages`)
	switch {
	case err != nil:
		return classifyStartup(fmt.Errorf("read the session's settings: %w", err))
	case settings.IdleTimeout == "0":
		return errNoIdleTimeout
	case settings.Messages == "error":
		return errNoWarnings
	}
	_, err = hasSharedSessions(ctx, db)
	return err
}

// hasSharedSessions says whether clients share the server's sessions, transaction by
// transaction. It is an error when they do and prepared statements do not go with the client.
func hasSharedSessions(ctx context.Context, db *sqlx.DB) (shared bool, err error) {
	one, err := db.Connx(ctx)
	if err != nil {
		return false, classifyStartup(err)
	}
	defer one.Close()
	other, err := db.Connx(ctx)
	if err != nil {
		return false, classifyStartup(err)
	}
	defer other.Close()
	// The server's refusal is wanted, not a repetition.
	_ = one.Raw(func(c any) error { c.(*boundedConn).pinned = true; return nil })
	// Statements of different clients have the same names: the token tells whose it is.
	token := rand.Text()
	prepared, err := one.PreparexContext(ctx, "SELECT '"+token+"' AS token, pg_backend_pid()::text AS session") //nolint:sqlclosecheck // closed below
	if err != nil {
		return false, classifyPreparedError(err)
	}
	defer prepared.Close()
	sessions := map[string]bool{}
	probe := func() error {
		var row struct {
			Token   string `db:"token"`
			Session string `db:"session"`
		}
		if err := prepared.GetContext(ctx, &row); err != nil {
			return err
		}
		if row.Token != token {
			return errPreparedStatements
		}
		sessions[row.Session] = true
		return nil
	}
	// A pooler with several idle sessions may take them in turn: that shows at once. One that
	// takes the last used gives it to the transaction.
	for range 2 {
		if err := probe(); err != nil {
			return false, classifyPreparedError(err)
		}
	}
	inTransaction, err := probeDuringTransaction(ctx, other, probe)
	if err != nil {
		return false, classifyPreparedError(err)
	}
	return sessions[inTransaction] || len(sessions) > 1, nil
}

// probeDuringTransaction calls do in a transaction of conn, and returns whose session that has.
func probeDuringTransaction(ctx context.Context, conn *sqlx.Conn, do func() error) (session string, err error) {
	tx, err := conn.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if errors.Is(err, driver.ErrBadConn) { // lib/pq does not pass on what the pooler said
		return "", cmp.Or(do(), errTransactions)
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.GetContext(ctx, &session, "SELECT pg_backend_pid()::text"); err != nil {
		return "", err
	}
	return session, do()
}

// classifyPreparedError recognises that a prepared statement is not there, or is another one.
func classifyPreparedError(err error) error {
	var answer *pq.Error
	if errors.As(err, &answer) && (answer.Code == "26000" || answer.Code == "42P05") {
		return fmt.Errorf("%w (%s)", errPreparedStatements, answer.Message)
	}
	return classifyStartup(err)
}
