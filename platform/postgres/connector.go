package postgres

import (
	"context"
	"database/sql/driver"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"

	"example.com/todo/platform/metrics"
)

// connector opens connections whose waits are bounded by their contexts.
type connector struct {
	cfg       pq.Config
	allow     func() error      // see Config
	setting   string            // the name of the DSN and its source, for errors
	durations metrics.Durations // of statements
}

func (c connector) Driver() driver.Driver { return &pq.Driver{} }

// Connect connects to the first suitable host of the DSN. The handshake with each host takes at most
// connect_timeout, all of them at most until ctx ends.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.allow != nil {
		if err := c.allow(); err != nil {
			return nil, err
		}
	}
	cfg := c.cfg.Clone()
	hosts := time.Duration(1 + len(cfg.Multi))
	if deadline, ok := ctx.Deadline(); ok {
		// A host that does not respond must leave time for the other hosts.
		cfg.ConnectTimeout = max(1, min(cfg.ConnectTimeout, time.Until(deadline)/hosts))
	}
	inner, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	dialer := &connDialer{}
	inner.Dialer(dialer)
	ctx, cancel := context.WithTimeout(ctx, hosts*cfg.ConnectTimeout)
	defer cancel()
	// lib/pq checks target_session_attrs by a query without a deadline.
	inTime := context.AfterFunc(ctx, dialer.closeSocket)
	conn, err := inner.Connect(ctx)
	if !inTime() && err == nil {
		_ = conn.Close()
		err = ctx.Err()
	}
	if err != nil {
		// lib/pq wraps the error of a write in one that does not unwrap.
		if s := dialer.socket.Load(); s != nil && s.writeError.Load() != nil {
			err = *s.writeError.Load()
		}
		return nil, classifyConnect(err, c.setting)
	}
	dialer.established.Store(true)
	bounded := &boundedConn{
		pqConn: conn.(pqConn), socket: dialer.socket.Load(), durations: c.durations, establishedAt: time.Now(),
	}
	pq.SetNoticeHandler(conn, bounded.handleNotice)
	return bounded, nil
}

// pqConn has the methods of lib/pq's connections.
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

// cancelTimeout bounds the cancel request, and the wait for the response to the canceled statement.
const cancelTimeout = 500 * time.Millisecond

// connDialer is the dialer of one connection. It bounds how long lib/pq waits for a response.
//
// lib/pq waits without a limit: when a context ends, it dials a second connection for a cancel request
// and goes on waiting, also for a server that is frozen. connDialer recognizes that second dial and then
// sets a read deadline on the first connection.
type connDialer struct {
	pq.Dialer   // nil: lib/pq calls DialContext only
	socket      atomic.Pointer[socket]
	established atomic.Bool // later dials are for cancel requests
}

func (d *connDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.established.Load() {
		d.socket.Load().limitCancel()
		return dialCancel(ctx, network, addr)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	dialed := &socket{Conn: conn}
	d.socket.Store(dialed)
	return dialed, nil
}

// closeSocket aborts a handshake.
func (d *connDialer) closeSocket() {
	if s := d.socket.Load(); s != nil {
		_ = s.Close()
	}
}

// dialCancel returns a connection for a cancel request. It is closed after cancelTimeout, since lib/pq waits for
// its end.
func dialCancel(ctx context.Context, network, addr string) (net.Conn, error) {
	deadline := time.Now().Add(cancelTimeout)
	conn, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	time.AfterFunc(time.Until(deadline), func() { _ = conn.Close() })
	return conn, nil
}

// socket is the TCP connection of a session.
type socket struct {
	net.Conn
	limited    atomic.Bool           // reads have the deadline of limitCancel
	writeError atomic.Pointer[error] // the last error of Write
}

// Write removes the read deadline of limitCancel, which was for the response to an earlier request.
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

// limitCancel ends the wait for the current response after cancelTimeout.
func (s *socket) limitCancel() {
	s.limited.Store(true)
	_ = s.SetReadDeadline(time.Now().Add(cancelTimeout))
}
