package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// lib/pq waits for an answer without a limit: when a context ends it asks the
// server to cancel, and goes on waiting. A server that is frozen never answers.
// So each connection has a dialer of its own, which recognises lib/pq's dial
// for the cancel request and from then on gives the answer half a second.
const cancelGrace = 500 * time.Millisecond

// connector makes connections that wait no longer than their context.
type connector struct{ cfg pq.Config }

func (c connector) Driver() driver.Driver { return &pq.Driver{} }

// Connect spends on the handshake with each host of the DSN no more than
// connect_timeout, and on all no more than ctx has left.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	cfg := c.cfg.Clone()
	hosts := time.Duration(1 + len(cfg.Multi))
	if deadline, ok := ctx.Deadline(); ok {
		// A host that is silent leaves the others their share.
		cfg.ConnectTimeout = max(1, min(cfg.ConnectTimeout, time.Until(deadline)/hosts))
	}
	inner, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	l := &connDialer{}
	inner.Dialer(l)
	ctx, cancel := context.WithTimeout(ctx, hosts*cfg.ConnectTimeout)
	defer cancel()
	// lib/pq asks for what target_session_attrs wants without a limit.
	inTime := context.AfterFunc(ctx, l.closeSocket)
	conn, err := inner.Connect(ctx)
	if !inTime() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, newConnectError(l.handshakeError(err))
	}
	full, ok := conn.(pqConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%T lacks methods of a database/sql connection", conn)
	}
	l.setEstablished()
	bound := &boundedConn{pqConn: full, dialer: l, establishedAt: time.Now()}
	pq.SetNoticeHandler(conn, bound.handleNotice)
	return bound, nil
}

// pqConn is what lib/pq's connections implement.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// freshSessionAge is how old a session may be when a failure that new sessions may share tells of
// the server. In an older one a refusal to write may tell of the past: of a standby that
// was promoted since, of a setting that was taken back. So a server that takes no writes,
// or cannot read a file, is connected to once in this time by each connection, not once by
// each statement.
const freshSessionAge = time.Second

// boundedConn adds a limit to BEGIN, the one statement during which lib/pq does
// not watch the context, and is given up when its session is of no more use.
type boundedConn struct {
	pqConn
	dialer        *connDialer
	establishedAt time.Time
	pinned        bool // a transaction or a caller holds it: another connection cannot repeat its statements
	retired       bool
	unreplicated  bool       // the commit under way is on this server alone
	arguments     []Argument // of the statement that is sent next
}

// Argument of a statement may be one that is told what became of it: database/sql asks for
// its Value right before each time that it sends the statement, its own repeats after a
// lost connection included, and RolledBack is called when the server's answer to that says
// that the statement changed nothing. Without either an error or that call, it may have.
type Argument interface {
	driver.Valuer
	RolledBack()
}

// CheckNamedValue is asked about each argument right before a statement is sent.
func (c *boundedConn) CheckNamedValue(value *driver.NamedValue) error {
	if a, ok := value.Value.(Argument); ok {
		c.arguments = append(c.arguments, a)
	}
	return c.pqConn.CheckNamedValue(value)
}

func (c *boundedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer context.AfterFunc(ctx, c.dialer.limitCancel)()
	tx, err := c.pqConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, c.handleError(asReadOnlyError(err))
	}
	c.pinned = true
	return boundedTx{tx, c}, nil
}

// asReadOnlyError is the refusal of BEGIN READ WRITE on a standby, which has the code of
// what PostgreSQL does not support.
func asReadOnlyError(err error) error {
	var answer *pq.Error
	if errors.As(err, &answer) && answer.Code == "0A000" {
		answer.Code = readOnlyCode
	}
	return err
}

func (c *boundedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.handleError(err)
	}
	full, ok := stmt.(pqStmt)
	if !ok {
		return stmt, nil // COPY
	}
	return boundedStmt{full, c}, nil
}

func (c *boundedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	return c.wrapRows(rows), c.handleError(err)
}

func (c *boundedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.pqConn.ExecContext(ctx, query, args)
	return result, c.handleError(err)
}

// handleError returns the error of a statement, tells its arguments, and condemns the connection
// when the next statement on it would fail likewise.
func (c *boundedConn) handleError(err error) error {
	arguments := c.arguments
	c.arguments = nil
	if err == nil {
		return c.checkReplication(nil)
	}
	var answer *pq.Error
	if !errors.As(err, &answer) {
		if !c.pqConn.IsValid() && !isTransient(err) {
			return &ambiguousError{err}
		}
		return err
	}
	if wasRolledBack(answer) {
		for _, a := range arguments {
			a.RolledBack()
		}
	}
	m := classOf(answer)
	if !m.endsSession || m.serverWide && time.Since(c.establishedAt) < freshSessionAge {
		return err
	}
	c.retired = true
	if m.notExecuted && !c.pinned {
		return &notExecutedError{err}
	}
	return err
}

// handleNotice hears what the server says besides its answers.
func (c *boundedConn) handleNotice(n *pq.Error) {
	// PostgreSQL reports a commit as done when its wait for a synchronous standby is
	// canceled, as it is when the statement's context ends. All that tells is a warning.
	if n.Routine == "SyncRepWaitForLSN" {
		c.unreplicated = true
	}
}

// checkReplication returns err, the end of a statement's answer, or errUnreplicated in the
// place of a success that a failover could undo.
func (c *boundedConn) checkReplication(err error) error {
	if !c.unreplicated || err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.unreplicated = false
	return errUnreplicated
}

// ResetSession is asked when the connection leaves the pool. One that died there
// is not used again: database/sql would send its statement all the same, and
// nobody could then tell whether it was carried out.
func (c *boundedConn) ResetSession(ctx context.Context) error {
	c.arguments, c.pinned, c.unreplicated = nil, false, false
	if c.retired || !c.dialer.hasUnsolicitedData() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid is asked when the connection goes back to the pool.
func (c *boundedConn) IsValid() bool { return !c.retired && c.pqConn.IsValid() }

// boundedTx has its commit judged.
type boundedTx struct {
	driver.Tx
	conn *boundedConn
}

func (t boundedTx) Commit() error { return t.conn.checkReplication(t.Tx.Commit()) }

// pqStmt is what lib/pq's prepared statements implement.
type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// boundedStmt has the errors of a prepared statement judged.
type boundedStmt struct {
	pqStmt
	conn *boundedConn
}

func (s boundedStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.pqStmt.ExecContext(ctx, args)
	return result, s.conn.handleError(err)
}

func (s boundedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.pqStmt.QueryContext(ctx, args)
	return s.conn.wrapRows(rows), s.conn.handleError(err)
}

// pqRows is what lib/pq's rows implement.
type pqRows interface {
	driver.Rows
	driver.RowsNextResultSet
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

// boundedRows ends with what the server said at the commit, which comes after the rows.
type boundedRows struct {
	pqRows
	conn *boundedConn
}

func (c *boundedConn) wrapRows(rows driver.Rows) driver.Rows {
	if full, ok := rows.(pqRows); ok {
		return boundedRows{full, c}
	}
	return rows
}

func (r boundedRows) Next(dest []driver.Value) error {
	return r.conn.checkReplication(r.pqRows.Next(dest))
}
func (r boundedRows) Close() error { return r.conn.checkReplication(r.pqRows.Close()) }

// dialer is the dialer of one connection, and holds its socket.
type connDialer struct {
	mu          sync.Mutex
	socket      *socket
	established bool
}

func (l *connDialer) setEstablished() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.established = true
}

// closeSocket ends a handshake.
func (l *connDialer) closeSocket() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		_ = l.socket.Close()
	}
}

// limitCancel gives the answer that is being waited for its last half second.
func (l *connDialer) limitCancel() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.socket.limited.Store(true)
	_ = l.socket.SetReadDeadline(time.Now().Add(cancelGrace))
}

// handshakeError is why the handshake failed with err. lib/pq wraps a failed write in an error
// that does not tell what it wraps.
func (l *connDialer) handshakeError(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket == nil {
		return err
	}
	if failed := l.socket.writeError.Load(); failed != nil {
		return *failed
	}
	return err
}

// hasUnsolicitedData says that nothing has come from the server since its last answer, not
// even the end of the stream. A connection that hears something unasked is about
// to end, or can be had anew.
func (l *connDialer) hasUnsolicitedData() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return hasUnsolicitedData(l.socket.Conn)
}

// DialContext dials the connection, once it is established a cancel request.
func (l *connDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	established := l.established
	l.mu.Unlock()
	if established {
		l.limitCancel()
		return dialCancel(ctx, network, addr)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.socket = &socket{Conn: conn}
	return l.socket, nil
}

// Dial and DialTimeout complete pq.Dialer; lib/pq calls DialContext.
func (l *connDialer) Dial(network, addr string) (net.Conn, error) {
	return l.DialContext(context.Background(), network, addr)
}

// DialTimeout dials within timeout.
func (l *connDialer) DialTimeout(network, addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.DialContext(ctx, network, addr)
}

func dialCancel(ctx context.Context, network, addr string) (net.Conn, error) {
	deadline := time.Now().Add(cancelGrace)
	d := net.Dialer{Deadline: deadline}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return cancelConn{conn}, nil
}

// cancelConn carries a cancel request and keeps the deadline it was made with.
type cancelConn struct{ net.Conn }

func (cancelConn) SetDeadline(time.Time) error { return nil }

// socket takes the limit off its reads with the next request.
type socket struct {
	net.Conn
	limited    atomic.Bool
	writeError atomic.Pointer[error] // what the last failed write failed with
}

func (s *socket) Write(p []byte) (int, error) {
	if s.limited.CompareAndSwap(true, false) {
		_ = s.SetReadDeadline(time.Time{})
	}
	n, err := s.Conn.Write(p)
	if err != nil {
		s.writeError.Store(&err)
	}
	return n, err
}
