package link

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// Mode is what a link does with what passes through it.
type Mode int

// The modes.
const (
	// Pass hands everything on.
	Pass Mode = iota
	// Stall accepts connections and moves nothing.
	Stall
	// DropAnswers hands requests on, which are executed, and throws the answers away.
	DropAnswers
	// Refuse cuts every connection as soon as it is made.
	Refuse
)

// Link is a proxy to one server. Its methods may be called from several goroutines.
type Link struct {
	listener net.Listener
	stop     context.CancelFunc
	all      sync.WaitGroup

	mu      sync.Mutex
	target  string
	mode    Mode
	delay   span
	changed chan struct{} // closed when mode or delay changes
	open    map[*pair]bool
	closed  bool
}

// Listen begins to listen on a free port of 127.0.0.1 and hands what comes to target. The server may be
// away: a connection that cannot be handed on is cut.
func Listen(ctx context.Context, target string) (*Link, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{target: target, listener: listener, changed: make(chan struct{}), open: map[*pair]bool{}}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.all.Go(func() { l.accept(ctx) })
	return l, nil
}

// Addr is where the services come to.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Port is the port of Addr.
func (l *Link) Port() int { return l.listener.Addr().(*net.TCPAddr).Port }

// Set changes what the link does, also with the connections that are open.
func (l *Link) Set(m Mode) {
	l.change(func() { l.mode = m })
	if m == Refuse {
		l.Cut()
	}
}

// Lead has the link go to another server from now on, and cuts what is open.
func (l *Link) Lead(target string) {
	l.change(func() { l.target = target })
	l.Cut()
}

// Delay holds back everything, in both directions, by at least so long and at most so long: what goes over
// one connection stays in order, and may overtake what goes over another. 0 and 0 end that.
func (l *Link) Delay(least, most time.Duration) { l.change(func() { l.delay = span{least, most} }) }

// span is of times of which one is drawn at random.
type span struct{ least, most time.Duration }

func (s span) draw() time.Duration { return s.least + rand.N(s.most-s.least+1) }

func (l *Link) change(set func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	set()
	close(l.changed)
	l.changed = make(chan struct{})
}

// Cut resets every connection that is open, and returns how many that were.
func (l *Link) Cut() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.open {
		p.cut()
	}
	return len(l.open)
}

// Close cuts everything and stops listening.
func (l *Link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	err := l.listener.Close()
	l.Cut()
	l.all.Wait()
	return err
}

func (l *Link) accept(ctx context.Context) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.all.Go(func() { l.serve(ctx, client.(*net.TCPConn)) })
	}
}

// dialLimit bounds the way to a server on the same machine.
const dialLimit = 2 * time.Second

func (l *Link) serve(ctx context.Context, client *net.TCPConn) {
	if mode, _, _ := l.now(); mode == Refuse {
		reset(client)
		return
	}
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	server, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "tcp", target)
	if err != nil {
		reset(client)
		return
	}
	p := &pair{link: l, client: client, server: server.(*net.TCPConn), gone: make(chan struct{})}
	if !l.add(p, target) {
		p.cut()
		return
	}
	p.run()
	l.mu.Lock()
	delete(l.open, p)
	l.mu.Unlock()
}

// add refuses a connection that came too late: after Close, or after the link began to refuse or to lead
// elsewhere.
func (l *Link) add(p *pair, target string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.mode == Refuse || l.target != target {
		return false
	}
	l.open[p] = true
	return true
}

// now returns what the link does, and a channel that is closed when that changes.
func (l *Link) now() (Mode, span, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.delay, l.changed
}

// reset ends a connection so that the other side is told of a failure, not of an end.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close() // one that is closed already is as good
}
