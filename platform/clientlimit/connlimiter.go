package clientlimit

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// ConnLimiter limits the connections to each server of a process, and those of each client
// to all servers together. The client of a connection is its direct peer. The methods
// may be called concurrently.
type ConnLimiter struct {
	clients *Limiter
	exempt  Networks
	log     *slog.Logger
	warned  atomic.Int64 // Unix time of the last warning, in nanoseconds

	open    *prometheus.GaugeVec
	refused *prometheus.CounterVec
}

// warnInterval is the minimal time between two warnings about refused connections. Under
// an attack there are thousands per second; the metric counts all.
const warnInterval = time.Minute

// NewConnLimiter returns a ConnLimiter that allows each client perClient connections, and
// the peers in exempt any number. It registers its metrics in reg.
func NewConnLimiter(perClient int, exempt []netip.Prefix, log *slog.Logger, reg prometheus.Registerer) *ConnLimiter {
	metrics := promauto.With(reg)
	return &ConnLimiter{
		clients: New(perClient),
		exempt:  NewNetworks(exempt),
		log:     log,
		open: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "server_connections",
			Help: "Open connections by server.",
		}, []string{"server"}),
		refused: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "server_connections_refused_total",
			Help: "Connections closed at once, by server and by the limit that was reached: the server's or the client's.",
		}, []string{"server", "limit"}),
	}
}

// Limit returns a function that wraps the listener of a server. The wrapped listener
// closes each accepted connection that exceeds maxConns or the limit of its client. The
// name of the server is a label of the metrics.
func (c *ConnLimiter) Limit(server string, maxConns int) func(net.Listener) net.Listener {
	return c.limitListener(server, maxConns, c.clients)
}

// LimitTotal is Limit with maxConns only: the connections are neither limited by client
// nor counted for their client.
func (c *ConnLimiter) LimitTotal(server string, maxConns int) func(net.Listener) net.Listener {
	return c.limitListener(server, maxConns, nil)
}

func (c *ConnLimiter) limitListener(server string, maxConns int, clients *Limiter) func(net.Listener) net.Listener {
	return func(inner net.Listener) net.Listener {
		return &limitedListener{
			Listener: inner,
			conns:    c,
			clients:  clients,
			server:   server,
			max:      int64(maxConns),
			gauge:    c.open.WithLabelValues(server),
		}
	}
}

type limitedListener struct {
	net.Listener
	conns   *ConnLimiter
	clients *Limiter // nil: no limit by client
	server  string
	max     int64
	held    atomic.Int64
	gauge   prometheus.Gauge
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if admitted := l.admit(accepted); admitted != nil {
			return admitted, nil
		}
		_ = accepted.Close() // fails only when the client has disconnected
	}
}

// admit returns accepted, counted until its Close, or nil when a limit is reached.
func (l *limitedListener) admit(accepted net.Conn) net.Conn {
	if l.held.Add(1) > l.max {
		l.held.Add(-1)
		l.conns.recordRefusal(l.server, "server", accepted)
		return nil
	}
	releaseClient := func() {}
	if peer := peerAddr(accepted); l.clients != nil && !l.conns.exempt.Contains(peer) {
		release, ok := l.clients.Acquire(peer)
		if !ok {
			l.held.Add(-1)
			l.conns.recordRefusal(l.server, "client", accepted)
			return nil
		}
		releaseClient = release
	}
	l.gauge.Inc()
	release := sync.OnceFunc(func() {
		releaseClient()
		l.held.Add(-1)
		l.gauge.Dec()
	})
	// net/http and httpserver.Stream need the methods of the TCP connection.
	if tcp, ok := accepted.(*net.TCPConn); ok {
		return &releasingTCPConn{tcp, release}
	}
	return &releasingConn{accepted, release}
}

func (c *ConnLimiter) recordRefusal(server, limit string, conn net.Conn) {
	c.refused.WithLabelValues(server, limit).Inc()
	now, last := time.Now().UnixNano(), c.warned.Load()
	if now-last < int64(warnInterval) || !c.warned.CompareAndSwap(last, now) {
		return
	}
	c.log.Warn("connection limit reached, closing new connections; server_connections_refused_total counts them",
		"server", server, "limit", limit, "client", conn.RemoteAddr().String())
}

func peerAddr(c net.Conn) netip.Addr {
	peer, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return peer.Addr()
}

type releasingTCPConn struct {
	*net.TCPConn
	release func()
}

func (c *releasingTCPConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}

type releasingConn struct {
	net.Conn
	release func()
}

func (c *releasingConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
