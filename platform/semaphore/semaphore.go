// Package semaphore implements a counting semaphore that never waits and tells how
// many slots are in use. golang.org/x/sync/semaphore has no such count.
package semaphore

import "sync/atomic"

// Semaphore has a fixed number of slots. It may be used by several goroutines.
type Semaphore struct {
	slots int64
	inUse atomic.Int64
}

// New returns a Semaphore whose slots are all free.
func New(slots int) *Semaphore { return &Semaphore{slots: int64(slots)} }

// TryAcquire takes a slot and reports whether one was free. If so, the caller must
// call Release once.
func (s *Semaphore) TryAcquire() bool {
	if s.inUse.Add(1) <= s.slots {
		return true
	}
	s.inUse.Add(-1)
	return false
}

// Release gives back a slot that TryAcquire took.
func (s *Semaphore) Release() { s.inUse.Add(-1) }

// InUse returns the number of slots that are taken, as the value of a gauge.
func (s *Semaphore) InUse() float64 { return float64(s.inUse.Load()) }
