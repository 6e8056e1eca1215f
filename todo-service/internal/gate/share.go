package gate

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// share is a number of places, and a count of those who found none.
type share struct {
	places  int64
	taken   atomic.Int64
	refused prometheus.Counter
}

func newShare(places int, refused prometheus.Counter) *share {
	return &share{places: int64(places), refused: refused}
}

// enter takes a place, if there is one; leave gives it back.
func (s *share) enter() bool {
	if s.taken.Add(1) <= s.places {
		return true
	}
	s.taken.Add(-1)
	s.refused.Inc()
	return false
}

func (s *share) leave() { s.taken.Add(-1) }

func (s *share) inUse() float64 { return float64(s.taken.Load()) }
