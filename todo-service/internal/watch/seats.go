package watch

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// seats are how many watchers there may be at once.
type seats struct {
	limit   int64
	taken   atomic.Int64
	refused prometheus.Counter
}

func newSeats(limit int, metrics promauto.Factory) *seats {
	s := &seats{
		limit: int64(limit),
		refused: metrics.NewCounter(prometheus.CounterOpts{
			Name: "todo_watchers_refused_total", Help: "Watches refused because there were too many.",
		}),
	}
	metrics.NewGaugeFunc(prometheus.GaugeOpts{Name: "todo_watchers", Help: "Open watches."}, func() float64 { return float64(s.taken.Load()) })
	return s
}

func (s *seats) take() bool {
	if s.taken.Add(1) <= s.limit {
		return true
	}
	s.leave()
	s.refused.Inc()
	return false
}

func (s *seats) leave() { s.taken.Add(-1) }
