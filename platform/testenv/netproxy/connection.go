package netproxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

const chunkBytes = 64 << 10

// connection is a client's connection together with the proxy's connection to the server.
type connection struct {
	proxy          *Proxy
	client, server *net.TCPConn
}

// run forwards data until both sides have ended or one has failed.
func (c *connection) run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { c.forward(ctx, c.client, c.server, false) })
	both.Go(func() { c.forward(ctx, c.server, c.client, true) })
	both.Wait()
}

func (c *connection) forward(ctx context.Context, from, to *net.TCPConn, responses bool) {
	chunk := make([]byte, chunkBytes)
	for {
		n, err := from.Read(chunk)
		mode := c.proxy.wait(ctx, c)
		if n > 0 && (!responses || mode != DropResponses) {
			_, writeErr := to.Write(chunk[:n])
			err = errors.Join(err, writeErr)
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite() // fails if the connection is closed
			return
		}
		if err != nil {
			c.proxy.close(c)
			return
		}
	}
}

// reset closes c with RST instead of FIN, so that its peer reads an error instead of EOF.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close() // an error means that it is closed already
}
