package client

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/todo/platform/tlsconfig"
)

// dialer dials for one Sarama client and can close all of its sockets. They see what
// Sarama sends and receives in plain text, so Dial itself speaks TLS.
type dialer struct {
	secure  *tlsconfig.Client // nil without TLS
	dialing context.Context   // Sarama's dialer interface passes none
	cancel  context.CancelFunc

	// next reads the next response to a fetch request and returns what Sarama decodes; it is nil if none is
	// intercepted.
	next atomic.Pointer[func(socket io.Reader) ([]byte, error)]

	mu   sync.Mutex
	open map[*trackedConn]struct{}
}

func newDialer(secure *tlsconfig.Client) *dialer {
	dialing, cancel := context.WithCancel(context.Background())
	return &dialer{secure: secure, dialing: dialing, cancel: cancel, open: make(map[*trackedConn]struct{})}
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
	tracked := &trackedConn{Conn: conn, dialer: d, socket: conn}
	if d.secure != nil {
		handshaking, cancel := context.WithTimeout(d.dialing, dialTimeout)
		defer cancel()
		secured, err := d.secure.Handshake(handshaking, conn, address)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		tracked.Conn = secured
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// closeAll may have run since the socket was dialled.
	if d.isClosed() {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	d.open[tracked] = struct{}{}
	return tracked, nil
}

// closeAll closes every socket and fails every later Dial.
func (d *dialer) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel()
	for conn := range d.open {
		_ = conn.socket.Close() // the close of a TLS connection would wait for its last write
	}
	clear(d.open)
}

func (d *dialer) isClosed() bool { return d.dialing.Err() != nil }

// trackedConn is a socket that its dialer can close, and whose responses can be
// intercepted.
type trackedConn struct {
	net.Conn
	dialer   *dialer
	socket   net.Conn    // below TLS
	fetching atomic.Bool // the last request was a fetch request
	unread   []byte      // rest of an intercepted response
}

func (c *trackedConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.open, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

// The start of a request: its length, four bytes long, and the key of its API, two bytes
// long.
const (
	apiKeyOffset = 4
	apiKeyEnd    = 6
	fetchAPIKey  = 1
)

// Write sends one request.
func (c *trackedConn) Write(request []byte) (int, error) {
	// Before a request Sarama may authenticate again, which has responses of its own.
	c.fetching.Store(len(request) >= apiKeyEnd && binary.BigEndian.Uint16(request[apiKeyOffset:apiKeyEnd]) == fetchAPIKey)
	return c.Conn.Write(request)
}

func (c *trackedConn) Read(into []byte) (int, error) {
	if c.fetching.Load() {
		if intercept := c.dialer.next.Swap(nil); intercept != nil {
			response, err := (*intercept)(c.Conn)
			if err != nil {
				return 0, err
			}
			c.unread = response
		}
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
