package stats

import "errors"

// The errors of a rebuild that may not change the live counters.
var (
	ErrLiveAhead = errors.New("stats: the live counters are ahead of the rebuild")
	ErrLockLost  = errors.New("stats: the rebuild no longer holds its lock")
)

// Position is the next offset that the live counters count in a partition.
type Position struct {
	Offset      int64
	Incarnation string // that the offset belongs to; "" when it is unknown
}

// SwapResult is what changed when the shadow counters replaced the live ones.
type SwapResult struct {
	Before, After int64
	Days          []DayChange // that differ, oldest first
	Unknown       bool        // the reply was lost, so what changed is unknown
}

// DayChange is a day whose shadow counter differs from the live one.
type DayChange struct {
	Day           string
	Before, After int64
}
