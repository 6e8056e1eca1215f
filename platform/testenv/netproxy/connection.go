package netproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunkBytes    = 64 << 10
	maxHeldChunks = 64 // per direction, during a latency or Stall
)

// connection is a client's connection together with the proxy's connection to the server.
type connection struct {
	proxy          *Proxy
	client, server *net.TCPConn
	closeOnce      sync.Once
	done           chan struct{} // closed by close
}

type chunk struct {
	data []byte
	due  time.Time
}

func (c *connection) close() {
	c.closeOnce.Do(func() {
		close(c.done)
		reset(c.client)
		reset(c.server)
	})
}

// run forwards data until both sides have ended or one has failed.
func (c *connection) run() {
	var both sync.WaitGroup
	both.Go(func() { c.forward(c.client, c.server, false) })
	both.Go(func() { c.forward(c.server, c.client, true) })
	both.Wait()
	c.close()
}

func (c *connection) forward(from, to *net.TCPConn, responses bool) {
	chunks := make(chan chunk, maxHeldChunks)
	go c.readChunks(from, chunks)
	for next := range chunks {
		if !c.waitUntil(next.due) {
			break
		}
		if mode, _, _ := c.proxy.state(); responses && mode == DropResponses {
			continue
		}
		if _, err := to.Write(next.data); err != nil {
			c.close()
			break
		}
	}
	// After a break the connection is closed, which ends the reader.
	for range chunks {
	}
	_ = to.CloseWrite() // fails if the connection is closed
}

// readChunks closes chunks when the sender has ended.
func (c *connection) readChunks(from *net.TCPConn, chunks chan<- chunk) {
	defer close(chunks)
	for {
		buffer := make([]byte, chunkBytes)
		n, err := from.Read(buffer)
		if n > 0 {
			_, latency, _ := c.proxy.state()
			select {
			case chunks <- chunk{buffer[:n], time.Now().Add(latency.draw())}:
			case <-c.done:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.close()
			}
			return
		}
	}
}

// waitUntil waits until due, and while the mode is Stall. It returns false if the connection was closed.
func (c *connection) waitUntil(due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.done:
			return false
		}
	}
	for {
		mode, _, changed := c.proxy.state()
		if mode != Stall {
			return true
		}
		select {
		case <-changed:
		case <-c.done:
			return false
		}
	}
}
