package netproxy

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Mode is what a Proxy does with connections and data.
type Mode int

// The modes.
const (
	// Forward forwards everything.
	Forward Mode = iota
	// Stall accepts connections and forwards nothing; what is held is forwarded after Stall.
	Stall
	// DropResponses forwards requests, which the server executes, and discards the responses.
	DropResponses
	// Reject resets every connection as soon as it is accepted.
	Reject
)

// Proxy forwards TCP connections to one server. It is safe for concurrent use.
type Proxy struct {
	listener   net.Listener
	stop       context.CancelFunc
	goroutines sync.WaitGroup

	mu          sync.Mutex
	target      string
	mode        Mode
	latency     latencyRange
	changed     chan struct{} // closed when mode or latency changes
	connections map[*connection]bool
	closed      bool
}

// Listen binds a free port of 127.0.0.1 and forwards its connections to target until Close. If target
// cannot be reached, the client's connection is reset. The end of ctx does not stop the proxy.
func Listen(ctx context.Context, target string) (*Proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener, changed: make(chan struct{}), connections: map[*connection]bool{}}
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
	p.update(func() { p.latency = latencyRange{least, most} })
}

// latencyRange is the range that latencies are drawn from, uniformly.
type latencyRange struct{ least, most time.Duration }

func (r latencyRange) draw() time.Duration { return r.least + rand.N(r.most-r.least+1) }

func (p *Proxy) update(set func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set()
	close(p.changed)
	p.changed = make(chan struct{})
}

// ResetConnections resets every open connection and returns their number.
func (p *Proxy) ResetConnections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		c.close()
	}
	return len(p.connections)
}

// Close stops listening, resets every connection and waits for the proxy's goroutines.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	err := p.listener.Close()
	p.ResetConnections()
	p.goroutines.Wait()
	return err
}

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
	if mode, _, _ := p.state(); mode == Reject {
		reset(client)
		return
	}
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", target)
	if err != nil {
		reset(client)
		return
	}
	c := &connection{proxy: p, client: client, server: server.(*net.TCPConn), done: make(chan struct{})}
	if !p.register(c, target) {
		c.close()
		return
	}
	c.run()
	p.mu.Lock()
	delete(p.connections, c)
	p.mu.Unlock()
}

// register adds c to the open connections. It returns false if Close, Reject or another target came
// first, while c was dialed.
func (p *Proxy) register(c *connection, target string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == Reject || p.target != target {
		return false
	}
	p.connections[c] = true
	return true
}

// state returns the mode, the latencies, and a channel that is closed when one of them changes.
func (p *Proxy) state() (Mode, latencyRange, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.latency, p.changed
}

// reset closes c with RST instead of FIN, so that its peer reads an error instead of EOF.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close() // an error means that it is closed already
}
