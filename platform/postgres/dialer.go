package postgres

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

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

// handshakeError returns the cause of err, the error of a handshake.
func (d *connDialer) handshakeError(err error) error {
	// lib/pq wraps the error of a write in one that does not unwrap.
	if s := d.socket.Load(); s != nil && s.writeError.Load() != nil {
		return *s.writeError.Load()
	}
	return err
}

// dialCancel returns a connection for a cancel request. It is closed after cancelTimeout, since lib/pq waits for
// its end.
func dialCancel(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: cancelTimeout}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	time.AfterFunc(cancelTimeout, func() { _ = conn.Close() })
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
