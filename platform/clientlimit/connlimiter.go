package clientlimit

import (
	"log/slog"
	"math"
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
	clients *Limiter[netip.Prefix]
	exempt  Networks
	log     *slog.Logger
	warned  atomic.Int64 // Unix time of the last warning, in nanoseconds

	open    *prometheus.GaugeVec
	refused *prometheus.CounterVec
}

// warnInterval is the minimal time between two warnings about refused connections. Under
// an attack there are thousands per second; the metric counts all.
const warnInterval = time.Minute

// The values of the label limit.
const (
	limitOfClient = "client"
	limitOfServer = "server"
)

// NewConnLimiter returns a ConnLimiter that allows each client perClient connections, and
// the peers in exempt any number. It registers its metrics in reg.
func NewConnLimiter(perClient int, exempt []netip.Prefix, log *slog.Logger, reg prometheus.Registerer) *ConnLimiter {
	metrics := promauto.With(reg)
	return &ConnLimiter{
		clients: New[netip.Prefix](perClient),
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

// Limit returns a function that wraps the TCP listener of a server. The wrapped listener
// closes each accepted connection that exceeds maxConns or the limit of its client. The
// name of the server is a label of the metrics.
func (c *ConnLimiter) Limit(server string, maxConns int) func(net.Listener) net.Listener {
	return c.limitListener(server, maxConns, c.clients)
}

// LimitTotal is Limit with maxConns only: the connections are neither limited by client
// nor counted for their client.
func (c *ConnLimiter) LimitTotal(server string, maxConns int) func(net.Listener) net.Listener {
	return c.limitListener(server, maxConns, New[netip.Prefix](math.MaxInt))
}

func (c *ConnLimiter) limitListener(server string, maxConns int, clients *Limiter[netip.Prefix]) func(net.Listener) net.Listener {
	return func(inner net.Listener) net.Listener {
		// The first refusals are an increase only for a series that was 0 before.
		for _, limit := range []string{limitOfClient, limitOfServer} {
			c.refused.WithLabelValues(server, limit)
		}
		return &limitedListener{
			TCPListener: inner.(*net.TCPListener),
			conns:       c,
			clients:     clients,
			server:      server,
			max:         int64(maxConns),
			gauge:       c.open.WithLabelValues(server),
		}
	}
}

type limitedListener struct {
	*net.TCPListener
	conns   *ConnLimiter
	clients *Limiter[netip.Prefix]
	server  string
	max     int64
	held    atomic.Int64
	gauge   prometheus.Gauge
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		release, reached := l.acquire(accepted)
		if reached == "" {
			return &releasingConn{accepted, sync.OnceFunc(release)}, nil
		}
		l.conns.recordRefusal(l.server, reached, accepted)
		_ = accepted.Close() // fails only when the client has disconnected
	}
}

// acquire counts a connection. It returns the function that ends that, or the name of the
// limit that is reached.
func (l *limitedListener) acquire(conn net.Conn) (release func(), reached string) {
	peer, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	releaseClient, ok := func() {}, true
	if !l.conns.exempt.Contains(peer.Addr()) {
		releaseClient, ok = l.clients.Acquire(ClientPrefix(peer.Addr()))
	}
	switch {
	case !ok:
		return nil, limitOfClient
	case l.held.Add(1) > l.max:
		l.held.Add(-1)
		releaseClient()
		return nil, limitOfServer
	}
	l.gauge.Inc()
	return func() {
		releaseClient()
		l.held.Add(-1)
		l.gauge.Dec()
	}, ""
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

// releasingConn has all methods of TCP, which net/http and httpserver.Stream need.
type releasingConn struct {
	*net.TCPConn
	release func()
}

func (c *releasingConn) Close() error {
	defer c.release()
	return c.TCPConn.Close()
}
