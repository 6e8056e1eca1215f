package watch

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/config"
)

// Config bounds the streams of this process, of both transports together: those of
// changes, and those of gRPC health and reflection.
type Config struct {
	MaxWatchers  int `config:"max_watchers"`   // at once
	MaxPerClient int `config:"max_per_client"` // of them, of one client
}

// maxStreams take some 40 GB.
const maxStreams = 1_000_000

// Validate refuses a bound that lets no stream pass.
func (c Config) Validate() error {
	return errors.Join(
		config.CheckRange("max_watchers", c.MaxWatchers, 1, maxStreams),
		config.CheckRange("max_per_client", c.MaxPerClient, 1, maxStreams),
	)
}

// Streams is a concurrency limiter for streams: in all, and of each client.
type Streams struct {
	limit   int64
	open    atomic.Int64
	clients *clientlimit.Limiter
	refused *prometheus.CounterVec
}

// NewStreams returns the limiter with the bounds of cfg.
func NewStreams(cfg Config, reg prometheus.Registerer) *Streams {
	metrics := promauto.With(reg)
	s := &Streams{
		limit:   int64(cfg.MaxWatchers),
		clients: clientlimit.New(cfg.MaxPerClient),
		refused: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "todo_watchers_refused_total",
			Help: "Streams refused because there were too many, by the limit that was reached: that of the process or of the client.",
		}, []string{"limit"}),
	}
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "todo_watchers", Help: "Open streams of changes, gRPC health and reflection.",
	}, func() float64 { return float64(s.open.Load()) })
	return s
}

// Acquire counts a stream of the client at addr, until release is called. Beyond a
// limit it is fault.Exhausted.
func (s *Streams) Acquire(addr netip.Addr) (release func(), err error) {
	releaseClient, ok := s.clients.Acquire(addr)
	if !ok {
		s.refused.WithLabelValues("client").Inc()
		return nil, apperr.New(apperr.RateLimited, "this client has as many streams open as it may; close one first")
	}
	if s.open.Add(1) > s.limit {
		s.open.Add(-1)
		releaseClient()
		s.refused.WithLabelValues("process").Inc()
		return nil, apperr.New(apperr.RateLimited, "this server has as many streams open as it takes; try again, or another server")
	}
	return sync.OnceFunc(func() {
		s.open.Add(-1)
		releaseClient()
	}), nil
}
