package client

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// dialer dials for one Sarama client and can close all of its sockets. The sockets see
// what Sarama sends and receives in plain text: TLS has to be spoken inside Dial.
type dialer struct {
	dialing context.Context // Sarama's dialer interface passes none
	cancel  context.CancelFunc

	// next reads the next response and returns what Sarama decodes; it is nil if none is
	// intercepted.
	next atomic.Pointer[func(socket io.Reader) ([]byte, error)]

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

func newDialer() *dialer {
	dialing, cancel := context.WithCancel(context.Background())
	return &dialer{dialing: dialing, cancel: cancel, open: make(map[*trackedConn]struct{})}
}

// Dial implements proxy.Dialer, which is how Sarama opens a socket.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	netDialer := net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	conn, err := netDialer.DialContext(d.dialing, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// closeAll may have run since the socket was dialled.
	if d.isClosed() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	tracked := &trackedConn{Conn: conn, dialer: d}
	d.open[tracked] = struct{}{}
	return tracked, nil
}

// closeAll closes every socket and fails every later Dial.
func (d *dialer) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel()
	for conn := range d.open {
		_ = conn.Conn.Close()
	}
	clear(d.open)
}

func (d *dialer) isClosed() bool { return d.dialing.Err() != nil }

// trackedConn is a socket that its dialer can close, and whose responses can be
// intercepted.
type trackedConn struct {
	net.Conn
	dialer *dialer
	unread []byte // rest of an intercepted response
}

func (c *trackedConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

func (c *trackedConn) Read(into []byte) (int, error) {
	if intercept := c.dialer.next.Swap(nil); intercept != nil {
		response, err := (*intercept)(c.Conn)
		if err != nil {
			return 0, err
		}
		c.unread = response
	}
	if len(c.unread) == 0 {
		return c.Conn.Read(into)
	}
	count := copy(into, c.unread)
	if c.unread = c.unread[count:]; len(c.unread) == 0 {
		c.unread = nil // frees the response, which may be large
	}
	return count, nil
}
