package admission

import "sync/atomic"

// share is a number of places.
type share struct {
	places int64
	taken  atomic.Int64
}

func newShare(places int) *share { return &share{places: int64(places)} }

// enter takes a place, if there is one; leave gives it back.
func (s *share) enter() bool {
	if s.taken.Add(1) <= s.places {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *share) leave() { s.taken.Add(-1) }

func (s *share) inUse() float64 { return float64(s.taken.Load()) }
