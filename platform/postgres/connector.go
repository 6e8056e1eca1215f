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
	l := &link{}
	inner.Dialer(l)
	ctx, cancel := context.WithTimeout(ctx, hosts*cfg.ConnectTimeout)
	defer cancel()
	// lib/pq asks for what target_session_attrs wants without a limit.
	inTime := context.AfterFunc(ctx, l.close)
	conn, err := inner.Connect(ctx)
	if !inTime() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		return nil, newConnectError(l.cause(err))
	}
	full, ok := conn.(pqConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%T lacks methods of a database/sql connection", conn)
	}
	l.establish()
	bound := &boundConn{pqConn: full, link: l, established: time.Now()}
	pq.SetNoticeHandler(conn, bound.notice)
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

// fresh is how old a session may be when a failure that new sessions may share tells of
// the server. In an older one a refusal to write may tell of the past: of a standby that
// was promoted since, of a setting that was taken back. So a server that takes no writes,
// or cannot read a file, is connected to once in this time by each connection, not once by
// each statement.
const fresh = time.Second

// boundConn adds a limit to BEGIN, the one statement during which lib/pq does
// not watch the context, and is given up when its session is of no more use.
type boundConn struct {
	pqConn
	link         *link
	established  time.Time
	pinned       bool // a transaction or a caller holds it: another connection cannot repeat its statements
	condemned    bool
	unreplicated bool       // the commit under way is on this server alone
	arguments    []Argument // of the statement that is sent next
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
func (c *boundConn) CheckNamedValue(value *driver.NamedValue) error {
	if a, ok := value.Value.(Argument); ok {
		c.arguments = append(c.arguments, a)
	}
	return c.pqConn.CheckNamedValue(value)
}

func (c *boundConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer context.AfterFunc(ctx, c.link.expire)()
	tx, err := c.pqConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, c.judge(beginRefused(err))
	}
	c.pinned = true
	return boundTx{tx, c}, nil
}

// beginRefused is the refusal of BEGIN READ WRITE on a standby, which has the code of
// what PostgreSQL does not support.
func beginRefused(err error) error {
	var answer *pq.Error
	if errors.As(err, &answer) && answer.Code == "0A000" {
		answer.Code = readOnlyCode
	}
	return err
}

func (c *boundConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.judge(err)
	}
	full, ok := stmt.(pqStmt)
	if !ok {
		return stmt, nil // COPY
	}
	return boundStmt{full, c}, nil
}

func (c *boundConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	return c.bind(rows), c.judge(err)
}

func (c *boundConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.pqConn.ExecContext(ctx, query, args)
	return result, c.judge(err)
}

// judge returns the error of a statement, tells its arguments, and condemns the connection
// when the next statement on it would fail likewise.
func (c *boundConn) judge(err error) error {
	arguments := c.arguments
	c.arguments = nil
	if err == nil {
		return c.replicated(nil)
	}
	var answer *pq.Error
	if !errors.As(err, &answer) {
		if !c.pqConn.IsValid() && !passes(err) {
			return &brokenError{err}
		}
		return err
	}
	if changedNothing(answer) {
		for _, a := range arguments {
			a.RolledBack()
		}
	}
	m := meaningOf(answer)
	if !m.condemns || m.shared && time.Since(c.established) < fresh {
		return err
	}
	c.condemned = true
	if m.elsewhere && !c.pinned {
		return &elsewhereError{err}
	}
	return err
}

// notice hears what the server says besides its answers.
func (c *boundConn) notice(n *pq.Error) {
	// PostgreSQL reports a commit as done when its wait for a synchronous standby is
	// canceled, as it is when the statement's context ends. All that tells is a warning.
	if n.Routine == "SyncRepWaitForLSN" {
		c.unreplicated = true
	}
}

// replicated returns err, the end of a statement's answer, or errUnreplicated in the
// place of a success that a failover could undo.
func (c *boundConn) replicated(err error) error {
	if !c.unreplicated || err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.unreplicated = false
	return errUnreplicated
}

// ResetSession is asked when the connection leaves the pool. One that died there
// is not used again: database/sql would send its statement all the same, and
// nobody could then tell whether it was carried out.
func (c *boundConn) ResetSession(ctx context.Context) error {
	c.arguments, c.pinned, c.unreplicated = nil, false, false
	if c.condemned || !c.link.quiet() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid is asked when the connection goes back to the pool.
func (c *boundConn) IsValid() bool { return !c.condemned && c.pqConn.IsValid() }

// boundTx has its commit judged.
type boundTx struct {
	driver.Tx
	conn *boundConn
}

func (t boundTx) Commit() error { return t.conn.replicated(t.Tx.Commit()) }

// pqStmt is what lib/pq's prepared statements implement.
type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// boundStmt has the errors of a prepared statement judged.
type boundStmt struct {
	pqStmt
	conn *boundConn
}

func (s boundStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	result, err := s.pqStmt.ExecContext(ctx, args)
	return result, s.conn.judge(err)
}

func (s boundStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.pqStmt.QueryContext(ctx, args)
	return s.conn.bind(rows), s.conn.judge(err)
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

// boundRows ends with what the server said at the commit, which comes after the rows.
type boundRows struct {
	pqRows
	conn *boundConn
}

func (c *boundConn) bind(rows driver.Rows) driver.Rows {
	if full, ok := rows.(pqRows); ok {
		return boundRows{full, c}
	}
	return rows
}

func (r boundRows) Next(dest []driver.Value) error { return r.conn.replicated(r.pqRows.Next(dest)) }
func (r boundRows) Close() error                   { return r.conn.replicated(r.pqRows.Close()) }

// link is the dialer of one connection, and holds its socket.
type link struct {
	mu          sync.Mutex
	socket      *socket
	established bool
}

func (l *link) establish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.established = true
}

// close ends a handshake.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket != nil {
		_ = l.socket.Close()
	}
}

// expire gives the answer that is being waited for its last half second.
func (l *link) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.socket.expiring.Store(true)
	_ = l.socket.SetReadDeadline(time.Now().Add(cancelGrace))
}

// cause is why the handshake failed with err. lib/pq wraps a failed write in an error
// that does not tell what it wraps.
func (l *link) cause(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket == nil {
		return err
	}
	if failed := l.socket.failed.Load(); failed != nil {
		return *failed
	}
	return err
}

// quiet says that nothing has come from the server since its last answer, not
// even the end of the stream. A connection that hears something unasked is about
// to end, or can be had anew.
func (l *link) quiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return quiet(l.socket.Conn)
}

// DialContext dials the connection, once it is established a cancel request.
func (l *link) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	established := l.established
	l.mu.Unlock()
	if established {
		l.expire()
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
func (l *link) Dial(network, addr string) (net.Conn, error) {
	return l.DialContext(context.Background(), network, addr)
}

// DialTimeout dials within timeout.
func (l *link) DialTimeout(network, addr string, timeout time.Duration) (net.Conn, error) {
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
	expiring atomic.Bool
	failed   atomic.Pointer[error] // what the last failed write failed with
}

func (s *socket) Write(p []byte) (int, error) {
	if s.expiring.CompareAndSwap(true, false) {
		_ = s.SetReadDeadline(time.Time{})
	}
	n, err := s.Conn.Write(p)
	if err != nil {
		s.failed.Store(&err)
	}
	return n, err
}
