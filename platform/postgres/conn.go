package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/metrics"
)

// boundedConn is a connection whose waits are bounded by their contexts. It closes when its session has
// become unusable, and returns errors that say whether the outcome of the statement is known.
type boundedConn struct {
	pqConn
	socket        *socket
	durations     metrics.Durations // of statements
	establishedAt time.Time
	inTransaction bool // in use by a transaction: database/sql cannot repeat a statement on another connection
	retired       bool
	unreplicated  bool              // the server committed without its synchronous standby
	arguments     []OutcomeObserver // of the current statement
}

// freshSessionAge is the age up to which an error of class serverWide does not end a session, because a
// new session would get the same error. The error of an older session may be outdated: a standby
// was promoted, or a setting changed. So while a server accepts no writes, each connection reconnects
// once per freshSessionAge instead of once per statement.
const freshSessionAge = time.Second

// OutcomeObserver is an optional interface of a statement's argument that learns the outcome. database/sql
// calls Value each time before it sends the statement, also when it repeats one after a lost connection.
// RolledBack is called when the server responded that the statement changed nothing. If neither
// success nor RolledBack follows, the statement may have been executed.
type OutcomeObserver interface {
	driver.Valuer
	RolledBack()
}

// CheckNamedValue is called by database/sql for each argument before a statement is sent.
func (c *boundedConn) CheckNamedValue(value *driver.NamedValue) error {
	if a, ok := value.Value.(OutcomeObserver); ok {
		c.arguments = append(c.arguments, a)
	}
	return c.pqConn.CheckNamedValue(value)
}

func (c *boundedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	// BEGIN is the only statement during which lib/pq does not watch the context.
	defer context.AfterFunc(ctx, c.socket.limitCancel)()
	tx, err := c.pqConn.BeginTx(ctx, opts)
	// A standby responds to BEGIN READ WRITE with the code for unsupported features.
	var response *pq.Error
	if errors.As(err, &response) && response.Code == "0A000" {
		response.Code = readOnlyCode
	}
	if err != nil {
		return nil, c.handleError(err)
	}
	c.inTransaction = true
	return boundedTx{tx, c}, nil
}

func (c *boundedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.handleError(err)
	}
	return boundedStmt{stmt, c}, nil
}

func (c *boundedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	start := time.Now()
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	c.durations.ObserveSince(start, err)
	return boundedRows{rows, c}, c.handleError(err)
}

func (c *boundedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	start := time.Now()
	result, err := c.pqConn.ExecContext(ctx, query, args)
	c.durations.ObserveSince(start, err)
	return result, c.handleError(err)
}

// handleError returns the error of a statement, notifies the statement's arguments, and retires the
// connection if the next statement on it would fail in the same way.
func (c *boundedConn) handleError(err error) error {
	arguments := c.arguments
	c.arguments = nil
	if err == nil {
		return c.checkReplication(nil)
	}
	var response *pq.Error
	if !errors.As(err, &response) {
		if !c.pqConn.IsValid() && !isTransient(err) {
			return fmt.Errorf("%w: %w", errAmbiguous, err)
		}
		return err
	}
	class := classOf(response)
	if !response.Fatal() && !class.ambiguous {
		for _, a := range arguments {
			a.RolledBack()
		}
	}
	if !class.endsSession || class.serverWide && time.Since(c.establishedAt) < freshSessionAge {
		return err
	}
	c.retired = true
	if class.notExecuted && !c.inTransaction {
		return fmt.Errorf("%w (%w)", err, driver.ErrBadConn) // database/sql repeats the statement on another connection
	}
	return err
}

// handleNotice is called with each notice of the server.
func (c *boundedConn) handleNotice(n *pq.Error) {
	// If a statement's context ends while its commit waits for a synchronous standby, PostgreSQL reports
	// success. This warning is the only sign of it.
	if n.Routine == "SyncRepWaitForLSN" {
		c.unreplicated = true
	}
}

// checkReplication replaces success, nil or io.EOF, by errUnreplicated if a failover could lose the
// commit. Any other err is returned unchanged.
func (c *boundedConn) checkReplication(err error) error {
	if !c.unreplicated || err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.unreplicated = false
	return errUnreplicated
}

// ResetSession is called by database/sql when the connection leaves the pool. driver.ErrBadConn makes
// database/sql use another connection.
func (c *boundedConn) ResetSession(ctx context.Context) error {
	c.arguments, c.inTransaction, c.unreplicated = nil, false, false
	// After unsolicited data the server is closing the connection. A statement that is sent on it has an unknown outcome.
	if c.retired || hasUnsolicitedData(c.socket.Conn) {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid is called by database/sql when the connection returns to the pool.
func (c *boundedConn) IsValid() bool { return !c.retired && c.pqConn.IsValid() }

// boundedTx checks the replication of its commit.
type boundedTx struct {
	driver.Tx
	conn *boundedConn
}

func (t boundedTx) Commit() error { return t.conn.checkReplication(t.Tx.Commit()) }

type boundedStmt struct {
	driver.Stmt
	conn *boundedConn
}

func (s boundedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	start := time.Now()
	result, err := s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
	s.conn.durations.ObserveSince(start, err)
	return result, s.conn.handleError(err)
}

func (s boundedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	start := time.Now()
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	s.conn.durations.ObserveSince(start, err)
	return boundedRows{rows, s.conn}, s.conn.handleError(err)
}

// boundedRows checks the replication of the commit at their end: the server's warning follows the rows.
type boundedRows struct {
	driver.Rows
	conn *boundedConn
}

func (r boundedRows) Next(dest []driver.Value) error {
	return r.conn.checkReplication(r.Rows.Next(dest))
}

func (r boundedRows) Close() error { return r.conn.checkReplication(r.Rows.Close()) }
