package pgstore

import "context"

// ListQuery is what List asks, for EXPLAIN.
var ListQuery = listQuery

// MaxInFlight is how many statements of a kind are under way before callers share.
const MaxInFlight = maxInFlight

// WaitingCreates returns how many wait for the next statement that creates tasks.
func WaitingCreates(s *Store) int {
	s.creations.mu.Lock()
	defer s.creations.mu.Unlock()
	if s.creations.next == nil {
		return 0
	}
	return len(s.creations.next.all)
}

// AssignSequenceAfter holds the numbering of events up until wait has returned.
func AssignSequenceAfter(s *Store, wait func()) {
	s.numbering.run = func(ctx context.Context, limits []int) (struct{}, error) {
		wait()
		return s.assignSequence(ctx, limits)
	}
}
