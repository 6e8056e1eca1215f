package netproxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"example.com/todo/platform/retry"
)

// Mode is what a Proxy does with connections and data.
type Mode int

// The modes. The package's comment says what each does.
const (
	Forward Mode = iota
	Stall
	DropResponses
	Reject
)

// Proxy forwards TCP connections to one server. It is safe for concurrent use.
type Proxy struct {
	listener   net.Listener
	stop       context.CancelFunc
	goroutines sync.WaitGroup

	mu          sync.Mutex
	changed     *sync.Cond // signals changes of mode and connections
	target      string
	mode        Mode
	least, most time.Duration // latency
	connections map[*connection]bool
	resets      int // calls of ResetConnections
}

// Listen binds a free port of 127.0.0.1 and forwards its connections to target until Close. If target
// cannot be reached, the client's connection is reset. The end of ctx does not stop the proxy.
func Listen(ctx context.Context, target string) (*Proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener, connections: map[*connection]bool{}}
	p.changed = sync.NewCond(&p.mu)
	ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	p.goroutines.Go(func() { p.accept(ctx) })
	return p, nil
}

// Addr returns the address that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Port returns the port of Addr.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// SetMode changes the mode, also of open connections. Reject resets these.
func (p *Proxy) SetMode(m Mode) {
	p.update(func() { p.mode = m })
	if m == Reject {
		p.ResetConnections()
	}
}

// SetTarget forwards new connections to another server, and resets the open ones.
func (p *Proxy) SetTarget(target string) {
	p.update(func() { p.target = target })
	p.ResetConnections()
}

// SetLatency delays data in both directions by a random time from least to most. Data of one connection
// stays in order. 0 and 0 end the delay.
func (p *Proxy) SetLatency(least, most time.Duration) {
	p.update(func() { p.least, p.most = least, most })
}

func (p *Proxy) update(set func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set()
	p.changed.Broadcast()
}

// ResetConnections resets every connection, also one whose server is being dialed.
func (p *Proxy) ResetConnections() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		reset(c.client)
		reset(c.server)
	}
	clear(p.connections)
	p.resets++
	p.changed.Broadcast()
}

// Close stops listening, resets every connection and waits for the proxy's goroutines.
func (p *Proxy) Close() error {
	p.stop()
	err := p.listener.Close()
	p.ResetConnections()
	p.goroutines.Wait()
	return err
}

// connection is a client's connection together with the proxy's connection to the server.
type connection struct{ client, server *net.TCPConn }

func (p *Proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.goroutines.Go(func() { p.serve(ctx, client.(*net.TCPConn)) })
	}
}

const dialTimeout = 2 * time.Second // the servers run on the same machine

func (p *Proxy) serve(ctx context.Context, client *net.TCPConn) {
	p.mu.Lock()
	mode, target, resets := p.mode, p.target, p.resets
	p.mu.Unlock()
	if mode == Reject {
		reset(client)
		return
	}
	server, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", target)
	if err != nil {
		reset(client)
		return
	}
	c := &connection{client, server.(*net.TCPConn)}
	p.mu.Lock()
	current := p.resets == resets
	if current {
		p.connections[c] = true
	}
	p.mu.Unlock()
	if current {
		var both sync.WaitGroup
		both.Go(func() { p.forward(ctx, c, client, c.server, false) })
		both.Go(func() { p.forward(ctx, c, c.server, client, true) })
		both.Wait()
	}
	p.close(c)
}

const chunkBytes = 64 << 10

// forward forwards data until its sender has ended or c is closed.
func (p *Proxy) forward(ctx context.Context, c *connection, from, to *net.TCPConn, responses bool) {
	chunk := make([]byte, chunkBytes)
	for {
		n, err := from.Read(chunk)
		mode := p.wait(ctx, c)
		if n > 0 && (!responses || mode != DropResponses) {
			_, writeErr := to.Write(chunk[:n])
			err = errors.Join(err, writeErr)
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite() // fails if the connection is closed
			return
		}
		if err != nil {
			p.close(c)
			return
		}
	}
}

// wait waits for the latency, and while the mode is Stall and c is open. It returns the mode.
func (p *Proxy) wait(ctx context.Context, c *connection) Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most > 0 {
		latency := p.least + rand.N(p.most-p.least+1)
		p.mu.Unlock()
		retry.Wait(ctx, latency)
		p.mu.Lock()
	}
	for p.mode == Stall && p.connections[c] {
		p.changed.Wait()
	}
	return p.mode
}

func (p *Proxy) close(c *connection) {
	reset(c.client)
	reset(c.server)
	p.update(func() { delete(p.connections, c) })
}

// reset closes c with RST instead of FIN, so that its peer reads an error instead of EOF.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close() // an error means that it is closed already
}
