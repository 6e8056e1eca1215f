package pgstore

import (
	"context"

	"example.com/todo/todo-service/internal/coalesce"
)

// The queries of List, Count and AfterOf, for EXPLAIN.
var (
	ListQuery    = listQuery
	CountQuery   = countQuery
	AfterOfQuery = afterOfQuery
)

// KeyText is the text under which a key is stored.
var KeyText = keyText

// MaxInFlight is how many batches of one kind run before callers share the next.
const MaxInFlight = maxInFlight

// WaitingCreates returns how many calls wait for the next statement that creates tasks.
func WaitingCreates(s *Store) int { return s.createBatcher.Collecting() }

// AssignSequenceAfter delays the assignment of seq until wait has returned.
func AssignSequenceAfter(s *Store, wait func()) {
	s.sequencer.Run = func(ctx context.Context, limits []coalesce.Entry[int]) ([]struct{}, error) {
		wait()
		return s.assignSequence(ctx, limits)
	}
}
