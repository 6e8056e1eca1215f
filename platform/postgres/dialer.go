package postgres

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// cancelTimeout bounds the cancel request, and the wait for the response to the canceled statement.
const cancelTimeout = 500 * time.Millisecond

// connDialer is the dialer of one connection. It bounds how long lib/pq waits for a response.
//
// lib/pq waits without a limit: when a context ends, it dials a second connection for a cancel request
// and goes on waiting, also for a server that is frozen. connDialer recognizes that second dial and then
// sets a read deadline on the first connection.
type connDialer struct {
	mu          sync.Mutex
	socket      *socket
	established bool
}

// setEstablished ends the handshake: later dials are for cancel requests.
func (d *connDialer) setEstablished() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.established = true
}

// closeSocket aborts a handshake.
func (d *connDialer) closeSocket() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.socket != nil {
		_ = d.socket.Close()
	}
}

// limitCancel ends the wait for the current response after cancelTimeout.
func (d *connDialer) limitCancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.socket.limited.Store(true)
	_ = d.socket.SetReadDeadline(time.Now().Add(cancelTimeout))
}

// handshakeError returns the cause of err, the error of a handshake.
func (d *connDialer) handshakeError(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.socket == nil {
		return err
	}
	// lib/pq wraps the error of a write in one that does not unwrap.
	if failed := d.socket.writeError.Load(); failed != nil {
		return *failed
	}
	return err
}

// hasUnsolicitedData reports whether data or the end of the stream has arrived since the last response.
// The server is then closing the connection, and a statement on it would have an unknown outcome.
func (d *connDialer) hasUnsolicitedData() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return hasUnsolicitedData(d.socket.Conn)
}

// DialContext dials the connection, or a cancel request after setEstablished.
func (d *connDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d.mu.Lock()
	established := d.established
	d.mu.Unlock()
	if established {
		d.limitCancel()
		return dialCancel(ctx, network, addr)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.socket = &socket{Conn: conn}
	return d.socket, nil
}

// Dial and DialTimeout complete pq.Dialer; lib/pq calls DialContext.
func (d *connDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// DialTimeout is DialContext with a timeout.
func (d *connDialer) DialTimeout(network, addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, addr)
}

func dialCancel(ctx context.Context, network, addr string) (net.Conn, error) {
	deadline := time.Now().Add(cancelTimeout)
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return cancelConn{conn}, nil
}

// cancelConn is the connection of a cancel request. It keeps its first deadline.
type cancelConn struct{ net.Conn }

func (cancelConn) SetDeadline(time.Time) error { return nil }

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
