package watch

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/semaphore"

	"example.com/todo/platform/apperr"
	"example.com/todo/platform/clientlimit"
	"example.com/todo/platform/config"
	"example.com/todo/todo-service/internal/ratelimit"
)

// Config limits the open streams of this process, over both transports together:
// streams of changes, gRPC health and gRPC reflection.
type Config struct {
	MaxWatchers  int `config:"max_watchers"`   // streams of all clients, also those that watch no changes
	MaxPerClient int `config:"max_per_client"` // streams of one client
}

// maxStreams is the largest value of both settings: so many streams take some 40 GB.
const maxStreams = 1_000_000

// Validate returns an error for a limit below 1 or above maxStreams.
func (c Config) Validate() error {
	return errors.Join(
		config.CheckRange("max_watchers", c.MaxWatchers, 1, maxStreams),
		config.CheckRange("max_per_client", c.MaxPerClient, 1, maxStreams),
	)
}

// Streams is a concurrency limiter for streams, with a limit for the process and a
// limit for each client.
type Streams struct {
	slots   *semaphore.Weighted
	clients *clientlimit.Limiter[ratelimit.Client]
	open    prometheus.Gauge
	refused *prometheus.CounterVec
}

// The values of the label limit.
const (
	limitOfClient  = "client"
	limitOfProcess = "process"
)

// NewStreams returns a limiter with the limits of cfg.
func NewStreams(cfg Config, reg prometheus.Registerer) *Streams {
	metrics := promauto.With(reg)
	s := &Streams{
		slots:   semaphore.NewWeighted(int64(cfg.MaxWatchers)),
		clients: clientlimit.New[ratelimit.Client](cfg.MaxPerClient),
		open: metrics.NewGauge(prometheus.GaugeOpts{
			Name: "todo_watchers", Help: "Open streams of changes, gRPC health and reflection.",
		}),
		refused: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "todo_watchers_refused_total",
			Help: "Streams refused because there were too many, by the limit that was reached: that of the process or of the client.",
		}, []string{"limit"}),
	}
	// The first refusals are an increase only for a series that was 0 before.
	for _, limit := range []string{limitOfClient, limitOfProcess} {
		s.refused.WithLabelValues(limit)
	}
	return s
}

// Acquire counts a stream of the client until release is called; further calls of release
// do nothing. At a limit the error is apperr.RateLimited.
func (s *Streams) Acquire(client ratelimit.Client) (release func(), err error) {
	releaseClient, ok := s.clients.Acquire(client)
	if !ok {
		s.refused.WithLabelValues(limitOfClient).Inc()
		return nil, apperr.New(apperr.RateLimited, "this client has too many streams open; close one first")
	}
	if !s.slots.TryAcquire(1) {
		releaseClient()
		s.refused.WithLabelValues(limitOfProcess).Inc()
		return nil, apperr.New(apperr.RateLimited, "this server has too many streams open; try again, or another server")
	}
	s.open.Inc()
	return sync.OnceFunc(func() {
		s.open.Dec()
		s.slots.Release(1)
		releaseClient()
	}), nil
}
