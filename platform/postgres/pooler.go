package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// The requirements for a connection pooler. Each is the one-line error of a process that fails to start.
var (
	errStartupParameters = errors.New("the connection pooler rejects startup parameters: make it ignore them " +
		"(PgBouncer: ignore_startup_parameters = tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count, " +
		"tcp_user_timeout, idle_in_transaction_session_timeout) and set the last one for the role: " +
		"ALTER ROLE … SET idle_in_transaction_session_timeout = '15s'")
	errNoIdleTimeout = errors.New("idle_in_transaction_session_timeout is off: a frozen process would hold its transaction and its locks " +
		"forever; set it for the role: ALTER ROLE … SET idle_in_transaction_session_timeout = '15s'")
	errNoWarnings = errors.New("client_min_messages hides warnings, also the one that a synchronous standby did not confirm a commit, " +
		"so that the commit would be reported as done: set it to warning or lower for the role")
	errPreparedStatements = errors.New("the connection pooler shares server sessions between clients and does not keep their " +
		"prepared statements apart: use its session mode, or PgBouncer 1.21 or newer with max_prepared_statements")
	errTransactions = errors.New("the connection pooler ends the connection at BEGIN: use its session mode, not its statement mode")
	errSessionLock  = errors.New("the connection pooler shares server sessions between clients, so that the lock of a migration would " +
		"not be released: migrate over a direct connection, or in the pooler's session mode")
)

// CheckSessions returns an error if the service cannot rely on its sessions: a pooler does not keep prepared
// statements, transactions of a frozen process do not time out, or warnings are not sent. It needs
// two connections of db at once.
func CheckSessions(ctx context.Context, db *sqlx.DB) error {
	var idleTimeout, messages string
	err := db.QueryRowContext(ctx, `SELECT current_setting('idle_in_transaction_session_timeout'),
		current_setting('client_min_messages')`).Scan(&idleTimeout, &messages)
	switch {
	case err != nil:
		return classifyStartup(fmt.Errorf("read the session's settings: %w", err))
	case idleTimeout == "0":
		return errNoIdleTimeout
	case messages == "error":
		return errNoWarnings
	}
	_, err = hasSharedSessions(ctx, db)
	return err
}

// hasSharedSessions reports whether a pooler shares server sessions between clients. It returns an error if
// the pooler does so and does not keep prepared statements.
func hasSharedSessions(ctx context.Context, db *sqlx.DB) (bool, error) {
	shared, err := probeSessions(ctx, db)
	var response *pq.Error
	// The codes of a prepared statement that does not exist, or exists already.
	if errors.As(err, &response) && (response.Code == "26000" || response.Code == "42P05") {
		err = fmt.Errorf("%w (%s)", errPreparedStatements, response.Message)
	}
	return shared, classifyStartup(err)
}

func probeSessions(ctx context.Context, db *sqlx.DB) (shared bool, err error) {
	one, err := db.Connx(ctx)
	if err != nil {
		return false, err
	}
	defer one.Close()
	other, err := db.Connx(ctx)
	if err != nil {
		return false, err
	}
	defer other.Close()
	// A pinned connection returns the server's error; otherwise the statement would be repeated on another.
	_ = one.Raw(func(c any) error { c.(*boundedConn).inTransaction = true; return nil })
	// Clients use equal statement names. The token shows whether this client's statement was executed.
	token := rand.Text()
	prepared, err := one.PreparexContext(ctx, "SELECT '"+token+"', pg_backend_pid()::text") //nolint:sqlclosecheck // closed below
	if err != nil {
		return false, err
	}
	defer prepared.Close()
	sessions := map[string]bool{}
	probe := func() error {
		var answered, session string
		if err := prepared.QueryRowContext(ctx).Scan(&answered, &session); err != nil {
			return err
		}
		if answered != token {
			return errPreparedStatements
		}
		sessions[session] = true
		return nil
	}
	// A pooler that uses its idle sessions in turn shows a second session here. A pooler that uses the last
	// released session shows one below, because the transaction occupies it.
	for range 2 {
		if err := probe(); err != nil {
			return false, err
		}
	}
	inTransaction, err := probeDuringTransaction(ctx, other, probe)
	if err != nil {
		return false, err
	}
	return sessions[inTransaction] || len(sessions) > 1, nil
}

// probeDuringTransaction calls probe during a transaction of conn, and returns the session of the transaction.
func probeDuringTransaction(ctx context.Context, conn *sqlx.Conn, probe func() error) (session string, err error) {
	tx, err := conn.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if errors.Is(err, driver.ErrBadConn) { // lib/pq hides the error of the pooler
		return "", cmp.Or(probe(), errTransactions)
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }()
	if err := tx.GetContext(ctx, &session, "SELECT pg_backend_pid()::text"); err != nil {
		return "", err
	}
	return session, probe()
}
