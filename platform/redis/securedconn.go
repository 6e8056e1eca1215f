package redis

import (
	"errors"
	"net"
	"syscall"
)

// securedConn is a connection after its TLS handshake. It has no method NetConn, because go-redis would take the session
// tickets of TLS 1.3 in the socket for a push notification, and wait 50 ms for it before the first command.
type securedConn struct{ net.Conn }

// Write returns the server's alert, if that is why the connection is closed: a server of TLS 1.3 rejects the client's
// certificate after the handshake.
func (c securedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		var network *net.OpError
		if _, reason := c.Read(make([]byte, 1)); errors.As(reason, &network) && network.Op == "remote error" {
			return n, reason
		}
	}
	return n, err
}
