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

// warnInterval is how often at most the log tells of refused connections: under an
// attack there are thousands a second, and the metric counts them.
const warnInterval = time.Minute

// ConnLimiter limits the connections of a process: those of each server, and those of
// each client over all servers that share it. A connection's client is its direct
// peer. Its methods may be called concurrently.
type ConnLimiter struct {
	clients *Limiter
	exempt  Networks
	log     *slog.Logger
	warned  atomic.Int64 // Unix time of the last warning, in nanoseconds

	open    *prometheus.GaugeVec
	refused *prometheus.CounterVec
}

// NewConnLimiter returns the limits of a process in which each client may hold perClient
// connections, and the peers in exempt any number.
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

// Limit returns what wraps the listener of a server that may hold maxConns: beyond
// that, or beyond the limit of their client, connections are closed as soon as they
// are accepted. The server's name is the label of its metrics.
func (c *ConnLimiter) Limit(server string, maxConns int) func(net.Listener) net.Listener {
	return c.limitListener(server, maxConns, c.clients)
}

// LimitTotal is Limit without the limit of each client, and without counting
// against it.
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
	clients *Limiter // nil: no limit of each client
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
		_ = accepted.Close() // the client sees that it is closed, or has left
	}
}

// admit returns the connection, counted until it is closed, or nil.
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
	// A server that needs the TCP connection's own methods must find them.
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
	c.log.Warn("connections are closed because a limit is reached; server_connections_refused_total counts them",
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
