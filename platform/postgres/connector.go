package postgres

import (
	"context"
	"database/sql/driver"
	"fmt"
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

// Connect spends on the handshake no more than ctx has left, or connect_timeout.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	cfg := c.cfg.Clone()
	if deadline, ok := ctx.Deadline(); ok {
		cfg.ConnectTimeout = max(1, min(cfg.ConnectTimeout, time.Until(deadline)))
	}
	inner, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	l := &link{}
	inner.Dialer(l)
	conn, err := inner.Connect(ctx)
	if err != nil {
		return nil, l.cause(err)
	}
	full, ok := conn.(pqConn)
	if !ok {
		_ = conn.Close()
		return nil, fmt.Errorf("%T lacks methods of a database/sql connection", conn)
	}
	l.establish()
	return &boundConn{full, l}, nil
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

// boundConn adds a limit to BEGIN, the one statement during which lib/pq does
// not watch the context.
type boundConn struct {
	pqConn
	link *link
}

func (c *boundConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	defer context.AfterFunc(ctx, c.link.expire)()
	return c.pqConn.BeginTx(ctx, opts)
}

// ResetSession is asked when the connection leaves the pool. One that died there
// is not used again: database/sql would send its statement all the same, and
// nobody could then tell whether it was carried out.
func (c *boundConn) ResetSession(ctx context.Context) error {
	if !c.link.quiet() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

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
